//! What a client is asked to do, and what came of it.

use serde_json::{Value, json};

/// Something that a database can hold, or can do: a client supports some of these, a workload needs some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// Registers that are read and written.
    Registers,
    /// Registers that are set only if they hold an expected value.
    CompareAndSet,
    /// Sets to which elements are added.
    Sets,
}

impl Capability {
    /// All of them.
    pub const ALL: &'static [Capability] =
        &[Capability::Registers, Capability::CompareAndSet, Capability::Sets];

    /// Its name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Capability::Registers => "registers",
            Capability::CompareAndSet => "compare-and-set",
            Capability::Sets => "sets",
        }
    }

    /// Several names, with commas between them.
    pub fn list(capabilities: &[Capability]) -> String {
        capabilities.iter().map(|one| one.name()).collect::<Vec<_>>().join(", ")
    }
}

/// One operation, as the generator drew it.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// On the register of that number.
    Register(u64, RegisterAction),
    /// On the set of the run.
    Set(SetAction),
}

/// What is done to a register.
#[derive(Clone, Debug, PartialEq)]
pub enum RegisterAction {
    /// Reads it; null if it was never written.
    Read,
    /// Writes the value.
    Write(Value),
    /// Writes `new` if the register holds `expected`.
    CompareAndSet {
        /// The value that it must hold.
        expected: Value,
        /// The value that it then holds.
        new: Value,
    },
}

/// What is done to a set.
#[derive(Clone, Debug, PartialEq)]
pub enum SetAction {
    /// Reads all elements.
    Read,
    /// Adds the element.
    Add(Value),
}

impl Action {
    /// Its name on the lines of the history.
    pub fn f(&self) -> &'static str {
        match self {
            Action::Register(_, RegisterAction::Read) | Action::Set(SetAction::Read) => "read",
            Action::Register(_, RegisterAction::Write(_)) => "write",
            Action::Register(_, RegisterAction::CompareAndSet { .. }) => "cas",
            Action::Set(SetAction::Add(_)) => "add",
        }
    }

    /// Which of many independent objects it is about; `None` if there is only one.
    pub fn key(&self) -> Option<Value> {
        match self {
            Action::Register(key, _) => Some((*key).into()),
            Action::Set(_) => None,
        }
    }

    /// The value on its `invoke` line.
    pub fn value(&self) -> Value {
        match self {
            Action::Register(_, RegisterAction::Read) | Action::Set(SetAction::Read) => Value::Null,
            Action::Register(_, RegisterAction::Write(value))
            | Action::Set(SetAction::Add(value)) => value.clone(),
            Action::Register(_, RegisterAction::CompareAndSet { expected, new }) => {
                json!([expected, new])
            }
        }
    }

    /// What a client must support to carry it out.
    pub fn needs(&self) -> Capability {
        match self {
            Action::Register(_, RegisterAction::CompareAndSet { .. }) => Capability::CompareAndSet,
            Action::Register(..) => Capability::Registers,
            Action::Set(_) => Capability::Sets,
        }
    }

    /// Whether it changes nothing. Its answer then brings a value that the request does not have.
    pub fn is_read(&self) -> bool {
        matches!(self, Action::Register(_, RegisterAction::Read) | Action::Set(SetAction::Read))
    }

    /// The outcome of one that was carried out and has no answer but that.
    pub fn done(&self) -> Outcome {
        Outcome::Ok(self.value())
    }
}

/// What came of an action.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It happened; the value goes onto the `ok` line (a read's result, else the request's value).
    Ok(Value),
    /// It did not happen and never will, for this reason.
    Fail(String),
    /// It is not known whether it happened, for this reason. The client is dropped, and its process number is not
    /// used again.
    Info(String),
}
