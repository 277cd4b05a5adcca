//! Locks whose holders are known: `acquire` and `release` of a `mutex`, of a `reentrant-mutex`, which its holder
//! may acquire again, and of a `semaphore:N` with N permits. Who releases must hold.
//!
//! No search is needed, as a process has one operation open at a time: it surely holds from the return of an
//! acquire to the invocation of the release after it, and need not hold any longer. An order exists iff at no
//! moment more than one process, or N holds, surely hold. An acquire of unknown outcome need not have happened.

use std::collections::HashMap;

use crate::budget::{Budget, Watch};
use crate::history::Pos;
use crate::linear::object::{Call, Fast, Group, Object, Read};
use crate::linear::op::{Fate, Op};

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
            word => Err(format!("the model {} has no operation {word:?}", self.name())),
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
        match holds(*self, ops, &mut Budget::none().watch()) {
            Ok(holds) => holds.group,
            // Without one of its processes a lock's legal order stays legal.
            Err(_) => ops
                .iter()
                .map(|op| match op.act {
                    Act::Acquire(process) | Act::Release(process) => Group::With(process),
                })
                .collect(),
        }
    }

    fn engine(&self) -> &'static str {
        "holds"
    }

    fn decide(&self, ops: &[Op<Act>], budget: &Budget) -> Fast {
        let watch = &mut budget.watch();
        let crowd = |holds: Holds| holds.crowd(self.permits(), watch);
        holds(*self, ops, &mut budget.watch()).and_then(crowd).err().unwrap_or(Fast::Valid)
    }

    fn order(&self, ops: &[Op<Act>]) -> Option<Vec<usize>> {
        let holds = holds(*self, ops, &mut Budget::none().watch()).ok()?;
        let mut order: Vec<usize> =
            (0..ops.len()).filter(|&at| holds.moment[at].is_some()).collect();
        order.sort_unstable_by_key(|&at| holds.moment[at]);
        Some(order)
    }
}

/// When who surely holds.
struct Holds {
    /// The acquires that begin a hold and the releases that end one, by their moment.
    changes: Vec<(Pos, i32, usize)>,
    /// When each operation may take effect; none for one that did not.
    moment: Vec<Option<Pos>>,
    group: Vec<Group>,
}

impl Holds {
    /// Why more hold at once than may.
    fn crowd(&self, permits: u32, watch: &mut Watch<'_>) -> Result<(), Fast> {
        let mut holders: Vec<usize> = Vec::new();
        for &(_, change, at) in &self.changes {
            watch.steps(1 + holders.len())?;
            if change < 0 {
                let same = |&other: &usize| self.group[other] == self.group[at];
                holders.retain(|other| !same(other));
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
    let mut group = vec![Group::Alone; ops.len()];
    let mut moment = vec![None; ops.len()];
    let (mut changes, mut number) = (Vec::new(), 0);
    for (at, op) in ops.iter().enumerate().filter(|(_, op)| op.fate != Fate::Fail) {
        watch.step()?;
        let (Act::Acquire(process) | Act::Release(process)) = op.act;
        let process = processes.entry(process).or_default();
        if process.is_lost {
            return Err(Fast::Unsuited("a process went on after an operation of unknown outcome"));
        }
        process.is_lost = op.fate == Fate::Info;
        let outermost = |depth: usize| lock != Lock::Reentrant || depth == 0;
        match (op.act, op.fate) {
            (Act::Acquire(_), Fate::Ok) => {
                if outermost(process.holds.len()) {
                    number += 1;
                    changes.push((op.res, 1, at));
                }
                process.holds.push(number_of(lock, process, number));
                moment[at] = Some(op.res);
                group[at] = Group::With(process.holds.last().copied().unwrap_or(number));
            }
            (Act::Acquire(_), _) => {}
            (Act::Release(_), fate) => match process.holds.pop() {
                Some(hold) => {
                    if outermost(process.holds.len()) {
                        changes.push((op.inv, -1, at));
                    }
                    moment[at] = Some(op.inv);
                    group[at] = Group::With(hold);
                }
                None if fate == Fate::Ok => {
                    return Err(Fast::invalid("{} gave back what its process did not hold", [at]));
                }
                None => {}
            },
        }
    }
    changes.sort_unstable();
    Ok(Holds { changes, moment, group })
}

/// All that a reentrant hold encloses belongs to it.
fn number_of(lock: Lock, process: &Process, fresh: u64) -> u64 {
    match process.holds.first() {
        Some(&outer) if lock == Lock::Reentrant => outer,
        _ => fresh,
    }
}

#[derive(Default)]
struct Process {
    /// Those that it has, by their numbers.
    holds: Vec<u64>,
    /// Whether its last operation's outcome is unknown.
    is_lost: bool,
}
