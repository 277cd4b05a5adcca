//! The operations of all keys one behind the other, as they came, each with the place of the one of its key before it.
//! A million keys of two operations then take no piece of memory each, and what comes next is written where the last
//! was, whatever its key is: no cache holds what each of a thousand keys did long ago.
//!
//! What was given back is not looked at. The pieces of memory before the oldest operation of all keys go together; if that
//! of some key is too old, what is there is copied to another journal.

use std::collections::VecDeque;

use crate::history::Pos;
use crate::linear::online::Known;
use crate::linear::op::{Act, Fate};
use crate::values::{Id, IdOrNone};

/// No place.
pub(super) const NOWHERE: u32 = u32::MAX;
/// How many operations are in one piece of memory.
const PIECE: usize = 1 << 10;

/// An operation with the place of the one before it. No two lines of a cache are read for one.
#[derive(Clone, Copy, Debug)]
#[repr(align(32))]
struct Entry {
    /// The values of what it does.
    first: Id,
    second: Id,
    inv: Pos,
    res: Pos,
    process: u32,
    node: IdOrNone,
    before: u32,
    f: u16,
    kind: Kind,
    fate: Fate,
}

const _: () = assert!(size_of::<Entry>() == 32);

#[derive(Clone, Copy, Debug)]
enum Kind {
    Read,
    Write,
    Cas,
    Differs,
}

impl Entry {
    fn new(known: Known, before: u32) -> Entry {
        let Known { act, inv, res, process, node, f, fate } = known;
        let (kind, first, second) = match act {
            Act::Read(value) => (Kind::Read, value, value),
            Act::Write(value) => (Kind::Write, value, value),
            Act::Cas(from, to) => (Kind::Cas, from, to),
            Act::Differs(value) => (Kind::Differs, value, value),
        };
        Entry { first, second, inv, res, process, node, before, f, kind, fate }
    }

    fn known(&self) -> Known {
        let &Entry { first, second, inv, res, process, node, f, fate, .. } = self;
        let act = match self.kind {
            Kind::Read => Act::Read(first),
            Kind::Write => Act::Write(first),
            Kind::Cas => Act::Cas(first, second),
            Kind::Differs => Act::Differs(first),
        };
        Known { act, inv, res, process, node, f, fate }
    }
}

/// So many places may always be in vain.
const FEW: usize = 16 * PIECE;
/// So many pieces of memory are kept to be taken again.
const SPARE: usize = 32;

/// Operations by their places.
#[derive(Debug, Default)]
pub(super) struct Journal {
    pieces: VecDeque<Vec<Entry>>,
    /// How many pieces there were before these.
    gone: usize,
    spare: Vec<Vec<Entry>>,
    /// How many operations were not given back.
    kept: usize,
    /// The place at which it was last asked what is the oldest.
    asked: u32,
}

impl Journal {
    /// How many bytes it takes.
    pub fn bytes(&self) -> usize {
        (self.pieces.len() + self.spare.len()) * PIECE * size_of::<Entry>()
    }

    /// How many bytes it would take if it were copied.
    pub fn kept_bytes(&self) -> usize {
        (self.kept + PIECE) * size_of::<Entry>()
    }

    /// Puts an operation behind the one at `before`; says where it is.
    #[inline]
    pub fn push(&mut self, known: Known, before: u32) -> u32 {
        if self.pieces.back().is_none_or(|piece| piece.len() == PIECE) {
            let piece = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(PIECE));
            self.pieces.push_back(piece);
        }
        let at = (self.gone + self.pieces.len() - 1) * PIECE;
        let Some(piece) = self.pieces.back_mut() else { return NOWHERE };
        piece.push(Entry::new(known, before));
        self.kept += 1;
        // It is copied before there are too many.
        (at + piece.len() - 1) as u32
    }

    fn entry(&self, at: u32) -> &Entry {
        &self.pieces[at as usize / PIECE - self.gone][at as usize % PIECE]
    }

    /// The operation at a place.
    pub fn known(&self, at: u32) -> Known {
        self.entry(at).known()
    }

    /// The operations from the one at `last` back, with their places. What stands before those that are kept may be gone.
    pub fn back(&self, last: u32) -> impl Iterator<Item = (u32, Known)> {
        let mut at = last;
        std::iter::from_fn(move || {
            let here = at;
            let entry = (here != NOWHERE).then(|| self.entry(here))?;
            at = entry.before;
            Some((here, entry.known()))
        })
    }

    /// Gives back `count` operations.
    pub fn give_back(&mut self, count: u32) {
        self.kept -= count as usize;
    }

    fn in_vain(&self) -> usize {
        self.pieces.len() * PIECE - self.kept
    }

    fn next(&self) -> usize {
        (self.gone + self.pieces.len()) * PIECE
    }

    /// Whether to ask for the oldest operation that any key keeps: if there may be much before it, and not all the time.
    pub fn is_to_be_asked(&self) -> bool {
        self.in_vain() >= FEW.max(self.kept / 4) && self.next() - self.asked as usize >= FEW
    }

    /// Lets go of what is before a place.
    pub fn begins(&mut self, oldest: u32) {
        while self.gone < oldest as usize / PIECE && self.pieces.len() > 1 {
            let Some(mut piece) = self.pieces.pop_front() else { break };
            self.gone += 1;
            if self.spare.len() < SPARE {
                piece.clear();
                self.spare.push(piece);
            }
        }
        self.asked = self.next() as u32;
    }

    /// Whether it is to be copied: if two thirds of it are in vain, which is more than where all keys have as much to do,
    /// or if there are hardly any places left.
    pub fn is_sparse(&self) -> bool {
        self.in_vain() > 2 * self.kept + FEW || self.next() > NOWHERE as usize / 2
    }

    /// Copies `count` operations into another journal: the one at `last` and those of its key before it. Returns their
    /// places there, the earliest first.
    pub fn copy_to(&self, other: &mut Journal, last: u32, count: usize) -> Vec<u32> {
        let known: Vec<Known> = self.back(last).take(count).map(|(_, known)| known).collect();
        let mut before = NOWHERE;
        let copy = |&known: &Known| {
            before = other.push(known, before);
            before
        };
        known.iter().rev().map(copy).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn known(inv: u32) -> Known {
        let value = Id(inv);
        let act = match inv % 3 {
            0 => Act::Read(value),
            1 => Act::Write(value),
            _ => Act::Cas(value, Id(inv + 7)),
        };
        let node = (!inv.is_multiple_of(2)).then_some(value).into();
        Known { act, inv, res: inv + 1, process: inv, node, f: 3, fate: Fate::Ok }
    }

    fn back(journal: &Journal, last: u32, count: usize) -> Vec<Known> {
        journal.back(last).take(count).map(|(_, known)| known).collect()
    }

    #[test]
    fn each_key_has_its_operations_back_and_what_is_before_all_of_them_goes() {
        let mut journal = Journal::default();
        let mut last = [NOWHERE; 3];
        for round in 0..20_000 {
            for (key, last) in last.iter_mut().enumerate() {
                *last = journal.push(known(10 * round + key as u32), *last);
            }
        }
        let all = |key: u32| (0..20_000).rev().map(move |round| known(10 * round + key));
        assert_eq!(back(&journal, last[1], 20_000), all(1).collect::<Vec<_>>());
        assert!(!journal.is_to_be_asked() && !journal.is_sparse());
        for _ in last {
            journal.give_back(16_000);
        }
        assert!(journal.is_to_be_asked() && journal.is_sparse());
        let oldest = journal.back(last[0]).nth(3_999).unwrap().0;
        let before = journal.bytes();
        journal.begins(oldest);
        assert!(!journal.is_to_be_asked() && !journal.is_sparse());
        assert!(journal.bytes() < before, "{} of {before}", journal.bytes());
        for (key, last) in (0..).zip(last) {
            assert_eq!(back(&journal, last, 4_000), all(key).take(4_000).collect::<Vec<_>>());
        }
        let bytes = journal.bytes();
        let mut again = NOWHERE;
        for inv in 0..30_000 {
            again = journal.push(known(inv), again);
        }
        assert_eq!(journal.bytes(), bytes);
        assert_eq!(
            back(&journal, again, usize::MAX),
            (0..30_000).rev().map(known).collect::<Vec<_>>()
        );
        let mut other = Journal::default();
        let copied = journal.copy_to(&mut other, last[2], 700);
        let places: Vec<u32> = other.back(copied[699]).map(|(at, _)| at).collect();
        assert_eq!(back(&other, copied[699], 701), all(2).take(700).collect::<Vec<_>>());
        assert!(places.iter().rev().eq(&copied));
    }
}
