//! Packets that are stuck in the kernel's queue because the process that they were queued to hangs.

use std::time::{Duration, Instant};

use breakit::exit::Result;
use breakit::reach::Network;

use crate::fault_id::FaultId;
use crate::step::Step;
use crate::traffic::Way;

/// How long a process that does not hang may take to let them go.
const PATIENCE: Duration = Duration::from_millis(500);

/// Lets the kernel drop what is still queued to lines of the faults `ours` in a while: TCP sends it again.
///
/// Only the process that bound a queue can give verdicts. But when a hook of the firewall goes, whichever, the
/// kernel drops all that is queued in its network: for a moment we have one.
///
/// # Errors
/// As [`Step::run`], where the packets stay.
pub fn release(network: &Network, ours: &[FaultId]) -> Result<()> {
    if ours.is_empty() || matches!(network, Network::Ssh(_)) {
        return Ok(());
    }
    let deadline = Instant::now() + PATIENCE;
    while are_there(network, ours)? {
        if Instant::now() >= deadline {
            return drop_all(network);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn are_there(network: &Network, ours: &[FaultId]) -> Result<bool> {
    // A kernel without the queue has no such file.
    let output = Step::new("cat /proc/net/netfilter/nfnetlink_queue").output(network)?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(ours.iter().any(|id| [Way::Out, Way::In].iter().any(|way| holds(&text, id.queue(*way)))))
}

/// Whether packets are in the queue `number`: a line is number, owner, how many are there, and so on.
fn holds(table: &str, number: u16) -> bool {
    table.lines().any(|line| {
        let mut words = line.split_whitespace().map(str::parse);
        words.next() == Some(Ok(u64::from(number))) && words.nth(1).is_some_and(|n| n != Ok(0))
    })
}

fn drop_all(network: &Network) -> Result<()> {
    // Not every kernel with nftables has the family inet.
    let hook = |family: &str| {
        let table = format!("{family} breakit_release");
        Step::new("nft -f -").fed(format!(
            "add table {table}\nadd chain {table} c {{ type filter hook input priority 0; }}\ndelete table {table}\n"
        ))
    };
    hook("inet").run(network).or_else(|_| hook("bridge").run(network)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_with_packets_is_told_from_an_empty_one_and_from_another() {
        let table = "    7  15437     0 2 65531     0     0    93339  1\n61510  15437    91 2 65531     0     0    93339  1\n";
        assert!(holds(table, 61510));
        assert!(!holds(table, 7));
        assert!(!holds(table, 15437));
        assert!(!holds("", 7));
    }
}
