//! A history in EDN: maps one after the other, or in one vector or list.
//!
//! An event without `:f` is a transaction (`txn`), as Elle has it, and one without `:process`, or with nil, is
//! of process 0: such histories are written by hand, one operation after the other.

use breakit::exit::Result;
use breakit::op::Op;
use serde_json::Value;

use super::edn::{self, Reader, Wrong};
use super::text::{Item, Take, Text};

/// Takes all events.
///
/// # Errors
/// 65 with line and column for what is no event, and whatever `take` says.
pub fn each(text: &Text<'_>, take: Take<'_>) -> Result<()> {
    let mut reader = Reader::new(text.bytes);
    let said = |wrong: &Wrong| text.error(wrong.at, &format!("not EDN: {}", wrong.clause));
    let close = match reader.peek().map_err(|wrong| said(&wrong))? {
        Some(b'[') => Some(b']'),
        Some(b'(') => Some(b')'),
        _ => None,
    };
    if close.is_some() {
        reader.pass();
    }
    loop {
        let next = reader.peek().map_err(|wrong| said(&wrong))?;
        let began = reader.at();
        match next {
            None if close.is_some() => {
                return text.cut(began, began, "not EDN: the text ends within its vector", take);
            }
            None => return Ok(()),
            Some(byte) if Some(byte) == close => {
                reader.pass();
                return nothing_follows(text, &mut reader);
            }
            Some(_) => {}
        }
        let form = match reader.next_form() {
            Ok(form) => form,
            Err(wrong) if wrong.cut => {
                return text.cut(began, wrong.at, &format!("not EDN: {}", wrong.clause), take);
            }
            Err(wrong) => return Err(said(&wrong)),
        };
        let op = event(form).map_err(|clause| text.error(began, &clause))?;
        take(text.place(began).0, Item::Op(Box::new(op)))?;
    }
}

fn nothing_follows(text: &Text<'_>, reader: &mut Reader<'_>) -> Result<()> {
    match reader.peek() {
        Ok(None) => Ok(()),
        _ => Err(text.error(reader.at(), "something follows the vector of events")),
    }
}

/// An event from its map.
fn event(form: Value) -> std::result::Result<Op, String> {
    let Value::Object(mut fields) = form else {
        return Err(format!("an event must be a map, not {form}"));
    };
    for name in ["type", "f", "process", "node"] {
        let word = fields.get(name).and_then(edn::keyword).map(Value::from);
        if let (Some(word), Some(field)) = (word, fields.get_mut(name)) {
            *field = word;
        }
    }
    if !fields.contains_key("f") && fields.get("value").is_some_and(Value::is_array) {
        fields.insert("f".into(), "txn".into());
    }
    if fields.get("process").is_none_or(Value::is_null) {
        fields.insert("process".into(), 0.into());
    }
    Op::of(Value::Object(fields))
}

/// An event as a map on one line.
pub fn line(op: &Op) -> String {
    let word =
        |word: &str| Value::Object([("#keyword".to_string(), word.into())].into_iter().collect());
    let mut fields = match serde_json::from_str(&op.line()) {
        Ok(Value::Object(fields)) => fields,
        // A line of ours is an object.
        _ => return String::new(),
    };
    for name in ["type", "f", "process"] {
        if let Some(Value::String(text)) = fields.get(name) {
            let keyword = word(text);
            fields.insert(name.into(), keyword);
        }
    }
    let mut out = String::new();
    edn::write(&Value::Object(fields), &mut out);
    out
}
