//! Random halves with one node in between (of the larger half) that drops nobody and that nobody drops.

use breakit::exit::Result;
use breakit::node::Name;
use breakit::rng::Pcg64;

use super::choice::places;
use super::{Entry, Shape};
use crate::grudge::Grudge;

/// The shape's entry.
pub const SHAPE: Entry = Entry {
    name: "bridge",
    arguments: "",
    doc: "Two random halves, and one node that both still reach",
    least: 3,
    examples: &[""],
    read: |_| Ok(Box::new(Bridge)),
};

#[derive(Debug)]
struct Bridge;

impl Shape for Bridge {
    fn draw(&self, nodes: &[Name], rng: &mut Pcg64) -> Result<Grudge> {
        let (place, middle) = (places(nodes.len(), rng), nodes.len() / 2);
        Ok(Grudge::where_dropped(nodes, |a, b| {
            let (a, b) = (place[a], place[b]);
            a != middle && b != middle && (a < middle) != (b < middle)
        }))
    }
}
