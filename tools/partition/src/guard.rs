//! The guard: a small process beside a cut's holder that heals as soon as the holder is gone.
//!
//! The kernel's timeouts alone end every cut with its lease. The guard makes that sooner after `kill -9`,
//! and removes the table, which the kernel would leave behind empty. It knows of its holder's death by
//! the end of a pipe that the holder alone holds open: it needs no signal, no file and no polling. For a cut
//! that is kept without a holder it waits for the end of the lease, and looks whether somebody healed before.
//!
//! Of a holder that is stopped it hears nothing, not even that the lease goes on. Then it sweeps what the kernel
//! has left of the cut, as soon as that has ended.
//!
//! What holders left that died together with their guards it sweeps first: a cut need not wait for that.

use std::io::{BufRead, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use breakit::exit::{Error, Result, Status};
use breakit::helper;
use breakit::lease::Lease;
use breakit::lifeline::{self, Lifeline};
use breakit::messages;
use breakit::node::Node;

use crate::apply;
use crate::installed::{self, Place};
use crate::kernel_rules::KernelRules;
use crate::nft::Nft;

/// What the holder says after the nodes.
const WATCH: &str = "watch";

/// What the holder says last, when it has healed by itself.
const DONE: &str = "done";

/// What the holder says before it makes or renews a cut, with the lease in milliseconds.
const BUSY: &str = "busy ";

/// What it says when a cut is in force for another lease, with that in milliseconds.
const HELD: &str = "held ";

/// What it says when it has taken a cut away.
const HEALED: &str = "healed";

/// After the kernel's timeout, before the sweep: an element must have expired for certain.
const MARGIN: Duration = Duration::from_millis(500);

/// How long a holder waits for its guard to go home.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often the guard of a kept cut looks whether it still stands.
const LOOK: Duration = Duration::from_secs(2);

/// A guard at work. Dropped without [`Guard::dismiss`] it heals.
#[derive(Debug)]
pub struct Guard {
    child: Child,
    lifeline: Option<Lifeline>,
}

impl Guard {
    /// Starts a guard for the table `table` in our network and in those of `nodes`.
    ///
    /// With `kept` it does not watch a holder but sweeps the table after that lease has ended.
    ///
    /// # Errors
    /// 71 where it cannot be started.
    pub fn start(table: &str, nodes: &[Node], kept: Option<Lease>) -> Result<Guard> {
        let place = |e: std::io::Error| Error::io("start the guard of the cut", &e);
        let mut command = helper::ourselves();
        command.arg0("partition").arg("guard").arg(table);
        // A session of its own: no ^C, no hang-up and no signal to our process group reaches it.
        // SAFETY: between fork and exec the closure makes one system call and allocates nothing.
        unsafe { command.pre_exec(|| nix::unistd::setsid().map(drop).map_err(Into::into)) };
        // It outlives us: a lifeline of another cut must not be open to it.
        lifeline::let_go(&mut command);
        command.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::null());
        if let Some(lease) = kept {
            // It outlives us, and whoever reads our stderr must not wait for it.
            let wait = lease.length + MARGIN;
            command.arg(format!("--after={}ms", wait.as_millis())).stderr(Stdio::null());
        }
        let mut child = command.spawn().map_err(place)?;
        let mut lifeline = child.stdin.take().map(Lifeline::of);
        if let Some(lifeline) = &mut lifeline {
            let lines: String = nodes.iter().map(|node| node.line() + "\n").collect();
            lifeline.write_all((lines + WATCH + "\n").as_bytes()).map_err(place)?;
            // A guard that somebody stopped reads nothing: we must not wait for it.
            lifeline.never_wait().map_err(place)?;
        }
        Ok(Guard { child, lifeline })
    }

    /// A cut is about to be made or renewed.
    pub fn busy(&mut self, lease: Lease) {
        self.tell(&format!("{BUSY}{}", lease.length.as_millis()));
    }

    /// A cut is in force for another lease.
    pub fn held(&mut self, lease: Lease) {
        self.tell(&format!("{HELD}{}", lease.length.as_millis()));
    }

    /// A cut was taken away.
    pub fn healed(&mut self) {
        self.tell(HEALED);
    }

    fn tell(&mut self, word: &str) {
        if let Some(lifeline) = &mut self.lifeline {
            // A guard that is gone or stopped hears nothing, and the kernel's timeouts remain.
            let _ = lifeline.write_all(format!("{word}\n").as_bytes());
        }
    }

    /// The cut is healed: the guard goes home.
    pub fn dismiss(mut self) {
        self.tell(DONE);
        self.lifeline = None;
        // It goes at once, unless somebody has stopped it: then it goes when it is let go on.
        let end = Instant::now() + PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < end {
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}

/// What the guard does: sweeps, waits for its holder's end (or for the lease's), then heals.
///
/// # Errors
/// All that stood in the way of healing.
pub fn stand(table: &str, after: Option<Duration>) -> Result<Status> {
    let (nft, mut nodes, mut due) = (Nft::find(), Vec::new(), None);
    let heard = listen();
    loop {
        let word = match due {
            None => heard.recv().ok(),
            Some(end) => match heard.recv_timeout(until(end)) {
                Ok(word) => Some(word),
                Err(RecvTimeoutError::Disconnected) => None,
                Err(RecvTimeoutError::Timeout) => {
                    sweep_ended(&nft, &nodes, table);
                    due = None;
                    continue;
                }
            },
        };
        match word.as_deref() {
            None => break,
            Some(DONE) => return Ok(Status::Done),
            Some(WATCH) => {
                if let Err(error) = installed::sweep(&nft, installed::networks(&nodes), table) {
                    messages::error(format!("what others left could not be swept: {error}"));
                }
            }
            Some(HEALED) => due = None,
            Some(word) => match lasts(word) {
                Some(length) => due = Instant::now().checked_add(length),
                None => nodes.push(Node::parse(word).map_err(Error::data)?),
            },
        }
    }
    let places = installed::networks(&nodes);
    let (healed, errors) = match after {
        None => installed::heal(&nft, &places, |found| found.name == table),
        Some(after) => {
            wait_out(&nft, &places, table, after);
            installed::heal(&nft, &places, |found| found.name == table && found.elements.is_empty())
        }
    };
    for cut in healed.iter().filter(|_| after.is_none()) {
        messages::error(format!("the holder of the cut {} is gone: healed", cut.words()));
    }
    Error::all(errors)?;
    Ok(Status::Done)
}

/// How long a cut may still be in force after the holder's `word`. What it began to make may be made by a program
/// of its own even where it is stopped, and is not to be swept half-made.
fn lasts(word: &str) -> Option<Duration> {
    let millis = |text: &str| text.parse().ok().map(Duration::from_millis);
    let busy = || word.strip_prefix(BUSY).and_then(millis).map(|lease| lease + apply::LIMIT);
    word.strip_prefix(HELD).and_then(millis).or_else(busy).map(|length| length + MARGIN)
}

/// The lines of stdin, as they come; it ends with them.
fn listen() -> Receiver<String> {
    let (tell, heard) = mpsc::channel();
    std::thread::spawn(move || {
        let mut lines = std::io::stdin().lock().lines().map_while(std::result::Result::ok);
        while lines.next().is_some_and(|line| tell.send(line).is_ok()) {}
    });
    heard
}

fn until(end: Instant) -> Duration {
    end.saturating_duration_since(Instant::now())
}

/// The lease must have ended and the holder says nothing: what drops nothing any more is taken away.
fn sweep_ended(nft: &Nft, nodes: &[Node], table: &str) {
    let ended = |found: &KernelRules| found.name == table && found.elements.is_empty();
    let (_, errors) = installed::heal(nft, &installed::networks(nodes), ended);
    if let Err(error) = Error::all(errors) {
        messages::error(format!("what the lease ended could not be swept: {error}"));
    }
}

/// Waits until a kept cut has ended: with its lease, or because somebody healed it.
fn wait_out(nft: &Nft, places: &[Place], table: &str, after: Duration) {
    let end = Instant::now() + after;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        std::thread::sleep(left.min(LOOK));
        let (cuts, errors) = installed::find(nft, places);
        if errors.is_empty() && !cuts.iter().any(|cut| cut.table == table) {
            return;
        }
    }
}
