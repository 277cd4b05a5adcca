//! Values of any JSON type as small numbers, so that the engines compare and hash integers.
//!
//! Two values are the same when they are the same JSON: objects whatever the order of their fields, numbers by
//! their digits. No number ever goes through floating point: `1` and `1.0` are two values, and so are two
//! integers of forty digits that differ in the last.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

/// A value of this history; meaningful only together with its [`Values`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub u32);

/// JSON's null, in every [`Values`].
pub const NULL: Id = Id(0);

#[derive(Debug, Clone)]
enum Datum {
    Int(i64),
    /// JSON text: null, booleans, strings, objects and the numbers that are no i64.
    Text(Arc<str>),
    List(Arc<[Id]>),
}

/// All values of a history.
#[derive(Debug)]
pub struct Values {
    data: Vec<Datum>,
    ints: HashMap<i64, Id>,
    texts: HashMap<Arc<str>, Id>,
    lists: HashMap<Arc<[Id]>, Id>,
}

impl Default for Values {
    fn default() -> Values {
        let mut values = Values {
            data: Vec::new(),
            ints: HashMap::new(),
            texts: HashMap::new(),
            lists: HashMap::new(),
        };
        values.text("null");
        values
    }
}

impl Values {
    /// The id of a value.
    pub fn intern(&mut self, value: &Value) -> Id {
        match value {
            Value::Number(number) => match number.as_i64() {
                Some(int) => self.int(int),
                None => self.text(&number.to_string()),
            },
            Value::Array(items) => {
                let ids: Vec<Id> = items.iter().map(|item| self.intern(item)).collect();
                self.items(ids)
            }
            Value::Object(_) => self.text(&ordered(value).to_string()),
            other => self.text(&other.to_string()),
        }
    }

    /// The id of an integer.
    pub fn int(&mut self, int: i64) -> Id {
        if let Some(&id) = self.ints.get(&int) {
            return id;
        }
        let id = self.add(Datum::Int(int));
        self.ints.insert(int, id);
        id
    }

    /// The id of a list of values.
    pub fn items(&mut self, items: Vec<Id>) -> Id {
        if let Some(&id) = self.lists.get(items.as_slice()) {
            return id;
        }
        let items: Arc<[Id]> = items.into();
        let id = self.add(Datum::List(Arc::clone(&items)));
        self.lists.insert(items, id);
        id
    }

    /// The id of a value that is given as its JSON text, of a kind that is kept as text.
    pub fn text(&mut self, text: &str) -> Id {
        if let Some(&id) = self.texts.get(text) {
            return id;
        }
        let text: Arc<str> = text.into();
        let id = self.add(Datum::Text(Arc::clone(&text)));
        self.texts.insert(text, id);
        id
    }

    fn add(&mut self, datum: Datum) -> Id {
        // The reader refuses histories whose lines do not fit in 32 bits; a line's lists cannot make up for it
        // on any memory we run on.
        let id = Id(self.data.len() as u32);
        self.data.push(datum);
        id
    }

    /// The elements, where the value is a list.
    pub fn list(&self, id: Id) -> Option<&[Id]> {
        match &self.data[id.0 as usize] {
            Datum::List(items) => Some(items),
            _ => None,
        }
    }

    /// The integer, where the value is one of 64 bits.
    pub fn as_int(&self, id: Id) -> Option<i64> {
        match self.data[id.0 as usize] {
            Datum::Int(int) => Some(int),
            _ => None,
        }
    }

    /// The value as JSON text.
    pub fn show(&self, id: Id) -> String {
        match &self.data[id.0 as usize] {
            Datum::Int(int) => int.to_string(),
            Datum::Text(text) => text.to_string(),
            Datum::List(items) => {
                let items: Vec<String> = items.iter().map(|&item| self.show(item)).collect();
                format!("[{}]", items.join(","))
            }
        }
    }

    /// The value as it came.
    pub fn json(&self, id: Id) -> Value {
        match &self.data[id.0 as usize] {
            Datum::Int(int) => Value::from(*int),
            // What was kept is JSON text by construction.
            Datum::Text(text) => serde_json::from_str(text).unwrap_or(Value::Null),
            Datum::List(items) => items.iter().map(|&item| self.json(item)).collect(),
        }
    }
}

/// The same value with the fields of every object in the order of their names.
fn ordered(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<(&String, &Value)> = fields.iter().collect();
            fields.sort_by_key(|(name, _)| *name);
            Value::Object(fields.into_iter().map(|(n, v)| (n.clone(), ordered(v))).collect())
        }
        Value::Array(items) => items.iter().map(ordered).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(values: &mut Values, text: &str) -> Id {
        values.intern(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn equal_json_has_one_id_and_different_json_has_two() {
        let mut values = Values::default();
        let v = &mut values;
        assert_eq!(id(v, "null"), NULL);
        for (a, b) in
            [("7", "7"), (r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1}"#), ("[1,[2]]", "[1, [2]]")]
        {
            assert_eq!(id(v, a), id(v, b), "{a} {b}");
        }
        let different = ["7", "\"7\"", "7.0", "[7]", "null", "\"null\"", "[]", "{}", "false"];
        for (i, a) in different.iter().enumerate() {
            for b in &different[i + 1..] {
                assert_ne!(id(v, a), id(v, b), "{a} {b}");
            }
        }
    }

    #[test]
    fn numbers_beyond_64_bits_do_not_run_together() {
        let mut values = Values::default();
        let v = &mut values;
        assert_ne!(id(v, "18446744073709551616"), id(v, "18446744073709551617"));
        assert_ne!(id(v, "9007199254740992"), id(v, "9007199254740993"));
        let big = id(v, "123456789012345678901234567890");
        assert_eq!(v.show(big), "123456789012345678901234567890");
        assert_eq!(v.json(big).to_string(), "123456789012345678901234567890");
    }
}
