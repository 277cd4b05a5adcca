//! Whether we may change networks: who is refused, and with which advice.

use breakit::exit::{Error, Result};
use breakit::node::{Node, Via};
use breakit::reach::Network;

/// The message to a user without the privilege.
const NEEDS_ROOT: &str =
    "this needs root; to try it out without, make a network of your own: unshare -Urnm";

/// Whether this process may change its network and enter others: root, or root of a user namespace.
pub fn is_privileged() -> bool {
    const NET_ADMIN: u32 = 12;
    const SYS_ADMIN: u32 = 21;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status
        .lines()
        .find_map(|line| u64::from_str_radix(line.strip_prefix("CapEff:")?.trim(), 16).ok())
        .unwrap_or_default();
    [NET_ADMIN, SYS_ADMIN].iter().all(|capability| effective >> capability & 1 == 1)
}

/// Refuses what needs root; nodes on other hosts need it there and not here.
///
/// # Errors
/// 77 where a node is on this host (or none is named) and we may not act there.
pub fn permitted(nodes: &[Node]) -> Result<()> {
    let elsewhere = |node: &Node| matches!(node.via, Via::Ssh(_));
    let needed = nodes.is_empty() || !nodes.iter().all(elsewhere);
    if needed && !is_privileged() { Err(needs_root()) } else { Ok(()) }
}

/// The error of someone who may not act on this host.
pub fn needs_root() -> Error {
    Error::not_permitted(NEEDS_ROOT)
}

/// The error of someone who may not act in `network`.
pub fn not_permitted(network: &Network) -> Error {
    match network {
        Network::Ssh(host) => Error::not_permitted(format!(
            "this needs root on {host}: log in as root, or give --sudo"
        )),
        Network::Here | Network::Namespace(_) => needs_root(),
    }
}
