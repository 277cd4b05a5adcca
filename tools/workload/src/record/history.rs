//! The history: each line built whole, handed to write(2) once, in the order of events.
//!
//! It goes to stdout, to a file, or to both. The order holds because one lock covers the stamp of the time
//! and the line's place: in the file it is written then and there, for stdout it joins a queue, and a thread
//! of its own writes it. An operation's request leaves after its `invoke` line was written (to the file, or
//! where there is none to stdout), and its completion is recorded after the answer came. So a reader of stdout
//! that hangs holds up the requests, and neither the clock of the phases nor the healing.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use breakit::clock;
use breakit::exit::{Error, Result};
use breakit::jsonl::write_line;
use breakit::messages;
use breakit::op::{Op, Process, Type};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::time::sleep;

use crate::record::stdout_writer::{Refusal, Report, StdoutWriter, Timed};
use crate::stop::{Cause, Stop};

/// Once the load is over, a reader that takes nothing for this long is given up.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a pipe holds: a longer line is taken piece by piece, and each piece has its patience.
const PIECE: usize = 64 << 10;

/// How often the reader is looked at then. Moments are counted, not time: a stopped job that goes on finds
/// its reader waiting.
const LOOK: Duration = Duration::from_millis(100);

/// How many operations and faults the history holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Invocations of clients.
    pub ops: u64,
    /// Operations that happened.
    pub ok: u64,
    /// Operations that did not.
    pub fail: u64,
    /// Operations whose outcome is not known.
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
            (Process::Other(word), _) if word != "workload" && op.brings_a_fault() => {
                self.faults += 1;
            }
            (Process::Other(_), _) => {}
        }
    }
}

/// The line was written nowhere: the reader is gone, or the disk is full. [`Stop`] has been rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotWritten;

/// A line that has its place in the history, and that may still be on its way there.
#[derive(Debug)]
#[must_use]
pub struct PendingLine(Option<oneshot::Receiver<()>>);

impl PendingLine {
    /// Waits until it is written.
    ///
    /// # Errors
    /// [`NotWritten`]: it never will be, and what it announces must not be done.
    pub async fn written(self) -> std::result::Result<(), NotWritten> {
        match self.0 {
            None => Ok(()),
            Some(hear) => hear.await.map_err(|_| NotWritten),
        }
    }
}

/// The history of one run. Its clones are the same history.
#[derive(Clone, Debug)]
pub struct History {
    sinks: Arc<Mutex<Sinks>>,
    stop: Stop,
}

#[derive(Debug)]
struct Sinks {
    file: Option<(PathBuf, File)>,
    stdout: Option<StdoutWriter>,
    tally: Tally,
    /// Whether a reader of stdout that hangs is given up.
    gives_up: bool,
}

impl History {
    /// A history on stdout; with `file` also in that file, and then on stdout only if that is no terminal.
    ///
    /// A file that is there is replaced.
    ///
    /// # Errors
    /// 66, 77 or 71 if the file cannot be made.
    pub fn open(file: Option<&Path>, stop: Stop) -> Result<History> {
        let file =
            file.map(|path| create(path).map(|file| (path.to_path_buf(), file))).transpose()?;
        let to_stdout = file.is_none() || !io::stdout().is_terminal();
        let sinks = Sinks { file, stdout: None, tally: Tally::default(), gives_up: false };
        let history = History { sinks: Arc::new(Mutex::new(sinks)), stop };
        if to_stdout {
            let stdout = history.stdout_writer()?;
            history.lock().stdout = Some(stdout);
        }
        Ok(history)
    }

    fn stdout_writer(&self) -> Result<StdoutWriter> {
        let (sinks, stop) = (Arc::downgrade(&self.sinks), self.stop.clone());
        let on_report = move |report| match report {
            Report::Slow(lasted) => {
                if let Some(sinks) = sinks.upgrade() {
                    History { sinks, stop: stop.clone() }.record_stall(lasted);
                }
            }
            Report::Refused(error) => stop.ring(match Error::output(&error) {
                Error::ReaderGone => Cause::ReaderGone,
                error => Cause::Broken(error),
            }),
        };
        StdoutWriter::start(io::stdout(), on_report)
            .map_err(|error| Error::io("start a thread that writes to stdout", &error))
    }

    /// Whether there is a place that still takes lines.
    pub fn is_open(&self) -> bool {
        let sinks = self.lock();
        sinks.file.is_some() || sinks.stdout.as_ref().is_some_and(StdoutWriter::is_open)
    }

    /// What it holds so far.
    pub fn tally(&self) -> Tally {
        self.lock().tally
    }

    /// Gives a line of ours its place, stamped with the present time, and does not wait for a reader.
    ///
    /// # Errors
    /// [`NotWritten`].
    pub fn record(&self, op: Op) -> std::result::Result<(), NotWritten> {
        self.announce(op).map(drop)
    }

    /// As [`History::record`], for a line that must be written before something is done.
    ///
    /// # Errors
    /// [`NotWritten`]: what the line announces must not be done.
    pub fn announce(&self, mut op: Op) -> std::result::Result<PendingLine, NotWritten> {
        let sinks = self.lock();
        op.time = Some(clock::now());
        self.write(sinks, &op, &op.line())
    }

    /// Copies the line of a nemesis as it is, with its own time, and does not wait for a reader.
    ///
    /// # Errors
    /// [`NotWritten`].
    pub fn copy(&self, op: &Op, line: &str) -> std::result::Result<(), NotWritten> {
        self.write(self.lock(), op, line).map(drop)
    }

    /// From now on a reader of stdout that hangs is given up in time: nothing is left to wait for but it.
    ///
    /// Must be called from within the clients' runtime.
    pub fn give_up_hanging_reader(&self) {
        if !std::mem::replace(&mut self.lock().gives_up, true) {
            tokio::spawn(self.clone().give_up_in_time());
        }
    }

    /// Waits until everything recorded so far is written, or its reader given up.
    pub async fn written(&self) {
        let all = self.lock().stdout.as_ref().map(StdoutWriter::all_written);
        if let Some(hear) = all {
            // A reader that is gone or was given up has ended the run, or was reported.
            let _ = hear.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Sinks> {
        // A writer that panicked has written its line or has not; the sinks are as good as before.
        self.sinks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(
        &self,
        mut sinks: MutexGuard<'_, Sinks>,
        op: &Op,
        line: &str,
    ) -> std::result::Result<PendingLine, NotWritten> {
        let filed = sinks.file(line, &self.stop);
        let queued = sinks.queue(line, Timed::Yes);
        if !filed && queued.is_err() && queued != Err(Refusal::Full) {
            return Err(NotWritten);
        }
        sinks.tally.count(op);
        match (filed, queued) {
            (_, Err(Refusal::Full)) => {
                drop(sinks);
                self.give_up("is too far behind");
                if filed { Ok(PendingLine(None)) } else { Err(NotWritten) }
            }
            (false, Ok(number)) => {
                Ok(PendingLine(sinks.stdout.as_ref().map(|stdout| stdout.written(number))))
            }
            _ => Ok(PendingLine(None)),
        }
    }

    /// A stall is recorded by the thread that met it, and never measured itself: that would not end.
    fn record_stall(&self, lasted: Duration) {
        let mut sinks = self.lock();
        let line = stall(lasted).line();
        sinks.file(&line, &self.stop);
        // That a reader takes no more lines is reported elsewhere.
        let _ = sinks.queue(&line, Timed::No);
    }

    async fn give_up_in_time(self) {
        let (mut before, mut looks) = (0, 0);
        loop {
            sleep(LOOK).await;
            let Some(backlog) = self.lock().stdout.as_ref().map(StdoutWriter::backlog) else {
                return;
            };
            let Some(backlog) = backlog.filter(|backlog| backlog.written == before) else {
                (before, looks) = (backlog.map_or(before, |backlog| backlog.written), 0);
                continue;
            };
            looks += 1;
            let pieces = u32::try_from(backlog.in_hand / PIECE + 1).unwrap_or(u32::MAX);
            if LOOK * looks >= PATIENCE.saturating_mul(pieces) {
                return self.give_up(&format!("took nothing for {}", clock::show(LOOK * looks)));
            }
        }
    }

    /// Gives up the reader of stdout. Where there is no file, the history ends with it.
    fn give_up(&self, why: &str) {
        let mut sinks = self.lock();
        let Some(stdout) = sinks.stdout.take() else { return };
        let file = sinks.file.as_ref().map(|(path, _)| path.display().to_string());
        drop(sinks);
        let what = format!("the reader of stdout {why} and was given up");
        match (file, self.stop.cause()) {
            (Some(file), _) => messages::error(format!("{what}; the whole history is in {file}")),
            (None, Some(_)) => messages::error(format!("{what}; the history there is cut off")),
            (None, None) => self.stop.ring(Cause::Broken(Error::system(format!(
                "{what}; the history there is cut off (with -o FILE it is whole in FILE)"
            )))),
        }
        // Last: it wakes those that wait for a line, and they look for the cause.
        drop(stdout);
    }
}

impl Sinks {
    /// Writes a line to the file; `false` where there is none that takes it. One that takes no more is given
    /// up, and rings `stop`.
    fn file(&mut self, line: &str, stop: &Stop) -> bool {
        let Some((path, file)) = &self.file else { return false };
        let written = write_line(file, line);
        if let Err(error) = &written {
            stop.ring(Cause::Broken(Error::io(format!("write to {}", path.display()), error)));
            self.file = None;
        }
        written.is_ok()
    }

    fn queue(&self, line: &str, timed: Timed) -> std::result::Result<u64, Refusal> {
        self.stdout.as_ref().map_or(Err(Refusal::Closed), |stdout| stdout.put(line, timed))
    }
}

fn create(path: &Path) -> Result<File> {
    // O_APPEND, so that a line that another program adds meanwhile does not overwrite one of ours. O_NONBLOCK, so that
    // no pipe that came in its place lets us wait for a reader.
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .custom_flags(nix::libc::O_APPEND | nix::libc::O_NONBLOCK)
        .open(path)
        .map_err(|e| Error::io(format!("write the history to {}", path.display()), &e))
}

/// A line of the run itself: how it started, how it ended, what happened to it.
pub fn own_line(f: &str, value: Value) -> Op {
    let mut op = Op::now(Process::workload(), Type::Info, f);
    op.value = Some(value);
    op
}

fn stall(lasted: Duration) -> Op {
    own_line("stall", json!({ "lasted": clock::nanos(lasted) }))
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
        tally.count(&own_line("stall", Value::Null));
        assert_eq!(tally.faults, 2);
    }
}
