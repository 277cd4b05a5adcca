//! The other end of a fault: an address, a network, or the name of a node or of a host.

use std::net::ToSocketAddrs;

use crate::escape::{cited, named};
use crate::exit::{Error, Result};
use crate::net::Net;
use crate::node::{Fleet, Node};
use crate::reach;

/// A peer as it was said, with what that means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// What was typed.
    pub said: String,
    /// Its addresses: all that its name has.
    pub nets: Vec<Net>,
}

impl Peer {
    /// What `said` means: an address, a network, one of the nodes `known`, a node of the fleet that is up, or else a
    /// host's name, which the system looks up.
    ///
    /// # Errors
    /// 64 for what can be none of them, 66 for a name that has no address.
    pub fn find(flag: &str, said: &str, known: &[Node]) -> Result<Peer> {
        let peer = |nets| Ok(Peer { said: said.to_string(), nets });
        if let Some(net) = Net::parse(said) {
            return peer(vec![net]);
        }
        let is_name = !said.starts_with(['-', '.']) && !said.is_empty() && said.len() <= 253;
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if !is_name || !said.chars().all(plain) || looks_like_an_address(said) {
            return Err(Error::usage(format!(
                "{flag} {} is no address, no network and no host's name; write 10.0.0.5, 10.0.0.0/8, fd00::/64 or db.example",
                cited(said)
            )));
        }
        let named = known.iter().find(|node| node.name.as_str() == said).cloned();
        if let Some(node) = named.or_else(|| of_the_fleet(said)) {
            let addresses = reach::addresses(&node)?;
            return peer(addresses.into_iter().map(Net::from).collect());
        }
        peer(look_up(flag, said)?)
    }
}

/// Digits and dots alone are a mistyped address: a resolver would make some other one of them.
fn looks_like_an_address(said: &str) -> bool {
    said.chars().all(|c| c.is_ascii_digit() || c == '.')
}

fn of_the_fleet(name: &str) -> Option<Node> {
    let nodes = Fleet::of_environment().ok()?.nodes().ok()?;
    nodes.into_iter().find(|node| node.name.as_str() == name)
}

fn look_up(flag: &str, name: &str) -> Result<Vec<Net>> {
    let found = (name, 0).to_socket_addrs().map_err(|error| {
        Error::no_input(format!(
            "{flag} {}: the name has no address ({error}); correct it, or write the address itself",
            named(name)
        ))
    })?;
    let mut nets: Vec<Net> = found.map(|address| Net::from(address.ip())).collect();
    nets.sort_unstable();
    nets.dedup();
    Ok(nets)
}

/// The nets with whoever said each, without those that lie within another: sets of networks hold none twice.
pub fn outermost(peers: &[Peer]) -> Vec<(Net, &str)> {
    let mut all: Vec<(Net, &str)> = peers
        .iter()
        .flat_map(|peer| peer.nets.iter().map(move |net| (net, peer)))
        .flat_map(|(net, peer)| net.halved().into_iter().map(|net| (net, peer.said.as_str())))
        .collect();
    // A net stands before all that lie within it, and nothing else stands between them.
    all.sort_by_key(|(net, _)| *net);
    all.dedup_by(|(inner, _), (outer, _)| outer.contains(inner));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Net {
        Net::parse(text).unwrap()
    }

    #[test]
    fn a_network_within_another_is_left_out_and_everything_is_two_halves() {
        let peer = |said: &str| Peer { said: said.into(), nets: vec![net(said)] };
        let peers = ["10.0.0.0/8", "10.1.0.0/16", "192.0.2.1", "192.0.2.1", "fd00::1"].map(peer);
        let kept: Vec<String> = outermost(&peers).iter().map(|(net, _)| net.to_string()).collect();
        assert_eq!(kept, ["10.0.0.0/8", "192.0.2.1", "fd00::1"]);
        let all = [peer("0.0.0.0/0"), peer("10.0.0.1")];
        let kept: Vec<String> = outermost(&all).iter().map(|(net, _)| net.to_string()).collect();
        assert_eq!(kept, ["0.0.0.0/1", "128.0.0.0/1"]);
    }

    #[test]
    fn what_can_be_no_peer_is_refused_and_named() {
        for said in ["", "-x", "10.0.0", "10.0.0.256", "a b", "10.0.0.0/33", "x;rm"] {
            let error = Peer::find("--from", said, &[]).unwrap_err();
            assert_eq!(error.status(), crate::exit::Status::Usage, "{said}");
            assert!(error.to_string().contains(&format!("--from {said:?}")), "{error}");
        }
        let error = Peer::find("--to", "no-such-host.invalid", &[]).unwrap_err();
        assert_eq!(error.status(), crate::exit::Status::NoInput);
    }
}
