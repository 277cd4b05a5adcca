//! The cuts that stand, as the kernel has them; and their healing. Needs nothing from the run that cut.

use std::collections::BTreeMap;

use breakit::exit::{Error, Result, Status};
use breakit::namespaces;
use breakit::node::{Node, Via};
use breakit::reach::Network;
use serde_json::{Value, json};

use crate::backend::{Backend, look_up};
use crate::iptables::Flavour;
use crate::kernel_rules::{Element, KernelRules, Kind};
use crate::nft::Nft;
use crate::nftnl;
use crate::pairs::Pairs;
use crate::parallel::all;
use crate::peer::Net;
use crate::privilege::is_privileged;
use crate::rules::{Family, PREFIX};

/// A network in which tables of ours may stand, and what it is called.
pub struct Place {
    name: String,
    network: Result<Network>,
    /// Only cuts that name one of these addresses; `None` for every cut.
    about: Option<Vec<Net>>,
}

/// A cut that stands: all tables of one holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The name that its tables share.
    pub table: String,
    kind: Kind,
    pairs: Pairs,
    /// Which packets, in words; empty for all.
    packets: String,
    /// Seconds until the first of its elements expires.
    expires: u64,
    /// Whether rules lead to all of them.
    in_force: bool,
}

/// Our own network and those of `nodes`. Nodes of which only an address is known have no tables of ours.
pub fn networks(nodes: &[Node]) -> Vec<Place> {
    let own = Place { name: "this network".into(), network: Ok(Network::Here), about: None };
    let reached = nodes.iter().filter(|node| !matches!(node.via, Via::Address(_) | Via::Local));
    let reached: Vec<&Node> = reached.collect();
    // A container is asked for by a program; any other network is only opened.
    let opened: Vec<Result<Network>> = match reached.iter().any(|n| matches!(n.via, Via::Lxc(_))) {
        true => all(reached.clone(), Network::of),
        false => reached.iter().map(|node| Network::of(node)).collect(),
    };
    let reached = reached.into_iter().zip(opened).map(|(node, network)| Place {
        name: format!("node {}", node.name),
        network,
        about: None,
    });
    // Whoever works on other hosts only may be nobody here.
    let own = (is_privileged() || nodes.is_empty()).then_some(own);
    own.into_iter().chain(reached).collect()
}

/// As [`networks`]; but of our own network, which other nodes share, only the cuts that these nodes are part of.
/// Of a node that is our own network it is all.
pub fn networks_about(nodes: &[Node]) -> Vec<Place> {
    if nodes.iter().any(|node| matches!(node.via, Via::Local)) {
        return networks(nodes);
    }
    let addresses: Vec<Net> =
        look_up(nodes).into_iter().flatten().flatten().map(Net::from).collect();
    let narrowed = |place: Place| match place.network {
        Ok(Network::Here) => Place { about: Some(addresses.clone()), ..place },
        _ => place,
    };
    networks(nodes).into_iter().map(narrowed).collect()
}

/// Every network of this host that some process lives in or that `ip netns` knows, ours among them.
pub fn all_networks() -> Vec<Place> {
    let place = |(via, network): (Via, Network)| Place {
        name: via.to_string(),
        network: Ok(network),
        about: None,
    };
    namespaces::all().into_iter().map(place).collect()
}

/// The cuts that stand in these networks, and what stood in the way of finding more.
pub fn find(nft: &Nft, places: &[Place]) -> (Vec<Cut>, Vec<Error>) {
    cuts(all(places.iter().collect(), |place| tables(nft, place)))
}

/// Removes the tables of ours that `which` holds for, and gives the cuts that this ended; tables whose
/// elements have all expired go without a word. Collects errors and stops at none.
pub fn heal(
    nft: &Nft,
    places: &[Place],
    which: impl Fn(&KernelRules) -> bool + Sync,
) -> (Vec<Cut>, Vec<Error>) {
    cuts(all(places.iter().collect(), |place| heal_one(nft, place, &which)))
}

/// The scripts that remove the tables of ours that `which` holds for, each headed by where; and what stood in the
/// way of finding more.
pub fn rehearse(
    nft: &Nft,
    places: &[Place],
    which: impl Fn(&KernelRules) -> bool,
) -> (Vec<String>, Vec<Error>) {
    let (mut scripts, mut errors) = (Vec::new(), Vec::new());
    let found = all(places.iter().collect(), |place| tables(nft, place));
    for (place, tables) in places.iter().zip(found) {
        match tables {
            Ok(tables) => scripts.extend(
                tables
                    .iter()
                    .filter(|table| which(table))
                    .map(|table| format!("# in {}\n{}", place.name, table.remove().text())),
            ),
            Err(error) => errors.push(error),
        }
    }
    (scripts, errors)
}

/// Gives the tables that were removed.
fn heal_one(
    nft: &Nft,
    place: &Place,
    which: &impl Fn(&KernelRules) -> bool,
) -> Result<Vec<KernelRules>> {
    let found: Vec<KernelRules> = tables(nft, place)?.into_iter().filter(which).collect();
    if let Ok(network) = &place.network {
        for table in &found {
            nft.take_away(network, (table.kind, &table.name), &table.remove())
                .map_err(|refusal| Error::from(refusal).at(&place.name))?;
        }
    }
    Ok(found)
}

/// The cuts that tables of many networks make up, and what went wrong.
fn cuts(found: Vec<Result<Vec<KernelRules>>>) -> (Vec<Cut>, Vec<Error>) {
    let (mut cuts, mut errors) = (BTreeMap::new(), Vec::new());
    for tables in found {
        match tables {
            Ok(tables) => {
                tables.iter().filter(|t| !t.elements.is_empty()).for_each(|t| gather(&mut cuts, t));
            }
            Err(error) => errors.push(error),
        }
    }
    (cuts.into_values().collect(), errors)
}

/// Removes tables whose elements have all expired, but for those called `own`: what a holder leaves that died
/// together with its guard.
///
/// Where the kernel has no table of ours nothing is run. Chains of iptables whose sets have expired drop nothing
/// either, and wait for [`heal`]: of those nobody can tell whether somebody is making them at this moment.
///
/// # Errors
/// All that stood in the way.
pub fn sweep(nft: &Nft, places: Vec<Place>, own: &str) -> Result<()> {
    let suspect = |place: Place| match &place.network {
        // Far away, where even to ask takes long.
        Ok(Network::Ssh(_)) => Ok(None),
        Ok(network) => Ok(network.inside(|| nftnl::any_table_but(own))?.then_some(place)),
        Err(_) => Ok(None),
    };
    let suspects: Vec<Option<Place>> = places.into_iter().map(suspect).collect::<Result<_>>()?;
    let suspects: Vec<Place> = suspects.into_iter().flatten().collect();
    let expired = |found: &KernelRules| {
        matches!(found.kind, Kind::Nft(_)) && found.elements.is_empty() && found.name != own
    };
    let (_, errors) = heal(nft, &suspects, expired);
    Error::all(errors)
}

/// The tables of ours in a network. Where a node does not run there are none.
fn tables(nft: &Nft, place: &Place) -> Result<Vec<KernelRules>> {
    match &place.network {
        Ok(network) => {
            let found = nft.all_standing(network).map_err(|error| error.at(&place.name))?;
            Ok(found.into_iter().filter(|table| concerns(place, table)).collect())
        }
        Err(error) if error.status() == Status::NoInput => Ok(Vec::new()),
        Err(error) => Err(error.clone().at(&place.name)),
    }
}

/// Whether a table is one of those that are looked for here. One that drops nothing names nobody: it is
/// anybody's to sweep whose holder is gone.
fn concerns(place: &Place, table: &KernelRules) -> bool {
    let Some(about) = &place.about else { return true };
    let nets = |key: &str| key.split([' ', ',']).filter_map(Net::parse).collect::<Vec<_>>();
    let named = |element: &Element| {
        nets(&element.key).iter().any(|net| about.iter().any(|address| net.contains(address)))
    };
    match table.elements.is_empty() {
        true => !is_held(&table.name),
        false => table.elements.iter().any(named),
    }
}

fn gather(cuts: &mut BTreeMap<String, Cut>, table: &KernelRules) {
    let cut = cuts.entry(table.name.clone()).or_insert_with(|| Cut {
        table: table.name.clone(),
        kind: table.kind,
        pairs: Pairs::default(),
        packets: table.packets.clone(),
        expires: u64::MAX,
        in_force: true,
    });
    cut.in_force &= table.in_force;
    for element in &table.elements {
        cut.expires = cut.expires.min(element.expires);
        cut.pairs.insert(&element.who);
    }
}

impl Cut {
    /// Its line, for `list`.
    pub fn line(&self) -> String {
        let mut line = json!({
            "cut": self.words(),
            "pairs": self.pairs.len(),
            "in_force": self.in_force,
            "backend": self.backend().to_string(),
            "expires": format!("{}s", self.expires),
            "holder": holder(&self.table),
            "held": is_held(&self.table),
            "table": self.table,
            "grudge": self.pairs.json(),
        });
        if !self.packets.is_empty() {
            line["packets"] = self.packets.as_str().into();
        }
        line.to_string()
    }

    /// What a `stop-partition` line says of it.
    pub fn value(&self) -> Value {
        json!({ "cut": self.words(), "table": self.table, "healed": "by partition heal" })
    }

    /// Who is cut off from whom.
    pub fn words(&self) -> String {
        self.pairs.words()
    }

    fn backend(&self) -> Backend {
        match self.kind {
            Kind::Nft(Family::Bridge) => Backend::NftBridge,
            Kind::Nft(Family::Inet | Family::Netdev) => Backend::Nft,
            Kind::Iptables(Flavour::Nft) => Backend::IpsetNft,
            Kind::Iptables(Flavour::Legacy) => Backend::IpsetLegacy,
        }
    }
}

/// The process that made a table of this name.
fn holder(table: &str) -> Option<u32> {
    table.strip_prefix(PREFIX)?.split('_').next()?.parse().ok()
}

/// Whether the holder lives: the process of that number, if it began when the table's name says.
fn is_held(table: &str) -> bool {
    let name = holder(table).and_then(table_name);
    name.is_some_and(|name| {
        let rest = table.strip_prefix(&name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    })
}

/// The name of a holder's tables: no other holder has it, not even a later one of the same number.
/// `None` where no such process runs.
pub fn table_name(holder: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{holder}/stat")).ok()?;
    // Field 22 is when it began; field 2 before it may hold blanks, and its last bracket closes it.
    let (state, began) = {
        let mut words = stat.rsplit_once(") ")?.1.split_whitespace();
        (words.next()?, words.nth(18)?)
    };
    (state != "Z").then(|| format!("{PREFIX}{holder}_{began}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_of_one_holder_are_one_cut_that_lasts_as_long_as_its_first_element() {
        let table = |who: &str, expires| KernelRules {
            kind: Kind::Nft(Family::Inet),
            name: format!("{PREFIX}1_2"),
            elements: vec![Element { who: who.into(), key: String::new(), expires }],
            packets: String::new(),
            in_force: true,
        };
        let mut cuts = BTreeMap::new();
        gather(&mut cuts, &table("n10 n2", 9));
        gather(&mut cuts, &table("n2 n10", 7));
        let cut = cuts.into_values().next().unwrap();
        assert_eq!(
            (cut.words().as_str(), cut.expires, holder(&cut.table)),
            ("n2 | n10", 7, Some(1))
        );
    }

    #[test]
    fn a_holder_is_known_by_its_number_and_when_it_began() {
        let own = table_name(std::process::id()).unwrap();
        assert!(own.starts_with(&format!("{PREFIX}{}_", std::process::id())));
        assert!(is_held(&own));
        assert!(is_held(&format!("{own}_2")), "one of several that a replay holds");
        assert!(!is_held(&format!("{own}2")));
        assert!(!is_held(&format!("{PREFIX}{}_1", std::process::id())));
    }
}
