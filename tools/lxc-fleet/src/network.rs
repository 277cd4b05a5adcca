//! A fleet's bridge and subnet, and the route that catches what would stray.
//!
//! | module | what it holds |
//! |---|---|
//! | [`walls`] | what a node may send to its fleet and to the host |
//! | [`nat`] | the way out to other networks, if the fleet has one |

pub mod nat;
pub mod walls;

use std::fs;
use std::net::Ipv4Addr;
use std::time::Duration;

use breakit::exit::{Error, Result};
use breakit::messages;
use breakit::node::Name;
use breakit::program;
use serde_json::Value;

use crate::fleet::state;
use crate::step::{self, Step};

/// How long a single `ip` may take.
const LIMIT: Duration = Duration::from_secs(10);

/// The metric of the route beneath the bridge's own: chosen only when that is gone.
const LAST_RESORT: &str = "4278198272";

/// The name of the fleet's bridge; the kernel allows 15 characters.
pub fn bridge(fleet: &Name) -> String {
    let plain = format!("bk-{fleet}");
    if plain.len() <= 15 { plain } else { format!("bk-{:012x}", hash(fleet.as_str()) >> 16) }
}

/// The name, on the host, of the interface of node `number`.
pub fn port(fleet: &Name, number: u8) -> String {
    format!("bk{:08x}.{number}", hash(fleet.as_str()) >> 32)
}

/// What the names of all interfaces of [`port`] begin with, as nftables takes it.
pub fn ports(fleet: &Name) -> String {
    format!("bk{:08x}.*", hash(fleet.as_str()) >> 32)
}

/// The name of the fleet's nftables tables.
pub fn table(fleet: &Name) -> String {
    format!("breakit_fleet_{:08x}", hash(fleet.as_str()) >> 32)
}

/// The address of node `number` on the wire. It is fixed: after a random one, the host's memory of the old one
/// (ARP) blacks a new node out for up to a minute.
pub fn mac(subnet: [u8; 3], number: u8) -> String {
    let [a, b, c] = subnet;
    format!("02:{a:02x}:{b:02x}:{c:02x}:00:{number:02x}")
}

/// The address of the host in the fleet's subnet.
pub fn gateway([a, b, c]: [u8; 3]) -> Ipv4Addr {
    Ipv4Addr::new(a, b, c, 1)
}

/// The address of the bridge on the wire; no node has it.
fn bridge_mac([a, b, c]: [u8; 3]) -> String {
    format!("02:{a:02x}:{b:02x}:{c:02x}:01:00")
}

/// FNV-1a.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// A subnet that nothing on this host uses. The caller holds [`state::lock_all`] until it is remembered.
///
/// # Errors
/// 71 where all that we know of are in use, 69 where `ip` is missing.
pub fn free_subnet() -> Result<[u8; 3]> {
    let mut used = used_by_host()?;
    used.extend(state::readable()?.into_iter().map(|(_, state)| Range::of(state.subnet)));
    candidates().find(|subnet| !used.iter().any(|range| range.overlaps(Range::of(*subnet)))).ok_or_else(|| {
        Error::system(
            "every subnet that a fleet could have is in use on this host (10.213.0.0/16, 172.29.0.0/16, 198.18.0.0/15); take a fleet down, or remove the route that covers them",
        )
    })
}

fn candidates() -> impl Iterator<Item = [u8; 3]> {
    let nets = [[10, 213], [172, 29], [198, 18], [198, 19]];
    nets.into_iter().flat_map(|[a, b]| (0..=255).map(move |c| [a, b, c]))
}

/// Addresses from a first to a last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range(u32, u32);

impl Range {
    fn of([a, b, c]: [u8; 3]) -> Range {
        let first = u32::from(Ipv4Addr::new(a, b, c, 0));
        Range(first, first | 0xff)
    }

    /// `10.0.0.0/8`, `10.1.2.3`; `None` for the default route, which uses no subnet in particular.
    fn parse(text: &str) -> Option<Range> {
        let (address, bits) = text.split_once('/').unwrap_or((text, "32"));
        let (address, bits) =
            (u32::from(address.parse::<Ipv4Addr>().ok()?), bits.parse::<u32>().ok()?);
        let rest = u32::MAX.checked_shr(bits).unwrap_or(0);
        (bits > 0).then_some(Range(address & !rest, address | rest))
    }

    fn overlaps(self, other: Range) -> bool {
        self.0 <= other.1 && other.0 <= self.1
    }
}

/// What addresses and routes of this host cover.
fn used_by_host() -> Result<Vec<Range>> {
    let mut used = Vec::new();
    for route in json(&["-4", "route", "show", "table", "all"])? {
        used.extend(route["dst"].as_str().and_then(Range::parse));
    }
    for link in json(&["-4", "addr", "show"])? {
        for info in link["addr_info"].as_array().into_iter().flatten() {
            let of = |field: &str| info[field].as_str();
            let text = of("local").zip(info["prefixlen"].as_u64()).map(|(a, n)| format!("{a}/{n}"));
            used.extend(text.as_deref().and_then(Range::parse));
            used.extend(of("address").and_then(Range::parse));
        }
    }
    Ok(used)
}

fn json(args: &[&str]) -> Result<Vec<Value>> {
    let said = ip(&[&["-j"], args].concat())?;
    // Old versions print nothing at all for an empty list.
    if said.trim().is_empty() {
        return Ok(Vec::new());
    }
    serde_json::from_str(&said)
        .map_err(|e| Error::system(format!("ip {} said no JSON: {e}", args.join(" "))))
}

fn ip(args: &[&str]) -> Result<String> {
    let mut command = program::command("ip", "iproute2")?;
    command.args(args);
    program::succeed(&mut command, None, LIMIT)
}

/// What sysctl(8) calls a setting of an interface: it takes the dots of a name for slashes, and slashes for dots.
pub fn sysctl(interface: &str, setting: &str) -> String {
    format!("net.ipv4.conf.{}.{setting}", interface.replace('.', "/"))
}

/// The interfaces of this host's default routes.
///
/// # Errors
/// 69 where `ip` is missing.
pub fn default_ways() -> Result<Vec<String>> {
    let routes = json(&["-4", "route", "show", "default"])?;
    Ok(routes.iter().filter_map(|route| Some(route["dev"].as_str()?.to_string())).collect())
}

/// The steps that make the bridge and its routes, or what of them is missing; the host forwards what nodes send only
/// with `nat`.
pub fn making<'a>(fleet: &Name, subnet: [u8; 3], nat: bool) -> Vec<Step<'a>> {
    let (bridge, [a, b, c]) = (bridge(fleet), subnet);
    let (new, mut steps) = (!exists(&bridge), Vec::new());
    if new {
        let fleet = fleet.clone();
        steps.push(Step::silent(move || not_taken(&fleet, subnet)));
        // With no address of its own it would take the lowest of its ports', and another when that one goes: what
        // nodes send to the host would be lost until they ask for it again.
        let mac = bridge_mac(subnet);
        steps.push(ip_step(format!("link add {bridge} address {mac} type bridge")));
    }
    let made = bridge.clone();
    let forwarding = nat.then(|| format!("sysctl -w {}=1", sysctl(&bridge, "forwarding")));
    // Before it is up.
    steps.push(Step::new(
        move || Ok(forwarding),
        move || {
            takes_nothing_from_nodes(&made, nat);
            Ok(())
        },
    ));
    steps.push(ip_step(format!("addr replace {a}.{b}.{c}.1/24 dev {bridge}")));
    steps.push(ip_step(format!("link set {bridge} up")));
    steps.push(ip_step(format!("route replace unreachable {a}.{b}.{c}.0/24 metric {LAST_RESORT}")));
    steps.push(Step::silent(move || {
        if new {
            messages::detail(format!("bridge {bridge} is made, for {a}.{b}.{c}.0/24"));
        }
        not_through_iptables(&bridge);
        Ok(())
    }));
    steps
}

/// A step of `ip`. No name and no address has a blank in it.
fn ip_step<'a>(line: String) -> Step<'a> {
    Step::told(format!("ip {line}"), move || ip(&line.split(' ').collect::<Vec<_>>()).map(drop))
}

/// The step that joins the interface of node `number` to the bridge; none if it is joined.
pub fn joining<'a>(fleet: &Name, number: u8) -> Option<Step<'a>> {
    let (bridge, port) = (bridge(fleet), port(fleet, number));
    let master = fs::read_link(format!("/sys/class/net/{port}/master"));
    let joined =
        master.is_ok_and(|link| link.file_name().is_some_and(|name| name == bridge.as_str()));
    (!joined).then(|| ip_step(format!("link set {port} master {bridge} up")))
}

/// After a reboot somebody else may have come to use the subnet that the fleet had.
fn not_taken(fleet: &Name, subnet: [u8; 3]) -> Result<()> {
    let own = Range::of(subnet);
    if used_by_host()?.iter().any(|range| *range != own && range.overlaps(own)) {
        let [a, b, c] = subnet;
        return Err(Error::system(format!(
            "the subnet {a}.{b}.{c}.0/24 of fleet {fleet} is in use on this host now; run lxc-fleet down and then up, which finds another"
        )));
    }
    Ok(())
}

/// Lets no node configure the host: no router advertisement gives it a route, no neighbour an address. A fleet has no
/// IPv6 addresses.
fn takes_nothing_from_nodes(bridge: &str, nat: bool) {
    for (family, name, value) in [
        ("ipv6", "accept_ra", "0"),
        ("ipv6", "disable_ipv6", "1"),
        ("ipv4", "accept_redirects", "0"),
        ("ipv4", "send_redirects", "0"),
        ("ipv4", "forwarding", if nat { "1" } else { "0" }),
    ] {
        // It is not there if the kernel has no IPv6, and then there is nothing to be switched.
        let _ = fs::write(format!("/proc/sys/net/{family}/conf/{bridge}/{name}"), value);
    }
}

/// Keeps bridged frames out of iptables as far as this bridge decides that. The switch of all bridges
/// (`net.bridge.bridge-nf-call-iptables`) is not ours: [`crate::fleet::up`] looks whether frames pass.
fn not_through_iptables(bridge: &str) {
    for switch in ["nf_call_iptables", "nf_call_ip6tables", "nf_call_arptables"] {
        // It is not there where the kernel has no br_netfilter, and then nothing is to be switched.
        let _ = fs::write(format!("/sys/class/net/{bridge}/bridge/{switch}"), "0");
    }
}

/// Whether frames on bridges go through iptables on this host.
pub fn bridged_frames_are_filtered() -> bool {
    fs::read_to_string("/proc/sys/net/bridge/bridge-nf-call-iptables")
        .is_ok_and(|text| text.trim() == "1")
}

/// The steps that remove the bridge and its routes, or what is left of them.
pub fn removing<'a>(fleet: &Name, subnet: [u8; 3]) -> Vec<Step<'a>> {
    let (bridge, [a, b, c]) = (bridge(fleet), subnet);
    let net = format!("{a}.{b}.{c}.0/24");
    let mut steps = Vec::new();
    let ours = json(&["-4", "route", "show", "type", "unreachable"]).unwrap_or_default();
    if ours.iter().any(|route| route["dst"] == net.as_str()) {
        steps.push(ip_step(format!("route del unreachable {net} metric {LAST_RESORT}")));
    }
    if exists(&bridge) {
        steps.push(ip_step(format!("link del {bridge}")));
    }
    steps
}

/// The subnet that the fleet's bridge has, if there is one.
///
/// # Errors
/// 69 if `ip` is missing.
pub fn subnet_of_bridge(fleet: &Name) -> Result<Option<[u8; 3]>> {
    let bridge = bridge(fleet);
    if !exists(&bridge) {
        return Ok(None);
    }
    let links = json(&["-4", "addr", "show", "dev", &bridge])?;
    let infos = links.iter().flat_map(|link| link["addr_info"].as_array().into_iter().flatten());
    let address = |info: &Value| info["local"].as_str()?.parse::<Ipv4Addr>().ok();
    Ok(infos.filter_map(address).next().map(|address| {
        let [a, b, c, _] = address.octets();
        [a, b, c]
    }))
}

/// The subnets of our routes that no fleet has and no interface: what a fleet left whose memory was lost.
///
/// # Errors
/// 69 if `ip` is missing.
pub fn forlorn() -> Result<Vec<[u8; 3]>> {
    // The routes first: a fleet is remembered before it has any.
    let routes = json(&["-4", "route", "show", "type", "unreachable"])?;
    let ours = |route: &&Value| route["metric"].as_u64() == LAST_RESORT.parse().ok();
    let left: Vec<&str> = routes.iter().filter(ours).filter_map(|r| r["dst"].as_str()).collect();
    if left.is_empty() {
        return Ok(Vec::new());
    }
    let mut used: Vec<Range> =
        state::readable()?.into_iter().map(|(_, state)| Range::of(state.subnet)).collect();
    for link in json(&["-4", "addr", "show"])? {
        let infos = link["addr_info"].as_array().into_iter().flatten();
        used.extend(infos.filter_map(|info| Range::parse(info["local"].as_str()?)));
    }
    let free = |range: Range| !used.iter().any(|other| other.overlaps(range));
    Ok(candidates()
        .filter(|[a, b, c]| left.contains(&format!("{a}.{b}.{c}.0/24").as_str()))
        .filter(|subnet| free(Range::of(*subnet)))
        .collect())
}

/// Removes the routes that [`forlorn`] finds. The caller holds [`state::lock_all`].
///
/// # Errors
/// 71 if the system refuses.
pub fn remove_forlorn() -> Result<()> {
    let route = |[a, b, c]: [u8; 3]| format!("{a}.{b}.{c}.0/24 metric {LAST_RESORT}");
    let steps =
        forlorn()?.into_iter().map(|subnet| format!("route del unreachable {}", route(subnet)));
    step::take(steps.map(ip_step).collect())
}

fn exists(interface: &str) -> bool {
    // Not by /sys, which may be that of another network namespace.
    nix::net::if_::if_nametoindex(interface).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interface_names_fit_the_kernel_and_differ_by_fleet() {
        for fleet in ["a", "default", "a-fleet-with-a-long-name", &"x".repeat(63)] {
            let fleet = Name::new(fleet).unwrap();
            assert!(bridge(&fleet).len() <= 15);
            assert!(port(&fleet, 240).len() <= 15);
        }
        let long = |end: &str| Name::new(&format!("a-fleet-with-a-long-name-{end}")).unwrap();
        assert_ne!(bridge(&long("1")), bridge(&long("2")));
    }

    #[test]
    fn the_name_of_an_interface_with_a_dot_is_written_as_sysctl_takes_it() {
        assert_eq!(sysctl("eth0.7", "forwarding"), "net.ipv4.conf.eth0/7.forwarding");
    }

    #[test]
    fn a_wider_route_covers_a_subnet_and_the_default_route_does_not() {
        let net = Range::of([10, 213, 7]);
        assert!(Range::parse("10.0.0.0/8").unwrap().overlaps(net));
        assert!(Range::parse("10.213.7.99").unwrap().overlaps(net));
        assert!(!Range::parse("10.213.8.0/24").unwrap().overlaps(net));
        assert_eq!(Range::parse("default"), None);
        assert_eq!(Range::parse("0.0.0.0/0"), None);
    }
}
