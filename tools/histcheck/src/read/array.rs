//! A history as one JSON array of objects, as elle-cli takes it.

use breakit::exit::Result;
use breakit::op::Op;
use serde_json::Value;

use super::text::{Item, Take, Text};

/// Takes all events.
///
/// # Errors
/// 65 with line and column for what is no event, and whatever `take` says.
pub fn each(text: &Text<'_>, take: Take<'_>) -> Result<()> {
    let mut at = blank(text.bytes, 0);
    if text.bytes.get(at) != Some(&b'[') {
        return Err(text.error(at, "not JSON: the array does not begin with ["));
    }
    at = blank(text.bytes, at + 1);
    if text.bytes.get(at) == Some(&b']') {
        return nothing_follows(text, at + 1);
    }
    loop {
        let mut values =
            serde_json::Deserializer::from_slice(&text.bytes[at..]).into_iter::<Value>();
        let value = match values.next() {
            Some(Ok(value)) => value,
            Some(Err(error)) if !error.is_eof() => {
                let wrong = at + offset(&text.bytes[at..], &error);
                return Err(text.error(wrong, &clause(&error)));
            }
            _ => {
                return text.cut(
                    at,
                    text.bytes.len(),
                    "not JSON: the text ends within its array",
                    take,
                );
            }
        };
        let end = blank(text.bytes, at + values.byte_offset());
        let op = Op::of(value).map_err(|clause| text.error(at, &clause))?;
        take(text.place(at).0, Item::Op(Box::new(op)))?;
        match text.bytes.get(end) {
            Some(b',') => at = blank(text.bytes, end + 1),
            Some(b']') => return nothing_follows(text, end + 1),
            None => return text.cut(end, end, "not JSON: the text ends within its array", take),
            Some(_) => return Err(text.error(end, "not JSON: expected , or ]")),
        }
    }
}

fn nothing_follows(text: &Text<'_>, at: usize) -> Result<()> {
    match blank(text.bytes, at) {
        end if end == text.bytes.len() => Ok(()),
        end => Err(text.error(end, "something follows the array of events")),
    }
}

fn blank(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    at + rest.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(rest.len())
}

/// Where an error is, from the line and the column that it tells.
fn offset(bytes: &[u8], error: &serde_json::Error) -> usize {
    let before: usize =
        bytes.split_inclusive(|&byte| byte == b'\n').take(error.line() - 1).map(<[u8]>::len).sum();
    (before + error.column().saturating_sub(1)).min(bytes.len())
}

fn clause(error: &serde_json::Error) -> String {
    let text = error.to_string();
    format!("not JSON: {}", text.split(" at line ").next().unwrap_or(&text))
}
