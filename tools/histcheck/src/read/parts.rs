//! A file of JSON lines read by several threads, each its own part of it.
//!
//! A part is read as if it were a history, but for two things: a process may complete at its beginning what it
//! invoked in an earlier part, and the lines of `nemesis` and `workload` are kept until the parts are put
//! together, in order. Whatever is wrong in any part ends this way of reading: the file is then read again from
//! its beginning by one thread, which says what is wrong and where, as if there had never been another.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};

use breakit::exit::Result;

use super::assemble::Assembly;
use super::blocks::Blocks;
use super::format::Format;
use super::progress::Progress;
use super::{Options, read_lines};
use crate::budget::Budget;
use crate::history::History;

/// A part that is smaller is not worth a thread.
const SMALLEST: u64 = 4 << 20;

/// Reads a file of JSON lines by as many threads as are worth it; `None` where one thread must read it.
pub fn read(name: &str, file: &File, options: Options, progress: &Progress) -> Option<History> {
    let size = file.metadata().ok()?.len();
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let threads = cores.min(size / SMALLEST);
    if threads < 2 {
        return None;
    }
    let cuts = cuts(file, size, threads)?;
    let stop = AtomicBool::new(false);
    let whole_budget = options.budget;
    let budget = whole_budget.map(|budget| budget.shared_by(cuts.len() - 1));
    let options = Options { budget, ..options };
    let part = &|from: u64, to: u64| {
        let part = Part { file, at: from, end: to, stop: &stop };
        // The first part takes the others in.
        let expected = if from == 0 { size } else { to - from };
        let assembly = Assembly::part(name, options, from > 0).expecting(Some(expected));
        let read = assemble(name, part, assembly, budget, progress);
        if read.is_none() {
            stop.store(true, Ordering::Relaxed);
        }
        read
    };
    let mut parts = std::thread::scope(|scope| {
        let spawn = |cut: &[u64]| {
            let (from, to) = (cut[0], cut[1]);
            std::thread::Builder::new().spawn_scoped(scope, move || part(from, to))
        };
        let later: io::Result<Vec<_>> = cuts.windows(2).skip(1).map(spawn).collect();
        // A system that gives no threads has one reader, and those that were made are of no use.
        let Ok(later) = later else {
            stop.store(true, Ordering::Relaxed);
            return None;
        };
        let first = part(cuts[0], cuts[1]);
        let joined = later.into_iter().map(|thread| thread.join().ok().flatten());
        std::iter::once(first).chain(joined).collect::<Option<Vec<Assembly>>>()
    })?
    .into_iter();
    let mut whole = parts.next()?;
    for part in parts {
        // It stands twice while it is copied behind the others.
        if let Some(budget) = whole_budget {
            budget.spend(whole.bytes() + 2 * part.bytes()).ok()?;
        }
        whole.join(part).ok()?;
    }
    whole.finish().ok()
}

fn assemble(
    name: &str,
    part: Part<'_>,
    assembly: Assembly,
    budget: Option<Budget>,
    progress: &Progress,
) -> Option<Assembly> {
    let read = |assembly| -> Result<Assembly> {
        read_lines(name, &mut Blocks::new(part).within(budget), assembly, progress)
    };
    read(assembly).ok()
}

/// Where the parts begin, each behind a newline, and where the last one ends.
fn cuts(file: &File, size: u64, parts: u64) -> Option<Vec<u64>> {
    let mut cuts = vec![0];
    for part in 1..parts {
        let from = size / parts * part;
        let mut buffer = vec![0; 1 << 16];
        let read = file.read_at(&mut buffer, from).ok()?;
        let newline = memchr::memchr(b'\n', &buffer[..read])?;
        cuts.push(from + newline as u64 + 1);
    }
    cuts.push(size);
    Some(cuts)
}

/// A part of a file.
struct Part<'a> {
    file: &'a File,
    at: u64,
    end: u64,
    /// Set when another part is of no use.
    stop: &'a AtomicBool,
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(io::Error::other("another part is of no use"));
        }
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let most = buffer.len().min(left);
        let read = self.file.read_at(&mut buffer[..most], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// Whether a file may be read at places: pipes and terminals may not.
pub fn is_regular(file: &File) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.is_file())
}

/// The format of a regular file by its first bytes; `None` where it is packed or cannot be read at places.
pub fn format(file: &File) -> Option<Format> {
    let mut head = [0; 4096];
    let read = file.read_at(&mut head, 0).ok().filter(|_| is_regular(file))?;
    let head = &head[..read];
    let is_text = !super::packed::is_packed(head) && super::foreign::what(head).is_none();
    (is_text && Format::is_decided_by(head)).then(|| Format::of(head))
}
