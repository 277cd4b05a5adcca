//! A fault held in the foreground: apply, verify, print the start line, renew, heal, print the stop line.
//!
//! `partition cut`, `slownet set` and the faults of `lxc-fleet` are each a [`Fault`]; this is the one place
//! that decides when they begin and end.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::clock;
use crate::exit::{Error, Result, Status};
use crate::jsonl;
use crate::lease::Lease;
use crate::op::Op;
use crate::schedule::{Schedule, Window};
use crate::signal::{Wake, Watch};
use crate::talk;

/// What a renewal found.
#[derive(Clone, Debug, PartialEq)]
pub enum Renewal {
    /// The fault was in force and is so for another lease.
    InForce,
    /// A part of it had gone (a node came back with a new network) and was put in force again;
    /// the value goes onto a `renew-` line.
    Again(Value),
    /// Somebody else healed it (`partition heal`): the holder's work is over, and nothing is cut again.
    Healed,
}

/// A fault of one kind, with whom it strikes.
pub trait Fault {
    /// The word after `start-`, `stop-` and `renew-`: `partition`, `slow`.
    fn kind(&self) -> &'static str;

    /// Puts the fault in force for one lease, verifies that it is, and gives the start line's value
    /// (an object). It may choose anew each time: whom, how. On an error nothing is left in force.
    ///
    /// # Errors
    /// Whatever stood in the way.
    fn start(&mut self, lease: Lease) -> Result<Value>;

    /// Extends the fault for another lease.
    ///
    /// # Errors
    /// Whatever stood in the way; the holder goes on and tries again before the lease ends.
    fn renew(&mut self, lease: Lease) -> Result<Renewal>;

    /// Takes the fault back, and gives the stop line's value (an object). Collects errors, never stops at one.
    ///
    /// # Errors
    /// All that stood in the way.
    fn heal(&mut self) -> Result<Value>;
}

/// How a window ended.
enum End {
    /// The window's own end: the next one follows.
    Window,
    /// The lease ran out unseen (we were stopped or suspended) at this time of CLOCK_MONOTONIC.
    Lapsed(u64),
    /// Somebody else healed it: nothing follows.
    Healed,
    /// From outside: nothing follows.
    Outside(Wake),
}

/// Holds `fault` as `schedule` says and prints its lines on stdout.
///
/// With `keep` the first fault is left in force, to end with its lease, which is then as long as the
/// fault was to last.
///
/// # Errors
/// The fault's own, after it was healed; [`Error::Signal`] after a signal; [`Error::ReaderGone`] where
/// nobody reads the lines any more.
pub fn hold(
    fault: &mut dyn Fault,
    schedule: &Schedule,
    lease: Lease,
    keep: bool,
    watch: &Watch,
) -> Result<Status> {
    if keep {
        let lease = schedule.length().map_or(lease, |length| Lease { length });
        return start(fault, lease).map(|_| Status::Done);
    }
    let origin = Instant::now();
    for window in schedule.windows() {
        match watch.until(Some(origin + window.start))? {
            Wake::Time => {}
            wake => return ended_by(wake),
        }
        let began = start(fault, lease)?;
        let end = stay(fault, lease, began, origin, window, watch);
        stop(fault, end.as_ref().ok())?;
        match end? {
            End::Outside(wake) => return ended_by(wake),
            End::Healed => return Ok(Status::Done),
            End::Window | End::Lapsed(_) => {}
        }
    }
    Ok(Status::Done)
}

/// Starts the fault and prints its line; heals at once where the line finds no reader. Gives the time
/// before the fault was put in force.
fn start(fault: &mut dyn Fault, lease: Lease) -> Result<u64> {
    let began = clock::now();
    let mut value = fault.start(lease)?;
    set(&mut value, "began", began.into());
    set(&mut value, "lease", clock::show(lease.length).into());
    let line = Op::fault(format!("start-{}", fault.kind()), value).line();
    let printed = jsonl::print(&line).map(|()| began);
    printed.map_err(|error| match fault.heal() {
        Ok(_) => error,
        Err(heal) => Error::Many(vec![error, heal]),
    })
}

/// Renews the lease until the window ends.
///
/// The kernel counts from some moment after `began`: judged from there, a lease that has lapsed is never
/// taken for one that can be renewed.
fn stay(
    fault: &mut dyn Fault,
    lease: Lease,
    began: u64,
    origin: Instant,
    window: Window,
    watch: &Watch,
) -> Result<End> {
    let end = window.end.map(|end| origin + end);
    let (mut renewed, mut due) = (began, Instant::now() + lease.renew_every());
    loop {
        let wake = watch.until(Some(end.map_or(due, |end| end.min(due))))?;
        if wake != Wake::Time {
            return Ok(End::Outside(wake));
        }
        let lapse = renewed + clock::nanos(lease.length);
        if clock::now() > lapse {
            return Ok(End::Lapsed(lapse));
        }
        if end.is_some_and(|end| Instant::now() >= end) {
            return Ok(End::Window);
        }
        let asked = clock::now();
        match fault.renew(lease) {
            Ok(Renewal::Healed) => return Ok(End::Healed),
            Ok(renewal) => {
                renewed = asked;
                due = Instant::now() + lease.renew_every();
                if let Renewal::Again(value) = renewal {
                    jsonl::print(&Op::fault(format!("renew-{}", fault.kind()), value).line())?;
                }
            }
            // The kernel still holds it for a while: try again soon rather than give the fault up.
            Err(error) => {
                talk::error(format!("not renewed, trying again: {error}"));
                due = Instant::now() + (lease.renew_every() / 8).max(Duration::from_millis(50));
            }
        }
    }
}

/// Heals, and prints the stop line even where healing met errors: the history must know.
fn stop(fault: &mut dyn Fault, end: Option<&End>) -> Result<()> {
    let (mut value, healed) = match fault.heal() {
        Ok(value) => (value, Ok(())),
        Err(error) => (serde_json::json!({ "error": error.to_string() }), Err(error)),
    };
    if let Some(End::Lapsed(at)) = end {
        talk::error("the lease ran out while we were stopped: the fault ended by itself");
        set(&mut value, "lapsed", (*at).into());
    }
    if let Some(End::Healed) = end {
        talk::say("somebody else healed the fault");
        set(&mut value, "healed", "by another".into());
    }
    let mut op = Op::fault(format!("stop-{}", fault.kind()), value);
    if let Some(End::Lapsed(at)) = end {
        op.time = Some(*at);
    }
    match (healed, jsonl::print(&op.line())) {
        (Err(heal), _) => Err(heal),
        // A reader that left is the reason why most faults end early: it is no error to find it gone.
        (Ok(()), Err(Error::ReaderGone)) => Ok(()),
        (Ok(()), printed) => printed,
    }
}

fn ended_by(wake: Wake) -> Result<Status> {
    match wake {
        Wake::Signal(number) => Err(Error::Signal(number)),
        Wake::ReaderGone => Err(Error::ReaderGone),
        Wake::InputEnded | Wake::Time => Ok(Status::Done),
    }
}

fn set(value: &mut Value, name: &str, to: Value) {
    if let Value::Object(fields) = value {
        fields.insert(name.into(), to);
    }
}
