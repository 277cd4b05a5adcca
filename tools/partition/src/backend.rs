//! Backends: the ways to make a cut, which one serves given nodes, and the tables it needs.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use breakit::exit::{Error, Result};
use breakit::node::{Node, Via};
use clap::ValueEnum;

use crate::grudge::Grudge;
use crate::links::Bridges;
use crate::rules::{Drop, Exempt, Family, Table};

/// A way to make a cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    /// One nftables table on this host's bridges, for nodes that all hang on them
    NftBridge,
    /// One nftables table in each node's own network: the node drops what it receives
    Nft,
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Backend::NftBridge => "nft-bridge",
            Backend::Nft => "nft",
        })
    }
}

impl Backend {
    /// All, in the order in which they are tried.
    pub const ALL: [Backend; 2] = [Backend::NftBridge, Backend::Nft];

    /// Why this backend cannot cut these nodes; `None` where it can, as far as the nodes go.
    ///
    /// # Errors
    /// 66 where a node does not run, 77 and 71 from the system.
    pub fn why_not(self, nodes: &[Node], addresses: &[Vec<IpAddr>]) -> Result<Option<String>> {
        match self {
            Backend::NftBridge => {
                if let Some(why) = nodes.iter().find_map(only_an_address) {
                    return Ok(Some(why));
                }
                let bridges = Bridges::here()?;
                let asked = breakit::node::at_once(nodes, |node| {
                    let own = nodes.iter().position(|n| n.name == node.name);
                    bridges.why_not(node, own.map_or(&[], |i| addresses[i].as_slice()))
                });
                let answers: Vec<Option<String>> = asked.into_iter().collect::<Result<_>>()?;
                Ok(answers.into_iter().flatten().next())
            }
            Backend::Nft => Ok(nodes.iter().find_map(only_an_address)),
        }
    }

    /// The tables that make `grudge` real, each with the node in whose network it stands (`None`: ours).
    ///
    /// `exempt[i]` is what node `i` lets pass all the same; on a bridge only nodes' own traffic is
    /// dropped, and nothing needs to be let pass.
    pub fn tables(
        self,
        grudge: &Grudge,
        addresses: &[Vec<IpAddr>],
        exempt: &[BTreeSet<Exempt>],
        name: &str,
    ) -> Vec<(Option<usize>, Table)> {
        let table = |family, drops, exempt| Table { family, name: name.into(), drops, exempt };
        let nodes = grudge.nodes();
        let who = |src: usize, dst: usize| format!("{} {}", nodes[src], nodes[dst]);
        match self {
            Backend::NftBridge => {
                let mut drops = BTreeSet::new();
                for (src, dst) in grudge.pairs() {
                    let pairs = addresses[src].iter().flat_map(|from| {
                        let same = |to: &&IpAddr| to.is_ipv4() == from.is_ipv4();
                        addresses[dst].iter().filter(same).map(move |to| (*from, *to))
                    });
                    drops.extend(pairs.map(|(from, to)| Drop {
                        from,
                        to: Some(to),
                        who: who(src, dst),
                    }));
                }
                vec![(None, table(Family::Bridge, drops, BTreeSet::new()))]
            }
            Backend::Nft => {
                let own = |dst: usize| -> BTreeSet<Drop> {
                    grudge
                        .sources(dst)
                        .flat_map(|src| addresses[src].iter().map(move |from| (src, *from)))
                        .map(|(src, from)| Drop { from, to: None, who: who(src, dst) })
                        .collect()
                };
                (0..nodes.len())
                    .map(|dst| (dst, own(dst)))
                    .filter(|(_, drops)| !drops.is_empty())
                    .map(|(dst, drops)| {
                        (Some(dst), table(Family::Inet, drops, exempt[dst].clone()))
                    })
                    .collect()
            }
        }
    }
}

/// The backend that was asked for, or the first that can cut these nodes.
///
/// # Errors
/// 69 with the reason for each no.
pub fn choose(
    asked: Option<Backend>,
    nodes: &[Node],
    addresses: &[Vec<IpAddr>],
) -> Result<Backend> {
    let candidates = asked.map_or(Backend::ALL.to_vec(), |backend| vec![backend]);
    let mut reasons = Vec::new();
    for backend in candidates {
        match backend.why_not(nodes, addresses)? {
            None => return Ok(backend),
            Some(why) => reasons.push(format!("{backend}: {why}")),
        }
    }
    Err(Error::missing(format!("no backend can cut these nodes: {}", reasons.join("; "))))
}

/// The addresses of all nodes.
///
/// # Errors
/// 66 where a node does not run or has none; 65 where two nodes share one: they are one network.
pub fn addresses(nodes: &[Node]) -> Result<Vec<Vec<IpAddr>>> {
    let found: Vec<Vec<IpAddr>> = breakit::node::at_once(nodes, breakit::reach::addresses)
        .into_iter()
        .collect::<Result<_>>()?;
    for (i, own) in found.iter().enumerate() {
        for (j, others) in found.iter().enumerate().skip(i + 1) {
            if let Some(shared) = own.iter().find(|address| others.contains(address)) {
                return Err(Error::data(format!(
                    "nodes {} and {} share the address {shared}: between them nothing can be cut; name two networks",
                    nodes[i].name, nodes[j].name
                )));
            }
        }
    }
    Ok(found)
}

fn only_an_address(node: &Node) -> Option<String> {
    matches!(node.via, Via::Address(_)).then(|| {
        format!("only the address of {} is known; write {}=ssh:DEST", node.name, node.name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use breakit::node::Name;

    fn grudge() -> (Grudge, Vec<Vec<IpAddr>>) {
        let nodes: Vec<Name> = ["n1", "n2", "n3"].map(|n| Name::new(n).unwrap()).into();
        let addresses = (1..=3)
            .map(|i| {
                vec![format!("10.0.0.{i}").parse().unwrap(), format!("fd00::{i}").parse().unwrap()]
            })
            .collect();
        (Grudge::between(&nodes, &[0, 1, 1]), addresses)
    }

    #[test]
    fn on_a_bridge_one_table_holds_every_pair_in_both_families() {
        let (grudge, addresses) = grudge();
        let tables = Backend::NftBridge.tables(&grudge, &addresses, &[], "t");
        assert_eq!(tables.len(), 1);
        assert_eq!(tables[0].1.drops.len(), 4 * 2);
        assert!(
            tables[0]
                .1
                .drops
                .iter()
                .all(|d| d.to.is_some_and(|to| to.is_ipv4() == d.from.is_ipv4()))
        );
    }

    #[test]
    fn without_a_bridge_each_node_that_drops_has_a_table_with_whom() {
        let (grudge, addresses) = grudge();
        let exempt = vec![BTreeSet::new(); 3];
        let tables = Backend::Nft.tables(&grudge, &addresses, &exempt, "t");
        let sizes: Vec<(Option<usize>, usize)> =
            tables.iter().map(|(n, t)| (*n, t.drops.len())).collect();
        assert_eq!(sizes, [(Some(0), 4), (Some(1), 2), (Some(2), 2)]);
    }
}
