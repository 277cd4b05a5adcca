//! The shortest beginning of an invalid history that is invalid already, so that evidence shows the first violation
//! and not the last: what was decided at the end may rest on the latest of many stale reads.
//!
//! A beginning ends with a return. What had not returned by then is of unknown outcome in it, so it has a legal order
//! where the whole has one; and one that is invalid stays so as more comes. So the shortest is found by halving.
//!
//! To decide a long beginning takes long, and mostly what was found first is the first violation, or nearly. So the
//! search begins at the last return that this one needs, looks just before it, goes back in growing steps, and only
//! then halves ([`earliest`]).

use std::time::Duration;

use rustc_hash::FxHashSet;

use super::blocks;
use super::columns::Beginnings;
use super::general::{self, Search};
use super::object::{Fast, Object, Reason};
use super::op::{Fate, Op};
use super::zones::{self, Conflict, Zones};
use crate::budget::Budget;
use crate::history::Pos;
use crate::values::Id;

/// What had been invoked before `end`, with what had not returned by then as if it never did; a read that did not
/// return says nothing.
pub fn begun_until<O: Object>(object: &O, ops: &[Op<O::Act>], end: Pos) -> Vec<Op<O::Act>> {
    let begun = ops.iter().filter(|op| op.inv < end).cloned();
    let known = begun.map(|op| if op.res > end { op.weakened() } else { op });
    known.filter_map(|op| object.kept(op)).collect()
}

/// The same of a register, with the writes that were invoked later and whose value was observed before: none of them
/// can have been seen, and one that was says so by being there.
pub fn until_with_writers(ops: &[Op], end: Pos) -> Vec<Op> {
    let begun = ops.iter().filter(|op| op.inv < end);
    let mut observed: FxHashSet<Id> = begun.filter_map(|op| op.act.observes()).collect();
    // A cas that is there says what it observed.
    let mut count = 0;
    while observed.len() > count {
        count = observed.len();
        let is_seen = |op: &&Op| op.act.puts().is_some_and(|value| observed.contains(&value));
        let later = ops.iter().filter(|op| op.inv >= end).filter(is_seen);
        let more: Vec<Id> = later.filter_map(|op| op.act.observes()).collect();
        observed.extend(more);
    }
    let matters = |op: &&Op| match op.act.puts() {
        Some(value) => op.inv < end || observed.contains(&value),
        None => op.fate == Fate::Ok && op.res <= end,
    };
    let known = ops.iter().filter(matters);
    known.map(|op| if op.res > end { op.weakened() } else { *op }).collect()
}

/// How long the search for a shorter beginning may take: enough for long histories on a busy machine, as what is shown
/// should not depend on that.
const PATIENCE: Duration = Duration::from_secs(10);

/// By which parts of the way back to the beginning the search goes back before it halves.
const STEPS_BACK: [Pos; 3] = [64, 16, 4];

/// The end of the shortest invalid beginning, where the one up to `known` is invalid.
///
/// It is exact where `is_invalid` says of each beginning whether it is: all that end before `valid` are valid
/// at any time, the one that ends at `invalid` is not, and each round leaves fewer places between the two.
fn earliest(known: Pos, mut is_invalid: impl FnMut(Pos) -> bool) -> Pos {
    let (mut valid, mut invalid) = (0, known);
    let back = STEPS_BACK.map(|part| known - known / part);
    let mut steps = [known.saturating_sub(1)].into_iter().chain(back);
    while valid + 1 < invalid {
        // From the first valid one on, only the places between are left.
        let next = match valid {
            0 => steps.next().unwrap_or(invalid / 2),
            _ => valid + (invalid - valid) / 2,
        };
        if next == 0 || next >= invalid {
            continue;
        }
        match is_invalid(next) {
            true => invalid = next,
            false => valid = next,
        }
    }
    invalid
}

/// The last return of these operations.
fn last_return<'o, A: 'o>(ops: impl Iterator<Item = &'o Op<A>>) -> Pos {
    ops.filter(|op| op.fate == Fate::Ok).map(|op| op.res).max().unwrap_or(0)
}

/// What shows that the shortest invalid beginning of a register is invalid.
#[derive(Debug)]
pub enum First {
    /// The conflict that was known.
    Known,
    /// Another one, of this beginning.
    Conflict(Vec<Op>, Conflict),
    /// A search, which must say why; it ends here.
    Search(Pos),
}

/// The shortest invalid beginning of a register whose zones found a conflict.
///
/// The beginning up to the last return that the conflict needs is invalid. Proof: it has all operations of the
/// conflict, those that returned with their returns, and what they observe has there the writers that it has in the
/// whole, or fewer; a conflict follows from its operations and from who may have written what they observe.
pub fn of_register(ops: &[Op], conflict: &Conflict, initial: Id, budget: &Budget) -> First {
    let budget = &budget.at_most(PATIENCE);
    let known = last_return(conflict.ops.iter().map(|&at| &ops[at]));
    let mut beginnings = Beginnings::new(ops, initial, budget);
    let end = earliest(known, |end| match beginnings.is_valid(end) {
        Ok(is_valid) => !is_valid,
        Err(_) => zones_or_search(ops, end, initial, budget),
    });
    if end == known {
        return First::Known;
    }
    let few = until_with_writers(ops, end);
    match zones::decide_within(&few, initial, budget) {
        Ok(Zones::Invalid(conflict)) => First::Conflict(few, conflict),
        _ => First::Search(end),
    }
}

/// Whether the beginning of a register is surely invalid.
fn zones_or_search(ops: &[Op], end: Pos, initial: Id, budget: &Budget) -> bool {
    let few = until_with_writers(ops, end);
    match zones::decide_within(&few, initial, budget) {
        Ok(Zones::Invalid(_)) => true,
        Ok(Zones::Ambiguous) => {
            matches!(blocks::decide(&few, &[initial], budget), Search::Invalid(_))
        }
        Ok(Zones::Valid) | Err(_) => false,
    }
}

/// Where the shortest invalid beginning of a register ends that a search found invalid up to the return of the
/// operation at `at`. A search that takes the supply of operations of unknown outcome for endless may say so late.
pub fn of_searched_register(ops: &[Op], at: usize, initial: Id, budget: &Budget) -> Pos {
    let known = ops[at].res;
    if !ops.iter().any(|op| op.fate == Fate::Info) {
        return known;
    }
    let budget = &budget.at_most(PATIENCE);
    earliest(known, |end| {
        let few = until_with_writers(ops, end);
        !blocks::is_soon_valid(&few, &[initial], budget)
            && matches!(blocks::decide(&few, &[initial], budget), Search::Invalid(_))
    })
}

/// The same of any other object.
pub fn of_searched<O: Object>(object: &O, ops: &[Op<O::Act>], at: usize, budget: &Budget) -> Pos {
    let known = ops[at].res;
    if !ops.iter().any(|op| op.fate == Fate::Info) {
        return known;
    }
    let budget = &budget.at_most(PATIENCE);
    earliest(known, |end| {
        let few = begun_until(object, ops, end);
        let found = general::decide(object, &few, &[object.initial()], budget);
        matches!(found, Search::Invalid(_))
    })
}

/// A beginning of any other object, with the reason why it is invalid, where the way without search gives one.
pub type Beginning<A> = (Vec<Op<A>>, Option<Reason>);

/// The shortest invalid beginning of an object that is invalid for this reason; `None` where that is the whole. What
/// the reason names is where the search begins, if the beginning that has it is invalid.
pub fn of_object<O: Object>(
    object: &O,
    ops: &[Op<O::Act>],
    reason: &Reason,
    budget: &Budget,
) -> Option<Beginning<O::Act>> {
    let budget = &budget.at_most(PATIENCE);
    let mut found = None;
    let mut is_invalid = |end| {
        let few = begun_until(object, ops, end);
        let refuted = refuted(object, &few, budget);
        let is_invalid = refuted.is_some();
        if let Some(reason) = refuted {
            found = Some((end, few, reason));
        }
        is_invalid
    };
    let last = last_return(ops.iter());
    let named = last_return(reason.ops.iter().map(|&at| &ops[at]));
    let known = if named < last && is_invalid(named) { named } else { last };
    earliest(known, is_invalid);
    let (end, few, reason) = found?;
    // That nobody did what is done later would be no reason of the whole.
    let known = match &reason {
        Some(reason) if reason.lacks_cause => with_the_later(object, ops, end, budget),
        _ => None,
    };
    Some(known.unwrap_or((few, reason)))
}

/// So many operations are searched where the way without search is not exact: it is for those that ended with what was
/// open at the end of a beginning, and to search many may take too long.
const MOST_SEARCHED: usize = 1 << 12;

/// Whether these are surely invalid, and why, where the way without search says so.
fn refuted<O: Object>(object: &O, ops: &[Op<O::Act>], budget: &Budget) -> Option<Option<Reason>> {
    budget.spend(0).ok()?;
    match object.decide(ops, budget) {
        Fast::Invalid(reason) => Some(Some(reason)),
        Fast::Unsuited(_) if ops.len() <= MOST_SEARCHED => {
            let found = general::decide(object, ops, &[object.initial()], budget);
            matches!(found, Search::Invalid(_)).then_some(None)
        }
        Fast::Valid | Fast::Unsuited(_) | Fast::Exhausted(_) => None,
    }
}

/// The beginning with what was invoked later and says nothing of the object: it changes no order of what had returned,
/// and what was seen before it was done is seen too early then, and not what nobody did. `None` where nobody did.
fn with_the_later<O: Object>(
    object: &O,
    ops: &[Op<O::Act>],
    end: Pos,
    budget: &Budget,
) -> Option<Beginning<O::Act>> {
    let matters = |op: &&Op<O::Act>| op.inv < end || !object.observes(&op.act);
    let known = ops.iter().filter(matters).cloned();
    let known = known.map(|op| if op.res > end { op.weakened() } else { op });
    let few: Vec<Op<O::Act>> = known.filter_map(|op| object.kept(op)).collect();
    match object.decide(&few, budget) {
        Fast::Invalid(reason) if !reason.lacks_cause => Some((few, Some(reason))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear::op::Act;
    use crate::values::NULL;

    fn ok(act: Act, inv: Pos, res: Pos) -> Op {
        Op { act, fate: Fate::Ok, inv, res, source: inv as usize }
    }

    #[test]
    fn the_first_of_many_stale_reads_ends_the_shortest_beginning() {
        let write = |value: u32, at: Pos| ok(Act::Write(Id(value)), at, at + 1);
        let mut ops = vec![write(1, 1), write(2, 3)];
        ops.extend((0..20).map(|n| ok(Act::Read(Id(1)), 5 + 2 * n, 6 + 2 * n)));
        let Zones::Invalid(conflict) = zones::decide(&ops, NULL) else { panic!() };
        let first = of_register(&ops, &conflict, NULL, &Budget::none());
        let First::Conflict(few, conflict) = first else { panic!("{first:?}") };
        assert_eq!(last_return(few.iter()), 6);
        assert!(matches!(of_register(&few, &conflict, NULL, &Budget::none()), First::Known));
    }

    #[test]
    fn the_end_of_the_shortest_is_found_wherever_it_is_and_a_late_one_soon() {
        for known in 0..300 {
            for first in 1..=known {
                assert_eq!(earliest(known, |end| end >= first), first, "{known}");
            }
        }
        let mut looks = 0;
        earliest(2_000_000, |_| {
            looks += 1;
            false
        });
        assert_eq!(looks, 1);
    }
}
