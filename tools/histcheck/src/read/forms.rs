//! A history in EDN: maps one after the other, or in one vector or list.
//!
//! An event without `:process`, or with nil, is of process 0: such histories are written by hand, one operation after
//! the other. Where the first event is a whole operation, with the times at which it began and ended, all are, as in
//! [`operations`](super::operations).

use breakit::exit::Result;
use breakit::op::{self, Op};
use serde_json::Value;

use super::edn::{self, Fields, Reader, Wrong};
use super::format::{self, Events, Head, Likeness, Written};
use super::notation::Edn;
use super::plain::Notation;
use super::source_span::Form;
use super::spans::{self, Span, Times};
use super::text::{Item, Quick, Take, Text};

/// The format.
pub const EDN: format::Kind = format::Kind {
    name: "edn",
    doc: "EDN, as Jepsen, Knossos and Porcupine keep it: maps one after the other, or in one vector or list",
    unit: "form",
    has_real_time: true,
    is_process_optional: true,
    looks,
    events: Events::InText(each),
    written: Some(Written { header: String::new, event: line }),
};

fn looks(head: &Head<'_>) -> Likeness {
    let is_map = head.in_brace().is_some_and(|inside| match inside {
        [b'"' | b'}', ..] => false,
        [] => head.in_bracket().is_some(),
        _ => true,
    });
    let is_tagged = matches!(head.in_bracket().unwrap_or(head.text), [b'#' | b';', ..]);
    Likeness::Likely.only_if(is_map || is_tagged || head.text.starts_with(b"("))
}

/// Takes all events.
///
/// # Errors
/// 65 with line and column for what is no event, and whatever `take` and `quick` say.
pub fn each(text: &mut Text<'_>, quick: Quick<'_>, take: Take<'_>) -> Result<()> {
    let mut state = State { close: None, reads: Reads::First };
    let mut spans: Vec<Span> = Vec::new();
    loop {
        if let Reads::Events = state.reads {
            pass_blank(text);
            let quickly = quick(text.rest(), text.place(0), Form::Map)?;
            text.pass(quickly);
        }
        match step(text, &state)? {
            Step::Open(byte) => state = State { close: Some(byte), reads: Reads::FirstWithin },
            Step::Event(read, length) => {
                let site = text.site(length, Form::Map);
                match read.map_err(|wrong| site.error(text.name(), wrong))? {
                    Read::Event(op) => {
                        state.reads = Reads::Events;
                        take(site, Item::Op(op))?;
                    }
                    Read::Operation(times) => {
                        state.reads = Reads::Operations;
                        let (begin, end, op) = *times;
                        let (nth, row) = (spans.len() as u32 + 1, text.rest()[..length].into());
                        spans.push(Span { begin, end, place: site.place, nth, row, op });
                    }
                }
                text.pass(length);
            }
            Step::Close => {
                nothing_follows(text)?;
                break;
            }
            Step::End => {
                if state.close.is_some() {
                    text.unclosed("not EDN: the text ends within its vector", take)?;
                }
                break;
            }
            Step::Cut(wrong) => {
                text.cut(wrong.at, &format!("not EDN: {}", wrong.clause), take)?;
                break;
            }
        }
    }
    spans::each(text.name(), Form::Map, spans, take)
}

/// Where a reader is in a text.
struct State {
    /// What closes the vector or list around all events.
    close: Option<u8>,
    reads: Reads,
}

/// What the events of a text are, which the first of them shows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reads {
    /// Nothing was read yet.
    First,
    /// Nothing but a bracket.
    FirstWithin,
    /// Invocations and completions.
    Events,
    /// Whole operations.
    Operations,
}

/// What a map holds.
enum Read {
    Event(Box<Op>),
    Operation(Box<Times>),
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
    /// What a form holds, or why that is no event, with its length in bytes; the window begins with it.
    Event(std::result::Result<Read, op::Wrong>, usize),
    /// What closes it; it is passed.
    Close,
    /// Nothing.
    End,
    /// The text ends within a form.
    Cut(Wrong),
}

/// The next step; whatever may go on behind the window is looked at again in a wider one.
fn step(text: &mut Text<'_>, state: &State) -> Result<Step> {
    loop {
        match look(text, state)? {
            Some(step) => return Ok(step),
            None => text.more()?,
        }
    }
}

/// The next step; `None` where the window is too small to tell.
fn look(text: &mut Text<'_>, state: &State) -> Result<Option<Step>> {
    let may_open = state.reads == Reads::First;
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
        Some(byte) if Some(byte) == state.close => (Step::Close, began + 1),
        Some(_) => {
            let next = match reader.next_fields(&WORDS) {
                Some(fields) => Ok(read(fields, state.reads)),
                None => reader
                    .next_form()
                    .map(|form| fields_of(form).and_then(|fields| read(fields, state.reads))),
            };
            match next {
                // What ends with the window may go on behind it.
                Ok(_) if reader.at() == text.rest().len() && !text.is_all() => return Ok(None),
                Ok(read) => (Step::Event(read, reader.at() - began), began),
                Err(error) => return wrong(text, error),
            }
        }
    };
    text.pass(passed.1);
    Ok(Some(passed.0))
}

fn nothing_follows(text: &mut Text<'_>) -> Result<()> {
    match step(text, &State { close: None, reads: Reads::Events })? {
        Step::End => Ok(()),
        _ => Err(text.error(0, "something follows the vector of events")),
    }
}

/// The fields whose values are words: as keywords or as strings, they are the same.
const WORDS: [&str; 4] = ["type", "f", "process", "node"];

/// The fields of a map that is an event.
fn fields_of(form: Value) -> std::result::Result<Fields<'static>, op::Wrong> {
    if let Some(clause) = no_event(&form) {
        return Err(op::Wrong::whole(clause));
    }
    match form {
        Value::Object(fields) => {
            Ok(fields.into_iter().map(|(name, value)| (name.into(), value)).collect())
        }
        other => Err(op::Wrong::whole(format!("an event must be a map, not {other}"))),
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

/// What the fields of a map say.
fn read(mut fields: Fields<'_>, reads: Reads) -> std::result::Result<Read, op::Wrong> {
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
        return Err(op::Wrong::whole(
            "this is a verdict, as Jepsen's results.edn has it, and no history; give the history.edn \
             beside it",
        ));
    }
    let field =
        |wanted: &str| fields.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
    let is_whole = match reads {
        Reads::First | Reads::FirstWithin => spans::is_whole(field),
        Reads::Events => false,
        Reads::Operations => true,
    };
    match is_whole {
        true => spans::of_fields(fields).map(|times| Read::Operation(Box::new(times))),
        false => Op::of_fields(fields).map(|op| Read::Event(Box::new(op))),
    }
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
