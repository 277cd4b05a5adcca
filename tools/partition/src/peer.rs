//! The other end of a cut of which only one end is ours: an address, a network, or a host's name.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs};

use breakit::exit::{Error, Result};
use breakit::node::{Fleet, Node};

/// Addresses with the same first bits; a single one where all bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Net {
    address: IpAddr,
    prefix: u8,
}

impl From<IpAddr> for Net {
    fn from(address: IpAddr) -> Net {
        let address = address.to_canonical();
        Net { address, prefix: bits(address) }
    }
}

impl Net {
    /// Reads `10.0.0.5`, `10.0.0.0/8` or `fd00::/64`; bits behind the prefix are dropped. `None` for anything else.
    pub fn parse(text: &str) -> Option<Net> {
        let (address, prefix) = match text.split_once('/') {
            None => return text.parse::<IpAddr>().ok().map(Net::from),
            Some((address, prefix)) => (address.parse::<IpAddr>().ok()?, prefix),
        };
        let digits = prefix.bytes().all(|byte| byte.is_ascii_digit());
        let prefix: u8 = prefix.parse().ok().filter(|p| digits && *p <= bits(address))?;
        Some(Net { address: masked(address, prefix), prefix })
    }

    /// The network around an address whose first `prefix` bits are its own; all bits where that is more.
    pub fn around(address: IpAddr, prefix: u8) -> Net {
        let prefix = prefix.min(bits(address));
        Net { address: masked(address, prefix), prefix }
    }

    /// Whether it is of IPv4.
    pub fn is_ipv4(&self) -> bool {
        self.address.is_ipv4()
    }

    /// Whether it is one address and no more.
    pub fn is_single(&self) -> bool {
        self.prefix == bits(self.address)
    }

    /// The address, where it is one and no more.
    pub fn single(&self) -> Option<IpAddr> {
        self.is_single().then_some(self.address)
    }

    /// Whether all of `other` lies within.
    pub fn contains(&self, other: &Net) -> bool {
        self.is_ipv4() == other.is_ipv4()
            && self.prefix <= other.prefix
            && masked(other.address, self.prefix) == self.address
    }

    /// Whether it is this host's own loopback, or a part of it.
    pub fn is_loopback(&self) -> bool {
        self.address.is_loopback() && (self.prefix >= 8)
    }

    /// The same as nets that have a prefix at least: a set of the kernel does not hold a net of no bits.
    pub fn halved(self) -> Vec<Net> {
        match (self.prefix, self.address) {
            (0, IpAddr::V4(_)) => [0, 128]
                .map(|first| Net { address: Ipv4Addr::new(first, 0, 0, 0).into(), prefix: 1 })
                .into(),
            (0, IpAddr::V6(_)) => [0, 0x8000]
                .map(|first| Net {
                    address: Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, 0).into(),
                    prefix: 1,
                })
                .into(),
            _ => vec![self],
        }
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_single() {
            true => self.address.fmt(f),
            false => write!(f, "{}/{}", self.address, self.prefix),
        }
    }
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            Ipv4Addr::from(u32::from(v4) & mask).into()
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            Ipv6Addr::from(u128::from(v6) & mask).into()
        }
    }
}

/// A peer as it was said, with what that means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// What was typed.
    pub said: String,
    /// Its addresses: all that its name has.
    pub nets: Vec<Net>,
}

impl Peer {
    /// What `said` means: an address, a network, a node of the fleet that is up, or else a host's name, which
    /// the system looks up.
    ///
    /// # Errors
    /// 64 for what can be none of them, 66 for a name that has no address.
    pub fn find(flag: &str, said: &str) -> Result<Peer> {
        let peer = |nets| Ok(Peer { said: said.to_string(), nets });
        if let Some(net) = Net::parse(said) {
            return peer(vec![net]);
        }
        let is_name = !said.starts_with(['-', '.']) && !said.is_empty() && said.len() <= 253;
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if !is_name || !said.chars().all(plain) || looks_like_an_address(said) {
            return Err(Error::usage(format!(
                "{flag} {said:?} is no address, no network and no host's name; write 10.0.0.5, 10.0.0.0/8, fd00::/64 or db.example"
            )));
        }
        if let Some(node) = of_the_fleet(said) {
            let addresses = breakit::reach::addresses(&node)?;
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
            "{flag} {name}: the name has no address ({error}); correct it, or write the address itself"
        ))
    })?;
    let mut nets: Vec<Net> = found.map(|address| Net::from(address.ip())).collect();
    nets.sort_unstable();
    nets.dedup();
    Ok(nets)
}

/// A cut of which only one end is ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peers {
    /// What comes from these is lost.
    pub from: Vec<Peer>,
    /// What is sent to these is lost.
    pub to: Vec<Peer>,
}

impl Peers {
    /// Finds out whom `from` and `to` mean.
    ///
    /// # Errors
    /// As [`Peer::find`].
    pub fn find(from: &[String], to: &[String]) -> Result<Peers> {
        let all = |flag: &str, said: &[String]| {
            said.iter().map(|said| Peer::find(flag, said)).collect::<Result<Vec<_>>>()
        };
        Ok(Peers { from: all("--from", from)?, to: all("--to", to)? })
    }

    /// Whether one of them is reached by the loopback interface.
    pub fn on_loopback(&self) -> bool {
        self.from.iter().chain(&self.to).flat_map(|peer| &peer.nets).any(Net::is_loopback)
    }

    /// As typed, for a line.
    pub fn json(&self) -> serde_json::Value {
        let said = |peers: &[Peer]| peers.iter().map(|peer| peer.said.clone()).collect::<Vec<_>>();
        serde_json::json!({ "from": said(&self.from), "to": said(&self.to) })
    }

    /// As typed: `--from 10.0.0.5 --to db.example`.
    pub fn words(&self) -> String {
        let said = |flag: &str, peers: &[Peer]| -> Vec<String> {
            peers.iter().map(|peer| format!("{flag} {}", peer.said)).collect()
        };
        [said("--from", &self.from), said("--to", &self.to)].concat().join(" ")
    }
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
    fn networks_are_read_as_they_are_written_and_cut_to_their_prefix() {
        for text in ["10.0.0.5", "10.0.0.0/8", "fd00::/64", "::1", "0.0.0.0/0", "::/0"] {
            assert_eq!(net(text).to_string(), text);
        }
        assert_eq!(net("10.1.2.3/8").to_string(), "10.0.0.0/8");
        assert_eq!(net("10.1.2.3/32"), net("10.1.2.3"));
        assert_eq!(net("::ffff:10.1.2.3"), net("10.1.2.3"));
        for text in ["10.0.0", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "fd00::/129", "x", ""] {
            assert_eq!(Net::parse(text), None, "{text}");
        }
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
            let error = Peer::find("--from", said).unwrap_err();
            assert_eq!(error.status(), breakit::exit::Status::Usage, "{said}");
            assert!(error.to_string().contains(&format!("--from {said:?}")), "{error}");
        }
        let error = Peer::find("--to", "no-such-host.invalid").unwrap_err();
        assert_eq!(error.status(), breakit::exit::Status::NoInput);
    }
}
