//! The numbers of processes as small dense places, so that what is known of each is found by one look.

use rustc_hash::FxHashMap;

/// Numbers below it are found in an array. Real numbers stay small; a process that grows by the concurrency
/// after each `info` reaches a million after a long and bad run.
const NEAR: u64 = 1 << 20;

const NOWHERE: u32 = u32::MAX;

/// All processes of a history, in the order of their first appearance.
#[derive(Debug, Default)]
pub struct Processes {
    numbers: Vec<u64>,
    near: Vec<u32>,
    far: FxHashMap<u64, u32>,
}

impl Processes {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// Their numbers, by place.
    pub fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        self.numbers.iter().copied()
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let far = self.far.capacity() * size_of::<(u64, u32)>();
        self.numbers.len() * size_of::<u64>() + self.near.len() * size_of::<u32>() + far
    }

    /// The number of the process at a place.
    #[inline]
    pub fn number(&self, place: u32) -> u64 {
        self.numbers[place as usize]
    }

    /// The place of a process; it gets the next one where it has none.
    #[inline]
    pub fn place(&mut self, number: u64) -> u32 {
        match self.near.get(usize::try_from(number).unwrap_or(usize::MAX)) {
            Some(&place) if place != NOWHERE => place,
            _ => self.find(number),
        }
    }

    /// Says that one number stands for another process, of which it is one lane.
    pub fn alias(&mut self, lane: u64, number: u64) {
        let place = self.place(lane);
        self.numbers[place as usize] = number;
    }

    #[cold]
    fn find(&mut self, number: u64) -> u32 {
        // A history has fewer lines than 32 bits can count.
        let next = self.numbers.len() as u32;
        let place = if number < NEAR {
            let at = number as usize;
            if at >= self.near.len() {
                self.near.resize(at + 1, NOWHERE);
            }
            self.near[at] = next;
            next
        } else {
            *self.far.entry(number).or_insert(next)
        };
        if place == next {
            self.numbers.push(number);
        }
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_has_its_own_place_and_the_number_of_its_process() {
        let mut processes = Processes::default();
        let (zero, lane) = (processes.place(0), u64::MAX);
        processes.alias(lane, 0);
        let place = processes.place(lane);
        assert_ne!(place, zero);
        assert_eq!((processes.number(place), processes.place(0)), (0, zero));
    }

    #[test]
    fn every_number_has_one_place_and_every_place_its_number() {
        let mut processes = Processes::default();
        let numbers = [3, 0, NEAR, u64::MAX, NEAR - 1, 3, u64::MAX, NEAR + 1, NEAR];
        let places = numbers.map(|number| processes.place(number));
        assert_eq!(places, [0, 1, 2, 3, 4, 0, 3, 5, 2]);
        for (number, place) in numbers.into_iter().zip(places) {
            assert_eq!(processes.number(place), number);
        }
        assert_eq!(processes.len(), 6);
    }
}
