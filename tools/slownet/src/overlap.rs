//! No packet is struck by two faults: whoever comes second is refused, and told of the first.
//!
//! Two faults on one packet at one node would not add up: of two classes the later rule wins. So a second fault would
//! be no fault, or take the first away, and neither history would be true. One at its sender and one at its receiver
//! do add up, and then either history says too little. Parts that are to be had together belong in one fault.

use breakit::escape::beginning;
use breakit::exit::{Error, Result};
use breakit::node::{self, Fleet, Node};
use breakit::reach::Network;

use crate::advice;
use crate::classify::{self, Fed};
use crate::fault_id::FaultId;
use crate::link::Link;
use crate::traffic::Traffic;

/// Refuses where a fault that is none of the faults `ours` already strikes packets of `link` at `node`: one of the
/// link's own, or one at the other end of its packets.
///
/// # Errors
/// 71 with the other fault's number and what to do, and as [`classify::all`].
pub fn refuse(network: &Network, ours: &[FaultId], link: &Link, node: &Node) -> Result<()> {
    let is_struck = link.nodes.iter().any(|struck| struck.name == node.name);
    for Fed { id, traffic, .. } in classify::all(network, |id| !ours.contains(&id))? {
        let Some(other) = traffic else { continue };
        let (at, remedy) = match () {
            () if is_struck && other.meets(&link.traffic) => {
                (String::new(), "name other packets, or give all parts to one fault")
            }
            () if link.faces(node, &other) => {
                (format!(" at their other end, node {}", node.name), "or name other packets")
            }
            () => continue,
        };
        return Err(Error::system(format!(
            "the fault {id} already strikes packets {}{at}: end it ({}), {remedy}",
            beginning(&words(&other), GLANCE),
            advice::clear(node, id)
        )));
    }
    Ok(())
}

/// Refuses as [`refuse`] does, at each of the nodes that may receive the link's packets, or send them to it: the peers
/// that were named, and the nodes of the fleet if the link's own are of it.
///
/// # Errors
/// As [`refuse`]. A node that cannot be looked at, as it does not run, is no reason.
pub fn refuse_at_other_ends(ours: &[FaultId], link: &Link) -> Result<()> {
    let mut others = link.peers.clone();
    let fleet = Fleet::of_environment().and_then(|fleet| fleet.nodes()).unwrap_or_default();
    if fleet.iter().any(|node| link.nodes.contains(node)) {
        others.extend(fleet);
    }
    others.sort_by(|a, b| a.name.cmp(&b.name));
    others.dedup_by(|a, b| a.name == b.name);
    others.retain(|node| link.nodes.iter().all(|struck| struck.name != node.name));
    let looked = node::at_once(&others, |node| match Network::of(node) {
        Ok(network) => refuse(&network, ours, link, node),
        Err(_) => Ok(()),
    });
    looked.into_iter().collect()
}

/// How many characters of the other fault a message shows.
const GLANCE: usize = 45;

/// Which packets, in words.
fn words(traffic: &Traffic) -> String {
    let value = traffic.json();
    let list = |name: &str| {
        let words = value[name].as_array()?.iter().filter_map(|word| word.as_str());
        Some(words.collect::<Vec<_>>().join(","))
    };
    let mut words = match value["direction"].as_str() {
        Some("in") => "from ",
        Some("both") => "to and from ",
        _ => "to ",
    }
    .to_string();
    words += &list("to").unwrap_or_else(|| "everybody".into());
    words += &value["protocol"].as_str().map(|p| format!(" over {p}")).unwrap_or_default();
    words + &list("ports").map(|ports| format!(" on port {ports}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::Direction;
    use breakit::net::Net;
    use breakit::ports::Ports;
    use breakit::protocol::Protocol;

    #[test]
    fn a_fault_is_told_by_its_packets() {
        let to = vec![Net::parse("10.0.0.0/8").unwrap(), Net::parse("10.0.0.1").unwrap()];
        let ports = vec![Ports::parse("53").unwrap(), Ports::parse("70-73").unwrap()];
        let traffic = Traffic::new(to, Some(Protocol::Udp), ports).going(Direction::Both);
        assert_eq!(words(&traffic), "to and from 10.0.0.0/8 over udp on port 53,70-73");
        assert_eq!(words(&Traffic::default()), "to everybody");
    }
}
