//! `kill` and `pause`: at once, or held as a fault with its lines.

use breakit::exit::{Error, Result, Status};
use breakit::hold::{Fault, Renewal, hold};
use breakit::lease::Lease;
use breakit::rng;
use breakit::signal::Watch;
use breakit::talk;
use serde_json::{Value, json};

use crate::cli::HarmArgs;
use crate::container::{self, Condition, Container, at_once};
use crate::dry_run;
use crate::watchdog::Watchdog;
use crate::which::called;

/// What is done to nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// All their processes get KILL; undone, the nodes are started again.
    Kill,
    /// Their processes stand still; undone, they go on.
    Pause,
}

impl Kind {
    /// The word on the command line and on fault lines.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Kill => "kill",
            Kind::Pause => "pause",
        }
    }

    /// Who does it: what stands as `backend` on fault lines.
    fn backend(self) -> &'static str {
        match self {
            Kind::Kill => "lxc-stop",
            Kind::Pause => "freezer",
        }
    }

    /// The kind of this word.
    pub fn parse(word: &str) -> Option<Kind> {
        [Kind::Kill, Kind::Pause].into_iter().find(|kind| kind.word() == word)
    }

    fn apply(self, container: &Container) -> Result<()> {
        match self {
            Kind::Kill => container.kill(),
            Kind::Pause => container.pause(),
        }
    }

    /// Undoes it; a node that was taken down meanwhile needs nothing.
    ///
    /// # Errors
    /// 71 where the node does not come back.
    pub fn undo(self, containers: &[Container]) -> Result<()> {
        let there: Vec<Container> = containers.iter().filter(|c| c.exists()).cloned().collect();
        match self {
            Kind::Kill => container::start_all(&there),
            Kind::Pause => container::all(at_once(&there, Container::resume)).map(drop),
        }
    }

    fn holds(self, container: &Container) -> Result<bool> {
        let condition = container.condition()?;
        Ok(match self {
            Kind::Kill => condition == Condition::Stopped,
            // A program that somebody starts in there now takes a moment to stand still.
            Kind::Pause => matches!(condition, Condition::Frozen | Condition::Freezing),
        })
    }
}

/// Harms nodes: at once and for good, or for as long as the flags say.
///
/// # Errors
/// As [`crate::cli::Which::containers`], and 71 where the system refuses.
pub fn harm(kind: Kind, args: &HarmArgs) -> Result<Status> {
    let seed = rng::seed(args.seed)?;
    let (schedule, lease) = (args.schedule.checked_with(seed)?, args.lease.checked()?);
    let times = &args.schedule;
    let timed =
        [times.length, times.every, times.first, times.time_limit].iter().any(Option::is_some)
            || times.until_eof;
    let containers = args.which.containers()?;
    let held = timed || args.hold || args.keep;
    if args.dry_run {
        let holding = dry_run::Holding { schedule: &schedule, lease, keep: args.keep };
        return dry_run::harm(kind, &containers, held.then_some(holding));
    }
    if !held {
        return container::all(at_once(&containers, |c| kind.apply(c))).map(|_| Status::Done);
    }
    let from_stdin =
        args.which.specs().iter().flat_map(|spec| spec.split(',')).any(|part| part == "-");
    let mut watch = Watch::start("putting the nodes right goes on")?;
    args.schedule.watch_input(&mut watch, from_stdin.then_some("the nodes"))?;
    let mut held = Held { kind, containers, watchdog: None, keep: args.keep, seed };
    hold(&mut held, &schedule, lease, args.keep, &watch)
}

const TOO_LATE: &str = "the lease ended before all nodes were harmed, and the harm was undone";

/// Harm that is held.
struct Held {
    kind: Kind,
    containers: Vec<Container>,
    watchdog: Option<Watchdog>,
    keep: bool,
    seed: u64,
}

impl Held {
    fn undo_all(&self) -> Result<()> {
        self.kind.undo(&self.containers)
    }

    fn value(&self) -> Value {
        json!({ "nodes": called(&self.containers), "backend": self.kind.backend(), "seed": self.seed })
    }

    fn apply_all(&self) -> Result<()> {
        container::all(at_once(&self.containers, |c| self.kind.apply(c))).map(drop)
    }
}

impl Fault for Held {
    fn kind(&self) -> &'static str {
        self.kind.word()
    }

    fn start(&mut self, lease: Lease) -> Result<Value> {
        // A node that is paused or down already would be put right by us at the end, and is not ours.
        container::all(at_once(&self.containers, Container::must_run))?;
        // Before the first harm: from then on somebody undoes it whatever becomes of us.
        let mut watchdog = Watchdog::post(self.kind, lease, &self.containers)?;
        let applied = self.apply_all().and_then(|()| {
            // We were stopped in there for longer than the lease: it undid the harm, and nobody watches any more.
            if watchdog.renew() { Ok(()) } else { Err(Error::waited(TOO_LATE)) }
        });
        if let Err(error) = applied {
            let undone = self.undo_all();
            watchdog.dismiss();
            return Err(undone.err().map_or(error.clone(), |more| Error::Many(vec![error, more])));
        }
        if self.keep {
            watchdog.keep();
        } else {
            self.watchdog = Some(watchdog);
        }
        Ok(self.value())
    }

    fn renew(&mut self, lease: Lease) -> Result<Renewal> {
        let held = container::all(at_once(&self.containers, |c| self.kind.holds(c)))?;
        if held.iter().all(|held| !held) {
            return Ok(Renewal::Healed);
        }
        if !self.watchdog.as_mut().is_some_and(Watchdog::renew) {
            talk::error("the watchdog of this fault is gone; another takes its place");
            self.watchdog = Some(Watchdog::post(self.kind, lease, &self.containers)?);
        }
        Ok(Renewal::InForce)
    }

    fn heal(&mut self) -> Result<Value> {
        let healed = self.undo_all();
        if let Some(watchdog) = self.watchdog.take() {
            watchdog.dismiss();
        }
        healed.map(|()| self.value())
    }
}
