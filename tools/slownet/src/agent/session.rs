//! A copy of this program at work on another host, as we see it: an ssh of ours with a pipe each way.
//!
//! Nothing that comes from there is trusted: an answer has a limit in time and in length, and is one of a few.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use breakit::exit::{Error, Result};
use breakit::node::Host;
use breakit::{clock, lifeline, messages, program, ssh};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::ask::{Answer, Ask, LONGEST_ANSWER};
use super::copy::Copy;
use super::{lock, reported, shortened};

/// How long an answer may take. A step over ssh has as long.
const LIMIT: Duration = Duration::from_secs(20);

/// How long the program may be on its way.
const COPYING: Duration = Duration::from_secs(60);

/// How long a copy may take to end when we hang up: it lets out what its lines hold.
const ENDING: Duration = Duration::from_secs(3);

/// How much of what is said on stderr is kept.
const LAST_WORDS: usize = 4096;

/// The copy on one host. It ends when this is dropped.
#[derive(Debug)]
pub struct Session {
    host: Host,
    pipes: Mutex<Pipes>,
    next: AtomicU32,
}

#[derive(Debug)]
struct Pipes {
    child: Child,
    /// None if the copy is given up.
    stdin: Option<ChildStdin>,
    lines: Receiver<Vec<u8>>,
    last_words: Arc<Mutex<Vec<u8>>>,
}

/// Why no answer came.
enum Silence {
    /// The program at the other end of the pipes has ended.
    Ended,
    /// It has not said anything in time.
    Late,
}

impl Session {
    /// Copies this program to `host` and starts it there.
    ///
    /// # Errors
    /// 69 where it cannot run there: another kind of machine, other libraries; 71 where there is no room for it, or no
    /// program may run from where there is; 75 where nothing comes in time; and as [`ssh::reached`].
    pub fn start(host: &Host, copy: &Copy) -> Result<Session> {
        let mut pipes = Pipes::open(host, copy)?;
        pipes.copy(host, copy).inspect_err(|_| pipes.give_up())?;
        messages::detail(format!("{host}: slownet was copied there and runs"));
        Ok(Session { host: host.clone(), pipes: Mutex::new(pipes), next: AtomicU32::new(0) })
    }

    /// Whether requests may still be answered.
    pub fn is_at_work(&self) -> bool {
        let mut pipes = lock(&self.pipes);
        pipes.stdin.is_some() && matches!(pipes.child.try_wait(), Ok(None))
    }

    /// A number that no line there has had.
    pub fn number(&self) -> u32 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Asks, and waits for the answer that it is done.
    ///
    /// # Errors
    /// What the copy says; 71 where it has ended or says what is no answer, 75 where it says nothing in time. It is
    /// given up then.
    pub fn ask(&self, ask: &Ask) -> Result<()> {
        let mut pipes = lock(&self.pipes);
        let answer = pipes.ask(&self.host, ask);
        match answer {
            Ok(Answer::Done) => Ok(()),
            Ok(Answer::No { status, why }) => Err(reported(&self.host, status, &why)),
            Ok(Answer::Ready { .. }) => {
                pipes.give_up();
                Err(nonsense(&self.host))
            }
            Err(error) => {
                pipes.give_up();
                Err(error)
            }
        }
    }
}

impl Pipes {
    fn open(host: &Host, copy: &Copy) -> Result<Pipes> {
        let mut command = copy.receiver(host)?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // ^C is for us, who have to end the lines in order.
        command.process_group(0);
        lifeline::let_go(&mut command);
        let mut child = command.spawn().map_err(|e| Error::io("run ssh", &e))?;
        let stdin = child.stdin.take();
        if let Some(stdin) = &stdin {
            // A host that takes nothing more must not keep us waiting.
            fcntl(stdin, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))
                .map_err(|errno| Error::io("write to ssh", &errno.into()))?;
        }
        let (sender, lines) = sync_channel(1);
        if let Some(stdout) = child.stdout.take() {
            std::thread::spawn(move || {
                let mut stdout = BufReader::new(stdout);
                while let Some(line) = answer(&mut stdout) {
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        let last_words = Arc::default();
        if let Some(stderr) = child.stderr.take() {
            let kept = Arc::clone(&last_words);
            std::thread::spawn(move || keep_last(stderr, &kept));
        }
        Ok(Pipes { child, stdin, lines, last_words })
    }

    /// Sends the program where there is room for it, and waits until it runs.
    fn copy(&mut self, host: &Host, copy: &Copy) -> Result<()> {
        let said = self.hear(host, LIMIT)?;
        let Some(machine) = said.strip_prefix("room ") else {
            return Err(refusal(host, &said));
        };
        if machine != copy.machine {
            return Err(Error::missing(format!(
                "{host} is another kind of machine ({}); slownet can copy itself only to {}",
                shortened(machine),
                copy.machine
            )));
        }
        self.write(host, &copy.bytes, COPYING)?;
        let said = self.hear(host, LIMIT)?;
        match serde_json::from_str(&said) {
            Ok(Answer::Ready { version }) if version == env!("CARGO_PKG_VERSION") => Ok(()),
            _ => Err(refusal(host, &said)),
        }
    }

    fn ask(&mut self, host: &Host, ask: &Ask) -> Result<Answer> {
        let line = serde_json::to_string(ask).map_err(|e| Error::system(e.to_string()))? + "\n";
        self.write(host, line.as_bytes(), LIMIT)?;
        let said = self.hear(host, LIMIT)?;
        serde_json::from_str(&said).map_err(|_| nonsense(host))
    }

    /// Writes all of it.
    fn write(&mut self, host: &Host, mut bytes: &[u8], limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        while !bytes.is_empty() {
            let Some(stdin) = &mut self.stdin else { return Err(self.gone(host)) };
            match stdin.write(bytes) {
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    if !takes_more(stdin, deadline) {
                        return Err(late(host, limit));
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(self.gone(host)),
            }
        }
        Ok(())
    }

    /// The next line that comes from there.
    fn hear(&mut self, host: &Host, limit: Duration) -> Result<String> {
        match self.next(limit) {
            Ok(line) => String::from_utf8(line).map_err(|_| nonsense(host)),
            Err(Silence::Ended) => Err(self.gone(host)),
            Err(Silence::Late) => Err(late(host, limit)),
        }
    }

    fn next(&mut self, limit: Duration) -> std::result::Result<Vec<u8>, Silence> {
        use std::sync::mpsc::RecvTimeoutError;
        self.lines.recv_timeout(limit).map_err(|error| match error {
            RecvTimeoutError::Disconnected => Silence::Ended,
            RecvTimeoutError::Timeout => Silence::Late,
        })
    }

    /// Why the other end is gone, by what ssh, sudo or the copy said last.
    fn gone(&mut self, host: &Host) -> Error {
        // What was said before it ended may not be read yet.
        if let Ok(line) = self.next(Duration::from_millis(200))
            && let Ok(said) = String::from_utf8(line)
            && said.starts_with("no ")
        {
            return refusal(host, &said);
        }
        self.stdin = None;
        let status = self.ended(ENDING);
        let stderr = lock(&self.last_words).clone();
        let Some(status) = status else { return late(host, ENDING) };
        match ssh::reached(host, Output { status, stdout: Vec::new(), stderr }) {
            Err(error) => error,
            Ok(output) => Error::system(format!(
                "slownet on {host} has ended ({status}): {}",
                shortened(&program::last_words(&output))
            )),
        }
    }

    fn ended(&mut self, limit: Duration) -> Option<std::process::ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            if Instant::now() >= deadline {
                return None;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Hangs up at once: the copy ends when it sees that, or else with its lease.
    fn give_up(&mut self) {
        self.stdin = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Pipes {
    /// Hangs up, and waits until the copy has ended.
    fn drop(&mut self) {
        self.stdin = None;
        if self.ended(ENDING).is_none() {
            self.give_up();
        }
    }
}

/// Whether the pipe takes more before the deadline.
fn takes_more(stdin: &ChildStdin, deadline: Instant) -> bool {
    let left = deadline.saturating_duration_since(Instant::now());
    let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
    match poll(&mut [PollFd::new(stdin.as_fd(), PollFlags::POLLOUT)], left) {
        Ok(0) => Instant::now() < deadline,
        Ok(_) | Err(Errno::EINTR) => true,
        Err(_) => false,
    }
}

/// A line without its end; one that is too long is cut, and is no answer then. None at the end.
fn answer(stdout: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    let read = stdout.take(LONGEST_ANSWER as u64).read_until(b'\n', &mut line);
    match read {
        Ok(0) | Err(_) => None,
        Ok(_) => {
            if line.last() == Some(&b'\n') {
                line.pop();
            }
            Some(line)
        }
    }
}

/// Reads to the end, and keeps the last of it.
fn keep_last(mut stderr: impl Read, kept: &Mutex<Vec<u8>>) {
    let mut bytes = [0; 1024];
    while let Ok(count @ 1..) = stderr.read(&mut bytes) {
        let mut kept = lock(kept);
        kept.extend(bytes.get(..count).unwrap_or_default());
        let over = kept.len().saturating_sub(LAST_WORDS);
        kept.drain(..over);
    }
}

/// What the script on the other host says where it cannot go on.
fn refusal(host: &Host, said: &str) -> Error {
    let mut words = said.splitn(3, ' ');
    let (no, kind, why) = (words.next(), words.next(), words.next().unwrap_or_default());
    // The loader of programs begins with the name of the file, which says nothing here.
    let why = if why.starts_with("/proc/") {
        why.split_once(": ").map_or(why, |(_, why)| why)
    } else {
        why
    };
    let why = shortened(why);
    match (no, kind) {
        (Some("no"), Some("program")) => {
            Error::missing(format!("the program {why} is missing on {host}; install it there"))
        }
        (Some("no"), Some("place")) => {
            Error::system(format!("slownet cannot be copied to {host}: {why}"))
        }
        (Some("no"), Some("copy")) => Error::system(format!(
            "what came to {host} is not what was sent; try again, and check its disk and memory"
        )),
        (Some("no"), Some("run")) => Error::missing(format!(
            "slownet does not run on {host}: {why}; build it with RUSTFLAGS='-C target-feature=+crt-static'"
        )),
        _ => nonsense(host),
    }
}

fn nonsense(host: &Host) -> Error {
    Error::system(format!("what {host} says is no answer of slownet; check its login shell"))
}

fn late(host: &Host, limit: Duration) -> Error {
    Error::waited(format!("slownet on {host} did not answer within {}", clock::show(limit)))
}
