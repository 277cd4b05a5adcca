//! The interfaces of a node over which the struck packets leave.

use breakit::exit::{Error, Result};
use breakit::reach::Network;
use serde_json::Value;

use crate::kernel;
use crate::step::Step;
use crate::traffic::{Prefix, Traffic};

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name; the kernel allows anything but `/` and blanks, we what needs no quoting.
    pub name: String,
    /// Whether it has an IPv6 address that reaches beyond its link.
    pub v6: bool,
}

/// The interfaces by which the packets of `traffic` leave: those that its routes name, and for everybody
/// all that are up and have an address, but for loopback.
///
/// # Errors
/// 71 where there is no route or no interface; 77 and 69 as the system says.
pub fn find(network: &Network, traffic: &Traffic) -> Result<Vec<Interface>> {
    let all = links_up(network)?;
    let mut found: Vec<Interface> = if traffic.named().is_empty() {
        all.iter().filter(|link| carries(link)).filter_map(interface).collect()
    } else {
        by_route(network, traffic, &all)?
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

/// The blocks of addresses that lie on the links of `network` themselves, behind no router.
///
/// # Errors
/// 71, 77 and 69 as the system says.
pub fn on_link(network: &Network) -> Result<Vec<Prefix>> {
    let all = links_up(network)?;
    let block = |address: &Value| {
        let (local, length) = (address["local"].as_str()?, address["prefixlen"].as_u64()?);
        Prefix::new(local.parse().ok()?, u8::try_from(length).ok()?)
    };
    Ok(all.iter().filter(|link| carries(link)).flat_map(addresses).filter_map(block).collect())
}

/// The interfaces that are up with their addresses, as `ip -j address show up` tells them.
fn links_up(network: &Network) -> Result<Vec<Value>> {
    kernel::links_up(network)
        .unwrap_or_else(|| parse(&Step::new("ip -j address show up").run(network)?, "ip address"))
}

fn by_route(network: &Network, traffic: &Traffic, all: &[Value]) -> Result<Vec<Interface>> {
    let mut found: Vec<Interface> = Vec::new();
    for prefix in traffic.named() {
        let address = prefix.address();
        let routes = Step::new(format!("ip -j route get {address}"));
        let text = routes.run(network).map_err(|error| match error.status() {
            breakit::exit::Status::System => Error::system(format!(
                "there is no route to {prefix} to make slow ({error}); check --to"
            )),
            _ => error,
        })?;
        let devices: Vec<Value> = parse(&text, "ip route")?;
        let names = devices.iter().filter_map(|route| route["dev"].as_str());
        found.extend(
            names.filter_map(|name| {
                all.iter().find(|link| link["ifname"] == name).and_then(interface)
            }),
        );
    }
    Ok(found)
}

fn carries(link: &Value) -> bool {
    let loopback = link["link_type"] == "loopback";
    !loopback && addresses(link).any(|address| address["scope"] == "global")
}

fn interface(link: &Value) -> Option<Interface> {
    let name = link["ifname"].as_str()?.to_string();
    let v6 = addresses(link).any(|a| a["family"] == "inet6" && a["scope"] == "global");
    Some(Interface { name, v6 })
}

fn addresses(link: &Value) -> impl Iterator<Item = &Value> {
    link["addr_info"].as_array().into_iter().flatten()
}

fn named_well(interface: Interface) -> Result<Interface> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.@:".contains(c);
    if interface.name.chars().all(allowed) && !interface.name.starts_with('-') {
        return Ok(interface);
    }
    Err(Error::system(format!(
        "the interface {:?} has a name that needs quoting; rename it, or name peers with --to",
        interface.name
    )))
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
