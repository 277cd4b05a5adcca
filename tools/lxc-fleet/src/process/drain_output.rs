//! The end of a program's output where the program has ended, but a daemon that it left still holds the pipe.
//!
//! What the program itself wrote lies in the pipe when it ends, and all of it is read, however late. Only the
//! waiting for more has a limit: time that goes by while our own reader is slow does not count. A daemon that never
//! falls silent is listened to for [`MORE`] bytes.

use std::io::{self, PipeReader, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// How long is waited, all in all, for output after all programs have ended.
const PATIENCE: Duration = Duration::from_millis(200);

/// How much is read, beyond what lay in the pipe, after all programs have ended.
const MORE: usize = 1 << 16;

nix::ioctl_read_bad!(
    /// How many bytes can be read at once.
    readable,
    nix::libc::FIONREAD,
    nix::libc::c_int
);

/// A program's output, which ends when nothing more comes after the program's end.
pub struct DrainOutput<R> {
    from: R,
    ended: Arc<PipeReader>,
    /// What is left of the patience once the programs have ended.
    left: Option<Duration>,
    /// How many bytes may follow then.
    budget: usize,
}

impl<R: Read + AsFd> DrainOutput<R> {
    /// Reads `from`; the programs have ended when `ended` ends.
    pub fn of(from: R, ended: Arc<PipeReader>) -> DrainOutput<R> {
        DrainOutput { from, ended, left: None, budget: 0 }
    }

    /// Waits for output or the end of it; `false` where the patience is at its end.
    fn wait(&mut self) -> io::Result<bool> {
        loop {
            let begun = Instant::now();
            // Rounded up, so that the last millisecond is slept through and not spun through.
            let time = self.left.map_or(PollTimeout::NONE, |left| {
                PollTimeout::try_from(left.as_millis() + 1).unwrap_or(PollTimeout::MAX)
            });
            let mut fds = [
                PollFd::new(self.from.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.ended.as_fd(), PollFlags::POLLIN),
            ];
            let watched = if self.left.is_some() { &mut fds[..1] } else { &mut fds[..] };
            match poll(watched, time) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
            let [output, ended] = fds.map(|fd| fd.any() == Some(true));
            match &mut self.left {
                Some(left) => *left = left.saturating_sub(begun.elapsed()),
                None if ended => {
                    self.left = Some(PATIENCE);
                    self.budget = in_pipe(&self.from).saturating_add(MORE);
                }
                None => {}
            }
            if self.left.is_some() && self.budget == 0 {
                return Ok(false);
            }
            if output {
                return Ok(true);
            }
            if self.left.is_some_and(|left| left.is_zero()) {
                return Ok(false);
            }
        }
    }
}

impl<R: Read + AsFd> Read for DrainOutput<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.wait()? {
            return Ok(0);
        }
        let most = if self.left.is_some() { buffer.len().min(self.budget) } else { buffer.len() };
        let read = self.from.read(&mut buffer[..most])?;
        self.budget = self.budget.saturating_sub(read);
        Ok(read)
    }
}

/// What lies in the pipe at this moment, in bytes.
fn in_pipe(from: &impl AsFd) -> usize {
    let mut bytes = 0;
    // SAFETY: the ioctl writes one c_int to where the pointer leads, which is one and lives until it returns.
    let asked = unsafe { readable(from.as_fd().as_raw_fd(), &mut bytes) };
    asked.map_or(0, |_| usize::try_from(bytes).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn all_that_lies_in_the_pipe_is_read_however_late_and_then_a_daemon_is_not_waited_for() {
        let (output, mut program) = io::pipe().unwrap();
        let (ended, running) = io::pipe().unwrap();
        let mut words = DrainOutput::of(output, Arc::new(ended));
        program.write_all(&[b'x'; 40_000]).unwrap();
        drop(running);
        let mut chunk = [0; 4_000];
        let mut read = 0;
        for _ in 0..10 {
            read += words.read(&mut chunk).unwrap();
            // Our reader takes longer over each than the whole patience over ten.
            std::thread::sleep(PATIENCE / 8);
        }
        assert_eq!(read, 40_000);
        let begun = Instant::now();
        assert_eq!(words.read(&mut chunk).unwrap(), 0, "the daemon still holds the pipe");
        assert!(begun.elapsed() < PATIENCE * 5, "{:?}", begun.elapsed());
        drop(program);
    }

    #[test]
    fn a_daemon_that_never_falls_silent_is_left_behind() {
        let (output, mut program) = io::pipe().unwrap();
        let (ended, running) = io::pipe().unwrap();
        let daemon = std::thread::spawn(move || while program.write_all(&[b'y'; 4096]).is_ok() {});
        drop(running);
        let begun = Instant::now();
        let read =
            io::copy(&mut DrainOutput::of(output, Arc::new(ended)), &mut io::sink()).unwrap();
        assert!(read >= MORE as u64 && begun.elapsed() < PATIENCE * 10, "{read} bytes");
        daemon.join().unwrap();
    }

    #[test]
    fn while_a_program_runs_its_silence_is_no_end() {
        let (output, mut program) = io::pipe().unwrap();
        let (ended, _running) = io::pipe().unwrap();
        let mut words = DrainOutput::of(output, Arc::new(ended));
        let late = std::thread::spawn(move || {
            std::thread::sleep(PATIENCE * 2);
            program.write_all(b"late").unwrap();
        });
        let mut said = String::new();
        words.read_to_string(&mut said).unwrap();
        late.join().unwrap();
        assert_eq!(said, "late");
    }
}
