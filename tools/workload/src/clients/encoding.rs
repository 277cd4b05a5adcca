//! How a value is kept in a database that stores text: as its JSON, so that what was written is what is read.

use serde_json::Value;

/// The text under which `value` is kept.
pub fn text(value: &Value) -> String {
    value.to_string()
}

/// The value that `text` keeps. What is no JSON was not stored by us: it stays the string that it is, for the
/// checker to see.
pub fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_string()))
}

/// A set as a list: numbers in their order, so that two equal reads look equal whatever order the database gave.
pub fn list(mut elements: Vec<Value>) -> Value {
    elements.sort_by_cached_key(|element| (element.as_i64(), element.to_string()));
    Value::Array(elements)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_was_written_is_what_is_read() {
        for stored in [json!(42), json!(-1), json!("7"), Value::Null, json!([1, "x"])] {
            assert_eq!(value(&text(&stored)), stored);
        }
        assert_eq!(value("no json"), json!("no json"));
    }

    #[test]
    fn a_set_is_listed_in_the_order_of_its_numbers() {
        let elements = ["10", "9", "-1", "\"x\""].map(value).to_vec();
        assert_eq!(list(elements), json!(["x", -1, 9, 10]));
    }
}
