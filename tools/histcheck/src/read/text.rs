//! A whole text in memory, for the formats in which an event is no line: its places and what is wrong there.

use std::cell::Cell;

use breakit::exit::{Error, Result};
use breakit::op::Op;

use super::Tolerance;

/// What a reader of a text finds.
#[derive(Debug)]
pub enum Item {
    /// An event.
    Op(Box<Op>),
    /// Nothing.
    Blank,
    /// A line of a log that is no event.
    Remark,
    /// An event that was cut short by the end of the text, which `--lenient` allows.
    Cut,
}

/// Takes what is found, with the line on which it begins.
pub type Take<'a> = &'a mut dyn FnMut(u64, Item) -> Result<()>;

/// A text and what to call it.
#[derive(Debug)]
pub struct Text<'a> {
    /// Its name in errors.
    pub name: &'a str,
    /// All of it.
    pub bytes: &'a [u8],
    /// What to put up with.
    pub tolerance: Tolerance,
    /// A place whose line is known: bytes, the line, and where that begins.
    known: Cell<(usize, u64, usize)>,
}

impl<'a> Text<'a> {
    /// A text; a byte order mark at its beginning is none of it.
    pub fn new(name: &'a str, bytes: &'a [u8], tolerance: Tolerance) -> Text<'a> {
        let bytes = bytes.strip_prefix(super::blocks::BOM).unwrap_or(bytes);
        Text { name, bytes, tolerance, known: Cell::new((0, 1, 0)) }
    }

    /// The line and the column, from 1, of a byte.
    pub fn place(&self, at: usize) -> (u64, usize) {
        let (mut from, mut line, mut begin) = self.known.get();
        if at < from {
            (from, line, begin) = (0, 1, 0);
        }
        for newline in memchr::memchr_iter(b'\n', &self.bytes[from..at.min(self.bytes.len())]) {
            line += 1;
            begin = from + newline + 1;
        }
        self.known.set((at, line, begin));
        (line, at - begin + 1)
    }

    /// An error 65 at a byte.
    pub fn error(&self, at: usize, clause: &str) -> Error {
        let (line, column) = self.place(at);
        Error::data(format!("{}, line {line}: column {column}: {clause}", self.name))
    }

    /// What an event that the end of the text cut short comes to.
    ///
    /// # Errors
    /// 65 where that is not allowed.
    pub fn cut(&self, began: usize, at: usize, clause: &str, take: Take<'_>) -> Result<()> {
        match self.tolerance {
            Tolerance::CutLastLine => take(self.place(began).0, Item::Cut),
            Tolerance::Strict => Err(self.error(
                at,
                &format!("{clause}; the history was cut short, and --lenient drops its last piece"),
            )),
        }
    }

    /// Its lines, each with the byte at which it begins.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &'a [u8])> + '_ {
        let mut at = 0;
        std::iter::from_fn(move || {
            let rest = self.bytes.get(at..).filter(|rest| !rest.is_empty())?;
            let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            let begin = at;
            at += end + 1;
            Some((begin, rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end])))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_its_line_and_column_in_whatever_order_they_are_asked() {
        let text = Text::new("t", b"ab\n\ncd\r\ne", Tolerance::Strict);
        for (at, place) in [(8, (4, 1)), (0, (1, 1)), (4, (3, 1)), (5, (3, 2)), (9, (4, 2))] {
            assert_eq!(text.place(at), place, "{at}");
        }
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines, [(0, &b"ab"[..]), (3, b""), (4, b"cd"), (8, b"e")]);
    }
}
