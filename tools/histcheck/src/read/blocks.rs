//! Bytes to lines, read in large blocks: what memory is used is ours, and a file cut under us is no signal.

use std::io::{self, ErrorKind, Read};

use crate::budget::Budget;

/// What fits into the cache of a core beside all else: the bytes are looked at right after they are copied.
const BLOCK: usize = 1 << 18;
/// The byte order mark in UTF-8.
pub const BOM: &[u8] = b"\xef\xbb\xbf";

/// A line without its ending.
#[derive(Debug, Clone, Copy)]
pub struct RawLine<'a> {
    /// Its number, from 1.
    pub number: u64,
    /// Its bytes, without newline, carriage return and, on the first line, byte order mark.
    pub text: &'a [u8],
    /// Whether a newline ended it.
    pub whole: bool,
}

/// Some lines with their endings.
#[derive(Debug, Clone, Copy)]
pub struct Piece<'a> {
    /// Their bytes, without the byte order mark.
    pub text: &'a [u8],
    /// Whether a newline ends the last of them.
    pub whole: bool,
}

/// A line without its ending.
pub fn bare(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Lines of a reader.
#[derive(Debug)]
pub struct Blocks<R> {
    source: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    number: u64,
    began: bool,
    ended: bool,
    budget: Option<Budget>,
}

impl<R: Read> Blocks<R> {
    /// Lines of `source`.
    pub fn new(source: R) -> Blocks<R> {
        Blocks {
            source,
            buffer: vec![0; BLOCK],
            start: 0,
            end: 0,
            number: 0,
            began: false,
            ended: false,
            budget: None,
        }
    }

    /// The same within a budget: a line without an end comes to it.
    #[must_use]
    pub fn within(self, budget: Option<Budget>) -> Blocks<R> {
        Blocks { budget, ..self }
    }

    /// Goes on with another source; whether that is the beginning of a text, where a byte order mark may be.
    pub fn begin_again(&mut self, source: R, is_beginning: bool) {
        self.source = source;
        (self.start, self.end) = (0, 0);
        (self.began, self.ended) = (!is_beginning, false);
    }

    /// The next line; `None` at the end.
    ///
    /// # Errors
    /// Whatever reading says.
    pub fn next_line(&mut self) -> io::Result<Option<RawLine<'_>>> {
        let mut searched = self.start;
        loop {
            let found = memchr::memchr(b'\n', &self.buffer[searched..self.end]);
            if let Some(at) = found {
                let end = searched + at;
                return Ok(Some(self.cut(end, end + 1, true)));
            }
            if self.ended {
                let end = self.end;
                // A byte order mark alone is no line.
                let is_empty = self.start == end || (self.number == 0 && self.rest() == BOM);
                return Ok((!is_empty).then(|| self.cut(end, end, false)));
            }
            let unsearched = self.end - self.start;
            self.fill()?;
            searched = self.start + unsearched;
        }
    }

    /// The next piece: all whole lines that are there, or at the end what no newline ended. `None` at the end.
    ///
    /// # Errors
    /// Whatever reading says.
    pub fn next_piece(&mut self) -> io::Result<Option<Piece<'_>>> {
        let mut searched = self.start;
        loop {
            let last = memchr::memrchr(b'\n', &self.buffer[searched..self.end]);
            let (end, whole) = match last {
                Some(at) => (searched + at + 1, true),
                None if self.ended => (self.end, false),
                None => {
                    let unsearched = self.end - self.start;
                    self.fill()?;
                    searched = self.start + unsearched;
                    continue;
                }
            };
            let begin = self.start + self.bom();
            self.start = end;
            return Ok((begin < end).then(|| Piece { text: &self.buffer[begin..end], whole }));
        }
    }

    /// What was read and not taken.
    pub fn rest(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Whether nothing comes behind that.
    pub fn is_all(&self) -> bool {
        self.ended
    }

    /// Reads once more behind it.
    ///
    /// # Errors
    /// Whatever reading says.
    pub fn more(&mut self) -> io::Result<()> {
        self.fill()
    }

    /// Takes so many bytes of it, which are there.
    pub fn pass(&mut self, bytes: usize) {
        self.start += bytes;
    }

    /// How long the byte order mark is that begins the text.
    fn bom(&mut self) -> usize {
        let is_first = std::mem::replace(&mut self.began, true);
        match self.buffer[self.start..self.end].starts_with(BOM) {
            true if !is_first => BOM.len(),
            _ => 0,
        }
    }

    /// Makes room and reads once.
    fn fill(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.end >= BLOCK {
            self.widen()?;
        }
        loop {
            match self.source.read(&mut self.buffer[self.end..]) {
                Ok(0) => {
                    self.ended = true;
                    return Ok(());
                }
                Ok(read) => {
                    self.end += read;
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Makes room for a line or an event that is longer than a block, as far as the budget goes.
    fn widen(&mut self) -> io::Result<()> {
        let is_full = self.end == self.buffer.len();
        let more = if is_full { self.buffer.len() } else { 0 };
        if let Some(budget) = self.budget {
            budget.room_for(more).map_err(io::Error::other)?;
        }
        self.buffer.resize(self.buffer.len() + more, 0);
        Ok(())
    }

    fn cut(&mut self, end: usize, next: usize, whole: bool) -> RawLine<'_> {
        let mut text = bare(&self.buffer[self.start..end]);
        self.start = next;
        self.number += 1;
        if self.number == 1 {
            text = text.strip_prefix(BOM).unwrap_or(text);
        }
        RawLine { number: self.number, text, whole }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives `step` bytes at a time, as a slow pipe does.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = self.1.min(self.0.len()).min(buffer.len());
            buffer[..length].copy_from_slice(&self.0[..length]);
            self.0 = &self.0[length..];
            Ok(length)
        }
    }

    fn lines(bytes: &[u8], step: usize) -> Vec<(Vec<u8>, bool)> {
        let mut blocks = Blocks::new(Slow(bytes, step));
        let mut lines = Vec::new();
        while let Some(line) = blocks.next_line().unwrap() {
            lines.push((line.text.to_vec(), line.whole));
        }
        lines
    }

    #[test]
    fn lines_do_not_depend_on_how_the_bytes_arrive() {
        let bytes = b"\xef\xbb\xbfone\r\n\ntwo\nthree";
        let expected = [
            (b"one".to_vec(), true),
            (b"".to_vec(), true),
            (b"two".to_vec(), true),
            (b"three".to_vec(), false),
        ];
        for step in 1..=bytes.len() {
            assert_eq!(lines(bytes, step), expected, "{step} bytes at a time");
        }
    }

    #[test]
    fn a_byte_order_mark_alone_is_no_line() {
        assert_eq!(lines(BOM, 1), []);
        assert_eq!(lines(&[BOM, b"\n"].concat(), 2), [(b"".to_vec(), true)]);
    }

    #[test]
    fn pieces_are_whole_lines_however_the_bytes_arrive() {
        let bytes = b"\xef\xbb\xbfone\r\n\ntwo\nthree";
        for step in 1..=bytes.len() {
            let mut blocks = Blocks::new(Slow(bytes, step));
            let mut whole = Vec::new();
            while let Some(piece) = blocks.next_piece().unwrap() {
                assert_eq!(piece.whole, piece.text.ends_with(b"\n"));
                whole.extend_from_slice(piece.text);
            }
            assert_eq!(whole, bytes[BOM.len()..], "{step} bytes at a time");
        }
    }

    #[test]
    fn a_line_longer_than_a_block_is_one_line() {
        let mut bytes = vec![b'x'; 3 * BLOCK + 5];
        bytes.push(b'\n');
        assert_eq!(lines(&bytes, BLOCK), [(vec![b'x'; 3 * BLOCK + 5], true)]);
    }
}
