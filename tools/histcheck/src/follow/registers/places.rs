//! Where each key is, by its id: ids are dense, as nearly all keys are small integers or stand together in the table of
//! values.

use rustc_hash::FxHashMap;

use crate::values::Id;

const NOWHERE: u32 = u32::MAX;
/// Ids of each kind below it are found in an array.
const NEAR: usize = 1 << 20;

/// The places of all keys.
#[derive(Debug)]
pub(super) struct Places {
    /// That of operations without a key.
    none: u32,
    /// Those of values in the table, and of integers that are their own ids.
    near: [Vec<u32>; 2],
    far: FxHashMap<Id, u32>,
}

impl Default for Places {
    fn default() -> Places {
        Places { none: NOWHERE, near: [Vec::new(), Vec::new()], far: FxHashMap::default() }
    }
}

/// The highest bit of an id, and the others.
fn parts(id: Id) -> (usize, usize) {
    ((id.0 >> 31) as usize, (id.0 & (u32::MAX >> 1)) as usize)
}

impl Places {
    /// The place of a key that has one.
    #[inline]
    pub fn get(&self, key: Option<Id>) -> Option<usize> {
        let place = match key {
            None => self.none,
            Some(id) => {
                let (kind, at) = parts(id);
                match self.near[kind].get(at) {
                    Some(&place) => place,
                    None if at < NEAR => NOWHERE,
                    None => self.far.get(&id).copied().unwrap_or(NOWHERE),
                }
            }
        };
        (place != NOWHERE).then_some(place as usize)
    }

    /// Gives a key its place. There are fewer keys than lines, which are counted in 31 bits.
    pub fn set(&mut self, key: Option<Id>, place: usize) {
        let place = place as u32;
        let Some(id) = key else {
            self.none = place;
            return;
        };
        let (kind, at) = parts(id);
        if at >= NEAR {
            self.far.insert(id, place);
            return;
        }
        let near = &mut self.near[kind];
        if at >= near.len() {
            near.resize(at + 1, NOWHERE);
        }
        near[at] = place;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_the_place_that_it_was_given_and_no_other_has_one() {
        let mut places = Places::default();
        let edge = NEAR as u32;
        let ids = [0, 5, edge - 1, edge, edge + 1, 1 << 31, (1 << 31) + 5, u32::MAX - 1];
        let keys: Vec<Option<Id>> = ids.into_iter().map(|id| Some(Id(id))).chain([None]).collect();
        for (place, &key) in keys.iter().enumerate() {
            assert_eq!(places.get(key), None);
            places.set(key, place);
        }
        for (place, &key) in keys.iter().enumerate() {
            assert_eq!(places.get(key), Some(place));
        }
        assert_eq!(places.get(Some(Id(7))), None);
    }
}
