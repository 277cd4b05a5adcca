//! Which network each name of a node means: two names of one would strike its packets twice.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;

use breakit::exit::{Error, Result};
use breakit::namespaces;
use breakit::node::{Name, Node, Via};
use breakit::reach::Network;

/// What tells networks apart. Another host's is known by how it is reached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Identity {
    Namespace { device: u64, inode: u64 },
    Host(String),
}

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
        let Some(identity) = identity(network) else { return Ok(()) };
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
        nodes.iter().filter_map(|node| identity(&Network::of(node).ok()?)).collect();
    let is_other = |network: &Network| identity(network).is_none_or(|it| !known.contains(&it));
    let others = namespaces::all().into_iter().filter(|(_, network)| is_other(network));
    let node = |(via, _): (Via, Network)| {
        let name = Name::new(&via.to_string().replace(':', "-"));
        let name = name.or_else(|_| Name::new("netns")).ok()?;
        Some(Node { name, addrs: Vec::new(), via })
    };
    others.filter_map(node).collect()
}

fn identity(network: &Network) -> Option<Identity> {
    let metadata = match network {
        Network::Ssh(host) => return Some(Identity::Host(host.to_string())),
        Network::Here => fs::metadata("/proc/thread-self/ns/net"),
        Network::Namespace(fd) => File::from(fd.try_clone().ok()?).metadata(),
    };
    let metadata = metadata.ok()?;
    Some(Identity::Namespace { device: metadata.dev(), inode: metadata.ino() })
}
