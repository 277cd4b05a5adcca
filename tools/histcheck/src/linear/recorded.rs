//! When the operations of some evidence ended, as the history has it.
//!
//! Evidence is made of a beginning of the history, and of what was open at its end nobody knew then whether it would
//! return. The history says which did. But such an operation may rest on others that the evidence leaves out, as they
//! began later: it may be taken for done, whenever it ended, only where it rests on none of those.

use rustc_hash::{FxHashMap, FxHashSet};

use super::op::{Fate, Op};
use crate::history::Pos;

/// The returns of ok operations, by their sources.
#[derive(Debug, Default)]
pub struct Recorded(FxHashMap<usize, Pos>);

impl Recorded {
    /// What the history says of the operations in `few`.
    pub fn of<A>(few: &[Op<A>], history: &[Op<A>]) -> Recorded {
        let mut ends: FxHashMap<usize, Pos> = few.iter().map(|op| (op.source, 0)).collect();
        for op in history.iter().filter(|op| op.fate == Fate::Ok) {
            ends.entry(op.source).and_modify(|end| *end = op.res);
        }
        ends.retain(|_, end| *end != 0);
        Recorded(ends)
    }

    /// Where an operation returned, if it did.
    pub fn end<A>(&self, op: &Op<A>) -> Option<Pos> {
        self.0.get(&op.source).copied()
    }

    /// Evidence that begins after `begin` with what the history says of those in it of unknown outcome: they happened,
    /// whenever they ended. `None` where that can be said of none. `rests` says of an operation of the evidence whether
    /// it may have seen another one of the history, whenever it ended.
    pub fn known<A: Clone>(
        &self,
        few: &[Op<A>],
        history: &[Op<A>],
        begin: Pos,
        rests: impl Fn(&Op<A>, &Op<A>) -> bool,
    ) -> Option<Vec<Op<A>>> {
        let is_candidate =
            |op: &Op<A>| op.fate == Fate::Info && op.inv > begin && self.end(op).is_some();
        if !few.iter().any(is_candidate) {
            return None;
        }
        let inside: FxHashSet<usize> = few.iter().map(|op| op.source).collect();
        // Of any of them the end may be forgotten yet.
        let mut open: Vec<usize> =
            (0..few.len()).filter(|&at| few[at].fate != Fate::Fail).collect();
        let outside = history.iter().filter(|op| op.fate != Fate::Fail && op.res > begin);
        let outside: Vec<&Op<A>> = outside.filter(|op| !inside.contains(&op.source)).collect();
        let mut unsure: Vec<usize> = Vec::new();
        let is_unsure = |&at: &usize| outside.iter().any(|other| rests(&few[at], other));
        let mut more: Vec<usize> = open.iter().copied().filter(is_unsure).collect();
        while !more.is_empty() {
            open.retain(|at| !more.contains(at));
            let rests_on_one = |&at: &usize| more.iter().any(|&other| rests(&few[at], &few[other]));
            let next = open.iter().copied().filter(rests_on_one).collect();
            unsure.extend(std::mem::replace(&mut more, next));
        }
        let known = |(at, op): (usize, &Op<A>)| match self.end(op) {
            Some(res) if is_candidate(op) && !unsure.contains(&at) => {
                Op { fate: Fate::Ok, res, ..op.clone() }.whenever()
            }
            _ => op.clone(),
        };
        let is_one_known = (0..few.len()).any(|at| is_candidate(&few[at]) && !unsure.contains(&at));
        is_one_known.then(|| few.iter().enumerate().map(known).collect())
    }

    /// Without the operation at `at`, which began after all others that end had ended; `None` where it did not. What
    /// ended after it began, whenever that was, may rest on it: it need not have happened then.
    pub fn without_the_late<A: Clone>(&self, ops: &[Op<A>], at: usize) -> Option<Vec<Op<A>>> {
        let begin = ops[at].inv;
        let others = || ops.iter().enumerate().filter(|&(other, _)| other != at);
        let ends = |op: &Op<A>| op.fate == Fate::Ok && !op.is_whenever();
        if ops[at].fate == Fate::Fail || others().any(|(_, op)| ends(op) && op.res > begin) {
            return None;
        }
        let is_over = |op: &Op<A>| self.end(op).is_some_and(|end| end < begin);
        let left = others().map(|(_, op)| match op.is_whenever() && !is_over(op) {
            true => op.clone().weakened(),
            false => op.clone(),
        });
        Some(left.collect())
    }
}
