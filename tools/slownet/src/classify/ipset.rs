//! Feeding by ipset and iptables, where nftables has no `inet` family: one timed set for each family, and a
//! chain of its own that CLASSIFYs.

use breakit::except::Except;
use breakit::exit::{Error, Result};
use breakit::lease::Lease;
use breakit::net::Net;
use breakit::ports::Ports;
use breakit::protocol::Protocol;
use breakit::reach::Network;

use super::{Fed, Order, Target, fed_traffic};
use super::{chains, mangle};
use crate::fault_id::FaultId;
use crate::ingress;
use crate::kernel;
use crate::quantity::Percent;
use crate::set_comment;
use crate::step::{self, Step};
use crate::traffic::{Clause, Traffic, Way};

/// Which programs of iptables work here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tables {
    /// The flavour, as the ending of the programs' names.
    pub flavour: &'static str,
    /// Whether ip6tables of that flavour works, too.
    pub v6: bool,
}

impl Tables {
    /// What makes the sets, then the chains, then the jumps to them.
    ///
    /// # Errors
    /// 69 where IPv6 packets would pass unharmed because ip6tables does not work; 64 for more ports than a
    /// rule can match.
    pub fn start(&self, order: Order<'_>, network: &Network) -> Result<Vec<Step>> {
        let ways = by_chains(order);
        let needs_v6 = !ways.is_empty()
            && order.interfaces.iter().any(|interface| interface.v6)
            && !order.traffic.elements(false).is_empty();
        if needs_v6 && !self.v6 {
            return Err(Error::missing(
                "IPv6 packets would not be made slow: ip6tables has no table mangle here; load it (modprobe ip6table_mangle) or name IPv4 addresses with --to",
            ));
        }
        if !ways.is_empty() && ports_to_match(order.traffic) > MOST_PORTS {
            return Err(Error::usage(format!(
                "iptables matches {MOST_PORTS} ports at the most, and a range counts as two; name fewer with --port"
            )));
        }
        let arrives = by_filters(order);
        let more = if arrives { ingress::sets(order) } else { String::new() };
        let mut steps = vec![sets(order.id, order.traffic, order.lease, Some(&more))];
        for v4 in families(order.traffic, self.v6).into_iter().filter(|_| !ways.is_empty()) {
            let program = self.program(v4);
            let ours = mangle::is_ours(network, &program, v4);
            let script = script(order, v4, &ways, ours);
            steps.push(Step::new(format!("{program}-restore --noflush -w")).fed(script));
        }
        if arrives {
            steps.push(ingress::feed(order, |v4| set(order.id, v4)));
        }
        Ok(steps)
    }

    /// Whether rules send packets of the fault to its target, as [`Tables::start`] made them.
    pub fn lead(&self, network: &Network, id: FaultId, target: Target, traffic: &Traffic) -> bool {
        families(traffic, self.v6).into_iter().all(|v4| {
            let program = self.program(v4);
            ways_by_chains(target, traffic)
                .into_iter()
                .all(|way| chains::stand_by(network, &program, id, v4, way))
        })
    }

    fn program(&self, v4: bool) -> String {
        format!("{}{}", if v4 { "iptables" } else { "ip6tables" }, self.flavour)
    }

    /// What renews the elements; fails where the sets are gone.
    pub fn renew(&self, id: FaultId, traffic: &Traffic, lease: Lease) -> Step {
        sets(id, traffic, lease, None)
    }
}

/// How many ports the match `multiport` takes.
const MOST_PORTS: usize = 15;

fn ports_to_match(traffic: &Traffic) -> usize {
    traffic.ports.iter().map(|ports| if ports.is_range() { 2 } else { 1 }).sum()
}

/// The ways that chains of iptables feed. What comes in has passed the last queue before it comes to a chain.
fn by_chains(order: Order<'_>) -> Vec<Way> {
    ways_by_chains(order.target, order.traffic)
}

fn ways_by_chains(target: Target, traffic: &Traffic) -> Vec<Way> {
    let ways = traffic.direction.ways().iter().copied();
    ways.filter(|way| target == Target::Line || *way == Way::Out).collect()
}

/// Whether what is in the sets of a fault that was found there is led to its target. Which families were struck
/// is read from the sets; of both, one is asked.
pub fn leads(network: &Network, id: FaultId, target: Target, traffic: &Traffic) -> bool {
    let v4 = !traffic.elements(true).is_empty();
    ways_by_chains(target, traffic).into_iter().all(|way| chains::stand(network, id, v4, way))
}

/// Whether what comes in goes into a class, into which filters of tc(8) send it.
fn by_filters(order: Order<'_>) -> bool {
    order.target == Target::Class && order.traffic.direction.ways().contains(&Way::In)
}

fn families(traffic: &Traffic, v6: bool) -> Vec<bool> {
    let needed = |v4: bool| !traffic.elements(v4).is_empty();
    [(true, needed(true)), (false, v6 && needed(false))]
        .into_iter()
        .filter_map(|(v4, wanted)| wanted.then_some(v4))
        .collect()
}

/// Whether a set of the fault is there.
///
/// # Errors
/// As [`Step::output`].
pub fn has_sets(network: &Network, id: FaultId) -> Result<bool> {
    if let Some(all) = kernel::sets(network) {
        return Ok([true, false].iter().any(|v4| all.contains(&set(id, *v4))));
    }
    for v4 in [true, false] {
        let listing = Step::new(format!("ipset list -n {}", set(id, v4)));
        if listing.output(network)?.status.success() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What empties the sets; that of a family that is not struck is not there.
pub fn starve(id: FaultId) -> Vec<Step> {
    let of = |v4| [set(id, v4), everybody(id, v4)];
    let sets = [true, false].into_iter().flat_map(of);
    sets.map(|set| Step::new(format!("ipset flush {set}"))).collect()
}

/// The set of all addresses of an IP version, for as long as the lease: for rules that name addresses themselves.
fn everybody(id: FaultId, v4: bool) -> String {
    format!("{}-all-{}", chains::name(id), if v4 { 4 } else { 6 })
}

fn set(id: FaultId, v4: bool) -> String {
    format!("{}-{}", chains::name(id), if v4 { 4 } else { 6 })
}

/// `-exist` makes adding renew the timeout, and creating twice no error. With `create` the sets are made, and
/// what else it says.
fn sets(id: FaultId, traffic: &Traffic, lease: Lease, create: Option<&str>) -> Step {
    // The sets count whole seconds: rounded up, a renewal each third still comes in time.
    let timeout = lease.length.as_secs() + u64::from(lease.length.subsec_nanos() > 0);
    let mut script = create.unwrap_or_default().to_string();
    let note = set_comment::write(traffic);
    let all = Traffic::default();
    for (v4, family) in [(true, "inet"), (false, "inet6")] {
        let elements = traffic.elements(v4);
        let lease = (!traffic.named().is_empty() && !elements.is_empty())
            .then(|| (everybody(id, v4), all.elements(v4)));
        for (set, elements) in [(set(id, v4), elements)].into_iter().chain(lease) {
            if create.is_some() && !elements.is_empty() {
                script +=
                    &format!("create {set} hash:net family {family} timeout {timeout} comment\n");
            }
            for net in elements {
                script += &format!("add {set} {net} timeout {timeout} comment \"{note}\"\n");
            }
        }
    }
    Step::new("ipset restore -exist").fed(script)
}

fn script(order: Order<'_>, v4: bool, ways: &[Way], makes_table: bool) -> String {
    let mut script = String::from("*mangle\n");
    for way in ways {
        script += &chain(order, v4, *way, makes_table);
    }
    for way in ways {
        let (chain, hook) = chains::hung(order.id, *way);
        script += &format!("-A {hook} -j {chain}\n");
    }
    script + "COMMIT\n"
}

fn chain(order: Order<'_>, v4: bool, way: Way, makes_table: bool) -> String {
    let ((chain, _), set) = (chains::hung(order.id, way), set(order.id, v4));
    let (near, far) = match way {
        Way::Out => ("--sport", "dst"),
        Way::In => ("--dport", "src"),
    };
    let mut script = format!(":{chain} - [0:0]\n");
    if makes_table {
        script += &format!("-A {chain} -m comment --comment {}\n", mangle::MADE);
    }
    if !v4 {
        for kind in [
            "router-solicitation",
            "router-advertisement",
            "neighbour-solicitation",
            "neighbour-advertisement",
        ] {
            script += &format!("-A {chain} -p icmpv6 --icmpv6-type {kind} -j RETURN\n");
        }
    }
    for port in order.seat {
        script += &format!("-A {chain} -p tcp {near} {port} -j RETURN\n");
    }
    if order.translated {
        script += &excepted_untranslated(&chain, &order.traffic.except, v4);
    }
    script += &excepted(&chain, &order.traffic.except, v4);
    script += &share(&chain, order.share);
    let target = match order.target.is_queue(way) {
        false => format!("CLASSIFY --set-class 77:{}", order.id),
        true => format!("NFQUEUE --queue-num {} --queue-bypass", order.id.queue()),
    };
    let mut matches: Vec<String> = which(order.traffic, v4);
    matches.iter_mut().for_each(|which| *which += &format!("-m set --match-set {set} {far} "));
    if order.translated {
        matches.extend(untranslated(order, v4, way, far));
    }
    for interface in interfaces(order, way) {
        for which in &matches {
            script += &format!("-A {chain} {interface} {which}-j {target}\n");
        }
    }
    script
}

/// The matches by what a connection was opened with before it was translated. No set knows that, so that addresses are
/// matched one by one, and a set of everybody is the lease.
fn untranslated(order: Order<'_>, v4: bool, way: Way, far: &str) -> Vec<String> {
    let direction = if way == Way::Out { "ORIGINAL" } else { "REPLY" };
    let (opened, traffic) = (opened_with(order.traffic, v4), order.traffic);
    let (set, lease) = (set(order.id, v4), everybody(order.id, v4));
    let mut found = Vec::new();
    for net in traffic.named().iter().filter(|net| net.is_ipv4() == v4) {
        let to = format!("-m conntrack --ctdir {direction} --ctorigdst {net}");
        let to = format!("{to} -m set --match-set {lease} {far} ");
        found.extend(opened.iter().map(|which| format!("{which}{to}")));
    }
    if !traffic.ports.is_empty() {
        let to = format!("-m set --match-set {set} {far} ");
        found.extend(opened.iter().map(|which| format!("{which}{to}")));
    }
    found
}

/// The match on protocol and on the ports that a connection was opened with.
fn opened_with(traffic: &Traffic, ipv4: bool) -> Vec<String> {
    let by_port = |ports: &Ports| {
        let numbers = ports.numbers(":");
        ["dst", "src"].map(|end| format!("-m conntrack --ctorig{end}port {numbers} "))
    };
    let mut found = Vec::new();
    for Clause { protocols, ports } in traffic.clauses() {
        let mut each: Vec<String> = ports.iter().flat_map(by_port).collect();
        each.extend(ports.is_empty().then(String::new));
        let of = |protocol: &Protocol| format!("-p {} ", word(*protocol, ipv4));
        let mut all: Vec<String> = protocols.iter().map(of).collect();
        all.extend(protocols.is_empty().then(String::new));
        found.extend(all.iter().flat_map(|p| each.iter().map(move |ports| format!("{p}{ports}"))));
    }
    found
}

/// The match on each interface. Packets come in by any: routes back need not be routes there.
fn interfaces(order: Order<'_>, way: Way) -> Vec<String> {
    match way {
        Way::Out => order.interfaces.iter().map(|at| format!("-o {}", at.name)).collect(),
        Way::In if order.traffic.interfaces.is_empty() => vec!["! -i lo".into()],
        Way::In => order.interfaces.iter().map(|at| format!("-i {}", at.name)).collect(),
    }
}

/// What lets all but so many of the packets pass, drawn once for each.
fn share(chain: &str, percent: Option<Percent>) -> String {
    percent.map_or_else(String::new, |percent| {
        let pass = 1.0 - percent.fraction();
        format!("-A {chain} -m statistic --mode random --probability {pass:.6} -j RETURN\n")
    })
}

fn which(traffic: &Traffic, ipv4: bool) -> Vec<String> {
    let mut found = Vec::new();
    for Clause { protocols, ports } in traffic.clauses() {
        let numbers: Vec<String> = ports.iter().map(|ports| ports.numbers(":")).collect();
        let ports = match ports.is_empty() {
            true => String::new(),
            false => format!("-m multiport --ports {} ", numbers.join(",")),
        };
        let of = |protocol: &Protocol| format!("-p {} {ports}", word(*protocol, ipv4));
        found.extend(protocols.iter().map(of));
        found.extend(protocols.is_empty().then(String::new));
    }
    found
}

/// The word for a protocol of that IP version.
fn word(protocol: Protocol, ipv4: bool) -> &'static str {
    match protocol {
        Protocol::Icmp if !ipv4 => "icmpv6",
        other => other.word(),
    }
}

/// What lets packets pass that are left alone.
fn excepted(chain: &str, except: &Except, ipv4: bool) -> String {
    let mut rules = String::new();
    for net in except.nets_of(ipv4) {
        for side in ["-s", "-d"] {
            rules += &format!("-A {chain} {side} {net} -j RETURN\n");
        }
    }
    for protocol in [Protocol::Tcp, Protocol::Udp, Protocol::Sctp] {
        let of = |ports: &&Ports| ports.transport.is_none_or(|of| Protocol::from(of) == protocol);
        let ports: Vec<Ports> = except.ports.iter().filter(of).copied().collect();
        for some in ports.chunks(MOST_PORTS / 2) {
            let numbers: Vec<String> = some.iter().map(|ports| ports.numbers(":")).collect();
            let (word, numbers) = (protocol.word(), numbers.join(","));
            rules += &format!("-A {chain} -p {word} -m multiport --ports {numbers} -j RETURN\n");
        }
    }
    // Later fragments have no ports, and are of no use where the first one is late or lost. Of IPv6 iptables does not
    // tell them.
    if ipv4 && !except.ports.is_empty() {
        rules += &format!("-A {chain} -f -j RETURN\n");
    }
    rules
}

/// As [`excepted`], by what a connection was opened with before it was translated.
fn excepted_untranslated(chain: &str, except: &Except, ipv4: bool) -> String {
    let mut rules = String::new();
    for net in except.nets_of(ipv4) {
        rules += &format!("-A {chain} -m conntrack --ctorigdst {net} -j RETURN\n");
    }
    for ports in &except.ports {
        let numbers = ports.numbers(":");
        for protocol in [Protocol::Tcp, Protocol::Udp, Protocol::Sctp] {
            if ports.transport.is_none_or(|of| Protocol::from(of) == protocol) {
                let word = protocol.word();
                rules += &format!(
                    "-A {chain} -p {word} -m conntrack --ctorigdstport {numbers} -j RETURN\n"
                );
            }
        }
    }
    rules
}

/// Our sets and what is in them.
///
/// # Errors
/// 77 and 71 as ipset says; without ipset there are none.
pub fn list(network: &Network, wanted: impl Fn(FaultId) -> bool) -> Result<Vec<Fed>> {
    let mut members: Vec<(FaultId, Members)> = Vec::new();
    for name in names(network)? {
        let Some(id) = FaultId::of_object(&name).filter(|id| wanted(*id)) else { continue };
        // Others hold ports, and what is left alone.
        let is_of_peers = [true, false].iter().any(|v4| name == set(id, *v4));
        if !is_of_peers {
            continue;
        }
        let output = Step::new(format!("ipset list {name}")).output(network)?;
        let found = Members::read(&String::from_utf8_lossy(&output.stdout));
        match members.iter_mut().find(|(other, _)| *other == id) {
            Some((_, members)) => members.join(found),
            None => members.push((id, found)),
        }
    }
    let fed = members.into_iter().map(|(id, Members { to, left, noted })| {
        let traffic = fed_traffic(&to, &noted);
        let more_excepted = set_comment::is_cut(&noted);
        Fed { id, how: "ipset", traffic, left, share: None, more_excepted, has_rules: true }
    });
    Ok(fed.collect())
}

/// What is in the sets of a fault.
#[derive(Debug, Default, PartialEq)]
struct Members {
    to: Vec<Net>,
    left: u64,
    noted: String,
}

impl Members {
    /// The elements after "Members:", each "BLOCK timeout SECONDS comment "NOTE""; ports have neither.
    fn read(listing: &str) -> Members {
        let lines = listing.lines().skip_while(|line| *line != "Members:").skip(1);
        let mut members = Members::default();
        for line in lines {
            let mut words = line.split_whitespace();
            members.to.extend(words.next().and_then(Net::parse));
            let left = words.nth(1).and_then(|word| word.parse().ok());
            members.left = members.left.max(left.unwrap_or(0));
            if let Some(noted) = line.split('"').nth(1) {
                members.noted = noted.to_string();
            }
        }
        members
    }

    fn join(&mut self, other: Members) {
        self.to.extend(other.to);
        self.left = self.left.max(other.left);
        if self.noted.is_empty() {
            self.noted = other.noted;
        }
    }
}

fn names(network: &Network) -> Result<Vec<String>> {
    if !step::has(network, "ipset") {
        return Ok(Vec::new());
    }
    let ours = |name: &str| FaultId::of_object(name).is_some();
    if let Some(mut all) = kernel::sets(network) {
        all.retain(|name| ours(name));
        return Ok(all);
    }
    let step = Step::new("ipset list -n");
    let output = step.output(network)?;
    let said = String::from_utf8_lossy(&output.stderr);
    // A kernel without ip_set has none of our sets.
    if said.contains("support in kernel")
        || said.contains("Invalid argument")
        || said.contains("protocol")
    {
        return Ok(Vec::new());
    }
    if !output.status.success() {
        return step.run(network).map(|_| Vec::new());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter(|name| ours(name)).map(str::to_string).collect())
}

/// Takes away chains and sets of the faults `ours`, and gives whose they were.
///
/// Chains are only looked for where there is a set: asking iptables loads tables that nobody had before.
pub fn stop(network: &Network, ours: impl Fn(FaultId) -> bool) -> (Vec<FaultId>, Result<()>) {
    let mut sets = match names(network) {
        Ok(names) => names,
        Err(error) => return (Vec::new(), Err(error)),
    };
    sets.retain(|name| FaultId::of_object(name).is_some_and(&ours));
    let mut ids: Vec<FaultId> = sets.iter().filter_map(|name| FaultId::of_object(name)).collect();
    ids.sort_unstable();
    ids.dedup();
    let has_filters = step::has(network, "tc") && ingress::may_have_filters(network);
    let mut errors = Vec::new();
    for id in &ids {
        errors.extend(chains::stop(network, *id).err());
        if has_filters {
            errors.extend(ingress::starve(network, *id).err());
        }
    }
    for name in sets {
        errors.extend(Step::new(format!("ipset destroy {name}")).run(network).err());
    }
    let is_left =
        |names: Vec<String>| names.iter().any(|n| FaultId::of_object(n).is_some_and(&ours));
    // Where nothing is left somebody else was quicker.
    if !errors.is_empty() && names(network).is_ok_and(|names| !is_left(names)) {
        errors.clear();
    }
    (ids, Error::all(errors))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interface::Interface;
    use std::time::Duration;

    #[test]
    fn v6_packets_are_never_let_through_silently() {
        let interfaces = [Interface { index: 2, name: "eth0".into(), v6: true, mtu: 1500 }];
        let order = Order {
            id: FaultId::draw(),
            target: Target::Class,
            traffic: &Traffic::default(),
            share: None,
            translated: false,
            enter: "",
            interfaces: &interfaces,
            seat: &[],
            lease: Lease { length: Duration::from_secs(30) },
        };
        let without = Tables { flavour: "-legacy", v6: false };
        assert!(
            without
                .start(order, &Network::Here)
                .unwrap_err()
                .to_string()
                .contains("ip6table_mangle")
        );
        let with = Tables { flavour: "-legacy", v6: true };
        assert_eq!(with.start(order, &Network::Here).unwrap().len(), 3);
    }

    #[test]
    fn members_are_read_with_the_longest_time_left() {
        let listing =
            "Name: x\nMembers:\n0.0.0.0/1 timeout 12 comment \"in tcp\"\n10.0.0.0/8 timeout 13\n";
        let to = ["0.0.0.0/1", "10.0.0.0/8"].map(|block| Net::parse(block).unwrap()).to_vec();
        let members = Members::read(listing);
        assert_eq!(members, Members { to, left: 13, noted: "in tcp".into() });
        assert_eq!(Members::read("Type: bitmap:port\nMembers:\n22\n"), Members::default());
    }
}
