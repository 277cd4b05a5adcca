//! What a node may send: frames of its own to its fleet, and to the host no more than answers.
//!
//! Two nftables tables of the fleet's own, which match its ports and its bridge alone. In the bridge, each frame must
//! come from the address that its node has. At the host, a connection that the host opened passes, and one that a node
//! opens is refused, so that its program fails at once; nothing passes through to other networks.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::Command;
use std::time::Duration;

use breakit::exit::Result;
use breakit::node::Name;
use breakit::program;

use crate::fleet::state::{self, State};
use crate::network;
use crate::network::nat;
use crate::step::Step;

/// How long `nft` may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Puts up the walls of a fleet, in place of those that it has, in one transaction.
///
/// # Errors
/// 69 if nft is missing, 71 if the kernel refuses.
pub fn raise(fleet: &Name, state: &State) -> Result<()> {
    nft(&(tearing(fleet) + &rules(fleet, state)))
}

/// Takes them away; nothing happens where there are none.
///
/// # Errors
/// As [`raise`].
pub fn tear_down(fleet: &Name) -> Result<()> {
    nft(&tearing(fleet))
}

/// The step that puts them up.
pub fn raising<'a>(fleet: &'a Name, state: &'a State) -> Step<'a> {
    let show = || {
        let tables = format!("the tables bridge and inet {}", network::table(fleet));
        Ok([format!("# what a node may send is in {tables}: {}", program::show(&command()?))])
    };
    Step::new(show, || raise(fleet, state))
}

/// What runs `nft` with a script on its stdin.
fn command() -> Result<Command> {
    let mut command = program::command("nft", "nftables")?;
    command.args(["-f", "-"]);
    Ok(command)
}

fn nft(script: &str) -> Result<()> {
    program::succeed(&mut command()?, Some(script.as_bytes()), LIMIT).map(drop)
}

/// The script that removes both tables, whether they are there or not.
fn tearing(fleet: &Name) -> String {
    let table = network::table(fleet);
    ["bridge", "inet"]
        .map(|family| format!("add table {family} {table}\ndelete table {family} {table}\n"))
        .concat()
}

/// The script that makes both tables.
fn rules(fleet: &Name, state: &State) -> String {
    let (own4, own6) = addresses(fleet, state);
    let (table, bridge) = (network::table(fleet), network::bridge(fleet));
    let ports = network::ports(fleet);
    let (open, untracked) = (open(&state.allow_host), untracked(&bridge, &state.allow_host));
    let (through, leaving) = if state.nat { nat::rules(fleet) } else { Default::default() };
    // Frames to 01:80:c2:00:00:00 to 0f are not forwarded (IEEE 802.1D): they pass by the bridge's own rules and come to
    // the host as from the port itself, from where nothing of IP has to come.
    format!(
        "table bridge {table} {{
    set own4 {{ type ifname . ether_addr . ipv4_addr; elements = {{ {own4} }}; }}
    set own6 {{ type ifname . ether_addr . ipv6_addr; elements = {{ {own6} }}; }}
    chain sent {{
        type filter hook prerouting priority -450; policy accept;
        iifname != \"{ports}\" accept
        ether type arp iifname . ether saddr . arp saddr ip @own4 iifname . arp saddr ether . arp saddr ip @own4 accept
        ether type ip iifname . ether saddr . ip saddr @own4 udp sport 67 drop
        ether type ip iifname . ether saddr . ip saddr @own4 accept
        ether type ip6 icmpv6 type {{ nd-router-advert, nd-redirect }} drop
        ether type ip6 udp sport 547 drop
        ether type ip6 iifname . ether saddr . ip6 saddr @own6 accept
        ether type ip6 ip6 saddr :: icmpv6 type {{ nd-neighbor-solicit, mld2-listener-report }} accept
        drop
    }}
}}
table inet {table} {{
{untracked}    chain to_host {{
        type filter hook input priority -10; policy accept;
        iifname \"{ports}\" drop
        iifname != \"{bridge}\" accept
        ct state established,related accept
        icmp type echo-request accept
{open}        meta pkttype != host drop
        meta l4proto tcp reject with tcp reset
        reject
    }}
    chain through_host {{
        type filter hook forward priority -10; policy accept;
        iifname \"{ports}\" drop
        iifname \"{bridge}\" oifname \"{bridge}\" accept
{through}        iifname \"{bridge}\" reject with icmpx type admin-prohibited
        oifname \"{bridge}\" drop
    }}
{leaving}}}
"
    )
}

/// The elements of both sets of addresses: port, address on the wire, and address of the protocol.
fn addresses(fleet: &Name, state: &State) -> (String, String) {
    let mut elements = (Vec::new(), Vec::new());
    for member in &state.members {
        let port = network::port(fleet, member.number);
        let wire = network::mac(state.subnet, member.number);
        let four: Ipv4Addr = state::address(state.subnet, member.number);
        let six = link_local(state.subnet, member.number);
        elements.0.push(format!("\"{port}\" . {wire} . {four}"));
        elements.1.push(format!("\"{port}\" . {wire} . {six}"));
    }
    (elements.0.join(", "), elements.1.join(", "))
}

/// The link-local address that the kernel makes of the address on the wire (RFC 4291, appendix A).
fn link_local([a, b, c]: [u8; 3], number: u8) -> Ipv6Addr {
    let pair = |high: u8, low: u8| u16::from_be_bytes([high, low]);
    // The first byte on the wire is 02, of which the bit for locally made addresses is turned.
    Ipv6Addr::new(0xfe80, 0, 0, 0, pair(0, a), pair(b, 0xff), pair(0xfe, c), pair(0, number))
}

/// Keeps what nodes may begin out of the host's table of connections: a node that fills it would cut the host off.
fn untracked(bridge: &str, ports: &[u16]) -> String {
    let list = ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
    let rule = |port: &str, way: &str| match ports {
        [] => String::new(),
        _ => format!(
            "        {way} \"{bridge}\" meta l4proto {{ tcp, udp }} th {port} {{ {list} }} notrack\n"
        ),
    };
    let (asked, answered) =
        (rule("dport", "fib daddr type local iifname"), rule("sport", "oifname"));
    format!(
        "    chain asked {{
        type filter hook prerouting priority raw; policy accept;
        iifname \"{bridge}\" icmp type echo-request notrack
{asked}    }}
    chain answered {{
        type filter hook output priority raw; policy accept;
{answered}    }}
"
    )
}

/// The rules that let nodes reach ports of the host.
fn open(ports: &[u16]) -> String {
    let rule = |port: &u16| format!("        meta l4proto {{ tcp, udp }} th dport {port} accept\n");
    ports.iter().map(rule).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::ids::Ids;

    #[test]
    fn each_node_has_one_port_one_address_on_the_wire_and_one_of_each_protocol() {
        let fleet = Name::new("x").unwrap();
        let mut state = State::new([10, 213, 7], Ids::Host);
        let limits = crate::node::limits::Limits::default();
        let make = crate::fleet::state::Make {
            image: "host",
            show: &[],
            allow: &[],
            limits: &limits,
            disk: None,
        };
        state.add(&Name::new("n1").unwrap(), make).unwrap();
        let (four, six) = addresses(&fleet, &state);
        assert!(four.ends_with("02:0a:d5:07:00:01 . 10.213.7.11"), "{four}");
        assert!(six.ends_with("02:0a:d5:07:00:01 . fe80::a:d5ff:fe07:1"), "{six}");
    }
}
