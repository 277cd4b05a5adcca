//! A file of JSON lines read by several threads, each its own part of it.
//!
//! Each thread begins with a part of the same size. No two cores are equally busy, so a thread that is done takes half of
//! what another has left. A part is read as if it were a history, but for two things: a process may complete at its
//! beginning what it invoked in an earlier part, and the lines of `nemesis` and `workload` are kept until the parts are put
//! together, in order. Whatever is wrong in any part ends this way of reading: the file is then read again from
//! its beginning by one thread, which says what is wrong and where, as if there had never been another.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
/// Half of so much takes another thread longer than to begin and to be joined.
const WORTH_HALVING: u64 = 8 << 20;

/// Reads a file of JSON lines by as many threads as are worth it; `None` where one thread must read it.
pub fn read(name: &str, file: &File, options: Options, progress: &Progress) -> Option<History> {
    let size = file.metadata().ok()?.len();
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let threads = cores.min(size / SMALLEST) as usize;
    if threads < 2 {
        return None;
    }
    let share = Share::new(file, size, threads)?;
    let whole_budget = options.budget;
    let budget = whole_budget.map(|budget| budget.shared_by(threads - 1));
    let options = Options { budget, ..options };
    let part = |range: &Arc<Range>| {
        // The first part takes the others in.
        let expected = if range.from == 0 { size } else { range.left() };
        let assembly = Assembly::part(name, options, range.from > 0).expecting(Some(expected));
        let read = assemble(name, Part { range, share: &share }, assembly, budget, progress);
        if read.is_none() {
            share.stop.store(true, Ordering::Relaxed);
        }
        read.map(|read| (range.from, read))
    };
    // Whoever is done takes half of what another one has left.
    let parts = &|first: Arc<Range>| -> Option<Vec<(u64, Assembly)>> {
        let mut read = vec![part(&first)?];
        while let Some(range) = share.half_of_what_is_left() {
            read.push(part(&range)?);
        }
        Some(read)
    };
    let begun = share.ranges();
    let mut parts = std::thread::scope(|scope| {
        let spawn = |range: &Arc<Range>| {
            let range = Arc::clone(range);
            std::thread::Builder::new().spawn_scoped(scope, move || parts(range))
        };
        let later: io::Result<Vec<_>> = begun.iter().skip(1).map(spawn).collect();
        // A system that gives no threads has one reader, and those that were made are of no use.
        let Ok(later) = later else {
            share.stop.store(true, Ordering::Relaxed);
            return None;
        };
        let first = begun.first().and_then(|first| parts(Arc::clone(first)));
        let joined = later.into_iter().map(|thread| thread.join().ok().flatten());
        std::iter::once(first).chain(joined).collect::<Option<Vec<_>>>()
    })?
    .into_iter()
    .flatten()
    .collect::<Vec<_>>();
    parts.sort_by_key(|&(from, _)| from);
    let mut parts = parts.into_iter().map(|(_, part)| part);
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

/// A file that several threads share.
struct Share<'a> {
    file: &'a File,
    ranges: Mutex<Vec<Arc<Range>>>,
    /// Set when a part is of no use.
    stop: AtomicBool,
}

/// A part of a file, which ends earlier once another thread takes half of what is left.
#[derive(Debug)]
struct Range {
    from: u64,
    /// What is still to be read.
    rest: Mutex<std::ops::Range<u64>>,
}

impl Range {
    fn new(from: u64, to: u64) -> Arc<Range> {
        Arc::new(Range { from, rest: Mutex::new(from..to) })
    }

    fn rest(&self) -> MutexGuard<'_, std::ops::Range<u64>> {
        // Numbers are whole even where a thread broke off.
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn left(&self) -> u64 {
        let rest = self.rest();
        rest.end - rest.start
    }
}

impl<'a> Share<'a> {
    /// One part for each thread, each behind a newline.
    fn new(file: &'a File, size: u64, threads: usize) -> Option<Share<'a>> {
        let share = Share { file, ranges: Mutex::default(), stop: AtomicBool::new(false) };
        let mut cuts = vec![0];
        for part in 1..threads as u64 {
            cuts.push(share.line_behind(size / threads as u64 * part)?);
        }
        cuts.push(size);
        let ranges = cuts.windows(2).map(|cut| Range::new(cut[0], cut[1])).collect();
        Some(Share { ranges: Mutex::new(ranges), ..share })
    }

    fn ranges(&self) -> Vec<Arc<Range>> {
        self.locked().clone()
    }

    fn locked(&self) -> MutexGuard<'_, Vec<Arc<Range>>> {
        self.ranges.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the first line begins behind a place.
    fn line_behind(&self, place: u64) -> Option<u64> {
        let mut buffer = vec![0; 1 << 16];
        let read = self.file.read_at(&mut buffer, place).ok()?;
        let newline = memchr::memchr(b'\n', &buffer[..read])?;
        Some(place + newline as u64 + 1)
    }

    /// The later half of the part of which most is left, where that is worth it; its reader ends before it.
    fn half_of_what_is_left(&self) -> Option<Arc<Range>> {
        let mut ranges = self.locked();
        let longest = ranges.iter().max_by_key(|range| range.left())?;
        let mut rest = longest.rest();
        let left = rest.end - rest.start;
        if left < WORTH_HALVING || self.stop.load(Ordering::Relaxed) {
            return None;
        }
        let cut = self.line_behind(rest.start + left / 2).filter(|&cut| cut < rest.end)?;
        let half = Range::new(cut, std::mem::replace(&mut rest.end, cut));
        drop(rest);
        ranges.push(Arc::clone(&half));
        Some(half)
    }
}

/// A part of a file, read.
struct Part<'a> {
    range: &'a Range,
    share: &'a Share<'a>,
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.share.stop.load(Ordering::Relaxed) {
            return Err(io::Error::other("another part is of no use"));
        }
        // What is to be read is nobody else's from now on.
        let (at, most) = {
            let mut rest = self.range.rest();
            let left = usize::try_from(rest.end - rest.start).unwrap_or(usize::MAX);
            let most = buffer.len().min(left);
            let at = rest.start;
            rest.start += most as u64;
            (at, most)
        };
        let mut filled = 0;
        while filled < most {
            match self.share.file.read_at(&mut buffer[filled..most], at + filled as u64) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_are_halved_while_they_are_read_are_whole_lines_and_hold_each_byte_once() {
        let text: Vec<u8> =
            (0..2_000_000).flat_map(|n| format!("line {n}\n").into_bytes()).collect();
        let path = std::env::temp_dir().join(format!("parts-{}.jsonl", std::process::id()));
        std::fs::write(&path, &text).unwrap();
        let file = File::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let share = Share::new(&file, text.len() as u64, 2).unwrap();
        let mut begun = share.ranges();
        let mut read: Vec<Vec<u8>> = vec![Vec::new(); begun.len()];
        let mut buffer = vec![0; 300_000];
        // One reads on, now and then, while the others are taken from it.
        while begun.iter().any(|range| range.left() > 0) {
            for (range, read) in begun.iter().zip(&mut read) {
                let count = Part { range, share: &share }.read(&mut buffer).unwrap();
                read.extend_from_slice(&buffer[..count]);
            }
            if let Some(half) = share.half_of_what_is_left() {
                begun.push(half);
                read.push(Vec::new());
            }
        }
        assert!(begun.len() > 3, "{}", begun.len());
        let mut parts: Vec<(u64, Vec<u8>)> =
            begun.iter().map(|range| range.from).zip(read).collect();
        parts.sort();
        assert!(parts.iter().all(|(_, part)| part.starts_with(b"line ") && part.ends_with(b"\n")));
        let joined: Vec<u8> = parts.into_iter().flat_map(|(_, part)| part).collect();
        assert!(joined == text);
    }
}
