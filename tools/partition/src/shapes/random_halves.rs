//! Halves of the nodes in random order.

use breakit::exit::Result;
use breakit::node::Name;
use breakit::rng::Pcg64;

use super::choice::{drawn, side};
use super::{Entry, Shape};
use crate::grudge::Grudge;

/// The shape's entry.
pub const SHAPE: Entry = Entry {
    name: "random-halves",
    arguments: "",
    doc: "Halves of the nodes in random order",
    least: 2,
    examples: &[""],
    read: |_| Ok(Box::new(RandomHalves)),
};

#[derive(Debug)]
struct RandomHalves;

impl Shape for RandomHalves {
    fn draw(&self, nodes: &[Name], rng: &mut Pcg64) -> Result<Grudge> {
        let n = nodes.len();
        Ok(side(nodes, &drawn(n, n / 2, rng)))
    }
}
