//! What a cut is about: nodes among one another, or nodes and peers; and which of their packets.

use breakit::node::{Node, Via};

use crate::packets::Packets;
use crate::peer::Peers;
use crate::primaries::Primaries;
use crate::shapes::Chosen;

/// What is cut off from what.
#[derive(Clone, Debug)]
pub enum Target {
    /// Nodes from one another, as a shape draws it.
    Among {
        /// The shape.
        shape: Chosen,
        /// Who says which nodes are primaries, for that shape.
        primaries: Option<Primaries>,
    },
    /// Each node from peers that are no nodes.
    Peers(Peers),
}

impl Target {
    /// Whether packets must be dropped where they go out, as nobody can drop them where they come in.
    pub fn is_outward(&self, nodes: &[Node]) -> bool {
        match self {
            Target::Among { .. } => nodes.iter().any(|node| matches!(node.via, Via::Address(_))),
            Target::Peers(peers) => !peers.to.is_empty(),
        }
    }
}

/// One cut.
#[derive(Clone, Debug)]
pub struct Step {
    /// What is cut off from what.
    pub target: Target,
    /// Which packets.
    pub packets: Packets,
}
