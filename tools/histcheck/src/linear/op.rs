//! An operation, as the engines see it: what it does, whether it happened, and when. What it does is a
//! register's [`Act`] unless another object says otherwise.

use crate::history::{OPEN, Pos};
use crate::values::Id;

/// What it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// Returned this value.
    Read(Id),
    /// Put this value.
    Write(Id),
    /// Found the first value and put the second in its place.
    Cas(Id, Id),
    /// Found another value than this.
    Differs(Id),
}

impl Act {
    /// The one value that the register must hold for it.
    pub fn observes(self) -> Option<Id> {
        match self {
            Act::Read(value) | Act::Cas(value, _) => Some(value),
            Act::Write(_) | Act::Differs(_) => None,
        }
    }

    /// The value that the register holds after it, where it puts one.
    pub fn puts(self) -> Option<Id> {
        match self {
            Act::Read(_) | Act::Differs(_) => None,
            Act::Write(value) | Act::Cas(_, value) => Some(value),
        }
    }

    /// The register after it; `None` where it cannot happen on `state`.
    pub fn step(self, state: Id) -> Option<Id> {
        match self.observes() {
            _ if self == Act::Differs(state) => None,
            Some(value) if value != state => None,
            _ => Some(self.puts().unwrap_or(state)),
        }
    }
}

/// Whether it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// Yes, between its invocation and its return.
    Ok,
    /// Perhaps, at any time after its invocation.
    Info,
    /// No. It is kept only to say who wrote a value that must not be there.
    Fail,
}

/// One operation of one key. No cas puts the value that it compares with: that is a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Op<A = Act> {
    /// What it does.
    pub act: A,
    /// Whether it happened.
    pub fate: Fate,
    /// Where it was invoked; at least 1.
    pub inv: Pos,
    /// Where it returned; [`OPEN`] unless it is [`Fate::Ok`].
    pub res: Pos,
    /// Which operation of the history it is.
    pub source: usize,
}

impl Op {
    /// The operation as engines take it; `None` for what can neither matter nor be seen: a read that did not
    /// return, a cas that would change nothing.
    pub fn new(act: Act, fate: Fate, inv: Pos, res: Pos, source: usize) -> Option<Op> {
        let act = match act {
            Act::Cas(from, to) if from == to => Act::Read(from),
            other => other,
        };
        let matters = fate == Fate::Ok || act.puts().is_some();
        let res = if fate == Fate::Ok { res } else { OPEN };
        matters.then_some(Op { act, fate, inv, res, source })
    }

    /// A compare-and-set as if it had not compared: it can do all that it could, and more.
    #[must_use]
    pub fn relaxed(self) -> Op {
        match self.act {
            Act::Cas(_, value) => Op { act: Act::Write(value), ..self },
            _ => self,
        }
    }
}

impl<A> Op<A> {
    /// The same operation, as if nobody knew what became of it: it can do all that it could, and more. What
    /// failed stays failed.
    #[must_use]
    pub fn weakened(self) -> Op<A> {
        match self.fate {
            Fate::Ok => Op { fate: Fate::Info, res: OPEN, ..self },
            Fate::Info | Fate::Fail => self,
        }
    }

    /// The same operation, if it returned, as if nobody knew when: it happened at some time after its invocation.
    #[must_use]
    pub fn whenever(self) -> Op<A> {
        match self.fate {
            // Later than every place, which are counted in 31 bits, and another for each operation.
            Fate::Ok => Op { res: OPEN - 1 - self.source as Pos, ..self },
            Fate::Info | Fate::Fail => self,
        }
    }

    /// Whether it happened, and nobody knows when it returned.
    pub fn is_whenever(&self) -> bool {
        self.fate == Fate::Ok && self.res > OPEN / 2
    }

    /// The same operation as evidence shows it: with its end, or as one whose end plays no part.
    #[must_use]
    pub fn shown(self) -> Op<A> {
        if self.is_whenever() { Op { res: OPEN, ..self } } else { self }
    }

    /// The same operation with something else in place of what it does.
    pub fn doing<B>(&self, act: B) -> Op<B> {
        Op { act, fate: self.fate, inv: self.inv, res: self.res, source: self.source }
    }
}
