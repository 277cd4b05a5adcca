//! A fault held in the foreground: apply, verify, print the start line, renew, heal, print the stop line.
//!
//! `partition cut`, `slownet set` and the faults of `lxc-fleet` are each a [`Fault`]; this is the one place
//! that decides when they begin and end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::changes::Changes;
use crate::clock;
use crate::exit::{Error, Result, Status};
use crate::jsonl;
use crate::lease::Lease;
use crate::messages;
use crate::node::Node;
use crate::op::{HEALED_BY_ANOTHER, Op};
use crate::schedule::{Schedule, Window};
use crate::signal::{Wake, Watch};

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

    /// The nodes whose networks must not change unseen: where one of them comes back with a new network, a new
    /// interface or a new address, the fault is renewed at once.
    fn nodes(&self) -> Vec<Node> {
        Vec::new()
    }

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

    /// Whether it is still in force as far as anybody but us is concerned: somebody may have healed it. Changes
    /// nothing. It is asked while the fault is held and before it is healed; not from a fault that nobody else can
    /// end.
    ///
    /// # Errors
    /// Where that cannot be seen; the fault is taken for one that stands then.
    fn stands(&mut self) -> Result<bool> {
        Ok(true)
    }

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
    /// From outside: nothing follows. Somebody else may have healed it before.
    Outside { wake: Wake, healed: bool },
}

/// When it is looked whether the fault still stands: every second, but for no more than a fiftieth of our time.
struct Look {
    next: Instant,
    took: Duration,
}

impl Look {
    const EVERY: Duration = Duration::from_secs(1);

    /// What takes longer (hosts far away) is not waited for when the fault is to be healed.
    const LONG: Duration = Duration::from_millis(200);

    fn new() -> Look {
        Look { next: Instant::now() + Look::EVERY, took: Duration::ZERO }
    }

    /// Looks, if it is time, or if it is `now` or never and it takes no long time.
    fn stands(&mut self, fault: &mut dyn Fault, now: bool) -> bool {
        let begin = Instant::now();
        if begin < self.next && !(now && self.took < Look::LONG) {
            return true;
        }
        let stands = fault.stands().unwrap_or_else(|error| {
            messages::detail(format!("whether the fault still stands cannot be seen: {error}"));
            true
        });
        self.took = begin.elapsed();
        self.next = Instant::now() + Look::EVERY.max(self.took * 50);
        stands
    }
}

/// Holds `fault` as `schedule` says and prints its lines on stdout.
///
/// With `keep` the first fault is left in force, to end with its lease, which is then as long as the
/// fault was to last.
///
/// Windows keep their places in time. Where we come late (we were stopped, or a fault took long to heal), one
/// whose end has passed is skipped, and one whose end is still to come is shortened: faults are never made up
/// for in a burst. How many were skipped is said.
///
/// Gives [`Status::EndedEarly`] if a fault ended before its time: somebody healed it, or its lease ran out.
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
    // Before the first fault: what changes meanwhile is seen, too.
    let changes = Changes::watch(&fault.nodes())?;
    let origin = Instant::now();
    let (mut skipped, mut early) = (0_u64, false);
    for window in schedule.windows() {
        match watch.until(origin.checked_add(window.start))? {
            Wake::Time => {}
            wake => {
                say_skipped(skipped);
                return ended_by(wake, early);
            }
        }
        match Turn::of(window, origin.elapsed()) {
            Turn::Missed => {
                skipped += 1;
                continue;
            }
            Turn::Late(by) => {
                messages::say(format!(
                    "the next fault starts {} late and is shortened",
                    in_millis(by)
                ));
            }
            Turn::InTime => {}
        }
        say_skipped(std::mem::take(&mut skipped));
        changes.as_ref().map(Changes::take);
        let began = start(fault, lease)?;
        // An end that no clock can hold never comes.
        let until = window.end.and_then(|end| origin.checked_add(end));
        let end = stay(fault, lease, began, until, changes.as_ref(), watch);
        stop(fault, end.as_ref().ok())?;
        match end? {
            End::Outside { wake, healed } => return ended_by(wake, early || healed),
            End::Healed => return Ok(Status::EndedEarly),
            End::Lapsed(_) => early = true,
            End::Window => {}
        }
    }
    say_skipped(skipped);
    // One that came while we were stopped, past the lease of the last fault.
    ended_by(watch.signal().map_or(Wake::Time, Wake::Signal), early)
}

/// How late a window may start before it is worth a word: what waking up and healing take on a busy machine.
const LITTLE: Duration = Duration::from_secs(1);

/// What becomes of a window when its turn comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// It starts when it should.
    InTime,
    /// It starts this much later, and ends when it should.
    Late(Duration),
    /// Its end has passed.
    Missed,
}

impl Turn {
    /// Judged at `now`, which counts from the schedule's begin as the window does.
    fn of(window: Window, now: Duration) -> Turn {
        match (window.end, now.saturating_sub(window.start)) {
            (Some(end), _) if end <= now => Turn::Missed,
            (Some(_), late) if late > LITTLE => Turn::Late(late),
            _ => Turn::InTime,
        }
    }
}

fn say_skipped(count: u64) {
    if count > 0 {
        messages::error(format!(
            "{count} {} skipped, whose time was over before their turn came: this program was stopped, or a fault took too long",
            if count == 1 { "fault was" } else { "faults were" }
        ));
    }
}

fn in_millis(duration: Duration) -> String {
    clock::show(Duration::from_millis(duration.as_millis() as u64))
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
    end: Option<Instant>,
    changes: Option<&Changes>,
    watch: &Watch,
) -> Result<End> {
    // On hosts that take long to reach putting it in force may have used up much of the first lease.
    let (mut renewed, mut due, mut look) = (began, next_renewal(lease, began), Look::new());
    let mut changed = Changed::default();
    loop {
        let next = changed.due.unwrap_or(due).min(due).min(look.next);
        let next = end.map_or(next, |end| end.min(next));
        // While a renewal for the last changes is due, others are left where they are.
        let bell = changes.filter(|_| changed.due.is_none()).map(Changes::bell);
        let wake = watch.until_readable(Some(next), bell)?;
        if wake == Wake::Readable {
            changed.wait();
            continue;
        }
        let over = wake != Wake::Time || end.is_some_and(|end| Instant::now() >= end);
        let stands = look.stands(fault, over);
        // First of all: whoever was stopped past the lease may find a signal waiting, too. It ends the next wait.
        // And what was seen before the lease ended was not taken away by the kernel.
        let lapse = renewed.saturating_add(clock::nanos(lease.length));
        if clock::now() > lapse {
            return Ok(End::Lapsed(lapse));
        }
        match wake {
            Wake::Time if !stands => return Ok(End::Healed),
            Wake::Time if over => return Ok(End::Window),
            Wake::Time => {}
            wake => return Ok(End::Outside { wake, healed: !stands }),
        }
        if Instant::now() < changed.due.unwrap_or(due).min(due) {
            continue;
        }
        changed.take(changes);
        let asked = clock::now();
        let renewal = fault.renew(lease);
        changed.took(asked);
        match renewal {
            // We may have been stopped in the middle of it, past the lease: then that took the fault away.
            Ok(Renewal::Healed) if clock::now() > lapse => return Ok(End::Lapsed(lapse)),
            Ok(Renewal::Healed) => return Ok(End::Healed),
            Ok(renewal) => {
                let before = std::mem::replace(&mut renewed, asked);
                due = next_renewal(lease, asked);
                let nodes = std::mem::take(&mut changed.nodes);
                if let Renewal::Again(mut value) = renewal {
                    let since = since(&value, &nodes).unwrap_or(before);
                    set(&mut value, "since", since.into());
                    jsonl::print(&Op::fault(format!("renew-{}", fault.kind()), value).line())?;
                }
            }
            // The kernel still holds it for a while: try again soon rather than give the fault up.
            Err(error) => {
                messages::error(format!("not renewed, trying again: {error}"));
                due = Instant::now() + (lease.renew_every() / 8).max(Duration::from_millis(50));
            }
        }
    }
}

/// Changes of nodes for which the fault is to be renewed.
#[derive(Default)]
struct Changed {
    /// When it is renewed for them.
    due: Option<Instant>,
    /// Which nodes, each with the last moment at which it was as before.
    nodes: BTreeMap<String, u64>,
    /// Not before: whoever changes a node without end does not keep us busy.
    rest: Option<Instant>,
}

impl Changed {
    /// Renewing takes no more than a fifth of our time, and changes wait no longer than this where it is quick.
    const REST: Duration = Duration::from_millis(200);

    /// A change was seen.
    fn wait(&mut self) {
        let now = Instant::now();
        self.due = Some(self.rest.map_or(now, |rest| rest.max(now)));
    }

    /// A renewal begins, for all changes until now. Those for which one failed are still waiting for theirs.
    fn take(&mut self, changes: Option<&Changes>) {
        self.due = None;
        for (name, since) in changes.map(Changes::take).unwrap_or_default() {
            self.nodes.entry(name).or_insert(since);
        }
    }

    /// The renewal that was begun at `asked` is over.
    fn took(&mut self, asked: u64) {
        let took = Duration::from_nanos(clock::now().saturating_sub(asked));
        self.rest = Some(Instant::now() + Changed::REST.max(took * 4));
    }
}

/// Since when one of the nodes of a renewal may have been outside of the fault; `None` where one is among them of
/// whose change nothing was seen.
fn since(value: &Value, changed: &BTreeMap<String, u64>) -> Option<u64> {
    let links = value.get("links").and_then(Value::as_array);
    let values = links.map_or(vec![value], |links| links.iter().collect());
    let nodes = values.iter().filter_map(|value| value.get("nodes")?.as_array()).flatten();
    nodes.map(|node| changed.get(node.as_str()?).copied()).min()?
}

/// When a lease that was given after `asked` is to be renewed.
fn next_renewal(lease: Lease, asked: u64) -> Instant {
    let used = Duration::from_nanos(clock::now().saturating_sub(asked));
    Instant::now() + lease.renew_every().saturating_sub(used)
}

/// Heals, and prints the stop line even where healing met errors: the history must know.
fn stop(fault: &mut dyn Fault, end: Option<&End>) -> Result<()> {
    let (mut value, healed) = match fault.heal() {
        Ok(value) => (value, Ok(())),
        Err(error) => (serde_json::json!({ "error": error.to_string() }), Err(error)),
    };
    if let Some(End::Lapsed(at)) = end {
        messages::error("the lease ran out while we were stopped: the fault ended by itself");
        set(&mut value, "lapsed", (*at).into());
    }
    if let Some(End::Healed | End::Outside { healed: true, .. }) = end {
        messages::say("somebody else healed the fault");
        set(&mut value, "healed", HEALED_BY_ANOTHER.into());
    }
    let at = if let Some(End::Lapsed(at)) = end { *at } else { clock::now() };
    let op = Op::fault_at(format!("stop-{}", fault.kind()), value, at);
    match (healed, jsonl::print(&op.line())) {
        (Err(heal), _) => Err(heal),
        // A reader that left is the reason why most faults end early: it is no error to find it gone.
        (Ok(()), Err(Error::ReaderGone)) => Ok(()),
        (Ok(()), printed) => printed,
    }
}

/// What a holder ends with that nothing else is due for; `early` is whether a fault of it ended before its time.
fn ended_by(wake: Wake, early: bool) -> Result<Status> {
    match wake {
        Wake::Signal(number) => Err(Error::Signal(number)),
        _ if early => Ok(Status::EndedEarly),
        Wake::ReaderGone => Err(Error::ReaderGone),
        Wake::InputEnded | Wake::Time | Wake::Readable => Ok(Status::Done),
    }
}

/// What several holders ended with together, of which each gives what [`held_fault`] gave. What ended all from outside is
/// told once.
///
/// # Errors
/// The errors of all; else the signal or the reader that left.
pub fn together(outcomes: Vec<Result<Status>>) -> Result<Status> {
    let (mut status, mut outside, mut errors) = (Status::Done, None, Vec::new());
    for outcome in outcomes {
        match outcome {
            Ok(ended) => status = status.worst(ended),
            Err(error @ (Error::Signal(_) | Error::ReaderGone)) => outside = Some(error),
            Err(error) => errors.push(error),
        }
    }
    Error::all(errors)?;
    match outside {
        Some(Error::ReaderGone) if status != Status::Done => Ok(status),
        Some(outside) => Err(outside),
        None => Ok(status),
    }
}

fn set(value: &mut Value, name: &str, to: Value) {
    if let Value::Object(fields) = value {
        fields.insert(name.into(), to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(windows: &[(u64, Option<u64>)], now: u64) -> Vec<Turn> {
        let second = Duration::from_secs;
        let turn = |(start, end): &(u64, Option<u64>)| {
            Turn::of(Window { start: second(*start), end: end.map(second) }, second(now))
        };
        windows.iter().map(turn).collect()
    }

    #[test]
    fn windows_that_a_stopped_holder_missed_are_skipped_and_the_running_one_is_shortened() {
        let windows = [(0, Some(1)), (2, Some(3)), (4, Some(6)), (4, Some(9)), (6, Some(9))];
        assert_eq!(
            turns(&windows, 6),
            [
                Turn::Missed,
                Turn::Missed,
                Turn::Missed,
                Turn::Late(Duration::from_secs(2)),
                Turn::InTime
            ]
        );
    }

    #[test]
    fn a_window_without_an_end_is_never_too_late() {
        assert_eq!(turns(&[(0, None), (3, None)], 60), [Turn::InTime, Turn::InTime]);
    }

    /// A fault that somebody else heals, whose renewal takes `length` to notice.
    struct Gone {
        length: Duration,
    }

    impl Fault for Gone {
        fn kind(&self) -> &'static str {
            "nothing"
        }

        fn start(&mut self, _: Lease) -> Result<Value> {
            Ok(Value::Null)
        }

        fn renew(&mut self, _: Lease) -> Result<Renewal> {
            std::thread::sleep(self.length);
            Ok(Renewal::Healed)
        }

        fn heal(&mut self) -> Result<Value> {
            Ok(Value::Null)
        }
    }

    #[test]
    fn a_fault_that_is_gone_after_a_renewal_past_its_lease_has_lapsed() {
        let watch = Watch::start("").unwrap();
        let end = |lease, length| {
            let lease = Lease { length: Duration::from_millis(lease) };
            let mut gone = Gone { length: Duration::from_millis(length) };
            let began = clock::now();
            let end = stay(&mut gone, lease, began, None, None, &watch).unwrap();
            (end, began + clock::nanos(lease.length))
        };
        let (stopped, lapse) = end(60, 100);
        assert!(matches!(stopped, End::Lapsed(at) if at == lapse));
        assert!(matches!(end(3000, 0).0, End::Healed));
    }
}
