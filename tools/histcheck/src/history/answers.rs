//! Completions that carry another value than their invocation, of operations that do what their argument says.
//!
//! A client that keeps the database's reply writes `"OK"`, `true` or a new total where another repeats the argument.
//! The argument is what was sent, so it counts; but a client may also have learnt only from the reply what it wrote.
//! The history does not say which of the two it means. So a verdict is invalid only if it is invalid by both.

use crate::history::{History, Operations, Pos};
use crate::plural::many;
use crate::values::{Id, NULL, Renamed};

/// These change something, and their argument says what.
const SAY_WHAT: [&str; 9] =
    ["write", "cas", "append", "put", "enqueue", "push", "insert", "add", "remove"];
/// These count by one where they have no argument.
const COUNT: [&str; 2] = ["inc", "dec"];

/// What the argument of an operation named `word` says that it does; `None` where it is not the argument that does.
fn meant(word: &str, argument: Option<Id>) -> Option<Id> {
    match argument.filter(|&argument| argument != NULL) {
        Some(argument) if SAY_WHAT.contains(&word) || COUNT.contains(&word) => Some(argument),
        None if COUNT.contains(&word) => Some(Id::of_small(1)),
        _ => None,
    }
}

/// What the completion of an operation says of what it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// Its value is what the operation did, or what it found.
    Told,
    /// The argument says what it did, and this nothing else.
    Silent,
    /// The argument says one thing, and this another.
    Differs,
}

/// What the value of an ok completion is, of an operation named `word`.
pub fn reply(word: &str, argument: Option<Id>, result: Id) -> Reply {
    match meant(word, argument) {
        None => Reply::Told,
        Some(meant) if result == NULL || result == meant => Reply::Silent,
        Some(_) => Reply::Differs,
    }
}

/// The operations whose completion has a value of its own, with that value.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Answers {
    list: Vec<(u32, Id)>,
}

impl Answers {
    /// Takes the value of the completion of the operation at `index`.
    pub fn push(&mut self, index: usize, result: Id) {
        // There are fewer operations than lines, and these are counted in 31 bits.
        self.list.push((index as u32, result));
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none, as in nearly all histories.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether the completion of the operation at `index` has a value of its own.
    pub fn has(&self, index: usize) -> bool {
        self.list.iter().any(|&(answered, _)| answered as usize == index)
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.list.capacity() * size_of::<(u32, Id)>()
    }

    /// Puts those of a later part of the history behind ours, whose operations come after `rows` others.
    pub(crate) fn append(&mut self, part: Answers, rows: usize, values: &Renamed) {
        let theirs = part.list.into_iter();
        self.list.extend(theirs.map(|(index, id)| (index + rows as u32, values.id(id))));
    }

    /// Puts those from the one at `from` on in the order of their completions; `completed` says where each is.
    pub(crate) fn sort_from(&mut self, from: usize, completed: impl Fn(usize) -> Pos) {
        self.list[from..].sort_by_key(|&(index, _)| completed(index as usize));
    }

    /// Follows operations to other places: `places` has that of each.
    pub(crate) fn move_to(&mut self, places: &[u32]) {
        self.list.iter_mut().for_each(|(index, _)| *index = places[*index as usize]);
    }

    /// Exchanges what the operations have for a value with what is kept here: the history as its completions tell it,
    /// and as it was when this is called once more.
    pub fn exchange(&mut self, ops: &mut Operations) {
        for (index, kept) in &mut self.list {
            let value = ops.value(*index as usize);
            ops.set_value(*index as usize, Some(*kept));
            // An operation without any argument counts by one.
            *kept = value.unwrap_or(NULL);
        }
    }

    /// How many there are, and the lines and values of the first; `None` where there is none.
    pub fn sentence(&self, history: &History) -> Option<String> {
        let &(index, result) = self.list.first()?;
        let op = history.ops.get(index as usize);
        let argument = op.value.map_or("nothing".into(), |value| history.values.show(value));
        let completions = many(self.list.len() as u64, "completion");
        Some(format!(
            "{completions} with another value than the invocation: {} of line {} was invoked with {argument}, and \
             line {} completes it with {}",
            history.word(op.f),
            history.line(op.inv),
            history.line(op.res),
            history.values.show(result)
        ))
    }
}
