//! `drain`, with which Jepsen's queues end: dequeues until nothing is there, whose ok value lists what they took.
//!
//! Each element is a dequeue at some time while the drain was open. In which order they were says the list, and of an
//! unordered queue that says nothing. That the queue was empty at the end is not said: a drain may give up.

use breakit::exit::{Error, Result};

use super::{Model, wrong};
use crate::history::{History, OPEN, Operation, Operations, Outcome, Pos};
use crate::read::line::word;

const DRAIN: &str = "drain";
const DEQUEUE: &str = "dequeue";

/// Puts dequeues in the place of the drains of a history.
///
/// # Errors
/// 65 for a drain that does not say what it took.
pub fn as_dequeues(history: &mut History, model: &Model) -> Result<()> {
    let Some(drain) = history.words.iter().position(|word| word == DRAIN) else { return Ok(()) };
    if *model != Model::UnorderedQueue {
        return Ok(());
    }
    let is_drain = |op: &Operation| usize::from(op.f) == drain;
    if !history.ops.iter().any(|op| is_drain(&op)) {
        return Ok(());
    }
    let dequeue = word(DEQUEUE, &mut history.words)
        .map_err(|clause| Error::data(format!("{}: {}", history.name, clause.text)))?;
    let mut ops: Vec<Operation> = Vec::with_capacity(history.ops.len());
    for (index, op) in history.ops.iter().enumerate() {
        if !is_drain(&op) {
            ops.push(op);
            continue;
        }
        let taken = op.value.and_then(|value| history.values.list(value));
        let clause = match (op.outcome, taken) {
            (Outcome::Fail, _) => continue,
            (Outcome::Ok, Some(taken)) => {
                let element = |&value| Operation { f: dequeue, value: Some(value), ..op };
                ops.extend(taken.iter().map(element));
                continue;
            }
            (Outcome::Ok, None) => "the value of a drain must be the list of what it took",
            (Outcome::Info, _) => {
                "of a drain of unknown outcome nobody knows what it took; write the dequeues of which it consists"
            }
        };
        return Err(wrong(history, index, clause));
    }
    renumber(history, ops);
    Ok(())
}

/// Gives the operations places of which no two are the same. Those that shared one overlap, as all begin before any
/// of them ends.
fn renumber(history: &mut History, mut ops: Vec<Operation>) {
    let mut edges: Vec<(Pos, bool, usize)> = Vec::with_capacity(2 * ops.len());
    for (index, op) in ops.iter().enumerate() {
        edges.push((op.inv, false, index));
        if op.res != OPEN {
            edges.push((op.res, true, index));
        }
    }
    edges.sort_unstable();
    let lines = edges.iter().map(|&(pos, ..)| history.line(pos)).collect();
    history.times_go_back = history.times_go_back.and_then(|(pos, back)| {
        let at = edges.iter().position(|&(old, ..)| old == pos)?;
        Some((at as Pos + 1, back))
    });
    for (pos, (_, is_end, index)) in (1..).zip(edges) {
        match is_end {
            true => ops[index].res = pos,
            false => ops[index].inv = pos,
        }
    }
    ops.sort_by_key(|op| op.inv);
    let mut renumbered = Operations::default();
    ops.iter().for_each(|op| renumbered.push(op));
    history.ops = renumbered;
    history.reordered = Some(lines);
}
