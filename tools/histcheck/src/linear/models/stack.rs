//! A stack: `push` and `pop`, whose ok value is what it took, null where nothing was there.
//!
//! With values that were each pushed once and pops whose outcome is known, no search is needed. A value whose
//! push and pop overlap can come and go in one instant and constrains nothing. At a moment at which no other
//! value is surely there every value can stand wholly before or wholly after it: what lies between such moments
//! is decided apart. Where there is none, some value must lie at the bottom of all others: one whose push began
//! before any other push had ended, and whose pop ended after every other pop began. To take away *any* such
//! value is safe: its push can be moved first and its pop last. So bottoms are taken off until nothing is left, or nothing can be
//! a bottom, and then no order is legal.
//!
//! What is left between two moments that are free is as a whole beside no free moment. So a value can lie at the bottom
//! iff its push may be before the free moment on the left, and its pop after the one on the right: it waits for any
//! free moment within its push, and for any within its pop. When both have come it goes, and the moments that it alone
//! still covered come free. Each value goes once and each moment comes free once: O(n log n).

mod order;

use super::queue::{Act, Item, Items, Words, act_of, groups, rests_on, spare, useful};
use crate::budget::{Budget, Exhausted, Watch};
use crate::linear::coverage_tree::{Coverage, Waiting};
use crate::linear::object::{Call, Fast, Group, Object, Read, Rests};
use crate::linear::op::Op;
use crate::linear::specification::{Decided, Drain, Operation, Specification};
use crate::linear::timeline::Timeline;
use crate::values::Id;

/// The stack.
pub const MODELS: &[Specification] = &[Specification {
    name: "stack",
    doc: "A stack: push, pop, drain",
    operations: &[Operation::change("push").of_argument(), Operation::change("pop")],
    drain: Some(Drain { take: "pop", is_ordered: true, unordered: None }),
    ..Specification::decided(Decided::AsObject(|key| key.empty(Stack)))
}];

/// A stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stack;

impl Object for Stack {
    type Act = Act;
    type State = Vec<Id>;

    fn act(&self, call: &Call<'_>) -> Read<Act> {
        act_of(call, Words { model: "stack", put: "push", take: "pop" })
    }

    fn initial(&self) -> Vec<Id> {
        Vec::new()
    }

    fn step(&self, state: &Vec<Id>, act: &Act, next: &mut Vec<Vec<Id>>) {
        let rest = || state[..state.len() - 1].to_vec();
        match (*act, state.last()) {
            (Act::Put(value), _) => {
                let mut more = state.clone();
                more.push(value);
                next.push(more);
            }
            (Act::Take(value), Some(&top)) if top == value => next.push(rest()),
            (Act::TakeAny, Some(_)) => next.push(rest()),
            (Act::Empty, None) => next.push(Vec::new()),
            _ => {}
        }
    }

    fn may_take_any(&self, act: &Act) -> bool {
        *act == Act::TakeAny
    }

    fn may_idle(&self, state: &Vec<Id>, act: &Act) -> bool {
        *act == Act::TakeAny && state.is_empty()
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
        "bottoms"
    }

    fn decide(&self, ops: &[Op<Act>], budget: &Budget) -> Fast {
        bottoms(ops, &mut budget.watch()).err().unwrap_or(Fast::Valid)
    }

    fn order(&self, ops: &[Op<Act>], budget: &Budget) -> Option<Vec<usize>> {
        order::order(&bottoms(ops, &mut budget.watch()).ok()?, ops)
    }
}

/// What is known of a legal order where all values went.
struct Gone {
    timeline: Timeline,
    found: Items,
    /// The values that were surely there, in the order in which they went.
    stays: Vec<Stay>,
}

/// Takes the values away from below.
///
/// # Errors
/// Any answer but valid.
fn bottoms(ops: &[Op<Act>], watch: &mut Watch<'_>) -> Result<Gone, Fast> {
    let found = Items::find(ops, watch)?;
    if !found.unknown.is_empty() {
        return Err(Fast::Unsuited("it is not known what a pop took"));
    }
    let timeline = Timeline::of(ops);
    found.found_nothing(ops, &timeline, watch)?;
    let stays = found.items.iter().map(|&item| Stay::of(item, ops, &timeline));
    let stays: Vec<Stay> = stays.filter(|stay| stay.first <= stay.last).collect();
    let (gone, left) = without_bottoms(&stays, timeline.end() + 1, watch)?;
    if left.is_empty() {
        return Ok(Gone { timeline, found, stays: gone });
    }
    let part = least_part(left);
    let who = part.iter().flat_map(|stay| [Some(stay.put), stay.take]).flatten();
    Err(Fast::invalid(
        "{} and those with it push and pop values each of which would have to lie beneath another",
        who.collect::<Vec<_>>(),
    ))
}

/// A value that was surely there for a while.
#[derive(Debug, Clone, Copy)]
struct Stay {
    put: usize,
    take: Option<usize>,
    /// The gaps at which it was surely there.
    first: usize,
    last: usize,
    /// The first gap at which it may have been there, and the last.
    may_first: usize,
    may_last: usize,
}

impl Stay {
    fn of(item: Item, ops: &[Op<Act>], timeline: &Timeline) -> Stay {
        let Item { put, take } = item;
        let (first, last) = Items::stay(item, ops, timeline);
        let may_first = timeline.after(ops[put].inv);
        let may_last = take.map_or(timeline.end(), |take| timeline.before(ops[take].res));
        Stay { put, take, first, last, may_first, may_last }
    }
}

/// Takes away what can lie at the bottom of what is left, one value after the other until none can: those that went, in
/// their order, and those that are left. There are no gaps from `end` on.
fn without_bottoms(
    stays: &[Stay],
    end: usize,
    watch: &mut Watch<'_>,
) -> Result<(Vec<Stay>, Vec<Stay>), Exhausted> {
    let mut gone = Vec::with_capacity(stays.len());
    let mut coverage = Coverage::of(end, stays.iter().map(|stay| (stay.first, stay.last)));
    let wait = |(who, stay): (usize, &Stay)| {
        let push = (stay.may_first, stay.first - 1, who);
        // What is never popped may be there after the end, too, where all is free.
        [Some(push), stay.take.map(|_| (stay.last + 1, stay.may_last, who))]
    };
    let mut waiting = Waiting::of(end, stays.iter().enumerate().flat_map(wait).flatten());
    // How many of its two moments each still waits for.
    let mut misses: Vec<u8> = stays.iter().map(|stay| 1 + u8::from(stay.take.is_some())).collect();
    let (mut free, mut came) = (Vec::new(), Vec::new());
    loop {
        coverage.freed(&mut free);
        for gap in free.drain(..) {
            watch.step()?;
            waiting.let_go(gap, &mut came);
        }
        if came.is_empty() {
            break;
        }
        for who in came.drain(..) {
            let who = who as usize;
            misses[who] -= 1;
            if misses[who] == 0 {
                gone.push(stays[who]);
                coverage.remove(stays[who].first, stays[who].last);
            }
        }
    }
    let left = stays.iter().zip(misses).filter(|(_, misses)| *misses > 0).map(|(stay, _)| *stay);
    Ok((gone, left.collect()))
}

/// Of the runs of values between which there is a moment with none of them, the one of the fewest.
fn least_part(mut stays: Vec<Stay>) -> Vec<Stay> {
    stays.sort_unstable_by_key(|stay| stay.first);
    let mut last = 0;
    let parts = stays.chunk_by(|stay, next| {
        last = stay.last.max(last);
        next.first <= last + 1
    });
    parts.min_by_key(|part| part.len()).map_or_else(Vec::new, <[Stay]>::to_vec)
}
