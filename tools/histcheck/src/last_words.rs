//! What is printed if the memory ends: the verdict lines that would be missing then, made ready beforehand.
//!
//! A Rust program whose allocation fails is aborted, and nothing can be allocated any more to say so. So all lines
//! that may be wanted are made before the work begins, and the process ends with them and a status of its own.

use std::io;
use std::os::fd::AsFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};

use breakit::exit::Status;
use breakit::messages;
use nix::libc;

/// Why the memory ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The system gives no more.
    Refused,
    /// What a history takes while it is read is more than `--memory` allows.
    Budget,
}

/// The lines of one run: for each history one, of each kind of end.
struct Lines {
    refused: Vec<Vec<u8>>,
    budget: Vec<Vec<u8>>,
}

static LINES: OnceLock<Lines> = OnceLock::new();
/// How many histories have their verdicts.
static DONE: AtomicUsize = AtomicUsize::new(0);
/// The status that they come to.
static STATUS: AtomicU8 = AtomicU8::new(Status::Done as u8);
static ENDING: AtomicBool = AtomicBool::new(false);

/// Prepares the lines for histories, by the index of each; they end with newlines.
pub fn prepare(histories: usize, line: impl Fn(usize, End) -> String) {
    let all = |end| (0..histories).map(|index| line(index, end).into_bytes()).collect();
    // Only the first run of a process has last words.
    let _ = LINES.set(Lines { refused: all(End::Refused), budget: all(End::Budget) });
}

/// So many histories have their verdicts, which come to this status.
pub fn done(histories: usize, status: Status) {
    STATUS.store(status.code(), Ordering::Relaxed);
    DONE.store(histories, Ordering::Relaxed);
}

/// Prints the lines of all histories without a verdict and ends the process. Allocates nothing.
pub fn end(why: End) -> ! {
    if ENDING.swap(true, Ordering::SeqCst) {
        // Another thread is at it, and ends us too.
        loop {
            std::thread::park();
        }
    }
    let (status, words): (Status, &[u8]) = match why {
        End::Refused => {
            (Status::System, b": the system gives no more memory; give --memory less\n")
        }
        End::Budget => {
            (Status::Unknown, b": --memory ran out while a history was read; give it more\n")
        }
    };
    for words in [messages::tool().as_bytes(), words] {
        write(io::stderr(), words);
    }
    if let Some(lines) = LINES.get() {
        let lines = if why == End::Refused { &lines.refused } else { &lines.budget };
        lines.iter().skip(DONE.load(Ordering::Relaxed)).for_each(|line| write(io::stdout(), line));
    }
    let so_far = Status::TABLE.map(|(status, _)| status);
    let so_far = so_far.iter().find(|status| status.code() == STATUS.load(Ordering::Relaxed));
    let status = so_far.map_or(status, |so_far| so_far.worst(status));
    // SAFETY: it ends the process at once, and runs nothing of ours.
    unsafe { libc::_exit(status.code().into()) }
}

/// Past all buffers, as these allocate.
fn write(to: impl AsFd, mut bytes: &[u8]) {
    while let Ok(written @ 1..) = nix::unistd::write(to.as_fd(), bytes) {
        bytes = &bytes[written..];
    }
}
