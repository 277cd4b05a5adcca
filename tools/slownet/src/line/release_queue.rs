//! Packets that are stuck in the kernel's queue because the process that they were queued to hangs.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use breakit::exit::{Error, Result};
use breakit::reach::Network;
use nix::libc;

use super::nfqueue;
use crate::fault_id::FaultId;
use crate::step::{self, Step};

/// How long a process that does not hang may take to let them go.
const PATIENCE: Duration = Duration::from_millis(500);

/// A line of the kernel's list of queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Queued {
    number: u16,
    /// The name of the socket that it is bound to.
    port: u32,
    packets: u32,
    /// That of the last packet.
    id: u32,
}

/// Lets go on, in a while, what is still queued to lines of the faults `ours`.
///
/// Only the socket that bound a queue can give verdicts. So we borrow it from the process that hangs: those of
/// other queues stay where they are.
///
/// # Errors
/// 71 where the process cannot be found or does not let us; the packets stay.
pub fn release(network: &Network, ours: &[FaultId]) -> Result<()> {
    if ours.is_empty() || matches!(network, Network::Ssh(_)) {
        return Ok(());
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        let stuck = of_ours(network, ours)?;
        if stuck.is_empty() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            let let_go = stuck.iter().map(|queued| let_go(network, *queued));
            return Error::all(let_go.filter_map(Result::err).collect());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The queues of the faults in which packets are.
fn of_ours(network: &Network, ours: &[FaultId]) -> Result<Vec<Queued>> {
    let text = queues(network)?;
    let is_ours = |number| ours.iter().any(|id| id.queue() == number);
    Ok(text.lines().filter_map(queued).filter(|q| q.packets > 0 && is_ours(q.number)).collect())
}

/// The kernel's list of packet queues, a line each.
///
/// # Errors
/// As [`Step::output`].
pub fn queues(network: &Network) -> Result<String> {
    // A kernel without the queue has no such file.
    step::proc_net(network, "netfilter/nfnetlink_queue")
}

fn queued(line: &str) -> Option<Queued> {
    let words: Vec<u32> = line.split_whitespace().map_while(|word| word.parse().ok()).collect();
    let [number, port, packets, .., id, _] = words[..] else { return None };
    Some(Queued { number: u16::try_from(number).ok()?, port, packets, id })
}

fn let_go(network: &Network, queued: Queued) -> Result<()> {
    let place = format!("release the packets that are stuck in queue {}", queued.number);
    let listed = Step::new("cat /proc/net/netlink").run(network)?;
    let socket = inode(&listed, queued.port).and_then(|inode| held_by(&inode));
    let Some((process, descriptor)) = socket else {
        return Err(Error::system(format!(
            "cannot {place}: the process that they were queued to is not seen from here"
        )));
    };
    borrow(process, descriptor)
        .and_then(|socket| nfqueue::let_all_go(&socket, queued.number, queued.id))
        .map_err(|e| {
            Error::io(format!("{place} (kill the process {process}, which hangs, instead)"), &e)
        })
}

/// The inode of the socket of netfilter with that name, as the kernel lists sockets of netlink.
fn inode(listed: &str, port: u32) -> Option<String> {
    let port = port.to_string();
    let netfilter = libc::NETLINK_NETFILTER.to_string();
    listed.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_it = words.get(1) == Some(&&*netfilter) && words.get(2) == Some(&&*port);
        is_it.then(|| words.last().map(ToString::to_string))?
    })
}

/// Which process has the socket open, and as which descriptor.
fn held_by(inode: &str) -> Option<(i32, i32)> {
    let name = format!("socket:[{inode}]");
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).find_map(
        |process: i32| {
            let descriptors = fs::read_dir(format!("/proc/{process}/fd")).ok()?.flatten();
            let is_it =
                |path: &Path| fs::read_link(path).is_ok_and(|to| to.as_os_str() == name.as_str());
            let found = descriptors.map(|entry| entry.path()).find(|path| is_it(path))?;
            Some((process, found.file_name()?.to_str()?.parse().ok()?))
        },
    )
}

/// The same socket as a descriptor of ours (Linux 5.6).
fn borrow(process: i32, descriptor: i32) -> io::Result<OwnedFd> {
    let owned = |got: libc::c_long| match i32::try_from(got) {
        // SAFETY: the kernel has just made this descriptor for us alone.
        Ok(got) if got >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(got) }),
        _ => Err(io::Error::last_os_error()),
    };
    // SAFETY: the call takes two numbers and gives a descriptor.
    let process = owned(unsafe { libc::syscall(libc::SYS_pidfd_open, process, 0) })?;
    // SAFETY: the call takes three numbers and gives a descriptor.
    owned(unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), descriptor, 0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_read_with_its_socket_its_packets_and_the_last_of_them() {
        let line = "61510  15437    91 2 65531     0     0    93339  1";
        let read = Queued { number: 61510, port: 15437, packets: 91, id: 93339 };
        assert_eq!(queued(line), Some(read));
        assert_eq!(queued(""), None);
        assert_eq!(queued("7 rubbish"), None);
    }

    #[test]
    fn a_socket_is_found_by_its_protocol_and_name() {
        let listed = "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode
0000000000000000 0   4711       00000000 0        0        0     2        0        100
0000000000000000 12  0          00000000 0        0        0     2        0        101
0000000000000000 12  4711       00000000 0        0        0     2        0        102
";
        assert_eq!(inode(listed, 4711).as_deref(), Some("102"));
        assert_eq!(inode(listed, 4712), None);
    }
}
