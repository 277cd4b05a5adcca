//! What a model is: its name, its operations, and how the operations of one key become a case to decide.
//!
//! Each model has one [`Specification`], in the file of its object below `models/`. The command line, its help and
//! completions, the messages, the reading of histories and the tests take what they need to know from there.

use breakit::exit::Result;
use serde_json::Value;

use super::case::{Case, KeyOperations};

/// A sequential specification: the object that a history is compared with.
#[derive(Debug)]
pub struct Specification {
    /// Its name on the command line, without its parameter.
    pub name: &'static str,
    /// What it is, in one line.
    pub doc: &'static str,
    /// The operations that it has.
    pub operations: &'static [Operation],
    /// How `drain` is taken apart, if the object has such an operation.
    pub drain: Option<Drain>,
    /// The parts of the object that a value names, as `--initial` can name them, if it has such parts.
    pub names: Option<fn(&Value) -> Vec<String>>,
    /// How its histories are decided.
    pub decided: Decided,
}

/// A number in the name of a model, at least 1.
#[derive(Clone, Copy, Debug)]
pub struct NumberOf {
    /// What one of them is called.
    pub what: &'static str,
    /// A name with such a number and what it means, for the message.
    pub example: &'static str,
}

/// How the histories of a model are decided.
#[derive(Clone, Copy, Debug)]
pub enum Decided {
    /// As registers: by zones, by search over blocks, and while they grow.
    AsRegister {
        /// Whether the register has `cas`.
        has_cas: bool,
    },
    /// As any object. An error is one of the initial value or of an operation.
    AsObject(fn(&KeyOperations<'_>) -> Result<Box<dyn Case>>),
    /// As any object; a number follows the name of the model.
    AsObjectOf(NumberOf, fn(&KeyOperations<'_>, u32) -> Result<Box<dyn Case>>),
}

/// An operation of a model.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// Its name, the `f` of a history.
    pub word: &'static str,
    /// Whether it takes an argument.
    pub argument: Argument,
    /// Whether it changes the object.
    pub changes: bool,
}

/// Whether an operation takes an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    /// It must have one.
    Required {
        /// Whether the argument may be null.
        may_be_null: bool,
    },
    /// It may have one.
    Optional,
    /// It has none, or one that says nothing of what it does.
    None,
}

impl Operation {
    /// An operation that only asks.
    pub const fn query(word: &'static str) -> Operation {
        Operation { word, argument: Argument::None, changes: false }
    }

    /// An operation that changes the object and takes no argument.
    pub const fn change(word: &'static str) -> Operation {
        Operation { word, argument: Argument::None, changes: true }
    }

    /// The same operation with an argument that it must have, and that is not null.
    #[must_use]
    pub const fn of_argument(self) -> Operation {
        Operation { argument: Argument::Required { may_be_null: false }, ..self }
    }

    /// The same operation with an argument that it must have, and that may be null.
    #[must_use]
    pub const fn of_any_argument(self) -> Operation {
        Operation { argument: Argument::Required { may_be_null: true }, ..self }
    }

    /// The same operation with an argument that it may have.
    #[must_use]
    pub const fn of_optional_argument(self) -> Operation {
        Operation { argument: Argument::Optional, ..self }
    }
}

/// How a `drain` of a container is taken apart.
#[derive(Clone, Copy, Debug)]
pub struct Drain {
    /// The operation that takes one element.
    pub take: &'static str,
    /// Whether the order in which elements are taken says something.
    pub is_ordered: bool,
    /// A model that does not need the order, if there is one.
    pub unordered: Option<&'static str>,
}

impl Specification {
    /// A model whose histories are decided in this way, without name and operations.
    pub const fn decided(decided: Decided) -> Specification {
        let (name, doc) = ("", "");
        Specification { name, doc, operations: &[], drain: None, names: None, decided }
    }

    /// The number that its name takes, if it takes one.
    pub fn number(&self) -> Option<NumberOf> {
        match self.decided {
            Decided::AsObjectOf(number, _) => Some(number),
            Decided::AsRegister { .. } | Decided::AsObject(_) => None,
        }
    }

    /// The name as a user writes it: `semaphore:N`.
    pub fn form(&self) -> String {
        match self.number() {
            Some(_) => format!("{}:N", self.name),
            None => self.name.into(),
        }
    }
}
