//! A random minority of random size against the majority.

use breakit::exit::Result;
use breakit::node::Name;
use breakit::rng::{Pcg64, RngExt};

use super::choice::{drawn, side};
use super::{Entry, Shape};
use crate::grudge::Grudge;

/// The shape's entry.
pub const SHAPE: Entry = Entry {
    name: "majority",
    arguments: "",
    doc: "A minority of random size and random members against the majority",
    least: 3,
    examples: &[""],
    read: |_| Ok(Box::new(Majority)),
};

#[derive(Debug)]
struct Majority;

impl Shape for Majority {
    fn draw(&self, nodes: &[Name], rng: &mut Pcg64) -> Result<Grudge> {
        let n = nodes.len();
        let size = rng.random_range(1..=(n - 1) / 2);
        Ok(side(nodes, &drawn(n, size, rng)))
    }
}
