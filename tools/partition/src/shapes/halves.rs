//! The first half of the nodes against the second.

use breakit::exit::Result;
use breakit::node::Name;
use breakit::rng::Pcg64;

use super::choice::side;
use super::{Entry, Shape};
use crate::grudge::Grudge;

/// The shape's entry.
pub const SHAPE: Entry = Entry {
    name: "halves",
    arguments: "",
    doc: "The first half of the nodes against the second",
    least: 2,
    examples: &[""],
    read: |_| Ok(Box::new(Halves)),
};

#[derive(Debug)]
struct Halves;

impl Shape for Halves {
    fn draw(&self, nodes: &[Name], _: &mut Pcg64) -> Result<Grudge> {
        Ok(side(nodes, &(0..nodes.len() / 2).collect::<Vec<_>>()))
    }
}
