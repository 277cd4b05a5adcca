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
pub fn each(text: &mut Text<'_>, take: Take<'_>) -> Result<()> {
    let mut close = None;
    let mut is_first = true;
    loop {
        let step = step(text, close, is_first)?;
        is_first = false;
        match step {
            Step::Open(byte) => close = Some(byte),
            Step::Event(form, length) => {
                let op = event(form).map_err(|clause| text.error(0, &clause))?;
                take(text.place(0), Item::Op(Box::new(op)))?;
                text.pass(length);
            }
            Step::Close => return nothing_follows(text),
            Step::End if close.is_some() => {
                return text.cut(0, 0, "not EDN: the text ends within its vector", take);
            }
            Step::End => return Ok(()),
            Step::Cut(wrong) => {
                return text.cut(0, wrong.at, &format!("not EDN: {}", wrong.clause), take);
            }
        }
    }
}

/// What comes next in the text.
enum Step {
    /// The bracket of a vector or list, by what closes it; it is passed.
    Open(u8),
    /// A form, with its length in bytes; the window begins with it.
    Event(Value, usize),
    /// What closes it; it is passed.
    Close,
    /// Nothing.
    End,
    /// The text ends within a form.
    Cut(Wrong),
}

/// The next step; whatever may go on behind the window is looked at again in a wider one.
fn step(text: &mut Text<'_>, close: Option<u8>, may_open: bool) -> Result<Step> {
    loop {
        match look(text, close, may_open)? {
            Some(step) => return Ok(step),
            None => text.more()?,
        }
    }
}

/// The next step; `None` where the window is too small to tell.
fn look(text: &mut Text<'_>, close: Option<u8>, may_open: bool) -> Result<Option<Step>> {
    let mut reader = Reader::new(text.rest());
    let wrong = |text: &Text<'_>, wrong: Wrong| match (wrong.cut, text.is_all()) {
        (true, false) => Ok(None),
        (true, true) => Ok(Some(Step::Cut(wrong))),
        (false, _) => Err(text.error(wrong.at, &format!("not EDN: {}", wrong.clause))),
    };
    let next = match reader.peek() {
        Ok(next) => next,
        Err(error) => return wrong(text, error),
    };
    let began = reader.at();
    let passed = match next {
        None if !text.is_all() => return Ok(None),
        None => (Step::End, began),
        Some(b'[') if may_open => (Step::Open(b']'), began + 1),
        Some(b'(') if may_open => (Step::Open(b')'), began + 1),
        Some(byte) if Some(byte) == close => (Step::Close, began + 1),
        Some(_) => match reader.next_form() {
            // What ends with the window may go on behind it.
            Ok(_) if reader.at() == text.rest().len() && !text.is_all() => return Ok(None),
            Ok(form) => (Step::Event(form, reader.at() - began), began),
            Err(error) => return wrong(text, error),
        },
    };
    text.pass(passed.1);
    Ok(Some(passed.0))
}

fn nothing_follows(text: &mut Text<'_>) -> Result<()> {
    match step(text, None, false)? {
        Step::End => Ok(()),
        _ => Err(text.error(0, "something follows the vector of events")),
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
