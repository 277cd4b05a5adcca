//! An order of operations, checked against the history and the object, and against nothing else: no engine has a
//! say in it.

use std::collections::{HashMap, HashSet};

use super::object::Object;
use super::op::{Fate, Op};
use crate::budget::{Budget, Exhausted};

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
    replay_within(object, ops, order, &Budget::none())
}

/// Goes through the order.
///
/// # Errors
/// What is wrong with it, or the limit that was reached.
pub fn replay_within<O: Object>(
    object: &O,
    ops: &[Op<O::Act>],
    order: &[usize],
    budget: &Budget,
) -> Result<(), Fault> {
    let by_source: HashMap<usize, &Op<O::Act>> =
        ops.iter().filter(|op| op.fate != Fate::Fail).map(|op| (op.source, op)).collect();
    let mut placed = HashSet::with_capacity(order.len());
    let mut last: Option<&Op<O::Act>> = None;
    // Where effects have several outcomes, all that are possible so far.
    let mut states = vec![object.initial()];
    for (done, &source) in order.iter().enumerate() {
        // A state may be large.
        if done % 64 == 0 {
            budget.spend(0).map_err(|limit| Fault::Unknown(done, limit))?;
        }
        let op = *by_source.get(&source).ok_or(Fault::Foreign(source))?;
        if !placed.insert(source) {
            return Err(Fault::Twice(source));
        }
        if let Some(last) = last.filter(|last| op.res < last.inv) {
            return Err(Fault::Late(source, last.source));
        }
        if last.is_none_or(|last| last.inv < op.inv) {
            last = Some(op);
        }
        let mut next = Vec::new();
        states.iter().for_each(|state| object.step(state, &op.act, &mut next));
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
