//! A history as one JSON array of objects, as elle-cli takes it.

use breakit::exit::Result;
use breakit::json::Json;
use breakit::op::Op;

use super::text::{Item, Take, Text};

/// Takes all events.
///
/// # Errors
/// 65 with line and column for what is no event, and whatever `take` says.
pub fn each(text: &mut Text<'_>, take: Take<'_>) -> Result<()> {
    match next_byte(text)? {
        Some(b'[') => text.pass(1),
        None => return text.cut(0, 0, CUT, take),
        _ => return Err(text.error(0, "not JSON: the array does not begin with [")),
    }
    if next_byte(text)? == Some(b']') {
        return nothing_follows(text);
    }
    loop {
        if next_byte(text)?.is_none() || !event(text, take)? {
            return text.cut(0, text.rest().len(), CUT, take);
        }
        match next_byte(text)? {
            Some(b',') => text.pass(1),
            Some(b']') => return nothing_follows(text),
            None => return text.cut(0, 0, CUT, take),
            Some(_) => return Err(text.error(0, "not JSON: expected , or ]")),
        }
    }
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
                let op = Op::of(value).map_err(|clause| text.error(0, &clause))?;
                take(text.place(0), Item::Op(Box::new(op)))?;
                text.pass(end);
                return Ok(true);
            }
            Some(Err(error)) if !error.is_eof() => {
                return Err(text.error(offset(rest, &error), &clause(&error)));
            }
            _ if text.is_all() => return Ok(false),
            _ => text.more()?,
        }
    }
}

/// The next byte that is not blank; the window then begins with it.
fn next_byte(text: &mut Text<'_>) -> Result<Option<u8>> {
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

/// Where an error is, from the line and the column that it tells.
fn offset(bytes: &[u8], error: &serde_json::Error) -> usize {
    let before: usize =
        bytes.split_inclusive(|&byte| byte == b'\n').take(error.line() - 1).map(<[u8]>::len).sum();
    (before + error.column().saturating_sub(1)).min(bytes.len())
}

fn clause(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or(&text);
    let not_json = if error.is_data() { "" } else { "not JSON: " };
    format!("{not_json}{what}")
}
