//! A history in EDN: maps one after the other, or in one vector or list.
//!
//! An event without `:process`, or with nil, is of process 0: such histories are written by hand, one operation after
//! the other.

use breakit::exit::Result;
use breakit::op::Op;
use serde_json::Value;

use super::edn::{self, Fields, Reader, Wrong};
use super::notation::{Edn, Notation};
use super::site::Form;
use super::text::{Item, Quick, Take, Text};

/// Takes all events.
///
/// # Errors
/// 65 with line and column for what is no event, and whatever `take` and `quick` say.
pub fn each(text: &mut Text<'_>, quick: Quick<'_>, take: Take<'_>) -> Result<()> {
    let mut close = None;
    let mut is_first = true;
    loop {
        if !is_first {
            pass_blank(text);
            let quickly = quick(text.rest(), text.place(0), Form::Map)?;
            text.pass(quickly);
        }
        let step = step(text, close, is_first)?;
        is_first = false;
        match step {
            Step::Open(byte) => close = Some(byte),
            Step::Event(op, length) => {
                let site = text.site(length, Form::Map);
                let op = op.map_err(|clause| site.error(text.name(), &clause))?;
                take(site, Item::Op(op))?;
                text.pass(length);
            }
            Step::Close => return nothing_follows(text),
            Step::End if close.is_some() => {
                return text.unclosed("not EDN: the text ends within its vector", take);
            }
            Step::End => return Ok(()),
            Step::Cut(wrong) => {
                return text.cut(wrong.at, &format!("not EDN: {}", wrong.clause), take);
            }
        }
    }
}

/// Passes what stands between two events, so far as it is in the window.
fn pass_blank(text: &mut Text<'_>) {
    let blank = text.rest().iter().take_while(|&&byte| Edn::is_blank(byte)).count();
    text.pass(blank);
}

/// What comes next in the text.
enum Step {
    /// The bracket of a vector or list, by what closes it; it is passed.
    Open(u8),
    /// An event, or why a form is none, with its length in bytes; the window begins with it.
    Event(std::result::Result<Box<Op>, String>, usize),
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
        Some(_) => {
            let read = match reader.next_fields(&WORDS) {
                Some(fields) => Ok(op(fields).map(Box::new)),
                None => reader.next_form().map(|form| event(form).map(Box::new)),
            };
            match read {
                // What ends with the window may go on behind it.
                Ok(_) if reader.at() == text.rest().len() && !text.is_all() => return Ok(None),
                Ok(op) => (Step::Event(op, reader.at() - began), began),
                Err(error) => return wrong(text, error),
            }
        }
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

/// The fields whose values are words: as keywords or as strings, they are the same.
const WORDS: [&str; 4] = ["type", "f", "process", "node"];

/// An event from its map.
fn event(form: Value) -> std::result::Result<Op, String> {
    if let Some(clause) = no_event(&form) {
        return Err(clause);
    }
    match form {
        Value::Object(fields) => {
            op(fields.into_iter().map(|(name, value)| (name.into(), value)).collect())
        }
        other => Err(format!("an event must be a map, not {other}")),
    }
}

/// What is wrong with a map that JSON cannot name the keys of, where an event should be.
fn no_event(form: &Value) -> Option<String> {
    match edn::tagged(form)? {
        ("map", _) => Some("the keys of an event must be keywords, as :type".into()),
        ("tagged", _) => Some("an event must be a map, not a tagged form".into()),
        (tag @ ("set" | "keyword" | "symbol" | "char" | "ratio" | "decimal"), _) => {
            Some(format!("an event must be a map, not a {tag}"))
        }
        _ => None,
    }
}

/// An event from its fields.
fn op(mut fields: Fields<'_>) -> std::result::Result<Op, String> {
    for (name, value) in &mut fields {
        if WORDS.contains(&name.as_ref())
            && let Some(word) = edn::keyword(value).map(Value::from)
        {
            *value = word;
        }
    }
    match fields.iter().position(|(name, _)| name == "process") {
        Some(at) if fields[at].1.is_null() => fields[at].1 = 0.into(),
        Some(_) => {}
        None => fields.push(("process".into(), 0.into())),
    }
    let has = |wanted: &str| fields.iter().any(|(name, _)| name == wanted);
    if has("valid?") && !has("type") {
        return Err("this is a verdict, as Jepsen's results.edn has it, and no history; give the history.edn \
                    beside it"
            .into());
    }
    Op::of_fields(fields)
}

/// An event as a map on one line.
///
/// # Errors
/// In words, where EDN cannot say it.
pub fn line(op: &Op) -> std::result::Result<String, String> {
    let word =
        |word: &str| Value::Object([("#keyword".to_string(), word.into())].into_iter().collect());
    let mut fields = op.fields();
    if fields.values().any(edn::is_ambiguous) {
        return Err(
            "a step that begins with {\"#keyword\":...} is read from EDN as one that begins \
                    with the plain word; write that"
                .into(),
        );
    }
    for name in ["type", "f", "process"] {
        if let Some(Value::String(text)) = fields.get(name) {
            let keyword = word(text);
            fields.insert(name.into(), keyword);
        }
    }
    let mut out = String::new();
    edn::write(&Value::Object(fields), &mut out);
    Ok(out)
}
