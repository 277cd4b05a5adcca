//! An order of operations, checked against the history and the object, and against nothing else: no engine has a
//! say in it.

use std::collections::{HashMap, HashSet};

use super::object::Object;
use super::op::{Fate, Op};
use crate::budget::{Budget, Exhausted};
use crate::history::{OPEN, Pos};

/// What is wrong with an order. Operations are those of the history, by their index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It stands in the order, but is none of this key that can have happened.
    Foreign(usize),
    /// It stands there twice.
    Twice(usize),
    /// It happened, and does not stand there.
    Missing(usize),
    /// The first stands after the second, but returned before that was invoked.
    Late(usize, usize),
    /// The object could not have done it at its place.
    Illegal(usize),
    /// Nothing so far: a limit was reached after so many operations of the order.
    Unknown(usize, Exhausted),
}

/// Goes through a short order.
///
/// # Errors
/// What is wrong with it.
pub fn replay<O: Object>(object: &O, ops: &[Op<O::Act>], order: &[usize]) -> Result<(), Fault> {
    replay_in(object, ops, order, &Budget::none())
}

/// Goes through an order of `ops` alone.
///
/// # Errors
/// What is wrong with it, or the limit that was reached.
pub fn replay_in<O: Object>(
    object: &O,
    ops: &[Op<O::Act>],
    order: &[usize],
    budget: &Budget,
) -> Result<(), Fault> {
    replay_within(object, ops, &|_| None, order, budget)
}

/// Goes through an order that may have others in it: `idle` says of an operation that is none of `ops` where it began,
/// if it may have happened and changes nothing, as a read of which nobody knows what it saw.
///
/// # Errors
/// What is wrong with it, or the limit that was reached.
pub fn replay_within<O: Object>(
    object: &O,
    ops: &[Op<O::Act>],
    idle: &dyn Fn(usize) -> Option<Pos>,
    order: &[usize],
    budget: &Budget,
) -> Result<(), Fault> {
    let by_source: HashMap<usize, &Op<O::Act>> =
        ops.iter().filter(|op| op.fate != Fate::Fail).map(|op| (op.source, op)).collect();
    let acts: Vec<&O::Act> =
        order.iter().filter_map(|source| by_source.get(source)).map(|op| &op.act).collect();
    let settled = object.settled(&acts);
    let mut acts = settled.as_ref().map_or(acts, |settled| settled.iter().collect()).into_iter();
    let mut placed = HashSet::with_capacity(order.len());
    let mut last: Option<Op<()>> = None;
    // Where effects have several outcomes, all that are possible so far.
    let mut states = vec![object.initial()];
    for (done, &source) in order.iter().enumerate() {
        // A state may be large.
        if done % 64 == 0 {
            budget.spend(0).map_err(|limit| Fault::Unknown(done, limit))?;
        }
        let known = by_source.get(&source).copied();
        let unseen = |inv| Op { act: (), fate: Fate::Info, inv, res: OPEN, source };
        let op = known.map(|op| op.doing(())).or_else(|| idle(source).map(unseen));
        let op = op.ok_or(Fault::Foreign(source))?;
        if !placed.insert(source) {
            return Err(Fault::Twice(source));
        }
        if let Some(last) = last.filter(|last| op.res < last.inv) {
            return Err(Fault::Late(source, last.source));
        }
        if last.is_none_or(|last| last.inv < op.inv) {
            last = Some(op);
        }
        let (Some(known), Some(act)) = (known, known.and_then(|_| acts.next())) else { continue };
        let mut next = Vec::new();
        for state in &states {
            object.step(state, act, &mut next);
            if known.fate == Fate::Info && object.may_idle(state, act) {
                next.push(state.clone());
            }
        }
        if next.is_empty() {
            return Err(Fault::Illegal(source));
        }
        let mut seen = HashSet::new();
        next.retain(|state| seen.insert(state.clone()));
        states = next;
    }
    match ops.iter().find(|op| op.fate == Fate::Ok && !placed.contains(&op.source)) {
        Some(op) => Err(Fault::Missing(op.source)),
        None => Ok(()),
    }
}
