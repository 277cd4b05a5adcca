//! The events of a piece of a history, key by key: what is held of a key is then in a near cache for all that comes to
//! it, and not for the first of them alone.

use crate::history::Pos;

/// Behind the last event of a key.
pub(super) const LAST: u32 = u32::MAX;

/// An event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// Its operation, by its place in the history.
    pub index: usize,
    /// Its key, by its place among them.
    pub place: usize,
    /// Where it stands.
    pub pos: Pos,
    /// Whatever returns from there on began at this place or later.
    pub watermark: Pos,
    /// Whether the operation ends by it.
    pub is_end: bool,
    /// The next event of its key.
    pub next: u32,
}

/// Events in their order.
#[derive(Debug, Default)]
pub(super) struct Piece {
    steps: Vec<Step>,
    /// The last event of each key that has any, by the place of the key.
    last: Vec<u32>,
    /// The first event of each key that has any.
    first: Vec<u32>,
    /// Whether events are taken in their order all the same, as some are of two keys.
    pub is_in_order: bool,
}

impl Piece {
    /// Forgets all events, and keeps the room for others.
    pub fn clear(&mut self) {
        for &first in &self.first {
            self.last[self.steps[first as usize].place] = LAST;
        }
        self.steps.clear();
        self.first.clear();
        self.is_in_order = false;
    }

    /// One more event, behind all others.
    pub fn add(&mut self, step: Step) {
        // A piece has fewer events than lines, and these are counted in 31 bits.
        let at = self.steps.len() as u32;
        if step.place >= self.last.len() {
            self.last.resize(step.place + 1, LAST);
        }
        match std::mem::replace(&mut self.last[step.place], at) {
            LAST => self.first.push(at),
            before => self.steps[before as usize].next = at,
        }
        self.steps.push(step);
    }

    /// Takes each event: those of the key that comes first, then those of the next one.
    pub fn each(&self, mut take: impl FnMut(Step)) {
        if self.is_in_order {
            return self.steps.iter().copied().for_each(take);
        }
        for &first in &self.first {
            let mut at = first;
            while let Some(&step) = self.steps.get(at as usize) {
                take(step);
                at = step.next;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_key_by_key_and_those_of_a_key_in_their_order() {
        let mut piece = Piece::default();
        for (pos, place) in [(1, 4), (2, 0), (4, 4), (5, 2), (6, 0), (9, 4)] {
            let (index, watermark, is_end) = (0, pos, false);
            piece.add(Step { index, place, pos, watermark, is_end, next: LAST });
        }
        let places = |piece: &Piece| {
            let mut places = Vec::new();
            piece.each(|step| places.push(step.pos));
            places
        };
        assert_eq!(places(&piece), [1, 4, 9, 2, 6, 5]);
        piece.is_in_order = true;
        assert_eq!(places(&piece), [1, 2, 4, 5, 6, 9]);
        piece.clear();
        assert!(places(&piece).is_empty());
        assert!(piece.last.iter().all(|&last| last == LAST));
    }
}
