//! JSON values to EDN, of which [`super::Reader`] makes the same values again.

use serde_json::{Map, Value};

use super::keys::{is_integer, is_keyword};
use super::{Reader, STEPS, keyword, tagged};

/// Writes a value as EDN.
pub fn write(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("nil"),
        Value::Bool(_) | Value::Number(_) => out.push_str(&value.to_string()),
        Value::String(text) => write_string(text, out),
        Value::Array(items) => write_all('[', items, ']', out),
        Value::Object(fields) => match tagged(value).and_then(|(name, value)| untag(name, value)) {
            Some(text) => out.push_str(&text),
            None => write_map(fields, out),
        },
    }
}

fn write_all(open: char, items: &[Value], close: char, out: &mut String) {
    out.push(open);
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(' ');
        }
        match open {
            // In a set there are no steps.
            '{' => write(item, out),
            _ => write_item(item, out),
        }
    }
    out.push(close);
}

/// An element of a vector, which may be the step of a transaction.
fn write_item(item: &Value, out: &mut String) {
    let Value::Array(step) = item else { return write(item, out) };
    let [word, key, value] = step.as_slice() else { return write_all('[', step, ']', out) };
    match (word.as_str().filter(|word| STEPS.contains(word)), step_string(word)) {
        (Some(word), _) => *out += &format!("[:{word}"),
        (None, Some(word)) => *out += &format!("[\"{word}\""),
        (None, None) => return write_all('[', step, ']', out),
    }
    for value in [key, value] {
        out.push(' ');
        write_item(value, out);
    }
    out.push(']');
}

/// The string in the place of a step's keyword.
fn step_string(value: &Value) -> Option<&str> {
    match tagged(value)? {
        ("string", word) => word.as_str().filter(|word| STEPS.contains(word)),
        _ => None,
    }
}

/// Whether a value has a keyword in a place where EDN's would be read as the plain word: `:r` that leads a step.
/// No EDN is read as that.
pub fn is_ambiguous(value: &Value) -> bool {
    let leads = |item: &Value| match item {
        Value::Array(step) if step.len() == 3 => {
            keyword(&step[0]).is_some_and(|word| STEPS.contains(&word))
        }
        _ => false,
    };
    match value {
        Value::Array(items) => items.iter().any(|item| leads(item) || is_ambiguous(item)),
        // In a set there are no steps.
        Value::Object(fields) => fields.iter().any(|(name, value)| match value {
            Value::Array(items) if name == "#set" && fields.len() == 1 => {
                items.iter().any(is_ambiguous)
            }
            other => is_ambiguous(other),
        }),
        _ => false,
    }
}

fn write_map(fields: &Map<String, Value>, out: &mut String) {
    out.push('{');
    for (at, (name, value)) in fields.iter().enumerate() {
        if at > 0 {
            out.push_str(", ");
        }
        write_name(name, out);
        out.push(' ');
        write(value, out);
    }
    out.push('}');
}

/// Writes the name of a field as the key that it stands for.
pub fn write_name(name: &str, out: &mut String) {
    match (is_integer(name), is_keyword(name)) {
        (true, _) => out.push_str(name),
        (false, true) => {
            out.push(':');
            out.push_str(name);
        }
        (false, false) => write_string(name, out),
    }
}

fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            other => out.push(other),
        }
    }
    out.push('"');
}

/// The EDN of a tagged value; `None` where it is an object that only looks like one.
fn untag(name: &str, value: &Value) -> Option<String> {
    let mut out = String::new();
    match (name, value) {
        ("keyword", Value::String(word)) => out = format!(":{word}"),
        ("char", Value::String(word)) => out = format!("\\{word}"),
        ("symbol" | "ratio" | "decimal", Value::String(word)) => out.clone_from(word),
        ("set", Value::Array(items)) => write_all('{', items, '}', &mut out),
        ("map", Value::Array(pairs)) => {
            let mut parts = Vec::new();
            for pair in pairs {
                let [key, value] = pair.as_array()?.as_slice() else { return None };
                let mut part = String::new();
                write(key, &mut part);
                part.push(' ');
                write(value, &mut part);
                parts.push(part);
            }
            out = format!("{{{}}}", parts.join(", "));
        }
        ("tagged", Value::Array(pair)) => {
            let [Value::String(name), value] = pair.as_slice() else { return None };
            out = format!("#{name} ");
            write(value, &mut out);
        }
        _ => return None,
    }
    if name == "set" {
        out.insert(0, '#');
    }
    // An object of the same look, whose text is no such form, stays an object.
    let mut reader = Reader::new(out.as_bytes());
    let back = reader.next_form().ok()?;
    let original = Map::from_iter([(format!("#{name}"), value.clone())]);
    let whole = reader.at() == out.len();
    (whole && back == Value::Object(original)).then_some(out)
}
