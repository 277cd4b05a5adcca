//! Values of any JSON type as small numbers, so that the engines compare and hash integers.
//!
//! Two values are the same when they are the same JSON: objects whatever the order of their fields, numbers
//! however they are written ([`crate::number`]). A client that writes 1.50 and is given 1.5 has seen its own
//! write. No number ever goes through floating point: two of forty digits that differ in the last are two values.

mod store;

use serde_json::Value;

use crate::number;
use crate::read::edn;
use crate::read::words;
use store::{Datum, Store};

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

/// An id or none, in four bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdOrNone(u32);

impl From<Option<Id>> for IdOrNone {
    fn from(id: Option<Id>) -> IdOrNone {
        IdOrNone(id.map_or(u32::MAX, |id| id.0))
    }
}

impl From<IdOrNone> for Option<Id> {
    fn from(IdOrNone(id): IdOrNone) -> Option<Id> {
        (id != u32::MAX).then_some(Id(id))
    }
}

/// JSON's null, in every [`Values`].
pub const NULL: Id = Id(0);

/// Ids from here on are the integers from 0 on themselves: the values of most histories cost nothing.
const DIRECT: u32 = 1 << 31;
/// The integers below it are their own ids. One less than would fit: `u32::MAX` is nobody's id.
const FIRST_NOT_DIRECT: i64 = (1 << 31) - 1;

/// All values of a history.
#[derive(Debug)]
pub struct Values {
    store: Store,
    /// Texts of at most sixteen bytes that came last, by a hash of their bytes: an operation ends soon after it began.
    recent: Box<[(u128, Id)]>,
}

/// A power of two. They fit in the nearest cache.
const RECENT: usize = 1 << RECENT_BITS;
const RECENT_BITS: u32 = 9;

fn place(bytes: u128) -> usize {
    words::place(bytes, RECENT_BITS)
}

impl Default for Values {
    fn default() -> Values {
        let mut values = Values { store: Store::default(), recent: vec![(0, NULL); RECENT].into() };
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

    /// The id of a number, a string or the like, where it may be one of these values; of lists and sets none.
    pub fn find(&self, value: &Value) -> Option<Id> {
        match value {
            Value::Number(number) => {
                let text = number::canonical(number.as_str());
                match text.parse::<i64>() {
                    Ok(int @ 0..FIRST_NOT_DIRECT) => Some(Id(DIRECT | int as u32)),
                    Ok(int) => self.store.find(Datum::Int(int)).map(Id),
                    Err(_) => self.store.find(Datum::Text(&text)).map(Id),
                }
            }
            Value::Array(_) => None,
            other => self.store.find(Datum::Text(&canonical(other).to_string())).map(Id),
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
        Id(self.store.number(Datum::Int(int)))
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
        Id(self.store.number(Datum::List(items)))
    }

    /// A set of EDN is the list of its elements, in an order that does not depend on how it was written.
    fn set(&mut self, items: &[Value]) -> Id {
        let ids: Vec<Id> = sorted(items).iter().map(|item| self.intern(item)).collect();
        self.items(&ids)
    }

    /// The id of a value that is given as its JSON text, of a kind that is kept as text.
    pub fn text(&mut self, text: &str) -> Id {
        Id(self.store.number(Datum::Text(text)))
    }

    /// The id of a text that was remembered a while ago by its bytes.
    #[inline]
    pub(crate) fn recent(&self, bytes: u128) -> Option<Id> {
        let (known, id) = self.recent[place(bytes)];
        (known == bytes).then_some(id)
    }

    /// Remembers the id of a text of at most sixteen bytes, none of which is zero, for a while.
    #[inline]
    pub(crate) fn remember(&mut self, bytes: u128, id: Id) {
        self.recent[place(bytes)] = (bytes, id);
    }

    /// Bytes held, with free places.
    pub fn bytes(&self) -> usize {
        self.store.bytes()
    }

    fn datum(&self, id: Id) -> Datum<'_> {
        match id.0 & DIRECT {
            0 => self.store.get(id.0),
            _ => Datum::Int(i64::from(id.0 & !DIRECT)),
        }
    }

    /// All values that are kept in the table.
    pub fn ids(&self) -> impl Iterator<Item = Id> {
        (0..self.store.len() as u32).map(Id)
    }

    /// How many values there are, without those that cost nothing.
    pub fn count(&self) -> usize {
        self.store.len()
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
        while self.store.len() > down_to && self.store.forget_list() {}
    }

    /// The elements, where the value is a list.
    pub fn list(&self, id: Id) -> Option<&[Id]> {
        match self.datum(id) {
            Datum::List(items) => Some(items),
            Datum::Int(_) | Datum::Text(_) => None,
        }
    }

    /// The integer, where the value is one of 64 bits.
    pub fn as_int(&self, id: Id) -> Option<i64> {
        match self.datum(id) {
            Datum::Int(int) => Some(int),
            Datum::Text(_) | Datum::List(_) => None,
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
            Datum::Text(text) => serde_json::from_str(text).unwrap_or(Value::Null),
            Datum::List(items) => items.iter().map(|&item| self.json(item)).collect(),
        }
    }

    /// Takes over all values of `other`, which another thread has read; what turns its ids into ours.
    pub fn absorb(&mut self, other: &Values) -> Renamed {
        let mut renamed = Renamed { ids: Vec::with_capacity(other.count()) };
        for number in 0..other.count() as u32 {
            let id = match other.store.get(number) {
                Datum::Int(int) => self.int(int),
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
        Id(self.raw(id.0))
    }

    /// The same as numbers; that of no id stays as it is.
    #[inline]
    pub fn raw(&self, id: u32) -> u32 {
        match id & DIRECT {
            0 => self.ids[id as usize].0,
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
        assert_eq!(values.count(), 6, "null and five integers");
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
