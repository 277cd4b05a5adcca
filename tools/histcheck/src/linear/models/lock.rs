//! Locks whose holders are known: `acquire` and `release` of a `mutex`, of a `reentrant-mutex`, which its holder
//! may acquire again, and of a `semaphore:N` with N permits. Who releases must hold.
//!
//! No search is needed, as a process has one operation open at a time: it surely holds from the return of an
//! acquire to the invocation of the release after it, and need not hold any longer. An order exists iff at no
//! moment more than one process, or N holds, surely hold. An acquire of unknown outcome need not have happened.

use std::collections::HashMap;

use crate::budget::{Budget, Watch};
use crate::history::Pos;
use crate::linear::object::{Call, Fast, Group, Misread, Object, Read, Rests};
use crate::linear::op::{Fate, Op};
use crate::linear::specification::{Decided, NumberOf, Operation, Specification};

/// The locks without tokens.
pub const MODELS: &[Specification] = &[
    Specification {
        name: "mutex",
        doc: "A lock with one holder: acquire, release",
        operations: OPERATIONS,
        ..Specification::decided(Decided::AsObject(|key| key.empty(Lock::Mutex)))
    },
    Specification {
        name: "reentrant-mutex",
        doc: "A lock that its holder may acquire again: acquire, release",
        operations: OPERATIONS,
        ..Specification::decided(Decided::AsObject(|key| key.empty(Lock::Reentrant)))
    },
    Specification {
        name: "semaphore",
        doc: "A lock with N permits: acquire, release",
        operations: OPERATIONS,
        ..Specification::decided(Decided::AsObjectOf(
            NumberOf { what: "permits it has", example: "semaphore:3 for one of three permits" },
            |key, permits| key.empty(Lock::Semaphore(permits)),
        ))
    },
];

const OPERATIONS: &[Operation] = &[Operation::change("acquire"), Operation::change("release")];

/// Which lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    /// One holder, once.
    Mutex,
    /// One holder, any number of times.
    Reentrant,
    /// So many permits, whoever has them.
    Semaphore(u32),
}

/// What an operation on a lock does, and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Act {
    /// This process takes it.
    Acquire(u64),
    /// This process, which holds it, gives it back.
    Release(u64),
}

impl Lock {
    fn name(self) -> &'static str {
        match self {
            Lock::Mutex => "mutex",
            Lock::Reentrant => "reentrant-mutex",
            Lock::Semaphore(_) => "semaphore",
        }
    }

    fn permits(self) -> u32 {
        match self {
            Lock::Mutex | Lock::Reentrant => 1,
            Lock::Semaphore(permits) => permits,
        }
    }

    fn admits(self, holders: &[(u64, u32)], process: u64) -> bool {
        match (self, holders) {
            (Lock::Semaphore(permits), _) => {
                holders.iter().map(|&(_, count)| count).sum::<u32>() < permits
            }
            (_, []) => true,
            (Lock::Reentrant, &[(holder, _)]) => holder == process,
            _ => false,
        }
    }
}

impl Object for Lock {
    type Act = Act;
    /// Who holds it, how often, in the order of processes.
    type State = Vec<(u64, u32)>;

    fn act(&self, call: &Call<'_>) -> Read<Act> {
        match call.word {
            "acquire" => Ok(Some(Act::Acquire(call.process))),
            "release" => Ok(Some(Act::Release(call.process))),
            _ => Err(Misread::name(self.name(), call)),
        }
    }

    fn initial(&self) -> Self::State {
        Vec::new()
    }

    fn step(&self, state: &Self::State, act: &Act, next: &mut Vec<Self::State>) {
        let (Act::Acquire(process) | Act::Release(process)) = *act;
        let place = state.binary_search_by_key(&process, |&(holder, _)| holder);
        let mut after = state.clone();
        match (*act, place) {
            (Act::Acquire(_), _) if !self.admits(state, process) => return,
            (Act::Acquire(_), Ok(at)) => after[at].1 += 1,
            (Act::Acquire(_), Err(at)) => after.insert(at, (process, 1)),
            (Act::Release(_), Ok(at)) if after[at].1 > 1 => after[at].1 -= 1,
            (Act::Release(_), Ok(at)) => {
                after.remove(at);
            }
            (Act::Release(_), Err(_)) => return,
        }
        next.push(after);
    }

    fn is_read(&self, _: &Act) -> bool {
        false
    }

    fn groups(&self, ops: &[Op<Act>]) -> Vec<Group> {
        units(ops.iter().map(|op| match op.act {
            Act::Acquire(process) => (process, Turn::Acquire, op.fate),
            Act::Release(process) => (process, Turn::Release, op.fate),
        }))
    }

    fn rests_on(&self, _: &Act, _: &Act) -> Rests {
        Rests::ByGroup
    }

    fn engine(&self) -> &'static str {
        "holds"
    }

    fn decide(&self, ops: &[Op<Act>], budget: &Budget) -> Fast {
        let watch = &mut budget.watch();
        let crowd = |holds: Holds| holds.crowd(self.permits(), watch);
        holds(*self, ops, &mut budget.watch()).and_then(crowd).err().unwrap_or(Fast::Valid)
    }

    fn order(&self, ops: &[Op<Act>], budget: &Budget) -> Option<Vec<usize>> {
        let holds = holds(*self, ops, &mut budget.watch()).ok()?;
        let mut order: Vec<usize> =
            (0..ops.len()).filter(|&at| holds.moment[at].is_some()).collect();
        order.sort_unstable_by_key(|&at| holds.moment[at]);
        Some(order)
    }
}

/// When who surely holds.
struct Holds {
    /// Where a hold begins and where it ends, with the acquire that began it.
    changes: Vec<(Pos, i32, usize)>,
    /// When each operation may take effect; none for one that did not.
    moment: Vec<Option<Pos>>,
}

impl Holds {
    /// Why more hold at once than may.
    fn crowd(&self, permits: u32, watch: &mut Watch<'_>) -> Result<(), Fast> {
        let mut holders: Vec<usize> = Vec::new();
        for &(_, change, at) in &self.changes {
            watch.steps(1 + holders.len())?;
            if change < 0 {
                holders.retain(|&other| other != at);
                continue;
            }
            holders.push(at);
            if holders.len() > permits as usize {
                holders.reverse();
                return Err(Fast::invalid(
                    "{} succeeded while {} and what followed it still held all there is",
                    holders,
                ));
            }
        }
        Ok(())
    }
}

/// Finds all holds; or says why none is legal, or none without search.
fn holds(lock: Lock, ops: &[Op<Act>], watch: &mut Watch<'_>) -> Result<Holds, Fast> {
    let mut processes: HashMap<u64, Process> = HashMap::new();
    let mut moment = vec![None; ops.len()];
    let mut changes = Vec::new();
    for (at, op) in ops.iter().enumerate().filter(|(_, op)| op.fate != Fate::Fail) {
        watch.step()?;
        let (Act::Acquire(process) | Act::Release(process)) = op.act;
        let process = processes.entry(process).or_default();
        if op.inv < process.until {
            return Err(Fast::Unsuited("a process went on after an operation of unknown outcome"));
        }
        process.until = op.res;
        let outermost = |depth: usize| lock != Lock::Reentrant || depth == 0;
        match (op.act, op.fate) {
            (Act::Acquire(_), Fate::Ok) => {
                if outermost(process.holds.len()) {
                    changes.push((op.res, 1, at));
                }
                process.holds.push(at);
                moment[at] = Some(op.res);
            }
            (Act::Acquire(_), _) => {}
            (Act::Release(_), fate) => match process.holds.pop() {
                Some(hold) => {
                    if outermost(process.holds.len()) {
                        changes.push((op.inv, -1, hold));
                    }
                    moment[at] = Some(op.inv);
                }
                None if fate == Fate::Ok => {
                    return Err(Fast::invalid("{} gave back what its process did not hold", [at]));
                }
                None => {}
            },
        }
    }
    changes.sort_unstable();
    Ok(Holds { changes, moment })
}

#[derive(Default)]
struct Process {
    /// The acquires of what it has.
    holds: Vec<usize>,
    /// Where its last operation returned.
    until: Pos,
}

/// What an operation on any lock does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// It begins a hold.
    Acquire,
    /// It ends one.
    Release,
}

/// The least that can be left out of a history of a lock, whose operations are given with their processes: an acquire
/// with its release, which is the one that gives back what was taken last. A legal order without a hold is legal.
/// Where a process went on after an operation of unknown outcome nobody can say which release ends which hold: what
/// it held then and did from there on goes as one.
pub(super) fn units(turns: impl Iterator<Item = (u64, Turn, Fate)>) -> Vec<Group> {
    let mut owners: HashMap<u64, Owner> = HashMap::new();
    let mut units: Vec<Group> = Vec::new();
    for (at, (process, turn, fate)) in turns.enumerate() {
        units.push(Group::Alone);
        if fate == Fate::Fail {
            continue;
        }
        let owner = owners.entry(process).or_default();
        if let Some(rest) = owner.unknown {
            owner.holds.drain(..).for_each(|hold| units[hold] = rest);
            units[at] = rest;
            continue;
        }
        let hold = if turn == Turn::Release { owner.holds.pop() } else { None };
        units[at] = Group::With(hold.unwrap_or(at) as u64);
        match (turn, fate) {
            (_, Fate::Info) => owner.unknown = Some(units[at]),
            (Turn::Acquire, _) => owner.holds.push(at),
            (Turn::Release, _) => {}
        }
    }
    units
}

#[derive(Default)]
struct Owner {
    /// The acquires of what it has.
    holds: Vec<usize>,
    /// The unit of its operation of unknown outcome.
    unknown: Option<Group>,
}
