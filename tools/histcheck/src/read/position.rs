//! Where something stands in a text, as errors name it.

use breakit::exit::Error;

/// A byte of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The number of its line, from 1.
    pub line: u64,
    /// Which byte of the line it is, from 1.
    pub column: usize,
}

impl Place {
    /// The beginning of a line.
    pub fn of_line(line: u64) -> Place {
        Place { line, column: 1 }
    }

    /// The place so many bytes further, behind `text`.
    #[must_use]
    pub fn behind(self, text: &[u8]) -> Place {
        match memchr::memrchr(b'\n', text) {
            Some(last) => Place {
                line: self.line + memchr::memchr_iter(b'\n', text).count() as u64,
                column: text.len() - last,
            },
            None => Place { column: self.column + text.len(), ..self },
        }
    }

    /// An error 65 there, in the history that is called `name`.
    pub fn error(self, name: &str, clause: &str) -> Error {
        Error::data(format!("{name}, line {}: column {}: {clause}", self.line, self.column))
    }
}
