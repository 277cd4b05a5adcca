//! The rules of a cut as nft(8) reads them. Pure text: what `--dry-run` prints is what is run.
//!
//! A cut is a table of its own in each network, so that healing is one deletion and nobody else's rules are
//! touched. The addresses lie in sets whose elements expire: when nobody renews them the rules match nothing.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::IpAddr;

use breakit::lease::Lease;
use breakit::ports::{Ports, Transport};

use crate::packets::{Answer, Packets, Protocol, Share};
use crate::peer::Net;
use breakit::except::Except;

/// What the name of every table of ours begins with.
pub const PREFIX: &str = "breakit_partition_";

/// Which packets a table sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// Frames on this host's bridges: one table cuts every node of them, in either direction.
    Bridge,
    /// What one network receives; and what it sends, where that is to be answered.
    Inet,
    /// What leaves one network by its interfaces, unseen by whoever sends it.
    Netdev,
}

impl Family {
    /// All, as nft's word names them.
    pub const ALL: [Family; 3] = [Family::Bridge, Family::Inet, Family::Netdev];

    /// nft's word.
    pub fn word(self) -> &'static str {
        match self {
            Family::Bridge => "bridge",
            Family::Inet => "inet",
            Family::Netdev => "netdev",
        }
    }
}

/// Packets to be dropped.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Drop {
    /// Between whom.
    pub ends: Ends,
    /// Whose they are, `n1 n2` for n1's to n2: the kernel keeps it, so that `list` can name the nodes.
    pub who: String,
}

/// Where packets come from and where they go, as far as that is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ends {
    /// From the first to the second, on a bridge.
    Between(IpAddr, IpAddr),
    /// From there, whatever the address of ours they come to.
    From(Net),
    /// To there, whatever the address of ours they come from.
    To(Net),
    /// From there, whatever they are sent to, where they leave a bridge by the port of this index.
    Into(IpAddr, u32),
}

impl Ends {
    /// Whether they are of IPv4.
    pub fn is_ipv4(&self) -> bool {
        match self {
            Ends::Between(from, _) | Ends::Into(from, _) => from.is_ipv4(),
            Ends::From(net) | Ends::To(net) => net.is_ipv4(),
        }
    }

    fn is_interval(&self) -> bool {
        match self {
            Ends::Between(..) | Ends::Into(..) => false,
            Ends::From(net) | Ends::To(net) => !net.is_single(),
        }
    }

    /// As their table sees them.
    pub fn way(&self) -> Way {
        if matches!(self, Ends::To(_) | Ends::Into(..)) { Way::Out } else { Way::In }
    }

    /// As an element of a set.
    pub fn key(&self) -> String {
        match self {
            Ends::Between(from, to) => format!("{from} . {to}"),
            Ends::Into(from, port) => format!("{from} . {port}"),
            Ends::From(net) | Ends::To(net) => net.to_string(),
        }
    }
}

/// Whether packets come in or go out, as a table sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// They come in.
    In,
    /// They go out.
    Out,
}

/// A TCP connection that stays: between `peer` and the `port` of a server, seen from either end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exempt {
    /// The address of the other end.
    pub peer: IpAddr,
    /// The server's port.
    pub port: u16,
    /// Which end the server is.
    pub server: End,
}

/// An end of a connection as the receiver sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// The receiver is the server: the port is the packet's destination.
    Here,
    /// The sender is the server: the port is the packet's source.
    There,
}

/// One table with its contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Which packets it sees.
    pub family: Family,
    /// Its name, unique to its holder.
    pub name: String,
    /// What it drops.
    pub drops: BTreeSet<Drop>,
    /// Which packets of those.
    pub packets: Packets,
    /// What it lets pass all the same.
    pub exempt: BTreeSet<Exempt>,
    /// The interfaces by which packets go out, for [`Family::Netdev`].
    pub interfaces: Vec<String>,
    /// Whether the loopback interface is let alone, whatever the addresses.
    pub spares_loopback: bool,
    /// Whether packets are known by the addresses that they had before this network translated them (NAT) too.
    pub translated: bool,
}

/// A chain of a table: its name, its hook with its priority, and its rules.
struct Chain {
    name: String,
    hook: String,
    rules: String,
}

/// A set of a table: what packets of one IP version must match that go one way.
struct Set {
    name: &'static str,
    way: Way,
    ipv4: bool,
}

const SETS: [Set; 4] = [
    Set { name: "cut4", way: Way::In, ipv4: true },
    Set { name: "cut6", way: Way::In, ipv4: false },
    Set { name: "out4", way: Way::Out, ipv4: true },
    Set { name: "out6", way: Way::Out, ipv4: false },
];

impl Set {
    fn holds(&self, drop: &Drop) -> bool {
        drop.ends.way() == self.way && drop.ends.is_ipv4() == self.ipv4
    }
}

impl Table {
    /// The script that puts the table in force, in one transaction, in place of one of the same name.
    ///
    /// Prerouting at -500 comes before connection tracking and before every `accept` of a firewall, so that
    /// established connections are cut too. Nothing is dropped on output: the application would see EPERM.
    pub fn install(&self, lease: Lease) -> String {
        let mut script = self.remove();
        let _ = writeln!(script, "table {} {} {{", self.family.word(), self.name);
        for set in self.sets() {
            let (kind, flags) = (self.kind(set), self.flags(set));
            let _ = writeln!(script, "\tset {} {{ type {kind}; flags {flags}; }}", set.name);
        }
        for Chain { name, hook, rules } in self.chains() {
            let _ = writeln!(
                script,
                "\tchain {name} {{\n\t\ttype filter hook {hook}; policy accept;\n{rules}\t}}"
            );
        }
        script += "}\n";
        script + &self.elements(lease)
    }

    /// The script that renews the lease, in one transaction; it fails where the table is gone.
    ///
    /// Adding an element that is there does not renew its timeout: the sets are emptied first.
    pub fn renew(&self, lease: Lease) -> String {
        let flush =
            |set: &Set| format!("flush set {} {} {}\n", self.family.word(), self.name, set.name);
        self.sets().map(flush).collect::<String>() + &self.elements(lease)
    }

    /// The script that removes the table, and is content where there is none.
    pub fn remove(&self) -> String {
        remove(self.family, &self.name)
    }

    /// The names of its sets.
    pub fn set_names(&self) -> Vec<&'static str> {
        self.sets().map(|set| set.name).collect()
    }

    /// How many elements its sets have together.
    pub fn size(&self) -> usize {
        self.drops.iter().map(|drop| drop.ends).collect::<BTreeSet<_>>().len()
    }

    /// How many rules it has at least. An interface that is gone takes those about it along.
    pub fn rules_at_least(&self) -> usize {
        match self.family {
            Family::Netdev => 1,
            Family::Bridge | Family::Inet => {
                self.chains().iter().map(|chain| chain.rules.lines().count()).sum()
            }
        }
    }

    /// The ways in which it drops. On a bridge both: a node that comes back brings ports that a renewal adds.
    fn ways(&self) -> BTreeSet<Way> {
        match self.family {
            Family::Bridge => [Way::In, Way::Out].into(),
            Family::Inet | Family::Netdev => self.drops.iter().map(|d| d.ends.way()).collect(),
        }
    }

    /// The sets that it has: those of both IP versions for each way, so that a renewal may add to either.
    fn sets(&self) -> impl Iterator<Item = &'static Set> + '_ {
        let ways = self.ways();
        SETS.iter().filter(move |set| ways.contains(&set.way))
    }

    fn kind(&self, set: &Set) -> String {
        let address = if set.ipv4 { "ipv4_addr" } else { "ipv6_addr" };
        match (self.family, set.way) {
            (Family::Bridge, Way::In) => format!("{address} . {address}"),
            (Family::Bridge, Way::Out) => format!("{address} . iface_index"),
            (Family::Inet | Family::Netdev, _) => address.into(),
        }
    }

    fn flags(&self, set: &Set) -> &'static str {
        let interval = |drop: &Drop| set.holds(drop) && drop.ends.is_interval();
        if self.drops.iter().any(interval) { "interval, timeout" } else { "timeout" }
    }

    fn chains(&self) -> Vec<Chain> {
        self.ways().into_iter().flat_map(|way| self.chains_of(way)).collect()
    }

    /// The chains for one way: one, or one for each interface, and one for what is translated.
    fn chains_of(&self, way: Way) -> Vec<Chain> {
        let chain =
            |name: &str, hook: &str, rules| Chain { name: name.into(), hook: hook.into(), rules };
        let rules = || self.rules(way);
        match (self.family, way) {
            (Family::Inet, Way::In) => {
                // Where ports are asked for, fragments must have been put together: that is done at -400.
                let has_ports =
                    !self.packets.ports.is_empty() || !self.packets.except.ports.is_empty();
                let priority = if has_ports { "-350" } else { "-500" };
                let first = chain("cut", &format!("prerouting priority {priority}"), rules());
                let answers =
                    || chain("cut_nat", "prerouting priority -150", self.translated_rules(way));
                std::iter::once(first).chain(self.translated.then(answers)).collect()
            }
            (Family::Bridge | Family::Netdev, Way::In) => {
                vec![chain("cut", "prerouting priority -500", rules())]
            }
            (Family::Netdev, Way::Out) => (0..)
                .zip(&self.interfaces)
                .map(|(number, interface): (u32, _)| {
                    let hook = format!("egress device \"{interface}\" priority -500");
                    chain(&format!("out{number}"), &hook, rules())
                })
                .collect(),
            // Behind the decision by which ports a frame leaves: multicast and broadcast leave by several.
            (Family::Bridge, Way::Out) => vec![chain("out", "postrouting priority -500", rules())],
            // Where nobody is to be told, what goes out is dropped at the interfaces, which know no connections.
            (Family::Inet, Way::Out) if self.packets.answer == Answer::Silence => {
                vec![chain("out_nat", "postrouting priority 500", self.translated_rules(way))]
            }
            // Before this network translates anything.
            (Family::Inet, Way::Out) => vec![chain("out", "output priority -500", rules())],
        }
    }

    /// What passes whomever it is from.
    fn spared(&self, way: Way) -> String {
        let mut rules = String::from(NEIGHBOURS);
        if self.spares_loopback && self.family == Family::Inet {
            rules += match way {
                Way::In => "\t\tiif lo accept\n",
                Way::Out => "\t\toif lo accept\n",
            };
        }
        if self.packets.answer == Answer::Reset {
            rules += ANSWERS;
        }
        rules.extend(self.exempt.iter().map(|exempt| exempt.rule(way)));
        rules + &self.excepted()
    }

    /// What passes although it is between two ends.
    fn excepted(&self) -> String {
        let Except { ports, .. } = &self.packets.except;
        let mut rules = String::new();
        for (ip, nets) in self.excepted_nets() {
            for side in ["saddr", "daddr"] {
                let _ = writeln!(rules, "\t\t{ip} {side} {{ {nets} }} accept");
            }
        }
        for ports in ports {
            for side in ["dport", "sport"] {
                let (of, numbers) = (transports(*ports), ports.numbers("-"));
                let _ = writeln!(rules, "\t\tmeta l4proto {{ {of} }} th {side} {numbers} accept");
            }
        }
        if !ports.is_empty() {
            // Later fragments have no port, and are of no use where the first one is dropped. They are put together
            // only where something in this network tracks connections.
            rules += FRAGMENTS;
        }
        rules
    }

    /// As [`Table::excepted`], by what a connection was opened with before it was translated.
    fn excepted_untranslated(&self) -> String {
        let mut rules = String::new();
        for (ip, nets) in self.excepted_nets() {
            let _ = writeln!(rules, "\t\tct original {ip} daddr {{ {nets} }} accept");
        }
        for ports in &self.packets.except.ports {
            let (of, numbers) = (transports(*ports), ports.numbers("-"));
            let _ = writeln!(
                rules,
                "\t\tmeta l4proto {{ {of} }} ct original proto-dst {numbers} accept"
            );
        }
        rules
    }

    /// The networks of each IP version that has any, with nft's word for it.
    fn excepted_nets(&self) -> Vec<(&'static str, String)> {
        let of = |(ip, ipv4)| (ip, self.packets.except.nets_of(ipv4).join(", "));
        [("ip", true), ("ip6", false)]
            .map(of)
            .into_iter()
            .filter(|(_, nets)| !nets.is_empty())
            .collect()
    }

    fn rules(&self, way: Way) -> String {
        let mut rules = self.spared(way);
        let mut packets = self.packets.clone();
        if (self.family, way) == (Family::Bridge, Way::Out) {
            // The chain for what comes in has decided about pairs of addresses; and only there a bridge can answer.
            rules += PAIRS;
            packets.answer = Answer::Silence;
        }
        if (self.family, way, self.translated) == (Family::Netdev, Way::Out, true) {
            let _ = writeln!(rules, "\t\tmeta mark {MARK} drop");
        }
        for set in SETS.iter().filter(|set| set.way == way) {
            for (what, verdict) in matches(&packets, set.ipv4, "th ") {
                let (key, name) = (self.key(set), set.name);
                let _ = writeln!(rules, "\t\t{key} @{name}{what} {verdict}{}", self.comment());
            }
        }
        rules
    }

    /// The rules about packets that this network has translated: a connection keeps the addresses that it was opened
    /// with. What goes out is marked last of all, and dropped where it leaves; of what comes in these are answers.
    fn translated_rules(&self, way: Way) -> String {
        let mut rules = self.spared(way) + &self.excepted_untranslated();
        for set in SETS.iter().filter(|set| set.way == way) {
            let (ip, name) = (if set.ipv4 { "ip" } else { "ip6" }, set.name);
            let (key, direction) = match way {
                Way::In => (self.key(set), "ct direction reply "),
                Way::Out => (self.key(set), ""),
            };
            for (what, verdict) in matches(&self.packets, set.ipv4, "ct original proto-") {
                let verdict = match way {
                    Way::In => verdict.to_string(),
                    Way::Out => format!("meta mark set {MARK}"),
                };
                let _ = writeln!(
                    rules,
                    "\t\t{key} != @{name} {direction}ct original {ip} daddr @{name}{what} {verdict}"
                );
            }
        }
        rules
    }

    fn key(&self, set: &Set) -> &'static str {
        match (self.family, set.way, set.ipv4) {
            (Family::Bridge, Way::In, true) => "ip saddr . ip daddr",
            (Family::Bridge, Way::In, false) => "ip6 saddr . ip6 daddr",
            (Family::Bridge, Way::Out, true) => "ip saddr . oif",
            (Family::Bridge, Way::Out, false) => "ip6 saddr . oif",
            (_, Way::In, true) => "ip saddr",
            (_, Way::In, false) => "ip6 saddr",
            (_, Way::Out, true) => "ip daddr",
            (_, Way::Out, false) => "ip6 daddr",
        }
    }

    /// Which packets, in words: for whoever lists what stands. The kernel keeps 128 bytes of it.
    fn comment(&self) -> String {
        match self.packets.words() {
            words if words.is_empty() => words,
            words if words.len() > 120 => format!(" comment \"{}...\"", &words[..120]),
            words => format!(" comment \"{words}\""),
        }
    }

    fn elements(&self, lease: Lease) -> String {
        self.sets().map(|set| self.elements_of(set, lease)).collect()
    }

    fn elements_of(&self, set: &Set, lease: Lease) -> String {
        let timeout = lease.length.as_millis();
        let mut ends = BTreeSet::new();
        let elements: Vec<String> = self
            .drops
            .iter()
            .filter(|drop| set.holds(drop) && ends.insert(drop.ends))
            .map(|drop| format!("{} timeout {timeout}ms comment \"{}\"", drop.ends.key(), drop.who))
            .collect();
        if elements.is_empty() {
            return String::new();
        }
        let (family, name) = (self.family.word(), &self.name);
        format!("add element {family} {name} {} {{ {} }}\n", set.name, elements.join(", "))
    }
}

impl Exempt {
    /// The fields by which its packets are known: the peer's address and the server's port. What goes out has
    /// its ends the other way round.
    pub fn fields(&self, way: Way) -> (&'static str, &'static str) {
        match (way, self.server) {
            (Way::In, End::Here) => ("saddr", "dport"),
            (Way::In, End::There) => ("saddr", "sport"),
            (Way::Out, End::Here) => ("daddr", "sport"),
            (Way::Out, End::There) => ("daddr", "dport"),
        }
    }

    fn rule(&self, way: Way) -> String {
        let ip = if self.peer.is_ipv4() { "ip" } else { "ip6" };
        let (address, port) = self.fields(way);
        format!("\t\t{ip} {address} {} tcp {port} {} accept\n", self.peer, self.port)
    }
}

/// What packets must match beside their addresses, each with a blank before it, and what becomes of them. `port` is
/// what nft's words for a port begin with: the packet's own, or those that its connection was opened with.
fn matches(packets: &Packets, ipv4: bool, port: &str) -> Vec<(String, &'static str)> {
    let share = match packets.share {
        Share::ALL => String::new(),
        share => format!(" numgen random mod {} < {}", Share::WHOLE, share.parts()),
    };
    let mut found = Vec::new();
    for (protocol, verdict, ports) in protocols(packets, ipv4) {
        if ports.is_empty() {
            found.push((format!("{protocol}{share}"), verdict));
            continue;
        }
        let ports = ports.iter().map(|ports| ports.numbers("-")).collect::<Vec<_>>().join(", ");
        // The server may be at either end.
        for side in if port == "th " { ["dport", "sport"] } else { ["dst", "src"] } {
            found.push((format!("{protocol} {port}{side} {{ {ports} }}{share}"), verdict));
        }
    }
    found
}

/// TCP is answered by a reset, everything else by ICMP: so each protocol has its verdict. And each may have ports
/// that are its alone.
fn protocols(packets: &Packets, ipv4: bool) -> Vec<(String, &'static str, Vec<Ports>)> {
    const RESET: &str = "reject with tcp reset";
    const UNREACHABLE: &str = "reject with icmpx type port-unreachable";
    let opening = if packets.opening { " tcp flags & (fin | syn | rst | ack) == syn" } else { "" };
    let word = |protocol: Protocol| match protocol {
        Protocol::Icmp if !ipv4 => "ipv6-icmp",
        other => other.word(),
    };
    let verdict = |is_tcp: bool| match (packets.answer, is_tcp) {
        (Answer::Silence, _) => "drop",
        (Answer::Reset, true) => RESET,
        (Answer::Reset, false) => UNREACHABLE,
    };
    let Some(protocols) = packets.protocols() else {
        return match packets.answer {
            Answer::Silence => vec![(String::new(), "drop", Vec::new())],
            Answer::Reset => vec![
                (" meta l4proto tcp".into(), RESET, Vec::new()),
                (" meta l4proto != tcp".into(), UNREACHABLE, Vec::new()),
            ],
        };
    };
    let with_ports = protocols.iter().map(|protocol| (*protocol, packets.ports_of(*protocol)));
    let with_ports: Vec<(Protocol, Vec<Ports>)> = with_ports.collect();
    let alike = |a: &(Protocol, Vec<Ports>), b: &(Protocol, Vec<Ports>)| {
        packets.answer == Answer::Silence && a.1 == b.1
    };
    let clause = |group: &[(Protocol, Vec<Ports>)]| {
        let words =
            group.iter().map(|(protocol, _)| word(*protocol)).collect::<Vec<_>>().join(", ");
        let is_tcp = group.iter().any(|(protocol, _)| *protocol == Protocol::Tcp);
        let ports = group.first().map(|(_, ports)| ports.clone()).unwrap_or_default();
        (format!(" meta l4proto {{ {words} }}{opening}"), verdict(is_tcp), ports)
    };
    with_ports.chunk_by(alike).map(clause).collect()
}

/// nft's words for the protocols that a port may be of.
fn transports(ports: Ports) -> &'static str {
    ports.transport.map_or("tcp, udp, sctp", Transport::word)
}

/// All fragments but the first.
const FRAGMENTS: &str = "\t\tip frag-off & 0x1fff != 0 accept\n\t\tfrag frag-off != 0 accept\n";

/// Neighbour discovery stays, as ARP does, which these tables do not see: without it a cut in one direction
/// would become one in both as soon as a neighbour entry grows old.
const NEIGHBOURS: &str = "\t\ticmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, \
                          nd-neighbor-advert } accept\n";

/// The mark of packets that are to be dropped where they leave. Nobody else sees it: it is set last of all, behind
/// routing and every other hook of IP, and the packet goes no further than its interface.
const MARK: &str = "0x62707463";

/// Pairs of addresses on a bridge, about which the chain for what comes in decides: a share of packets is not
/// drawn twice.
const PAIRS: &str =
    "\t\tip saddr . ip daddr @cut4 accept\n\t\tip6 saddr . ip6 daddr @cut6 accept\n";

/// What one node answers must not be rejected by the other.
const ANSWERS: &str = "\t\ttcp flags rst accept\n\t\ticmp type destination-unreachable accept\n\
                       \t\ticmpv6 type destination-unreachable accept\n";

/// The script that removes a table, and is content where there is none.
pub fn remove(family: Family, name: &str) -> String {
    let family = family.word();
    format!("add table {family} {name}\ndelete table {family} {name}\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn table(family: Family, to: Option<&str>) -> Table {
        let drop = |from: &str, to: Option<&str>| {
            let from: IpAddr = from.parse().unwrap();
            let ends = match to {
                Some(to) => Ends::Between(from, to.parse().unwrap()),
                None => Ends::From(from.into()),
            };
            Drop { ends, who: "n1 n2".into() }
        };
        let six = to.map(|_| "fd00::2");
        Table {
            family,
            name: "breakit_partition_7_9".into(),
            drops: [drop("10.0.0.1", to), drop("fd00::1", six)].into(),
            packets: Packets::ALL,
            exempt: BTreeSet::new(),
            interfaces: Vec::new(),
            spares_loopback: false,
            translated: false,
        }
    }

    const LEASE: Lease = Lease { length: Duration::from_millis(2500) };

    #[test]
    fn a_bridge_table_drops_pairs_and_a_nodes_own_drops_whatever_comes_from_there() {
        let pairs = table(Family::Bridge, Some("10.0.0.2")).install(LEASE);
        assert!(pairs.contains("ip saddr . ip daddr @cut4 drop"), "{pairs}");
        assert!(
            pairs.contains("{ 10.0.0.1 . 10.0.0.2 timeout 2500ms comment \"n1 n2\" }"),
            "{pairs}"
        );
        assert!(
            pairs.contains("{ fd00::1 . fd00::2 timeout 2500ms comment \"n1 n2\" }"),
            "{pairs}"
        );
        let alone = table(Family::Inet, None).install(LEASE);
        assert!(alone.contains("\t\tip saddr @cut4 drop"), "{alone}");
        assert!(alone.contains("{ 10.0.0.1 timeout 2500ms comment \"n1 n2\" }"), "{alone}");
    }

    #[test]
    fn a_renewal_empties_the_sets_and_never_makes_a_table() {
        let script = table(Family::Inet, None).renew(LEASE);
        assert!(script.starts_with("flush set inet breakit_partition_7_9 cut4\n"), "{script}");
        assert!(!script.contains("table"), "{script}");
    }

    #[test]
    fn an_exempt_connection_is_accepted_before_anything_is_dropped() {
        let mut table = table(Family::Inet, None);
        let peer = "192.0.2.9".parse().unwrap();
        table.exempt.insert(Exempt { peer, port: 22, server: End::Here });
        let script = table.install(LEASE);
        let accept = script.find("ip saddr 192.0.2.9 tcp dport 22 accept").unwrap();
        assert!(accept < script.find("@cut4 drop").unwrap());
    }

    #[test]
    fn what_goes_out_is_dropped_at_every_interface_and_a_login_there_is_let_go() {
        let mut table = table(Family::Netdev, None);
        table.drops =
            [Drop { ends: Ends::To(Net::parse("10.0.0.0/8").unwrap()), who: "here 10/8".into() }]
                .into();
        table.interfaces = ["eth0", "eth1"].map(Into::into).into();
        let peer = "192.0.2.9".parse().unwrap();
        table.exempt.insert(Exempt { peer, port: 22, server: End::Here });
        let script = table.install(LEASE);
        assert!(
            script.contains("set out4 { type ipv4_addr; flags interval, timeout; }"),
            "{script}"
        );
        assert!(script.contains("hook egress device \"eth1\" priority -500"), "{script}");
        assert!(script.contains("ip daddr 192.0.2.9 tcp sport 22 accept"), "{script}");
        assert!(script.contains("ip daddr @out4 drop"), "{script}");
        assert!(!script.contains("cut4"), "{script}");
    }

    #[test]
    fn ports_match_at_either_end_behind_the_fragments_and_resets_are_never_rejected() {
        let mut table = table(Family::Inet, None);
        table.packets = Packets {
            ports: vec![Ports::parse("80-90").unwrap()],
            share: Share::parse("20%").unwrap(),
            answer: Answer::Reset,
            ..Packets::ALL
        };
        let script = table.install(LEASE);
        for clause in [
            "prerouting priority -350",
            "ip saddr @cut4 meta l4proto { tcp } th dport { 80-90 } numgen random mod 100000 < 20000 reject with tcp reset",
            "ip6 saddr @cut6 meta l4proto { udp } th sport { 80-90 } numgen random mod 100000 < 20000 reject with icmpx",
            "comment \"port 80-90, 20%, rejected\"",
        ] {
            assert!(script.contains(clause), "{clause}: {script}");
        }
        assert!(script.find("tcp flags rst accept") < script.find("@cut4"), "{script}");
    }
}
