//! Values of any JSON type as small numbers, so that the engines compare and hash integers.
//!
//! Two values are the same when they are the same JSON: objects whatever the order of their fields, numbers
//! however they are written ([`crate::number`]). A client that writes 1.50 and is given 1.5 has seen its own
//! write. No number ever goes through floating point: two of forty digits that differ in the last are two values.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde_json::Value;

use crate::number;
use crate::read::edn;

/// A value of this history; meaningful only together with its [`Values`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub u32);

impl Id {
    /// The id of an integer of at most eight digits.
    #[inline(always)]
    pub(crate) fn of_small(int: u32) -> Id {
        Id(DIRECT | int)
    }
}

/// JSON's null, in every [`Values`].
pub const NULL: Id = Id(0);

/// Ids from here on are the integers from 0 on themselves: the values of most histories cost nothing.
const DIRECT: u32 = 1 << 31;
/// The integers below it are their own ids. One less than would fit: `u32::MAX` is nobody's id.
const FIRST_NOT_DIRECT: i64 = (1 << 31) - 1;

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
    ints: FxHashMap<i64, Id>,
    texts: FxHashMap<Arc<str>, Id>,
    lists: FxHashMap<Arc<[Id]>, Id>,
    /// Bytes of texts and lists, behind their pointers.
    behind: usize,
}

impl Default for Values {
    fn default() -> Values {
        let mut values = Values {
            data: Vec::new(),
            ints: FxHashMap::default(),
            texts: FxHashMap::default(),
            lists: FxHashMap::default(),
            behind: 0,
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
                None => self.number(number.as_str()),
            },
            Value::Array(items) => {
                let ids: Vec<Id> = items.iter().map(|item| self.intern(item)).collect();
                self.items(&ids)
            }
            Value::Object(_) => match edn::tagged(value) {
                Some(("set", Value::Array(items))) => self.set(items),
                _ => self.text(&canonical(value).to_string()),
            },
            other => self.text(&other.to_string()),
        }
    }

    /// The id of an integer.
    #[inline]
    pub fn int(&mut self, int: i64) -> Id {
        match int {
            0..FIRST_NOT_DIRECT => Id(DIRECT | int as u32),
            _ => self.far_int(int),
        }
    }

    fn far_int(&mut self, int: i64) -> Id {
        if let Some(&id) = self.ints.get(&int) {
            return id;
        }
        let id = self.add(Datum::Int(int));
        self.ints.insert(int, id);
        id
    }

    /// The id of a number that is not written as an integer of 64 bits, and may be one all the same.
    pub(crate) fn number(&mut self, text: &str) -> Id {
        let text = number::canonical(text);
        match text.parse() {
            Ok(int) => self.int(int),
            Err(_) => self.text(&text),
        }
    }

    /// The id of a list of values.
    pub fn items(&mut self, items: &[Id]) -> Id {
        if let Some(&id) = self.lists.get(items) {
            return id;
        }
        let items: Arc<[Id]> = items.into();
        let id = self.add(Datum::List(Arc::clone(&items)));
        self.lists.insert(items, id);
        id
    }

    /// A set of EDN is the list of its elements, in an order that does not depend on how it was written.
    fn set(&mut self, items: &[Value]) -> Id {
        let ids: Vec<Id> = sorted(items).iter().map(|item| self.intern(item)).collect();
        self.items(&ids)
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

    /// Bytes held, with what the allocator and the tables' free places take.
    pub fn bytes(&self) -> usize {
        let tables = self.ints.capacity() * size_of::<(i64, Id)>()
            + self.texts.capacity() * size_of::<(Arc<str>, Id)>()
            + self.lists.capacity() * size_of::<(Arc<[Id]>, Id)>();
        self.data.capacity() * size_of::<Datum>() + tables + self.behind
    }

    fn add(&mut self, datum: Datum) -> Id {
        // The two counts of an Arc, and two words of the allocator.
        const AROUND: usize = 32;
        self.behind += match &datum {
            Datum::Int(_) => 0,
            Datum::Text(text) => text.len() + AROUND,
            Datum::List(items) => size_of_val::<[Id]>(items) + AROUND,
        };
        // The reader refuses histories whose lines do not fit in 32 bits; a line's lists cannot make up for it
        // on any memory we run on.
        let id = Id(self.data.len() as u32);
        self.data.push(datum);
        id
    }

    fn datum(&self, id: Id) -> Datum {
        match id.0 & DIRECT {
            0 => self.data[id.0 as usize].clone(),
            _ => Datum::Int(i64::from(id.0 & !DIRECT)),
        }
    }

    /// How many values there are, without those that cost nothing.
    pub fn count(&self) -> usize {
        self.data.len()
    }

    /// How many there would be if those that came after a value were gone.
    pub fn count_with(&self, id: Id) -> usize {
        match id.0 & DIRECT {
            0 => id.0 as usize + 1,
            _ => 0,
        }
    }

    /// Forgets the values that came last, down to so many, as far as they are lists. Nobody may hold them.
    pub fn forget_lists(&mut self, down_to: usize) {
        while self.data.len() > down_to {
            let Some(Datum::List(items)) = self.data.last() else { return };
            self.lists.remove(items);
            self.data.pop();
        }
    }

    /// The elements, where the value is a list.
    pub fn list(&self, id: Id) -> Option<&[Id]> {
        match self.data.get(id.0 as usize) {
            Some(Datum::List(items)) => Some(items),
            _ => None,
        }
    }

    /// The integer, where the value is one of 64 bits.
    pub fn as_int(&self, id: Id) -> Option<i64> {
        if id.0 & DIRECT != 0 {
            return Some(i64::from(id.0 & !DIRECT));
        }
        match self.data[id.0 as usize] {
            Datum::Int(int) => Some(int),
            _ => None,
        }
    }

    /// The value as JSON text.
    pub fn show(&self, id: Id) -> String {
        match self.datum(id) {
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
        match self.datum(id) {
            Datum::Int(int) => Value::from(int),
            // What was kept is JSON text by construction.
            Datum::Text(text) => serde_json::from_str(&text).unwrap_or(Value::Null),
            Datum::List(items) => items.iter().map(|&item| self.json(item)).collect(),
        }
    }

    /// Takes over all values of `other`, which another thread has read; what turns its ids into ours.
    pub fn absorb(&mut self, other: &Values) -> Renamed {
        let mut renamed = Renamed { ids: Vec::with_capacity(other.data.len()) };
        for datum in &other.data {
            let id = match datum {
                Datum::Int(int) => self.int(*int),
                Datum::Text(text) => self.text(text),
                // A list comes after its elements.
                Datum::List(items) => {
                    let items: Vec<Id> = items.iter().map(|&id| renamed.id(id)).collect();
                    self.items(&items)
                }
            };
            renamed.ids.push(id);
        }
        renamed
    }
}

/// The ids of one [`Values`] in another.
#[derive(Debug)]
pub struct Renamed {
    ids: Vec<Id>,
}

impl Renamed {
    /// The id there of what has `id` here.
    pub fn id(&self, id: Id) -> Id {
        match id.0 & DIRECT {
            0 => self.ids[id.0 as usize],
            _ => id,
        }
    }
}

/// The same value as it is compared: fields, elements of sets and entries of maps in an order of their own,
/// numbers in one spelling.
pub(crate) fn canonical(value: &Value) -> Value {
    match value {
        Value::Number(number) => {
            number::canonical(number.as_str()).parse().map_or_else(|_| value.clone(), Value::Number)
        }
        Value::Array(items) => items.iter().map(canonical).collect(),
        Value::Object(fields) => match edn::tagged(value) {
            Some(("set", Value::Array(items))) => Value::Array(sorted(items)),
            Some(("map", Value::Array(entries))) => Value::Object(
                [("#map".to_string(), Value::Array(sorted(entries)))].into_iter().collect(),
            ),
            _ => {
                let mut fields: Vec<(&String, &Value)> = fields.iter().collect();
                fields.sort_by_key(|(name, _)| *name);
                fields.into_iter().map(|(n, v)| (n.clone(), canonical(v))).collect()
            }
        },
        other => other.clone(),
    }
}

/// What has no order, in one.
fn sorted(items: &[Value]) -> Vec<Value> {
    let mut items: Vec<(String, Value)> = items
        .iter()
        .map(|item| {
            let item = canonical(item);
            (item.to_string(), item)
        })
        .collect();
    items.sort_by(|(a, _), (b, _)| (a.len(), a).cmp(&(b.len(), b)));
    items.into_iter().map(|(_, item)| item).collect()
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
        for (a, b) in [
            ("7", "7"),
            (r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1}"#),
            ("[1,[2]]", "[1, [2]]"),
            ("7", "70e-1"),
            ("-0", "0"),
            (r#"{"a":[-0,1e2]}"#, r#"{"a":[0,1E+2]}"#),
            (r##"{"#set":[12,3]}"##, r##"{"#set":[3,12.0]}"##),
            (r##"{"a":{"#set":[12,3]}}"##, r##"{"a":{"#set":[3,12]}}"##),
            (r##"{"#map":[[1,2],[null,3]]}"##, r##"{"#map":[[null,3],[1,2]]}"##),
        ] {
            assert_eq!(id(v, a), id(v, b), "{a} {b}");
        }
        let different = ["7", "\"7\"", "7.5", "[7]", "null", "\"null\"", "[]", "{}", "false"];
        for (i, a) in different.iter().enumerate() {
            for b in &different[i + 1..] {
                assert_ne!(id(v, a), id(v, b), "{a} {b}");
            }
        }
    }

    #[test]
    fn small_integers_are_kept_in_their_ids_and_all_others_in_a_table() {
        let mut values = Values::default();
        let edge = FIRST_NOT_DIRECT;
        for int in [0, 1, 41, edge - 1, edge, edge + 1, -1, i64::MAX, i64::MIN] {
            let id = values.int(int);
            assert_ne!(id.0, u32::MAX, "{int}");
            assert_eq!((values.as_int(id), values.int(int)), (Some(int), id));
        }
        assert_eq!(values.data.len(), 6, "null and five integers");
    }

    #[test]
    fn lists_that_came_last_are_forgotten_down_to_what_is_held() {
        let mut values = Values::default();
        let v = &mut values;
        let held = id(v, "[1,2]");
        for text in ["[3,4]", "[[5],6]"] {
            id(v, text);
        }
        v.forget_lists(v.count_with(held));
        assert_eq!((v.count(), v.show(held)), (2, "[1,2]".into()));
        let word = id(v, r#"["x"]"#);
        assert_eq!(v.show(word), r#"["x"]"#);
        v.forget_lists(2);
        assert_eq!(v.count(), 3, "a word is no list");
        assert_eq!(id(v, r#""x""#), Id(2));
        let number = id(v, "7");
        assert_eq!(v.count_with(number), 0);
    }

    #[test]
    fn the_values_of_another_keep_their_meaning_when_taken_over() {
        let (mut ours, mut theirs) = (Values::default(), Values::default());
        id(&mut ours, r#""x""#);
        let texts = ["7", "-7", "null", r#""y""#, r#"[1,["x",-7]]"#, r#""x""#];
        let ids = texts.map(|text| id(&mut theirs, text));
        let renamed = ours.absorb(&theirs);
        for (text, theirs) in texts.iter().zip(ids) {
            assert_eq!(ours.show(renamed.id(theirs)), *text);
            assert_eq!(id(&mut ours, text), renamed.id(theirs));
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
