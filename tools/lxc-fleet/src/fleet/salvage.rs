//! What there is of a fleet whose memory is damaged, so that `down` can take it down all the same.
//!
//! Containers are told by their configuration: the fleet `a` has a container `breakit-a-b-n1` if one of its nodes is
//! `b-n1`, and so has the fleet `a-b`.

use std::fs;
use std::path::Path;

use breakit::exit::Result;
use breakit::messages;
use breakit::node::{LXCPATH, Name};

use crate::files;
use crate::fleet::state::{self, Member, State};
use crate::network;
use crate::node::ids::Ids;
use crate::node::limits::Limits;

/// The subnet of a fleet of which nothing says which it had.
const NOWHERE: [u8; 3] = [0, 0, 0];

/// The fleet's memory, or what is found of the fleet if that is damaged; `None` if there is no such fleet.
///
/// # Errors
/// 71 or 77 if it cannot be looked for.
pub fn load(fleet: &Name) -> Result<Option<State>> {
    match state::load(fleet) {
        Ok(state) => Ok(state),
        Err(error) => {
            messages::say(format!(
                "what fleet {fleet} has is looked for, as its memory is damaged: {error}"
            ));
            found(fleet).map(Some)
        }
    }
}

fn found(fleet: &Name) -> Result<State> {
    let mut members = Vec::new();
    let mut subnet = None;
    for id in files::entries(Path::new(LXCPATH))? {
        let config =
            fs::read_to_string(Path::new(LXCPATH).join(&id).join("config")).unwrap_or_default();
        if let Some(name) = node_of(fleet, &id, &config, &state::fleets()?) {
            subnet =
                subnet.or_else(|| value(&config, "lxc.net.0.ipv4.address").and_then(subnet_of));
            members.push(member(name));
        }
    }
    let subnet = match subnet.or(network::subnet_of_bridge(fleet)?) {
        Some(subnet) => subnet,
        None => network::forlorn()?.first().copied().unwrap_or(NOWHERE),
    };
    Ok(State { subnet, ids: Ids::Host, allow_host: Vec::new(), nat: false, memory: None, members })
}

/// What is needed to end a node and to remove its files is its name alone.
fn member(name: &str) -> Member {
    let (name, image) = (name.to_string(), "host".to_string());
    let (show, allow, limits) = (Vec::new(), Vec::new(), Limits::default());
    Member { name, number: 0, image, show, allow, limits, disk: None }
}

/// The node's name, if the container `id` with this configuration is one of the fleet's.
fn node_of<'a>(fleet: &Name, id: &'a str, config: &str, fleets: &[Name]) -> Option<&'a str> {
    let name = id.strip_prefix(&state::container(fleet, ""))?;
    let of_longer_name = |other: &Name| {
        other.as_str().len() > fleet.as_str().len() && id.starts_with(&state::container(other, ""))
    };
    let ours = match value(config, "lxc.net.0.link") {
        Some(link) => link == network::bridge(fleet),
        None => !fleets.iter().any(of_longer_name),
    };
    (ours && Name::new(name).is_ok()).then_some(name)
}

fn value<'a>(config: &'a str, key: &str) -> Option<&'a str> {
    let mut lines = config.lines().filter_map(|line| line.split_once('='));
    lines.find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim())
}

/// `10.213.0.11/24` is in 10.213.0.
fn subnet_of(address: &str) -> Option<[u8; 3]> {
    let address: std::net::Ipv4Addr = address.split('/').next()?.parse().ok()?;
    let [a, b, c, _] = address.octets();
    Some([a, b, c])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    #[test]
    fn a_container_belongs_to_the_fleet_whose_bridge_it_is_on() {
        let (a, ab) = (name("a"), name("a-b"));
        let on = |fleet: &Name| format!("lxc.net.0.link = {}\n", network::bridge(fleet));
        let id = "breakit-a-b-n1";
        let fleets = [a.clone(), ab.clone()];
        assert_eq!(node_of(&a, id, &on(&a), &fleets), Some("b-n1"));
        assert_eq!(node_of(&ab, id, &on(&a), &fleets), None);
        assert_eq!(node_of(&ab, id, &on(&ab), &fleets), Some("n1"));
        assert_eq!(node_of(&a, id, &on(&ab), &fleets), None);
        assert_eq!(node_of(&name("x"), id, &on(&a), &fleets), None);
    }

    #[test]
    fn without_a_configuration_the_longest_name_of_a_fleet_has_it() {
        let (a, ab) = (name("a"), name("a-b"));
        let fleets = [a.clone(), ab.clone()];
        assert_eq!(node_of(&ab, "breakit-a-b-n1", "", &fleets), Some("n1"));
        assert_eq!(node_of(&a, "breakit-a-b-n1", "", &fleets), None);
        assert_eq!(node_of(&a, "breakit-a-b-n1", "", &fleets[..1]), Some("b-n1"));
    }

    #[test]
    fn the_subnet_is_that_of_a_nodes_address() {
        let config = "lxc.uts.name = n1\nlxc.net.0.ipv4.address = 10.213.7.11/24\n";
        assert_eq!(value(config, "lxc.net.0.ipv4.address").and_then(subnet_of), Some([10, 213, 7]));
        assert_eq!(value(config, "lxc.net.0.link"), None);
    }
}
