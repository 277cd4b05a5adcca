//! The rules of a cut as shell commands for iptables(8) and ipset(8): for kernels and hosts without nftables.
//!
//! As with nft, addresses lie in sets whose elements expire; the rules are in chains of our own, which one rule
//! in a built-in chain jumps to. Pure text: what `--dry-run` prints is what is run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use breakit::lease::Lease;
use breakit::ports::{Ports, Transport};

use crate::chain_names::{SHORT, short};
use crate::iptables_leftovers::{self, Made};
use crate::nftnl::Place;
use crate::packets::{Answer, Packets, Protocol, Share};
use crate::rules::{Drop, Exempt, PREFIX, Way};

/// Ports that one rule can name; a range counts twice.
const PORTS: usize = 7;

/// Which of the two programs called iptables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flavour {
    /// Over the kernel's nf_tables.
    Nft,
    /// Over the kernel's ip_tables.
    Legacy,
}

impl Flavour {
    /// The program for IPv4.
    pub fn program(self) -> &'static str {
        match self {
            Flavour::Nft => "iptables-nft",
            Flavour::Legacy => "iptables-legacy",
        }
    }

    fn program6(self) -> &'static str {
        match self {
            Flavour::Nft => "ip6tables-nft",
            Flavour::Legacy => "ip6tables-legacy",
        }
    }
}

/// The chains of one cut in one network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chains {
    /// The program.
    pub flavour: Flavour,
    /// The name that all of the cut's tables share, with [`PREFIX`].
    pub name: String,
    /// What it drops.
    pub drops: BTreeSet<Drop>,
    /// Which packets of those.
    pub packets: Packets,
    /// What it lets pass all the same.
    pub exempt: BTreeSet<Exempt>,
    /// Whether the loopback interface is let alone.
    pub spares_loopback: bool,
    /// What the program makes for it besides, as far as that is known.
    pub makes: BTreeMap<Place, BTreeSet<Made>>,
}

/// Where packets of one way are seen: a table, its built-in chains, and what marks ours.
struct Spot {
    way: Way,
    table: &'static str,
    hooks: &'static [&'static str],
    mark: &'static str,
}

/// Before connection tracking, and before any rule accepts what is established.
const SILENT: [Spot; 1] = [Spot { way: Way::In, table: "raw", hooks: &["PREROUTING"], mark: "i" }];

/// Only the table filter can answer.
const ANSWERING: [Spot; 2] = [
    Spot { way: Way::In, table: "filter", hooks: &["INPUT", "FORWARD"], mark: "i" },
    Spot { way: Way::Out, table: "filter", hooks: &["OUTPUT"], mark: "o" },
];

impl Chains {
    /// The script that puts the cut in force. The sets are filled last: until then the rules match nothing.
    /// Where it fails it takes back what it has done.
    ///
    /// A kernel that has no IPv6, or no ip6_tables, needs no rules for it where no address is to be cut off. Then
    /// the sets are left out too: a lease that is renewed with such an address later fails, and passes nothing.
    pub fn install(&self, lease: Lease) -> String {
        let head = format!("set -e\n{}remove\ntrap '[ $? = 0 ] || remove' EXIT\n", self.removal());
        let (v4, v6) = (self.install_one(true, lease), self.install_one(false, lease));
        let v6 = match self.drops.iter().all(|drop| drop.ends.is_ipv4()) {
            true => format!("if {}; then\n{v6}fi\n", self.has_v6()),
            false => v6,
        };
        head + &v4 + &v6 + &self.elements(lease)
    }

    /// Everything of one IP version but the sets' elements.
    fn install_one(&self, ipv4: bool, lease: Lease) -> String {
        let mut script = String::new();
        let family = if ipv4 { "inet" } else { "inet6" };
        let seconds = seconds(lease);
        for (set, _, _) in self.sets().iter().filter(|set| set.1 == ipv4) {
            let _ = writeln!(
                script,
                "ipset create {set} hash:net family {family} timeout {seconds} comment"
            );
        }
        script + &self.restore(ipv4)
    }

    /// The shell's question whether this kernel has IPv6 and tables for it.
    fn has_v6(&self) -> String {
        let table = self.spots().first().map_or("raw", |spot| spot.table);
        let program = self.flavour.program6();
        format!("[ -e /proc/net/if_inet6 ] && {program} -w -t {table} -n -L >/dev/null 2>&1")
    }

    /// The script that renews the lease; it fails where the sets are gone.
    pub fn renew(&self, lease: Lease) -> String {
        format!("set -e\n{}", self.elements(lease))
    }

    /// The script that removes the cut, and is content where there is none.
    pub fn remove(&self) -> String {
        format!("{}remove\n", self.removal())
    }

    /// How many addresses it names.
    pub fn size(&self) -> usize {
        self.drops.iter().map(|drop| drop.ends).collect::<BTreeSet<_>>().len()
    }

    /// The tables that it needs, each with the built-in chains that it hangs on.
    pub fn places(&self) -> Vec<(Place, Vec<&'static str>)> {
        let spots = self.spots();
        let Some(table) = spots.first().map(|spot| spot.table) else { return Vec::new() };
        let hooks: Vec<&'static str> = spots.iter().flat_map(|spot| spot.hooks).copied().collect();
        [true, false].map(|ipv4| (Place { ipv4, table }, hooks.clone())).into()
    }

    fn spots(&self) -> Vec<&'static Spot> {
        let all: &[Spot] = match self.packets.answer {
            Answer::Silence => &SILENT,
            Answer::Reset => &ANSWERING,
        };
        all.iter().filter(|spot| self.drops.iter().any(|d| d.ends.way() == spot.way)).collect()
    }

    fn chain(&self, spot: &Spot) -> String {
        format!("{}_{}", short(&self.name), spot.mark)
    }

    /// Each set with its IP version and its way.
    fn sets(&self) -> Vec<(String, bool, Way)> {
        let versions = |spot: &&'static Spot| {
            let chain = self.chain(spot);
            let way = spot.way;
            [(4, true), (6, false)].map(|(word, ipv4)| (format!("{chain}{word}"), ipv4, way))
        };
        self.spots().iter().flat_map(versions).collect()
    }

    fn removal(&self) -> String {
        removal(&self.name, &[self.flavour])
    }

    /// Everything of one IP version, in one transaction for each table.
    fn restore(&self, ipv4: bool) -> String {
        let program = if ipv4 { self.flavour.program() } else { self.flavour.program6() };
        let table = self.spots().first().map_or("raw", |spot| spot.table);
        let mut script = format!("{program}-restore -w --noflush <<'END'\n*{table}\n");
        for spot in self.spots() {
            let _ = writeln!(script, ":{} - [0:0]", self.chain(spot));
        }
        for (place, makes) in self.makes.iter().filter(|(place, _)| place.ipv4 == ipv4) {
            debug_assert_eq!(place.table, table, "all rules of a cut lie in one table");
            for made in makes {
                let _ = writeln!(script, ":{} - [0:0]", made.chain(&self.name));
            }
        }
        for spot in self.spots() {
            script += &self.rules(spot, ipv4);
            for hook in spot.hooks {
                let _ = writeln!(script, "-I {hook} 1 -j {}", self.chain(spot));
            }
        }
        script + "COMMIT\nEND\n"
    }

    /// RETURN, never ACCEPT: what we let pass is for the host's own firewall to judge.
    fn rules(&self, spot: &Spot, ipv4: bool) -> String {
        let mut spared: Vec<String> = Vec::new();
        if !self.packets.words().is_empty() {
            // A rule without a target does nothing but tell whoever lists it.
            let words: String = self.packets.words().chars().take(200).collect();
            spared.push(format!("-m comment --comment \"{words}\""));
        }
        if !ipv4 {
            let discovery = [133, 134, 135, 136]
                .map(|kind| format!("-p ipv6-icmp --icmpv6-type {kind} -j RETURN"));
            spared.extend(discovery);
        }
        if self.spares_loopback {
            spared.push(match spot.way {
                Way::In => "-i lo -j RETURN".into(),
                Way::Out => "-o lo -j RETURN".into(),
            });
        }
        if self.packets.answer == Answer::Reset {
            let icmp = if ipv4 {
                "-p icmp --icmp-type destination-unreachable"
            } else {
                "-p ipv6-icmp --icmpv6-type destination-unreachable"
            };
            spared.push("-p tcp --tcp-flags RST RST -j RETURN".into());
            spared.push(format!("{icmp} -j RETURN"));
        }
        let exempt = self.exempt.iter().filter(|exempt| exempt.peer.is_ipv4() == ipv4);
        spared.extend(exempt.map(|exempt| {
            let (address, port) = exempt.fields(spot.way);
            let (address, port) = (&address[..1], port);
            format!("-{address} {} -p tcp --{port} {} -j RETURN", exempt.peer, exempt.port)
        }));
        spared.extend(self.excepted(ipv4));
        let chain = self.chain(spot);
        let all = spared.into_iter().chain(self.verdicts(spot, ipv4));
        all.map(|rule| format!("-A {chain} {rule}\n")).collect()
    }

    /// What passes although it is between two ends. Later fragments have no port, and are of no use where the first
    /// one is dropped.
    fn excepted(&self, ipv4: bool) -> Vec<String> {
        let except = &self.packets.except;
        let nets = except.nets_of(ipv4);
        let mut rules: Vec<String> = nets
            .iter()
            .flat_map(|net| ["-s", "-d"].map(|end| format!("{end} {net} -j RETURN")))
            .collect();
        for ports in &except.ports {
            let all = [Transport::Tcp, Transport::Udp, Transport::Sctp].into_iter();
            for of in all.filter(|of| ports.transport.is_none_or(|transport| transport == *of)) {
                let (of, ports) = (of.word(), ports.numbers(":"));
                rules.push(format!("-p {of} -m multiport --ports {ports} -j RETURN"));
            }
        }
        if ipv4 && !except.ports.is_empty() {
            rules.push("-f -j RETURN".into());
        }
        rules
    }

    fn verdicts(&self, spot: &Spot, ipv4: bool) -> Vec<String> {
        let (side, version) = (spot.way.side(), if ipv4 { 4 } else { 6 });
        let set = format!("-m set --match-set {}{version} {side}", self.chain(spot));
        matches(&self.packets, ipv4).iter().map(|what| format!("{set}{what}")).collect()
    }

    fn elements(&self, lease: Lease) -> String {
        let mut script = String::from("ipset -exist restore <<'END'\n");
        for (set, ipv4, way) in self.sets() {
            let of = self.drops.iter().filter(|d| d.ends.way() == way && d.ends.is_ipv4() == ipv4);
            let mut seen = BTreeSet::new();
            for drop in of.filter(|drop| seen.insert(drop.ends)) {
                let (key, who) = (drop.ends.key(), &drop.who);
                let _ = writeln!(
                    script,
                    "add {set} {key} timeout {} comment \"{who}\"",
                    seconds(lease)
                );
            }
        }
        script + "END\n"
    }
}

impl Way {
    /// ipset's word for the end that is the other one's.
    fn side(self) -> &'static str {
        match self {
            Way::In => "src",
            Way::Out => "dst",
        }
    }
}

/// Beside addresses, each with a blank before it and with its verdict.
fn matches(packets: &Packets, ipv4: bool) -> Vec<String> {
    let share = match packets.share {
        Share::ALL => String::new(),
        share => {
            let probability = f64::from(share.parts()) / f64::from(Share::WHOLE);
            format!(" -m statistic --mode random --probability {probability:.5}")
        }
    };
    let syn = if packets.opening { " --syn" } else { "" };
    let icmp = if ipv4 { "icmp" } else { "ipv6-icmp" };
    let unreachable = if ipv4 { "icmp-port-unreachable" } else { "icmp6-port-unreachable" };
    let verdict = |is_tcp: bool| match (packets.answer, is_tcp) {
        (Answer::Silence, _) => "DROP".to_string(),
        (Answer::Reset, true) => "REJECT --reject-with tcp-reset".into(),
        (Answer::Reset, false) => format!("REJECT --reject-with {unreachable}"),
    };
    let protocols: Vec<(String, bool, Vec<Ports>)> = match (packets.protocols(), packets.answer) {
        (None, Answer::Silence) => vec![(String::new(), false, Vec::new())],
        (None, Answer::Reset) => {
            vec![(" -p tcp".into(), true, Vec::new()), (" ! -p tcp".into(), false, Vec::new())]
        }
        (Some(protocols), _) => protocols
            .iter()
            .map(|protocol| {
                let word = match protocol {
                    Protocol::Icmp => icmp,
                    other => other.word(),
                };
                let is_tcp = *protocol == Protocol::Tcp;
                let syn = if is_tcp { syn } else { "" };
                (format!(" -p {word}{syn}"), is_tcp, packets.ports_of(*protocol))
            })
            .collect(),
    };
    let with_ports = |(protocol, is_tcp, ports): &(String, bool, Vec<Ports>)| {
        let end = format!("{share} -j {}", verdict(*is_tcp));
        match ports.as_slice() {
            [] => vec![format!("{protocol}{end}")],
            ports => ports
                .chunks(PORTS)
                .map(|some| format!("{protocol} -m multiport --ports {}{end}", list(some)))
                .collect(),
        }
    };
    protocols.iter().flat_map(with_ports).collect()
}

fn list(ports: &[Ports]) -> String {
    ports.iter().map(|ports| ports.numbers(":")).collect::<Vec<_>>().join(",")
}

/// ipset counts whole seconds.
fn seconds(lease: Lease) -> u64 {
    lease.length.as_secs() + u64::from(lease.length.subsec_nanos() > 0)
}

/// The cut that a chain or set belongs to.
pub fn long(chain: &str) -> Option<String> {
    let rest = chain.strip_prefix(SHORT)?;
    let (name, mark) = rest.rsplit_once('_')?;
    let marks = ["i", "o", "i4", "i6", "o4", "o6"];
    (marks.contains(&mark) || iptables_leftovers::is_mark(mark)).then(|| format!("{PREFIX}{name}"))
}

/// The script that removes a cut, whichever of the programs made it.
pub fn remove(name: &str) -> String {
    format!("{}remove\n", removal(name, &[Flavour::Nft, Flavour::Legacy]))
}

/// A function of the shell that removes everything of one name and fails where something stays. What is not there
/// is asked for once in each table, and ip_tables not at all where nobody uses it: to ask would load it. The kernel
/// lets a set go only a moment after the last rule about it.
fn removal(name: &str, flavours: &[Flavour]) -> String {
    let (full, name) = (name, short(name));
    let programs: Vec<&str> =
        flavours.iter().flat_map(|flavour| [flavour.program(), flavour.program6()]).collect();
    format!(
        "remove() {{\n\
         \tstays=\n\
         \tfor t in {programs}; do\n\
         \t\tcommand -v $t >/dev/null || continue\n\
         \t\tfor table in raw filter; do\n\
         \t\t\tcase $t in *-legacy) grep -qsx $table /proc/net/${{t%tables-legacy}}_tables_names || continue ;; esac\n\
         \t\t\trules=$($t-save -t $table 2>/dev/null | grep -F {name}_) || continue\n\
         \t\t\t{{\n\
         \t\t\t\techo \"*$table\"\n\
         \t\t\t\techo \"$rules\" | sed -n 's/^-A \\([A-Z]* -j {name}_[io]\\)$/-D \\1/p'\n\
         \t\t\t\techo \"$rules\" | sed -n 's/^:\\({name}_[io]\\) .*/-F \\1/p'\n\
         \t\t\t\techo \"$rules\" | sed -n 's/^:\\({name}_[io]\\) .*/-X \\1/p'\n\
         \t\t\t\techo COMMIT\n\
         \t\t\t}} | $t-restore -w --noflush || \\\n\
         \t\t\t\tif $t-save -t $table | grep -q '^:{name}_[io] '; then stays=1; fi\n\
         {besides}\
         \t\tdone\n\
         \tdone\n\
         \tcommand -v ipset >/dev/null || return ${{stays:-0}}\n\
         \tfor s in $(ipset -q list -n | grep -x '{name}_[io][46]'); do\n\
         \t\tfor again in 1 2 3 4 5 6 7 8; do\n\
         \t\t\tipset -q destroy $s && continue 2\n\
         \t\t\tsleep 0.1\n\
         \t\tdone\n\
         \t\tif ipset -q -t list $s >/dev/null; then echo \"the set $s stays: it is in use\" >&2; stays=1; fi\n\
         \tdone\n\
         \treturn ${{stays:-0}}\n\
         }}\n",
        programs = programs.join(" "),
        besides = iptables_leftovers::removal(full)
    )
}

/// Prints what stands: sets and rules, of all programs that are there. ip_tables is not asked where nobody uses
/// it: to ask would load it.
pub const LISTING: &str = "command -v ipset >/dev/null && ipset save 2>/dev/null
for t in iptables-nft ip6tables-nft; do
	command -v $t-save >/dev/null || continue
	echo \"# $t\"; $t-save -t raw 2>/dev/null; $t-save -t filter 2>/dev/null
done
for v in '' 6; do
	command -v ip${v}tables-legacy-save >/dev/null || continue
	echo \"# ip${v}tables-legacy\"
	for n in raw filter; do
		grep -qsx $n /proc/net/ip${v}_tables_names && ip${v}tables-legacy-save -t $n 2>/dev/null
	done
done
true
";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::peer::Net;
    use crate::rules::Ends;

    const LEASE: Lease = Lease { length: Duration::from_millis(2500) };

    fn chains(packets: Packets) -> Chains {
        let ends = ["10.0.0.1", "fd00::/64"].map(|net| Ends::From(Net::parse(net).unwrap()));
        Chains {
            flavour: Flavour::Legacy,
            name: format!("{PREFIX}7_9"),
            drops: ends.map(|ends| Drop { ends, who: "n1 n2".into() }).into(),
            packets,
            exempt: BTreeSet::new(),
            spares_loopback: true,
            makes: BTreeMap::new(),
        }
    }

    #[test]
    fn addresses_lie_in_sets_that_are_filled_last() {
        let script = chains(Packets::ALL).install(LEASE);
        let at = |clause: &str| {
            script.find(clause).unwrap_or_else(|| panic!("{clause} is not in {script}"))
        };
        let order = [
            "ipset create bkp_7_9_i4 hash:net family inet timeout 3 comment",
            "iptables-legacy-restore -w --noflush",
            "-A bkp_7_9_i -i lo -j RETURN",
            "-A bkp_7_9_i -m set --match-set bkp_7_9_i4 src -j DROP",
            "-I PREROUTING 1 -j bkp_7_9_i",
            "ip6tables-legacy-restore",
            "--icmpv6-type 135 -j RETURN",
            "add bkp_7_9_i4 10.0.0.1 timeout 3 comment \"n1 n2\"",
            "add bkp_7_9_i6 fd00::/64 timeout 3",
        ];
        assert!(order.windows(2).all(|pair| at(pair[0]) < at(pair[1])), "{script}");
    }

    #[test]
    fn a_kernel_is_asked_for_ipv6_only_where_no_address_of_it_is_cut_off() {
        let both = chains(Packets::ALL);
        assert!(!both.install(LEASE).contains("if_inet6"), "it must fail where that cannot be cut");
        let v4 = Chains {
            drops: both.drops.iter().filter(|drop| drop.ends.is_ipv4()).cloned().collect(),
            ..both
        };
        let script = v4.install(LEASE);
        let (before, after) = script.split_once("if [ -e /proc/net/if_inet6 ]").unwrap();
        assert!(before.contains("create bkp_7_9_i4") && !before.contains("create bkp_7_9_i6"));
        let (guarded, last) = after.split_once("\nfi\n").unwrap();
        assert!(
            guarded.contains("create bkp_7_9_i6") && guarded.contains("ip6tables-legacy-restore")
        );
        assert!(last.contains("add bkp_7_9_i4") && !last.contains("i6"), "{script}");
    }

    #[test]
    fn ports_match_at_either_end_and_only_the_table_filter_answers() {
        let packets = Packets {
            ports: vec![Ports::parse("80-90").unwrap()],
            share: Share::parse("20%").unwrap(),
            answer: Answer::Reset,
            ..Packets::ALL
        };
        let script = chains(packets).install(LEASE);
        for clause in [
            "*filter\n",
            "-I FORWARD 1 -j bkp_7_9_i",
            "--match-set bkp_7_9_i4 src -p tcp -m multiport --ports 80:90 -m statistic --mode random --probability 0.20000 -j REJECT --reject-with tcp-reset",
            "-p udp -m multiport --ports 80:90 -m statistic --mode random --probability 0.20000 -j REJECT --reject-with icmp6-port-unreachable",
            "-m comment --comment \"port 80-90, 20%, rejected\"\n",
        ] {
            assert!(script.contains(clause), "{clause}: {script}");
        }
    }

    #[test]
    fn a_name_is_short_enough_for_a_chain_and_found_again() {
        let name = format!("{PREFIX}4194304_4294967295_12");
        assert!(short(&name).len() + 3 <= 28 && short(&name).len() + 3 <= 31);
        assert_eq!(long(&format!("{}_i4", short(&name))), Some(name));
        assert_eq!(long("bkp_i"), None);
        assert_eq!(long("DOCKER_i"), None);
    }
}
