//! A line to an event, by `serde_json` and the shared library: right for every line that there can be.

use breakit::json::{self, Json};
use breakit::natural::{is_minus_one, natural};
use breakit::op::{Op, Wrong};
use serde_json::Value;

use super::clause::{At, Clause};
use super::event::Event;
use crate::history::History;

/// What a line is.
#[derive(Debug)]
pub enum Parsed {
    /// A client's.
    Client(Event),
    /// Of a process that is a word and no client, as far as is known by then.
    Other(Box<Op>),
}

/// Reads a line; its values and words are interned in `history`.
///
/// # Errors
/// What is wrong with it.
pub fn parse(text: &[u8], history: &mut History) -> Result<Parsed, Clause> {
    Ok(of(Op::of(json(text)?)?, history)?)
}

/// A line as JSON.
///
/// # Errors
/// Where it is none.
pub fn json(text: &[u8]) -> Result<Value, Clause> {
    match serde_json::from_slice(text) {
        Ok(Json(value)) => Ok(value),
        Err(error) => {
            let at = At::Column(json::place(text, &error) + 1);
            let is_cut = error.is_eof() || ends_within_a_character(text);
            Err(Clause { text: json::clause(&error), at, is_cut })
        }
    }
}

fn ends_within_a_character(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_err_and(|error| error.error_len().is_none())
}

/// The event of a line that is read already.
///
/// # Errors
/// What is wrong with it.
pub fn of(op: Op, history: &mut History) -> Result<Parsed, Wrong> {
    match history.clients.number(&op.process, op.kind) {
        None => Ok(Parsed::Other(Box::new(op))),
        Some(process) => client(process, &op, history).map(Parsed::Client),
    }
}

/// Whether a field that is passed over by whoever does not know it has a meaning: the readers made for speed leave its
/// event to this one.
pub fn is_meant(name: &[u8]) -> bool {
    let is_time = |(begin, end): &(&str, &str)| name == begin.as_bytes() || name == end.as_bytes();
    matches!(name, b"index" | b"final" | b"final?") || super::span_names::NAMES.iter().any(is_time)
}

fn client(process: u64, op: &Op, history: &mut History) -> Result<Event, Wrong> {
    let index =
        match op.extra.get("index") {
            None | Some(Value::Null) => None,
            Some(value) if is_minus_one(value) => None,
            Some(value) => Some(natural(value).ok_or_else(|| {
                Wrong::of("index", format!("must be a whole number, not {value}"))
            })?),
        };
    let is_final = is_final(op)?;
    let f = word(&op.f, &mut history.words)?;
    let values = &mut history.values;
    Ok(Event {
        process,
        kind: op.kind,
        f,
        key: op.key.as_ref().map(|key| values.intern(key)),
        value: op.value.as_ref().map(|value| values.intern(value)),
        node: op.node.as_ref().map(|node| values.intern(&Value::from(node.as_str()))),
        is_final,
        time: op.time,
        index,
    })
}

/// Whether the line is of a read that ends a run: `workload` writes `final`, Maelstrom `final?`.
fn is_final(op: &Op) -> Result<bool, Wrong> {
    for name in ["final", "final?"] {
        match op.extra.get(name) {
            None | Some(Value::Null | Value::Bool(false)) => {}
            Some(Value::Bool(true)) => return Ok(true),
            Some(value) => {
                return Err(Wrong::of(name, format!("must be true or false, not {value}")));
            }
        }
    }
    Ok(false)
}

/// The place of a word; a history has a handful of them.
///
/// # Errors
/// Where it has too many.
pub fn word(word: &str, words: &mut Vec<String>) -> Result<u16, Wrong> {
    let at = words.iter().position(|known| known == word).unwrap_or_else(|| {
        words.push(word.to_string());
        words.len() - 1
    });
    // Looking a word up takes as long as there are words: an "f" that is different on every line is an error.
    if at > 1000 {
        return Err(Wrong::of("f", "has more than 1,000 different words; it names operations"));
    }
    Ok(at as u16)
}
