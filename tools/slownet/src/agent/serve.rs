//! What a copy does on another host: it holds delay lines for a run elsewhere, and ends with it.
//!
//! It ends when its input ends, which is when the run, its ssh or its connection does; and where nobody sees that the
//! connection is gone, with the lease.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::process::Command;
use std::time::{Duration, Instant};

use breakit::exit::{Error, Result, Status};
use breakit::reach::Network;
use breakit::{jsonl, rng};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::ask::{Answer, Ask, LONGEST_REQUEST};
use crate::fault_id::FaultId;
use crate::line::Line;
use crate::line::watchdog::Watchdog;
use crate::probe::Kernel;

/// How long it waits for a line to open.
const IDLE: Duration = Duration::from_secs(30);

/// The kernel's sets count in seconds: what feeds a line has lapsed when the line ends.
const MARGIN: Duration = Duration::from_secs(1);

/// Serves until the input ends or a lease does.
///
/// # Errors
/// 71 where the input is no request.
pub fn run() -> Result<Status> {
    // It is called by the number of a descriptor; whoever looks at processes sees what it is.
    let _ = nix::sys::prctl::set_name(c"slownet");
    // No filesystem is kept busy.
    let _ = std::env::set_current_dir("/");
    say(&Answer::Ready { version: env!("CARGO_PKG_VERSION").into() })?;
    let mut agent = Agent::new();
    let mut input = Input::default();
    let served = agent.serve(&mut input);
    agent.end_all();
    // Whoever is gone needs no answer.
    Error::unless_reader_gone(served).map(|()| Status::Done)
}

fn say(answer: &Answer) -> Result<()> {
    let line = serde_json::to_string(answer).map_err(|e| Error::system(e.to_string()))?;
    jsonl::print(&line)
}

/// The lines, and when they end by themselves.
struct Agent {
    lines: BTreeMap<u32, (FaultId, Line)>,
    until: Instant,
    watchdog: Option<(Vec<FaultId>, Watchdog)>,
}

impl Agent {
    fn new() -> Agent {
        Agent { lines: BTreeMap::new(), until: Instant::now() + IDLE, watchdog: None }
    }

    fn serve(&mut self, input: &mut Input) -> Result<()> {
        while let Some(line) = input.next(self.until)? {
            let ask = serde_json::from_slice(&line)
                .map_err(|e| Error::system(format!("the input is no request of slownet: {e}")))?;
            say(&match self.answer(ask) {
                Ok(()) => Answer::Done,
                Err(error) => Answer::No { status: error.status().code(), why: error.to_string() },
            })?;
        }
        Ok(())
    }

    fn answer(&mut self, ask: Ask) -> Result<()> {
        match ask {
            Ask::Try { tap, queue } => try_out(tap, queue),
            Ask::Open { line, id, place, parts, seed, purpose, lease } => {
                let id = FaultId::parse(&id).map_err(Error::system)?;
                let rng = rng::generator(seed, &purpose);
                let opened = Line::open(Network::Here, id, place, *parts, rng)?;
                self.lines.insert(line, (id, opened));
                self.go_on(lease)
            }
            Ask::Renew { lines, lease } => {
                let works = |line: &u32| {
                    self.lines.get(line).is_some_and(|(_, line)| line.works(&Network::Here))
                };
                match lines.iter().all(works) {
                    true => self.go_on(lease),
                    false => Err(Error::system("a delay line is not at work any more")),
                }
            }
            Ask::End { lines } => {
                end(lines.iter().filter_map(|line| self.lines.remove(line)).collect());
                if self.lines.is_empty() {
                    self.watchdog = None;
                    self.until = Instant::now() + IDLE;
                }
                Ok(())
            }
        }
    }

    /// All lines are of one run, which renews all of them at the same time.
    fn go_on(&mut self, lease: Duration) -> Result<()> {
        self.until = Instant::now() + lease + MARGIN;
        let mut ids: Vec<FaultId> = self.lines.values().map(|(id, _)| *id).collect();
        ids.dedup();
        if self.watchdog.as_ref().is_none_or(|(before, _)| *before != ids) {
            // The lease must have lapsed before it acts.
            let watchdog = Watchdog::post(&clearing(&ids), lease + MARGIN)?;
            self.watchdog = Some((ids, watchdog));
        }
        if let Some((_, watchdog)) = &mut self.watchdog {
            watchdog.in_force();
        }
        Ok(())
    }

    fn end_all(&mut self) {
        end(std::mem::take(&mut self.lines).into_values().collect());
    }
}

/// Ends lines, all at once.
fn end(lines: Vec<(FaultId, Line)>) {
    std::thread::scope(|scope| {
        for line in lines {
            scope.spawn(|| drop(line));
        }
    });
}

fn try_out(tap: bool, queue: bool) -> Result<()> {
    let kernel = Kernel::of(&Network::Here);
    let missing = |why| Error::missing(format!("nfqueue does not work here: {why}"));
    if tap {
        kernel.tap()?.map_err(missing)?;
    }
    if queue {
        kernel.queue()?.map_err(missing)?;
    }
    Ok(())
}

/// What clears these faults here. Our file has no name, but it can be run for as long as we live; the watchdog lives
/// no longer.
fn clearing(ids: &[FaultId]) -> Command {
    let ids: Vec<String> = ids.iter().map(FaultId::to_string).collect();
    let mut clear = Command::new(format!("/proc/{}/exe", std::process::id()));
    clear.args(["clear", "--quiet", "--id", &ids.join(","), "-n", "here=local"]);
    clear
}

/// Requests, as they come.
#[derive(Default)]
struct Input {
    bytes: Vec<u8>,
}

impl Input {
    /// The next line, without its end; None at the end of the input, or at `until`.
    fn next(&mut self, until: Instant) -> Result<Option<Vec<u8>>> {
        loop {
            if let Some(end) = self.bytes.iter().position(|byte| *byte == b'\n') {
                let rest = self.bytes.split_off(end + 1);
                let mut line = std::mem::replace(&mut self.bytes, rest);
                line.pop();
                return Ok(Some(line));
            }
            if self.bytes.len() > LONGEST_REQUEST {
                return Err(Error::system("a request to slownet is too long"));
            }
            if !self.read(until)? {
                return Ok(None);
            }
        }
    }

    /// Reads what is there, or waits for it. Nothing comes any more where this is false.
    fn read(&mut self, until: Instant) -> Result<bool> {
        let place = |errno: Errno| Error::io("read requests", &errno.into());
        let stdin = io::stdin();
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        // Rounded up, or the last millisecond would be spun through.
        let left = PollTimeout::try_from(left + Duration::from_millis(1));
        match poll(
            &mut [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)],
            left.unwrap_or(PollTimeout::MAX),
        ) {
            Ok(0) | Err(Errno::EINTR) => return Ok(true),
            Ok(_) => {}
            Err(errno) => return Err(place(errno)),
        }
        let mut bytes = [0; 1 << 16];
        match nix::unistd::read(stdin.as_fd(), &mut bytes) {
            Ok(0) => Ok(false),
            Ok(count) => {
                self.bytes.extend(bytes.get(..count).unwrap_or_default());
                Ok(true)
            }
            Err(Errno::EINTR) => Ok(true),
            Err(errno) => Err(place(errno)),
        }
    }
}
