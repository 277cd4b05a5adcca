//! A terminal of our own, to press keys at a whole pipeline as a person would.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::pty::{Winsize, openpty};
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::setsid;

nix::ioctl_write_int_bad!(
    /// Makes a terminal the controlling one of this session.
    take_terminal,
    nix::libc::TIOCSCTTY
);

nix::ioctl_write_ptr_bad!(
    /// Sets the size of a terminal.
    set_size,
    nix::libc::TIOCSWINSZ,
    Winsize
);

/// A command line at a terminal. Dropped, its whole session is hung up on.
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    keys: File,
    screen: Arc<Mutex<String>>,
}

impl Terminal {
    /// Starts bash with `line` at a new terminal, the built tools first in its PATH.
    ///
    /// # Panics
    /// Where the system gives no terminal.
    #[track_caller]
    pub fn start(line: &str) -> Terminal {
        let pty = openpty(None, None).unwrap_or_else(|e| panic!("no terminal: {e}"));
        let end = || Stdio::from(pty.slave.try_clone().unwrap_or_else(|e| panic!("{e}")));
        let mut command = crate::process::shell(line);
        command.stdin(end()).stdout(end()).stderr(end());
        // SAFETY: both are plain system calls between fork and exec; nothing is allocated.
        unsafe { command.pre_exec(own_session) };
        let child = spawn(&mut command);
        drop(command);
        drop(pty.slave);
        let keys = File::from(pty.master);
        let screen = Arc::new(Mutex::new(String::new()));
        let (mut shown, kept) =
            (keys.try_clone().unwrap_or_else(|e| panic!("{e}")), Arc::clone(&screen));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // The kernel answers EIO once nobody has the other end open.
            while let Ok(n @ 1..) = shown.read(&mut bytes) {
                if let Ok(mut screen) = kept.lock() {
                    screen.push_str(&String::from_utf8_lossy(&bytes[..n]));
                }
            }
        });
        Terminal { child, keys, screen }
    }

    /// Presses a key: `"\x03"` is ^C.
    pub fn press(&mut self, key: &str) {
        let _ = self.keys.write_all(key.as_bytes());
    }

    /// Gives the terminal a size, as dragging its window does.
    ///
    /// # Panics
    /// Where the system refuses.
    #[track_caller]
    pub fn resize(&self, rows: u16, columns: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: the ioctl reads one Winsize from where the pointer leads, which lives until it returns.
        let done = unsafe { set_size(self.keys.as_raw_fd(), &size) };
        assert!(done.is_ok(), "{done:?}");
    }

    /// Whether the terminal hands lines on, as it does for a shell, and not each key.
    pub fn is_cooked(&self) -> bool {
        tcgetattr(&self.keys).is_ok_and(|mode| {
            mode.local_flags.contains(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG)
        })
    }

    /// All that was shown so far.
    pub fn screen(&self) -> String {
        self.screen.lock().map(|screen| screen.clone()).unwrap_or_default()
    }

    /// Waits until `text` is shown.
    ///
    /// # Panics
    /// Where it is not in time, with the screen.
    #[track_caller]
    pub fn wait_for(&self, text: &str, limit: Duration) {
        let deadline = Instant::now() + limit;
        while !self.screen().contains(text) {
            assert!(Instant::now() < deadline, "{text:?} is not shown:\n{}", self.screen());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for the end of the command line; its status and the screen.
    ///
    /// # Panics
    /// Where it does not end in time, with the screen.
    #[track_caller]
    pub fn end(mut self, limit: Duration) -> (i32, String) {
        let deadline = Instant::now() + limit;
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                std::thread::sleep(Duration::from_millis(100));
                let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
                return (code, self.screen());
            }
            assert!(Instant::now() < deadline, "it goes on and on:\n{}", self.screen());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// A session with the terminal as its own, in which keys have the effect that they have at a login: who runs the
/// tests in the background has the interrupt ignored, and all its children with it.
fn own_session() -> std::io::Result<()> {
    setsid()?;
    // SAFETY: the default action is no handler of ours, so nothing can run in an unsafe moment.
    unsafe { signal(Signal::SIGINT, SigHandler::SigDfl) }?;
    // SAFETY: the ioctl takes a number and no pointer; stdin is the terminal.
    unsafe { take_terminal(std::io::stdin().as_raw_fd(), 0) }?;
    Ok(())
}

#[track_caller]
fn spawn(command: &mut Command) -> Child {
    command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"))
}
