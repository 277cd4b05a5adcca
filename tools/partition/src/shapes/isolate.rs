//! Groups, each a side of its own.

use breakit::exit::{Error, Result};
use breakit::node::Name;
use breakit::rng::Pcg64;

use super::choice::{drawn, group, positions, side, words};
use super::{Entry, Shape};
use crate::grudge::Grudge;

/// The shape's entry.
pub const SHAPE: Entry = Entry {
    name: "isolate",
    arguments: "[GROUP..]",
    doc: "Each group alone, all others together; without a group one random node",
    least: 2,
    examples: &["", "n2 n3", "n1,n2"],
    read: |words| {
        let groups = words.iter().map(group).collect::<Result<_>>()?;
        Ok(Box::new(Isolate(groups)))
    },
};

#[derive(Debug)]
struct Isolate(Vec<Vec<Name>>);

impl Shape for Isolate {
    fn arguments(&self) -> Vec<String> {
        self.0.iter().map(|group| words(group)).collect()
    }

    fn draw(&self, nodes: &[Name], rng: &mut Pcg64) -> Result<Grudge> {
        let Isolate(groups) = self;
        if groups.is_empty() {
            return Ok(side(nodes, &drawn(nodes.len(), 1, rng)));
        }
        let mut component = vec![0; nodes.len()];
        for (number, group) in (1..).zip(groups) {
            for i in positions(nodes, group)? {
                if component[i] != 0 {
                    return Err(Error::usage(format!(
                        "isolate names {} in two groups; name it in one",
                        nodes[i]
                    )));
                }
                component[i] = number;
            }
        }
        if groups.len() == 1 && component.iter().all(|&c| c == 1) {
            return Err(Error::usage(
                "isolate names all nodes: there is nobody left to cut them off from; name fewer, or write groups: isolate n1,n2 n3",
            ));
        }
        Ok(Grudge::between(nodes, &component))
    }
}
