//! Round trips by ping(8): from hosts over ssh, where no socket of ours can be opened, and wherever ICMP is asked for.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use breakit::exit::{Error, Result};
use breakit::messages;
use breakit::node::Node;
use breakit::program;
use breakit::reach::Network;

/// For all that ssh and some pings take besides waiting for answers.
const LIMIT: Duration = Duration::from_secs(30);

/// Which of `addresses` answer `node`, `limit` after they were asked. `None` where nobody can tell: the
/// node does not run, is out of reach or has no ping(8).
pub fn answered(node: &Node, addresses: &[IpAddr], limit: Duration) -> Option<BTreeSet<IpAddr>> {
    if addresses.is_empty() {
        return Some(BTreeSet::new());
    }
    match ping(node, addresses, limit) {
        Ok(said) => Some(said.lines().filter_map(|line| line.parse().ok()).collect()),
        Err(error) => {
            messages::detail(format!("whom {} reaches cannot be measured: {error}", node.name));
            None
        }
    }
}

/// Asks all at once, each twice: the first packet may be lost to address resolution.
fn ping(node: &Node, addresses: &[IpAddr], limit: Duration) -> Result<String> {
    let list: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
    // Not every ping(8) takes fractions of a second.
    let seconds = limit.as_secs() + 1;
    let script = format!(
        "command -v ping >/dev/null || exit 127\n\
         for a in {}; do {{ ping -q -c 2 -W {seconds} $a >/dev/null 2>&1 && echo $a; }} & done\nwait\n",
        list.join(" ")
    );
    let (sh, words) = (Path::new("sh"), ["-s"]);
    let output = Network::of(node)?.run(sh, words, Some(script.as_bytes()), limit + LIMIT)?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(Error::missing(format!(
            "ping is missing there, or did not run: {}",
            program::last_words(&output)
        ))),
    }
}
