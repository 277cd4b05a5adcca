//! A legal order of the operations on a priority queue.
//!
//! Each value v is extracted at the first gap, from where both its insert and its extract have begun, at which no lesser
//! value is surely there; and inserted at the last gap of its insert, or in that of its extract if this comes first.
//! In one gap the extracts come first, the least first, each with its insert where both are there; then who found
//! nothing, and then the other inserts.
//!
//! Why no lesser value u is there when v is extracted, at the gap t: u would have been inserted in a gap before t, which
//! is then the last one of its insert, and be extracted in one after t (in t itself it goes before v). At t it is not
//! surely there, so t is not before the begin of its extract; and so no value lesser than u was surely there at t, and
//! t, or a gap before it, is where u is extracted. Who found nothing counts as the greatest of all.

use super::{Items, Ranked};
use crate::budget::Watch;
use crate::linear::op::Op;
use crate::linear::timeline::Timeline;

/// Where in its gap an operation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Extract,
    Empty,
    Insert,
}

/// The order, by the values that were found; `None` where a limit was reached.
pub(super) fn order(ops: &[Op<Ranked>], watch: &mut Watch<'_>) -> Option<Vec<usize>> {
    let mut found = Items::find(ops, watch).ok()?;
    found.items.sort_unstable_by_key(|item| ops[item.put].act.rank);
    let timeline = Timeline::of(ops);
    let mut cover = timeline.cover();
    let mut moments: Vec<(usize, Turn, usize)> = Vec::with_capacity(ops.len());
    for &item in &found.items {
        watch.step().ok()?;
        let put = &ops[item.put];
        let last = timeline.before(put.res);
        let first = |take: usize| timeline.after(put.inv.max(ops[take].inv));
        match item.take.map(|take| (take, cover.first_free(first(take)))) {
            Some((take, gap)) if gap <= last => {
                moments.extend([(gap, Turn::Extract, item.put), (gap, Turn::Extract, take)]);
            }
            Some((take, gap)) => {
                moments.extend([(last, Turn::Insert, item.put), (gap, Turn::Extract, take)]);
            }
            None => moments.push((last, Turn::Insert, item.put)),
        }
        let (first, last) = Items::stay(item, ops, &timeline);
        cover.add(first, last);
    }
    for &empty in &found.empties {
        moments.push((cover.first_free(timeline.after(ops[empty].inv)), Turn::Empty, empty));
    }
    // Those of one turn stand in the order of the values already.
    moments.sort_by_key(|&(gap, turn, _)| (gap, turn));
    Some(moments.into_iter().map(|(.., at)| at).collect())
}
