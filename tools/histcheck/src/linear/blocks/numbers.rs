//! The values of a history, numbered in the order in which they come up.

use rustc_hash::FxHashMap;

use super::state::Value;
use crate::values::Id;

/// Values with a number each. Small integers, and the values that came first, are found without hashing.
#[derive(Debug)]
pub(super) struct Numbers {
    near: [Value; NEAR],
    far: FxHashMap<Id, Value>,
    count: Value,
}

/// So many of each kind of id, of those that stand for an integer and of the others.
const EACH: u32 = 128;
const NEAR: usize = 2 * EACH as usize;
const NONE: Value = Value::MAX;

/// The place of an id in the table: the top bit of an id says its kind.
#[inline]
fn place(id: Id) -> Option<usize> {
    let (kind, low) = (id.0 >> 31, id.0 & (u32::MAX >> 1));
    (low < EACH).then_some((kind * EACH + low) as usize)
}

/// The id of a place.
fn id_at(place: usize) -> Id {
    let place = place as u32;
    Id(((place / EACH) << 31) | (place % EACH))
}

impl Default for Numbers {
    fn default() -> Numbers {
        Numbers { near: [NONE; NEAR], far: FxHashMap::default(), count: 0 }
    }
}

impl Numbers {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// The number of a value, which it gets now if it has none.
    #[inline]
    pub fn add(&mut self, id: Id) -> Value {
        let place = match place(id) {
            Some(at) => &mut self.near[at],
            None => self.far.entry(id).or_insert(NONE),
        };
        if *place == NONE {
            *place = self.count;
            self.count += 1;
        }
        *place
    }

    /// The number of a value that has one.
    #[inline]
    pub fn of(&self, id: Id) -> Value {
        match place(id) {
            Some(at) => self.near[at],
            None => self.far[&id],
        }
    }

    /// All values, each with its number.
    pub fn all(&self) -> impl Iterator<Item = (Id, Value)> {
        let near = (0..NEAR).map(id_at).zip(self.near).filter(|&(_, value)| value != NONE);
        near.chain(self.far.iter().map(|(&id, &value)| (id, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_and_far_values_have_numbers_in_the_order_in_which_they_came() {
        let ids = [0, 1 << 31, 127, 128, (1 << 31) + 127, (1 << 31) + 128, u32::MAX - 1].map(Id);
        let mut numbers = Numbers::default();
        for (number, id) in ids.into_iter().enumerate() {
            assert_eq!((numbers.len(), numbers.add(id)), (number, number as Value), "{id:?}");
            assert_eq!((numbers.add(id), numbers.of(id)), (number as Value, number as Value));
        }
        let mut all: Vec<(Value, Id)> = numbers.all().map(|(id, value)| (value, id)).collect();
        all.sort_unstable();
        assert_eq!(all.into_iter().map(|(_, id)| id).collect::<Vec<_>>(), ids);
    }
}
