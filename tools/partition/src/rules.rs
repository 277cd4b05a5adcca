//! The rules of a cut as nft(8) reads them. Pure text: what `--dry-run` prints is what is run.
//!
//! A cut is one table of its own, so that healing is one deletion and nobody else's rules are touched. The
//! addresses lie in sets whose elements expire: when nobody renews them the rules match nothing.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::IpAddr;

use breakit::lease::Lease;

/// What the name of every table of ours begins with.
pub const PREFIX: &str = "breakit_partition_";

/// Which packets a table sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// Frames on this host's bridges: one table cuts every node of them, in either direction.
    Bridge,
    /// What one network receives: a table in each node's own.
    Inet,
}

impl Family {
    /// nft's word.
    pub fn word(self) -> &'static str {
        match self {
            Family::Bridge => "bridge",
            Family::Inet => "inet",
        }
    }
}

/// Packets to be dropped.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Drop {
    /// Where they come from.
    pub from: IpAddr,
    /// Where they go; `None` in a node's own table, where all that arrives is meant.
    pub to: Option<IpAddr>,
    /// Whose they are, `n1 n2` for n1's to n2: the kernel keeps it, so that `list` can name the nodes.
    pub who: String,
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
    /// What it lets pass all the same.
    pub exempt: BTreeSet<Exempt>,
}

impl Table {
    /// The script that puts the table in force, in one transaction, in place of one of the same name.
    ///
    /// Prerouting at -500 comes before connection tracking and before every `accept` of a firewall, so that
    /// established connections are cut too. Nothing is dropped on output: the application would see EPERM.
    pub fn install(&self, lease: Lease) -> String {
        let (family, name) = (self.family.word(), &self.name);
        let mut script = self.remove();
        let _ = write!(
            script,
            "table {family} {name} {{\n\
             \tset cut4 {{ type {v4}; flags timeout; }}\n\
             \tset cut6 {{ type {v6}; flags timeout; }}\n\
             \tchain cut {{\n\
             \t\ttype filter hook prerouting priority -500; policy accept;\n\
             {NEIGHBOURS}{exempt}\
             \t\t{match4} @cut4 drop\n\
             \t\t{match6} @cut6 drop\n\
             \t}}\n}}\n",
            v4 = self.key("ipv4_addr . ipv4_addr", "ipv4_addr"),
            v6 = self.key("ipv6_addr . ipv6_addr", "ipv6_addr"),
            exempt = self.exempt.iter().map(Exempt::rule).collect::<String>(),
            match4 = self.key("ip saddr . ip daddr", "ip saddr"),
            match6 = self.key("ip6 saddr . ip6 daddr", "ip6 saddr"),
        );
        script + &self.elements(lease)
    }

    /// The script that renews the lease, in one transaction; it fails where the table is gone.
    ///
    /// Adding an element that is there does not renew its timeout: the sets are emptied first.
    pub fn renew(&self, lease: Lease) -> String {
        let (family, name) = (self.family.word(), &self.name);
        format!("flush set {family} {name} cut4\nflush set {family} {name} cut6\n")
            + &self.elements(lease)
    }

    /// The script that removes the table, and is content where there is none.
    pub fn remove(&self) -> String {
        remove(self.family, &self.name)
    }

    fn elements(&self, lease: Lease) -> String {
        ["cut4", "cut6"].map(|set| self.elements_of(set, lease)).concat()
    }

    fn elements_of(&self, set: &str, lease: Lease) -> String {
        let timeout = lease.length.as_millis();
        let mut keys = BTreeSet::new();
        let elements: Vec<String> = self
            .drops
            .iter()
            .filter(|drop| {
                drop.from.is_ipv4() == (set == "cut4") && keys.insert((drop.from, drop.to))
            })
            .map(|drop| {
                let to = drop.to.map(|to| format!(" . {to}")).unwrap_or_default();
                format!("{}{to} timeout {timeout}ms comment \"{}\"", drop.from, drop.who)
            })
            .collect();
        if elements.is_empty() {
            return String::new();
        }
        let (family, name) = (self.family.word(), &self.name);
        format!("add element {family} {name} {set} {{ {} }}\n", elements.join(", "))
    }

    fn key(&self, pair: &'static str, alone: &'static str) -> &'static str {
        match self.family {
            Family::Bridge => pair,
            Family::Inet => alone,
        }
    }
}

impl Exempt {
    fn rule(&self) -> String {
        let ip = if self.peer.is_ipv4() { "ip" } else { "ip6" };
        let port = match self.server {
            End::Here => "dport",
            End::There => "sport",
        };
        format!("\t\t{ip} saddr {} tcp {port} {} accept\n", self.peer, self.port)
    }
}

/// Neighbour discovery stays, as ARP does, which these tables do not see: without it a cut in one direction
/// would become one in both as soon as a neighbour entry grows old.
const NEIGHBOURS: &str = "\t\ticmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, \
                          nd-neighbor-advert } accept\n";

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
        let drop = |from: &str, to: Option<&str>| Drop {
            from: from.parse().unwrap(),
            to: to.map(|to| to.parse().unwrap()),
            who: "n1 n2".into(),
        };
        let six = to.map(|_| "fd00::2");
        Table {
            family,
            name: "breakit_partition_7_9".into(),
            drops: [drop("10.0.0.1", to), drop("fd00::1", six)].into(),
            exempt: BTreeSet::new(),
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
}
