//! What a client's program prints on its stderr: read as it comes, so that the program never waits for us. The last
//! lines are kept.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use breakit::{escape, messages};
use tokio::net::unix::pipe::Receiver;
use tokio::process::ChildStderr;
use tokio::task::{JoinHandle, yield_now};

/// How many lines are kept: the end of a traceback with its message.
const LINES: usize = 8;

/// How many bytes of a line are kept.
const WIDTH: usize = 300;

/// The most bytes that are read from the pipe of a program that was killed (a pipe holds 64 KiB unless enlarged).
const LEFT: usize = 1 << 20;

/// The last lines of a text that comes piece by piece.
#[derive(Debug, Default)]
pub struct Tail {
    lines: VecDeque<Vec<u8>>,
    open: Vec<u8>,
    dropped: u64,
}

impl Tail {
    /// Takes the next piece; each line that it ends is handed to `whole` too.
    fn take(&mut self, bytes: &[u8], mut whole: impl FnMut(&str)) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = match piece.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (piece, false),
            };
            let room = WIDTH - self.open.len();
            self.open.extend_from_slice(&text[..text.len().min(room)]);
            if ends {
                let line = std::mem::take(&mut self.open);
                if !line.trim_ascii().is_empty() {
                    whole(&shown(&line));
                    self.push(line);
                }
            }
        }
    }

    fn push(&mut self, line: Vec<u8>) {
        if self.lines.len() == LINES {
            self.lines.pop_front();
            self.dropped += 1;
        }
        self.lines.push_back(line);
    }

    /// The lines that have ended, ready to be shown, and how many came before them.
    fn end(&mut self) -> (Vec<String>, u64) {
        let lines = self.lines.drain(..).map(|line| shown(&line)).collect();
        (lines, self.dropped)
    }
}

fn shown(line: &[u8]) -> String {
    escape::bytes(line.trim_ascii_end()).replace('\t', "    ")
}

/// The stderr of one program.
#[derive(Debug)]
pub struct Stderr {
    pipe: Arc<Pipe>,
    reading: JoinHandle<()>,
}

#[derive(Debug)]
struct Pipe {
    receiver: Receiver,
    tail: Mutex<Tail>,
    /// Which program it belongs to, in words.
    who: String,
}

impl Stderr {
    /// Begins to read. With `--verbose` each line is shown at once, with `who` before it.
    ///
    /// # Errors
    /// Where the system does not let us wait for a pipe.
    pub fn read(stderr: ChildStderr, who: String) -> io::Result<Stderr> {
        let receiver = Receiver::from_owned_fd(stderr.into_owned_fd()?)?;
        let pipe = Arc::new(Pipe { receiver, tail: Mutex::default(), who });
        let reading = tokio::spawn(Arc::clone(&pipe).keep());
        Ok(Stderr { pipe, reading })
    }

    /// Ends the reading, and returns the last lines and how many came before them. To be called when the program and
    /// its children have ended.
    pub fn end(&self) -> (Vec<String>, u64) {
        self.reading.abort();
        self.pipe.drain();
        let mut tail = self.pipe.tail();
        self.pipe.show(&mut tail, b"\n");
        tail.end()
    }
}

impl Pipe {
    fn tail(&self) -> MutexGuard<'_, Tail> {
        // A tail is as good after a panic as before: a line more or less.
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, tail: &mut Tail, bytes: &[u8]) {
        tail.take(bytes, |line| messages::detail(format!("{}: {line}", self.who)));
    }

    /// Takes what `read` finds, as one step: two that read must not take in another order.
    fn take<E>(
        &self,
        bytes: &mut [u8],
        read: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        let mut tail = self.tail();
        let number = read(bytes)?;
        self.show(&mut tail, &bytes[..number]);
        Ok(number)
    }

    async fn keep(self: Arc<Self>) {
        let mut bytes = vec![0_u8; 16 << 10];
        while self.receiver.readable().await.is_ok() {
            match self.take(&mut bytes, |bytes| self.receiver.try_read(bytes)) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
            // A program that never stops talking must not keep a thread to itself.
            yield_now().await;
        }
    }

    /// Reads what is in the pipe, without waiting. The kernel itself is asked: the runtime learns of new bytes only at
    /// its next turn.
    fn drain(&self) {
        let mut bytes = vec![0_u8; 64 << 10];
        let mut left = LEFT;
        while left > 0 {
            match self.take(&mut bytes, |bytes| nix::unistd::read(self.receiver.as_fd(), bytes)) {
                Ok(read) if read > 0 => left = left.saturating_sub(read),
                _ => return,
            }
        }
    }
}

impl Drop for Stderr {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_and_those_before_counted() {
        let mut tail = Tail::default();
        let text: String = (0..20).map(|n| format!("line {n}\n")).collect();
        for piece in text.as_bytes().chunks(3) {
            tail.take(piece, |_| ());
        }
        tail.take(b"\n\nand no newline", |_| ());
        tail.take(b"\n", |_| ());
        let (lines, before) = tail.end();
        assert_eq!((lines.len(), before), (LINES, 13));
        assert_eq!(lines[LINES - 2..], ["line 19", "and no newline"]);
    }

    #[test]
    fn a_line_without_an_end_takes_no_memory() {
        let mut tail = Tail::default();
        for _ in 0..1000 {
            tail.take(&[b'x'; 4096], |_| ());
        }
        assert!(tail.open.capacity() < 4096, "{}", tail.open.capacity());
        tail.take(b"\n", |_| ());
        assert_eq!(tail.end().0, ["x".repeat(WIDTH)]);
    }
}
