//! A legal order of the operations on a stack whose values all went, one after the other, from the bottom.
//!
//! Each value is pushed in the last free gap before those at which it is surely there, and popped in the first one
//! behind them: free of all values that went after it. As it could lie at the bottom of these, the two gaps lie within
//! its push and its pop. A value that went after another is surely there wholly before, between or after the other's
//! two gaps; they are free for it too, so its own gaps, the nearest ones, lie on the same side: the values lie one in
//! the other or one beside the other. In one gap first come the pops, the values that went last first, and at the end
//! the pushes, those that went first first. Between them is what found nothing, in a gap that is free of all, and what
//! can come and go in one instant.

use std::cmp::Reverse;

use super::{Act, Gone, Items};
use crate::linear::op::Op;

/// Where in its gap an operation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    /// A pop of the value that was the so-manieth to go.
    Pop(Reverse<usize>),
    Instant,
    Push(usize),
}

/// The order of the values that were surely there, in the order in which they went, with all others.
pub(super) fn order(gone: &Gone, ops: &[Op<Act>]) -> Option<Vec<usize>> {
    let Gone { timeline, found, stays } = gone;
    let end = timeline.end();
    // The gaps covered by those that went later, forwards and backwards.
    let (mut covered, mut mirrored) = (timeline.cover(), timeline.cover());
    let mut moments: Vec<(usize, Turn, usize)> = Vec::with_capacity(ops.len());
    for (number, stay) in stays.iter().enumerate().rev() {
        let before = mirrored.first_free(end + 1 - stay.first);
        moments.push((end.checked_sub(before)?, Turn::Push(number), stay.put));
        if let Some(take) = stay.take {
            let behind = covered.first_free(stay.last + 1);
            moments.push((behind, Turn::Pop(Reverse(number)), take));
        }
        covered.add(stay.first, stay.last);
        mirrored.add(end - stay.last, end - stay.first);
    }
    for &item in &found.items {
        let (first, last) = Items::stay(item, ops, timeline);
        if let Some(take) = item.take.filter(|_| first > last) {
            let gap = timeline.after(ops[item.put].inv.max(ops[take].inv));
            moments.extend([(gap, Turn::Instant, item.put), (gap, Turn::Instant, take)]);
        }
    }
    for &empty in &found.empties {
        let gap = covered.first_free(timeline.after(ops[empty].inv));
        moments.push((gap, Turn::Instant, empty));
    }
    moments.sort_by_key(|&(gap, turn, _)| (gap, turn));
    Some(moments.into_iter().map(|(.., at)| at).collect())
}
