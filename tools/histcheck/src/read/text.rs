//! A text for the formats in which an event is no line: a window that moves over it, its places, and what is
//! wrong there. No more of the text is in memory than one event and a block.

use breakit::exit::{Error, Result};
use breakit::op::{Op, Process};

use super::Tolerance;
use super::blocks::{BOM, Blocks};
use super::packed::Source;
use super::position::Place;
use super::progress::Progress;
use super::source_span::{Form, Site};
use crate::budget::Budget;
use crate::clients::lane_name;

/// What a reader of a text finds.
#[derive(Debug)]
pub enum Item {
    /// An event.
    Op(Box<Op>),
    /// An event of an operation that overlaps others of its process, in a lane from 1.
    InLane(Box<Op>, u32),
    /// Nothing.
    Blank,
    /// A line of a log that is no event.
    Remark,
    /// A line that separates transactions.
    Rule,
    /// An event that was cut short by the end of the text, which `--lenient` allows.
    Cut,
    /// The end of a text whose last bracket is missing, which `--lenient` allows. It is no event, and none is lost.
    Unclosed,
}

impl Item {
    /// An event in a lane; in lane 0 it is like all others.
    pub fn of_lane(op: Box<Op>, lane: u32) -> Item {
        match lane {
            0 => Item::Op(op),
            _ => Item::InLane(op, lane),
        }
    }

    /// The event, where it is one. Where it is in a lane, its process is given the lane's number, as nothing else
    /// tells its operation from those that it overlaps.
    pub fn event(self) -> Option<Box<Op>> {
        match self {
            Item::Op(op) => Some(op),
            Item::InLane(mut op, lane) => {
                op.process = Process::Other(lane_name(&op.process, lane));
                Some(op)
            }
            _ => None,
        }
    }
}

/// Takes what is found, with where it stands.
pub type Take<'a> = &'a mut dyn FnMut(Site<'_>, Item) -> Result<()>;

/// Takes events as [`Take`] does, and quicker, that stand at the beginning of a window, which is at a place: as many as are
/// plain and followed by another. Says how many bytes they are, with what stands between them and the next: 0 where
/// the first is none of them.
pub type Quick<'a> = &'a mut dyn FnMut(&[u8], Place, Form<'_>) -> Result<usize>;

/// A text and what to call it.
pub struct Text<'a> {
    name: &'a str,
    tolerance: Tolerance,
    blocks: Blocks<Source>,
    progress: &'a Progress,
    /// Where the window begins.
    begin: Place,
}

impl<'a> Text<'a> {
    /// A text; a byte order mark at its beginning is none of it.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn new(
        name: &'a str,
        source: Source,
        tolerance: Tolerance,
        progress: &'a Progress,
    ) -> Result<Text<'a>> {
        let (blocks, begin) = (Blocks::new(source), Place::of_line(1));
        let mut text = Text { name, tolerance, blocks, progress, begin };
        while text.rest().len() < BOM.len() && !text.is_all() {
            text.more()?;
        }
        if text.rest().starts_with(BOM) {
            text.blocks.pass(BOM.len());
        }
        Ok(text)
    }

    /// The same within a budget: an event without an end comes to it.
    #[must_use]
    pub fn within(self, budget: Option<Budget>) -> Text<'a> {
        Text { blocks: self.blocks.within(budget), ..self }
    }

    /// What the text is called in errors.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// What is in the window: all that was read and not passed.
    pub fn rest(&self) -> &[u8] {
        self.blocks.rest()
    }

    /// Whether the text ends where the window does.
    pub fn is_all(&self) -> bool {
        self.blocks.is_all()
    }

    /// Widens the window: to twice its size, so that an event of any size is looked at few times.
    ///
    /// # Errors
    /// Where the text cannot be read.
    pub fn more(&mut self) -> Result<()> {
        let before = self.rest().len();
        while self.rest().len() <= 2 * before && !self.is_all() {
            let had = self.rest().len();
            if let Err(error) = self.blocks.more() {
                return Err(super::unreadable(self.name, self.place(had), &error));
            }
            self.progress.add(self.rest().len() - had);
        }
        Ok(())
    }

    /// Moves the window on by so many bytes.
    pub fn pass(&mut self, bytes: usize) {
        self.begin = self.place(bytes);
        self.blocks.pass(bytes);
    }

    /// The place of a byte of the window.
    pub fn place(&self, at: usize) -> Place {
        self.begin.behind(&self.rest()[..at.min(self.rest().len())])
    }

    /// An error 65 at a byte of the window.
    pub fn error(&self, at: usize, clause: &str) -> Error {
        self.place(at).error(self.name, clause)
    }

    /// The event of so many bytes at which the window begins.
    pub fn site<'s>(&'s self, bytes: usize, form: Form<'s>) -> Site<'s> {
        Site::new(self.begin, &self.rest()[..bytes], form)
    }

    /// What an event comes to that begins at the window's and that the end of the text cut short, seen at the
    /// byte `at`.
    ///
    /// # Errors
    /// 65 where that is not allowed.
    pub fn cut(&self, at: usize, clause: &str, take: Take<'_>) -> Result<()> {
        self.ended(
            Item::Cut,
            at,
            &format!("{clause}; the history was cut short, and --lenient drops its last piece"),
            take,
        )
    }

    /// What a text comes to whose last bracket is missing, and nothing else.
    ///
    /// # Errors
    /// As [`Text::cut`].
    pub fn unclosed(&self, clause: &str, take: Take<'_>) -> Result<()> {
        self.ended(
            Item::Unclosed,
            0,
            &format!("{clause}; close it, or read it with --lenient, which takes what is there"),
            take,
        )
    }

    fn ended(&self, item: Item, at: usize, clause: &str, take: Take<'_>) -> Result<()> {
        match self.tolerance {
            Tolerance::CutLastLine => take(Site::at(self.begin), item),
            Tolerance::Strict => Err(self.error(at, clause)),
        }
    }

    /// What a last line comes to that no newline ends, where its bytes do not show whether it is whole.
    ///
    /// # Errors
    /// 65 where that is not allowed.
    pub fn cut_line(&self, take: Take<'_>) -> Result<()> {
        match self.tolerance {
            Tolerance::CutLastLine => take(Site::at(self.begin), Item::Cut),
            Tolerance::Strict => Err(self.error(
                self.rest().len(),
                "no newline ends the last line, so that it may have been cut short; end it with one \
                 where it is whole; --lenient drops it",
            )),
        }
    }

    /// How long the line is at which the window begins, without its ending and with it; `None` at the end of
    /// the text. A line that no newline ends is as long as without.
    ///
    /// # Errors
    /// Where the text cannot be read.
    pub fn line(&mut self) -> Result<Option<(usize, usize)>> {
        let mut searched = 0;
        loop {
            let rest = self.rest();
            if let Some(at) = memchr::memchr(b'\n', &rest[searched..]) {
                let end = searched + at;
                let bare = rest[..end].strip_suffix(b"\r").map_or(end, <[u8]>::len);
                return Ok(Some((bare, end + 1)));
            }
            if self.is_all() {
                return Ok((!rest.is_empty()).then_some((rest.len(), rest.len())));
            }
            searched = rest.len();
            self.more()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &'static [u8]) -> Text<'static> {
        let none: &'static Progress = Box::leak(Box::new(Progress::none()));
        Text::new("t", Box::new(bytes), Tolerance::Strict, none).unwrap()
    }

    #[test]
    fn every_byte_has_its_line_and_column_wherever_the_window_begins() {
        for (at, line, column) in [(8, 4, 1), (0, 1, 1), (4, 3, 1), (5, 3, 2), (9, 4, 2)] {
            for passed in 0..=at {
                let mut text = text(b"\xef\xbb\xbfab\n\ncd\r\ne");
                text.pass(passed);
                assert_eq!(text.place(at - passed), Place { line, column }, "{at} from {passed}");
            }
        }
    }

    #[test]
    fn lines_are_given_with_and_without_what_ends_them() {
        let mut text = text(b"ab\n\ncd\r\ne\r");
        let mut lines = Vec::new();
        while let Some((bare, whole)) = text.line().unwrap() {
            lines.push((bare, whole));
            text.pass(whole);
        }
        assert_eq!(lines, [(2, 3), (0, 1), (2, 4), (2, 2)]);
    }
}
