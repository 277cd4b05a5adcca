//! Passes bytes from one descriptor to another, as they come and whole.

use std::io::{self, Read};
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// How much is read at once.
const CHUNK: usize = 1 << 18;

/// Why passing on ended before its input did.
#[derive(Debug)]
pub enum Broken {
    /// The input cannot be read.
    Input(io::Error),
    /// The output cannot be written.
    Output(io::Error),
}

/// Passes all of `from` on to `to`.
///
/// # Errors
/// What read(2) or write(2) says.
pub fn pass(mut from: impl Read, to: impl AsFd) -> Result<(), Broken> {
    let mut buffer = vec![0; CHUNK];
    loop {
        match read(&mut from, &mut buffer).map_err(Broken::Input)? {
            0 => return Ok(()),
            n => write_all(&to, &buffer[..n]).map_err(Broken::Output)?,
        }
    }
}

/// Passes all of `from` on to `to` as lines with `prefix` in front, each in one write. A line of more than
/// [`CHUNK`] bytes is passed on in pieces, so that an endless one does not fill the memory.
///
/// # Errors
/// What read(2) or write(2) says.
pub fn pass_lines(mut from: impl Read, to: impl AsFd, prefix: &str) -> Result<(), Broken> {
    let mut buffer = vec![0; CHUNK];
    let mut rest = Vec::new();
    loop {
        let n = read(&mut from, &mut buffer).map_err(Broken::Input)?;
        rest.extend_from_slice(&buffer[..n]);
        let mut begin = 0;
        while let Some(length) = rest[begin..].iter().position(|byte| *byte == b'\n') {
            write_line(&to, prefix, &rest[begin..begin + length])?;
            begin += length + 1;
        }
        rest.drain(..begin);
        if rest.len() > CHUNK || (n == 0 && !rest.is_empty()) {
            write_line(&to, prefix, &rest)?;
            rest.clear();
        }
        if n == 0 {
            return Ok(());
        }
    }
}

fn write_line(to: impl AsFd, prefix: &str, line: &[u8]) -> Result<(), Broken> {
    let whole = [prefix.as_bytes(), line, b"\n"].concat();
    write_all(to, &whole).map_err(Broken::Output)
}

fn read(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.read(buffer) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// Writes all of it, and waits for room if somebody made the descriptor non-blocking for all who share it.
///
/// # Errors
/// What write(2) says.
pub fn write_all(to: impl AsFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match nix::unistd::write(to.as_fd(), bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => wait(&to, PollFlags::POLLOUT),
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// A descriptor of ours to read from, which may be non-blocking: it shares that with whoever else has it.
#[derive(Debug)]
pub struct Input<F>(pub F);

impl<F: AsFd> Read for Input<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match nix::unistd::read(self.0.as_fd(), buffer) {
                Err(Errno::EAGAIN) => wait(&self.0, PollFlags::POLLIN),
                Err(Errno::EINTR) => {}
                other => return Ok(other?),
            }
        }
    }
}

fn wait(file: &impl AsFd, flags: PollFlags) {
    let mut fds = [PollFd::new(file.as_fd(), flags)];
    // If poll(2) has anything to complain of, the next read or write says it better.
    let _ = poll(&mut fds, PollTimeout::NONE);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn lines(chunks: &[&[u8]]) -> String {
        let (from, mut program) = io::pipe().unwrap();
        let (mut shown, to) = io::pipe().unwrap();
        let chunks: Vec<Vec<u8>> = chunks.iter().map(|chunk| chunk.to_vec()).collect();
        let writing = std::thread::spawn(move || {
            chunks.iter().for_each(|chunk| program.write_all(chunk).unwrap())
        });
        let reading = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            shown.read_to_end(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        });
        pass_lines(from, &to, "n1: ").unwrap();
        drop(to);
        writing.join().unwrap();
        reading.join().unwrap()
    }

    #[test]
    fn each_line_has_its_prefix_however_it_comes() {
        assert_eq!(lines(&[b"a\n", b"b", b"c\n\nlast"]), "n1: a\nn1: bc\nn1: \nn1: last\n");
        assert_eq!(lines(&[]), "");
    }

    #[test]
    fn a_line_without_an_end_is_passed_on_in_pieces() {
        let said = lines(&[&vec![b'x'; 3 * CHUNK], b"\nend\n"]);
        assert!(said.lines().count() >= 3, "{}", said.lines().count());
        assert_eq!(said.matches('x').count(), 3 * CHUNK);
        assert!(said.ends_with("n1: end\n"));
    }
}
