//! A line of a client, its values and words as numbers.

use breakit::op::Type;

use crate::values::{Id, Values};

/// One line of a client.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Event {
    /// The client.
    pub process: u64,
    /// What the line says of the operation.
    pub kind: Type,
    /// The operation's name, by its place in [`crate::history::History::words`].
    pub f: u16,
    /// Which of many independent objects.
    pub key: Option<Id>,
    /// The argument or the result.
    pub value: Option<Id>,
    /// The node that the client talked to.
    pub node: Option<Id>,
    /// Whether it belongs to one of the reads that end a run.
    pub is_final: bool,
    /// Nanoseconds.
    pub time: Option<u64>,
    /// Its place in the order, where lines carry one.
    pub index: Option<u64>,
}

impl Event {
    /// `[key, value]` to key and value, as `--keyed` says. A completion without a value has those of its invocation.
    ///
    /// # Errors
    /// In words, where the value is no such pair.
    pub fn unwrap_key(&mut self, values: &Values) -> Result<(), String> {
        if self.key.is_some() {
            return Ok(());
        }
        match self.value.map(|value| (value, values.list(value))) {
            Some((_, Some(&[key, value]))) => {
                (self.key, self.value) = (Some(key), Some(value));
                Ok(())
            }
            Some((value, _)) => Err(format!(
                "with --keyed the value must be [key, value], not {}",
                values.show(value)
            )),
            None if self.kind != Type::Invoke => Ok(()),
            None => Err("with --keyed every operation has a value [key, value]".into()),
        }
    }
}
