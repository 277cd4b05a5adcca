//! The bytes of a history that grows, as whole lines, and when it has ended.
//!
//! A pipe ends when all its writers are gone. A file ends when nobody has it open for writing any more, which
//! the kernel tells: it gives a read lease only on such a file. What another user's file, or a file system without
//! leases, does not tell is left to the last line of the run and to signals.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use std::time::Duration;

use breakit::exit::{Error, Result};
use breakit::messages;
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::budget::Budget;
use crate::read::blocks::{BOM, Piece};
use crate::read::position::Place;
use crate::read::{foreign, out_of, packed};

/// What came is decided before more is read. A pipe holds a part of it; a file that is long already is read by so much
/// at once, so that each of many keys has several events in it.
const BLOCK: usize = 1 << 20;

/// How long to wait before looking at a file again.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What came.
#[derive(Debug)]
pub enum Got<'a> {
    /// Lines.
    Lines(Piece<'a>),
    /// Nothing in this time.
    Nothing,
    /// Nothing, ever.
    End,
}

/// A source that grows.
#[derive(Debug)]
pub struct Tail {
    name: String,
    source: File,
    is_file: bool,
    buffer: Vec<u8>,
    begin: usize,
    end: usize,
    began: bool,
    ended: bool,
    is_told: bool,
    budget: Budget,
}

impl Tail {
    /// The source at `path`, stdin for `-`; a line without an end comes to the budget.
    ///
    /// # Errors
    /// 66, 77, 71 where it cannot be opened.
    pub fn open(path: &Path, budget: Budget) -> Result<Tail> {
        let is_stdin = path == Path::new("-");
        let name = if is_stdin { "stdin".to_string() } else { path.display().to_string() };
        let place = |e: io::Error| Error::io(format!("open {name}"), &e);
        let source = match is_stdin {
            true => File::from(io::stdin().as_fd().try_clone_to_owned().map_err(place)?),
            false => File::open(path).map_err(place)?,
        };
        let metadata = source.metadata().map_err(place)?;
        if metadata.is_dir() {
            return Err(Error::no_input(format!("{name} is a directory; name a history in it")));
        }
        Ok(Tail {
            is_file: metadata.is_file(),
            name,
            source,
            buffer: vec![0; BLOCK],
            begin: 0,
            end: 0,
            began: false,
            ended: false,
            is_told: false,
            budget,
        })
    }

    /// What to call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is a file that others append to, and no pipe.
    pub fn is_file(&self) -> bool {
        self.is_file
    }

    /// Waits so long at most for more lines.
    ///
    /// # Errors
    /// Where reading fails.
    pub fn next(&mut self, wait: Duration) -> Result<Got<'_>> {
        self.buffer.copy_within(self.begin..self.end, 0);
        (self.begin, self.end) = (0, self.end - self.begin);
        if self.end == self.buffer.len() {
            self.grow()?;
        }
        let read = match self.read(wait) {
            Ok(read) => read,
            Err(error) => return Err(Error::io(format!("read {}", self.name), &error)),
        };
        let searched = self.end;
        self.end += read;
        if !self.began && packed::is_packed(&self.buffer[..self.end]) {
            return Err(Error::usage(format!(
                "{} is packed, and --follow reads lines as they come; unpack it in the pipe, as zcat or zstdcat does",
                self.name
            )));
        }
        if let Some(what) = foreign::what(&self.buffer[..self.end]).filter(|_| !self.began) {
            return Err(Place::of_line(1).error(&self.name, what));
        }
        let last = memchr::memrchr(b'\n', &self.buffer[searched..self.end]);
        let lines = match last {
            Some(at) => searched + at + 1,
            None if self.ended && self.end > 0 => self.end,
            None if self.ended => return Ok(Got::End),
            None => return Ok(Got::Nothing),
        };
        let is_first = !std::mem::replace(&mut self.began, true);
        let text = &self.buffer[..lines];
        let text = if is_first { text.strip_prefix(BOM).unwrap_or(text) } else { text };
        self.begin = lines;
        Ok(Got::Lines(Piece { text, whole: last.is_some() }))
    }

    /// Makes room for a line that is longer than all before it.
    fn grow(&mut self) -> Result<()> {
        let length = self.buffer.len();
        if let Err(limit) = self.budget.room_for(length) {
            return Err(out_of(limit, &format!("{}: {limit} within one line", self.name)));
        }
        self.buffer.resize(2 * length, 0);
        Ok(())
    }

    /// Reads once; 0 where nothing came, and `ended` where nothing will.
    fn read(&mut self, wait: Duration) -> io::Result<usize> {
        if self.ended || !self.is_file && !self.is_readable(wait)? {
            return Ok(0);
        }
        let read = self.read_now()?;
        if read > 0 {
            return Ok(read);
        }
        if !self.is_file {
            self.ended = true;
            return Ok(0);
        }
        // Of an empty file the writer is still to come.
        if self.is_written() || !self.began && self.end == 0 {
            std::thread::sleep(wait.min(LOOK_AGAIN));
            return Ok(0);
        }
        // What was written between the two looks.
        let read = self.read_now()?;
        self.ended = read == 0;
        Ok(read)
    }

    fn read_now(&mut self) -> io::Result<usize> {
        loop {
            match self.source.read(&mut self.buffer[self.end..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    fn is_readable(&self, wait: Duration) -> io::Result<bool> {
        let millis = u16::try_from(wait.as_millis()).unwrap_or(u16::MAX);
        let mut fds = [PollFd::new(self.source.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::from(millis)) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::EINTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether anybody has the file open for writing, or may have.
    fn is_written(&mut self) -> bool {
        match lease(&self.source, libc::F_RDLCK) {
            Ok(()) => {
                // It was given a moment ago, so it can be given back.
                let _ = lease(&self.source, libc::F_UNLCK);
                false
            }
            Err(Errno::EAGAIN) => true,
            Err(error) => {
                if !std::mem::replace(&mut self.is_told, true) {
                    messages::say(format!(
                        "{}: whether anybody writes it cannot be seen ({}); following it to the last line of its \
                         run, or to ^C",
                        self.name,
                        error.desc()
                    ));
                }
                true
            }
        }
    }
}

/// Asks for a lease, or gives it back.
fn lease(file: &File, kind: libc::c_int) -> std::result::Result<(), Errno> {
    // SAFETY: fcntl with F_SETLEASE takes a number and no pointer, and the descriptor is open as long as `file`.
    let answer = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, kind) };
    Errno::result(answer).map(drop)
}
