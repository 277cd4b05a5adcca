//! Lines out, each built whole and handed to write(2) once; lines in, each with its place.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::AsFd;
use std::path::Path;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::exit::{Error, Result};
use crate::op::Op;
use crate::size::show_size;
use crate::{escape, input};

/// What a pipe carries whole when several write to it (PIPE_BUF on Linux).
pub const SHARED_PIPE_LINE: usize = 4096;

/// What is longer is no line that people or our tools write, and would only cost memory.
pub const LONGEST_LINE: u64 = 64 << 20;

/// Writes `line` and a newline to `out` in one write(2), so that writers of one pipe never cut into one another.
///
/// # Errors
/// Whatever write(2) says; after a short write (a full disk, a signal) the rest follows.
pub fn write_line(out: impl AsFd, line: &str) -> io::Result<()> {
    let mut whole = Vec::with_capacity(line.len() + 1);
    whole.extend_from_slice(line.as_bytes());
    whole.push(b'\n');
    write_whole(out, &whole)
}

fn write_whole(out: impl AsFd, mut rest: &[u8]) -> io::Result<()> {
    while !rest.is_empty() {
        match nix::unistd::write(out.as_fd(), rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => rest = &rest[written..],
            Err(nix::errno::Errno::EINTR) => {}
            // Whoever shares this pipe with us may have made it non-blocking for all: half a line is no line.
            Err(nix::errno::Errno::EAGAIN) => wait_for_room(&out),
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

fn wait_for_room(out: &impl AsFd) {
    let mut fds = [PollFd::new(out.as_fd(), PollFlags::POLLOUT)];
    // Whatever poll(2) has to complain of, the next write(2) says better.
    let _ = poll(&mut fds, PollTimeout::NONE);
}

/// Prints a line of data on stdout.
///
/// # Errors
/// [`Error::ReaderGone`] where the reader left, 71 otherwise.
pub fn print(line: &str) -> Result<()> {
    write_line(io::stdout(), line).map_err(|e| Error::output(&e))
}

/// Prints text for people on stdout: it keeps its lines and tabs, and nothing else in it steers a terminal.
///
/// # Errors
/// [`Error::ReaderGone`] where the reader left, 71 otherwise.
pub fn print_for_people(text: &str) -> Result<()> {
    write_whole(io::stdout(), escape::text(text).as_bytes()).map_err(|e| Error::output(&e))
}

/// Prints text of several lines on stdout, as it is: data for programs.
///
/// # Errors
/// [`Error::ReaderGone`] where the reader left, 71 otherwise.
pub fn print_text(text: &str) -> Result<()> {
    write_whole(io::stdout(), text.as_bytes()).map_err(|e| Error::output(&e))
}

/// A source of lines: a file, or stdin for `-`.
pub struct Lines {
    name: String,
    number: u64,
    longest: u64,
    reader: Box<dyn BufRead>,
}

impl Lines {
    /// Opens `path`, or stdin for `-`.
    ///
    /// # Errors
    /// 64 for the file that stdout writes to; 66, 77 or 71, naming the file.
    pub fn open(path: &Path) -> Result<Lines> {
        input::not_stdout(path)?;
        if path == Path::new("-") {
            return Ok(Lines::new("stdin", io::stdin()));
        }
        let file =
            File::open(path).map_err(|e| Error::io(format!("open {}", path.display()), &e))?;
        Ok(Lines::new(path.display().to_string(), file))
    }

    /// Lines of any reader; `name` is what errors call it.
    pub fn new(name: impl Into<String>, reader: impl Read + 'static) -> Lines {
        Lines {
            name: name.into(),
            number: 0,
            longest: LONGEST_LINE,
            reader: Box::new(BufReader::with_capacity(1 << 16, reader)),
        }
    }

    /// The same, with lines of any length: their reader says when it is enough.
    #[must_use]
    pub fn of_any_length(self) -> Lines {
        Lines { longest: u64::MAX, ..self }
    }

    /// What errors call it: the file's name, or `stdin`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The next line that is not blank, with its number, without its ending; `None` at the end.
    ///
    /// # Errors
    /// 65 for a line that is no UTF-8 or longer than [`LONGEST_LINE`], 71 where reading fails.
    pub fn next_line(&mut self) -> Result<Option<(u64, String)>> {
        loop {
            let mut bytes = Vec::new();
            let read = Read::take(&mut self.reader, self.longest.saturating_add(1))
                .read_until(b'\n', &mut bytes)
                .map_err(|e| Error::io(format!("read {}", self.name), &e))?;
            if read == 0 {
                return Ok(None);
            }
            self.number += 1;
            if read as u64 > self.longest {
                let most = show_size(self.longest);
                return Err(self.error(format!("column 1: the line is longer than {most}")));
            }
            let mut text = String::from_utf8(bytes).map_err(|e| {
                let column = e.utf8_error().valid_up_to() + 1;
                self.error(format!("column {column}: the line is not UTF-8"))
            })?;
            text.truncate(text.trim_end_matches(['\n', '\r']).len());
            text.drain(..text.len() - text.trim_start_matches('\u{feff}').len());
            if !text.trim().is_empty() {
                return Ok(Some((self.number, text)));
            }
        }
    }

    /// The next operation; `None` at the end.
    ///
    /// # Errors
    /// 65 with file and line for what is no line of a history, and as [`Lines::next_line`].
    pub fn next_op(&mut self) -> Result<Option<(u64, Op)>> {
        match self.next_line()? {
            None => Ok(None),
            Some((number, line)) => match Op::parse(&line) {
                Ok(op) => Ok(Some((number, op))),
                Err(clause) => Err(self.error(clause)),
            },
        }
    }

    /// An error 65 at the present line.
    pub fn error(&self, clause: impl AsRef<str>) -> Error {
        Error::data(format!("{}, line {}: {}", self.name, self.number, clause.as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_that_somebody_made_non_blocking_gets_whole_lines() {
        let (mut reader, writer) = io::pipe().unwrap();
        nix::fcntl::fcntl(&writer, nix::fcntl::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK)).unwrap();
        let line = "x".repeat(300_000);
        let expected = format!("{line}\n");
        let writing = std::thread::spawn(move || write_line(&writer, &line));
        std::thread::sleep(std::time::Duration::from_millis(50));
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert!(text == expected, "{} bytes", text.len());
        writing.join().unwrap().unwrap();
    }

    #[test]
    fn a_bad_line_is_named_with_file_line_and_column() {
        let mut lines = Lines::new(
            "h.jsonl",
            &b"\n{\"process\":0,\"type\":\"ok\",\"f\":\"read\"}\r\nnope\n"[..],
        );
        assert_eq!(lines.next_op().unwrap().unwrap().0, 2);
        let said = lines.next_op().unwrap_err().to_string();
        assert!(said.starts_with("h.jsonl, line 3: column 2: not JSON"), "{said}");
    }
}
