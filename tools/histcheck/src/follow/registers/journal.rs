//! The operations of all keys in few large pieces of memory, each with the place of the one of its key before it.
//! A million keys of two operations then take no piece of memory each, and what comes next is written where the last
//! was, whatever its key is.

use crate::linear::online::Known;

/// No place.
pub(super) const NOWHERE: u32 = SETTLES - 1;
/// The mark of an operation after which nothing that came before it matters any more.
const SETTLES: u32 = 1 << 31;
/// How many operations are in one piece of memory.
const PIECE: usize = 1 << 10;

#[derive(Debug)]
struct Entry {
    known: Known,
    /// The place of the one before it, with the mark.
    before: u32,
}

/// Operations by their places.
#[derive(Debug)]
pub(super) struct Journal {
    pieces: Vec<Vec<Entry>>,
    /// The first of the places that were given back; each of them names the next.
    free: u32,
}

impl Default for Journal {
    fn default() -> Journal {
        Journal { pieces: Vec::new(), free: NOWHERE }
    }
}

impl Journal {
    /// How many bytes it takes.
    pub fn bytes(&self) -> usize {
        self.pieces.len() * PIECE * size_of::<Entry>()
    }

    /// Puts an operation behind the one at `before`; says where it is.
    pub fn push(&mut self, known: Known, before: u32) -> u32 {
        let entry = Entry { known, before };
        if self.free != NOWHERE {
            let at = self.free;
            let place = self.entry_mut(at);
            let next = place.before;
            *place = entry;
            self.free = next;
            return at;
        }
        if self.pieces.last().is_none_or(|piece| piece.len() == PIECE) {
            self.pieces.push(Vec::with_capacity(PIECE));
        }
        // Fewer operations than lines, which are counted in 31 bits.
        let at = (self.pieces.len() - 1) * PIECE;
        let Some(piece) = self.pieces.last_mut() else { return NOWHERE };
        piece.push(entry);
        (at + piece.len() - 1) as u32
    }

    fn entry(&self, at: u32) -> &Entry {
        &self.pieces[at as usize / PIECE][at as usize % PIECE]
    }

    fn entry_mut(&mut self, at: u32) -> &mut Entry {
        &mut self.pieces[at as usize / PIECE][at as usize % PIECE]
    }

    /// Marks the operation at a place.
    pub fn settle(&mut self, at: u32) {
        self.entry_mut(at).before |= SETTLES;
    }

    /// The operations from the one at `last` back, with their places.
    pub fn back(&self, last: u32) -> impl Iterator<Item = (u32, Known)> {
        let mut at = last;
        std::iter::from_fn(move || {
            let here = at;
            let entry = (here != NOWHERE).then(|| self.entry(here))?;
            at = entry.before & !SETTLES;
            Some((here, entry.known))
        })
    }

    /// Whether the operation at a place is marked.
    pub fn settles(&self, at: u32) -> bool {
        self.entry(at).before & SETTLES != 0
    }

    /// Gives back the operation at a place and all before it.
    pub fn give_back(&mut self, last: u32) {
        self.give_back_last(last, u32::MAX);
    }

    /// Gives back so many operations at most, from the one at a place back; says where the one before them is.
    pub fn give_back_last(&mut self, last: u32, count: u32) -> u32 {
        let mut at = last;
        for _ in 0..count {
            if at == NOWHERE {
                break;
            }
            let free = std::mem::replace(&mut self.free, at);
            at = std::mem::replace(&mut self.entry_mut(at).before, free) & !SETTLES;
        }
        at
    }

    /// Leaves nothing before the operation at a place.
    pub fn cut_before(&mut self, at: u32) {
        let entry = self.entry_mut(at);
        let before = entry.before & !SETTLES;
        entry.before = entry.before & SETTLES | NOWHERE;
        self.give_back(before);
    }

    /// Copies the operations from the one at `last` back into another journal; says where the last is there.
    pub fn copy_to(&self, other: &mut Journal, last: u32) -> u32 {
        let places: Vec<u32> = self.back(last).map(|(at, _)| at).collect();
        let copy = |before, &at: &u32| {
            let entry = self.entry(at);
            other.push(entry.known, before | entry.before & SETTLES)
        };
        places.iter().rev().fold(NOWHERE, copy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear::op::{Act, Fate};
    use crate::values::Id;

    fn known(inv: u32) -> Known {
        let act = Act::Write(Id(inv));
        Known { act, inv, res: inv + 1, process: 0, node: None, f: 0, fate: Fate::Ok }
    }

    fn invs(journal: &Journal, last: u32) -> Vec<u32> {
        journal.back(last).map(|(_, known)| known.inv).collect()
    }

    #[test]
    fn each_key_has_its_operations_back_and_places_are_taken_again() {
        let mut journal = Journal::default();
        let mut last = [NOWHERE; 3];
        for round in 0..2_000 {
            for (key, last) in last.iter_mut().enumerate() {
                *last = journal.push(known(10 * round + key as u32), *last);
            }
        }
        let pieces = journal.pieces.len();
        let back = |key: u32| (0..2_000).rev().map(|round| 10 * round + key).collect::<Vec<_>>();
        assert_eq!(invs(&journal, last[1]), back(1));
        journal.settle(last[2]);
        assert!(journal.settles(last[2]) && !journal.settles(last[0]));
        assert_eq!(invs(&journal, last[2]), back(2));
        journal.give_back(last[1]);
        journal.cut_before(last[2]);
        assert_eq!((invs(&journal, last[2]), journal.settles(last[2])), (vec![19_992], true));
        let mut again = NOWHERE;
        for inv in 0..3_999 {
            again = journal.push(known(inv), again);
        }
        assert_eq!((journal.pieces.len(), invs(&journal, again).len()), (pieces, 3_999));
        assert_eq!(invs(&journal, last[0]), back(0));
        let mut other = Journal::default();
        let copied = journal.copy_to(&mut other, last[0]);
        assert_eq!(invs(&other, copied), back(0));
        let copied = journal.copy_to(&mut other, last[2]);
        assert!(other.settles(copied));
    }
}
