//! What is wrong with an event, and where in its text that is.

use std::borrow::Cow;

use breakit::op::Wrong;

/// What is wrong with an event.
#[derive(Debug)]
pub struct Clause {
    /// In words, after file, line and column.
    pub text: String,
    /// Where.
    pub at: At,
    /// Whether more behind it could have made JSON of the line: it may have been cut short.
    pub is_cut: bool,
}

/// Where in the text of an event something is wrong.
#[derive(Debug)]
pub enum At {
    /// At its beginning.
    Beginning,
    /// At what a field holds; at its beginning if it has no such field.
    Field(Cow<'static, str>),
    /// At a column of its line.
    Column(usize),
}

impl From<Wrong> for Clause {
    fn from(Wrong { field, clause }: Wrong) -> Clause {
        Clause { text: clause, at: field.map_or(At::Beginning, At::Field), is_cut: false }
    }
}
