//! Which packets a fault strikes: to whom, of which protocol, from or to which ports.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs};

use breakit::escape::cited;
use breakit::except::Except;
use breakit::exit::{Error, Result, Status};
use breakit::net::Net;
use breakit::node::{self, Node};
use breakit::ports::Ports;
use breakit::protocol::{Protocol, ports_of};
use breakit::reach;
use clap::ValueEnum;
use serde_json::{Value, json};

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

/// The packets that are struck.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// With whom; empty for everybody.
    to: Vec<Net>,
    /// Which way.
    pub direction: Direction,
    /// Only of this protocol.
    pub protocol: Option<Protocol>,
    /// Only from or to these ports, of TCP and UDP where no protocol is said.
    pub ports: Vec<Ports>,
    /// Only by these interfaces, if any were named.
    pub interfaces: Vec<String>,
    /// Which of them are left alone.
    pub except: Except,
}

/// Packets of these protocols with these ports: any where there are none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    /// The protocols.
    pub protocols: Vec<Protocol>,
    /// The ports, at either end.
    pub ports: Vec<Ports>,
}

impl Traffic {
    /// Packets to `to` (everybody where it is empty), and what lies within another block left out:
    /// a set of nft(8) takes no overlap. [`Traffic::going`] says which way, if it is not out.
    pub fn new(mut to: Vec<Net>, protocol: Option<Protocol>, ports: Vec<Ports>) -> Traffic {
        // A block comes before all that lie within it, and nothing else comes between them.
        to.sort_unstable();
        to.dedup_by(|inner, outer| outer.contains(inner));
        Traffic { to, protocol, ports, ..Traffic::default() }
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

    /// The same without those of `except`.
    #[must_use]
    pub fn but_for(self, except: Except) -> Traffic {
        Traffic { except, ..self }
    }

    /// The same, if there can be such packets.
    ///
    /// # Errors
    /// 64 where ports and protocol exclude one another.
    pub fn checked(self) -> Result<Traffic> {
        let of_another = |ports: &&Ports| {
            let asked = self.protocol.zip(ports.transport);
            asked.is_some_and(|(asked, of)| asked != Protocol::from(of))
        };
        match (self.protocol, self.ports.iter().find(of_another)) {
            (Some(Protocol::Icmp), _) if !self.ports.is_empty() => {
                Err(Error::usage("ICMP has no ports; leave --port or --protocol icmp out"))
            }
            (Some(protocol), Some(ports)) => Err(Error::usage(format!(
                "--port {ports} is of another protocol than --protocol {}; leave one of them out",
                protocol.word()
            ))),
            _ => Ok(self),
        }
    }

    /// What packets must be beside their addresses: one of these.
    pub fn clauses(&self) -> Vec<Clause> {
        let of = |protocol| ports_of(protocol, &self.ports, self.protocol);
        if let Some(protocol) = self.protocol {
            return vec![Clause { protocols: vec![protocol], ports: of(protocol) }];
        }
        if self.ports.is_empty() {
            return vec![Clause { protocols: Vec::new(), ports: Vec::new() }];
        }
        let mut clauses: Vec<Clause> = Vec::new();
        for protocol in [Protocol::Tcp, Protocol::Udp, Protocol::Sctp] {
            let ports = of(protocol);
            match clauses.iter_mut().find(|clause| clause.ports == ports) {
                _ if ports.is_empty() => {}
                Some(clause) => clause.protocols.push(protocol),
                None => clauses.push(Clause { protocols: vec![protocol], ports }),
            }
        }
        clauses
    }

    /// Whether a packet of the node that has this traffic may be of both.
    pub fn meets(&self, other: &Traffic) -> bool {
        let ways = self.direction.ways().iter().any(|way| other.direction.ways().contains(way));
        let peers = self.to.is_empty() || other.to.is_empty() || overlap(&self.to, &other.to);
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
    pub fn is_with(&self, addresses: &[Net]) -> bool {
        self.to.is_empty() || overlap(&self.to, addresses)
    }

    /// Whether a packet may be of the protocols and the ports of both, and neither leaves all of the other alone.
    fn is_alike(&self, other: &Traffic) -> bool {
        let alike = |a: &Clause, b: &Clause| {
            let protocols = a.protocols.is_empty()
                || b.protocols.is_empty()
                || a.protocols.iter().any(|protocol| b.protocols.contains(protocol));
            let met = |a: &Ports| b.ports.iter().any(|b| a.first <= b.last && b.first <= a.last);
            protocols && (a.ports.is_empty() || b.ports.is_empty() || a.ports.iter().any(met))
        };
        let (ours, theirs) = (self.clauses(), other.clauses());
        ours.iter().any(|a| theirs.iter().any(|b| alike(a, b)))
            && !self.leaves_alone(other)
            && !other.leaves_alone(self)
    }

    /// Whether each packet of the `other` traffic is one that this one leaves alone.
    fn leaves_alone(&self, other: &Traffic) -> bool {
        let Except { ports, nets } = &self.except;
        let has = |all: &[Ports], one: &Ports, protocol: &Protocol| {
            let of = |p: &&Ports| p.transport.is_none_or(|of| Protocol::from(of) == *protocol);
            all.iter().filter(of).any(|p| p.first <= one.first && one.last <= p.last)
        };
        let is_left = |clause: &Clause| {
            let each = |one| clause.protocols.iter().all(|protocol| has(ports, one, protocol));
            !clause.ports.is_empty() && clause.ports.iter().all(each)
        };
        let within = |net: &Net| nets.iter().any(|except| except.contains(net));
        other.clauses().iter().all(is_left) || !other.to.is_empty() && other.to.iter().all(within)
    }

    /// The blocks with whom, as sets take them.
    pub fn elements(&self, ipv4: bool) -> Vec<Net> {
        let everybody = everybody();
        let to = if self.to.is_empty() { &everybody[..] } else { &self.to };
        to.iter().filter(|net| net.is_ipv4() == ipv4).flat_map(|net| net.halved()).collect()
    }

    /// With whom, where that was said.
    pub fn named(&self) -> &[Net] {
        &self.to
    }

    /// The traffic as fields of a line: `to`, `protocol`, `ports`, `except`.
    pub fn json(&self) -> Value {
        let words: Vec<String> = self.to.iter().map(Net::to_string).collect();
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
            let ports: Vec<String> = self.ports.iter().map(Ports::to_string).collect();
            value["ports"] = ports.into();
        }
        if !self.except.is_nothing() {
            value["except"] = self.except.each().into();
        }
        value
    }
}

fn overlap(some: &[Net], others: &[Net]) -> bool {
    some.iter().any(|a| others.iter().any(|b| a.contains(b) || b.contains(a)))
}

/// All addresses of each IP version.
fn everybody() -> [Net; 2] {
    let all = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    all.map(|address| Net::around(address, 0))
}

/// The blocks that the elements of a set mean: a set holds all of an IP version as two halves. None where they are
/// everybody.
pub fn joined(elements: &[Net]) -> Vec<Net> {
    let is_whole = |net: &Net| net.halved().iter().all(|half| elements.contains(half));
    let whole: Vec<Net> = everybody().into_iter().filter(is_whole).collect();
    if whole.len() == 2 {
        return Vec::new();
    }
    let of = |net: &Net| *whole.iter().find(|all| all.contains(net)).unwrap_or(net);
    elements.iter().map(of).collect()
}

/// With whom, as it was said: blocks, and which of them were nodes' names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whom {
    /// All blocks.
    pub blocks: Vec<Net>,
    /// The addresses of those that were named: another run finds them by their names, wherever they are then.
    pub named: BTreeMap<String, Vec<Net>>,
    /// Those nodes.
    pub nodes: Vec<Node>,
}

impl Whom {
    /// Adds a host that is no node of ours, by its name.
    pub fn add_host(&mut self, name: &str, blocks: Vec<Net>) {
        self.blocks.extend(&blocks);
        self.named.insert(name.to_string(), blocks);
    }

    /// Adds all addresses of `nodes`.
    ///
    /// # Errors
    /// As [`reach::addresses`].
    pub fn add(&mut self, nodes: &[Node]) -> Result<()> {
        for node in nodes {
            let blocks: Vec<Net> = reach::addresses(node)?.into_iter().map(Net::from).collect();
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
        match Net::parse(part) {
            Some(prefix) => whom.blocks.push(prefix),
            None if part.contains('/') && !part.contains('=') && !part.starts_with('@') => {
                return Err(Error::usage(format!(
                    "{} is no block of addresses; write 10.0.0.0/8 or fd00::/8",
                    cited(part)
                )));
            }
            None => match named(part, known) {
                Ok(nodes) => whom.add(&nodes)?,
                Err(error) => match looked_up(part, &error) {
                    Some(blocks) => whom.add_host(part, blocks),
                    // What is long is cited behind it.
                    None if part.len() > 40 => return Err(error.at("--to")),
                    None => return Err(error.at(format!("--to {part}"))),
                },
            },
        }
    }
    Ok(whom)
}

/// The addresses that the system finds for a host's name, if `error` says that no node has it.
fn looked_up(name: &str, error: &Error) -> Option<Vec<Net>> {
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
    let mut blocks: Vec<Net> = found.map(|address| Net::from(address.ip())).collect();
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
        let to = texts.iter().map(|text| Net::parse(text).unwrap()).collect();
        Traffic::new(to, None, vec![]).named().iter().map(Net::to_string).collect()
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
        let shown = |v4| everybody.elements(v4).iter().map(Net::to_string).collect::<Vec<_>>();
        assert_eq!(shown(true), ["0.0.0.0/1", "128.0.0.0/1"]);
        assert_eq!(shown(false), ["::/1", "8000::/1"]);
    }
}
