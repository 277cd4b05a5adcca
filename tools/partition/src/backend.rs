//! Backends: the ways to make a cut, which one serves given nodes, and the tables it needs.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::net::IpAddr;

use breakit::exit::{Error, Result};
use breakit::node::{Name, Node, Via};
use breakit::{messages, program};
use clap::ValueEnum;

use crate::apply::Rules;
use crate::grudge::Grudge;
use crate::iptables::{Chains, Flavour};
use crate::links::Bridges;
use crate::packets::{Answer, Packets};
use crate::pairs::PEER;
use crate::peer::{self, Net, Peers};
use crate::rules::{Drop, Ends, Exempt, Family, Table};

/// A way to make a cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    /// One nftables table on this host's bridges, for nodes that are attached to them
    NftBridge,
    /// nftables tables in each node's own network: the node drops what it receives
    Nft,
    /// ipset and iptables-nft in each node's own network
    IpsetNft,
    /// ipset and iptables-legacy in each node's own network
    IpsetLegacy,
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Backend::NftBridge => "nft-bridge",
            Backend::Nft => "nft",
            Backend::IpsetNft => "ipset-nft",
            Backend::IpsetLegacy => "ipset-legacy",
        })
    }
}

impl Backend {
    /// All, in the order in which they are tried.
    pub const ALL: [Backend; 4] =
        [Backend::NftBridge, Backend::Nft, Backend::IpsetNft, Backend::IpsetLegacy];

    /// The iptables(8) that it runs beside ipset(8), if it runs one.
    fn iptables(self) -> Option<Flavour> {
        match self {
            Backend::NftBridge | Backend::Nft => None,
            Backend::IpsetNft => Some(Flavour::Nft),
            Backend::IpsetLegacy => Some(Flavour::Legacy),
        }
    }

    /// Whether it runs iptables(8).
    pub fn is_iptables(self) -> bool {
        self.iptables().is_some()
    }

    /// Why its programs cannot be run on this host; `None` where they can, or where no node is here.
    fn lacks(self, nodes: &[Node]) -> Option<String> {
        if nodes.iter().all(|node| matches!(node.via, Via::Ssh(_) | Via::Address(_))) {
            return None;
        }
        let wanted: Vec<(&str, &str)> = match self.iptables() {
            None => vec![("nft", "nftables")],
            Some(flavour) => vec![(flavour.program(), "iptables"), ("ipset", "ipset")],
        };
        let found = wanted.into_iter().map(|(name, package)| program::find(name, package));
        found.filter_map(|found| found.err().map(|error| error.to_string())).next()
    }

    /// Why this backend cannot cut these nodes; `None` where it can, as far as the nodes go.
    ///
    /// # Errors
    /// 66 where a node does not run, 77 and 71 from the system.
    pub fn why_not(self, task: &Task<'_>) -> Result<Option<String>> {
        let Task { nodes, addresses, peers, outward } = task;
        if let Some(why) = self.lacks(nodes) {
            return Ok(Some(why));
        }
        match self {
            Backend::NftBridge if *peers => {
                Ok(Some("it cuts nodes off from one another, not from other hosts".into()))
            }
            Backend::NftBridge => {
                if let Some(why) = nodes.iter().find_map(only_an_address) {
                    return Ok(Some(why));
                }
                let bridges = Bridges::here()?;
                let asked = breakit::node::at_once(nodes, |node| {
                    let own = nodes.iter().position(|n| n.name == node.name);
                    bridges.why_not(node, own.map_or(&[], |i| addresses[i].as_slice()))
                });
                let answers: Vec<Option<String>> = asked.into_iter().collect::<Result<_>>()?;
                Ok(answers.into_iter().flatten().next())
            }
            _ if self.iptables().is_some() && *outward => Ok(Some(
                "iptables would tell the program that sends to a peer; take --reject, or a backend nft"
                    .into(),
            )),
            _ if nodes.iter().all(|node| only_an_address(node).is_some()) => {
                Ok(nodes.iter().find_map(only_an_address))
            }
            _ => Ok(None),
        }
    }

    /// The rules that make a cut real, each with the node in whose network they stand (`None`: ours).
    ///
    /// On a bridge only nodes' own traffic is dropped, and nothing needs to be let pass.
    pub fn rules(self, losses: &[Loss], common: &Common<'_>) -> Vec<(Option<usize>, Rules)> {
        if self == Backend::NftBridge {
            let drops = losses.iter().flat_map(|loss| loss.between(common)).collect();
            return vec![(None, Rules::Nft(common.table(Family::Bridge, None, drops)))];
        }
        (0..common.nodes.len())
            .flat_map(|node| {
                let drops: Vec<(Family, Drop)> =
                    losses.iter().flat_map(|loss| loss.at(node, common)).collect();
                self.rules_at(node, &drops, common)
            })
            .collect()
    }

    fn rules_at(
        self,
        node: usize,
        drops: &[(Family, Drop)],
        common: &Common<'_>,
    ) -> Vec<(Option<usize>, Rules)> {
        let of = |family: Family| -> BTreeSet<Drop> {
            // What a network translates is known inside of it only, and dropped where it leaves.
            let marked = |of: Family| {
                of == Family::Netdev && family == Family::Inet && common.translates(Some(node))
            };
            let of = drops.iter().filter(|(f, _)| *f == family || marked(*f));
            of.map(|(_, drop)| drop.clone()).collect()
        };
        let rules = match self.iptables() {
            _ if drops.is_empty() => Vec::new(),
            Some(flavour) => {
                let drops = drops.iter().map(|(_, drop)| drop.clone()).collect();
                vec![Rules::Iptables(common.chains(flavour, node, drops))]
            }
            None => [Family::Inet, Family::Netdev]
                .map(|family| common.table(family, Some(node), of(family)))
                .into_iter()
                .filter(|table| !table.drops.is_empty())
                .map(Rules::Nft)
                .collect(),
        };
        rules.into_iter().map(|rules| (Some(node), rules)).collect()
    }
}

/// What a backend is to do.
pub struct Task<'a> {
    /// Among these nodes.
    pub nodes: &'a [Node],
    /// Their addresses.
    pub addresses: &'a [Vec<IpAddr>],
    /// Whether they are cut off from peers that are no nodes.
    pub peers: bool,
    /// Whether packets must vanish that go out.
    pub outward: bool,
}

/// What all tables of a cut share, and what is known of each node.
pub struct Common<'a> {
    /// The nodes.
    pub nodes: &'a [Node],
    /// Their addresses.
    pub addresses: &'a [Vec<IpAddr>],
    /// Those beside them that are known on one link only.
    pub link_local: &'a [Vec<IpAddr>],
    /// What each lets pass all the same.
    pub exempt: &'a [BTreeSet<Exempt>],
    /// The bridge ports that lead to each; needed only where packets are dropped there.
    pub ports: &'a [Vec<u32>],
    /// By which interfaces each sends; needed only where packets are dropped that go out.
    pub interfaces: &'a [Vec<String>],
    /// Whether each translates addresses (NAT); needed only where there are peers.
    pub translates: &'a [bool],
    /// Which packets.
    pub packets: &'a Packets,
    /// The name of the tables.
    pub name: &'a str,
    /// Whether loopback interfaces are let alone.
    pub spares_loopback: bool,
}

impl Common<'_> {
    fn translates(&self, node: Option<usize>) -> bool {
        node.and_then(|node| self.translates.get(node)).copied().unwrap_or_default()
    }

    fn table(&self, family: Family, node: Option<usize>, drops: BTreeSet<Drop>) -> Table {
        let of = |node: Option<usize>| node.and_then(|node| self.exempt.get(node));
        let interfaces = node.and_then(|node| self.interfaces.get(node));
        Table {
            family,
            name: self.name.into(),
            drops,
            packets: self.packets.clone(),
            exempt: of(node).cloned().unwrap_or_default(),
            interfaces: interfaces.cloned().unwrap_or_default(),
            spares_loopback: self.spares_loopback,
            translated: self.translates(node),
        }
    }

    fn chains(&self, flavour: Flavour, node: usize, drops: BTreeSet<Drop>) -> Chains {
        Chains {
            flavour,
            name: self.name.into(),
            drops,
            packets: self.packets.clone(),
            exempt: self.exempt.get(node).cloned().unwrap_or_default(),
            spares_loopback: self.spares_loopback,
            makes: BTreeMap::new(),
        }
    }

    /// All addresses that a node sends from.
    fn sources(&self, node: usize) -> impl Iterator<Item = IpAddr> + '_ {
        self.addresses[node].iter().chain(self.link_local_of(node)).copied()
    }

    fn link_local_of(&self, node: usize) -> &[IpAddr] {
        self.link_local.get(node).map(Vec::as_slice).unwrap_or_default()
    }

    /// Where packets that go out are dropped: unseen by their sender, or where it can be told.
    fn outward(&self) -> Family {
        match self.packets.answer {
            Answer::Silence => Family::Netdev,
            Answer::Reset => Family::Inet,
        }
    }
}

/// Packets that are to be lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loss {
    /// What one node sends to another, by their positions.
    Between {
        /// Who sends.
        src: usize,
        /// Who receives.
        dst: usize,
        /// Whether the receiver is a host of ours, to drop it there; else the sender's network does.
        at_receiver: bool,
        /// Both names.
        who: String,
    },
    /// What a node receives from a peer or sends to it.
    Peer {
        /// The node.
        node: usize,
        /// Which way, and the peer's addresses.
        ends: Ends,
        /// The node's name and the peer's.
        who: String,
    },
}

impl Loss {
    /// Both names, the sender's first.
    pub fn who(&self) -> &str {
        match self {
            Loss::Between { who, .. } | Loss::Peer { who, .. } => who,
        }
    }

    /// Whether packets that go out must be dropped.
    pub fn is_outward(&self) -> bool {
        match self {
            Loss::Between { at_receiver, .. } => !at_receiver,
            Loss::Peer { ends, .. } => matches!(ends, Ends::To(_)),
        }
    }

    /// For a table on the bridge: as pairs of addresses, which hold whatever port a node comes back with; and all
    /// else that one node sends and that leaves by a port of the other, as multicast and broadcast do.
    fn between(&self, common: &Common<'_>) -> Vec<Drop> {
        let Loss::Between { src, dst, who, .. } = self else { return Vec::new() };
        let ports = common.ports.get(*dst).map(Vec::as_slice).unwrap_or_default();
        let mut ends = Vec::new();
        let mut between = |from: &[IpAddr], to: &[IpAddr]| {
            for from in from {
                let to = to.iter().filter(|to| to.is_ipv4() == from.is_ipv4());
                ends.extend(to.map(|to| Ends::Between(*from, *to)));
            }
        };
        between(&common.addresses[*src], &common.addresses[*dst]);
        if common.packets.answer == Answer::Reset {
            // Only there a bridge can answer; in silence the ports will do, with half as many elements.
            between(common.link_local_of(*src), common.link_local_of(*dst));
        }
        for from in common.sources(*src) {
            ends.extend(ports.iter().map(|port| Ends::Into(from, *port)));
        }
        ends.into_iter().map(|ends| Drop { ends, who: who.clone() }).collect()
    }

    /// What is dropped in the network of `node`.
    fn at(&self, node: usize, common: &Common<'_>) -> Vec<(Family, Drop)> {
        let nets = |of: usize| common.sources(of).map(Net::from);
        let drops = |ends: Vec<Ends>, who: &String| {
            let family = |ends: &Ends| match ends {
                Ends::To(_) => common.outward(),
                _ => Family::Inet,
            };
            ends.into_iter().map(|ends| (family(&ends), Drop { ends, who: who.clone() })).collect()
        };
        match self {
            Loss::Between { src, dst, at_receiver: true, who } if *dst == node => {
                drops(nets(*src).map(Ends::From).collect(), who)
            }
            Loss::Between { src, dst, at_receiver: false, who } if *src == node => {
                drops(nets(*dst).map(Ends::To).collect(), who)
            }
            Loss::Peer { node: at, ends, who } if *at == node => drops(vec![*ends], who),
            _ => Vec::new(),
        }
    }
}

/// What is lost under a grudge: at the receiver, or at the sender where the receiver is no host of ours.
///
/// # Errors
/// 69 where neither is.
pub fn of_grudge(grudge: &Grudge, nodes: &[Node]) -> Result<Vec<Loss>> {
    let ours = |node: usize| !matches!(nodes[node].via, Via::Address(_));
    grudge
        .pairs()
        .map(|(src, dst)| match (ours(src), ours(dst)) {
            (false, false) => Err(Error::missing(format!(
                "only the addresses of {} and {} are known, and nobody can cut there; write {}=ssh:DEST",
                nodes[src].name, nodes[dst].name, nodes[dst].name
            ))),
            (_, at_receiver) => {
                let who = format!("{} {}", nodes[src].name, nodes[dst].name);
                Ok(Loss::Between { src, dst, at_receiver, who })
            }
        })
        .collect()
}

/// What is lost at each of these nodes that is to be cut off from peers.
pub fn of_peers(peers: &Peers, nodes: &[Node]) -> Vec<Loss> {
    let (from, to) = (peer::outermost(&peers.from), peer::outermost(&peers.to));
    (0..nodes.len())
        .flat_map(|node| {
            let name = nodes[node].name.clone();
            let received = from.iter().map({
                let name = name.clone();
                move |(net, said)| (Ends::From(*net), format!("{} {name}", short(said, net)))
            });
            let sent = to
                .iter()
                .map(move |(net, said)| (Ends::To(*net), format!("{name} {}", short(said, net))));
            received
                .chain(sent)
                .map(move |(ends, who)| Loss::Peer { node, ends, who })
                .collect::<Vec<_>>()
        })
        .collect()
}

/// A peer's mark, beside an element: the kernel keeps 128 bytes there.
fn short(said: &str, net: &Net) -> String {
    if said.len() <= 60 { format!("{PEER}{said}") } else { format!("{PEER}{net}") }
}

/// The node that a cut of this host alone is about.
///
/// # Errors
/// Never: the name is one.
pub fn this_host() -> Result<Node> {
    Ok(Node { name: Name::new("here")?, addrs: Vec::new(), via: Via::Local })
}

/// The backends that can cut these nodes, as far as the nodes go, in the order in which they are to be tried:
/// the one that was asked for alone, or all.
///
/// # Errors
/// 69 with the reason for each no.
pub fn choose(asked: Option<Backend>, task: &Task<'_>) -> Result<VecDeque<Backend>> {
    let candidates = asked.map_or(Backend::ALL.to_vec(), |backend| vec![backend]);
    let (mut serving, mut reasons) = (VecDeque::new(), Vec::new());
    for backend in candidates {
        match backend.why_not(task)? {
            None => serving.push_back(backend),
            Some(why) => reasons.push(format!("{backend}: {why}")),
        }
    }
    if serving.is_empty() {
        return Err(Error::missing(format!(
            "no backend can cut these nodes: {}",
            reasons.join("; ")
        )));
    }
    Ok(serving)
}

/// The addresses of all nodes, but for those that several have: Docker and libvirt give every host the same. That
/// these are left out is said.
///
/// # Errors
/// 66 where a node does not run or has none; 65 where two nodes share all that one has: they are one network.
pub fn addresses(nodes: &[Node]) -> Result<Vec<Vec<IpAddr>>> {
    let mut found: Vec<Vec<IpAddr>> = look_up(nodes).into_iter().collect::<Result<_>>()?;
    let shared = leave_out_shared(&mut found);
    if let Some(empty) = found.iter().position(Vec::is_empty) {
        let with = shared.iter().find(|(_, nodes)| nodes.contains(&empty));
        let (address, one, other) = match with.map(|(address, nodes)| (address, nodes.as_slice())) {
            Some((address, [one, other, ..])) => (address.to_string(), *one, *other),
            _ => ("none".into(), empty, empty),
        };
        return Err(Error::data(format!(
            "nodes {} and {} share the address {address}: between them nothing can be cut; name two networks",
            nodes[one].name, nodes[other].name
        )));
    }
    if !shared.is_empty() {
        messages::say(format!(
            "left out, as several nodes have it: {}",
            words_of_shared(&shared, nodes)
        ));
    }
    Ok(found)
}

/// Takes out of the addresses of each node those that others have too; gives them, each with who has it.
pub fn leave_out_shared(addresses: &mut [Vec<IpAddr>]) -> BTreeMap<IpAddr, Vec<usize>> {
    let mut owners: BTreeMap<IpAddr, Vec<usize>> = BTreeMap::new();
    for (node, own) in addresses.iter().enumerate() {
        for address in own.iter().collect::<BTreeSet<_>>() {
            owners.entry(*address).or_default().push(node);
        }
    }
    owners.retain(|_, nodes| nodes.len() > 1);
    for own in addresses {
        own.retain(|address| !owners.contains_key(address));
    }
    owners
}

/// `172.17.0.1 (db1, db2)`.
fn words_of_shared(shared: &BTreeMap<IpAddr, Vec<usize>>, nodes: &[Node]) -> String {
    let of = |(address, owners): (&IpAddr, &Vec<usize>)| match owners.len() {
        few @ ..=3 => {
            let names: Vec<&str> = owners[..few].iter().map(|i| nodes[*i].name.as_str()).collect();
            format!("{address} ({})", names.join(", "))
        }
        many => format!("{address} ({many} nodes)"),
    };
    let all: Vec<String> = shared.iter().map(of).collect();
    match all.len() {
        ..=3 => all.join(", "),
        many => format!("{} and {} more", all[..2].join(", "), many - 2),
    }
}

/// The addresses of each node, in the nodes' order: those that were said, or else those that its network has now.
pub fn look_up(nodes: &[Node]) -> Vec<Result<Vec<IpAddr>>> {
    if nodes.iter().all(|node| !node.addrs.is_empty()) {
        return nodes.iter().map(|node| Ok(node.addrs.clone())).collect();
    }
    breakit::node::at_once(nodes, breakit::reach::addresses)
}

/// The addresses that nodes have, where they need none and may share them.
///
/// # Errors
/// 66 where a node does not run.
pub fn own_addresses(nodes: &[Node]) -> Result<Vec<Vec<IpAddr>>> {
    let own = |node: &Node| {
        if !matches!(node.via, Via::Address(_)) {
            breakit::reach::Network::of(node)?;
        }
        match breakit::reach::addresses(node) {
            Err(error) if error.status() == breakit::exit::Status::NoInput => Ok(Vec::new()),
            other => other,
        }
    };
    breakit::node::at_once(nodes, own).into_iter().collect()
}

fn only_an_address(node: &Node) -> Option<String> {
    matches!(node.via, Via::Address(_)).then(|| {
        format!("only the address of {} is known; write {}=ssh:DEST", node.name, node.name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use breakit::node::Name;

    fn with<T>(addresses: &[Vec<IpAddr>], work: impl FnOnce(&[Loss], &Common<'_>) -> T) -> T {
        let nodes: Vec<Node> = ["n1=pid:1", "n2=pid:2", "n3=pid:3"]
            .map(|n| breakit::node::resolve(&[n.into()]))
            .into_iter()
            .flatten()
            .flatten()
            .collect();
        let (grudge, _) = grudge();
        let losses = of_grudge(&grudge, &nodes).unwrap();
        let common = Common {
            nodes: &nodes,
            addresses,
            link_local: &[vec!["fe80::1".parse().unwrap()]],
            exempt: &[],
            ports: &[vec![5], vec![6, 7], vec![8]],
            interfaces: &[],
            translates: &[],
            packets: &Packets::ALL,
            name: "t",
            spares_loopback: false,
        };
        work(&losses, &common)
    }

    fn grudge() -> (Grudge, Vec<Vec<IpAddr>>) {
        let nodes: Vec<Name> = ["n1", "n2", "n3"].map(|n| Name::new(n).unwrap()).into();
        let addresses = (1..=3)
            .map(|i| {
                vec![format!("10.0.0.{i}").parse().unwrap(), format!("fd00::{i}").parse().unwrap()]
            })
            .collect();
        (Grudge::between(&nodes, &[0, 1, 1]), addresses)
    }

    #[test]
    fn on_a_bridge_one_table_holds_every_pair_in_both_families() {
        let (_, addresses) = grudge();
        let tables = with(&addresses, |losses, common| Backend::NftBridge.rules(losses, common));
        assert_eq!(tables.len(), 1);
        let Rules::Nft(table) = &tables[0].1 else { panic!("{tables:?}") };
        let pair =
            |d: &&Drop| matches!(d.ends, Ends::Between(from, to) if to.is_ipv4() == from.is_ipv4());
        assert_eq!(table.drops.iter().filter(pair).count(), 4 * 2);
        // To n1 from two; from n1, which has a link-local address too, to n2 by two ports and to n3 by one.
        let port = |d: &&Drop| matches!(d.ends, Ends::Into(..));
        assert_eq!(table.drops.iter().filter(port).count(), 2 * 2 + (2 + 1) * 3);
    }

    #[test]
    fn an_address_that_several_nodes_have_is_left_out_and_said_shortly() {
        let list = |text: &str| -> Vec<IpAddr> {
            text.split(' ').map(|address| address.parse().unwrap()).collect()
        };
        let mut found = vec![
            list("10.0.0.1 172.17.0.1"),
            list("10.0.0.2 172.17.0.1 192.168.122.1"),
            list("10.0.0.3 192.168.122.1"),
        ];
        let shared = leave_out_shared(&mut found);
        assert_eq!(found, ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(list));
        let nodes = breakit::node::resolve(&["n1=pid:1,n2=pid:2,n3=pid:3".into()]).unwrap();
        assert_eq!(words_of_shared(&shared, &nodes), "172.17.0.1 (n1, n2), 192.168.122.1 (n2, n3)");
    }

    #[test]
    fn without_a_bridge_each_node_that_drops_has_a_table_with_whom() {
        let (_, addresses) = grudge();
        let tables = with(&addresses, |losses, common| Backend::Nft.rules(losses, common));
        let sizes: Vec<(Option<usize>, usize)> =
            tables.iter().map(|(n, t)| (*n, t.size())).collect();
        assert_eq!(sizes, [(Some(0), 4), (Some(1), 3), (Some(2), 3)]);
    }

    #[test]
    fn where_only_one_end_is_ours_it_drops_what_comes_in_and_what_goes_out() {
        let nodes = |specs: &str| breakit::node::resolve(&[specs.to_string()]).unwrap();
        let ends = nodes("n1=pid:1,n2=addr:10.0.0.2,n3=addr:10.0.0.3");
        let names: Vec<Name> = ends.iter().map(|node| node.name.clone()).collect();
        let losses = of_grudge(&Grudge::between(&names, &[0, 1, 1]), &ends).unwrap();
        let outward = losses.iter().filter(|loss| loss.is_outward()).count();
        assert_eq!((losses.len(), outward), (4, 2));
        let error = of_grudge(&Grudge::between(&names, &[1, 0, 1]), &ends).unwrap_err();
        assert!(error.to_string().contains("only the addresses of n3 and n2"), "{error}");
    }
}
