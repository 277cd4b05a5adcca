//! Where values are kept: many short texts and lists in one piece of memory each, and one table that finds them.

use std::hash::{Hash, Hasher};

use hashbrown::HashTable;
use rustc_hash::FxHasher;

use super::Id;

/// A value that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Datum<'a> {
    /// An integer that is not its own id.
    Int(i64),
    /// JSON text: null, booleans, strings, objects and the numbers that are no i64.
    Text(&'a str),
    /// A list.
    List(&'a [Id]),
}

/// Values that are all different, numbered from 0.
#[derive(Debug, Default)]
pub struct Store {
    places: Vec<Place>,
    ints: Vec<i64>,
    texts: String,
    lists: Vec<Id>,
    /// What is too long for a [`Place`].
    long: Vec<Long>,
    /// Bytes of these.
    long_bytes: usize,
    /// All numbers, by the hashes of their values, half of which stands beside each: a table that grows looks at no
    /// value.
    numbers: HashTable<(u32, u32)>,
}

#[derive(Debug)]
enum Long {
    Text(Box<str>),
    List(Box<[Id]>),
}

/// Where a value is: two bits for its kind, then its length, then where it begins.
#[derive(Clone, Copy, Debug)]
struct Place(u64);

const LENGTH_BITS: u32 = 22;
const BEGIN_BITS: u32 = 40;
/// What has more bytes or elements is kept by itself.
const LONGEST: usize = (1 << LENGTH_BITS) - 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Int,
    Text,
    List,
    Long,
}

impl Place {
    /// No memory has room for a beginning that does not fit.
    fn new(kind: Kind, begin: usize, length: usize) -> Place {
        Place((kind as u64) << 62 | (length as u64) << BEGIN_BITS | begin as u64)
    }

    fn kind(self) -> Kind {
        match self.0 >> 62 {
            0 => Kind::Int,
            1 => Kind::Text,
            2 => Kind::List,
            _ => Kind::Long,
        }
    }

    fn begin(self) -> usize {
        (self.0 & ((1 << BEGIN_BITS) - 1)) as usize
    }

    fn range(self) -> std::ops::Range<usize> {
        let length = (self.0 >> BEGIN_BITS) as usize & LONGEST;
        self.begin()..self.begin() + length
    }
}

/// Half of a hash; the other half would tell nobody more.
fn hash(datum: Datum<'_>) -> u32 {
    let mut hasher = FxHasher::default();
    datum.hash(&mut hasher);
    (hasher.finish() >> 32) as u32
}

/// A hash as the table wants it: it looks at the lowest bits and at the highest.
fn whole(half: u32) -> u64 {
    u64::from(half).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Store {
    /// The number of a value, which is kept from now on.
    pub fn number(&mut self, datum: Datum<'_>) -> u32 {
        let half = hash(datum);
        if let Some(number) = self.known(half, datum) {
            return number;
        }
        // The reader refuses histories whose lines do not fit in 32 bits; a line's lists cannot make up for it
        // on any memory we run on.
        let number = self.places.len() as u32;
        let place = self.keep(datum);
        self.places.push(place);
        self.numbers.insert_unique(whole(half), (half, number), |&(half, _)| whole(half));
        number
    }

    /// The number of a value, where it is kept.
    pub fn find(&self, datum: Datum<'_>) -> Option<u32> {
        self.known(hash(datum), datum)
    }

    #[inline(always)]
    fn known(&self, half: u32, datum: Datum<'_>) -> Option<u32> {
        let is_it = |&(other, number): &(u32, u32)| other == half && self.get(number) == datum;
        self.numbers.find(whole(half), is_it).map(|&(_, number)| number)
    }

    fn keep(&mut self, datum: Datum<'_>) -> Place {
        match datum {
            Datum::Int(int) => {
                self.ints.push(int);
                Place::new(Kind::Int, self.ints.len() - 1, 0)
            }
            Datum::Text(text) if text.len() <= LONGEST => {
                self.texts.push_str(text);
                Place::new(Kind::Text, self.texts.len() - text.len(), text.len())
            }
            Datum::List(items) if items.len() <= LONGEST => {
                self.lists.extend_from_slice(items);
                Place::new(Kind::List, self.lists.len() - items.len(), items.len())
            }
            Datum::Text(text) => self.keep_long(Long::Text(text.into())),
            Datum::List(items) => self.keep_long(Long::List(items.into())),
        }
    }

    fn keep_long(&mut self, long: Long) -> Place {
        self.long_bytes += long.bytes();
        self.long.push(long);
        Place::new(Kind::Long, self.long.len() - 1, 0)
    }

    /// The value with a number.
    #[inline]
    pub fn get(&self, number: u32) -> Datum<'_> {
        let place = self.places[number as usize];
        match place.kind() {
            Kind::Int => Datum::Int(self.ints[place.begin()]),
            Kind::Text => Datum::Text(&self.texts[place.range()]),
            Kind::List => Datum::List(&self.lists[place.range()]),
            Kind::Long => match &self.long[place.begin()] {
                Long::Text(text) => Datum::Text(text),
                Long::List(items) => Datum::List(items),
            },
        }
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Forgets the value that came last, where it is a list; whether it was.
    pub fn forget_list(&mut self) -> bool {
        let Some(last) = self.places.len().checked_sub(1) else { return false };
        let Datum::List(items) = self.get(last as u32) else { return false };
        let (half, length) = (hash(Datum::List(items)), items.len());
        if let Ok(entry) = self.numbers.find_entry(whole(half), |&(_, it)| it == last as u32) {
            entry.remove();
        }
        match self.places.pop().map(Place::kind) {
            Some(Kind::Long) => {
                self.long_bytes -= self.long.pop().map_or(0, |long| long.bytes());
            }
            _ => self.lists.truncate(self.lists.len() - length),
        }
        true
    }

    /// Bytes held, with free places.
    pub fn bytes(&self) -> usize {
        self.places.capacity() * size_of::<Place>()
            + self.ints.capacity() * size_of::<i64>()
            + self.texts.capacity()
            + self.lists.capacity() * size_of::<Id>()
            + self.numbers.allocation_size()
            + self.long.capacity() * size_of::<Long>()
            + self.long_bytes
    }
}

impl Long {
    fn bytes(&self) -> usize {
        match self {
            Long::Text(text) => text.len(),
            Long::List(items) => size_of_val::<[Id]>(items),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_every_kind_and_length_come_back_and_have_one_number_each() {
        let mut store = Store::default();
        let texts = ["", "a", "é", &"x".repeat(LONGEST), &"x".repeat(LONGEST + 1)];
        let lists = [vec![], vec![Id(0)], vec![Id(7); LONGEST], vec![Id(7); LONGEST + 1]];
        let mut data: Vec<Datum<'_>> = [0, -1, i64::MAX, i64::MIN].map(Datum::Int).to_vec();
        data.extend(texts.iter().map(|text| Datum::Text(text)));
        data.extend(lists.iter().map(|items| Datum::List(items)));
        for _ in 0..2 {
            for (number, &datum) in (0..).zip(&data) {
                assert_eq!(store.number(datum), number);
                assert!(store.get(number) == datum, "{number}");
            }
        }
        assert!(store.bytes() > 10 * LONGEST);
        for left in (data.len() - lists.len()..data.len()).rev() {
            assert!(store.forget_list());
            assert_eq!(store.len(), left);
        }
        assert!(!store.forget_list(), "a text is no list");
        assert_eq!((store.lists.len(), store.long.len()), (0, 1));
        assert_eq!(store.number(Datum::List(&[Id(9)])), 9, "what was forgotten is not found");
        assert!(store.get(9) == Datum::List(&[Id(9)]));
    }
}
