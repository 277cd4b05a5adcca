//! Where the values of a register come from: the layers of each value, and what may yet become one.

use slab::Slab;

use super::chain::{At, Layer, Standing};
use crate::history::Pos;
use crate::values::Id;

/// What is known of where a value comes from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Of {
    /// It has no source.
    Nobody,
    /// Its only one.
    One(At),
    /// There are several.
    Several,
}

/// All sources that are there, by their values: of nearly all values there is one, and each names the next. A table
/// of which at most half is taken; where a value's place is taken it stands in the next one that is free.
#[derive(Debug, Default)]
pub(super) struct Sources {
    places: Vec<(Id, Option<At>)>,
    values: usize,
}

/// The least number of places.
const FEW: usize = 8;

impl Sources {
    /// Where a value is sought first.
    #[inline]
    fn home(&self, value: Id) -> usize {
        // There are at least two places, and a power of two.
        let bits = self.places.len().trailing_zeros();
        (value.0.wrapping_mul(0x9E37_79B1) >> (u32::BITS - bits)) as usize
    }

    #[inline]
    fn after(&self, place: usize) -> usize {
        (place + 1) & (self.places.len() - 1)
    }

    /// Where a value is, or would be put.
    #[inline]
    fn place(&self, value: Id) -> usize {
        let mut place = self.home(value);
        while let (other, Some(_)) = self.places[place]
            && other != value
        {
            place = self.after(place);
        }
        place
    }

    fn first(&self, value: Id) -> Option<At> {
        if self.places.is_empty() { None } else { self.places[self.place(value)].1 }
    }

    /// Those of a value.
    #[inline]
    fn all(&self, value: Id, layers: &Slab<Layer>) -> impl Iterator<Item = At> {
        std::iter::successors(self.first(value), |at| layers[at.index()].same)
    }

    /// What is known of the sources of a value, but for those that are looked at now.
    #[inline]
    pub fn of(&self, value: Id, layers: &Slab<Layer>) -> Of {
        let is_source = |at: &At| layers[at.index()].standing != Standing::LookedAt;
        let mut found = self.all(value, layers).filter(is_source);
        match (found.next(), found.next()) {
            (None, _) => Of::Nobody,
            (Some(only), None) => Of::One(only),
            (Some(_), Some(_)) => Of::Several,
        }
    }

    /// The source of a value that was invoked at `inv`, if it is there.
    #[inline]
    pub fn find(&self, value: Id, inv: Pos, layers: &Slab<Layer>) -> Option<At> {
        let is_it =
            |at: &At| layers[at.index()].writer.as_ref().is_some_and(|writer| writer.inv == inv);
        self.all(value, layers).find(is_it)
    }

    /// One more.
    #[inline]
    pub fn add(&mut self, at: At, layers: &mut Slab<Layer>) {
        if 2 * self.values >= self.places.len() {
            self.grow();
        }
        let layer = &mut layers[at.index()];
        let place = self.place(layer.value);
        layer.same = self.places[place].1;
        self.values += usize::from(layer.same.is_none());
        self.places[place] = (layer.value, Some(at));
    }

    fn grow(&mut self) {
        let size = (2 * self.places.len()).max(FEW);
        let places = std::mem::replace(&mut self.places, vec![(Id(0), None); size]);
        for (value, first) in places.into_iter().filter(|(_, first)| first.is_some()) {
            let place = self.place(value);
            self.places[place] = (value, first);
        }
    }

    /// One less: a layer that goes.
    #[inline]
    pub fn remove(&mut self, at: At, layers: &mut Slab<Layer>) {
        let &Layer { value, same, .. } = &layers[at.index()];
        let place = self.place(value);
        match (self.places[place].1, same) {
            (Some(first), Some(same)) if first == at => self.places[place].1 = Some(same),
            (Some(first), None) if first == at => self.free(place),
            (first, same) => {
                let mut all = std::iter::successors(first, |before| layers[before.index()].same);
                let before = all.find(|before| layers[before.index()].same == Some(at));
                if let Some(before) = before {
                    layers[before.index()].same = same;
                }
            }
        }
    }

    /// Frees a place. What stands behind it, up to the next free one, may be sought there.
    fn free(&mut self, place: usize) {
        self.values -= 1;
        let (mut free, mut place) = (place, place);
        loop {
            place = self.after(place);
            let (value, Some(_)) = self.places[place] else { break };
            // How far a value is from where it is sought first, and how far that is from the free place.
            let distance = |to: usize| place.wrapping_sub(to) & (self.places.len() - 1);
            if distance(self.home(value)) >= distance(free) {
                self.places[free] = self.places[place];
                free = place;
            }
        }
        self.places[free].1 = None;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::HashMap;

    use breakit_tests::Random;

    use super::*;
    use crate::history::OPEN;
    use crate::linear::online::Known;
    use crate::linear::op::{Act, Fate};

    fn layer(value: Id, inv: Pos) -> Layer {
        let (node, act) = (None.into(), Act::Write(value));
        let known = Known { act, inv, res: OPEN, process: 0, node, f: 0, fate: Fate::Info };
        Layer::new(value, Some(known))
    }

    /// All operations on the table, in an order made by chance, against a map of lists.
    #[test]
    fn the_sources_of_each_value_are_those_that_were_added_and_not_removed() {
        let mut random = Random(7);
        for values in [3, 12, 40, 1_000] {
            let (mut sources, mut layers) = (Sources::default(), Slab::new());
            let mut all: HashMap<Id, Vec<(Pos, At)>> = HashMap::new();
            for inv in 1..8_000 {
                let value = Id(random.below(values) << (random.below(2) * 31));
                let of = all.entry(value).or_default();
                // There are now many and now few.
                let share = if inv % 1_000 < 500 { 3 } else { 1 };
                if random.below(4) < share {
                    let at = At::of(layers.insert(layer(value, inv)));
                    sources.add(at, &mut layers);
                    of.push((inv, at));
                } else if !of.is_empty() {
                    let (_, at) = of.swap_remove(random.below(of.len() as u32) as usize);
                    sources.remove(at, &mut layers);
                    layers.remove(at.index());
                }
                let asked = Id(random.below(values) << (random.below(2) * 31));
                let there = all.get(&asked).map_or(&[][..], Vec::as_slice);
                match (sources.of(asked, &layers), there) {
                    (Of::Nobody, []) | (Of::Several, [_, _, ..]) => {}
                    (Of::One(found), &[(_, at)]) => assert_eq!(found, at),
                    (found, there) => panic!("{found:?} for {there:?}"),
                }
                for &(inv, at) in there {
                    assert_eq!(sources.find(asked, inv, &layers), Some(at));
                }
                assert_eq!(sources.find(asked, 0, &layers), None);
            }
            let held = all.values().filter(|of| !of.is_empty()).count();
            assert_eq!(sources.values, held);
        }
    }
}
