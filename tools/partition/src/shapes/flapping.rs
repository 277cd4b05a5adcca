//! Some pairs of nodes, each cut in both directions.

use breakit::exit::{Error, Result};
use breakit::node::Name;
use breakit::rng::{Pcg64, SliceRandom};

use super::{Entry, Shape};
use crate::grudge::Grudge;

/// The shape's entry.
pub const SHAPE: Entry = Entry {
    name: "flapping",
    arguments: "[COUNT]",
    doc: "COUNT random pairs of nodes (default: 1), each cut in both directions",
    least: 2,
    examples: &["", "3"],
    read: |words| match words {
        [] => Ok(Box::new(Flapping(1))),
        [count] => match count.parse() {
            Ok(count @ 1..) => Ok(Box::new(Flapping(count))),
            _ => Err(Error::usage(format!(
                "flapping takes how many pairs, 1 or more, not {count:?}"
            ))),
        },
        _ => Err(Error::usage("flapping takes one number: how many pairs")),
    },
};

#[derive(Debug)]
struct Flapping(usize);

impl Shape for Flapping {
    fn arguments(&self) -> Vec<String> {
        vec![self.0.to_string()]
    }

    fn draw(&self, nodes: &[Name], rng: &mut Pcg64) -> Result<Grudge> {
        let (n, Flapping(count)) = (nodes.len(), self);
        let mut pairs: Vec<(usize, usize)> =
            (0..n).flat_map(|a| (a + 1..n).map(move |b| (a, b))).collect();
        if *count > pairs.len() {
            return Err(Error::usage(format!(
                "flapping {count}: {n} nodes have {} pairs only; take fewer, or name more nodes with -n",
                pairs.len()
            )));
        }
        pairs.shuffle(rng);
        let mut grudge = Grudge::none(nodes);
        for &(a, b) in &pairs[..*count] {
            grudge.drop_from(a, b);
            grudge.drop_from(b, a);
        }
        Ok(grudge)
    }
}
