//! JSON in which no object names a field twice.
//!
//! `serde_json` lets the last one win. On a line of a history that would be an operation that nobody is told of.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// A value in which, however deep, no field stands twice.
#[derive(Debug, Clone, PartialEq)]
pub struct Json(pub Value);

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(Once).map(Json)
    }
}

/// The byte of `text`, from 0, of which an error of reading it tells: of a field that stands twice, `serde_json`
/// tells the end of its name, and here it is the beginning.
pub fn place(text: &[u8], error: &serde_json::Error) -> usize {
    let lines = text.split_inclusive(|&byte| byte == b'\n').take(error.line().saturating_sub(1));
    let before: usize = lines.map(<[u8]>::len).sum();
    let at = (before + error.column().saturating_sub(1)).min(text.len());
    match error.is_data() {
        true => name_begin(text, at).unwrap_or(at),
        false => at,
    }
}

/// What is wrong, without its place.
pub fn clause(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or(&text);
    let not_json = if error.is_data() { "" } else { "not JSON: " };
    format!("{not_json}{what}")
}

/// Where the name begins that was read last before the byte `at`, or up to it: at the quote before its last one
/// that nothing escapes.
fn name_begin(text: &[u8], at: usize) -> Option<usize> {
    let quotes = |end: usize| (0..end).rev().filter(|&at| text[at] == b'"');
    let last = quotes(text.len().min(at + 1)).next()?;
    quotes(last).find(|&at| {
        let escapes = text[..at].iter().rev().take_while(|&&byte| byte == b'\\').count();
        escapes % 2 == 0
    })
}

/// What `serde_json` calls the one field of a number whose digits it keeps (`arbitrary_precision`).
const NUMBER: &str = "$serde_json::private::Number";

struct Once;

impl<'de> Visitor<'de> for Once {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Json(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            if name == NUMBER && map.is_empty() {
                let digits: String = fields.next_value()?;
                return digits.parse::<Number>().map(Value::Number).map_err(A::Error::custom);
            }
            if map.contains_key(&name) {
                return Err(A::Error::custom(format!("{name:?} stands there twice")));
            }
            let Json(value) = fields.next_value()?;
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_read_as_serde_json_reads_it() {
        for text in [
            "null",
            "true",
            r#""a\n\u00e9""#,
            "0",
            "-0",
            "-7",
            "1.50",
            "1e400",
            "123456789012345678901234567890",
            r#"[1,[2,{"b":1,"a":{"c":[]}}],{}]"#,
        ] {
            let Json(value) = serde_json::from_str(text).unwrap();
            assert_eq!(value, serde_json::from_str::<Value>(text).unwrap(), "{text}");
        }
    }

    #[test]
    fn a_field_that_stands_twice_is_refused_with_its_place() {
        for (text, at) in [
            (r#"{"a":1,"b":2,"a":1}"#, 13),
            (r#"[{"x":{"a":1,"a":1}}]"#, 13),
            ("{\"a\":1,\n \"a\" :1}", 9),
            (r#"{"a":"\\","\u0061":1}"#, 10),
            (r#"{"\"a":1,"\"a":2}"#, 9),
        ] {
            let error = serde_json::from_str::<Json>(text).unwrap_err();
            assert!(error.to_string().contains("a\" stands there twice"), "{error}");
            assert!(error.is_data(), "{error}");
            assert_eq!(place(text.as_bytes(), &error), at, "{text}");
        }
    }
}
