//! The few operations of any object that show why a history is invalid, checked once more by search.
//!
//! Every step from the history to them keeps this true: whatever legal order the whole had, they would have one too.
//! The steps are:
//! - to leave out what [`Object::groups`] allows, or [`Object::spare`];
//! - to leave out an operation with all that [`Object::rests_on`] it;
//! - to forget that one returned, or only when, where it rests on nothing that is left out;
//! - to leave out what began after all else had ended;
//! - to leave out an info operation that cannot be of use.

use rustc_hash::{FxHashMap, FxHashSet};

use super::earliest::begun_until;
use super::evidence;
use super::general::{self, Search};
use super::object::{Fast, Group, Object, Reason, Rests};
use super::op::{Fate, Op};
use super::recorded::Recorded;
use crate::budget::Budget;
use crate::history::Pos;

/// Why no legal order exists.
#[derive(Debug, Clone)]
pub struct Refutation {
    /// The operations, in the order of their invocations.
    pub ops: Vec<Op<()>>,
    /// The reason, where the way without search gives one; indices into `ops`.
    pub reason: Option<Reason>,
    /// Whether each step towards less would make it valid.
    pub minimal: bool,
    /// Whether a search of these operations alone found them invalid in time.
    pub checked: bool,
}

/// What was found to have no legal order.
#[derive(Debug)]
pub struct Found<'f, A> {
    /// A beginning of the history, or all of it.
    pub ops: &'f [Op<A>],
    /// Why, by indices into `ops`.
    pub reason: Option<&'f Reason>,
    /// Where the beginning of `ops` ends in which a search found nothing legal, if it was one.
    pub end: Option<Pos>,
}

/// Finds operations none of which can be left out. `None` where a search of the result does not agree.
pub fn of<O: Object>(
    object: &O,
    history: &[Op<O::Act>],
    found: Found<'_, O::Act>,
    budget: &Budget,
) -> Option<Refutation> {
    let Found { ops, reason, end } = found;
    let (whole_budget, budget) = (budget, &budget.at_most(evidence::PATIENCE));
    let whole = match end {
        Some(end) => begun_until(object, ops, end),
        None => ops.to_vec(),
    };
    let takes_any = |op: &&Op<O::Act>| op.fate == Fate::Info && object.may_take_any(&op.act);
    let takes = whole.iter().filter(takes_any).cloned().collect();
    let judge = Judge { object, budget, recorded: Recorded::of(&whole, history), takes };
    let named = reason.map(|reason| judge.with_groups(ops, &reason.ops)).unwrap_or_default();
    let few = match judge.is_invalid(&named) {
        Some(true) => named,
        _ => judge
            .near(ops, reason)
            .filter(|near| judge.is_invalid(near) == Some(true))
            .unwrap_or(whole),
    };
    let (mut few, mut minimal) = judge.shrink(few);
    while minimal && let Some(known) = judge.known(&few, history) {
        (few, minimal) = judge.shrink(known);
    }
    let searched = general::decide(object, &few, &[object.initial()], budget);
    let checked = match searched {
        Search::Invalid(_) => true,
        Search::Valid => return None,
        Search::Unknown(..) | Search::TooMany(_) => false,
    };
    // The reason is wanted however long it took to make it few.
    let judge = Judge { budget: whole_budget, ..judge };
    let named = judge.reason(&few).map(|reason| reason.ops).unwrap_or_default();
    let says = |(at, op): &(usize, Op<O::Act>)| op.fate != Fate::Fail || named.contains(at);
    let few: Vec<Op<O::Act>> = few.into_iter().enumerate().filter(says).map(|(_, op)| op).collect();
    let reason = judge.reason(&few);
    let ops = few.iter().map(|op| op.doing(()).shown()).collect();
    Some(Refutation { ops, reason, minimal: minimal && checked, checked })
}

struct Judge<'j, O: Object> {
    object: &'j O,
    budget: &'j Budget,
    recorded: Recorded,
    /// Those that may have taken what nobody else did.
    takes: Vec<Op<O::Act>>,
}

impl<O: Object> Judge<'_, O> {
    /// Whether no order is legal, whatever those took that may have taken anything: what an operation accounts for
    /// that is known, they may have taken once it is known no longer. `None` where the budget ran out.
    fn is_invalid(&self, ops: &[Op<O::Act>]) -> Option<bool> {
        if self.takes.is_empty() {
            return self.is_invalid_alone(ops);
        }
        let ends = ops.iter().filter(|op| op.fate == Fate::Ok);
        let last = ends.map(|op| op.res).max().unwrap_or(0);
        let inside: FxHashSet<usize> = ops.iter().map(|op| op.source).collect();
        let is_out = |take: &&Op<O::Act>| take.inv < last && !inside.contains(&take.source);
        let out: Vec<Op<O::Act>> = self.takes.iter().filter(is_out).cloned().collect();
        if out.is_empty() {
            return self.is_invalid_alone(ops);
        }
        let mut all = [ops, &out].concat();
        all.sort_by_key(|op| op.inv);
        self.is_invalid_alone(&all)
    }

    fn is_invalid_alone(&self, ops: &[Op<O::Act>]) -> Option<bool> {
        match self.object.decide(ops, self.budget) {
            Fast::Valid => return Some(false),
            Fast::Invalid(_) => return Some(true),
            Fast::Exhausted(_) => return None,
            Fast::Unsuited(_) => {}
        }
        match general::decide(self.object, ops, &[self.object.initial()], self.budget) {
            Search::Invalid(_) => Some(true),
            Search::Valid => Some(false),
            Search::Unknown(..) | Search::TooMany(_) => None,
        }
    }

    /// The named operations and all that must not be left out without them.
    fn with_groups(&self, ops: &[Op<O::Act>], named: &[usize]) -> Vec<Op<O::Act>> {
        let groups = self.object.groups(ops);
        // Of a long history nearly all may be named.
        let wanted: FxHashSet<Group> = named.iter().map(|&at| groups[at]).collect();
        let named: FxHashSet<usize> = named.iter().copied().collect();
        let keep = |at: usize| match groups[at] {
            Group::Needed => true,
            Group::Alone | Group::RestsOn(_) => named.contains(&at),
            group @ Group::With(number) => {
                wanted.contains(&group) || wanted.contains(&Group::RestsOn(number))
            }
        };
        (0..ops.len()).filter(|&at| keep(at)).map(|at| ops[at].clone()).collect()
    }

    /// The first named operation, and all groups that were there when it was.
    fn near(&self, ops: &[Op<O::Act>], reason: Option<&Reason>) -> Option<Vec<Op<O::Act>>> {
        let first = ops.get(*reason?.ops.first()?)?;
        let groups = self.object.groups(ops);
        let mut span: std::collections::HashMap<Group, (u32, u32)> =
            std::collections::HashMap::new();
        for (op, &group) in ops.iter().zip(&groups).filter(|(op, _)| op.fate != Fate::Fail) {
            let (begin, end) = span.entry(group).or_insert((op.inv, 0));
            *begin = op.inv.min(*begin);
            *end = (*end).max(op.res);
        }
        // A group of one, such as a value that nobody took, lasts.
        let mut sizes: std::collections::HashMap<Group, u32> = std::collections::HashMap::new();
        groups.iter().for_each(|group| *sizes.entry(*group).or_default() += 1);
        let is_near = |group: &Group| {
            let (begin, end) = span.get(group).copied().unwrap_or((0, u32::MAX));
            begin < first.res && (end > first.inv || sizes.get(group) == Some(&1))
        };
        let named: Vec<usize> = (0..ops.len()).filter(|&at| is_near(&groups[at])).collect();
        Some(self.with_groups(ops, &named))
    }

    /// Takes steps towards less while it stays invalid. Also says whether no step was left.
    fn shrink(&self, mut ops: Vec<Op<O::Act>>) -> (Vec<Op<O::Act>>, bool) {
        let mut chunk = (ops.len() / 8).max(1);
        loop {
            let mut changed = false;
            let mut at = 0;
            while at < ops.len() {
                if self.budget.spend(0).is_err() {
                    return (ops, false);
                }
                match self.without(&ops, at, chunk) {
                    Some(fewer) if self.is_invalid(&fewer) == Some(true) => {
                        ops = fewer;
                        changed = true;
                    }
                    _ => at += chunk,
                }
            }
            if chunk == 1 {
                changed |= self.leave_out_the_spare(&mut ops);
                changed |= self.leave_out(&mut ops);
                changed |= self.leave_out_the_late(&mut ops);
                changed |= self.weaken(&mut ops);
                if !changed {
                    return (ops, true);
                }
            }
            if !changed || chunk > ops.len() {
                chunk = (chunk / 2).max(1);
            }
        }
    }

    /// Without the groups of `count` operations from `at` on.
    fn without(&self, ops: &[Op<O::Act>], at: usize, count: usize) -> Option<Vec<Op<O::Act>>> {
        let groups = self.object.groups(ops);
        let useful = self.object.useful(ops);
        let range = at..(at + count).min(ops.len());
        let idle = |index: usize| ops[index].fate == Fate::Info && !useful[index];
        // What is of no use can go without its group.
        let members = range.clone().filter(|&index| !idle(index)).map(|index| groups[index]);
        let gone: std::collections::HashSet<Group> =
            members.filter(|group| matches!(group, Group::With(_))).collect();
        let is_gone = |index: usize| {
            let alone = match groups[index] {
                Group::Alone | Group::RestsOn(_) => true,
                Group::Needed => ops[index].fate == Fate::Fail,
                Group::With(_) => false,
            };
            let rests = match groups[index] {
                Group::RestsOn(number) => gone.contains(&Group::With(number)),
                _ => false,
            };
            let is_free = alone || idle(index);
            rests || gone.contains(&groups[index]) || range.contains(&index) && is_free
        };
        let left: Vec<Op<O::Act>> = (0..ops.len())
            .filter(|&index| !is_gone(index))
            .map(|index| ops[index].clone())
            .collect();
        (left.len() < ops.len()).then_some(left)
    }

    /// The operations with what the history says of those of unknown outcome, if it can be said of one.
    fn known(&self, few: &[Op<O::Act>], history: &[Op<O::Act>]) -> Option<Vec<Op<O::Act>>> {
        let by_group = std::cell::OnceCell::new();
        let group = |op: &Op<O::Act>| {
            let groups: &FxHashMap<usize, Group> = by_group.get_or_init(|| {
                let groups = self.object.groups(history).into_iter();
                history.iter().map(|op| op.source).zip(groups).collect()
            });
            groups.get(&op.source).copied()
        };
        let rests = |observer: &Op<O::Act>, writer: &Op<O::Act>| {
            !self.object.is_read(&writer.act)
                && match self.object.rests_on(&observer.act, &writer.act) {
                    Rests::Not => false,
                    Rests::IfLater | Rests::Always => true,
                    Rests::ByGroup => group(observer) == group(writer),
                }
        };
        self.recorded.known(few, history, 0, rests)
    }

    /// Leaves out what is not needed beside others of its kind, the last ones first.
    fn leave_out_the_spare(&self, ops: &mut Vec<Op<O::Act>>) -> bool {
        let before = ops.len();
        while self.budget.spend(0).is_ok() {
            let Some(at) = self.object.spare(ops).iter().rposition(|&spare| spare) else { break };
            ops.remove(at);
        }
        ops.len() < before
    }

    /// Leaves out operations with all that rest on them.
    fn leave_out(&self, ops: &mut Vec<Op<O::Act>>) -> bool {
        let mut changed = false;
        let mut at = 0;
        while at < ops.len() && self.budget.spend(0).is_ok() {
            match self.without_observers(ops, at) {
                Some(fewer) if self.is_invalid(&fewer) == Some(true) => {
                    *ops = fewer;
                    changed = true;
                }
                _ => at += 1,
            }
        }
        changed
    }

    /// Without the operation at `at`, all that rest on it, and all that rest on those.
    fn without_observers(&self, ops: &[Op<O::Act>], at: usize) -> Option<Vec<Op<O::Act>>> {
        let mut out = vec![false; ops.len()];
        let mut work = vec![at];
        while let Some(gone) = work.pop() {
            let writer = &ops[gone];
            if std::mem::replace(&mut out[gone], true) || self.object.is_read(&writer.act) {
                continue;
            }
            self.budget.spend(0).ok()?;
            let happened = ops.iter().enumerate().filter(|(_, op)| op.fate != Fate::Fail);
            for (index, observer) in happened {
                match self.object.rests_on(&observer.act, &writer.act) {
                    Rests::Always => work.push(index),
                    Rests::IfLater if observer.res > writer.inv => work.push(index),
                    Rests::IfLater | Rests::Not => {}
                    Rests::ByGroup => return None,
                }
            }
        }
        Some(ops.iter().zip(out).filter(|(_, out)| !out).map(|(op, _)| op.clone()).collect())
    }

    /// Leaves out what began after all others that happened had ended, unless the reason would then be that nobody
    /// did it.
    fn leave_out_the_late(&self, ops: &mut Vec<Op<O::Act>>) -> bool {
        let before = ops.len();
        for at in (0..ops.len()).rev() {
            if self.budget.spend(0).is_err() {
                break;
            }
            if let Some(fewer) = self.recorded.without_the_late(ops, at) {
                let denies = |few: &[_]| self.reason(few).filter(|reason| reason.lacks_cause);
                let is_denied = denies(&fewer).is_some() && denies(ops).is_none();
                if !is_denied && self.is_invalid(&fewer) == Some(true) {
                    *ops = fewer;
                }
            }
        }
        ops.len() < before
    }

    /// The reason, where the way without search gives one: of the operations, or of the same with the ends that the
    /// history has for them, for of those that never end it may have to leave some to the search.
    fn reason(&self, ops: &[Op<O::Act>]) -> Option<Reason> {
        let found = |ops: &[Op<O::Act>]| match self.object.decide(ops, self.budget) {
            Fast::Invalid(reason) => Some(reason),
            Fast::Valid | Fast::Unsuited(_) | Fast::Exhausted(_) => None,
        };
        found(ops).or_else(|| found(&self.with_ends(ops)))
    }

    fn with_ends(&self, ops: &[Op<O::Act>]) -> Vec<Op<O::Act>> {
        let recorded = |op: &Op<O::Act>| match self.recorded.end(op) {
            Some(res) => Op { fate: Fate::Ok, res, ..op.clone() },
            None => op.clone(),
        };
        ops.iter().map(recorded).collect()
    }

    /// Forgets returns that do not matter.
    fn weaken(&self, ops: &mut Vec<Op<O::Act>>) -> bool {
        let mut changed = false;
        for at in 0..ops.len() {
            // A read that did not return says nothing: it is left out, or its end is needed.
            let is_read = self.object.is_read(&ops[at].act);
            let is_shown = ops[at].fate == Fate::Ok && !ops[at].is_whenever();
            if !is_shown || is_read || self.budget.spend(0).is_err() {
                continue;
            }
            let mut weaker = ops.clone();
            weaker[at] = ops[at].clone().weakened();
            if self.is_invalid(&weaker) == Some(true) {
                *ops = weaker;
                changed = true;
            }
        }
        changed
    }
}
