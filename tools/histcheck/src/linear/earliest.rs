//! The shortest beginning of an invalid history that is invalid already, so that evidence shows the first violation
//! and not the last: what was decided at the end may rest on the latest of many stale reads.
//!
//! A beginning ends with a return. What had not returned by then is of unknown outcome in it, so it has a legal order
//! where the whole has one; and one that is invalid stays so as more comes. So the shortest is found by halving.

use std::time::Duration;

use super::op::{Fate, Op};
use crate::budget::Budget;
use crate::history::Pos;

/// What had been invoked before `end`, with what had not returned by then as if it never did.
pub fn until<A: Clone>(ops: &[Op<A>], end: Pos) -> Vec<Op<A>> {
    let begun = ops.iter().filter(|op| op.inv < end).cloned();
    begun.map(|op| if op.res > end { op.weakened() } else { op }).collect()
}

/// The same of a register, with the writes that were invoked later: none of them can have been seen, and one that was
/// says so by being there.
pub fn until_with_writers(ops: &[Op], end: Pos) -> Vec<Op> {
    let known = ops.iter().map(|op| if op.res > end { op.weakened() } else { *op });
    known.filter(|op| op.fate != Fate::Info || op.act.puts().is_some()).collect()
}

/// How long the search for a shorter beginning may take: enough for long histories on a busy machine, as what is shown
/// should not depend on that.
const PATIENCE: Duration = Duration::from_secs(10);

/// The shortest beginning of which `convicts` gives a reason, with that reason; `beginning` makes the one up to a
/// return. `None` where none shorter than the whole was found in time.
pub fn invalid<A: Clone, R>(
    ops: &[Op<A>],
    budget: &Budget,
    beginning: impl Fn(&[Op<A>], Pos) -> Vec<Op<A>>,
    convicts: impl Fn(&[Op<A>], &Budget) -> Option<R>,
) -> Option<(Vec<Op<A>>, R)> {
    let budget = &budget.at_most(PATIENCE);
    let mut ends: Vec<Pos> = ops.iter().filter(|op| op.fate == Fate::Ok).map(|op| op.res).collect();
    ends.sort_unstable();
    // Up to the last return it is the whole.
    let (mut valid, mut invalid) = (0, ends.len().checked_sub(1)?);
    let mut found = None;
    while valid < invalid && budget.spend(0).is_ok() {
        let middle = valid + (invalid - valid) / 2;
        let few = beginning(ops, ends[middle]);
        match convicts(&few, budget) {
            Some(reason) => {
                invalid = middle;
                found = Some((few, reason));
            }
            None => valid = middle + 1,
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear::op::Act;
    use crate::linear::zones;
    use crate::values::{Id, NULL};

    fn ok(act: Act, inv: Pos, res: Pos) -> Op {
        Op { act, fate: Fate::Ok, inv, res, source: inv as usize }
    }

    #[test]
    fn the_first_of_many_stale_reads_ends_the_shortest_beginning() {
        let write = |value: u32, at: Pos| ok(Act::Write(Id(value)), at, at + 1);
        let mut ops = vec![write(1, 1), write(2, 3)];
        ops.extend((0..20).map(|n| ok(Act::Read(Id(1)), 5 + 2 * n, 6 + 2 * n)));
        let convicts = |few: &[Op], _: &Budget| {
            matches!(zones::decide(few, NULL), zones::Zones::Invalid(_)).then_some(())
        };
        let (few, ()) = invalid(&ops, &Budget::none(), until_with_writers, convicts).unwrap();
        assert_eq!(few.iter().filter(|op| op.fate == Fate::Ok).map(|op| op.res).max(), Some(6));
        assert!(invalid(&few, &Budget::none(), until_with_writers, convicts).is_none());
    }
}
