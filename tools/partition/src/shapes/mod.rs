//! Shapes: the ways to choose a grudge. Pure: the same shape, nodes and seed make the same grudge.
//!
//! Each shape is a file, and a line of the table below; help, messages and tests are made from the table.

use std::fmt;
use std::sync::Arc;

use breakit::escape;
use breakit::exit::{Error, Result};
use breakit::node::Name;
use breakit::rng::Pcg64;
use breakit::similar;

use crate::grudge::Grudge;

mod choice;

macro_rules! shapes {
    ($($file:ident)*) => {
        $(pub mod $file;)*

        /// All shapes, in the order in which help lists them.
        pub const SHAPES: &[Entry] = &[$($file::SHAPE),*];
    };
}

shapes! {
    isolate
    halves
    random_halves
    majority
    minority_third
    bridge
    majorities_ring
    flapping
    primaries
    one_way
    given
}

/// What the table has of a shape.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// Its arguments, for help and messages; empty if it takes none.
    pub arguments: &'static str,
    /// What it does, in one sentence.
    pub doc: &'static str,
    /// How many nodes it needs at least.
    pub least: usize,
    /// Arguments that tests try among four nodes or more, called `n1`, `n2`, ...
    pub examples: &'static [&'static str],
    /// Makes it from the arguments that were typed.
    pub read: fn(&[String]) -> Result<Box<dyn Shape>>,
}

/// A shape with its arguments.
pub trait Shape: fmt::Debug + Send + Sync {
    /// The arguments as they are typed.
    fn arguments(&self) -> Vec<String> {
        Vec::new()
    }

    /// Chooses a grudge among `nodes`.
    ///
    /// # Errors
    /// 64 if the shape needs other nodes, 65 for a bad grudge.
    fn draw(&self, nodes: &[Name], rng: &mut Pcg64) -> Result<Grudge>;
}

impl Entry {
    /// `flapping [COUNT]`.
    fn usage(&self) -> String {
        format!("{} {}", self.name, self.arguments).trim_end().to_string()
    }
}

/// A shape that was chosen.
#[derive(Clone, Debug)]
pub struct Chosen {
    entry: Entry,
    shape: Arc<dyn Shape>,
    inverted: bool,
}

impl Chosen {
    /// The shape that these words name. Reads the grudge's file or stdin if they name one.
    ///
    /// # Errors
    /// 64 for what is no shape, 66 if there is no such file.
    pub fn parse(words: &[String]) -> Result<Chosen> {
        let (word, arguments) = match words.split_first() {
            None => return Err(Error::usage(format!("which cut? take one of: {}", list()))),
            Some((word, [])) if word == "-" => (given::SHAPE.name, words),
            Some((word, arguments)) => (word.as_str(), arguments),
        };
        let entry = SHAPES.iter().find(|entry| entry.name == word).ok_or_else(|| no_such(word))?;
        if let ("", Some(extra)) = (entry.arguments, arguments.first()) {
            return Err(Error::usage(format!("{word} takes nothing, not {extra:?}")));
        }
        Ok(Chosen::of(*entry, (entry.read)(arguments)?))
    }

    /// A shape of this entry.
    fn of(entry: Entry, shape: Box<dyn Shape>) -> Chosen {
        Chosen { entry, shape: shape.into(), inverted: false }
    }

    /// The same, but what it lets pass is dropped, and what it drops passes.
    #[must_use]
    pub fn inverted(self) -> Chosen {
        Chosen { inverted: true, ..self }
    }

    /// Chooses a grudge among `nodes`.
    ///
    /// # Errors
    /// 64 if the shape needs other or more nodes, 65 for a bad grudge.
    pub fn draw(&self, nodes: &[Name], rng: &mut Pcg64) -> Result<Grudge> {
        let (n, Entry { name, least, .. }) = (nodes.len(), self.entry);
        if n < 2 {
            return Err(Error::usage(format!(
                "a cut needs two nodes at least, and there {}; name more with -n",
                if n == 1 { "is one" } else { "are none" }
            )));
        }
        if n < least {
            return Err(Error::usage(format!(
                "{name} needs {least} nodes at least, and there are {n}; name more with -n"
            )));
        }
        let drawn = self.shape.draw(nodes, rng)?;
        let grudge = if self.inverted { drawn.inverted() } else { drawn };
        if grudge.is_empty() {
            return Err(Error::usage(format!(
                "{} cuts nobody; there must be somebody on each side",
                self.words()
            )));
        }
        Ok(grudge)
    }

    /// The shape as it is typed.
    pub fn words(&self) -> String {
        let mut words = vec![self.entry.name.to_string()];
        words.extend(self.shape.arguments());
        words.extend(self.inverted.then(|| "--invert".to_string()));
        words.join(" ")
    }
}

/// Whether the words of a shape make us read stdin to its end.
pub fn reads_stdin(words: &[String]) -> bool {
    words.iter().any(|word| word == "-")
}

/// The shape that is called most like `word`, if one is.
pub fn closest(word: &str) -> Option<&'static str> {
    similar::closest(word, SHAPES.iter().map(|entry| entry.name))
}

/// All shapes with their arguments, in one sentence.
pub fn list() -> String {
    let all: Vec<String> = SHAPES.iter().map(Entry::usage).collect();
    format!("{}, or - for a grudge on stdin", all.join(", "))
}

/// All shapes with what they do, a line each, for the end of a help.
pub fn table() -> String {
    let width = SHAPES.iter().map(|entry| entry.usage().len()).max().unwrap_or_default();
    let line = |entry: &Entry| format!("  {:width$}  {}\n", entry.usage(), entry.doc);
    let lines: String = SHAPES.iter().map(line).collect();
    format!("Shapes:\n{lines}A GROUP is n1, n1,n2 or n1..n3.")
}

fn no_such(word: &str) -> Error {
    let cited = escape::cited(word);
    match closest(word) {
        Some(meant) => Error::usage(format!("{cited} is no shape; did you mean {meant}?")),
        None => Error::usage(format!("{cited} is no shape; take one of: {}", list())),
    }
}

#[cfg(test)]
mod tests;
