//! The history: each line built whole, handed to write(2) once, in the order of events.
//!
//! It goes to stdout, to a file, or to both. The order holds because one lock covers the stamp of the time
//! and the write: an operation's request leaves after its `invoke` line was written, and its completion is
//! written after the answer came.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use breakit::clock;
use breakit::exit::{Error, Result};
use breakit::jsonl::write_line;
use breakit::op::{Op, Process, Type};
use serde_json::{Value, json};

use crate::stop::{Cause, Stop};

/// A reader that holds a line up for longer than this is recorded.
const STALL: Duration = Duration::from_millis(10);

/// How many operations and faults the history holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Invocations of clients.
    pub ops: u64,
    /// Operations that happened.
    pub ok: u64,
    /// Operations that did not.
    pub fail: u64,
    /// Operations of which nobody knows.
    pub info: u64,
    /// Faults that came into force.
    pub faults: u64,
}

impl Tally {
    fn count(&mut self, op: &Op) {
        match (&op.process, op.kind) {
            (Process::Client(_), Type::Invoke) => self.ops += 1,
            (Process::Client(_), Type::Ok) => self.ok += 1,
            (Process::Client(_), Type::Fail) => self.fail += 1,
            (Process::Client(_), Type::Info) => self.info += 1,
            (Process::Other(word), _) if word != "workload" && is_fault(op) => self.faults += 1,
            (Process::Other(_), _) => {}
        }
    }
}

/// Whether a line says that a fault came into force: not that one ended, went on, or failed to come.
fn is_fault(op: &Op) -> bool {
    const ENDS: [&str; 6] = ["stop", "renew", "heal", "resume", "reset", "clear"];
    let ends = ENDS.iter().any(|word| {
        op.f.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    });
    op.error.is_none() && !ends && op.f != "start"
}

/// The line was written nowhere: the reader is gone, or the disk is full. [`Stop`] has been rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unwritten;

/// The history of one run.
#[derive(Debug)]
pub struct History {
    sinks: Mutex<Sinks>,
    stop: Stop,
    to_file: bool,
}

#[derive(Debug)]
struct Sinks {
    stdout: bool,
    file: Option<(PathBuf, File)>,
    tally: Tally,
}

impl History {
    /// A history on stdout; with `file` there too, and then on stdout only where that is no terminal.
    ///
    /// A file that is there is replaced.
    ///
    /// # Errors
    /// 66, 77 or 71 where the file cannot be made.
    pub fn open(file: Option<&Path>, stop: Stop) -> Result<History> {
        let file = file.map(|path| Ok((path.to_path_buf(), create(path)?))).transpose()?;
        let stdout = file.is_none() || !io::stdout().is_terminal();
        let to_file = file.is_some();
        Ok(History {
            sinks: Mutex::new(Sinks { stdout, file, tally: Tally::default() }),
            stop,
            to_file,
        })
    }

    /// Whether the history goes to a file, and so on when the reader of stdout has left.
    pub fn has_file(&self) -> bool {
        self.to_file
    }

    /// What it holds so far.
    pub fn tally(&self) -> Tally {
        self.lock().tally
    }

    /// Writes a line of ours, stamped with the present time.
    ///
    /// # Errors
    /// [`Unwritten`]: what the line announces must not be done.
    pub fn record(&self, mut op: Op) -> std::result::Result<(), Unwritten> {
        let mut sinks = self.lock();
        op.time = Some(clock::now());
        self.write(&mut sinks, &op, &op.line())
    }

    /// Passes on somebody else's line as it is, its own time included.
    ///
    /// # Errors
    /// [`Unwritten`].
    pub fn pass_on(&self, op: &Op, line: &str) -> std::result::Result<(), Unwritten> {
        self.write(&mut self.lock(), op, line)
    }

    fn lock(&self) -> MutexGuard<'_, Sinks> {
        // A writer that panicked has written its line or has not; the sinks are as good as before.
        self.sinks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, sinks: &mut Sinks, op: &Op, line: &str) -> std::result::Result<(), Unwritten> {
        let stalled = sinks.put(line, &self.stop);
        if !sinks.stdout && sinks.file.is_none() {
            return Err(Unwritten);
        }
        sinks.tally.count(op);
        if let Some(lasted) = stalled.filter(|lasted| *lasted > STALL) {
            // Its own stall is not worth a line: that would never end.
            sinks.put(&stall(lasted).line(), &self.stop);
        }
        Ok(())
    }
}

impl Sinks {
    /// Writes a line to all that still take one, and gives how long stdout took for it. One that takes no
    /// more lines is given up, and rings `stop`.
    fn put(&mut self, line: &str, stop: &Stop) -> Option<Duration> {
        if let Some((path, file)) = &self.file
            && let Err(error) = write_line(file, line)
        {
            stop.ring(Cause::Broken(Error::io(format!("write to {}", path.display()), &error)));
            self.file = None;
        }
        if !self.stdout {
            return None;
        }
        let before = Instant::now();
        if let Err(error) = write_line(io::stdout(), line) {
            stop.ring(match Error::output(&error) {
                Error::ReaderGone => Cause::ReaderGone,
                error => Cause::Broken(error),
            });
            self.stdout = false;
        }
        Some(before.elapsed())
    }
}

fn create(path: &Path) -> Result<File> {
    // O_APPEND, so that whoever adds a line by hand meanwhile does not overwrite one of ours.
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .custom_flags(nix::libc::O_APPEND)
        .open(path)
        .map_err(|e| Error::io(format!("write the history to {}", path.display()), &e))
}

/// A line of the run itself: how it started, how it ended, what happened to it.
pub fn remark(f: &str, value: Value) -> Op {
    let mut op = Op::now(Process::workload(), Type::Info, f);
    op.value = Some(value);
    op
}

fn stall(lasted: Duration) -> Op {
    remark("stall", json!({ "lasted": clock::nanos(lasted) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_that_bring_a_fault_into_force_count_as_faults() {
        let mut tally = Tally::default();
        for f in ["start-partition", "stop-partition", "renew-partition", "kill", "start", "heal"] {
            tally.count(&Op::fault(f, Value::Null));
        }
        let mut failed = Op::fault("start-slow", Value::Null);
        failed.error = Some("no netem".into());
        tally.count(&failed);
        tally.count(&remark("stall", Value::Null));
        assert_eq!(tally.faults, 2);
    }
}
