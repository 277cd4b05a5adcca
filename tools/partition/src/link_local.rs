//! The link-local addresses of nodes, from which much of a cluster's multicast comes: VRRP over IPv6, for one.
//!
//! Nobody names a node by them, so they are looked up beside its addresses: those of every interface that has one of
//! its addresses. Other interfaces are not part of the cut.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use breakit::exit::{Error, Result, Status};
use breakit::node::{Node, Via};
use breakit::reach::Network;
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(15);

/// The addresses of each interface of a network, by the interface's name.
type Interfaces = BTreeMap<String, Vec<IpAddr>>;

/// The link-local addresses of each node beside `addresses`; `None` for a node that does not run.
pub fn of(nodes: &[Node], addresses: &[Vec<IpAddr>]) -> Vec<Result<Option<Vec<IpAddr>>>> {
    breakit::node::at_once(nodes, |node| {
        let own = nodes.iter().position(|n| n.name == node.name).map(|i| addresses[i].as_slice());
        if matches!(node.via, Via::Address(_)) {
            return Ok(None);
        }
        let network = match Network::of(node) {
            Ok(network) => network,
            Err(error) if error.status() == Status::NoInput => return Ok(None),
            Err(error) => return Err(error),
        };
        let interfaces = match network {
            Network::Ssh(_) => over_ssh(&network)?,
            _ => network.inside(here)?,
        };
        Ok(Some(beside(&interfaces, own.unwrap_or_default())))
    })
}

/// Those that are on an interface with one of `addresses`.
fn beside(interfaces: &Interfaces, addresses: &[IpAddr]) -> Vec<IpAddr> {
    let theirs = |all: &&Vec<IpAddr>| all.iter().any(|address| addresses.contains(address));
    let all = interfaces.values().filter(theirs).flatten().copied();
    // A node may be named by such an address too.
    all.filter(|address| is_link_local(*address) && !addresses.contains(address)).collect()
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

/// Of the network that we are in.
fn here() -> Result<Interfaces> {
    let all = nix::ifaddrs::getifaddrs().map_err(|e| Error::io("list addresses", &e.into()))?;
    let mut found = Interfaces::new();
    for interface in all {
        let Some(address) = interface.address else { continue };
        let v4 = address.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
        let address = v4.or_else(|| address.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip())));
        found.entry(interface.interface_name).or_default().extend(address);
    }
    Ok(found)
}

fn over_ssh(network: &Network) -> Result<Interfaces> {
    let output = network.run(Path::new("ip"), ["-j", "addr", "show"], None, LIMIT)?;
    let said = String::from_utf8_lossy(&output.stdout);
    listed(&said).ok_or_else(|| {
        Error::missing("ip -j addr show lists no addresses; install the package iproute2 there")
    })
}

/// What `ip -j addr show` lists.
fn listed(said: &str) -> Option<Interfaces> {
    let links: Value = serde_json::from_str(said).ok()?;
    let of = |link: &Value| {
        let all = link["addr_info"].as_array()?.iter();
        let addresses = all.filter_map(|address| address["local"].as_str()?.parse().ok()).collect();
        Some((link["ifname"].as_str()?.to_string(), addresses))
    };
    Some(links.as_array()?.iter().filter_map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_local_addresses_are_those_beside_an_address_of_the_node() {
        let said = r#"[{"ifname":"lo","addr_info":[{"local":"127.0.0.1"},{"local":"::1"}]},{},
            {"ifname":"eth0","addr_info":[{"local":"10.0.0.1"},{"local":"fe80::1"},{"local":"169.254.0.9"}]},
            {"ifname":"docker0","addr_info":[{"local":"172.17.0.1"},{"local":"fe80::2"}]}]"#;
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let interfaces = listed(said).unwrap();
        let found = beside(&interfaces, &[address("10.0.0.1")]);
        assert_eq!(found, ["fe80::1", "169.254.0.9"].map(address));
        assert_eq!(beside(&interfaces, &[address("10.0.0.1"), found[0]]), [found[1]]);
        assert_eq!(listed("no such option"), None);
    }
}
