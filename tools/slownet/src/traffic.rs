//! Which packets a fault strikes: to whom, of which protocol, from or to which ports.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs};

use breakit::exit::{Error, Result, Status};
use breakit::node::{self, Node};
use breakit::reach;
use clap::ValueEnum;
use serde_json::{Value, json};

/// A block of addresses, host bits cleared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

impl Prefix {
    /// The block of `length` bits that `address` lies in; `None` where it is longer than the address.
    pub fn new(address: IpAddr, length: u8) -> Option<Prefix> {
        let address = match address {
            IpAddr::V4(v4) if length <= 32 => {
                let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & mask))
            }
            IpAddr::V6(v6) if length <= 128 => {
                let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask))
            }
            _ => return None,
        };
        Some(Prefix { address, length })
    }

    /// The block that is one address.
    pub fn host(address: IpAddr) -> Prefix {
        Prefix { address, length: if address.is_ipv4() { 32 } else { 128 } }
    }

    /// Reads `10.0.0.0/8`, `fd00::/8` or a single address; `None` where it is neither.
    pub fn parse(text: &str) -> Option<Prefix> {
        match text.split_once('/') {
            Some((address, length)) => Prefix::new(address.parse().ok()?, length.parse().ok()?),
            None => text.parse().ok().map(Prefix::host),
        }
    }

    /// Its first address.
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// Whether it is of IPv4.
    pub fn is_v4(self) -> bool {
        self.address.is_ipv4()
    }

    /// Whether `other` lies in it.
    pub fn covers(self, other: Prefix) -> bool {
        self.is_v4() == other.is_v4()
            && self.length <= other.length
            && Prefix::new(other.address, self.length) == Some(self)
    }

    /// The same blocks with the two halves of a family put together; none where they are all there is.
    pub fn joined(elements: &[Prefix]) -> Vec<Prefix> {
        let families = Traffic::default();
        let is_whole = |v4| families.elements(v4).iter().all(|half| elements.contains(half));
        if is_whole(true) && is_whole(false) {
            return Vec::new();
        }
        let of = |prefix: &Prefix| match is_whole(prefix.is_v4()) {
            true => Prefix::new(prefix.address, 0).unwrap_or(*prefix),
            false => *prefix,
        };
        elements.iter().map(of).collect()
    }

    /// Itself, or its two halves where it is all of a family: a set of ipset(8) takes no `/0`.
    fn halves(self) -> Vec<Prefix> {
        if self.length > 0 {
            return vec![self];
        }
        let upper = match self.address {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::new(128, 0, 0, 0)),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::new(0x8000, 0, 0, 0, 0, 0, 0, 0)),
        };
        vec![Prefix { length: 1, ..self }, Prefix { address: upper, length: 1 }]
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Prefix::host(self.address) {
            return self.address.fmt(f);
        }
        write!(f, "{}/{}", self.address, self.length)
    }
}

/// A transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// The word, as nft and iptables have it.
    pub fn word(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        }
    }

    /// The number in IP headers.
    pub fn number(self) -> u8 {
        match self {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
        }
    }
}

/// Which way packets go, seen from the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The node sends them.
    Out,
    /// The node receives them.
    In,
}

impl Way {
    /// The same seen from the other end.
    pub fn reversed(self) -> Way {
        match self {
            Way::Out => Way::In,
            Way::In => Way::Out,
        }
    }
}

/// Which ways are struck.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Direction {
    /// What the node sends
    #[default]
    Out,
    /// What the node receives
    In,
    /// What it sends, and what it receives
    Both,
}

impl Direction {
    /// The ways.
    pub fn ways(self) -> &'static [Way] {
        match self {
            Direction::Out => &[Way::Out],
            Direction::In => &[Way::In],
            Direction::Both => &[Way::Out, Way::In],
        }
    }

    /// The word, as on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Direction::Out => "out",
            Direction::In => "in",
            Direction::Both => "both",
        }
    }
}

/// A port, or a range of ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    low: u16,
    high: u16,
}

impl Ports {
    /// Reads `5432` or `7000-7003`.
    ///
    /// # Errors
    /// A sentence with the text and the form.
    pub fn parse(text: &str) -> std::result::Result<Ports, String> {
        let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
        let (low, high) = text.split_once('-').unwrap_or((text, text));
        let (low, high) = port(low)
            .zip(port(high))
            .ok_or_else(|| format!("{text:?} is no port; write 5432 or 7000-7003 (1 to 65535)"))?;
        if low > high {
            return Err(format!("the range of ports {text} runs backwards; write {high}-{low}"));
        }
        Ok(Ports { low, high })
    }

    /// From the lowest to the highest of `all`; `None` where there is none.
    pub fn span(all: &[Ports]) -> Option<Ports> {
        let low = all.iter().map(|ports| ports.low).min()?;
        let high = all.iter().map(|ports| ports.high).max()?;
        Some(Ports { low, high })
    }

    /// Whether it is more than one.
    pub fn is_range(self) -> bool {
        self.low < self.high
    }

    /// As written, with `between` in a range.
    pub fn show(self, between: &str) -> String {
        if self.low == self.high {
            self.low.to_string()
        } else {
            format!("{}{between}{}", self.low, self.high)
        }
    }
}

/// The packets that are struck.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// With whom; empty for everybody.
    to: Vec<Prefix>,
    /// Which way.
    pub direction: Direction,
    /// Only of this protocol.
    pub protocol: Option<Protocol>,
    /// Only from or to these ports, of either protocol where none is said.
    pub ports: Vec<Ports>,
    /// Only by these interfaces, if any were named.
    pub interfaces: Vec<String>,
}

impl Traffic {
    /// Packets to `to` (everybody where it is empty), and what lies within another block left out:
    /// a set of nft(8) takes no overlap. [`Traffic::going`] says which way, if it is not out.
    pub fn new(mut to: Vec<Prefix>, protocol: Option<Protocol>, ports: Vec<Ports>) -> Traffic {
        to.sort_unstable_by_key(|prefix| (prefix.length, *prefix));
        let mut kept: Vec<Prefix> = Vec::new();
        for prefix in to {
            if !kept.iter().any(|wider| wider.covers(prefix)) {
                kept.push(prefix);
            }
        }
        kept.sort_unstable();
        Traffic { to: kept, direction: Direction::Out, protocol, ports, interfaces: Vec::new() }
    }

    /// The same by `interfaces` alone; by all where there are none.
    #[must_use]
    pub fn by(self, mut interfaces: Vec<String>) -> Traffic {
        interfaces.sort();
        interfaces.dedup();
        Traffic { interfaces, ..self }
    }

    /// The same that way.
    #[must_use]
    pub fn going(self, direction: Direction) -> Traffic {
        Traffic { direction, ..self }
    }

    /// Whether a packet of the node that has this traffic may be of both.
    pub fn meets(&self, other: &Traffic) -> bool {
        let ways = self.direction.ways().iter().any(|way| other.direction.ways().contains(way));
        let shared = |a: &Prefix| other.to.iter().any(|b| a.covers(*b) || b.covers(*a));
        let peers = self.to.is_empty() || other.to.is_empty() || self.to.iter().any(shared);
        let is_theirs = |name: &String| other.interfaces.contains(name);
        let interfaces = self.interfaces.is_empty()
            || other.interfaces.is_empty()
            || self.interfaces.iter().any(is_theirs);
        ways && peers && interfaces && self.is_alike(other)
    }

    /// Whether a packet of this traffic, at one end, may be of the `other` traffic at the other end, if the ends have
    /// each other's addresses.
    pub fn faces(&self, other: &Traffic) -> bool {
        let faces = |way: &Way| self.direction.ways().contains(way);
        other.direction.ways().iter().any(|way| faces(&way.reversed())) && self.is_alike(other)
    }

    /// Whether packets with one of `addresses` are among it.
    pub fn is_with(&self, addresses: &[Prefix]) -> bool {
        let has = |a: &Prefix| addresses.iter().any(|b| a.covers(*b) || b.covers(*a));
        self.to.is_empty() || self.to.iter().any(has)
    }

    /// Whether a packet may be of the protocols and the ports of both.
    fn is_alike(&self, other: &Traffic) -> bool {
        let protocols = self.protocol.zip(other.protocol).is_none_or(|(a, b)| a == b);
        let overlaps = |a: &Ports| other.ports.iter().any(|b| a.low <= b.high && b.low <= a.high);
        let ports =
            self.ports.is_empty() || other.ports.is_empty() || self.ports.iter().any(overlaps);
        protocols && ports
    }

    /// The blocks with whom, as sets take them.
    pub fn elements(&self, v4: bool) -> Vec<Prefix> {
        let all = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
        let everybody = all.map(|address| Prefix { address, length: 0 });
        let to = if self.to.is_empty() { &everybody[..] } else { &self.to };
        to.iter().filter(|prefix| prefix.is_v4() == v4).flat_map(|p| p.halves()).collect()
    }

    /// With whom, where that was said.
    pub fn named(&self) -> &[Prefix] {
        &self.to
    }

    /// The traffic as fields of a line: `to`, `protocol`, `ports`.
    pub fn json(&self) -> Value {
        let words: Vec<String> = self.to.iter().map(Prefix::to_string).collect();
        let mut value = json!({ "to": words });
        if self.to.is_empty() {
            value["to"] = "everybody".into();
        }
        value["direction"] = self.direction.word().into();
        if !self.interfaces.is_empty() {
            value["interfaces"] = self.interfaces.clone().into();
        }
        if let Some(protocol) = self.protocol {
            value["protocol"] = protocol.word().into();
        }
        if !self.ports.is_empty() {
            let ports: Vec<String> = self.ports.iter().map(|ports| ports.show("-")).collect();
            value["ports"] = ports.into();
        }
        value
    }
}

/// With whom, as it was said: blocks, and which of them were nodes' names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whom {
    /// All blocks.
    pub blocks: Vec<Prefix>,
    /// The addresses of those that were named: another run finds them by their names, wherever they are then.
    pub named: BTreeMap<String, Vec<Prefix>>,
    /// Those nodes.
    pub nodes: Vec<Node>,
}

impl Whom {
    /// Adds a host that is no node of ours, by its name.
    pub fn add_host(&mut self, name: &str, blocks: Vec<Prefix>) {
        self.blocks.extend(&blocks);
        self.named.insert(name.to_string(), blocks);
    }

    /// Adds all addresses of `nodes`.
    ///
    /// # Errors
    /// As [`reach::addresses`].
    pub fn add(&mut self, nodes: &[Node]) -> Result<()> {
        for node in nodes {
            let blocks: Vec<Prefix> =
                reach::addresses(node)?.into_iter().map(Prefix::host).collect();
            self.blocks.extend(&blocks);
            self.named.insert(node.name.to_string(), blocks);
            self.nodes.push(node.clone());
        }
        Ok(())
    }
}

/// Whom `--to` names: addresses and blocks as they are, anything else as nodes with all their addresses, first
/// those `known`, then the fleet's.
///
/// # Errors
/// As [`node::resolve`] and [`reach::addresses`].
pub fn whom(specs: &[String], known: &[Node]) -> Result<Whom> {
    let mut whom = Whom::default();
    for part in specs.iter().flat_map(|spec| spec.split(',')) {
        match Prefix::parse(part) {
            Some(prefix) => whom.blocks.push(prefix),
            None if part.contains('/') && !part.contains('=') && !part.starts_with('@') => {
                return Err(Error::usage(format!(
                    "{part:?} is no block of addresses; write 10.0.0.0/8 or fd00::/8"
                )));
            }
            None => match named(part, known) {
                Ok(nodes) => whom.add(&nodes)?,
                Err(error) => match looked_up(part, &error) {
                    Some(blocks) => whom.add_host(part, blocks),
                    None => return Err(error.at(format!("--to {part}"))),
                },
            },
        }
    }
    Ok(whom)
}

/// The addresses that the system finds for a host's name, if `error` says that no node has it.
fn looked_up(name: &str, error: &Error) -> Option<Vec<Prefix>> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    // Digits and dots alone are a mistyped address: a resolver would make some other one of them. And two dots are
    // a range of nodes.
    let is_name = name.chars().all(plain)
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.contains(|c: char| c.is_ascii_alphabetic())
        && !name.contains("..");
    if error.status() != Status::NoInput || !is_name {
        return None;
    }
    let found = (name, 0).to_socket_addrs().ok()?;
    let mut blocks: Vec<Prefix> = found.map(|address| Prefix::host(address.ip())).collect();
    blocks.sort_unstable();
    blocks.dedup();
    (!blocks.is_empty()).then_some(blocks)
}

/// The nodes that one word names.
fn named(part: &str, known: &[Node]) -> Result<Vec<Node>> {
    if part == "-" || part.starts_with('@') || part.contains('=') {
        return node::resolve(&[part.to_string()]);
    }
    let named = |name: &node::Name| known.iter().find(|node| node.name == *name).cloned();
    let names = node::names(&[part.to_string()])?;
    names.iter().map(|name| named(name).map_or_else(|| of_the_fleet(name), Ok)).collect()
}

/// A word that is no address may have been meant as one: the remedy says how to write one, too.
fn of_the_fleet(name: &node::Name) -> Result<Node> {
    let found = node::resolve(&[name.to_string()]).map_err(|error| match error.status() {
        Status::NoInput => Error::no_input(format!(
            "{name} is no address, and no node that -n or the fleet {} knows; write an address, a block such as 10.0.0.0/8, or {name}=addr:ADDRESS",
            node::fleet_name()
        )),
        _ => error,
    })?;
    found.into_iter().next().ok_or_else(|| Error::no_input(format!("{name} names no node")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(texts: &[&str]) -> Vec<String> {
        let to = texts.iter().map(|text| Prefix::parse(text).unwrap()).collect();
        Traffic::new(to, None, vec![]).named().iter().map(Prefix::to_string).collect()
    }

    #[test]
    fn a_block_within_another_is_left_out() {
        assert_eq!(blocks(&["10.1.2.3", "10.0.0.0/8", "10.9.0.0/16"]), ["10.0.0.0/8"]);
        assert_eq!(blocks(&["fd00::1", "10.0.0.1", "10.0.0.1"]), ["10.0.0.1", "fd00::1"]);
        assert_eq!(blocks(&["10.1.2.3/8"]), ["10.0.0.0/8"]);
    }

    #[test]
    fn everybody_is_two_halves_of_each_family() {
        let everybody = Traffic::default();
        let shown = |v4| everybody.elements(v4).iter().map(Prefix::to_string).collect::<Vec<_>>();
        assert_eq!(shown(true), ["0.0.0.0/1", "128.0.0.0/1"]);
        assert_eq!(shown(false), ["::/1", "8000::/1"]);
    }

    #[test]
    fn what_is_no_port_or_block_is_refused() {
        for bad in ["0", "65536", "7003-7000", "x", "-1", ""] {
            assert!(Ports::parse(bad).is_err(), "{bad}");
        }
        for bad in ["10.0.0.0/33", "fd00::/129", "10.0.0/8", "x/8", ""] {
            assert_eq!(Prefix::parse(bad), None, "{bad}");
        }
    }
}
