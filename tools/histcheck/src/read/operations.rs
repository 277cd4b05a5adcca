//! JSON in which an object is a whole operation, with the times at which it began and ended: one a line, or in an
//! array. It is read as a table whose rows are operations.

use breakit::exit::Result;
use breakit::json::{self, Json};
use breakit::op::Wrong;
use serde_json::Value;

use super::array::next_byte;
use super::format::{self, Events, Likeness};
use super::source_span::Form;
use super::span_names::NAMES;
use super::spans::{self, Span};
use super::text::{Quick, Take, Text};

/// The format.
pub const OPERATIONS: format::Kind = format::Kind {
    name: "operations",
    doc: "One JSON object an operation, with the times at which it began and ended",
    unit: "object",
    has_real_time: true,
    is_process_optional: false,
    looks: |head| Likeness::Surely.only_if(is_first(head.text)),
    events: Events::InText(each),
    written: None,
};

/// Whether the first object of a text is a whole operation: it has the time of a beginning and is no invocation.
pub fn is_first(text: &[u8]) -> bool {
    let begun = text.strip_prefix(b"[").unwrap_or(text);
    // Most histories have nothing of it, and need not be read for that.
    if !NAMES.iter().any(|(begin, _)| mentions(begun, begin)) {
        return false;
    }
    let first = serde_json::Deserializer::from_slice(begun).into_iter::<Json>().next();
    let Some(Ok(Json(Value::Object(fields)))) = first else { return false };
    spans::is_whole(|name| fields.get(name))
}

fn mentions(text: &[u8], name: &str) -> bool {
    let quoted = format!("\"{name}\"");
    memchr::memmem::find(text, quoted.as_bytes()).is_some()
}

/// Takes all events.
///
/// # Errors
/// 65 with line and column for what is no operation, and whatever `take` says.
pub fn each(text: &mut Text<'_>, _: Quick<'_>, take: Take<'_>) -> Result<()> {
    let mut all = Vec::new();
    let is_array = next_byte(text)? == Some(b'[');
    if is_array {
        text.pass(1);
    }
    loop {
        match next_byte(text)? {
            Some(b',') if is_array => text.pass(1),
            Some(b']') if is_array => {
                text.pass(1);
                break;
            }
            Some(_) => match object(text, all.len() as u32 + 1)? {
                Some(span) => all.push(span),
                None => {
                    text.cut(text.rest().len(), "not JSON: the text ends within an object", take)?;
                    break;
                }
            },
            None if is_array => {
                text.unclosed("not JSON: the text ends within its array", take)?;
                break;
            }
            None => break,
        }
    }
    if is_array && next_byte(text)?.is_some() {
        return Err(text.error(0, "something follows the array of operations"));
    }
    spans::each(text.name(), Form::Object, all, take)
}

/// The operation at which the window begins, and moves behind it; `None` where the text ends within it.
fn object(text: &mut Text<'_>, nth: u32) -> Result<Option<Span>> {
    loop {
        let rest = text.rest();
        let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<Json>();
        match values.next() {
            Some(Ok(Json(value))) if text.is_all() || values.byte_offset() < rest.len() => {
                let length = values.byte_offset();
                let site = text.site(length, Form::Object);
                let span = span(value).map_err(|wrong| site.error(text.name(), wrong))?;
                let (begin, end, op) = span;
                let span =
                    Span { begin, end, place: site.place, nth, row: rest[..length].into(), op };
                text.pass(length);
                return Ok(Some(span));
            }
            Some(Err(error)) if !error.is_eof() => {
                return Err(text.error(json::place(rest, &error), &json::clause(&error)));
            }
            _ if text.is_all() => return Ok(None),
            _ => text.more()?,
        }
    }
}

fn span(value: Value) -> std::result::Result<spans::Times, Wrong> {
    let Value::Object(fields) = value else {
        return Err(Wrong::whole("an operation must be a JSON object"));
    };
    spans::of_fields(fields.into_iter().map(|(name, value)| (name.into(), value)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_object_shows_whether_objects_are_whole_operations() {
        for whole in [
            r#"{"process":0,"f":"write","value":1,"start":0,"end":100}"#,
            r#"[{"process":0,"f":"write","start_time":0,"end_time":null}"#,
            r#"{"process":0,"f":"write","type":"ok","call":0,"return":100}"#,
            r#"{"process":0,"f":"write","invoke":5}"#,
        ] {
            assert!(is_first(whole.as_bytes()), "{whole}");
        }
        for other in [
            r#"{"process":0,"f":"start","type":"invoke","start":0,"end":100}"#,
            r#"{"process":0,"f":"start","type":"info","start":0}"#,
            r#"{"process":"workload","type":"info","f":"start","value":{"start":1,"end":2}}"#,
            r#"{"process":0,"f":"write","start":0"#,
            "[]",
            "start",
        ] {
            assert!(!is_first(other.as_bytes()), "{other}");
        }
    }
}
