//! Fewer than a third of the nodes against the rest.

use breakit::exit::Result;
use breakit::node::Name;
use breakit::rng::Pcg64;

use super::choice::{drawn, side};
use super::{Entry, Shape};
use crate::grudge::Grudge;

/// The shape's entry.
pub const SHAPE: Entry = Entry {
    name: "minority-third",
    arguments: "",
    doc: "Fewer than a third of the nodes, drawn at random, against the rest",
    least: 4,
    examples: &[""],
    read: |_| Ok(Box::new(MinorityThird)),
};

#[derive(Debug)]
struct MinorityThird;

impl Shape for MinorityThird {
    fn draw(&self, nodes: &[Name], rng: &mut Pcg64) -> Result<Grudge> {
        let n = nodes.len();
        Ok(side(nodes, &drawn(n, (n - 1) / 3, rng)))
    }
}
