//! A register: `read`, `write` and, as `cas-register`, `cas` with `[expected, new]`.

use std::collections::{HashMap, HashSet};

use super::object::{Call, Misread, Object, Read};
use super::op::{Act, Fate, Op};
use crate::values::{Id, NULL};

/// A register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Register {
    /// What it holds first.
    pub initial: Id,
    /// Whether it has `cas`.
    pub has_cas: bool,
    /// Whether a cas that failed says that the register held another value.
    pub fail_observes: bool,
}

impl Default for Register {
    fn default() -> Register {
        Register { initial: NULL, has_cas: true, fail_observes: false }
    }
}

impl Register {
    fn cas(&self, call: &Call<'_>) -> Read<Act> {
        let pair = match call.value {
            None if call.fate == Fate::Fail => return Ok(None),
            None => return Err("a cas has no value; it must be [expected, new]".into()),
            Some(value) => call.values.list(value).ok_or(value),
        };
        match pair {
            Ok(&[expected, _]) if call.fate == Fate::Fail && self.fail_observes => {
                Ok(Some(Act::Differs(expected)))
            }
            Ok(&[expected, new]) => Ok(Some(Act::Cas(expected, new))),
            Ok(_) | Err(_) => Err(format!(
                "the value of a cas must be [expected, new], not {}",
                call.value.map_or(String::new(), |value| call.values.show(value))
            )
            .into()),
        }
    }
}

impl Object for Register {
    type Act = Act;
    type State = Id;

    #[inline(always)]
    fn act(&self, call: &Call<'_>) -> Read<Act> {
        match (call.word, call.value) {
            ("read", Some(value)) => Ok(Some(Act::Read(value))),
            ("read", None) if call.fate != Fate::Ok => Ok(None),
            ("read", None) => {
                Err("an ok read says no value; write null for a register that is empty".into())
            }
            ("write", Some(value)) => Ok(Some(Act::Write(value))),
            ("write", None) if call.fate == Fate::Fail => Ok(None),
            ("write", None) => Err("a write has no value".into()),
            ("cas", _) if self.has_cas => self.cas(call),
            ("cas", _) => {
                let known = Misread::name("register", call);
                Err(Misread::Name(format!("{known}; take --model cas-register")))
            }
            _ => Err(Misread::name(if self.has_cas { "cas-register" } else { "register" }, call)),
        }
    }

    fn kept(&self, op: Op) -> Option<Op> {
        match op.act {
            // That it failed is what happened.
            Act::Differs(_) => Some(Op { fate: Fate::Ok, ..op }),
            act => Op::new(act, op.fate, op.inv, op.res, op.source),
        }
    }

    fn initial(&self) -> Id {
        self.initial
    }

    fn step(&self, &state: &Id, act: &Act, next: &mut Vec<Id>) {
        next.extend(act.step(state));
    }

    fn may_idle(&self, state: &Id, act: &Act) -> bool {
        matches!(act, Act::Cas(expected, _) if expected != state)
    }

    fn is_read(&self, act: &Act) -> bool {
        matches!(act, Act::Read(_) | Act::Differs(_))
    }

    fn observes(&self, act: &Act) -> bool {
        !matches!(act, Act::Write(_))
    }

    fn is_bounded(&self) -> bool {
        true
    }

    /// Those that put a value that something observes.
    fn useful(&self, ops: &[Op]) -> Vec<bool> {
        let differs = |op: &Op| matches!(op.act, Act::Differs(_));
        if ops.iter().any(differs) {
            return vec![true; ops.len()];
        }
        let mut observed: HashSet<Id> = HashSet::new();
        let mut putters: HashMap<Id, Vec<usize>> = HashMap::new();
        let mut work: Vec<Id> = Vec::new();
        for (index, op) in ops.iter().enumerate() {
            match (op.fate, op.act.observes(), op.act.puts()) {
                (Fate::Ok, Some(value), _) => work.push(value),
                (Fate::Info, _, Some(value)) => putters.entry(value).or_default().push(index),
                _ => {}
            }
        }
        let mut useful = vec![false; ops.len()];
        while let Some(value) = work.pop() {
            if !observed.insert(value) {
                continue;
            }
            for &index in putters.get(&value).into_iter().flatten() {
                useful[index] = true;
                work.extend(ops[index].act.observes());
            }
        }
        useful
    }

    fn prompts(&self, after: &Id, act: &Act) -> bool {
        match *act {
            Act::Differs(value) => value != *after,
            other => other.observes() == Some(*after),
        }
    }
}
