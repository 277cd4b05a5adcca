//! What comes in passes no queueing discipline, so it is sent round by a device of ours (an ifb), whose queues
//! can strike it; from there it goes on as if it had just come in.
//!
//! The lease is the kernel's here too: a filter sends round only what a timed set of ipset(8) holds the sender
//! of. A filter whose set is empty lets all pass by. The filters stand in a block of our own number, which all
//! interfaces of a network share: so what is ours is known by that number, whoever left it.

use breakit::exit::{Error, Result};
use breakit::net::Net;
use breakit::ports::{Ports, Transport};
use breakit::protocol::Protocol;
use breakit::reach::Network;

use crate::classify::Order;
use crate::fault_id::FaultId;
use crate::gate::{BLOCK, Gate};
use crate::interface::Interface;
use crate::kernel;
use crate::qdisc::{self, Queue, Tree, WithRoot};
use crate::step::Step;
use crate::traffic::Traffic;

/// The device.
pub const DEVICE: &str = "breakit-in";

/// The filters' preferences, for IPv4 and IPv6: behind those of most others.
const PREFERENCES: [(bool, u32, &str); 2] = [(true, 7701, "ip"), (false, 7702, "ipv6")];

/// Neighbour discovery: a node whose neighbours forget it is cut off, not slow.
const NEIGHBOURS: &str = "not (cmp(u8 at 6 layer network eq 58) and cmp(u8 at 40 layer network gt 132) and cmp(u8 at 40 layer network lt 137))";

/// All fragments but the first have no ports; they are of no use where the first one is late or lost.
const FRAGMENTS: &str = "not cmp(u16 at 6 layer network mask 0x1fff gt 0)";
const FRAGMENTS6: &str =
    "not (cmp(u8 at 6 layer network eq 44) and cmp(u16 at 42 layer network mask 0xfff8 gt 0))";

/// What makes the device, the fault's queue on it and the gates of `interfaces`. No packet takes that way yet.
///
/// # Errors
/// 71 where somebody else's filters stand at a gate.
pub fn make(
    trees: &[Tree],
    interfaces: &[Interface],
    id: FaultId,
    queue: &Queue,
    enter: &str,
) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    let ours = trees.iter().find(|tree| tree.interface == DEVICE);
    if ours.is_none() {
        steps.push(Step::new(format!("ip link add name {DEVICE} type ifb")));
    }
    steps.push(Step::new(format!("ip link set dev {DEVICE} up")));
    let fresh = Tree::fresh(DEVICE);
    steps.extend(qdisc::add(ours.unwrap_or(&fresh), id, queue, enter)?);
    for tree in trees.iter().filter(|tree| interfaces.iter().any(|i| i.name == tree.interface)) {
        let dev = &tree.interface;
        match &tree.gate {
            Gate::Ours => {}
            Gate::Open => {
                let line = format!("tc qdisc add dev {dev} ingress_block {BLOCK} ingress");
                steps.push(Step::new(line).hurried());
            }
            Gate::Foreign(what) => {
                return Err(Error::system(format!(
                    "{dev} has a queue of somebody else for what comes in ({what}): take --backend nfqueue, or, if nobody needs it: {enter}tc qdisc del dev {dev} {what}"
                )));
            }
        }
    }
    Ok(steps)
}

/// Sets that the filters of a fault match, beside those of addresses.
struct Sets<'a>(Order<'a>);

/// Ports, of the one protocol that they are of, or of both that sets of ports know, which are TCP and UDP.
type Of = Option<Protocol>;

impl Sets<'_> {
    fn name(&self, what: &str) -> String {
        format!("breakit-slow-{}-{what}", self.0.id)
    }

    fn of_ports(&self, what: &str, of: Of) -> String {
        self.name(&of.map_or(what.into(), |of| format!("{what}-{}", of.word())))
    }

    fn seat(&self) -> Option<String> {
        (!self.0.seat.is_empty()).then(|| self.name("seat"))
    }

    /// The ports that packets must have one of.
    fn wanted(&self) -> Vec<(Of, Vec<Ports>)> {
        let clauses = self.0.traffic.clauses().into_iter();
        let of = |protocols: &[Protocol]| {
            if protocols.len() == 1 { protocols.first().copied() } else { None }
        };
        clauses.map(|clause| (of(&clause.protocols), clause.ports)).collect()
    }

    /// The ports that are left alone.
    fn excepted(&self) -> Vec<(Of, Vec<Ports>)> {
        let of = |of: Option<Transport>| {
            let ports = self.0.traffic.except.ports.iter().filter(|ports| ports.transport == of);
            (of.map(Protocol::from), ports.copied().collect())
        };
        let all = [None, Some(Transport::Tcp), Some(Transport::Udp)].map(of);
        all.into_iter().filter(|(_, ports): &(Of, Vec<Ports>)| !ports.is_empty()).collect()
    }

    /// The addresses of an IP version that are left alone.
    fn excepted_nets(&self, v4: bool) -> Option<String> {
        let is_of = |net: &Net| net.is_ipv4() == v4;
        let name = || self.name(if v4 { "but-4" } else { "but-6" });
        self.0.traffic.except.nets.iter().any(is_of).then(name)
    }
}

/// Why filters cannot tell these packets from others, if they cannot.
pub fn cannot(traffic: &Traffic) -> Option<&'static str> {
    let is_sctp = |ports: &Ports| ports.transport == Some(Transport::Sctp);
    let has_ports = traffic.protocol == Some(Protocol::Sctp) && !traffic.ports.is_empty();
    let is_said = traffic.ports.iter().chain(&traffic.except.ports).any(is_sctp);
    (has_ports || is_said).then_some(
        "netem and htb do not see the ports of SCTP in what comes in; leave them out or take --backend nfqueue",
    )
}

/// The script for ipset(8) that makes the sets.
pub fn sets(order: Order<'_>) -> String {
    let (sets, mut script) = (Sets(order), String::new());
    let mut ports = |name: &str, all: &mut dyn Iterator<Item = String>| {
        script += &format!("create {name} bitmap:port range 0-65535\n");
        all.for_each(|ports| script += &format!("add {name} {ports}\n"));
    };
    if let Some(seat) = sets.seat() {
        ports(&seat, &mut order.seat.iter().map(u16::to_string));
    }
    for (what, all) in [("ports", sets.wanted()), ("but", sets.excepted())] {
        for (of, all) in all.iter().filter(|(_, all)| !all.is_empty()) {
            ports(&sets.of_ports(what, *of), &mut all.iter().map(|ports| ports.numbers("-")));
        }
    }
    for (v4, family) in [(true, "inet"), (false, "inet6")] {
        let Some(name) = sets.excepted_nets(v4) else { continue };
        script += &format!("create {name} hash:net family {family}\n");
        let nets = order.traffic.except.nets.iter().filter(|net| net.is_ipv4() == v4);
        nets.for_each(|net| script += &format!("add {name} {net}\n"));
    }
    script
}

/// What sends packets round. `set` names the set of senders of a family.
pub fn feed(order: Order<'_>, set: impl Fn(bool) -> String) -> Step {
    let mut script = String::new();
    for (v4, preference, protocol) in PREFERENCES {
        if order.traffic.elements(v4).is_empty() {
            continue;
        }
        script += &format!(
            "filter replace block {BLOCK} protocol {protocol} pref {preference} handle 0x{id} basic match '{matches}' \
             action skbedit priority 77:{id} action mirred egress redirect dev {DEVICE}\n",
            id = order.id,
            matches = matches(order, v4, &set(v4)),
        );
    }
    Step::new("tc -batch -").fed(script)
}

/// The match of a filter. Of IPv6 only packets whose first header is the protocol's own are of that protocol.
fn matches(order: Order<'_>, v4: bool, senders: &str) -> String {
    let sets = Sets(order);
    let of = |protocol: Protocol| {
        let at = if v4 { 9 } else { 6 };
        format!("cmp(u8 at {at} layer network eq {})", protocol.number(v4))
    };
    let either = |what: &str, protocol: Of| {
        let name = sets.of_ports(what, protocol);
        format!("(ipset({name} src) or ipset({name} dst))")
    };
    let mut all = vec![format!("ipset({senders} src)")];
    if !v4 {
        all.push(NEIGHBOURS.into());
    }
    all.extend(sets.seat().map(|seat| format!("not ipset({seat} dst)")));
    if let Some(name) = sets.excepted_nets(v4) {
        all.extend(["src", "dst"].map(|side| format!("not ipset({name} {side})")));
    }
    let excepted = sets.excepted();
    if !excepted.is_empty() {
        all.push(if v4 { FRAGMENTS.into() } else { FRAGMENTS6.into() });
    }
    all.extend(excepted.iter().map(|(protocol, _)| match protocol {
        None => format!("not {}", either("but", None)),
        Some(one) => format!("not ({} and {})", of(*one), either("but", *protocol)),
    }));
    let clause = |(protocol, ports): &(Of, Vec<Ports>)| {
        let ports = (!ports.is_empty()).then(|| either("ports", *protocol));
        let both = protocol.map(of).into_iter().chain(ports).collect::<Vec<_>>();
        (!both.is_empty()).then(|| both.join(" and "))
    };
    let wanted: Vec<String> = sets.wanted().iter().filter_map(clause).collect();
    all.extend(match &wanted[..] {
        [] => None,
        [one] => Some(one.clone()),
        several => Some(format!("(({}))", several.join(") or ("))),
    });
    all.join(" and ")
}

/// Whether filters of ours may be in the network: without a gate there is no block of them.
pub fn may_have_filters(network: &Network) -> bool {
    match kernel::qdiscs(network) {
        Some(Ok(qdiscs)) => qdiscs.iter().any(|qdisc| qdisc["ingress_block"] == BLOCK),
        _ => true,
    }
}

/// Takes the filters of a fault away.
///
/// # Errors
/// All that stood in the way.
pub fn starve(network: &Network, id: FaultId) -> Result<()> {
    let shown = Step::new(format!("tc filter show block {BLOCK}")).output(network)?;
    // Without a gate there is no block.
    if !shown.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&shown.stdout);
    let handle = format!(" handle 0x{id} ");
    let is_there = |preference: u32| {
        let mut lines = text.lines().map(|line| format!("{line} "));
        lines.any(|l| l.contains(&format!(" pref {preference} ")) && l.contains(&handle))
    };
    let mut errors = Vec::new();
    for (_, preference, protocol) in PREFERENCES.iter().filter(|(_, p, _)| is_there(*p)) {
        let filter = format!("protocol {protocol} pref {preference} handle 0x{id} basic");
        let delete = Step::new(format!("tc filter del block {BLOCK} {filter}"));
        errors.extend(delete.run(network).err());
    }
    Error::all(errors)
}

/// What takes the queues of the faults `ours` off the device; and the device and its gates, where no other
/// fault needs them. The gates go first: what is sent to a device that is gone is lost.
pub fn remove(trees: &[Tree], ours: impl Fn(FaultId) -> bool, root: WithRoot) -> Vec<Step> {
    let device = trees.iter().find(|tree| tree.interface == DEVICE);
    let others = device.is_some_and(|tree| tree.leaves.iter().any(|leaf| !ours(leaf.id)));
    if root == WithRoot::Keep || others {
        return device.into_iter().flat_map(|tree| qdisc::remove_classes(tree, &ours)).collect();
    }
    let gates = trees.iter().filter(|tree| tree.gate == Gate::Ours);
    let open = gates
        .map(|tree| Step::new(format!("tc qdisc del dev {} ingress", tree.interface)).hurried());
    let device = device.map(|_| Step::new(format!("ip link del dev {DEVICE}")));
    open.chain(device).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::Target;
    use crate::traffic::{Direction, Traffic};
    use breakit::lease::Lease;
    use breakit::net::Net;
    use breakit::ports::Ports;
    use breakit::protocol::Protocol;
    use serde_json::{Value, json};
    use std::time::Duration;

    fn trees(gate: &Value) -> Vec<Tree> {
        qdisc::read(&[
            json!({"kind":"htb","handle":"77:","dev":"eth0","root":true}),
            gate.clone(),
            json!({"kind":"htb","handle":"77:","dev":DEVICE,"root":true}),
            json!({"kind":"netem","handle":"8001:","dev":DEVICE,"parent":"77:3f2a"}),
            json!({"kind":"netem","handle":"8002:","dev":DEVICE,"parent":"77:4000"}),
        ])
    }

    fn shown(steps: &[Step]) -> Vec<String> {
        steps.iter().map(Step::show).collect()
    }

    #[test]
    fn gates_are_told_apart_and_a_foreign_one_is_refused_with_the_remedy() {
        let gate = |more: Value| {
            let mut gate = json!({"kind":"clsact","dev":"eth0","parent":"ffff:fff1"});
            gate.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            trees(&gate)[0].gate.clone()
        };
        assert_eq!(gate(json!({"ingress_block": 77})), Gate::Ours);
        assert_eq!(gate(json!({"dev": "eth1"})), Gate::Open);
        assert_eq!(gate(json!({})), Gate::Foreign("clsact".into()));
        let eth0 = [Interface { index: 2, name: "eth0".into(), v6: false, mtu: 1500 }];
        let trees = trees(&json!({"kind":"clsact","dev":"eth0","parent":"ffff:fff1"}));
        let error = make(&trees, &eth0, FaultId::draw(), &Queue::blackhole(), "").unwrap_err();
        assert!(error.to_string().contains("tc qdisc del dev eth0 clsact"), "{error}");
    }

    #[test]
    fn the_last_fault_takes_the_gates_away_before_the_device() {
        let trees =
            trees(&json!({"kind":"ingress","dev":"eth0","parent":"ffff:fff1","ingress_block":77}));
        let one = FaultId::parse("3f2a").unwrap();
        let class = format!("tc class del dev {DEVICE} classid 77:3f2a");
        assert_eq!(shown(&remove(&trees, |id| id == one, WithRoot::Remove)), [class]);
        assert_eq!(
            shown(&remove(&trees, |_| true, WithRoot::Remove)),
            ["tc qdisc del dev eth0 ingress", "ip link del dev breakit-in"]
        );
    }

    #[test]
    fn a_filter_takes_only_the_traffic_that_is_asked_for() {
        let to = vec![Net::parse("10.0.0.0/8").unwrap()];
        let traffic =
            Traffic::new(to, Some(Protocol::Tcp), vec![Ports::parse("7000-7003").unwrap()]);
        let traffic = traffic.going(Direction::In);
        let id = FaultId::parse("3f2a").unwrap();
        let order = Order {
            id,
            target: Target::Class,
            traffic: &traffic,
            share: None,
            translated: false,
            enter: "",
            interfaces: &[],
            seat: &[22],
            lease: Lease { length: Duration::from_secs(30) },
        };
        let script = feed(order, |_| "s4".into()).show();
        let wanted = "basic match 'ipset(s4 src) and not ipset(breakit-slow-3f2a-seat dst) and \
             cmp(u8 at 9 layer network eq 6) and (ipset(breakit-slow-3f2a-ports-tcp src) or ipset(breakit-slow-3f2a-ports-tcp dst))'";
        assert!(script.contains(wanted) && !script.contains("ipv6"), "{script}");
        assert!(sets(order).contains("add breakit-slow-3f2a-ports-tcp 7000-7003\n"));
    }
}
