//! What one group sends is dropped by another, and nothing else is.

use breakit::exit::{Error, Result};
use breakit::node::Name;
use breakit::rng::Pcg64;

use super::choice::{group, positions, words};
use super::{Entry, Shape};
use crate::grudge::Grudge;

/// The shape's entry.
pub const SHAPE: Entry = Entry {
    name: "one-way",
    arguments: "FROM TO",
    doc: "The group TO drops what the group FROM sends; nothing else is dropped",
    least: 2,
    examples: &["n1,n2 n3"],
    read: |words| match words {
        [from, to] => Ok(Box::new(OneWay { from: group(from)?, to: group(to)? })),
        _ => Err(Error::usage(
            "one-way takes two groups: whose packets are dropped, and by whom; write one-way n1 n2,n3",
        )),
    },
};

#[derive(Debug)]
struct OneWay {
    from: Vec<Name>,
    to: Vec<Name>,
}

impl Shape for OneWay {
    fn arguments(&self) -> Vec<String> {
        [&self.from, &self.to].map(|group| words(group)).into()
    }

    fn draw(&self, nodes: &[Name], _: &mut Pcg64) -> Result<Grudge> {
        let (from, to) = (positions(nodes, &self.from)?, positions(nodes, &self.to)?);
        if let Some(both) = from.iter().find(|i| to.contains(i)) {
            return Err(Error::usage(format!(
                "one-way names {} on both sides; name it on one",
                nodes[*both]
            )));
        }
        Ok(Grudge::where_dropped(nodes, |src, dst| from.contains(&src) && to.contains(&dst)))
    }
}
