//! The forms in which histories come, and how each is recognised by its first bytes.
//!
//! A new format is a new file with a [`Kind`], and a line in the list of [`read`](crate::read).

use std::fmt::{self, Debug, Formatter};
use std::ops::Deref;

use breakit::exit::Result;
use breakit::op::Op;
use clap::ValueEnum;
use clap::builder::PossibleValue;

use super::text::{Quick, Take, Text};
use super::{FORMATS, JSON_LINES};

/// How a history is written down: one of [`FORMATS`].
#[derive(Clone, Copy)]
pub struct Format(pub &'static Kind);

/// What is known of a format.
#[derive(Debug)]
pub struct Kind {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is, in one line.
    pub doc: &'static str,
    /// What one event is called in counts.
    pub unit: &'static str,
    /// Whether its order says which operation ended before which began. If it does not, only the order within each
    /// session is known.
    pub has_real_time: bool,
    /// Whether an event without a process is of process 0.
    pub is_process_optional: bool,
    /// How much a text looks like it.
    pub looks: fn(&Head<'_>) -> Likeness,
    /// How its events are read.
    pub events: Events,
    /// How it is written, if it is.
    pub written: Option<Written>,
}

/// How events are read.
#[derive(Clone, Copy, Debug)]
pub enum Events {
    /// Line by line, as JSON: the fast way of [`super::blocks`].
    InLines,
    /// From a text; errors are 65 with line and column, and whatever `Take` says.
    InText(fn(&mut Text<'_>, Quick<'_>, Take<'_>) -> Result<()>),
}

/// How a history is written.
#[derive(Clone, Copy, Debug)]
pub struct Written {
    /// What comes before the events, with its newline.
    pub header: fn() -> String,
    /// An event without its newline; an error in words if the format cannot hold it.
    pub event: fn(&Op) -> std::result::Result<String, String>,
}

/// How much the beginning of a text looks like a format. Of several formats it is the likeliest, and of those as likely
/// the first in [`FORMATS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Likeness {
    /// It is something else.
    No,
    /// It has a word of it.
    Perhaps,
    /// Its first line is of this form.
    Likely,
    /// It has what only this format has.
    Surely,
}

impl Likeness {
    /// `self` if that is so, else no.
    #[must_use]
    pub fn only_if(self, is_so: bool) -> Likeness {
        if is_so { self } else { Likeness::No }
    }
}

/// The beginning of a text, without what is blank before it.
#[derive(Clone, Copy, Debug)]
pub struct Head<'t> {
    /// All that is known of the text.
    pub text: &'t [u8],
    /// Its first line.
    pub line: &'t [u8],
}

impl<'t> Head<'t> {
    fn of(head: &'t [u8]) -> Head<'t> {
        let text = head.strip_prefix(super::blocks::BOM).unwrap_or(head).trim_ascii_start();
        let line = text.split(|&byte| byte == b'\n').next().unwrap_or(text).trim_ascii_end();
        Head { text, line }
    }

    /// What follows a bracket at the beginning.
    pub fn in_bracket(&self) -> Option<&'t [u8]> {
        Some(self.text.strip_prefix(b"[")?.trim_ascii_start())
    }

    /// What follows a brace at the beginning, or after a bracket there.
    pub fn in_brace(&self) -> Option<&'t [u8]> {
        let text = self.in_bracket().unwrap_or(self.text);
        Some(text.strip_prefix(b"{")?.trim_ascii_start())
    }

    /// Whether it begins as something else than a line of plain text.
    pub fn is_nested(&self) -> bool {
        matches!(self.text, [b'[' | b'{' | b'(' | b'#' | b';', ..])
    }

    /// Whether the text has a word.
    pub fn mentions(&self, word: &[u8]) -> bool {
        memchr::memmem::find(self.text, word).is_some()
    }
}

impl Format {
    /// JSON lines, as `workload` writes them.
    pub const JSONL: Format = JSON_LINES;

    /// The format of a name.
    pub fn named(name: &str) -> Option<Format> {
        FORMATS.iter().copied().find(|format| format.name == name)
    }

    /// Whether its events are read line by line, as JSON.
    pub fn is_lines(self) -> bool {
        matches!(self.events, Events::InLines)
    }

    /// The format of a text that begins with `head`. What is none of the others is taken for JSON lines, whose
    /// reader says what is wrong with it.
    pub fn of(head: &[u8]) -> Format {
        let head = Head::of(head);
        let mut found = (Likeness::No, Format::JSONL);
        for format in FORMATS {
            let likeness = (format.looks)(&head);
            if likeness > found.0 {
                found = (likeness, *format);
            }
        }
        found.1
    }

    /// Whether `head` is enough to tell: the beginning of an object, or a whole line that is of some format. A log
    /// may have many lines of other things before the first that shows it.
    pub fn is_decided_by(head: &[u8]) -> bool {
        let text = Head::of(head).text;
        match text {
            // The first object must be there, or so much of it that it is a long one.
            [b'{', rest @ ..] => {
                rest.trim_ascii_start().len() > 1 && (text.contains(&b'\n') || text.len() >= LONG)
            }
            [b'[', rest @ ..] if !Format::of(head).is_lines() => {
                match rest.trim_ascii_start() {
                    // What stands behind the brace tells JSON from EDN.
                    [b'{', rest @ ..] => {
                        !rest.trim_ascii_start().is_empty()
                            && (rest.contains(&b'}') || text.len() >= LONG)
                    }
                    rest => rest.len() > 1,
                }
            }
            _ => text.contains(&b'\n') && !Format::of(head).is_lines(),
        }
    }
}

/// An object that is longer is no operation with two times.
const LONG: usize = 4096 - super::blocks::BOM.len();

impl Deref for Format {
    type Target = Kind;

    fn deref(&self) -> &Kind {
        self.0
    }
}

impl Default for Format {
    fn default() -> Format {
        Format::JSONL
    }
}

impl PartialEq for Format {
    fn eq(&self, other: &Format) -> bool {
        self.name == other.name
    }
}

impl Eq for Format {}

impl Debug for Format {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl ValueEnum for Format {
    fn value_variants<'a>() -> &'a [Format] {
        FORMATS
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name).help(self.doc))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_not_taken_for_something_else_before_it_shows() {
        let begin = "2015 INFO  jepsen.core - Running\n[main] INFO x\n";
        assert!(!Format::is_decided_by(begin.as_bytes()));
        let more = format!("{begin}INFO  jepsen.util - 0\t:invoke\t:read\tnil\n");
        assert!(Format::is_decided_by(more.as_bytes()));
        assert!(Format::is_decided_by(b"{\"process\":0}\n"));
        assert!(Format::is_decided_by(b"\n[\n{\"process\":0}"));
        assert!(!Format::is_decided_by(b"{\"process\":0"));
        assert!(!Format::is_decided_by(b"[{\n  "), "JSON in many lines, and EDN, go on behind it");
    }

    #[test]
    fn a_format_is_recognised_by_how_it_begins() {
        for (head, format) in [
            ("\u{feff}\n {\"process\":0", "jsonl"),
            ("[{\"type\":\"invoke\"", "json"),
            ("{\n  \"type\":\"invoke\"", "json"),
            ("{\n  :type :invoke", "edn"),
            ("{\"process\":0,\"f\":\"read\",\"start\":0,\"end\":1}\n", "operations"),
            ("[\n ]", "json"),
            ("[{:process 4", "edn"),
            ("{:process 4", "edn"),
            ("; a comment\n[{:process", "edn"),
            ("({:type :invoke", "edn"),
            ("#jepsen.history.Op{:index 0", "edn"),
            ("[#jepsen.history.Op{:index 0", "edn"),
            ("INFO  jepsen.util - 0\t:invoke\t:read\tnil\n", "log"),
            ("0\t:invoke\t:read\tnil\n", "log"),
            (":nemesis\t:info\t:start\tnil\n", "log"),
            ("process,type,f,value\n0,invoke,read,\n", "csv"),
            ("client,op,key,value\n0,read,,\n", "csv"),
            ("nope, nothing, of it\n", "jsonl"),
            ("r(0,0,1,2)\n", "plume"),
            ("w 0 1\n===\n", "sessions"),
            ("[1]\n", "jsonl"),
            ("nope\n", "jsonl"),
            ("", "jsonl"),
        ] {
            assert_eq!(Format::of(head.as_bytes()).name, format, "{head:?}");
        }
    }
}
