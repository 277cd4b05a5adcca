//! Where a history came from, so that what turns out to be wrong when it is judged is named with its place.
//!
//! An operation in memory has no room for the columns of its fields. They are looked for where the text still is: a
//! file is read once more, up to the line; of what came through a pipe the beginning was kept.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use breakit::exit::Error;
use breakit::op::{Process, Type};

use super::blocks::Blocks;
use super::format::Format;
use super::packed::Source;
use super::position::Place;
use super::progress::Progress;
use super::source_span::Site;
use super::text::{Item, Text};
use super::{Options, Tolerance};

/// Of a pipe so many bytes are kept. Who judges a history by the wrong model hears of its first operations.
const KEPT: usize = 1 << 20;

/// Where a history came from.
#[derive(Debug, Default)]
pub struct Origin {
    text: Kind,
    format: Option<Format>,
}

#[derive(Debug, Default)]
enum Kind {
    /// It cannot be read again.
    #[default]
    Gone,
    File(PathBuf),
    Kept(Arc<Mutex<Vec<u8>>>),
}

/// An event that is looked for.
#[derive(Clone, Debug)]
pub struct Sought {
    /// The line on which it begins.
    pub line: u64,
    /// Its process.
    pub process: Process,
    /// Its type.
    pub kind: Type,
    /// How many such events there are before it on that line.
    pub nth: usize,
}

impl Origin {
    /// A file that can be read again.
    pub fn file(path: PathBuf, options: Options) -> Origin {
        Origin { text: Kind::File(path), format: options.format }
    }

    /// A source that cannot, and what keeps its beginning while it is read.
    pub fn pipe(source: Source, options: Options) -> (Origin, Source) {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let source = Box::new(Keeping { source, kept: Arc::clone(&kept) });
        (Origin { text: Kind::Kept(kept), format: options.format }, source)
    }

    /// The place of a field of an event; `None` where it has no such field, or the text cannot be read again.
    pub fn place(&self, name: &str, sought: Sought, field: &str) -> Option<Place> {
        let source: Source = match &self.text {
            Kind::Gone => return None,
            Kind::File(path) => Box::new(File::open(path).ok()?),
            Kind::Kept(kept) => {
                let kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                Box::new(Cursor::new(kept.clone()))
            }
        };
        let options = Options { format: self.format, ..Options::default() };
        let (format, source) = super::recognise(name, source, options).ok()?;
        match format.is_lines() {
            true => on_line(source, sought.line, field),
            false => in_text(name, source, format, sought, field),
        }
    }
}

fn on_line(source: Source, line: u64, field: &str) -> Option<Place> {
    let mut blocks = Blocks::new(source);
    loop {
        let raw = blocks.next_line().ok()??;
        if raw.number == line {
            return Site::line(line, raw.text).find(field);
        }
    }
}

fn in_text(
    name: &str,
    source: Source,
    format: Format,
    sought: Sought,
    field: &str,
) -> Option<Place> {
    let none = Progress::none();
    let mut text = Text::new(name, source, Tolerance::CutLastLine, &none).ok()?;
    let (mut before, mut found) = (0, None);
    // It ends with an error where the event is found: nobody reads on.
    let _ = super::each_in_text(&mut text, format, &mut super::none_quickly, &mut |site, item| {
        let (Item::Op(op) | Item::InLane(op, _)) = item else { return Ok(()) };
        let is_it = site.place.line == sought.line
            && is_same(&op.process, &sought.process)
            && op.kind == sought.kind;
        match is_it {
            true if before == sought.nth => {
                found = site.find(field);
                Err(Error::data("found"))
            }
            true => {
                before += 1;
                Ok(())
            }
            false => Ok(()),
        }
    });
    found
}

/// Whether two processes are one, where a large number may be kept as a name.
fn is_same(one: &Process, other: &Process) -> bool {
    one == other || one.to_string() == other.to_string()
}

/// Keeps the beginning of what is read.
struct Keeping {
    source: Source,
    kept: Arc<Mutex<Vec<u8>>>,
}

impl Read for Keeping {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.source.read(buffer)?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let room = KEPT.saturating_sub(kept.len()).min(read);
        kept.extend_from_slice(&buffer[..room]);
        Ok(read)
    }
}
