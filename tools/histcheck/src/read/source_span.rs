//! An event as it stands in its text, so that an error names the place of the very field that is wrong.
//!
//! Nothing is looked for before an error asks.

use breakit::exit::Error;

use super::clause::{At, Clause};
use super::log::fields;
use super::position::Place;
use super::table::header::Header;
use super::{edn, object};

/// An event in its text.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    /// Where it begins.
    pub place: Place,
    /// Its text, from there on.
    text: &'a [u8],
    form: Form<'a>,
    /// How many lines, objects, forms or rows it is counted as.
    pub pieces: u64,
    /// Which event it is, from 1, where that is not the order in which they come.
    pub nth: Option<u32>,
}

/// What the text of an event looks like.
#[derive(Clone, Copy, Debug)]
pub enum Form<'a> {
    /// An object of JSON.
    Object,
    /// A map of EDN.
    Map,
    /// A row of the table that has this header.
    Row(&'a Header),
    /// A line of a log.
    Log,
    /// Anything else: its beginning is the place of all that it has.
    Other,
}

impl<'a> Site<'a> {
    /// An event whose text begins at `place`.
    pub fn new(place: Place, text: &'a [u8], form: Form<'a>) -> Site<'a> {
        Site { place, text, form, pieces: 1, nth: None }
    }

    /// An event of which no more is known than where it begins.
    pub fn at(place: Place) -> Site<'static> {
        Site::new(place, b"", Form::Other)
    }

    /// A line of JSON.
    pub fn line(number: u64, text: &'a [u8]) -> Site<'a> {
        Site::new(Place::of_line(number), text, Form::Object)
    }

    /// The same, counted as so many.
    #[must_use]
    pub fn counted(self, pieces: u64) -> Site<'a> {
        Site { pieces, ..self }
    }

    /// The same, as the event of that number in its text.
    #[must_use]
    pub fn numbered(self, nth: u32) -> Site<'a> {
        Site { nth: Some(nth), ..self }
    }

    /// The place of what a field holds; that of the event where it has no such field.
    pub fn of(&self, field: &str) -> Place {
        self.find(field).unwrap_or(self.place)
    }

    /// The place of what a field holds; `None` where the event has no such field.
    pub fn find(&self, field: &str) -> Option<Place> {
        let at = match self.form {
            Form::Object => object::field(self.text, field),
            Form::Map => edn::field(self.text, field),
            Form::Row(header) => header.cell(self.text, field),
            Form::Log => fields::field(self.text, field),
            Form::Other => None,
        };
        at.map(|at| self.place.behind(&self.text[..at.min(self.text.len())]))
    }

    /// Whether it is a map of EDN that lacks a field.
    pub fn is_map_without(&self, field: &str) -> bool {
        matches!(self.form, Form::Map) && self.find(field).is_none()
    }

    /// An error 65 where the clause says that it is.
    pub fn error(&self, name: &str, clause: impl Into<Clause>) -> Error {
        let Clause { text, at, .. } = clause.into();
        let place = match at {
            At::Beginning => self.place,
            At::Field(field) => self.of(&field),
            At::Column(column) => Place { column, ..self.place },
        };
        place.error(name, &text)
    }

    /// An error 65 at a field.
    pub fn error_at(&self, field: &str, name: &str, clause: &str) -> Error {
        self.of(field).error(name, clause)
    }
}
