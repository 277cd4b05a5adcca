//! A row of a table to an event, by hand: for rows of plain cells, which are nearly all.
//!
//! As [`super::scan`] it decides nothing: a cell between quotes, one that may be an object, or one that is wrong, and so
//! its whole row, is left to [`super::table`].

use breakit::op::Type;

use super::digits::natural;
use super::event::Event;
use super::line;
use super::line_template::{Field, NOTHING};
use super::table::header::Header;
use crate::history::History;
use crate::values::{Id, NULL, Values};

/// What the columns of a table are.
#[derive(Debug)]
pub struct Columns {
    fields: Vec<Field>,
    delimiter: u8,
}

impl Columns {
    /// Those of a header; `None` if a row is a whole operation, or a column has a meaning of its own.
    pub fn of(header: &Header) -> Option<Columns> {
        let (names, delimiter) = header.of_events()?;
        let fields = names.iter().map(|name| match Field::of(name.as_bytes()) {
            Field::Other if name == "extra" => Some(Field::Nothing),
            Field::Other if line::is_meant(name.as_bytes()) => None,
            field => Some(field),
        });
        Some(Columns { fields: fields.collect::<Option<_>>()?, delimiter })
    }

    /// The event of the row that begins at a byte, and the place of the next row; `None` where it is not plain enough,
    /// or does not end in the text.
    pub fn event(&self, text: &[u8], at: usize, history: &mut History) -> Option<(Event, usize)> {
        let (mut event, mut row) = (NOTHING, Row { text, at, delimiter: self.delimiter });
        let mut has = (false, false, false);
        let last = self.fields.len() - 1;
        for (column, field) in self.fields.iter().enumerate() {
            // An empty cell is a field that is missing.
            if !row.is_at_end() {
                match field {
                    Field::Process => (event.process, has.0) = (row.natural()?, true),
                    Field::Type => {
                        let word = std::str::from_utf8(row.plain()?).ok()?;
                        (event.kind, has.1) = (Type::of(word)?, true);
                    }
                    Field::F => {
                        let word = row.plain()?;
                        let f = history.words.iter().position(|known| known.as_bytes() == word)?;
                        (event.f, has.2) = (u16::try_from(f).ok()?, true);
                    }
                    Field::Time => event.time = Some(row.natural()?),
                    Field::Index => event.index = Some(row.natural()?),
                    Field::Key => event.key = Some(row.value(&mut history.values)?),
                    Field::Value => event.value = Some(row.value(&mut history.values)?),
                    Field::Node => event.node = Some(quoted(row.plain()?, &mut history.values)?),
                    Field::Final => {
                        event.is_final = match row.plain()? {
                            b"true" => true,
                            b"false" => false,
                            _ => return None,
                        }
                    }
                    Field::Other => drop(row.plain()?),
                    Field::Nothing => return None,
                }
            }
            match column == last {
                true => row.newline()?,
                false => row.byte(self.delimiter)?,
            }
        }
        (has == (true, true, true)).then_some((event, row.at))
    }
}

/// A place in a row.
struct Row<'a> {
    text: &'a [u8],
    at: usize,
    delimiter: u8,
}

impl<'a> Row<'a> {
    fn is_at_end(&self) -> bool {
        self.text.get(self.at).is_some_and(|&byte| self.ends(byte))
    }

    #[inline(always)]
    fn ends(&self, byte: u8) -> bool {
        byte == self.delimiter || byte == b'\n' || byte == b'\r'
    }

    fn byte(&mut self, wanted: u8) -> Option<()> {
        (*self.text.get(self.at)? == wanted).then(|| self.at += 1)
    }

    fn newline(&mut self) -> Option<()> {
        self.at += usize::from(self.text.get(self.at) == Some(&b'\r'));
        self.byte(b'\n')
    }

    /// Passes a number that is all of a cell.
    fn natural(&mut self) -> Option<u64> {
        let (number, end) = natural(self.text, self.at)?;
        self.ends(*self.text.get(end)?).then_some(())?;
        self.at = end;
        Some(number)
    }

    /// Passes a cell in which nothing has a meaning but to end it.
    fn plain(&mut self) -> Option<&'a [u8]> {
        let rest = &self.text[self.at..];
        let length = rest.iter().position(|&byte| self.ends(byte))?;
        let cell = &rest[..length];
        let is_plain = |&byte: &u8| (b' '..0x7f).contains(&byte) && !b"\"\\{[".contains(&byte);
        cell.iter().all(is_plain).then_some(())?;
        self.at += length;
        Some(cell)
    }

    /// Passes a cell of JSON, or of a string that is none.
    fn value(&mut self, values: &mut Values) -> Option<Id> {
        if let Some(number) = self.natural() {
            return Some(values.int(i64::try_from(number).ok()?));
        }
        match self.plain()? {
            b"null" => Some(NULL),
            b"true" => Some(values.text("true")),
            b"false" => Some(values.text("false")),
            // No JSON but these begins with a letter.
            word if word[0].is_ascii_alphabetic() => quoted(word, values),
            _ => None,
        }
    }
}

/// A plain word as a string.
fn quoted(word: &[u8], values: &mut Values) -> Option<Id> {
    let mut text = [b'"'; 64];
    text.get_mut(1..=word.len())?.copy_from_slice(word);
    let text = text.get(..word.len() + 2)?;
    Some(values.text(std::str::from_utf8(text).ok()?))
}
