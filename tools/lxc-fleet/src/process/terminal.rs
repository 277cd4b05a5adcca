//! A terminal of ours between the caller's and a program in a node.
//!
//! The caller's terminal never enters the node: who holds it can read its keys, press keys in it and change its
//! mode. It is only raw for a while, so that ^C, ^Z and ^D are keys of the program.

use std::io::{self, IsTerminal, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use breakit::exit::{Error, Result};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::pty::{Winsize, openpty};
use nix::sys::termios::{OutputFlags, SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use signal_hook::consts::SIGWINCH;
use signal_hook::iterator::{Handle, Signals};

/// How long lxc-attach may take until it has set up its terminal.
const ATTACH_LIMIT: Duration = Duration::from_secs(5);

nix::ioctl_read_bad!(
    /// The size of a terminal.
    get_size,
    nix::libc::TIOCGWINSZ,
    Winsize
);
nix::ioctl_write_ptr_bad!(
    /// Sets the size of a terminal; the kernel sends WINCH to those in its foreground.
    set_size,
    nix::libc::TIOCSWINSZ,
    Winsize
);

/// Whether the caller sits at a terminal: both stdin and stdout are one.
pub fn is_attended() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// The caller's terminal in raw mode, as long as this value, and our end of another with the same size.
#[derive(Debug)]
pub struct Terminal {
    saved: Termios,
    master: OwnedFd,
    resizing: Handle,
}

impl Terminal {
    /// Opens it; gives the program's end too.
    ///
    /// # Errors
    /// 71 if the system gives none.
    pub fn open() -> Result<(Terminal, OwnedFd)> {
        let place = |e: Errno| Error::io("open a terminal", &e.into());
        let (stdin, size) = (io::stdin(), size_of(io::stdout().as_fd()));
        let saved = tcgetattr(stdin.as_fd()).map_err(place)?;
        let pty = openpty(size.as_ref(), None).map_err(place)?;
        for end in [&pty.master, &pty.slave] {
            fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).map_err(place)?;
        }
        // What is typed before the program's own terminal is there must not be echoed here.
        raw(pty.slave.as_fd()).map_err(place)?;
        let master = pty.master.try_clone().map_err(|e| Error::io("open a terminal", &e))?;
        let resizing = follow_size(master).map_err(|e| Error::io("watch for signals", &e))?;
        let terminal = Terminal { saved, master: pty.master, resizing };
        raw(stdin.as_fd()).map_err(place)?;
        Ok((terminal, pty.slave))
    }

    /// Our end, to read and to write.
    ///
    /// # Errors
    /// 71 if it cannot be duplicated.
    pub fn end(&self) -> Result<OurEnd> {
        self.master.try_clone().map(OurEnd).map_err(|e| Error::io("open a terminal", &e))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.resizing.close();
        // At once: the caller may have stopped its output with ^S, and to wait for that would hang.
        let _ = tcsetattr(io::stdin().as_fd(), SetArg::TCSANOW, &self.saved);
    }
}

fn raw(terminal: BorrowedFd<'_>) -> nix::Result<()> {
    let mut mode = tcgetattr(terminal)?;
    cfmakeraw(&mut mode);
    tcsetattr(terminal, SetArg::TCSANOW, &mode)
}

fn size_of(terminal: BorrowedFd<'_>) -> Option<Winsize> {
    let mut size = Winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the ioctl writes one Winsize to where the pointer leads, which is one and lives until it returns.
    let asked = unsafe { get_size(terminal.as_raw_fd(), &mut size) };
    asked.ok().map(|_| size)
}

/// Gives our terminal the size of the caller's whenever that changes.
fn follow_size(master: OwnedFd) -> io::Result<Handle> {
    let mut signals = Signals::new([SIGWINCH])?;
    let handle = signals.handle();
    std::thread::spawn(move || {
        for _ in signals.forever() {
            let Some(size) = size_of(io::stdout().as_fd()) else { continue };
            // SAFETY: the ioctl reads one Winsize from where the pointer leads, which lives until it returns.
            let _ = unsafe { set_size(master.as_raw_fd(), &size) };
        }
    });
    Ok(handle)
}

/// Our end of the terminal. It ends when nobody has the other end open any more.
#[derive(Debug)]
pub struct OurEnd(OwnedFd);

impl OurEnd {
    /// Waits until lxc-attach has set up the other end: it throws away what was typed before that. And takes back
    /// that each newline becomes CR LF there, which the program's own terminal in the node does already.
    pub fn settle(&self) {
        let deadline = Instant::now() + ATTACH_LIMIT;
        while Instant::now() < deadline {
            match tcgetattr(&self.0) {
                Ok(mode) if mode.output_flags.contains(OutputFlags::OPOST) => {
                    let _ = raw(self.as_fd());
                    return;
                }
                Ok(_) => std::thread::sleep(Duration::from_millis(1)),
                Err(_) => return,
            }
        }
    }
}

impl AsFd for OurEnd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Read for OurEnd {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match nix::unistd::read(&self.0, buffer) {
            // So says the kernel that the other end is closed.
            Err(Errno::EIO) => Ok(0),
            other => Ok(other?),
        }
    }
}
