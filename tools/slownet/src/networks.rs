//! Which network each name of a node means: two names of one would strike its packets twice.

use std::collections::{BTreeMap, BTreeSet};

use breakit::exit::{Error, Result};
use breakit::namespaces;
use breakit::node::{Name, Node, Via};
use breakit::reach::{Identity, Network};

/// The networks named so far.
#[derive(Debug, Default)]
pub struct Networks(BTreeMap<Identity, String>);

impl Networks {
    /// Takes in that `node` is `network`.
    ///
    /// # Errors
    /// 65 where a node of another name is that network, too.
    pub fn add(&mut self, node: &Node, network: &Network) -> Result<()> {
        // What cannot be told apart is taken for a network of its own.
        let Some(identity) = network.identity() else { return Ok(()) };
        let name = node.name.as_str();
        match self.0.entry(identity).or_insert_with(|| name.to_string()) {
            first if first == name => Ok(()),
            first => Err(Error::data(format!(
                "nodes {first} and {name} are one network, whose packets only one fault can have; name it once"
            ))),
        }
    }
}

/// The networks of this host that are those of none of `nodes`, each as a node that is called as it is found.
pub fn others(nodes: &[Node]) -> Vec<Node> {
    let known: BTreeSet<Identity> =
        nodes.iter().filter_map(|node| Network::of(node).ok()?.identity()).collect();
    let is_other = |network: &Network| network.identity().is_none_or(|it| !known.contains(&it));
    let others = namespaces::all().into_iter().filter(|(_, network)| is_other(network));
    let node = |(via, _): (Via, Network)| {
        let name = Name::new(&via.to_string().replace(':', "-"));
        let name = name.or_else(|_| Name::new("netns")).ok()?;
        Some(Node { name, addrs: Vec::new(), via })
    };
    others.filter_map(node).collect()
}
