//! A sequential object: what its operations do to one copy, one after the other, and how histories of it are
//! decided without search where that is possible.

use std::fmt::{self, Debug, Display, Formatter};
use std::hash::Hash;

use super::op::{Fate, Op};
use crate::budget::{Budget, Exhausted};
use crate::history::OPEN;
use crate::values::{Id, Values};

/// An operation of a history, as an object reads it.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// Its name.
    pub word: &'a str,
    /// The result where there is one, else the argument.
    pub value: Option<Id>,
    /// Whether it happened.
    pub fate: Fate,
    /// Who called it.
    pub process: u64,
    /// What the ids stand for.
    pub values: &'a Values,
}

/// What an operation does; `None` for one that can neither matter nor be seen.
pub type Read<A> = Result<Option<A>, Misread>;

/// Why an object cannot take an operation of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Misread {
    /// It has no operation of this name: a clause that goes on after file and line.
    Name(String),
    /// The operation cannot have this value: such a clause, too.
    Value(String),
}

impl Misread {
    /// That a model has no operation of the call's name.
    pub fn name(model: &str, call: &Call<'_>) -> Misread {
        Misread::Name(format!("the model {model} has no operation {:?}", call.word))
    }

    /// The field of the history that is wrong.
    pub fn field(&self) -> &'static str {
        match self {
            Misread::Name(_) => "f",
            Misread::Value(_) => "value",
        }
    }
}

impl Display for Misread {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (Misread::Name(clause) | Misread::Value(clause)) = self;
        f.write_str(clause)
    }
}

impl From<String> for Misread {
    fn from(clause: String) -> Misread {
        Misread::Value(clause)
    }
}

impl From<&str> for Misread {
    fn from(clause: &str) -> Misread {
        Misread::Value(clause.into())
    }
}

/// Why no legal order exists: a sentence in which each `{}` is an operation, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The sentence.
    pub text: &'static str,
    /// The operations in it, by their index.
    pub ops: Vec<usize>,
    /// Whether it says that no operation had the effect that one of them saw. In a part of a history that lacks a later
    /// operation with that effect, this would be no reason for the whole.
    pub lacks_cause: bool,
}

/// What an algorithm without search says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fast {
    /// A legal order exists.
    Valid,
    /// None does.
    Invalid(Reason),
    /// It is not exact on this history, for this reason; the search must decide.
    Unsuited(&'static str),
    /// A limit was reached.
    Exhausted(Exhausted),
}

impl From<Exhausted> for Fast {
    fn from(limit: Exhausted) -> Fast {
        Fast::Exhausted(limit)
    }
}

impl Fast {
    /// Invalid because of these operations.
    pub fn invalid(text: &'static str, ops: impl Into<Vec<usize>>) -> Fast {
        Fast::Invalid(Reason { text, ops: ops.into(), lacks_cause: false })
    }

    /// Invalid because no operation had the effect that one of these saw.
    pub fn without_cause(text: &'static str, ops: impl Into<Vec<usize>>) -> Fast {
        Fast::Invalid(Reason { text, ops: ops.into(), lacks_cause: true })
    }
}

/// With what an operation can be left out, so that every legal order stays legal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Group {
    /// It can be left out alone.
    Alone,
    /// Together with all others of this number.
    With(u64),
    /// Alone; and it must be where those of this number are.
    RestsOn(u64),
    /// Never.
    Needed,
}

/// Whether an operation can stay where another is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rests {
    /// It can.
    Not,
    /// It cannot, unless it had ended before the other began.
    IfLater,
    /// It cannot, whenever it was: it names what the other did.
    Always,
    /// The two do not say; the least that goes together is a [`Group`].
    ByGroup,
}

impl Rests {
    /// Always where one names what the other did, else not.
    pub fn always_if(names: bool) -> Rests {
        if names { Rests::Always } else { Rests::Not }
    }

    /// Unless it had ended before the other began, where it would have seen it; else not.
    pub fn later_if(sees: bool) -> Rests {
        if sees { Rests::IfLater } else { Rests::Not }
    }
}

/// An object with one copy and no concurrency.
pub trait Object: Sync {
    /// What an operation does, with its result.
    type Act: Clone + PartialEq + Eq + Hash + Debug + Send + Sync;
    /// What one copy holds.
    type State: Clone + Eq + Hash + Debug;

    /// What an operation of a history does.
    ///
    /// # Errors
    /// What is wrong with it.
    fn act(&self, call: &Call<'_>) -> Read<Self::Act>;

    /// The operation as engines take it, which ends only if it happened; `None` where it can neither matter nor
    /// be seen.
    fn kept(&self, op: Op<Self::Act>) -> Option<Op<Self::Act>> {
        let matters = op.fate == Fate::Ok || !self.is_read(&op.act);
        let res = if op.fate == Fate::Ok { op.res } else { OPEN };
        matters.then_some(Op { res, ..op })
    }

    /// What it holds before the first operation.
    fn initial(&self) -> Self::State;

    /// Adds to `next` each state that `act` may leave behind; none where it cannot happen on `state`.
    fn step(&self, state: &Self::State, act: &Self::Act, next: &mut Vec<Self::State>);

    /// Whether `act`, of unknown outcome, may also have found nothing to do on `state`. The search need not try that.
    fn may_idle(&self, _state: &Self::State, _act: &Self::Act) -> bool {
        false
    }

    /// The acts of an order, each that has several outcomes as the one that hinders the others least, as far as that
    /// can be said: who goes through the order has fewer states to think of then. `None` where nothing is said.
    fn settled(&self, _order: &[&Self::Act]) -> Option<Vec<Self::Act>> {
        None
    }

    /// Whether it leaves every state as it is. Then it may take effect as soon as it can.
    fn is_read(&self, act: &Self::Act) -> bool;

    /// Whether an ok one says something about the state: without any such there is nothing to check.
    fn observes(&self, _act: &Self::Act) -> bool {
        true
    }

    /// Whether `act`, of unknown outcome, may have taken something that nobody else did, whatever that was.
    fn may_take_any(&self, _act: &Self::Act) -> bool {
        false
    }

    /// Which info operations can be of use. To leave the others out of a legal order must leave a legal order.
    fn useful(&self, ops: &[Op<Self::Act>]) -> Vec<bool> {
        vec![true; ops.len()]
    }

    /// Whether an info operation that leaves `after` behind may be of use to `act`. Where it is of use to
    /// nothing that is open it may as well take effect later.
    fn prompts(&self, _after: &Self::State, _act: &Self::Act) -> bool {
        true
    }

    /// Whether the search may first take the supply of info operations for endless: the states must stay few then.
    fn is_bounded(&self) -> bool {
        false
    }

    /// What must be left out together, so that whatever legal order there was stays one.
    fn groups(&self, ops: &[Op<Self::Act>]) -> Vec<Group> {
        let group = |op: &Op<Self::Act>| match self.is_read(&op.act) {
            true => Group::Alone,
            false => Group::Needed,
        };
        ops.iter().map(group).collect()
    }

    /// Which operations can be left out alone because the others convict for the same reason: of three that took what
    /// was put once, any two do.
    fn spare(&self, ops: &[Op<Self::Act>]) -> Vec<bool> {
        vec![false; ops.len()]
    }

    /// Whether an operation that changes something can be left out only together with this other one, which may have
    /// seen it: a legal order without both must be legal. By default with all that did not end before.
    fn rests_on(&self, _observer: &Self::Act, _writer: &Self::Act) -> Rests {
        Rests::IfLater
    }

    /// What the algorithm of [`Object::decide`] is called in reports.
    fn engine(&self) -> &'static str {
        "general"
    }

    /// Decides without search.
    fn decide(&self, _ops: &[Op<Self::Act>], _budget: &Budget) -> Fast {
        Fast::Unsuited("this model is always decided by search")
    }

    /// A legal order of all ok operations and of the info operations that must have happened, without search.
    /// Asked only where [`Object::decide`] said valid; `None` where a limit was reached, too.
    fn order(&self, _ops: &[Op<Self::Act>], _budget: &Budget) -> Option<Vec<usize>> {
        None
    }
}
