//! A watchdog: a process beside a fault's holder that ends the fault when the holder cannot.
//!
//! A fault whose state has no timeout in the kernel needs it (a node that is paused, a queueing discipline); one that
//! has a timeout is ended sooner by it, and swept. The watchdog has a session of its own, so that no signal to the
//! holder's terminal or process group reaches it. It reads lines from a pipe:
//!
//! | line | what the holder says |
//! |---|---|
//! | JSON, first of all | what there is to undo, and how |
//! | `for MILLISECONDS` | a fault is in force, or about to be, and may last that long without another word |
//! | `ended` | no fault is in force: silence means nothing |
//! | `keep` | the holder leaves its fault in place: its death means nothing any more |
//! | `done` | the watchdog is dismissed |
//!
//! The end of the pipe without `done` or `keep` is the holder's death. The pipe is a [`Lifeline`]: what the holder
//! started by [`crate::program::run_guarded`] keeps it open, so that nothing is undone while it is still being done.
//! The holder never waits for a watchdog that was stopped.
//!
//! `lxc-fleet` uses it for all its kinds of harm. It is made to serve the other guards as well, which have protocols of
//! their own today: partition's guard (its `busy` and `held` are `for`, its `healed` is `ended`, `--after` is `keep`,
//! and it goes on after [`Cause::Silence`]), slownet's watchdog of a delay line (it acts on [`Cause::Silence`] alone,
//! and goes on), and [`crate::guardian`] (it acts on [`Cause::HolderGone`] alone; its orders are a command).

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::exit::{Error, Result};
use crate::lease::Lease;
use crate::lifeline::{self, Lifeline};
use crate::{jsonl, op};

const FOR: &str = "for ";
const ENDED: &str = "ended";
const KEEP: &str = "keep";
const DONE: &str = "done";

/// What the watchdog says when it has its orders and can carry them out.
const AWAKE: &str = "awake";

/// How long a watchdog may take to start, on a machine that has much else to do.
const STARTING: Duration = Duration::from_secs(30);

/// How long one that is dismissed may take to end.
const ENDING: Duration = Duration::from_secs(2);

/// The holder's end of the pipe. If it is dropped, the watchdog acts.
#[derive(Debug)]
pub struct Watchdog {
    child: Child,
    lifeline: Lifeline,
}

impl Watchdog {
    /// Starts `command`, which must take a [`Post`], and gives it its orders. Returns when it says that it is ready.
    ///
    /// # Errors
    /// 71 if it does not start.
    pub fn post(command: &mut Command, orders: &impl Serialize) -> Result<Watchdog> {
        let place = |e: io::Error| Error::io("start a watchdog for the fault", &e);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        command.current_dir("/");
        let own_session = || nix::unistd::setsid().map(drop).map_err(io::Error::from);
        // SAFETY: between fork and exec the closure makes one system call and allocates nothing.
        unsafe { command.pre_exec(own_session) };
        lifeline::let_go(command);
        let mut child = command.spawn().map_err(place)?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let started = stdin.zip(stdout).and_then(|(stdin, stdout)| {
            let mut lifeline = Lifeline::of(stdin);
            writeln!(lifeline, "{}", serde_json::to_string(orders).ok()?).ok()?;
            lifeline.never_wait().ok()?;
            is_awake(stdout).then_some(lifeline)
        });
        let Some(lifeline) = started else {
            let _ = child.kill();
            let _ = child.wait();
            return Err(Error::system("the watchdog of the fault did not start"));
        };
        Ok(Watchdog { child, lifeline })
    }

    /// A fault is in force, or about to be, for one lease from now on. Returns whether the watchdog is still there.
    pub fn in_force(&mut self, lease: Lease) -> bool {
        self.say(&format!("{FOR}{}", lease.length.as_millis()))
    }

    /// The fault has ended; another may follow. Returns whether the watchdog is still there.
    pub fn ended(&mut self) -> bool {
        self.say(ENDED)
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Leaves the fault to the watchdog, which ends it with its lease.
    pub fn keep(mut self) {
        self.say(KEEP);
    }

    /// Ends the watchdog: the fault has ended, or another watchdog has taken over.
    pub fn dismiss(mut self) {
        self.say(DONE);
        let end = Instant::now() + ENDING;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(1));
        }
        // One that somebody stopped would take our end for our death when it goes on.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn say(&mut self, word: &str) -> bool {
        let lives = matches!(self.child.try_wait(), Ok(None));
        lives && self.lifeline.write_all(format!("{word}\n").as_bytes()).is_ok()
    }
}

/// Whether the watchdog whose stdout this is says in time that it is ready.
fn is_awake(stdout: impl Read + Send + 'static) -> bool {
    let (sender, said) = mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = BufReader::new(stdout).read_line(&mut line);
        let _ = sender.send(read.is_ok() && line.trim() == AWAKE);
    });
    said.recv_timeout(STARTING).unwrap_or(false)
}

/// Why a watchdog acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The holder and all that it started have ended.
    HolderGone,
    /// Nothing was heard of the holder for a whole lease: it was stopped, or it left its fault in place.
    Silence,
}

/// The watchdog's end of the pipe.
#[derive(Debug)]
pub struct Post {
    pipe: OwnedFd,
    /// What was read and is no whole line yet.
    rest: Vec<u8>,
    /// When the lease of the fault in force ends.
    end: Option<Instant>,
    kept: bool,
}

impl Post {
    /// Reads the orders from stdin, which it takes.
    ///
    /// # Errors
    /// 65 if they cannot be read, 71 if the system refuses.
    pub fn take<Orders: DeserializeOwned>() -> Result<(Post, Orders)> {
        let place = |e: io::Error| Error::io("take stdin for the watchdog", &e);
        let pipe = io::stdin().as_fd().try_clone_to_owned().map_err(place)?;
        let null = std::fs::File::open("/dev/null").map_err(place)?;
        nix::unistd::dup2_stdin(null).map_err(|e| place(e.into()))?;
        Post::on(pipe)
    }

    /// Says on stdout that the orders can be carried out, for which [`Watchdog::post`] waits.
    ///
    /// # Errors
    /// As [`jsonl::print`].
    pub fn ready(&self) -> Result<()> {
        jsonl::print(AWAKE)
    }

    /// As [`Post::take`], from any pipe.
    fn on<Orders: DeserializeOwned>(pipe: OwnedFd) -> Result<(Post, Orders)> {
        let mut post = Post { pipe, rest: Vec::new(), end: None, kept: false };
        let line = loop {
            if let Some(line) = post.line() {
                break line;
            }
            if post.read()? == 0 {
                return Err(Error::data("a watchdog got no orders"));
            }
        };
        let orders = serde_json::from_str(&line)
            .map_err(|e| Error::data(format!("orders of a watchdog: {}", op::json_clause(&e))))?;
        Ok((post, orders))
    }

    /// Waits until there is something to do, and gives the reason; `None` if the watchdog was dismissed, or nothing
    /// can follow any more. After [`Cause::Silence`] it can be asked again: the holder may go on.
    ///
    /// # Errors
    /// 71 if the pipe cannot be read.
    pub fn cause(&mut self) -> Result<Option<Cause>> {
        loop {
            while let Some(line) = self.line() {
                match line.as_str() {
                    DONE => return Ok(None),
                    ENDED => self.end = None,
                    KEEP => self.kept = true,
                    _ => self.end = line.strip_prefix(FOR).and_then(end_of),
                }
            }
            if self.end.is_some_and(|end| end <= Instant::now()) {
                self.end = None;
                return Ok(Some(Cause::Silence));
            }
            if self.kept && self.end.is_none() {
                return Ok(None);
            }
            if self.wait()? && self.read()? == 0 {
                return Ok(Some(Cause::HolderGone));
            }
        }
    }

    /// Waits for a word or the end of the lease; whether there is something to read. Of a holder that left nothing
    /// is to be heard.
    fn wait(&self) -> Result<bool> {
        let left = self.end.map(|end| end.saturating_duration_since(Instant::now()));
        // Rounded up: to wake a moment early would be to spin.
        let millis =
            left.map_or(i32::MAX, |left| i32::try_from(left.as_millis() + 1).unwrap_or(i32::MAX));
        let mut fds = [PollFd::new(self.pipe.as_fd(), PollFlags::POLLIN)];
        let watched = if self.kept { &mut fds[..0] } else { &mut fds[..] };
        match poll(watched, PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::EINTR) => Ok(false),
            Err(errno) => Err(Error::io("wait for the holder", &errno.into())),
        }
    }

    fn read(&mut self) -> Result<usize> {
        let mut bytes = [0_u8; 4096];
        loop {
            match nix::unistd::read(self.pipe.as_fd(), &mut bytes) {
                Ok(count) => {
                    self.rest.extend_from_slice(&bytes[..count]);
                    return Ok(count);
                }
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(Error::io("read what the holder says", &errno.into())),
            }
        }
    }

    fn line(&mut self) -> Option<String> {
        let end = self.rest.iter().position(|byte| *byte == b'\n')?;
        let line: Vec<u8> = self.rest.drain(..=end).collect();
        Some(String::from_utf8_lossy(&line[..end]).into_owned())
    }
}

/// When a lease of so many milliseconds ends that begins now; `None` if no clock can hold that.
fn end_of(millis: &str) -> Option<Instant> {
    Instant::now().checked_add(Duration::from_millis(millis.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::path::PathBuf;

    const LONG: Lease = Lease { length: Duration::from_secs(600) };

    /// A watchdog's end, with what the holder writes to it.
    fn posted() -> (Post, File) {
        let (reader, writer) = nix::unistd::pipe().unwrap();
        let mut writer = File::from(writer);
        writeln!(writer, "[1,2]").unwrap();
        let (post, orders) = Post::on::<Vec<u32>>(reader).unwrap();
        assert_eq!(orders, [1, 2]);
        (post, writer)
    }

    #[test]
    fn a_holder_that_is_gone_without_a_word_is_dead() {
        let (mut post, mut holder) = posted();
        write!(holder, "for 600000\nended\nfor 600000\n").unwrap();
        drop(holder);
        assert_eq!(post.cause().unwrap(), Some(Cause::HolderGone));
    }

    #[test]
    fn a_holder_that_is_silent_for_a_lease_is_acted_for_once_and_may_go_on() {
        let (mut post, mut holder) = posted();
        writeln!(holder, "for 20").unwrap();
        assert_eq!(post.cause().unwrap(), Some(Cause::Silence));
        writeln!(holder, "for 30").unwrap();
        assert_eq!(post.cause().unwrap(), Some(Cause::Silence));
        writeln!(holder, "done").unwrap();
        assert_eq!(post.cause().unwrap(), None);
    }

    #[test]
    fn silence_without_a_fault_in_force_means_nothing() {
        let (mut post, mut holder) = posted();
        let later = std::thread::spawn(move || {
            writeln!(holder, "for 50\nended").unwrap();
            std::thread::sleep(Duration::from_millis(150));
            writeln!(holder, "done").unwrap();
        });
        assert_eq!(post.cause().unwrap(), None);
        later.join().unwrap();
    }

    #[test]
    fn what_is_kept_ends_with_its_lease_and_not_with_its_holder() {
        let (mut post, mut holder) = posted();
        write!(holder, "for 100\nkeep\n").unwrap();
        drop(holder);
        let begin = Instant::now();
        assert_eq!(post.cause().unwrap(), Some(Cause::Silence));
        assert!(begin.elapsed() >= Duration::from_millis(90));
        assert_eq!(post.cause().unwrap(), None);
    }

    /// A watchdog that writes down what it hears.
    fn scribe(name: &str) -> (Command, PathBuf) {
        let file =
            std::env::temp_dir().join(format!("breakit-watch-{name}-{}", std::process::id()));
        let mut shell = Command::new("sh");
        let script = "read -r orders; echo awake; cat > \"$1.new\"; mv \"$1.new\" \"$1\"";
        shell.args(["-c", script, "sh"]).arg(&file);
        (shell, file)
    }

    fn heard(file: &PathBuf) -> String {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !file.exists() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
        let text = fs::read_to_string(file).unwrap();
        fs::remove_file(file).unwrap();
        text
    }

    #[test]
    fn a_watchdog_hears_what_its_holder_says() {
        let (mut command, file) = scribe("says");
        let mut watchdog = Watchdog::post(&mut command, &["n1"]).unwrap();
        assert!(watchdog.in_force(LONG) && watchdog.ended() && watchdog.in_force(LONG));
        watchdog.keep();
        assert_eq!(heard(&file), "for 600000\nended\nfor 600000\nkeep\n");
    }

    #[test]
    fn a_watchdog_that_was_killed_is_known_to_be_gone() {
        let (mut command, _) = scribe("killed");
        let mut watchdog = Watchdog::post(&mut command, &()).unwrap();
        watchdog.child.kill().unwrap();
        watchdog.child.wait().unwrap();
        assert!(!watchdog.in_force(LONG));
        watchdog.dismiss();
    }

    #[test]
    fn a_watchdog_that_was_stopped_keeps_nobody_waiting_and_never_acts() {
        let (mut command, file) = scribe("stopped");
        let watchdog = Watchdog::post(&mut command, &()).unwrap();
        let pid = nix::unistd::Pid::from_raw(watchdog.pid() as i32);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGSTOP).unwrap();
        let begin = Instant::now();
        watchdog.dismiss();
        assert!(begin.elapsed() < Duration::from_secs(20));
        assert!(!file.exists());
        fs::remove_file(file.with_extension("new")).ok();
    }

    #[test]
    fn a_command_that_is_no_watchdog_is_an_error() {
        let error = Watchdog::post(&mut Command::new("true"), &()).unwrap_err();
        assert_eq!(error.to_string(), "the watchdog of the fault did not start");
    }
}
