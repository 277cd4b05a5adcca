//! Feeding by nftables: a table of its own for each fault, with one timed set for each family.

use breakit::clock;
use breakit::except::Except;
use breakit::exit::{Error, Result};
use breakit::lease::Lease;
use breakit::net::Net;
use breakit::ports::{Ports, Transport};
use breakit::protocol::Protocol;
use breakit::reach::Network;
use serde_json::Value;

use super::{Fed, Order, fed_traffic};
use crate::fault_id::FaultId;
use crate::interface::parse;
use crate::kernel::{self, Family};
use crate::quantity::Percent;
use crate::set_comment;
use crate::step::{self, Step};
use crate::traffic::{Clause, Traffic, Way};

/// Neighbour discovery: a node whose neighbours forget it is cut off, not slow.
const NEIGHBOURS: &str = "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, nd-router-advert } return";

/// All fragments but the first, which have no ports: they are of no use where the first one is late or lost.
const FRAGMENTS: &str = "    ip frag-off & 0x1fff != 0 return\n    frag frag-off != 0 return\n";

/// One transaction that makes the whole table, in place of an older one of that name.
pub fn start(order: Order<'_>) -> Step {
    let table = table(order.id);
    let mut script = format!("add table inet {table}\ndelete table inet {table}\n");
    script += &format!("table inet {table} {{\n");
    script += "  set to4 { type ipv4_addr; flags interval, timeout; }\n";
    script += "  set to6 { type ipv6_addr; flags interval, timeout; }\n";
    for way in order.traffic.direction.ways() {
        script += &chain(order, *way);
    }
    script += "}\n";
    script += &elements(order.id, order.traffic, order.lease);
    Step::new("nft -f -").fed(script)
}

/// One transaction that fills the sets anew: adding an element that is there does not renew its timeout.
pub fn renew(id: FaultId, traffic: &Traffic, lease: Lease) -> Step {
    Step::new("nft -f -").fed(flush(id) + &elements(id, traffic, lease))
}

/// One transaction that empties the sets.
pub fn starve(id: FaultId) -> Step {
    Step::new("nft -f -").fed(flush(id))
}

fn flush(id: FaultId) -> String {
    let table = table(id);
    format!("flush set inet {table} to4\nflush set inet {table} to6\n")
}

/// Whether the fault's table is there, and rules in it.
///
/// # Errors
/// As [`Step::output`].
pub fn feeds(network: &Network, id: FaultId) -> Result<bool> {
    if let Some(found) =
        kernel::has_rule_with_set(network, Family::Inet, &table(id), &["to4", "to6"])
    {
        return found;
    }
    let listed = Step::new(format!("nft list table inet {}", table(id))).output(network)?;
    // Only rules speak of a set by this sign.
    Ok(listed.status.success() && String::from_utf8_lossy(&listed.stdout).contains(" @to"))
}

fn table(id: FaultId) -> String {
    format!("breakit_slow_{id}")
}

fn chain(order: Order<'_>, way: Way) -> String {
    let (name, hook, near, far) = match way {
        Way::Out => ("feed", "postrouting", "sport", "daddr"),
        Way::In => ("feed_in", "prerouting", "dport", "saddr"),
    };
    let mut chain = format!(
        "  chain {name} {{\n    type filter hook {hook} priority -150; policy accept;\n    {}\n    {NEIGHBOURS}\n",
        elsewhere(order, way)
    );
    for port in order.seat {
        chain += &format!("    tcp {near} {port} return\n");
    }
    if order.translated {
        chain += &excepted_untranslated(&order.traffic.except);
    }
    chain += &excepted(&order.traffic.except);
    chain += &share(order.share);
    let target = match order.target.is_queue(way) {
        false => format!("meta priority set {}", order.id.priority()),
        true => format!("queue flags bypass to {}", order.id.queue()),
    };
    for (ip, set, ipv4) in [("ip", "to4", true), ("ip6", "to6", false)] {
        for which in which(order.traffic, ipv4, "th ", ["sport", "dport"]) {
            chain += &format!("    {ip} {far} @{set} {which}{target}\n");
        }
        if order.translated {
            for rule in untranslated(order.traffic, way, (ip, far, set), ipv4) {
                chain += &format!("    {rule}{target}\n");
            }
        }
    }
    chain + "  }\n"
}

/// What lets packets of other interfaces pass. They come in by any: routes back need not be routes there.
fn elsewhere(order: Order<'_>, way: Way) -> String {
    let side = match way {
        Way::In if order.traffic.interfaces.is_empty() => return "iifname \"lo\" return".into(),
        Way::In => "iifname",
        Way::Out => "oifname",
    };
    let names: Vec<String> =
        order.interfaces.iter().map(|interface| format!("\"{}\"", interface.name)).collect();
    format!("{side} != {{ {} }} return", names.join(", "))
}

/// What lets all but so many of the packets pass, drawn once for each.
fn share(percent: Option<Percent>) -> String {
    let of_a_million = |percent: Percent| (percent.fraction() * 1e6).round();
    percent.map_or_else(String::new, |percent| {
        format!("    numgen random mod 1000000 >= {} return\n", of_a_million(percent))
    })
}

/// What lets packets pass that are left alone.
fn excepted(except: &Except) -> String {
    let mut rules = String::new();
    for (ip, ipv4) in [("ip", true), ("ip6", false)] {
        let nets = except.nets_of(ipv4).join(", ");
        for side in ["saddr", "daddr"].into_iter().filter(|_| !nets.is_empty()) {
            rules += &format!("    {ip} {side} {{ {nets} }} return\n");
        }
    }
    for ports in &except.ports {
        let of = transports(*ports);
        for side in ["sport", "dport"] {
            let numbers = ports.numbers("-");
            rules += &format!("    meta l4proto {{ {of} }} th {side} {numbers} return\n");
        }
    }
    if !except.ports.is_empty() {
        rules += FRAGMENTS;
    }
    rules
}

/// As [`excepted`], by what a connection was opened with before it was translated.
fn excepted_untranslated(except: &Except) -> String {
    let mut rules = String::new();
    for (ip, ipv4) in [("ip", true), ("ip6", false)] {
        let nets = except.nets_of(ipv4).join(", ");
        if !nets.is_empty() {
            rules += &format!("    ct original {ip} daddr {{ {nets} }} return\n");
        }
    }
    for ports in &except.ports {
        let (of, numbers) = (transports(*ports), ports.numbers("-"));
        rules += &format!("    meta l4proto {{ {of} }} ct original proto-dst {numbers} return\n");
    }
    rules
}

/// nft's words for the protocols that a port may be of.
fn transports(ports: Ports) -> &'static str {
    ports.transport.map_or("tcp, udp, sctp", Transport::word)
}

/// The matches by what a connection was opened with before it was translated: an address of those that packets are
/// struck with, or a port.
fn untranslated(
    traffic: &Traffic,
    way: Way,
    (ip, far, set): (&str, &str, &str),
    ipv4: bool,
) -> Vec<String> {
    let ports = || which(traffic, ipv4, "ct original proto-", ["src", "dst"]);
    let mut rules = Vec::new();
    if !traffic.named().is_empty() {
        let direction = if way == Way::Out { "original" } else { "reply" };
        let opened = format!("ct direction {direction} ct original {ip} daddr @{set} ");
        rules.extend(ports().iter().map(|which| format!("{opened}{which}")));
    }
    if !traffic.ports.is_empty() {
        rules.extend(ports().iter().map(|which| format!("{ip} {far} @{set} {which}")));
    }
    rules
}

/// The match on protocol and ports; one for each of the `ends` where there are ports. What comes before them says
/// whether the packet's own ports are meant or those that its connection was opened with.
fn which(traffic: &Traffic, ipv4: bool, before: &str, ends: [&str; 2]) -> Vec<String> {
    let mut found = Vec::new();
    for Clause { protocols, ports } in traffic.clauses() {
        let word = |protocol: &Protocol| match protocol {
            Protocol::Icmp if !ipv4 => "ipv6-icmp",
            other => other.word(),
        };
        let words: Vec<&str> = protocols.iter().map(word).collect();
        let protocol = match words[..] {
            [] => String::new(),
            [word] => format!("meta l4proto {word} "),
            _ => format!("meta l4proto {{ {} }} ", words.join(", ")),
        };
        if ports.is_empty() {
            found.push(protocol);
            continue;
        }
        let ports: Vec<String> = ports.iter().map(|ports| ports.numbers("-")).collect();
        let ports = ports.join(", ");
        found.extend(ends.map(|end| format!("{protocol}{before}{end} {{ {ports} }} ")));
    }
    found
}

fn elements(id: FaultId, traffic: &Traffic, lease: Lease) -> String {
    let table = table(id);
    let timeout = clock::nanos(lease.length) / 1_000_000;
    let note = set_comment::write(traffic);
    let mut script = String::new();
    for (set, v4) in [("to4", true), ("to6", false)] {
        let elements: Vec<String> = traffic
            .elements(v4)
            .iter()
            .map(|prefix| format!("{prefix} timeout {timeout}ms comment \"{note}\""))
            .collect();
        if !elements.is_empty() {
            script += &format!("add element inet {table} {set} {{ {} }}\n", elements.join(", "));
        }
    }
    script
}

/// Our tables and what is in them.
///
/// # Errors
/// 77 and 71 as nft says; without nft there are none.
pub fn list(network: &Network, wanted: impl Fn(FaultId) -> bool) -> Result<Vec<Fed>> {
    let mut fed = Vec::new();
    for id in tables(network)?.into_iter().filter(|id| wanted(*id)) {
        let listing = Step::new(format!("nft -j list table inet {}", table(id)));
        let output = listing.output(network)?;
        // A table that went away between the two listings is simply not there any more.
        if output.status.success() {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            fed.push(read(id, &parse(&text, "nft")?));
        }
    }
    Ok(fed)
}

fn read(id: FaultId, listing: &Value) -> Fed {
    let objects = || listing["nftables"].as_array().into_iter().flatten();
    let (mut to, mut left, mut noted) = (Vec::new(), 0, "");
    for element in objects().filter_map(|object| object["set"]["elem"].as_array()).flatten() {
        let element = &element["elem"];
        to.extend(block(&element["val"]));
        left = left.max(element["expires"].as_u64().unwrap_or(0));
        noted = element["comment"].as_str().unwrap_or(noted);
    }
    let has_rules = objects().any(|object| object["rule"].to_string().contains("\"@to"));
    let share = objects().find_map(|object| drawn(&object["rule"]["expr"]));
    let (traffic, more_excepted) = (fed_traffic(&to, noted), set_comment::is_cut(noted));
    Fed { id, how: "nft", traffic, left, share, more_excepted, has_rules }
}

fn block(value: &Value) -> Option<Net> {
    let prefix = &value["prefix"];
    match (value.as_str(), prefix["addr"].as_str(), prefix["len"].as_u64()) {
        (Some(address), _, _) => Net::parse(address),
        (None, Some(address), Some(length)) => Net::parse(&format!("{address}/{length}")),
        _ => None,
    }
}

/// The share in a rule that takes only some packets, in percent.
fn drawn(expressions: &Value) -> Option<f64> {
    expressions.as_array()?.iter().find_map(|expression| {
        let test = &expression["match"];
        test["left"]["numgen"].as_object()?;
        Some(test["right"].as_f64()? / 10_000.0)
    })
}

/// Deletes the tables of the faults `ours`, and gives whose they were.
pub fn stop(network: &Network, ours: impl Fn(FaultId) -> bool) -> (Vec<FaultId>, Result<()>) {
    let tables = match tables(network) {
        Ok(tables) => tables,
        Err(error) => return (Vec::new(), Err(error)),
    };
    let (mut stopped, mut errors) = (Vec::new(), Vec::new());
    for id in tables.into_iter().filter(|id| ours(*id)) {
        let table = table(id);
        // "add" first: deleting what another holder has just deleted is no error then.
        let script = format!("add table inet {table}\ndelete table inet {table}\n");
        match Step::new("nft -f -").fed(script).run(network) {
            Ok(_) => stopped.push(id),
            Err(error) => errors.push(error),
        }
    }
    (stopped, Error::all(errors))
}

fn tables(network: &Network) -> Result<Vec<FaultId>> {
    if !step::has(network, "nft") {
        return Ok(Vec::new());
    }
    let ours = |name: &str| FaultId::of_object(name);
    if let Some(found) = kernel::tables(network, Family::Inet) {
        return Ok(found?.into_iter().flatten().filter_map(|name| ours(&name)).collect());
    }
    let step = Step::new("nft list tables");
    let output = step.output(network)?;
    if lacks_nf_tables(&String::from_utf8_lossy(&output.stderr)) {
        return Ok(Vec::new());
    }
    if !output.status.success() {
        return Err(step.judge(&output));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let names = text.lines().filter_map(|line| line.strip_prefix("table inet "));
    Ok(names.filter_map(ours).collect())
}

/// Whether nft said that the kernel has no nf_tables, and so no tables of ours. Old kernels call the unknown
/// subsystem of netlink an invalid argument, newer ones an operation or protocol that is not supported.
pub fn lacks_nf_tables(said: &str) -> bool {
    const UNKNOWN: [&str; 3] =
        ["Invalid argument", "Protocol not supported", "Operation not supported"];
    said.lines().any(|line| {
        let asked =
            line.contains("cache initialization failed") || line.contains("initialize Netlink");
        asked && UNKNOWN.iter().any(|why| line.contains(why))
    })
}

#[cfg(test)]
mod tests {
    use super::super::Target;
    use super::*;
    use crate::interface::Interface;
    use breakit::net::Net;
    use breakit::protocol::Protocol;
    use std::time::Duration;

    fn script(share: Option<Percent>, traffic: &Traffic) -> String {
        let interfaces = [Interface { index: 2, name: "eth0".into(), v6: true, mtu: 1500 }];
        let id = FaultId::parse("3f2a").unwrap();
        let lease = Lease { length: Duration::from_secs(30) };
        let target = Target::Class;
        start(Order {
            id,
            target,
            traffic,
            share,
            translated: false,
            enter: "",
            interfaces: &interfaces,
            seat: &[22],
            lease,
        })
        .show()
    }

    #[test]
    fn the_table_sends_only_what_is_asked_for_into_the_class() {
        let to = vec![Net::parse("10.0.0.0/8").unwrap()];
        let ports = vec![Ports::parse("5432").unwrap(), Ports::parse("7000-7003").unwrap()];
        let traffic = Traffic::new(to, Some(Protocol::Tcp), ports);
        let script = script(None, &traffic);
        for line in [
            "    oifname != { \"eth0\" } return",
            "    tcp sport 22 return",
            "    ip daddr @to4 meta l4proto tcp th dport { 5432, 7000-7003 } meta priority set 0x00773f2a",
            "add element inet breakit_slow_3f2a to4 { 10.0.0.0/8 timeout 30000ms comment \"out tcp 5432,7000-7003\" }",
        ] {
            assert!(script.lines().any(|found| found == line), "{line}\n{script}");
        }
        assert!(!script.contains("add element inet breakit_slow_3f2a to6"));
    }

    #[test]
    fn a_kernel_without_nf_tables_is_told_apart_from_one_that_refuses() {
        for said in [
            "netlink: Error: cache initialization failed: Invalid argument",
            "netlink: Error: cache initialization failed: Protocol not supported",
            "netlink: Error: cache initialization failed: Operation not supported",
            "Unable to initialize Netlink socket: Protocol not supported",
        ] {
            assert!(lacks_nf_tables(said), "{said}");
        }
        for said in [
            "",
            "netlink: Error: cache initialization failed: Operation not permitted",
            "Error: Could not process rule: Operation not supported",
        ] {
            assert!(!lacks_nf_tables(said), "{said}");
        }
    }

    #[test]
    fn a_share_is_drawn_once_for_each_packet() {
        let script = script(Percent::parse("20%").ok(), &Traffic::default());
        let share = script.find("    numgen random mod 1000000 >= 200000 return\n");
        let rule = script.find("    ip daddr @to4 meta priority set 0x00773f2a\n");
        assert!(share.is_some() && share < rule, "{script}");
    }
}
