//! What each model's operations do, written down a second time from the manual page and from nothing else, and an
//! exhaustive oracle over it: no line of `histcheck` is used here, so that no fault of it can hide in both.
//!
//! The oracle is Wing and Gong's search over all subsets: an order is built one operation at a time, and every
//! operation whose invocation comes before the returns of all that is not placed yet may be next.

#![allow(dead_code, unused_imports)] // Each test that has this module uses a part of it.

pub mod counterexample;
pub mod judged;
mod models;
pub mod written;

use std::collections::HashSet;

pub use breakit_tests::Random;
pub(crate) use models::with_every_model;
pub use models::{MODELS, Spec, TABLE, TABLE_FILE, spec};
use serde_json::Value;

/// Where an operation returns that may take effect at any later time.
pub const NEVER: u32 = u32::MAX;

/// What an object holds: numbers, or whatever a model takes them for.
pub type State = Vec<i64>;

/// What one operation may do and say.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its name.
    pub f: &'static str,
    /// Its value when it is invoked.
    pub argument: Value,
    /// Its value when it is ok.
    pub result: Value,
    /// What it does.
    pub act: Act,
}

/// What an operation does. Values are numbers from 1 on; 0 is null.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    Read(i64),
    Write(i64),
    Cas(i64, i64),
    /// A cas that says only that the register held another value.
    Differs(i64),
    /// With its token, where locks have some.
    Acquire(i64),
    Release,
    Put(i64),
    /// What it took; 0 where nothing was there.
    Take(i64),
    Remove(i64),
    Contains(i64, bool),
    Whole(Vec<i64>),
    Add(i64),
    /// What it added and what it found.
    FetchAdd(i64, i64),
    Append(Vec<i64>),
    /// A write or a read of a register by its number.
    Txn(Vec<(bool, usize, i64)>),
    /// A row of the table, by word and value.
    Go(&'static str, i64),
}

/// What is known of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It happened, with this result.
    Ok,
    /// It may have happened, with any result.
    Info,
    /// It may have happened, and then with this result: what evidence makes of an ok one whose end plays no part.
    Weak,
    /// It did not happen.
    Fail,
}

/// An operation of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Op<'s> {
    pub act: &'s Act,
    pub fate: Fate,
    pub process: i64,
    pub inv: u32,
    pub res: u32,
}

/// Whether some order of the operations is one that the object could have followed.
pub fn is_linearizable(spec: &Spec, initial: &State, ops: &[Op<'_>]) -> bool {
    let ops: Vec<Op<'_>> = ops.iter().filter(|op| op.fate != Fate::Fail).copied().collect();
    assert!(ops.len() <= 32, "the oracle is exhaustive");
    let must = (0..ops.len()).filter(|&i| ops[i].fate == Fate::Ok).fold(0_u32, |m, i| m | 1 << i);
    let mut seen = HashSet::new();
    let mut stack = vec![(0_u32, initial.clone())];
    while let Some((placed, state)) = stack.pop() {
        if placed & must == must {
            return true;
        }
        if !seen.insert((placed, state.clone())) {
            continue;
        }
        let left = |i: &usize| placed & (1 << i) == 0;
        let first_return = (0..ops.len()).filter(left).map(|i| ops[i].res).min().unwrap_or(NEVER);
        for i in (0..ops.len()).filter(left).filter(|&i| ops[i].inv < first_return) {
            let known = ops[i].fate != Fate::Info;
            let next = spec.step(&state, ops[i].act, ops[i].process, known);
            stack.extend(next.into_iter().map(|state| (placed | 1 << i, state)));
        }
    }
    false
}

/// Goes through an order, given by the operations' places in `ops`, with everything that it must be.
pub fn replays(spec: &Spec, ops: &[Op<'_>], order: &[usize]) -> Result<(), String> {
    let placed: HashSet<usize> = order.iter().copied().collect();
    if placed.len() < order.len() {
        return Err("an operation stands there twice".into());
    }
    if let Some(at) = (0..ops.len()).find(|at| ops[*at].fate == Fate::Ok && !placed.contains(at)) {
        return Err(format!("{at} is missing"));
    }
    let mut states = vec![spec.initial.clone()];
    for (place, &at) in order.iter().enumerate() {
        let op = ops.get(at).filter(|op| op.fate != Fate::Fail);
        let op = op.ok_or_else(|| format!("{at} did not happen"))?;
        if let Some(late) = order[..place].iter().find(|&&before| op.res < ops[before].inv) {
            return Err(format!("{at} stands after {late}, and had ended before that began"));
        }
        let known = op.fate != Fate::Info;
        states = states
            .iter()
            .flat_map(|state| spec.step(state, op.act, op.process, known))
            .collect::<HashSet<State>>()
            .into_iter()
            .collect();
        if states.is_empty() {
            return Err(format!("{at} cannot happen at its place"));
        }
    }
    Ok(())
}

/// An operation of a history that is made up: which of the model's items, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made {
    pub item: usize,
    pub fate: Fate,
    pub process: i64,
    pub inv: u32,
    pub res: u32,
}

/// The operations as the oracle takes them. With `fail_observes` a cas that failed has seen another value.
pub fn ops<'s>(spec: &'s Spec, made: &[Made]) -> Vec<Op<'s>> {
    let op = |made: &Made| {
        let (act, fate) = match spec.differs(made) {
            Some(differs) => (differs, Fate::Ok),
            None => (&spec.items[made.item].act, made.fate),
        };
        Op { act, fate, process: made.process, inv: made.inv, res: made.res }
    };
    made.iter().map(op).collect()
}

/// A random history of up to `most` operations. Mostly its results are those of an order that was legal, so that
/// many histories are valid, and many that are not are so for one reason.
pub fn random_history(spec: &Spec, random: &mut Random, most: u32) -> Vec<Made> {
    let count = 1 + random.below(most) as usize;
    let processes = i64::from(1 + random.below(4));
    let noise = random.below(4);
    let mut lost = vec![0; processes as usize];
    let mut open: Vec<usize> = Vec::new();
    let mut made: Vec<Made> = Vec::new();
    let mut states = vec![spec.initial.clone()];
    let mut place = 0;
    while made.len() < count || !open.is_empty() {
        place += 1;
        let slot = i64::from(random.below(processes as u32));
        // After an operation of unknown outcome a process has a new number, but for one in ten.
        let process = slot + processes * lost[slot as usize];
        if let Some(at) = open.iter().position(|&at| made[at].process == process) {
            made[open.remove(at)].res = place;
        } else if made.len() < count {
            let fate = [Fate::Info, Fate::Fail, Fate::Ok][random.below(10).min(2) as usize];
            let item = random_item(spec, random, &mut states, process, fate, noise);
            made.push(Made { item, fate, process, inv: place, res: NEVER });
            match fate {
                Fate::Ok => open.push(made.len() - 1),
                Fate::Info => lost[slot as usize] += i64::from(random.below(10) > 0),
                Fate::Fail | Fate::Weak => made.last_mut().into_iter().for_each(|op| {
                    place += 1;
                    op.res = place;
                }),
            }
        }
    }
    made
}

/// An item that is legal in one of `states`, mostly; it goes on from there.
fn random_item(
    spec: &Spec,
    random: &mut Random,
    states: &mut Vec<State>,
    process: i64,
    fate: Fate,
    noise: u32,
) -> usize {
    let mut item = random.below(spec.items.len() as u32) as usize;
    if random.below(6) < noise {
        return item;
    }
    for _ in 0..12 {
        let act = &spec.items[item].act;
        let from = random.below(states.len() as u32) as usize;
        let next = spec.step(&states[from], act, process, fate != Fate::Info);
        if !next.is_empty() {
            if fate != Fate::Fail && (fate == Fate::Ok || random.below(2) == 0) {
                let at = random.below(next.len() as u32) as usize;
                *states = vec![next[at].clone()];
            }
            break;
        }
        item = random.below(spec.items.len() as u32) as usize;
    }
    item
}

/// Calls `see` with every history of `count` operations up to the names of processes and values; says how many.
pub fn every_history(spec: &Spec, count: usize, see: &mut dyn FnMut(&[Made])) -> u64 {
    let mut search = Every { spec, count, see, made: Vec::new(), open: Vec::new(), seen: 0 };
    search.from(1, 0);
    search.seen
}

struct Every<'e> {
    spec: &'e Spec,
    count: usize,
    see: &'e mut dyn FnMut(&[Made]),
    made: Vec<Made>,
    open: Vec<usize>,
    seen: u64,
}

impl Every<'_> {
    /// All that may come from `place` on, where `values` were named so far.
    fn from(&mut self, place: u32, values: i64) {
        if self.made.len() == self.count && self.open.is_empty() {
            self.seen += 1;
            (self.see)(&self.made);
            return;
        }
        for at in 0..self.open.len() {
            let op = self.open.remove(at);
            self.made[op].res = place;
            self.from(place + 1, values);
            self.made[op].res = NEVER;
            self.open.insert(at, op);
        }
        if self.made.len() < self.count {
            for item in 0..self.spec.items.len() {
                if let Some(values) = self.spec.names(item, values) {
                    self.begin(place, item, values);
                }
            }
        }
    }

    /// All that may come from an invocation at `place` on.
    fn begin(&mut self, place: u32, item: usize, values: i64) {
        let used = self.made.iter().map(|op| op.process + 1).max().unwrap_or(0);
        // Where it does not matter whose an operation is, each has a process of its own.
        let first = if self.spec.has_owners { 0 } else { used };
        for process in first..=used {
            if self.open.iter().any(|&at| self.made[at].process == process) {
                continue;
            }
            for fate in [Fate::Ok, Fate::Info, Fate::Fail] {
                let at = self.made.len();
                let res = if fate == Fate::Fail { place + 1 } else { NEVER };
                self.made.push(Made { item, fate, process, inv: place, res });
                if fate == Fate::Ok {
                    self.open.push(at);
                }
                self.from(place + 1 + u32::from(fate == Fate::Fail), values);
                if fate == Fate::Ok {
                    self.open.retain(|&open| open != at);
                }
                self.made.pop();
            }
        }
    }
}
