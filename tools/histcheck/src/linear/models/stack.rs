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

mod order;

use std::collections::BinaryHeap;

use super::queue::{Act, Item, Items, Words, act_of, groups, rests_on, useful};
use crate::budget::{Budget, Watch};
use crate::history::{OPEN, Pos};
use crate::linear::cover::Timeline;
use crate::linear::object::{Call, Fast, Group, Object, Read, Rests};
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
    let stays = layers(stays.filter(|stay| stay.first <= stay.last).collect(), watch)?;
    Ok(Gone { timeline, found, stays })
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

/// Values, and their orders. These are found once, and handed on from layer to layer: to sort each layer anew was most
/// of the work.
#[derive(Debug, Default)]
struct Layer {
    /// By the first gap at which they were surely there.
    stays: Vec<Stay>,
    /// By the place at which their push began, their push ended, and their pop began.
    orders: [Vec<u32>; 3],
}

impl Layer {
    fn of(mut stays: Vec<Stay>) -> Layer {
        stays.sort_unstable_by_key(|stay| stay.first);
        let sorted = |key: fn(&Stay) -> Pos| {
            let mut order: Vec<u32> = (0..stays.len() as u32).collect();
            order.sort_unstable_by_key(|&at| key(&stays[at as usize]));
            order
        };
        let orders =
            [sorted(|stay| stay.began), sorted(|stay| stay.put_by), sorted(|stay| stay.take_began)];
        Layer { stays, orders }
    }

    /// Runs of values between which there is a moment with none of them.
    fn parts(self) -> Vec<Layer> {
        let mut parts: Vec<Layer> = Vec::new();
        // For each value its part, and its place there.
        let mut places: Vec<(u32, u32)> = Vec::with_capacity(self.stays.len());
        let mut last = 0;
        for stay in &self.stays {
            match parts.last_mut() {
                Some(part) if stay.first <= last + 1 => {
                    part.stays.push(*stay);
                    last = last.max(stay.last);
                }
                _ => {
                    parts.push(Layer { stays: vec![*stay], ..Layer::default() });
                    last = stay.last;
                }
            }
            let part = parts.len() - 1;
            places.push((part as u32, parts[part].stays.len() as u32 - 1));
        }
        for (kind, order) in self.orders.iter().enumerate() {
            for &at in order {
                let (part, place) = places[at as usize];
                parts[part as usize].orders[kind].push(place);
            }
        }
        parts
    }

    /// Without the values that can lie beneath all that is left, one after the other until there is none.
    ///
    /// Its own push began before it ended, and its own pop ended after it began, so a value may be compared with all.
    /// Where the part falls apart meanwhile, what lies beneath all of it lies beneath the rest of its own piece.
    /// They go to `gone`.
    fn without_bottoms(&self, gone: &mut Vec<Stay>) -> Layer {
        let [by_began, by_put, by_take] = &self.orders;
        let stay = |at: u32| &self.stays[at as usize];
        let mut by_began = by_began.iter().copied().peekable();
        let mut by_put = by_put.iter().copied().peekable();
        let mut by_take = by_take.iter().copied().rev().peekable();
        let mut is_gone = vec![false; self.stays.len()];
        let mut begun: BinaryHeap<(Pos, u32)> = BinaryHeap::new();
        loop {
            while by_put.next_if(|&at| is_gone[at as usize]).is_some() {}
            while by_take.next_if(|&at| is_gone[at as usize]).is_some() {}
            let (Some(&put), Some(&take)) = (by_put.peek(), by_take.peek()) else { break };
            while let Some(at) = by_began.next_if(|&at| stay(at).began < stay(put).put_by) {
                begun.push((stay(at).ended, at));
            }
            match begun.pop() {
                Some((ended, at)) if ended > stay(take).take_began => {
                    is_gone[at as usize] = true;
                    gone.push(*stay(at));
                }
                _ => break,
            }
        }
        self.without(&is_gone)
    }

    fn without(&self, is_gone: &[bool]) -> Layer {
        let mut places = Vec::with_capacity(is_gone.len());
        let mut stays = Vec::new();
        for (stay, gone) in self.stays.iter().zip(is_gone) {
            places.push(stays.len() as u32);
            stays.extend((!gone).then_some(*stay));
        }
        let left = |order: &Vec<u32>| {
            let left = order.iter().filter(|&&at| !is_gone[at as usize]);
            left.map(|&at| places[at as usize]).collect()
        };
        Layer { stays, orders: [0, 1, 2].map(|kind: usize| left(&self.orders[kind])) }
    }
}

/// Takes bottoms off, one layer after the other; all values in the order in which they went.
fn layers(all: Vec<Stay>, watch: &mut Watch<'_>) -> Result<Vec<Stay>, Fast> {
    let mut gone = Vec::with_capacity(all.len());
    let mut work = vec![Layer::of(all)];
    while let Some(layer) = work.pop() {
        watch.steps(layer.stays.len())?;
        for part in layer.parts() {
            if let &[one] = &*part.stays {
                gone.push(one);
                continue;
            }
            let left = part.without_bottoms(&mut gone);
            if left.stays.len() == part.stays.len() {
                let who = part.stays.iter().flat_map(|stay| [Some(stay.put), stay.take]).flatten();
                return Err(Fast::invalid(
                    "{} and those with it push and pop values each of which would have to lie beneath another",
                    who.collect::<Vec<_>>(),
                ));
            }
            if !left.stays.is_empty() {
                work.push(left);
            }
        }
    }
    Ok(gone)
}
