//! A priority queue: `insert` with a whole number, and `extract`, whose ok value is the least, null where nothing
//! was there.
//!
//! With priorities that were each inserted once, no search is needed. Take the values from the least on: an
//! extract of v needs a moment, within itself and after the insert of v began, at which no lesser value is surely
//! there. Why that is exact: at such a moment t each lesser value can stand wholly before t or wholly after t, what stands
//! before followed by what stands after is again a legal order, and v's extract fits between: so constraints
//! add up one value at a time.

mod order;

use super::queue::{Act, Item, Items, Words, act_of, groups, rests_on, spare, useful};
use crate::budget::{Budget, Watch};
use crate::linear::object::{Call, Fast, Group, Object, Read, Rests};
use crate::linear::op::Op;
use crate::linear::specification::{Decided, Drain, Operation, Specification};
use crate::linear::timeline::Timeline;
use crate::values::Id;

/// The priority queue.
pub const MODELS: &[Specification] = &[Specification {
    name: "priority-queue",
    doc: "A queue of whole numbers, the least first: insert, extract, drain",
    operations: &[Operation::change("insert").of_argument(), Operation::change("extract")],
    drain: Some(Drain { take: "extract", is_ordered: true, unordered: None }),
    ..Specification::decided(Decided::AsObject(|key| key.empty(PriorityQueue)))
}];

/// A priority queue, the least number first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PriorityQueue;

/// What an operation does, with the number that the id stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ranked {
    /// What it does.
    pub act: Act,
    /// The number that it puts or takes; 0 where it does neither.
    pub rank: i64,
}

impl From<Ranked> for Act {
    fn from(ranked: Ranked) -> Act {
        ranked.act
    }
}

impl Object for PriorityQueue {
    type Act = Ranked;
    type State = Vec<(i64, Id)>;

    fn act(&self, call: &Call<'_>) -> Read<Ranked> {
        let words = Words { model: "priority-queue", put: "insert", take: "extract" };
        let Some(act) = act_of(call, words)? else { return Ok(None) };
        let rank = match act {
            Act::Put(value) | Act::Take(value) => call.values.as_int(value).ok_or_else(|| {
                format!("a priority is a whole number of 64 bits, not {}", call.values.show(value))
            })?,
            Act::TakeAny | Act::Empty => 0,
        };
        Ok(Some(Ranked { act, rank }))
    }

    fn initial(&self) -> Self::State {
        Vec::new()
    }

    fn step(&self, state: &Self::State, act: &Ranked, next: &mut Vec<Self::State>) {
        let rest = || state[1..].to_vec();
        match (act.act, state.first()) {
            (Act::Put(value), _) => {
                let mut more = state.clone();
                let new = (act.rank, value);
                more.insert(state.partition_point(|&other| other < new), new);
                next.push(more);
            }
            (Act::Take(value), Some(&(_, first))) if first == value => next.push(rest()),
            (Act::TakeAny, Some(_)) => next.push(rest()),
            (Act::Empty, None) => next.push(Vec::new()),
            _ => {}
        }
    }

    fn may_take_any(&self, act: &Ranked) -> bool {
        act.act == Act::TakeAny
    }

    fn may_idle(&self, state: &Self::State, act: &Ranked) -> bool {
        act.act == Act::TakeAny && state.is_empty()
    }

    fn is_read(&self, act: &Ranked) -> bool {
        act.act == Act::Empty
    }

    fn observes(&self, act: &Ranked) -> bool {
        !matches!(act.act, Act::Put(_))
    }

    fn useful(&self, ops: &[Op<Ranked>]) -> Vec<bool> {
        useful(ops)
    }

    fn groups(&self, ops: &[Op<Ranked>]) -> Vec<Group> {
        groups(ops)
    }

    fn spare(&self, ops: &[Op<Ranked>]) -> Vec<bool> {
        spare(ops)
    }

    fn rests_on(&self, observer: &Ranked, writer: &Ranked) -> Rests {
        rests_on(observer.act, writer.act)
    }

    fn engine(&self) -> &'static str {
        "covers"
    }

    fn decide(&self, ops: &[Op<Ranked>], budget: &Budget) -> Fast {
        covered(ops, &mut budget.watch()).err().unwrap_or(Fast::Valid)
    }

    fn order(&self, ops: &[Op<Ranked>], budget: &Budget) -> Option<Vec<usize>> {
        order::order(ops, &mut budget.watch())
    }
}

/// Goes through the values, the least first, each with the cover of all lesser ones.
///
/// # Errors
/// Any answer but valid.
fn covered(ops: &[Op<Ranked>], watch: &mut Watch<'_>) -> Result<(), Fast> {
    let found = Items::find(ops, watch)?;
    if !found.unknown.is_empty() {
        return Err(Fast::Unsuited("it is not known what an extract took"));
    }
    let timeline = Timeline::of(ops);
    let mut spans: Vec<Span> =
        found.items.iter().map(|&item| Span::of(item, ops, &timeline)).collect();
    spans.sort_unstable_by_key(|span| span.rank);
    if spans.windows(2).any(|pair| pair[0].rank == pair[1].rank) {
        return Err(Fast::Unsuited("two values have the same priority"));
    }
    let mut cover = timeline.cover();
    for span in &spans {
        watch.step()?;
        if let Some(take) = span.item.take
            && cover.first_free(span.from as usize) > span.to as usize
        {
            return Err(Fast::invalid(
                "{} took its value although at each moment of it a lesser one was surely there",
                [take, span.item.put],
            ));
        }
        cover.add(span.first as usize, span.last as usize);
    }
    found.found_nothing(ops, &timeline, watch)
}

/// A value with its gaps. In the order of time they are found without a leap through the memory; in that of
/// priorities there are leaps enough in the cover.
#[derive(Debug, Clone, Copy)]
struct Span {
    rank: i64,
    /// The gaps at which it may have been taken.
    from: u32,
    to: u32,
    /// The gaps at which it was surely there.
    first: u32,
    last: u32,
    item: Item,
}

impl Span {
    fn of(item: Item, ops: &[Op<Ranked>], timeline: &Timeline) -> Span {
        let put = &ops[item.put];
        let (first, last) = Items::stay(item, ops, timeline);
        let (from, to) = match item.take.map(|take| &ops[take]) {
            Some(take) => (timeline.after(take.inv.max(put.inv)), timeline.before(take.res)),
            None => (0, timeline.end()),
        };
        // Gaps are counted in 32 bits, as places are.
        let [from, to, first, last] = [from, to, first, last].map(|gap| gap as u32);
        Span { rank: put.act.rank, from, to, first, last, item }
    }
}
