//! Queues: `enqueue` and `dequeue`, whose ok value is what it took, null where nothing was there.
//!
//! With values that were each enqueued once, no search is needed (Henzinger, Sezgin and Vafeiadis 2013): no
//! order is legal iff
//! - (a) a value was dequeued that was never enqueued, (b) twice, or (c) before its enqueue began;
//! - (d) in a `fifo-queue`, a was enqueued before b, and b was dequeued although a was not, or before a;
//! - (e) a dequeue found nothing, and at each moment of it some value was surely there.
//!
//! A dequeue of unknown outcome may take any value, at any time. Each value a that no ok dequeue took has a
//! deadline: the return of the first dequeue of a value enqueued after a, and the moment, chosen as early as can
//! be, at which an ok dequeue found nothing. An order exists iff up to each deadline no more values are due
//! than unknown dequeues began (Hall's theorem for intervals with a common end).

mod order;
mod outcomes;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::budget::{Budget, Watch};
use crate::history::{OPEN, Pos};
use crate::linear::object::{Call, Fast, Group, Misread, Object, Read, Rests};
use crate::linear::op::{Fate, Op};
use crate::linear::specification::{Decided, Drain, Operation, Specification};
use crate::linear::timeline::{Cover, Timeline};
use crate::values::{Id, NULL};

/// The queues.
pub const MODELS: &[Specification] = &[
    Specification {
        name: "fifo-queue",
        doc: "A queue, first in, first out: enqueue, dequeue, drain",
        operations: OPERATIONS,
        drain: Some(Drain {
            take: "dequeue",
            is_ordered: true,
            unordered: Some("unordered-queue"),
        }),
        ..Specification::decided(Decided::AsObject(|key| key.empty(Queue { is_fifo: true })))
    },
    Specification {
        name: "unordered-queue",
        doc: "A queue in any order: enqueue, dequeue, drain",
        operations: OPERATIONS,
        drain: Some(Drain { take: "dequeue", is_ordered: false, unordered: None }),
        ..Specification::decided(Decided::AsObject(|key| key.empty(Queue { is_fifo: false })))
    },
];

const OPERATIONS: &[Operation] =
    &[Operation::change("enqueue").of_argument(), Operation::change("dequeue")];

/// A queue; without an order it is a bag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queue {
    /// First in, first out.
    pub is_fifo: bool,
}

/// What an operation on a queue does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Act {
    /// Put this value.
    Put(Id),
    /// Took this value.
    Take(Id),
    /// Took some value, if one was there: nobody knows which.
    TakeAny,
    /// Found nothing.
    Empty,
}

/// What the operations of a container are called.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words {
    pub model: &'static str,
    pub put: &'static str,
    pub take: &'static str,
}

/// What an operation of a queue, a stack or the like does.
pub(super) fn act_of(call: &Call<'_>, words: Words) -> Read<Act> {
    let Words { model, put, take } = words;
    match (call.word, call.value, call.fate) {
        (word, Some(NULL), _) if word == put => Err(format!(
            "null cannot be the value of {put:?}, as a {take} of null found nothing; write another \
             value, as \"null\""
        )
        .into()),
        (word, Some(value), _) if word == put => Ok(Some(Act::Put(value))),
        (word, None, Fate::Fail) if word == put => Ok(None),
        (word, None, _) if word == put => Err(format!("the operation {put:?} has no value").into()),
        (word, _, Fate::Fail) if word == take => Ok(None),
        (word, None | Some(NULL), Fate::Info) if word == take => Ok(Some(Act::TakeAny)),
        (word, Some(NULL), Fate::Ok) if word == take => Ok(Some(Act::Empty)),
        (word, Some(value), _) if word == take => Ok(Some(Act::Take(value))),
        (word, None, _) if word == take => {
            Err(format!("an ok {take} says no value; write null where nothing was there").into())
        }
        _ => Err(Misread::name(model, call)),
    }
}

/// Of the info operations those are of use that put a value which something took, and those that took.
pub(super) fn useful<A: Copy + Into<Act>>(ops: &[Op<A>]) -> Vec<bool> {
    let taken: FxHashSet<Id> = ops
        .iter()
        .filter(|op| op.fate != Fate::Fail)
        .filter_map(|op| match op.act.into() {
            Act::Take(value) => Some(value),
            _ => None,
        })
        .collect();
    let is_useful = |op: &Op<A>| match op.act.into() {
        Act::Put(value) => taken.contains(&value),
        _ => true,
    };
    ops.iter().map(is_useful).collect()
}

/// A value with all that put or took it goes together; who found nothing saw no value. A take of unknown outcome
/// may have taken any value that no ok take accounts for: as long as there is one it must stay.
pub(super) fn groups<A: Copy + Into<Act>>(ops: &[Op<A>]) -> Vec<Group> {
    let mut left_over: FxHashMap<Id, i64> = FxHashMap::default();
    for op in ops {
        match (op.act.into(), op.fate) {
            (Act::Put(value), Fate::Ok | Fate::Info) => *left_over.entry(value).or_default() += 1,
            (Act::Take(value), Fate::Ok) => *left_over.entry(value).or_default() -= 1,
            _ => {}
        }
    }
    let is_any_left = left_over.values().any(|&count| count > 0);
    let group = |op: &Op<A>| match op.act.into() {
        Act::Put(value) | Act::Take(value) => Group::With(value.0.into()),
        Act::TakeAny if is_any_left => Group::Needed,
        Act::TakeAny | Act::Empty => Group::Alone,
    };
    ops.iter().map(group).collect()
}

/// Which takes can go alone: those of a value that is taken at least twice more often than it was put. Without one of
/// them it is still taken too often, whatever else there is.
pub(super) fn spare<A: Copy + Into<Act>>(ops: &[Op<A>]) -> Vec<bool> {
    let mut too_many: FxHashMap<Id, i64> = FxHashMap::default();
    for op in ops {
        match (op.act.into(), op.fate) {
            (Act::Put(value), Fate::Ok | Fate::Info) => *too_many.entry(value).or_default() -= 1,
            (Act::Take(value), Fate::Ok) => *too_many.entry(value).or_default() += 1,
            _ => {}
        }
    }
    let is_spare = |op: &Op<A>| match (op.act.into(), op.fate) {
        (Act::Take(value), Fate::Ok) => too_many[&value] >= 2,
        _ => false,
    };
    ops.iter().map(is_spare).collect()
}

/// The same of two operations. A take of unknown outcome may have taken what was before all that came later.
pub(super) fn rests_on(observer: Act, writer: Act) -> Rests {
    match (observer, writer) {
        (_, Act::TakeAny) => Rests::IfLater,
        (_, Act::Empty) => Rests::Not,
        (Act::Put(value) | Act::Take(value), Act::Put(other) | Act::Take(other)) => {
            Rests::always_if(value == other)
        }
        (Act::TakeAny | Act::Empty, _) => Rests::Not,
    }
}

/// A value that was there for a while.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    pub put: usize,
    pub take: Option<usize>,
}

/// All values that were surely put, with who took them.
pub(super) struct Items {
    pub items: Vec<Item>,
    pub empties: Vec<usize>,
    pub unknown: Vec<usize>,
}

impl Items {
    /// Finds them; or says why there is no legal order, or none without search.
    pub fn find<A: Copy + Into<Act>>(ops: &[Op<A>], watch: &mut Watch<'_>) -> Result<Items, Fast> {
        let mut puts: FxHashMap<Id, (usize, u32)> = FxHashMap::default();
        let mut failed: FxHashMap<Id, usize> = FxHashMap::default();
        let mut takes: FxHashMap<Id, usize> = FxHashMap::default();
        let (mut twice, mut empties, mut unknown) = (None, Vec::new(), Vec::new());
        for (index, op) in ops.iter().enumerate() {
            watch.step()?;
            match (op.act.into(), op.fate) {
                (Act::Put(value), Fate::Fail) => {
                    failed.insert(value, index);
                }
                (Act::Put(value), _) => {
                    puts.entry(value).and_modify(|(_, n)| *n += 1).or_insert((index, 1));
                }
                (_, Fate::Fail) => {}
                (Act::Take(value), Fate::Ok) => {
                    if let Some(other) = takes.insert(value, index) {
                        twice = twice.or(Some((other, index, value)));
                    }
                }
                (Act::Take(_), Fate::Info) => {
                    return Err(Fast::Unsuited("it is not known whether a value was taken"));
                }
                (Act::TakeAny, _) => unknown.push(index),
                (Act::Empty, Fate::Ok) => empties.push(index),
                (Act::Empty, Fate::Info) => {}
            }
        }
        if takes.keys().any(|value| puts.get(value).is_some_and(|&(_, n)| n > 1)) {
            return Err(Fast::Unsuited("a value was put more than once, and taken"));
        }
        let mut items = Vec::with_capacity(ops.len() / 2 + 1);
        for (index, op) in ops.iter().enumerate() {
            watch.step()?;
            let Act::Put(value) = op.act.into() else { continue };
            let take = takes.get(&value).copied();
            if op.fate == Fate::Ok || op.fate == Fate::Info && take.is_some() {
                items.push(Item { put: index, take });
            }
        }
        for (take, op) in ops.iter().enumerate().filter(|(_, op)| op.fate == Fate::Ok) {
            let Act::Take(value) = op.act.into() else { continue };
            watch.step()?;
            match (puts.get(&value), failed.get(&value)) {
                (Some(&(put, _)), _) if ops[take].res < ops[put].inv => {
                    return Err(Fast::invalid(
                        "{} had ended before {}, whose value it took, began",
                        [take, put],
                    ));
                }
                (Some(_), _) => {}
                (None, Some(&put)) => {
                    return Err(Fast::without_cause(
                        "{} took what only {} put, and that failed",
                        [take, put],
                    ));
                }
                (None, None) => {
                    return Err(Fast::without_cause("{} took what nobody put", [take]));
                }
            }
        }
        if let Some((first, second, value)) = twice {
            let put = puts.get(&value).map(|&(put, _)| put);
            return Err(Fast::invalid(
                "{} and {} took the same value, which had been put only once",
                [first, second].into_iter().chain(put).collect::<Vec<_>>(),
            ));
        }
        Ok(Items { items, empties, unknown })
    }

    /// The gaps at which an item is surely there: first and last.
    pub fn stay<A>(item: Item, ops: &[Op<A>], timeline: &Timeline) -> (usize, usize) {
        let first = timeline.after(ops[item.put].res);
        let last = item.take.map_or(timeline.end(), |take| timeline.before(ops[take].inv));
        (first, last)
    }

    /// A take that found nothing while at each moment of it something was surely there.
    ///
    /// # Errors
    /// Such a take, or the limit that was reached.
    pub fn found_nothing<A>(
        &self,
        ops: &[Op<A>],
        timeline: &Timeline,
        watch: &mut Watch<'_>,
    ) -> Result<(), Fast> {
        if self.empties.is_empty() {
            return Ok(());
        }
        let mut cover = timeline.cover();
        for &item in &self.items {
            watch.step()?;
            let (first, last) = Items::stay(item, ops, timeline);
            cover.add(first, last);
        }
        let is_covered = |&&at: &&usize| {
            cover.first_free(timeline.after(ops[at].inv)) > timeline.before(ops[at].res)
        };
        match self.empties.iter().find(is_covered) {
            Some(at) => Err(Fast::invalid(FOUND_NOTHING, [*at])),
            None => Ok(()),
        }
    }
}

pub(super) const FOUND_NOTHING: &str =
    "{} found nothing, and at each moment of it some value was surely there";

impl Object for Queue {
    type Act = Act;
    type State = Vec<Id>;

    fn act(&self, call: &Call<'_>) -> Read<Act> {
        let model = if self.is_fifo { "fifo-queue" } else { "unordered-queue" };
        act_of(call, Words { model, put: "enqueue", take: "dequeue" })
    }

    fn initial(&self) -> Vec<Id> {
        Vec::new()
    }

    fn step(&self, state: &Vec<Id>, act: &Act, next: &mut Vec<Vec<Id>>) {
        let without = |at: usize| {
            let mut left = state.clone();
            left.remove(at);
            left
        };
        match *act {
            Act::Put(value) => {
                let at = match self.is_fifo {
                    true => state.len(),
                    false => state.partition_point(|&other| other < value),
                };
                let mut more = state.clone();
                more.insert(at, value);
                next.push(more);
            }
            Act::Take(value) if self.is_fifo => {
                next.extend((state.first() == Some(&value)).then(|| without(0)));
            }
            Act::Take(value) => {
                next.extend(state.iter().position(|&other| other == value).map(without));
            }
            Act::TakeAny if self.is_fifo => next.extend((!state.is_empty()).then(|| without(0))),
            Act::TakeAny => next.extend((0..state.len()).map(without)),
            Act::Empty => next.extend(state.is_empty().then(Vec::new)),
        }
    }

    fn may_take_any(&self, act: &Act) -> bool {
        *act == Act::TakeAny
    }

    fn may_idle(&self, state: &Vec<Id>, act: &Act) -> bool {
        *act == Act::TakeAny && state.is_empty()
    }

    fn settled(&self, order: &[&Act]) -> Option<Vec<Act>> {
        let has_several = !self.is_fifo && order.contains(&&Act::TakeAny);
        has_several.then(|| outcomes::settled(order))
    }

    fn is_read(&self, act: &Act) -> bool {
        *act == Act::Empty
    }

    fn observes(&self, act: &Act) -> bool {
        !matches!(act, Act::Put(_))
    }

    fn useful(&self, ops: &[Op<Act>]) -> Vec<bool> {
        useful(ops)
    }

    fn groups(&self, ops: &[Op<Act>]) -> Vec<Group> {
        groups(ops)
    }

    fn spare(&self, ops: &[Op<Act>]) -> Vec<bool> {
        spare(ops)
    }

    fn rests_on(&self, observer: &Act, writer: &Act) -> Rests {
        rests_on(*observer, *writer)
    }

    fn engine(&self) -> &'static str {
        "patterns"
    }

    fn decide(&self, ops: &[Op<Act>], budget: &Budget) -> Fast {
        self.patterns(ops, &mut budget.watch()).err().unwrap_or(Fast::Valid)
    }

    fn order(&self, ops: &[Op<Act>], budget: &Budget) -> Option<Vec<usize>> {
        let moments = self.patterns(ops, &mut budget.watch()).ok()?;
        order::order(self.is_fifo, &moments, ops, &mut budget.watch())
    }
}

impl Queue {
    /// Looks for each of the patterns.
    ///
    /// # Errors
    /// Any answer but valid.
    fn patterns(self, ops: &[Op<Act>], watch: &mut Watch<'_>) -> Result<Moments, Fast> {
        let found = Items::find(ops, watch)?;
        if self.is_fifo {
            overtaken(&found.items, ops, watch)?;
        }
        left_over(self.is_fifo, found, ops, watch)
    }
}

/// What is known of a legal order where no pattern is found.
struct Moments {
    timeline: Timeline,
    /// The values, each with who took it, be that of unknown outcome.
    items: Vec<Item>,
    /// Who found nothing, after the gap at which that was, in the order of these.
    empties: Vec<(usize, usize)>,
}

/// Two values, the first of which was put before the second and taken after it.
fn overtaken(items: &[Item], ops: &[Op<Act>], watch: &mut Watch<'_>) -> Result<(), Fast> {
    let taken = || items.iter().filter_map(|item| Some((item, item.take?)));
    let mut by_begin: Vec<(&Item, usize)> = taken().collect();
    by_begin.sort_unstable_by_key(|(item, _)| ops[item.put].inv);
    let mut by_end = by_begin.clone();
    by_end.sort_unstable_by_key(|(item, _)| ops[item.put].res);
    let mut earlier = by_end.into_iter().peekable();
    let mut latest: Option<(&Item, Pos)> = None;
    for (item, take) in by_begin {
        watch.step()?;
        while let Some((before, taken)) =
            earlier.next_if(|(before, _)| ops[before.put].res < ops[item.put].inv)
        {
            let began = ops[taken].inv;
            if latest.is_none_or(|(_, most)| began > most) {
                latest = Some((before, began));
            }
        }
        if let Some((before, began)) = latest
            && began > ops[take].res
        {
            let takes = [before.take, item.take].into_iter().flatten();
            let named: Vec<usize> = [item.put, before.put].into_iter().chain(takes.rev()).collect();
            return Err(Fast::invalid(
                "{} began after {} had ended, but {} had ended before {} began",
                named,
            ));
        }
    }
    Ok(())
}

/// Why the values that no ok dequeue took cannot all have been taken in time, or have stayed.
///
/// # Errors
/// That, or the limit that was reached.
fn left_over(
    is_fifo: bool,
    mut found: Items,
    ops: &[Op<Act>],
    watch: &mut Watch<'_>,
) -> Result<Moments, Fast> {
    let timeline = Timeline::of(ops);
    let mut left: Vec<Left> = deadlines(is_fifo, &found.items, ops, &timeline);
    let mut began: Vec<(usize, usize)> =
        found.unknown.iter().map(|&at| (timeline.after(ops[at].inv), at)).collect();
    began.sort_unstable();
    let free = free_gaps(&found, &left, &began, ops, &timeline, watch)?;
    let mut by_gap: Vec<(usize, usize)> = Vec::new();
    for &empty in &found.empties {
        watch.step()?;
        let gap = free.get(timeline.after(ops[empty].inv)).copied().unwrap_or(usize::MAX);
        if gap > timeline.before(ops[empty].res) {
            return Err(Fast::invalid(FOUND_NOTHING, [empty]));
        }
        by_gap.push((gap, empty));
    }
    by_gap.sort_unstable();
    for item in &mut left {
        // The first empty moment at which it would surely be there.
        let at = by_gap.partition_point(|&(gap, _)| gap < item.there);
        if let Some(&(gap, empty)) = by_gap.get(at)
            && gap < item.due
        {
            (item.due, item.because) = (gap, [empty, empty]);
        }
    }
    left.retain(|item| item.due != usize::MAX);
    left.sort_unstable_by_key(|item| item.due);
    for (at, item) in left.iter().enumerate() {
        watch.step()?;
        // What is due first takes what began first.
        match began.get(at) {
            Some(&(gap, take)) if gap <= item.due => found.items[item.item].take = Some(take),
            _ => return Err(item.stayed(&found.items)),
        }
    }
    Ok(Moments { timeline, items: found.items, empties: by_gap })
}

/// A value that no ok dequeue took.
#[derive(Debug, Clone, Copy)]
struct Left {
    /// Which of the values.
    item: usize,
    /// The first gap at which it was surely put.
    there: usize,
    /// The last gap at which it may be taken.
    due: usize,
    /// Who says so: a later value's enqueue and dequeue, or twice a dequeue that found nothing.
    because: [usize; 2],
}

impl Left {
    /// Nobody can have taken it in time.
    fn stayed(&self, items: &[Item]) -> Fast {
        let (left, [put, take]) = (items[self.item].put, self.because);
        match put == take {
            true => Fast::invalid("{} was not taken, and yet {} found nothing", [left, put]),
            false => Fast::invalid(
                "{} was not taken, and yet {}, which came later, was taken by {}",
                [left, put, take],
            ),
        }
    }
}

fn deadlines(is_fifo: bool, items: &[Item], ops: &[Op<Act>], timeline: &Timeline) -> Vec<Left> {
    let mut taken: Vec<(Pos, Pos, [usize; 2])> = items
        .iter()
        .filter_map(|item| {
            let take = item.take?;
            Some((ops[item.put].inv, ops[take].res, [item.put, take]))
        })
        .collect();
    taken.sort_unstable();
    // From the end: the first return of a dequeue among values enqueued from there on.
    let mut first: Vec<(Pos, [usize; 2])> = vec![(OPEN, [0; 2]); taken.len() + 1];
    for at in (0..taken.len()).rev() {
        let (_, res, who) = taken[at];
        first[at] = if res < first[at + 1].0 { (res, who) } else { first[at + 1] };
    }
    let left = items.iter().enumerate().filter(|(_, item)| item.take.is_none());
    left.map(|(at, item)| {
        let put = &ops[item.put];
        let later = taken.partition_point(|&(inv, ..)| inv <= put.res);
        let (due, because) = if is_fifo { first[later] } else { (OPEN, [0; 2]) };
        let due = if due == OPEN { usize::MAX } else { timeline.before(due) };
        Left { item: at, there: timeline.after(put.res), due, because }
    })
    .collect()
}

/// For each gap the first one from there on at which a dequeue may have found nothing.
fn free_gaps(
    found: &Items,
    left: &[Left],
    began: &[(usize, usize)],
    ops: &[Op<Act>],
    timeline: &Timeline,
    watch: &mut Watch<'_>,
) -> Result<Vec<usize>, Fast> {
    if found.empties.is_empty() {
        return Ok(Vec::new());
    }
    let mut cover: Cover = timeline.cover();
    for item in found.items.iter().filter(|item| item.take.is_some()) {
        watch.step()?;
        let (first, last) = Items::stay(*item, ops, timeline);
        cover.add(first, last);
    }
    // How many values must have been taken by unknown dequeues, and how many of those began.
    let mut balance = vec![0_i64; timeline.end() + 2];
    for item in left {
        // Past its deadline it is gone, and one unknown dequeue with it.
        balance[item.there.min(item.due.saturating_add(1)).min(timeline.end() + 1)] += 1;
    }
    for &(gap, _) in began {
        balance[gap.min(timeline.end() + 1)] -= 1;
    }
    let mut free = vec![usize::MAX; timeline.end() + 2];
    let mut sum = 0;
    let enough: Vec<bool> = balance
        .iter()
        .map(|change| {
            sum += change;
            sum <= 0
        })
        .collect();
    for gap in (0..=timeline.end()).rev() {
        watch.step()?;
        let is_free = enough[gap] && cover.first_free(gap) == gap;
        free[gap] = if is_free { gap } else { free[gap + 1] };
    }
    Ok(free)
}
