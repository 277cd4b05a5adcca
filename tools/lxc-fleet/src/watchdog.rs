//! Who undoes a held `kill` or `pause` when its holder cannot.
//!
//! The kernel has no timeout for a frozen or a dead container. So a small process in a session of its own reads
//! words from a pipe whose other end is the holder's alone: where the pipe ends without a word of farewell, the
//! holder is dead, and where no renewal comes for a whole lease, it was stopped. Either way the harm is undone.

use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdin, Stdio};
use std::time::{Duration, Instant};

use breakit::exit::{Error, Result, Status};
use breakit::helper;
use breakit::lease::Lease;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::cli::WatchdogArgs;
use crate::container::Container;
use crate::harm::Kind;
use crate::which::{called, of_specs};

/// The lease begins anew.
const RENEWED: u8 = b'r';
/// The holder undid the harm itself.
const DISMISSED: u8 = b'q';
/// The holder leaves, and the harm stays until the lease ends.
const KEPT: u8 = b'k';

/// The holder's end of it.
#[derive(Debug)]
pub struct Watchdog {
    child: Child,
    pipe: Option<ChildStdin>,
}

impl Watchdog {
    /// Posts a watchdog over `containers`, and returns when it is awake.
    ///
    /// # Errors
    /// 71 where it does not start.
    pub fn post(kind: Kind, lease: Lease, containers: &[Container]) -> Result<Watchdog> {
        let place = |e: io::Error| Error::io("post a watchdog", &e);
        let mut child = helper::ourselves()
            .args(["watchdog", "--kind", kind.word(), "--lease"])
            .arg(lease.length.as_millis().to_string())
            .args(called(containers))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .current_dir("/")
            .spawn()
            .map_err(place)?;
        let mut word = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut word).map_err(place)?;
        }
        if word.trim() != "awake" {
            let _ = child.kill();
            let _ = child.wait();
            return Err(Error::system("the watchdog of the fault did not start"));
        }
        let pipe = child.stdin.take();
        Ok(Watchdog { child, pipe })
    }

    fn tell(&mut self, word: u8) -> bool {
        self.pipe.as_mut().is_some_and(|pipe| pipe.write_all(&[word]).is_ok())
    }

    /// Renews the lease; whether it is still there.
    pub fn renew(&mut self) -> bool {
        self.tell(RENEWED)
    }

    /// Sends it home.
    pub fn dismiss(mut self) {
        self.tell(DISMISSED);
        self.pipe = None;
        let _ = self.child.wait();
    }

    /// Leaves it at its post until the lease ends.
    pub fn keep(mut self) {
        self.tell(KEPT);
    }
}

/// The watchdog itself.
///
/// # Errors
/// 71 where a node does not come back.
pub fn watch(args: &WatchdogArgs) -> Result<Status> {
    let kind = Kind::parse(&args.kind)
        .ok_or_else(|| Error::usage(format!("--kind {} is neither kill nor pause", args.kind)))?;
    let containers = of_specs(&args.nodes)?;
    // No ^C and no hang-up of the holder's terminal reaches another session.
    nix::unistd::setsid().map_err(|e| Error::io("leave the session", &e.into()))?;
    breakit::jsonl::print("awake")?;
    // Whoever reads the holder's output must not wait for us.
    detach_stdout()?;
    if until_over(Duration::from_millis(args.lease))? {
        kind.undo(&containers)?;
    }
    Ok(Status::Done)
}

fn detach_stdout() -> Result<()> {
    let place = |e: io::Error| Error::io("let go of stdout", &e);
    let null = std::fs::OpenOptions::new().write(true).open("/dev/null").map_err(place)?;
    nix::unistd::dup2_stdout(null).map_err(|e| place(e.into()))
}

/// Waits for the end of the lease; whether the harm is to be undone.
fn until_over(lease: Duration) -> Result<bool> {
    // A lease that no clock can hold never ends; the holder does.
    let from_now = || Instant::now().checked_add(lease);
    let mut end = from_now();
    let mut kept = false;
    let stdin = io::stdin();
    loop {
        let left = end.map(|end| end.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return Ok(true);
        }
        // Rounded up: to wake a moment early would be to spin.
        let millis =
            left.map_or(i32::MAX, |left| i32::try_from(left.as_millis() + 1).unwrap_or(i32::MAX));
        let wait = PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX);
        let mut fds = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
        let watched = if kept { &mut fds[..0] } else { &mut fds[..] };
        match poll(watched, wait) {
            Ok(0) | Err(nix::errno::Errno::EINTR) => continue,
            Ok(_) => {}
            Err(errno) => return Err(Error::io("wait", &errno.into())),
        }
        let mut words = [0_u8; 64];
        let read = nix::unistd::read(stdin.as_fd(), &mut words).unwrap_or(0);
        for word in &words[..read] {
            match *word {
                RENEWED => end = from_now(),
                KEPT => kept = true,
                DISMISSED => return Ok(false),
                _ => {}
            }
        }
        if read == 0 && !kept {
            return Ok(true);
        }
    }
}
