//! The interfaces of a node over which the struck packets leave.

use std::collections::{BTreeMap, BTreeSet};

use breakit::escape::cited;
use breakit::exit::{Error, Result, Status};
use breakit::messages;
use breakit::reach::Network;
use serde_json::Value;

use crate::kernel;
use crate::step::Step;
use crate::traffic::Traffic;
use breakit::net::Net;

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its number: one that is made anew has another, whatever its name.
    pub index: u32,
    /// Its name; the kernel allows anything but `/` and blanks, we what needs no quoting.
    pub name: String,
    /// Whether it has an IPv6 address that reaches beyond its link.
    pub v6: bool,
    /// The longest IP packet that it takes, in bytes.
    pub mtu: u32,
}

/// The addresses of peers that have several, by their names.
pub type Named = BTreeMap<String, Vec<Net>>;

/// The interfaces by which the packets of `traffic` leave: those that were asked for by name, else those that its routes
/// name, and for everybody all that are up and have an address, but for loopback. Of the `named` peers' addresses some
/// may have no route.
///
/// # Errors
/// 71 where there is no route or no interface; 77 and 69 as the system says.
pub fn find(network: &Network, traffic: &Traffic, named: &Named) -> Result<Vec<Interface>> {
    let all = links_up(network)?;
    let mut found: Vec<Interface> = if !traffic.interfaces.is_empty() {
        by_name(&traffic.interfaces, &all)?
    } else if traffic.named().is_empty() {
        all.iter().filter(|link| carries(link)).filter_map(interface).collect()
    } else {
        by_route(network, traffic, named, &all)?
    };
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found.dedup();
    if found.is_empty() {
        return Err(Error::system(
            "no interface but loopback is up and has an address; there is no traffic to make slow",
        ));
    }
    found.into_iter().map(named_well).collect()
}

fn by_name(names: &[String], all: &[Value]) -> Result<Vec<Interface>> {
    let find = |name: &String| {
        let link = all.iter().find(|link| link["ifname"] == name.as_str());
        link.and_then(interface).ok_or_else(|| {
            let up = all.iter().filter_map(|link| link["ifname"].as_str());
            Error::system(format!(
                "no interface {name} is up to make slow; --interface takes one of {}",
                up.collect::<Vec<_>>().join(", ")
            ))
        })
    };
    names.iter().map(find).collect()
}

/// The addresses of all interfaces that are up but for loopback, each with the number of its interface.
///
/// # Errors
/// As [`find`].
pub fn addresses_up(network: &Network) -> Result<BTreeSet<(u32, String)>> {
    let all = links_up(network)?;
    let of = |link: &Value| {
        let index = interface(link).map_or(0, |interface| interface.index);
        let global = addresses(link).filter(|address| address["scope"] == "global");
        let texts = global.filter_map(|address| address["local"].as_str());
        texts.map(|text| (index, text.to_string())).collect::<Vec<_>>()
    };
    Ok(all.iter().filter(|link| carries(link)).flat_map(of).collect())
}

/// The interfaces that are up with their addresses, as `ip -j address show up` tells them.
fn links_up(network: &Network) -> Result<Vec<Value>> {
    kernel::links_up(network)
        .unwrap_or_else(|| parse(&Step::new("ip -j address show up").run(network)?, "ip address"))
}

fn by_route(
    network: &Network,
    traffic: &Traffic,
    named: &Named,
    all: &[Value],
) -> Result<Vec<Interface>> {
    let (mut found, mut routed, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for prefix in traffic.named() {
        let text = match Step::new(format!("ip -j route get {}", prefix.address())).run(network) {
            Ok(text) => text,
            Err(error) if error.status() == Status::System => {
                failed.push((prefix, error));
                continue;
            }
            Err(error) => return Err(error),
        };
        routed.push(prefix);
        let devices: Vec<Value> = parse(&text, "ip route")?;
        let names = devices.iter().filter_map(|route| route["dev"].as_str());
        found.extend(
            names.filter_map(|name| {
                all.iter().find(|link| link["ifname"] == name).and_then(interface)
            }),
        );
    }
    for (prefix, error) in failed {
        // Of a peer with several addresses those that no packet can be sent to do no harm.
        let has_others =
            |all: &Vec<Net>| all.contains(prefix) && all.iter().any(|one| routed.contains(&one));
        if !named.values().any(has_others) {
            return Err(Error::system(format!(
                "there is no route to {prefix} to make slow ({error}); check --to"
            )));
        }
        messages::detail(format!("{prefix} is left out: there is no route to it"));
    }
    Ok(found)
}

fn carries(link: &Value) -> bool {
    let loopback = link["link_type"] == "loopback";
    !loopback && addresses(link).any(|address| address["scope"] == "global")
}

fn interface(link: &Value) -> Option<Interface> {
    let name = link["ifname"].as_str()?.to_string();
    let index = link["ifindex"].as_u64().and_then(|index| u32::try_from(index).ok())?;
    let v6 = addresses(link).any(|a| a["family"] == "inet6" && a["scope"] == "global");
    let mtu = link["mtu"].as_u64().and_then(|mtu| u32::try_from(mtu).ok()).unwrap_or(1500);
    Some(Interface { index, name, v6, mtu })
}

fn addresses(link: &Value) -> impl Iterator<Item = &Value> {
    link["addr_info"].as_array().into_iter().flatten()
}

fn named_well(interface: Interface) -> Result<Interface> {
    if checked_name(&interface.name).is_ok() {
        return Ok(interface);
    }
    Err(Error::system(format!(
        "the interface {:?} has a name that needs quoting; rename it, or name others with --interface",
        interface.name
    )))
}

/// The name of an interface, as the kernel takes them and needing no quotes.
///
/// # Errors
/// A sentence with the name and the form.
pub fn checked_name(name: &str) -> std::result::Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.@:".contains(c);
    match name.chars().all(allowed) && !name.starts_with('-') && (1..16).contains(&name.len()) {
        true => Ok(name.to_string()),
        false => {
            Err(format!("{} is no interface's name; ip link shows them, such as eth0", cited(name)))
        }
    }
}

/// Reads the JSON that iproute2 prints.
///
/// # Errors
/// 71 where it is none.
pub fn parse<T: serde::de::DeserializeOwned>(text: &str, what: &str) -> Result<T> {
    let text = if text.trim().is_empty() { "[]" } else { text };
    serde_json::from_str(text)
        .map_err(|e| Error::system(format!("{what} -j printed what is no JSON: {e}")))
}
