//! The few operations that show why a history is invalid: small, complete on their own, and checked once more.
//!
//! Every step from the history to them keeps this true: whatever legal order the whole history had, the
//! evidence would have one too. So evidence without a legal order convicts the whole. The steps are
//! - to leave out an ok read;
//! - to leave out a write or cas together with all that observe its value;
//! - to forget that an operation returned, or only when, where it rests on nothing that is left out;
//! - to leave out what began after all others that happened had ended;
//! - to take a cas for a write, as if it had compared nothing;
//! - to begin after the return of some operation, with every value that the register may hold then; what is open
//!   then may take effect later or have done so.
//!
//! Evidence is *minimal* when no single such step is left that keeps it invalid.

use std::collections::HashSet;
use std::time::Duration;

use super::blocks::{self, Moment};
use super::general::Search;
use super::op::{Act, Fate, Op};
use super::recorded::Recorded;
use super::zones::{self, Conflict, Reason, Zones};
use crate::budget::Budget;
use crate::history::Pos;
use crate::values::Id;

/// How long the search for less evidence may take; what is found by then is shown.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Why no legal order exists.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// The operations, in the order of their invocations.
    pub ops: Vec<Op>,
    /// What the register may hold before them.
    pub initial: Vec<Id>,
    /// The place after which they begin, where that is not the history's beginning.
    pub after: Option<Pos>,
    /// The reason, where the zones give one; indices into `ops`.
    pub reason: Option<Reason>,
    /// Whether each step towards less would make it valid.
    pub minimal: bool,
    /// Whether a second decision, of these operations alone, found them invalid in time.
    pub checked: bool,
}

/// Evidence from what the zones found in `ops`, a beginning of the history or all of it. `None` where the other engine
/// does not agree.
pub fn of_conflict(
    history: &[Op],
    ops: &[Op],
    conflict: &Conflict,
    initial: Id,
    budget: &Budget,
) -> Option<Evidence> {
    let mut members: Vec<usize> = conflict.ops.clone();
    members.sort_unstable();
    members.dedup();
    let take = |&index: &usize| {
        if conflict.relaxed.contains(&index) { ops[index].relaxed() } else { ops[index] }
    };
    let few = members.iter().map(take).collect();
    prove(history, few, vec![initial], None, budget)
}

/// Evidence from a search that found operation `at` impossible, with what it knows of the moments before. `None`
/// where a second search does not agree.
pub fn of_search(
    ops: &[Op],
    at: usize,
    moments: &[Moment],
    initial: Id,
    budget: &Budget,
) -> Option<Evidence> {
    let end = ops[at].res;
    let budget = &budget.at_most(PATIENCE);
    let prefix = until(ops, end);
    let mut back = 1;
    while let Some(moment) = moments.len().checked_sub(back).map(|at| &moments[at]) {
        let window = after(&prefix, moment.pos);
        if judge(&window, &moment.states, budget) == Some(true) {
            return prove(ops, window, moment.states.clone(), Some(moment.pos), budget);
        }
        back *= 2;
    }
    prove(ops, prefix, vec![initial], None, budget)
}

/// Evidence from a search of the beginning that ends at `end`, which is known to be invalid.
pub fn of_beginning(ops: &[Op], end: Pos, initial: Id, budget: &Budget) -> Option<Evidence> {
    let few = until(ops, end);
    let found = blocks::decide_with_moments(&few, &[initial], budget);
    let Search::Invalid(at) = found.search else { return None };
    let at = ops.iter().position(|op| op.source == few[at].source)?;
    of_search(ops, at, &found.moments, initial, budget)
}

/// What had been invoked before `end`, with what had not returned by then as if it never did.
fn until(ops: &[Op], end: Pos) -> Vec<Op> {
    let begun = ops.iter().filter(|op| op.inv < end);
    let known = begun.map(|op| if op.res > end { op.weakened() } else { *op });
    known.filter(|op| op.fate != Fate::Info || op.act.puts().is_some()).collect()
}

/// What was invoked after `pos`, and what may take effect after it.
fn after(ops: &[Op], pos: Pos) -> Vec<Op> {
    let left = ops.iter().filter(|op| op.fate != Fate::Ok || op.res > pos);
    let known = left.map(|op| if op.inv < pos { op.weakened() } else { *op });
    known.filter(|op| op.fate != Fate::Info || op.act.puts().is_some()).collect()
}

/// Whether no order is legal; `None` where the budget ran out.
fn judge(ops: &[Op], initial: &[Id], budget: &Budget) -> Option<bool> {
    match blocks::decide(ops, initial, budget) {
        Search::Invalid(_) => Some(true),
        Search::Valid => Some(false),
        // The zones may still tell.
        Search::TooMany(_) | Search::Unknown(..) => match zones_of(ops, initial, budget) {
            Some(Zones::Invalid(_)) => Some(true),
            Some(Zones::Valid) => Some(false),
            Some(Zones::Ambiguous) | None => None,
        },
    }
}

fn zones_of(ops: &[Op], initial: &[Id], budget: &Budget) -> Option<Zones> {
    match initial {
        &[only] => zones::decide_within(ops, only, budget).ok(),
        _ => None,
    }
}

/// Checks once more, makes it as small as it gets, and finds the reason of what is left.
fn prove(
    history: &[Op],
    ops: Vec<Op>,
    initial: Vec<Id>,
    after: Option<Pos>,
    budget: &Budget,
) -> Option<Evidence> {
    let (whole_budget, budget) = (budget, &budget.at_most(PATIENCE));
    let recorded = Recorded::of(&ops, history);
    let checked = match judge(&ops, &initial, budget) {
        Some(false) => return None,
        Some(true) => true,
        None => false,
    };
    let shrink = |ops| shrink(ops, &initial, &recorded, budget);
    let (mut ops, mut minimal) = if checked { shrink(ops) } else { (ops, false) };
    while minimal && let Some(known) = recorded.known(&ops, history, after.unwrap_or(0), rests_on) {
        (ops, minimal) = shrink(known);
    }
    let mut ops = explained(ops, &initial);
    ops.sort_by_key(|op| op.inv);
    let reason = reason_of(&ops, &initial, whole_budget);
    let ops = ops.into_iter().map(Op::shown).collect();
    Some(Evidence { ops, initial, after, reason, minimal, checked })
}

/// Whether an operation may have seen another, so that without that one it would mean something else.
fn rests_on(observer: &Op, writer: &Op) -> bool {
    match (observer.act, writer.act.puts()) {
        (_, None) => false,
        (Act::Differs(other), Some(value)) => other != value,
        (act, Some(value)) => act.observes() == Some(value),
    }
}

/// Takes steps towards less while it stays invalid. Also says whether no step was left.
fn shrink(
    mut ops: Vec<Op>,
    initial: &[Id],
    recorded: &Recorded,
    budget: &Budget,
) -> (Vec<Op>, bool) {
    let is_invalid = |ops: &[Op]| judge(ops, initial, budget) == Some(true);
    let observed: HashSet<Id> = ops.iter().filter_map(|op| op.act.observes()).collect();
    // Of many pending operations most play no part: both engines pass over what nothing observes.
    if !ops.iter().any(|op| matches!(op.act, Act::Differs(_))) {
        let matters = |op: &Op| op.act.puts().is_some_and(|value| observed.contains(&value));
        ops.retain(|op| op.fate != Fate::Info || matters(op));
    }
    ops = without_idle_values(ops, is_invalid);
    loop {
        let mut changed = false;
        for step in [Op::is_left_out as Step, Op::is_relaxed] {
            let mut at = 0;
            while at < ops.len() {
                if budget.spend(0).is_err() {
                    return (ops, false);
                }
                match step(&ops, at) {
                    Some(fewer) if is_invalid(&fewer) => {
                        // Where operations went, the next one now stands here.
                        at += usize::from(fewer.len() == ops.len());
                        ops = fewer;
                        changed = true;
                    }
                    _ => at += 1,
                }
            }
        }
        changed |= forget_ends(&mut ops, is_invalid);
        changed |= leave_out_the_late(&mut ops, initial, recorded, budget);
        if !changed {
            return (ops, true);
        }
    }
}

/// Forgets that writes and cas returned, where that does not matter.
fn forget_ends(ops: &mut [Op], is_invalid: impl Fn(&[Op]) -> bool) -> bool {
    let mut changed = false;
    for at in 0..ops.len() {
        let op = ops[at];
        if op.fate != Fate::Ok || op.is_whenever() || op.act.puts().is_none() {
            continue;
        }
        ops[at] = op.weakened();
        match is_invalid(ops) {
            true => changed = true,
            false => ops[at] = op,
        }
    }
    changed
}

/// Leaves out what began after all others that happened had ended, unless the reason would then be that nobody did
/// it.
fn leave_out_the_late(
    ops: &mut Vec<Op>,
    initial: &[Id],
    recorded: &Recorded,
    budget: &Budget,
) -> bool {
    let before = ops.len();
    for at in (0..ops.len()).rev() {
        if let Some(fewer) = recorded.without_the_late(ops, at) {
            let denies = |ops: &[Op]| {
                let reason = reason_of(ops, initial, budget);
                matches!(reason, Some(Reason::NeverWritten(_) | Reason::Aborted(..)))
            };
            let is_invalid = judge(&fewer, initial, budget) == Some(true);
            if is_invalid && (denies(ops) || !denies(&fewer)) {
                *ops = fewer;
            }
        }
    }
    ops.len() < before
}

/// The reason, where the zones give one.
fn reason_of(ops: &[Op], initial: &[Id], budget: &Budget) -> Option<Reason> {
    match zones_of(ops, initial, budget) {
        Some(Zones::Invalid(conflict)) => Some(conflict.reason),
        _ => None,
    }
}

/// Without whole values, as far as it stays invalid so, with each cas taken for a write: all reads and writes of a
/// value go at once, and thousands of pending writes with them.
fn without_idle_values(ops: Vec<Op>, is_invalid: impl Fn(&[Op]) -> bool) -> Vec<Op> {
    let relaxed = |op: &Op| if op.fate == Fate::Fail { *op } else { op.relaxed() };
    let mut few: Vec<Op> = ops.iter().map(relaxed).collect();
    if ops.iter().any(|op| matches!(op.act, Act::Differs(_))) || !is_invalid(&few) {
        return ops;
    }
    let mut values: Vec<Id> =
        few.iter().filter_map(|op| op.act.observes().or(op.act.puts())).collect();
    values.sort_unstable();
    values.dedup();
    for value in values {
        let has = |act: Act| act.observes() == Some(value) || act.puts() == Some(value);
        let is_of = |op: &Op| op.fate != Fate::Fail && has(op.act);
        let fewer: Vec<Op> = few.iter().filter(|op| !is_of(op)).copied().collect();
        if is_invalid(&fewer) {
            few = fewer;
        }
    }
    few
}

type Step = fn(&[Op], usize) -> Option<Vec<Op>>;

impl Op {
    /// Without the operation at `at` and all that rest on it.
    fn is_left_out(ops: &[Op], at: usize) -> Option<Vec<Op>> {
        if ops[at].fate == Fate::Fail {
            return None;
        }
        let mut out = vec![false; ops.len()];
        let mut work = vec![at];
        while let Some(index) = work.pop() {
            if std::mem::replace(&mut out[index], true) {
                continue;
            }
            let writer = ops[index];
            let rests = |op: &Op| match op.act {
                _ if op.fate == Fate::Fail => false,
                // Who saw that the value was another may have seen this one, unless it came too late.
                Act::Differs(_) => op.res > writer.inv && rests_on(op, &writer),
                _ => rests_on(op, &writer),
            };
            work.extend((0..ops.len()).filter(|&i| rests(&ops[i])));
        }
        Some(ops.iter().zip(out).filter(|(_, out)| !out).map(|(op, _)| *op).collect())
    }

    /// With the cas at `at` taken for a write.
    fn is_relaxed(ops: &[Op], at: usize) -> Option<Vec<Op>> {
        let cas = matches!(ops[at].act, Act::Cas(..)) && ops[at].fate != Fate::Fail;
        cas.then(|| with(ops, at, ops[at].relaxed()))
    }
}

fn with(ops: &[Op], at: usize, op: Op) -> Vec<Op> {
    let mut ops = ops.to_vec();
    ops[at] = op;
    ops
}

/// Without failed operations, but for those that alone wrote what something observes: they explain it.
fn explained(ops: Vec<Op>, initial: &[Id]) -> Vec<Op> {
    let happened = || ops.iter().filter(|op| op.fate != Fate::Fail);
    let observed: HashSet<Id> = happened().filter_map(|op| op.act.observes()).collect();
    let mut known: HashSet<Id> = happened().filter_map(|op| op.act.puts()).collect();
    known.extend(initial);
    let says = |op: &Op| {
        op.act.puts().is_some_and(|value| observed.contains(&value) && !known.contains(&value))
    };
    ops.iter().filter(|op| op.fate != Fate::Fail || says(op)).copied().collect()
}
