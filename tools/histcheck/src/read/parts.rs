//! A file of JSON lines read by several threads, in pieces.
//!
//! Each thread takes the next piece in the order of the file, and reads it as if it were a history, with a small table of
//! values of its own, but for two things: a process may complete in it what it invoked in an earlier piece, and the lines
//! of `nemesis` and `workload` are kept until the pieces are joined. Whoever has read a piece joins those that come next
//! while the others read on: no thread waits, and what is read and not joined is little. Values, processes and words
//! are numbered in the order of the file, as one thread numbers them. Whatever is wrong in any piece ends this way of
//! reading: the file is then read again from its beginning by one thread, which says what is wrong and where, as if there
//! had never been another.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use super::blocks::Blocks;
use super::builder::Assembly;
use super::format::Format;
use super::progress::Progress;
use super::{Options, read_lines};
use crate::history::History;

/// A file with less than so much for each of two threads is read by one.
const SMALLEST: u64 = 4 << 20;
/// Of the bytes of a piece: its operations fit into the cache of a core until they are joined.
const PIECE: u64 = 2 << 20;
/// A line that is longer is for one thread.
const LONGEST_LINE: u64 = 1 << 16;
/// With more pieces than so many for each thread that wait to be joined, a thread joins them before it reads on.
const WAITING: usize = 4;

/// Reads a file of JSON lines by as many threads as are worth it; `None` where one thread must read it.
pub fn read(name: &str, file: &File, options: Options, progress: &Progress) -> Option<History> {
    let size = file.metadata().ok()?.len();
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let threads = cores.min(size / SMALLEST) as usize;
    if threads < 2 {
        return None;
    }
    let share = Share::new(name, file, size, options, progress, threads);
    let is_read = std::thread::scope(|scope| {
        let spawn = |_| std::thread::Builder::new().spawn_scoped(scope, || share.work());
        let others: io::Result<Vec<_>> = (1..threads).map(spawn).collect();
        // A system that gives no threads has one reader, and those that were made are of no use.
        let Ok(others) = others else {
            share.stop.store(true, Ordering::Relaxed);
            return None;
        };
        let mine = share.work();
        others.into_iter().map(|thread| thread.join().ok().flatten()).fold(mine, Option::and)
    });
    is_read?;
    share.join_next(share.locked_whole())?;
    let pieces = share.pieces();
    let Whole { history, next } = share.whole.into_inner().ok()?;
    (next == pieces).then(|| history.finish().ok())?
}

/// The history so far: its first pieces, joined.
struct Whole {
    history: Assembly,
    /// The number of the piece that comes next.
    next: u64,
}

/// What the threads share.
struct Share<'a> {
    name: &'a str,
    file: &'a File,
    size: u64,
    options: Options,
    progress: &'a Progress,
    most_waiting: usize,
    /// How many pieces were taken.
    taken: AtomicU64,
    /// Set when a piece is of no use.
    stop: AtomicBool,
    /// Pieces that wait to be joined, by their numbers.
    read: Mutex<BTreeMap<u64, Assembly>>,
    whole: Mutex<Whole>,
}

impl<'a> Share<'a> {
    /// Nothing is read yet.
    fn new(
        name: &'a str,
        file: &'a File,
        size: u64,
        options: Options,
        progress: &'a Progress,
        threads: usize,
    ) -> Share<'a> {
        let whole = Whole { history: Assembly::part(name, options, false), next: 0 };
        Share {
            name,
            file,
            size,
            options,
            progress,
            most_waiting: WAITING * threads,
            taken: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            read: Mutex::default(),
            whole: Mutex::new(whole),
        }
    }

    /// Reads pieces and joins them until there are no more; `None` where any of them is of no use.
    fn work(&self) -> Option<()> {
        let worked = self.each_piece();
        if worked.is_none() {
            self.stop.store(true, Ordering::Relaxed);
        }
        worked
    }

    fn each_piece(&self) -> Option<()> {
        let mut blocks = Blocks::new(Piece { share: self, rest: 0..0 }).within(self.options.budget);
        loop {
            let number = self.taken.fetch_add(1, Ordering::Relaxed);
            if number >= self.pieces() {
                return Some(());
            }
            let piece = self.piece(number)?;
            let bytes = piece.rest.end - piece.rest.start;
            let assembly = Assembly::part(self.name, self.options, true).expecting(Some(bytes));
            blocks.begin_again(piece, number == 0);
            let read = read_lines(self.name, &mut blocks, assembly, self.progress).ok()?;
            let waiting = {
                let mut all = self.locked_read();
                all.insert(number, read);
                all.len()
            };
            // Whoever joins just now does it for all.
            let whole = match self.whole.try_lock() {
                Ok(whole) => whole,
                Err(TryLockError::WouldBlock) if waiting < self.most_waiting => continue,
                Err(_) => self.locked_whole(),
            };
            self.join_next(whole)?;
        }
    }

    /// Joins the pieces that come next, as far as they were read.
    fn join_next(&self, mut whole: MutexGuard<'_, Whole>) -> Option<()> {
        loop {
            let Some(piece) = self.locked_read().remove(&whole.next) else { return Some(()) };
            if let Some(budget) = self.options.budget {
                // It is there twice while it is copied behind the others.
                budget.spend(whole.history.bytes() + 2 * piece.bytes()).ok()?;
            }
            whole.history.join(piece).ok()?;
            if whole.next == 0 {
                whole.history.make_room(PIECE, self.size);
            }
            whole.next += 1;
        }
    }

    fn locked_read(&self) -> MutexGuard<'_, BTreeMap<u64, Assembly>> {
        // Where a thread broke off, another one says so.
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn locked_whole(&self) -> MutexGuard<'_, Whole> {
        self.whole.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pieces(&self) -> u64 {
        self.size.div_ceil(PIECE)
    }

    /// The piece with a number; `None` where it has no end in sight.
    fn piece(&self, number: u64) -> Option<Piece<'_>> {
        let rest = self.cut(number)?..self.cut(number + 1)?;
        Some(Piece { share: self, rest })
    }

    /// Where a piece begins: with the first line that begins at its place or behind it.
    fn cut(&self, number: u64) -> Option<u64> {
        let place = number * PIECE;
        match place {
            0 => Some(0),
            _ if place >= self.size => Some(self.size),
            // It may have grown since.
            _ => self.line_behind(place - 1).map(|cut| cut.min(self.size)),
        }
    }

    /// Where the first line begins behind a place; `None` where a line is too long.
    fn line_behind(&self, place: u64) -> Option<u64> {
        let mut buffer = [0; 1 << 10];
        let mut at = place;
        while at < place + LONGEST_LINE {
            let read = match self.file.read_at(&mut buffer, at) {
                Ok(0) => return (at == self.size).then_some(at),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return None,
            };
            if let Some(newline) = memchr::memchr(b'\n', &buffer[..read]) {
                return Some(at + newline as u64 + 1);
            }
            at += read as u64;
        }
        None
    }
}

/// A piece of the file: whole lines, or at its end a last one.
struct Piece<'a> {
    share: &'a Share<'a>,
    /// What is still to be read.
    rest: std::ops::Range<u64>,
}

impl Read for Piece<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.share.stop.load(Ordering::Relaxed) {
            return Err(io::Error::other("another piece is of no use"));
        }
        let left = usize::try_from(self.rest.end - self.rest.start).unwrap_or(usize::MAX);
        let most = buffer.len().min(left);
        if most == 0 {
            return Ok(0);
        }
        match self.share.file.read_at(&mut buffer[..most], self.rest.start)? {
            // It was cut while it was read.
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                self.rest.start += read as u64;
                Ok(read)
            }
        }
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
    fn pieces_are_whole_lines_and_hold_each_byte_once() {
        let line = |n: usize| "x".repeat(n * n % 3_001) + "\n";
        let mut text: String = (0..5_000).map(line).collect();
        // One line begins where a piece does.
        let at = text[..PIECE as usize - 1].rfind('\n').unwrap() + 1;
        text.insert_str(at, &("y".repeat(PIECE as usize - 1 - at) + "\n"));
        text += "the last";
        let path = std::env::temp_dir().join(format!("pieces-{}.jsonl", std::process::id()));
        std::fs::write(&path, &text).unwrap();
        let file = File::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let progress = Progress::none();
        let share = Share::new("h", &file, text.len() as u64, Options::default(), &progress, 2);
        let mut joined = String::new();
        for number in 0..share.pieces() {
            let mut piece = String::new();
            share.piece(number).unwrap().read_to_string(&mut piece).unwrap();
            assert!(piece.ends_with('\n') || number + 1 == share.pieces(), "{number}");
            joined += &piece;
        }
        assert!(share.pieces() > 2 && joined == text);
        let one_line =
            [b"z".repeat(LONGEST_LINE as usize + 1 + PIECE as usize), text.into()].concat();
        std::fs::write(&path, &one_line).unwrap();
        let file = File::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let share = Share::new("h", &file, one_line.len() as u64, Options::default(), &progress, 2);
        assert!(share.piece(0).is_none(), "a line is too long");
    }
}
