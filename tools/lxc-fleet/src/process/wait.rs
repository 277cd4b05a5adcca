//! Waiting for programs without missing a signal, a limit, or a reader that left.

use std::io;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use breakit::exit::{Error, Result};
use breakit::signal::{Wake, Watch};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::process::program_group::Killed;

/// How long programs have to end after TERM.
const PATIENCE: Duration = Duration::from_secs(1);

/// A program that can be waited for and ended.
pub trait Program {
    /// Its status if it has ended.
    ///
    /// # Errors
    /// What wait(2) says.
    fn try_wait(&mut self) -> io::Result<Option<ExitStatus>>;

    /// Asks it and all that it started to end.
    fn terminate(&mut self);

    /// Whether it and all that it started has ended.
    fn is_gone(&mut self) -> bool;

    /// Kills it and all that it started.
    fn kill_all(&mut self) -> Killed;
}

/// How a program ended that was attended.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// By itself.
    Itself(ExitStatus),
    /// Killed by us: its time was over.
    Limit(Killed),
    /// Killed by us: a signal came, or nobody reads any more.
    Outside(Wake, Killed),
    /// Killed by us: what it says or reads cannot be passed on.
    Stopped(Killed),
}

/// Waits for all of `programs` at once; kills those with all that they started that outlast `limit` or a signal.
///
/// # Errors
/// 71 where waiting fails.
pub fn wait<P: Program>(
    programs: &mut [P],
    limit: Option<Duration>,
    watch: &Watch,
) -> Result<Vec<End>> {
    wait_unless(programs, limit, |time| watch.until(Some(time)), || false)
}

/// As [`wait`], and they are killed as soon as `stopped` says so. `until` waits until a time, or for less if
/// anything else happens that ends them.
///
/// # Errors
/// 71 where waiting fails.
pub fn wait_unless<P: Program>(
    programs: &mut [P],
    limit: Option<Duration>,
    until: impl Fn(Instant) -> Result<Wake>,
    stopped: impl Fn() -> bool,
) -> Result<Vec<End>> {
    let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
    let mut ends: Vec<Option<End>> = programs.iter().map(|_| None).collect();
    let mut nap = Duration::from_millis(1);
    loop {
        for (program, end) in programs.iter_mut().zip(&mut ends) {
            if end.is_none() {
                *end = program
                    .try_wait()
                    .map_err(|e| Error::io("wait for a program", &e))?
                    .map(End::Itself);
            }
        }
        if let Some(ends) = ends.iter().copied().collect() {
            return Ok(ends);
        }
        let wake = until(Instant::now() + nap)?;
        nap = (nap * 2).min(Duration::from_millis(16));
        if wake != Wake::Time {
            end_rest(programs, &mut ends, |killed| End::Outside(wake, killed));
        } else if stopped() {
            end_rest(programs, &mut ends, End::Stopped);
        } else if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            end_rest(programs, &mut ends, End::Limit);
        }
    }
}

/// Ends all that have not ended: with TERM, and with KILL what is left after [`PATIENCE`].
fn end_rest<P: Program>(programs: &mut [P], ends: &mut [Option<End>], how: impl Fn(Killed) -> End) {
    let mut rest: Vec<_> = programs.iter_mut().zip(ends).filter(|(_, end)| end.is_none()).collect();
    rest.iter_mut().for_each(|(program, _)| program.terminate());
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline && !rest.iter_mut().all(|(program, _)| program.is_gone()) {
        std::thread::sleep(Duration::from_millis(5));
    }
    for (program, end) in rest {
        *end = Some(how(program.kill_all()));
    }
}

/// A program of the host, which is trusted not to leave its family.
impl Program for Child {
    fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        Child::try_wait(self)
    }

    fn terminate(&mut self) {
        send(&tree(pid(self)), Signal::SIGTERM);
    }

    fn is_gone(&mut self) -> bool {
        !matches!(Child::try_wait(self), Ok(None))
    }

    fn kill_all(&mut self) -> Killed {
        send(&tree(pid(self)), Signal::SIGKILL);
        let _ = self.kill();
        let _ = self.wait();
        Killed::Dead
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id() as i32)
}

fn send(pids: &[Pid], signal: Signal) {
    for pid in pids {
        // One that has just ended needs no signal.
        let _ = kill(*pid, signal);
    }
}

/// The descendants of `root` and itself, the root last.
fn tree(root: Pid) -> Vec<Pid> {
    let mut found = Vec::new();
    for child in children_of(root) {
        found.extend(tree(child));
    }
    found.push(root);
    found
}

fn children_of(pid: Pid) -> Vec<Pid> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().filter_map(|word| word.parse().ok()).map(Pid::from_raw).collect()
}
