//! What a tool says on stderr: its name in front, one write a line, no colour, louder or quieter by flag.

use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

use clap::Args;

use crate::escape;

static NAME: OnceLock<&'static str> = OnceLock::new();
static LEVEL: AtomicU8 = AtomicU8::new(NORMAL);

const QUIET: u8 = 0;
const NORMAL: u8 = 1;
const VERBOSE: u8 = 2;

/// The two flags that every tool has.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Loudness {
    /// Print only errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Print each step
    #[arg(short, long, global = true)]
    pub verbose: bool,
}

impl Loudness {
    /// Makes this the loudness of the whole process.
    pub fn set(self) {
        let level = match (self.quiet, self.verbose) {
            (true, _) => QUIET,
            (_, true) => VERBOSE,
            _ => NORMAL,
        };
        LEVEL.store(level, Ordering::Relaxed);
    }
}

/// Sets the name in front of every line; [`crate::tool::main`] does it first of all.
pub fn name(tool: &'static str) {
    let _ = NAME.set(tool);
}

/// The name that [`name`] set, or the project's.
pub fn tool() -> &'static str {
    NAME.get().copied().unwrap_or("breakit")
}

/// An error or a warning: said at every loudness.
pub fn error(text: impl AsRef<str>) {
    line(text.as_ref());
}

/// What a user would want to know.
pub fn say(text: impl AsRef<str>) {
    if LEVEL.load(Ordering::Relaxed) >= NORMAL {
        line(text.as_ref());
    }
}

/// What a user asks for with `--verbose`.
pub fn detail(text: impl AsRef<str>) {
    if verbose() {
        line(text.as_ref());
    }
}

/// Whether `--verbose` was given.
pub fn verbose() -> bool {
    LEVEL.load(Ordering::Relaxed) >= VERBOSE
}

/// Whether `--quiet` was given.
pub fn quiet() -> bool {
    LEVEL.load(Ordering::Relaxed) == QUIET
}

/// A message is one line, whatever it cites. One write(2) a line, so that the tools of a pipeline do not cut into one another's words.
fn line(text: &str) {
    let whole = format!("{}: {}\n", tool(), escape::line(text));
    // There is nowhere left to complain when stderr itself is gone.
    let _ = std::io::stderr().write_all(whole.as_bytes());
}
