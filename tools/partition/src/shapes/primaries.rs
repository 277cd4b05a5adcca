//! Some of the nodes that are primaries, each alone.

use std::path::Path;

use breakit::exit::{Error, Result};
use breakit::input;
use breakit::node::Name;
use breakit::rng::{Pcg64, RngExt, SliceRandom};

use super::choice::{group, positions, words};
use super::{Chosen, Entry, Shape};
use crate::grudge::Grudge;

/// The shape's entry.
pub const SHAPE: Entry = Entry {
    name: "primaries",
    arguments: "NODE.. or -",
    doc: "Some of these nodes, drawn at random, each alone; - reads names on stdin",
    least: 2,
    examples: &["n1 n2", "n2"],
    read: |words| {
        let names = match words {
            [word] if word == "-" => on_stdin()?,
            names => names.iter().map(group).collect::<Result<Vec<_>>>()?.concat(),
        };
        Ok(Box::new(Primaries(names)))
    },
};

/// The shape for these primaries.
pub fn of(names: Vec<Name>) -> Chosen {
    Chosen::of(SHAPE, Box::new(Primaries(names)))
}

#[derive(Debug)]
struct Primaries(Vec<Name>);

impl Shape for Primaries {
    fn arguments(&self) -> Vec<String> {
        vec![words(&self.0)]
    }

    fn draw(&self, nodes: &[Name], rng: &mut Pcg64) -> Result<Grudge> {
        let mut chosen = positions(nodes, &self.0)?;
        if chosen.is_empty() {
            return Err(Error::usage(
                "primaries names no node; write primaries n1, or give --primaries CMD",
            ));
        }
        chosen.sort_unstable();
        chosen.dedup();
        chosen.shuffle(rng);
        chosen.truncate(rng.random_range(1..=chosen.len()));
        let mut component = vec![0; nodes.len()];
        (1..).zip(&chosen).for_each(|(number, &node)| component[node] = number);
        Ok(Grudge::between(nodes, &component))
    }
}

/// Names between blanks, commas or ends of lines.
fn on_stdin() -> Result<Vec<Name>> {
    let text = input::text("the primaries", Path::new("-"))?;
    let lines = (1..).zip(text.lines());
    let words = lines.flat_map(|(number, line)| {
        let words = line.split([' ', '\t', ',']).filter(|word| !word.is_empty());
        words.map(move |word| (number, word))
    });
    let named = |(number, word): (u32, &str)| {
        group(word).map_err(|error| Error::data(format!("stdin: line {number}: {error}")))
    };
    let names: Vec<Name> = words.map(named).collect::<Result<Vec<_>>>()?.concat();
    if names.is_empty() {
        return Err(Error::data("stdin: it names no primary; write their names, as n1 or n1,n2"));
    }
    Ok(names)
}
