//! A history as one JSON array of objects, as elle-cli takes it, or as objects one after the other, as jq prints them.

use breakit::exit::Result;
use breakit::json::{self, Json};
use breakit::op::Op;

use super::format::{self, Events, Head, Likeness};
use super::source_span::Form;
use super::text::{Item, Quick, Take, Text};

/// The format.
pub const JSON: format::Kind = format::Kind {
    name: "json",
    doc: "One JSON array of objects, as elle-cli reads it, or objects over several lines, as jq prints them",
    unit: "object",
    has_real_time: true,
    is_process_optional: false,
    looks,
    events: Events::InText(each),
    written: None,
};

fn looks(head: &Head<'_>) -> Likeness {
    let is_object = matches!(head.in_brace(), Some([b'"' | b'}', ..]));
    Likeness::Likely.only_if(match head.in_bracket() {
        Some(inside) => is_object || inside.starts_with(b"]"),
        // An object that goes on behind its first line is one of many lines.
        None => matches!(head.in_brace(), Some([b'"', ..])) && head.line == b"{",
    })
}

/// Takes all events.
///
/// # Errors
/// 65 with line and column for what is no event, and whatever `take` and `quick` say.
pub fn each(text: &mut Text<'_>, quick: Quick<'_>, take: Take<'_>) -> Result<()> {
    match next_byte(text)? {
        Some(b'[') => text.pass(1),
        Some(b'{') => return objects(text, take),
        None => return text.unclosed(CUT, take),
        _ => return Err(text.error(0, "not JSON: the array does not begin with [")),
    }
    if next_byte(text)? == Some(b']') {
        return nothing_follows(text);
    }
    loop {
        if next_byte(text)?.is_none() {
            return text.unclosed(CUT, take);
        }
        let quickly = quick(text.rest(), text.place(0), Form::Object)?;
        if quickly > 0 {
            text.pass(quickly);
            continue;
        }
        if !event(text, take)? {
            return text.cut(text.rest().len(), CUT, take);
        }
        match next_byte(text)? {
            Some(b',') => text.pass(1),
            Some(b']') => return nothing_follows(text),
            None => return text.unclosed(CUT, take),
            Some(_) => return Err(text.error(0, "not JSON: expected , or ]")),
        }
    }
}

/// Takes objects that nothing separates.
fn objects(text: &mut Text<'_>, take: Take<'_>) -> Result<()> {
    while next_byte(text)?.is_some() {
        if !event(text, take)? {
            return text.cut(text.rest().len(), "not JSON: the text ends within an object", take);
        }
    }
    Ok(())
}

const CUT: &str = "not JSON: the text ends within its array";

/// Takes the event at which the window begins, and moves behind it; false where the text ends within it.
fn event(text: &mut Text<'_>, take: Take<'_>) -> Result<bool> {
    loop {
        let rest = text.rest();
        let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<Json>();
        match values.next() {
            // What ends with the window may go on behind it.
            Some(Ok(Json(value))) if text.is_all() || values.byte_offset() < rest.len() => {
                let end = values.byte_offset();
                let site = text.site(end, Form::Object);
                let op = Op::of(value).map_err(|wrong| site.error(text.name(), wrong))?;
                take(site, Item::Op(Box::new(op)))?;
                text.pass(end);
                return Ok(true);
            }
            Some(Err(error)) if !error.is_eof() => {
                return Err(text.error(json::place(rest, &error), &json::clause(&error)));
            }
            _ if text.is_all() => return Ok(false),
            _ => text.more()?,
        }
    }
}

/// The next byte that is not blank; the window then begins with it.
pub(super) fn next_byte(text: &mut Text<'_>) -> Result<Option<u8>> {
    loop {
        let rest = text.rest();
        match rest.iter().position(|byte| !byte.is_ascii_whitespace()) {
            Some(at) => {
                let byte = rest[at];
                text.pass(at);
                return Ok(Some(byte));
            }
            None if text.is_all() => {
                text.pass(rest.len());
                return Ok(None);
            }
            None => {
                text.pass(rest.len());
                text.more()?;
            }
        }
    }
}

fn nothing_follows(text: &mut Text<'_>) -> Result<()> {
    text.pass(1);
    match next_byte(text)? {
        None => Ok(()),
        Some(_) => Err(text.error(0, "something follows the array of events")),
    }
}
