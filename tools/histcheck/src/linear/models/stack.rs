//! A stack: `push` and `pop`, whose ok value is what it took, null where nothing was there.
//!
//! With values that were each pushed once and pops whose outcome is known, no search is needed. A value whose
//! push and pop overlap can come and go in one instant and constrains nothing. At a moment at which no other
//! value is surely there every value can stand wholly before or wholly after it: what lies between such moments
//! is decided apart. Where there is none, some value must lie at the bottom of all others: one whose push began
//! before any other push had ended, and whose pop ended after every other pop began. To take away *any* such
//! value is safe: its push can be moved first and its pop last. So bottoms are taken off until nothing is left, or nothing can be
//! a bottom, and then no order is legal. A pass takes off bottoms as long as there are any, and then looks where what
//! is left falls apart: there are as many passes as values that lie one in the other, each of which others lay beside.

use std::collections::BinaryHeap;

use super::queue::{Act, Item, Items, Words, act_of, groups, useful};
use crate::budget::Budget;
use crate::history::{OPEN, Pos};
use crate::linear::cover::Timeline;
use crate::linear::object::{Call, Fast, Group, Object, Read};
use crate::linear::op::Op;
use crate::values::Id;

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

    fn engine(&self) -> &'static str {
        "bottoms"
    }

    fn decide(&self, ops: &[Op<Act>], budget: &Budget) -> Fast {
        let found = match Items::find(ops) {
            Ok(found) => found,
            Err(answer) => return answer,
        };
        if !found.unknown.is_empty() {
            return Fast::Unsuited("it is not known what a pop took");
        }
        let timeline = Timeline::of(ops);
        if let Some(answer) = found.found_nothing(ops, &timeline) {
            return answer;
        }
        let stays = found.items.iter().map(|&item| Stay::of(item, ops, &timeline));
        layers(stays.filter(|stay| stay.first <= stay.last).collect(), budget)
    }
}

/// A value that was surely there for a while.
#[derive(Debug, Clone, Copy)]
struct Stay {
    put: usize,
    take: Option<usize>,
    /// The gaps at which it was surely there.
    first: usize,
    last: usize,
    began: Pos,
    put_by: Pos,
    take_began: Pos,
    ended: Pos,
}

impl Stay {
    fn of(item: Item, ops: &[Op<Act>], timeline: &Timeline) -> Stay {
        let (first, last) = Items::stay(item, ops, timeline);
        let put = &ops[item.put];
        // What is never popped is popped after all else.
        let (take_began, ended) =
            item.take.map_or((OPEN - 1, OPEN), |take| (ops[take].inv, ops[take].res));
        let Item { put: at, take } = item;
        Stay { put: at, take, first, last, began: put.inv, put_by: put.res, take_began, ended }
    }
}

/// Takes bottoms off, one layer after the other.
fn layers(all: Vec<Stay>, budget: &Budget) -> Fast {
    let mut work = vec![all];
    while let Some(mut stays) = work.pop() {
        if budget.spend(0).is_err() {
            return Fast::Unsuited("values lie too deep for the way without search");
        }
        stays.sort_unstable_by_key(|stay| stay.first);
        for part in parts(&stays) {
            if part.len() < 2 {
                continue;
            }
            let left = without_bottoms(part);
            if left.len() == part.len() {
                let who = part.iter().flat_map(|stay| [Some(stay.put), stay.take]).flatten();
                return Fast::invalid(
                    "{} and those with it push and pop values each of which would have to lie beneath another",
                    who.collect::<Vec<_>>(),
                );
            }
            if !left.is_empty() {
                work.push(left);
            }
        }
    }
    Fast::Valid
}

/// Runs of values between which there is a moment with none of them.
fn parts(stays: &[Stay]) -> Vec<&[Stay]> {
    let mut parts = Vec::new();
    let (mut begin, mut last) = (0, 0);
    for (at, stay) in stays.iter().enumerate() {
        if at > begin && stay.first > last + 1 {
            parts.push(&stays[begin..at]);
            begin = at;
        }
        last = if at == begin { stay.last } else { last.max(stay.last) };
    }
    parts.push(&stays[begin..]);
    parts
}

/// The part without the values that can lie beneath all that is left of it, one after the other until there is none.
///
/// Its own push began before it ended, and its own pop ended after it began, so a value may be compared with all.
/// Where the part falls apart meanwhile, what lies beneath all of it lies beneath the rest of its own piece.
fn without_bottoms(part: &[Stay]) -> Vec<Stay> {
    let sorted = |key: fn(&Stay) -> Pos| {
        let mut order: Vec<usize> = (0..part.len()).collect();
        order.sort_unstable_by_key(|&at| key(&part[at]));
        order
    };
    let mut by_began = sorted(|stay| stay.began).into_iter().peekable();
    let mut by_put = sorted(|stay| stay.put_by).into_iter().peekable();
    let mut by_take = sorted(|stay| stay.take_began).into_iter().rev().peekable();
    let mut is_gone = vec![false; part.len()];
    let mut begun: BinaryHeap<(Pos, usize)> = BinaryHeap::new();
    loop {
        while by_put.next_if(|&at| is_gone[at]).is_some() {}
        while by_take.next_if(|&at| is_gone[at]).is_some() {}
        let (Some(&put), Some(&take)) = (by_put.peek(), by_take.peek()) else { break };
        while let Some(at) = by_began.next_if(|&at| part[at].began < part[put].put_by) {
            begun.push((part[at].ended, at));
        }
        match begun.pop() {
            Some((ended, at)) if ended > part[take].take_began => is_gone[at] = true,
            _ => break,
        }
    }
    part.iter().zip(is_gone).filter(|(_, gone)| !gone).map(|(stay, _)| *stay).collect()
}
