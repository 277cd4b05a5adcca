//! A place for lines whose reader may hang: a thread of its own writes them, so that a write(2) which does
//! not return holds up that thread and nothing else.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use breakit::jsonl::write_line;
use tokio::sync::oneshot;

/// A reader that holds a line up for longer than this is reported.
const SLOW: Duration = Duration::from_millis(10);

/// A reader that is further behind than this, in bytes, would cost us our memory.
const FULL: usize = 64 << 20;

/// What the writing thread reports of the reader.
#[derive(Debug)]
pub enum Report {
    /// It delayed a line for this long.
    Slow(Duration),
    /// It takes no more lines, for this reason.
    Refused(io::Error),
}

/// Whether a line that is held up is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timed {
    /// It is.
    Yes,
    /// It is a report itself, and another one would never end.
    No,
}

/// The line was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The writer is closed.
    Closed,
    /// Too much waits already.
    Full,
}

/// What the writer still has to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// How many lines were written before.
    pub written: u64,
    /// The length of the line that is being written, in bytes.
    pub in_hand: usize,
}

/// Lines on their way to a reader, in the order in which they were put. Dropped, it is closed.
#[derive(Debug)]
pub struct StdoutWriter(Arc<Queue>);

#[derive(Debug)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    open: bool,
    lines: VecDeque<(String, Timed)>,
    /// Bytes of all lines that were put and not written, the one that is being written included.
    bytes: usize,
    in_hand: usize,
    put: u64,
    written: u64,
    /// Those that wait for a line, by its number and in its order.
    waiting: VecDeque<(u64, oneshot::Sender<()>)>,
}

impl StdoutWriter {
    /// Starts the thread that writes to `out`, and that calls `on_report` with what it has to report.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(
        out: impl AsFd + Send + 'static,
        on_report: impl Fn(Report) + Send + 'static,
    ) -> io::Result<StdoutWriter> {
        let queue = Arc::new(Queue {
            state: Mutex::new(State {
                open: true,
                lines: VecDeque::new(),
                bytes: 0,
                in_hand: 0,
                put: 0,
                written: 0,
                waiting: VecDeque::new(),
            }),
            changed: Condvar::new(),
        });
        let theirs = Arc::clone(&queue);
        std::thread::Builder::new()
            .name("stdout".into())
            .spawn(move || write_out(&theirs, &out, on_report))?;
        Ok(StdoutWriter(queue))
    }

    /// Puts a line at the end; gives its number.
    ///
    /// # Errors
    /// [`Refusal`]: it will not be written.
    pub fn put(&self, line: &str, timed: Timed) -> Result<u64, Refusal> {
        let mut state = self.0.lock();
        if !state.open {
            return Err(Refusal::Closed);
        }
        if state.bytes > FULL {
            return Err(Refusal::Full);
        }
        state.bytes += line.len();
        state.lines.push_back((line.to_string(), timed));
        state.put += 1;
        self.0.changed.notify_one();
        Ok(state.put)
    }

    /// Receives a message when the line of that number has been written, or an error if it never will.
    pub fn written(&self, number: u64) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.0.lock();
        if state.written >= number {
            // The receiver is still here.
            let _ = sender.send(());
        } else if state.open {
            let place = state.waiting.partition_point(|(other, _)| *other <= number);
            state.waiting.insert(place, (number, sender));
        }
        receiver
    }

    /// Receives a message when all that was put so far has been written, or an error if it never will.
    pub fn all_written(&self) -> oneshot::Receiver<()> {
        let number = self.0.lock().put;
        self.written(number)
    }

    /// What is still to be written; `None` where that is nothing.
    pub fn backlog(&self) -> Option<Backlog> {
        let state = self.0.lock();
        let waits = state.open && state.written < state.put;
        waits.then_some(Backlog { written: state.written, in_hand: state.in_hand })
    }

    /// Whether it takes lines.
    pub fn is_open(&self) -> bool {
        self.0.lock().open
    }

    /// Gives up the reader: lines that wait are never written, except the one that is being written.
    pub fn close(&self) {
        self.0.close();
    }
}

impl Drop for StdoutWriter {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics between two changes that belong together.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        let mut state = self.lock();
        state.open = false;
        state.lines.clear();
        // Dropping the senders tells their receivers.
        state.waiting.clear();
        self.changed.notify_one();
    }

    /// The next line, when there is one; `None` when there will be no more.
    fn next(&self) -> Option<(String, Timed)> {
        let mut state = self.lock();
        loop {
            if !state.open {
                return None;
            }
            if let Some((line, timed)) = state.lines.pop_front() {
                state.in_hand = line.len();
                return Some((line, timed));
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn wrote(&self) {
        let mut state = self.lock();
        state.bytes -= state.in_hand;
        state.in_hand = 0;
        state.written += 1;
        let heard = state.waiting.partition_point(|(number, _)| *number <= state.written);
        for (_, sender) in state.waiting.drain(..heard) {
            // One that no longer waits has dropped its receiver.
            let _ = sender.send(());
        }
    }
}

fn write_out(queue: &Queue, out: &impl AsFd, on_report: impl Fn(Report)) {
    while let Some((line, timed)) = queue.next() {
        let before = Instant::now();
        if let Err(error) = write_line(out, &line) {
            // The reason comes first: those that learn that a line is lost look for it.
            on_report(Report::Refused(error));
            return queue.close();
        }
        let lasted = before.elapsed();
        if timed == Timed::Yes && lasted > SLOW {
            on_report(Report::Slow(lasted));
        }
        queue.wrote();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::sync::mpsc::channel;

    #[tokio::test]
    async fn lines_come_out_in_their_order_and_whoever_waits_for_one_hears_of_it() {
        let (reader, writer) = io::pipe().unwrap();
        let writer = StdoutWriter::start(writer, |report| panic!("{report:?}")).unwrap();
        let numbers: Vec<u64> =
            ["a", "b", "c"].map(|line| writer.put(line, Timed::No).unwrap()).to_vec();
        for number in numbers {
            writer.written(number).await.unwrap();
        }
        writer.all_written().await.unwrap();
        assert_eq!(writer.backlog(), None);
        drop(writer);
        let lines: Vec<String> = BufReader::new(reader).lines().map_while(Result::ok).collect();
        assert_eq!(lines, ["a", "b", "c"]);
    }

    #[tokio::test]
    async fn a_reader_that_hangs_holds_up_nobody_who_puts_and_closing_frees_who_waits() {
        let (_reader, writer) = io::pipe().unwrap();
        let writer = StdoutWriter::start(writer, drop).unwrap();
        let long = "x".repeat(1 << 20);
        let held = writer.written(writer.put(&long, Timed::Yes).unwrap());
        let later = writer.written(writer.put("later", Timed::Yes).unwrap());
        while writer.backlog().is_none_or(|backlog| backlog.in_hand == 0) {
            tokio::task::yield_now().await;
        }
        assert_eq!(writer.backlog(), Some(Backlog { written: 0, in_hand: 1 << 20 }));
        writer.close();
        assert!(held.await.is_err() && later.await.is_err());
        assert_eq!(writer.put("no more", Timed::Yes), Err(Refusal::Closed));
    }

    #[test]
    fn a_reader_that_is_far_behind_is_refused_more() {
        let (_reader, writer) = io::pipe().unwrap();
        let writer = StdoutWriter::start(writer, drop).unwrap();
        let long = "x".repeat(1 << 20);
        let taken = (0..200).take_while(|_| writer.put(&long, Timed::Yes).is_ok()).count();
        assert_eq!(taken, 65);
        assert_eq!(writer.put("", Timed::Yes), Err(Refusal::Full));
    }

    #[test]
    fn a_reader_that_left_is_reported_before_the_writer_closes() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let (reports, received) = channel();
        let writer =
            StdoutWriter::start(writer, move |report| reports.send(report).unwrap()).unwrap();
        writer.put("x", Timed::Yes).unwrap();
        let Ok(Report::Refused(error)) = received.recv() else { panic!("no refusal") };
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
