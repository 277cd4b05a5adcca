//! The keys of EDN's maps, as JSON can name them.

use rustc_hash::FxHashSet;
use serde_json::{Map, Value};

use super::{keyword, number, tag};

/// What stood in a map or a set so far, where all must be different: whether it is a name, and its text.
#[derive(Default)]
pub(super) struct Known(FxHashSet<(bool, String)>);

impl Known {
    pub(super) fn is_new(&mut self, item: &Value) -> bool {
        self.0.insert((false, item.to_string()))
    }

    pub(super) fn is_new_key(&mut self, key: &Key) -> bool {
        match key {
            Key::Name(name) => self.0.insert((true, name.clone())),
            Key::Other(key) => self.is_new(key),
        }
    }
}

/// The key of a map.
pub(super) enum Key {
    /// One that JSON can name.
    Name(String),
    /// Any other.
    Other(Value),
}

impl Key {
    pub(super) fn of(key: Value) -> Key {
        match name(&key) {
            Some(name) => Key::Name(name),
            None => Key::Other(key),
        }
    }

    /// The key as it was.
    fn value(self) -> Value {
        match self {
            Key::Name(name) if is_integer(&name) => number(&name),
            Key::Name(name) if is_keyword(&name) => tag("keyword", name),
            Key::Name(name) => Value::String(name),
            Key::Other(key) => key,
        }
    }
}

pub(super) fn object(entries: Vec<(Key, Value)>) -> Value {
    let mut fields = Map::with_capacity(entries.len());
    let mut entries = entries.into_iter();
    while let Some((key, value)) = entries.next() {
        match key {
            Key::Name(name) => drop(fields.insert(name, value)),
            // What JSON cannot say as an object is said as pairs, those from before too.
            Key::Other(_) => {
                let before = fields.into_iter().map(|(name, value)| (Key::Name(name), value));
                let all = before.chain([(key, value)]).chain(entries);
                let pairs = all.map(|(key, value)| Value::from(vec![key.value(), value]));
                return tag("map", pairs.collect::<Value>());
            }
        }
    }
    Value::Object(fields)
}

/// What a key is called in JSON, where [`write_name`] turns that back into the same key.
pub(super) fn name(key: &Value) -> Option<String> {
    if let Some(word) = keyword(key) {
        return (is_keyword(word) && !is_integer(word)).then(|| word.to_string());
    }
    match key {
        Value::Number(number) => Some(number.to_string()).filter(|text| is_integer(text)),
        Value::String(text) => (!is_keyword(text) && !is_integer(text)).then(|| text.clone()),
        _ => None,
    }
}

pub(super) fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain && text != "-0" && (digits == "0" || !digits.starts_with('0'))
}

pub(super) fn is_keyword(text: &str) -> bool {
    let inside = |char: char| char.is_ascii_alphanumeric() || ".*+!-_?$%&=<>/:#".contains(char);
    let first = text.chars().next();
    first.is_some_and(|first| first.is_ascii_alphanumeric() || ".*+!-_?$%&=<>/".contains(first))
        && text.chars().all(inside)
}
