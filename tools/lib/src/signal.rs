//! Waiting for whatever comes first: a time, a signal, the end of input, a reader that left.

use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{SFlag, fstat};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::exit::{Error, Result};
use crate::messages;

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// The time came.
    Time,
    /// INT, TERM or HUP, by number.
    Signal(i32),
    /// Our input ended: whoever held it open wants us to end.
    InputEnded,
    /// Nobody reads our output any more.
    ReaderGone,
    /// Something can be read that [`Watch::until_readable`] was given.
    Readable,
}

/// Watches for all of them, from its making to the end of the process.
///
/// The first INT, TERM or HUP ends a wait. A second one only says that putting things in order goes on.
pub struct Watch {
    signal: Arc<AtomicI32>,
    bell: UnixStream,
    input: bool,
}

impl Watch {
    /// Starts watching. `busy` is what a second signal is answered with: "healing goes on".
    ///
    /// stdin is never touched: in `cat script | bash` and `while read` loops it belongs to the script, and to find
    /// out whether a pipe has ended is to read from it.
    ///
    /// # Errors
    /// 71 where the system gives no handler.
    pub fn start(busy: &'static str) -> Result<Watch> {
        let place = |e: io::Error| Error::io("watch for signals", &e);
        let (bell, mut hammer) = UnixStream::pair().map_err(place)?;
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).map_err(place)?;
        let signal = Arc::new(AtomicI32::new(0));
        let seen = Arc::clone(&signal);
        let watching = std::thread::Builder::new().spawn(move || {
            for number in signals.forever() {
                if seen.compare_exchange(0, number, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                    // The other end lives as long as the process.
                    let _ = hammer.write_all(b"!");
                } else {
                    messages::error(busy);
                }
            }
        });
        watching.map_err(place)?;
        Ok(Watch { signal, bell, input: false })
    }

    /// The signal that came, if any.
    pub fn signal(&self) -> Option<i32> {
        match self.signal.load(Ordering::SeqCst) {
            0 => None,
            number => Some(number),
        }
    }

    /// Ends waits at the end of input, too. stdin is ours from now on: it is read, and what is in it is dropped.
    ///
    /// # Errors
    /// 64 where stdin has no end that somebody could cause: a file, /dev/null.
    pub fn end_with_input(&mut self) -> Result<()> {
        if !somebody_ends_it(io::stdin().as_fd()) {
            return Err(Error::usage(
                "--until-eof waits for the end of a pipe or a terminal, and stdin is neither; leave it out",
            ));
        }
        self.input = true;
        Ok(())
    }

    /// Waits until `time` (for ever where there is none) or until something else happens.
    ///
    /// What has happened once ends every later wait at once.
    ///
    /// # Errors
    /// 71 where poll(2) fails.
    pub fn until(&self, time: Option<Instant>) -> Result<Wake> {
        self.until_readable(time, None)
    }

    /// As [`Watch::until`], or until `other` can be read.
    ///
    /// # Errors
    /// As there.
    pub fn until_readable(
        &self,
        time: Option<Instant>,
        other: Option<BorrowedFd<'_>>,
    ) -> Result<Wake> {
        loop {
            let left = time.map(|t| t.saturating_duration_since(Instant::now()));
            match self.poll(left, other)? {
                Some(wake) => return Ok(wake),
                None if time.is_some_and(|t| Instant::now() >= t) => return Ok(Wake::Time),
                None => {}
            }
        }
    }

    fn poll(&self, left: Option<Duration>, other: Option<BorrowedFd<'_>>) -> Result<Option<Wake>> {
        if let Some(number) = self.signal() {
            return Ok(Some(Wake::Signal(number)));
        }
        let (stdin, stdout) = (io::stdin(), io::stdout());
        let mut fds = vec![
            PollFd::new(self.bell.as_fd(), PollFlags::POLLIN),
            PollFd::new(stdout.as_fd(), PollFlags::empty()),
        ];
        let input = self.input.then(|| PollFd::new(stdin.as_fd(), PollFlags::POLLIN));
        fds.extend(input);
        fds.extend(other.map(|other| PollFd::new(other, PollFlags::POLLIN)));
        match poll(&mut fds, timeout(left)) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(Error::io("wait", &errno.into())),
        }
        if let Some(number) = self.signal() {
            return Ok(Some(Wake::Signal(number)));
        }
        let gone = PollFlags::POLLERR | PollFlags::POLLHUP | PollFlags::POLLNVAL;
        if fds[1].revents().is_some_and(|r| r.intersects(gone)) {
            return Ok(Some(Wake::ReaderGone));
        }
        if self.input && fds[2].any() == Some(true) && ended(stdin.as_fd()) {
            return Ok(Some(Wake::InputEnded));
        }
        if other.is_some() && fds.last().is_some_and(|fd| fd.any() == Some(true)) {
            return Ok(Some(Wake::Readable));
        }
        Ok(None)
    }
}

/// Rounded up: a wait that ends a moment early would spin through its last millisecond.
fn timeout(left: Option<Duration>) -> PollTimeout {
    match left {
        None => PollTimeout::NONE,
        Some(left) => {
            let millis = left.as_millis() + u128::from(left.subsec_nanos() % 1_000_000 != 0);
            PollTimeout::try_from(i32::try_from(millis).unwrap_or(i32::MAX))
                .unwrap_or(PollTimeout::MAX)
        }
    }
}

/// Whether the end of this input is something that a person or a program does: a file and /dev/null are at theirs.
fn somebody_ends_it(input: BorrowedFd<'_>) -> bool {
    let Ok(stat) = fstat(input) else { return false };
    let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
    kind == SFlag::S_IFIFO || kind == SFlag::S_IFSOCK || input.is_terminal()
}

/// Whether the input is at its end; reads and drops what is there.
fn ended(stdin: BorrowedFd<'_>) -> bool {
    let mut bytes = [0_u8; 4096];
    !matches!(
        nix::unistd::read(stdin, &mut bytes),
        Ok(1..) | Err(nix::errno::Errno::EINTR | nix::errno::Errno::EAGAIN)
    )
}
