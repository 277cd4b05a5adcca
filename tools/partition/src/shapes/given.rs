//! A grudge that was given, as JSON in a file or on stdin.

use std::path::Path;

use breakit::exit::{Error, Result};
use breakit::input;
use breakit::node::Name;
use breakit::rng::Pcg64;

use super::{Chosen, Entry, Shape};
use crate::grudge::Grudge;

/// The shape's entry.
pub const SHAPE: Entry = Entry {
    name: "grudge",
    arguments: "FILE",
    doc: "The grudge in this file, or on stdin for -",
    least: 2,
    examples: &[],
    read: |words| match words {
        [file] => {
            let path = Path::new(file);
            let text = input::text("the grudge", path)?;
            Ok(Box::new(Given { text, place: input::name(path) }))
        }
        _ => Err(Error::usage("grudge takes one file, or - for stdin")),
    },
};

/// The shape for this grudge; `place` is what errors call its source.
pub fn of(text: String, place: String) -> Chosen {
    Chosen::of(SHAPE, Box::new(Given { text, place }))
}

#[derive(Debug)]
struct Given {
    text: String,
    place: String,
}

impl Shape for Given {
    fn arguments(&self) -> Vec<String> {
        vec![self.place.clone()]
    }

    fn draw(&self, nodes: &[Name], _: &mut Pcg64) -> Result<Grudge> {
        let grudge = Grudge::read(nodes, &self.text, &self.place)?;
        if grudge.is_empty() {
            return Err(Error::data(format!(
                "grudge {} cuts nobody; there must be somebody on each side",
                self.place
            )));
        }
        Ok(grudge)
    }
}
