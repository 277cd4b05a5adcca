//! A mutex whose `acquire` returns a fencing token, a whole number that grows with every hold; and `release`.
//!
//! The tokens are the order of the holds: no search, but one walk over them with the last invocation so far.

use std::collections::HashMap;

use super::lock::{Turn, units};
use crate::budget::{Budget, Watch};
use crate::history::{OPEN, Pos};
use crate::linear::object::{Call, Fast, Group, Misread, Object, Read, Rests};
use crate::linear::op::{Fate, Op};
use crate::linear::specification::{Decided, Operation, Specification};

/// The lock with tokens.
pub const MODELS: &[Specification] = &[Specification {
    name: "fenced-mutex",
    doc: "A lock whose acquire returns a token that grows: acquire, release",
    operations: &[Operation::change("acquire"), Operation::change("release")],
    ..Specification::decided(Decided::AsObject(|key| key.empty(FencedMutex)))
}];

/// A mutex with fencing tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FencedMutex;

/// What an operation does, and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Act {
    /// This process takes it, with this token where it is known.
    Acquire(u64, Option<i64>),
    /// This process, which holds it, gives it back.
    Release(u64),
}

impl Act {
    fn process(self) -> u64 {
        match self {
            Act::Acquire(process, _) | Act::Release(process) => process,
        }
    }
}

impl Object for FencedMutex {
    type Act = Act;
    /// Who holds it, and the last token.
    type State = (Option<u64>, Option<i64>);

    fn act(&self, call: &Call<'_>) -> Read<Act> {
        match (call.word, call.fate) {
            ("acquire", Fate::Ok) => {
                let token = call.value.and_then(|value| call.values.as_int(value));
                let token = token.ok_or("an ok acquire must say its token, a whole number")?;
                Ok(Some(Act::Acquire(call.process, Some(token))))
            }
            ("acquire", _) => Ok(Some(Act::Acquire(call.process, None))),
            ("release", _) => Ok(Some(Act::Release(call.process))),
            _ => Err(Misread::name("fenced-mutex", call)),
        }
    }

    fn initial(&self) -> Self::State {
        (None, None)
    }

    fn step(&self, &(holder, last): &Self::State, act: &Act, next: &mut Vec<Self::State>) {
        match *act {
            Act::Acquire(process, Some(token)) => {
                let grows = holder.is_none() && last.is_none_or(|last| last < token);
                next.extend(grows.then_some((Some(process), Some(token))));
            }
            // The least token that there can be hinders the least.
            Act::Acquire(process, None) if holder.is_none() => {
                let token = last.map_or(Some(i64::MIN), |last| last.checked_add(1));
                next.extend(token.map(|token| (Some(process), Some(token))));
            }
            Act::Acquire(_, None) => {}
            Act::Release(process) => next.extend((holder == Some(process)).then_some((None, last))),
        }
    }

    fn is_read(&self, _: &Act) -> bool {
        false
    }

    fn groups(&self, ops: &[Op<Act>]) -> Vec<Group> {
        units(ops.iter().map(|op| match op.act {
            Act::Acquire(process, _) => (process, Turn::Acquire, op.fate),
            Act::Release(process) => (process, Turn::Release, op.fate),
        }))
    }

    fn rests_on(&self, _: &Act, _: &Act) -> Rests {
        Rests::ByGroup
    }

    fn engine(&self) -> &'static str {
        "tokens"
    }

    fn decide(&self, ops: &[Op<Act>], budget: &Budget) -> Fast {
        let holds = match holds(ops, &mut budget.watch()) {
            Ok(holds) => holds,
            Err(answer) => return answer,
        };
        if let Some(pair) = holds.windows(2).find(|pair| pair[0].token == pair[1].token) {
            let two = [pair[0].acquire, pair[1].acquire];
            return Fast::invalid("{} and {} got the same token", two);
        }
        let mut last: (Pos, usize) = (0, 0);
        for hold in &holds {
            let members = || [Some(hold.acquire), hold.release].into_iter().flatten();
            for at in members() {
                if ops[at].res < last.0 {
                    return Fast::invalid(
                        "{} had ended before {}, whose token is less, gave back the lock",
                        [at, last.1],
                    );
                }
            }
            for at in members() {
                last = last.max((ops[at].inv, at));
            }
            if hold.release.is_none() {
                last = (OPEN, hold.acquire);
            }
        }
        Fast::Valid
    }

    fn order(&self, ops: &[Op<Act>], budget: &Budget) -> Option<Vec<usize>> {
        let holds = holds(ops, &mut budget.watch()).ok()?;
        let members = holds.iter().flat_map(|hold| [Some(hold.acquire), hold.release]);
        Some(members.flatten().collect())
    }
}

#[derive(Clone, Copy)]
struct Hold {
    token: i64,
    acquire: usize,
    release: Option<usize>,
}

/// All holds that surely were, by their tokens.
fn holds(ops: &[Op<Act>], watch: &mut Watch<'_>) -> Result<Vec<Hold>, Fast> {
    let mut holds: Vec<Hold> = Vec::new();
    let mut held: HashMap<u64, Option<usize>> = HashMap::new();
    let mut until: HashMap<u64, Pos> = HashMap::new();
    for (at, op) in ops.iter().enumerate().filter(|(_, op)| op.fate != Fate::Fail) {
        watch.step()?;
        let process = op.act.process();
        if until.insert(process, op.res).is_some_and(|until| op.inv < until) {
            return Err(Fast::Unsuited("a process went on after an operation of unknown outcome"));
        }
        match op.act {
            Act::Acquire(_, Some(token)) if op.fate == Fate::Ok => {
                held.insert(process, Some(holds.len()));
                holds.push(Hold { token, acquire: at, release: None });
            }
            Act::Acquire(..) => {}
            Act::Release(_) => match held.insert(process, None).flatten() {
                Some(hold) => holds[hold].release = Some(at),
                None if op.fate == Fate::Ok => {
                    return Err(Fast::invalid("{} gave back what its process did not hold", [at]));
                }
                None => {}
            },
        }
    }
    holds.sort_by_key(|hold| hold.token);
    Ok(holds)
}
