//! The values of one register in chains, and the chains as blocks that must stand one after the other.
//!
//! A value has a [`Value`]: where its writer was invoked, and of its writer and all that read it the first
//! return `f` and the last invocation `s`. A cas from `a` to `b` is the writer of `b`, and a link from `a`. A chain
//! is legal within iff no operation returned before one of an earlier layer was invoked; and that is, for each of
//! its values, that `f` is not before the writer's invocation (a read ended before its write began; the writer
//! itself returned later than that), nor before `s` of any value earlier on the chain.
//!
//! Then the blocks, in the order of the lesser of `f` and `s`. Let `reach` be the greatest `s` of the forward zones
//! so far. A forward zone that begins before `reach` overlaps one of these, as that one begins earlier; a backward
//! one that ends before `reach` lies inside of one; and if neither happens, no two forward zones overlap and no
//! backward one lies inside a forward one, since of such a pair the outer, or the earlier, comes first.

use std::hint::select_unpredictable;

use rustc_hash::FxHashMap;

use super::Open;
use crate::history::{OPEN, Pos};
use crate::values::{Id, NULL};

/// Values as small numbers.
#[derive(Debug)]
pub(super) enum Numbering {
    /// Their ids lie close together.
    Near { lowest: u32, span: usize },
    /// They do not.
    Far(FxHashMap<Id, u32>),
}

impl Numbering {
    /// How many values there is room for at once.
    pub(super) fn span(&self) -> usize {
        match self {
            Numbering::Near { span, .. } => *span,
            Numbering::Far(_) => 0,
        }
    }
}

/// How far the ids of some values lie apart.
#[derive(Debug)]
pub(super) struct Spread {
    initial: Id,
    lowest: u32,
    highest: u32,
    count: usize,
}

impl Spread {
    /// No value yet; the initial one has a number of its own.
    pub(super) fn of(initial: Id) -> Spread {
        Spread { initial, lowest: u32::MAX, highest: 0, count: 0 }
    }

    #[inline]
    pub(super) fn see(&mut self, id: Id) {
        if id != self.initial {
            self.lowest = self.lowest.min(id.0);
            self.highest = self.highest.max(id.0);
            self.count += 1;
        }
    }

    /// How these values are numbered.
    pub(super) fn numbering(&self) -> Numbering {
        let span = self.highest.saturating_sub(self.lowest) as usize + 1;
        // Each value once written and once read: twice as many as there are numbers.
        match span <= self.count {
            true => Numbering::Near { lowest: self.lowest, span },
            false => Numbering::Far(FxHashMap::default()),
        }
    }
}

/// A value of the register.
#[derive(Debug, Clone, Copy)]
struct Value {
    /// Where its one writer was invoked, or [`NOBODY`].
    begun: Pos,
    /// The first return of its writer and of those that read it.
    f: Pos,
    /// The last invocation of these, and [`OBSERVED`].
    s: Pos,
}

/// Bytes of one, which are taken for all values at once.
pub(super) const VALUE_BYTES: usize = size_of::<Value>();

const NOBODY: Pos = 0;
/// Places are numbers of 31 bits: the highest says whether anything that happened found the value.
const OBSERVED: Pos = 1 << 31;

impl Value {
    /// One that nobody knows of yet.
    const NEW: Value = Value { begun: NOBODY, f: OPEN, s: 0 };
    /// The initial one, which is there at place 1 at the latest: nothing returns earlier.
    const INITIAL: Value = Value { begun: 1, f: OPEN, s: 0 };

    fn is_observed(self) -> bool {
        self.s & OBSERVED != 0
    }

    fn s(self) -> Pos {
        self.s & !OBSERVED
    }

    #[inline]
    fn take(&mut self, inv: Pos, res: Pos) {
        self.f = self.f.min(res);
        self.s = self.s & OBSERVED | self.s().max(inv);
    }
}

/// The number of no value.
const NO_VALUE: u32 = u32::MAX;

/// The values of one register, and what joins them.
#[derive(Debug)]
pub(super) struct Chains {
    initial: Id,
    numbering: Numbering,
    /// The initial one first.
    values: Vec<Value>,
    /// By value, the one that a cas put in its place; empty where there was no such cas.
    next: Vec<u32>,
    /// By value, whether a cas that happened put it; as long as `next`.
    is_next: Vec<bool>,
    /// How many links there are.
    links: usize,
    /// From and to of each cas of which nobody knows whether it happened.
    perhaps: Vec<(u32, u32)>,
    /// Blocks as one number each: the lesser of `f` and `s`, the greater, and whether it is a forward zone.
    blocks: Vec<u64>,
}

impl Default for Chains {
    fn default() -> Chains {
        Chains {
            initial: NULL,
            numbering: Numbering::Near { lowest: 0, span: 0 },
            values: Vec::new(),
            next: Vec::new(),
            is_next: Vec::new(),
            links: 0,
            perhaps: Vec::new(),
            blocks: Vec::new(),
        }
    }
}

impl Chains {
    /// Forgets all, and keeps the room.
    pub(super) fn begin(&mut self, numbering: Numbering, initial: Id) {
        self.values.clear();
        self.values.push(Value::INITIAL);
        if let Numbering::Near { span, .. } = &numbering {
            self.values.resize(1 + span, Value::NEW);
        }
        self.numbering = numbering;
        self.initial = initial;
        self.next.clear();
        self.is_next.clear();
        self.links = 0;
        self.perhaps.clear();
        self.blocks.clear();
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        let numbers = match &self.numbering {
            Numbering::Near { .. } => 0,
            Numbering::Far(numbers) => numbers.capacity() * size_of::<(Id, u32)>(),
        };
        numbers
            + self.values.len() * size_of::<Value>()
            + self.next.len() * (size_of::<u32>() + size_of::<bool>())
            + self.perhaps.len() * size_of::<(u32, u32)>()
            + self.blocks.len() * size_of::<u64>()
    }

    /// Bytes that [`Chains::are_consecutive`] will take: blocks, links, and a table of the cas that perhaps happened.
    pub(super) fn bytes_to_come(&self) -> usize {
        let link = if self.perhaps.is_empty() { 0 } else { size_of::<u32>() + size_of::<bool>() };
        self.values.len() * (size_of::<u64>() + link)
            + 3 * self.perhaps.len() * size_of::<(u32, u32)>()
    }

    #[inline]
    fn number(&mut self, id: Id) -> u32 {
        if id == self.initial {
            return 0;
        }
        match &mut self.numbering {
            Numbering::Near { lowest, .. } => id.0 - *lowest + 1,
            Numbering::Far(numbers) => {
                // There are fewer values than 32 bits can count.
                let next = self.values.len() as u32;
                let number = *numbers.entry(id).or_insert(next);
                if number == next {
                    self.values.push(Value::NEW);
                }
                number
            }
        }
    }

    /// Takes a read that happened, or a write. Which of the two comes next is not to be foreseen, so that nothing forks
    /// on it.
    ///
    /// # Errors
    /// Where a write is not the only writer.
    #[inline]
    pub(super) fn take(
        &mut self,
        id: Id,
        (inv, res): (Pos, Pos),
        is_write: bool,
    ) -> Result<(), Open> {
        let value = self.number(id) as usize;
        let value = &mut self.values[value];
        if is_write & (value.begun != NOBODY) {
            return Err(Open::Other);
        }
        value.begun = select_unpredictable(is_write, inv, value.begun);
        value.take(inv, res);
        value.s |= select_unpredictable(is_write, 0, OBSERVED);
        Ok(())
    }

    /// Takes a cas that happened.
    ///
    /// # Errors
    /// Where another replaced the same value.
    pub(super) fn replace(&mut self, from: Id, to: Id) -> Result<(), Open> {
        let (from, to) = (self.number(from), self.number(to));
        self.link(from, to)
    }

    fn link(&mut self, from: u32, to: u32) -> Result<(), Open> {
        if self.next.len() < self.values.len() {
            self.next.resize(self.values.len(), NO_VALUE);
            self.is_next.resize(self.values.len(), false);
        }
        self.values[from as usize].s |= OBSERVED;
        self.is_next[to as usize] = true;
        self.links += 1;
        match std::mem::replace(&mut self.next[from as usize], to) {
            NO_VALUE => Ok(()),
            _ => Err(Open::Other),
        }
    }

    pub(super) fn perhaps_replace(&mut self, from: Id, to: Id) {
        let both = (self.number(from), self.number(to));
        self.perhaps.push(both);
    }

    /// Whether the blocks can stand one after the other.
    ///
    /// # Errors
    /// Where they cannot, or something else is wrong with them.
    pub(super) fn are_consecutive(&mut self) -> Result<(), Open> {
        self.settle()?;
        let mut followed = 0;
        for value in 0..self.values.len() {
            if !self.is_next.get(value).is_some_and(|&is| is) {
                followed += self.block(value)?;
            }
        }
        // Those that no chain reaches rest on one another in a circle.
        if followed < self.links {
            return Err(Open::Other);
        }
        self.blocks.sort_unstable();
        let mut reach = 0;
        for (lesser, greater, is_forward) in self.blocks.iter().map(|&block| unpacked(block)) {
            let first_that_must_be_out = if is_forward { lesser } else { greater };
            if first_that_must_be_out < reach {
                return Err(Open::Other);
            }
            if is_forward {
                reach = greater;
            }
        }
        Ok(())
    }

    /// Of the cas of which nobody knows, takes those that happened: something that happened found their value.
    fn settle(&mut self) -> Result<(), Open> {
        let perhaps = std::mem::take(&mut self.perhaps);
        let by_value: FxHashMap<u32, u32> = perhaps.iter().map(|&(from, to)| (to, from)).collect();
        let observed = |&&(_, to): &&(u32, u32)| self.values[to as usize].is_observed();
        let mut work: Vec<(u32, u32)> = perhaps.iter().filter(observed).copied().collect();
        while let Some((from, to)) = work.pop() {
            let known = self.values[from as usize].is_observed();
            self.link(from, to)?;
            if let (false, Some(&before)) = (known, by_value.get(&from)) {
                work.push((before, from));
            }
        }
        Ok(())
    }

    /// Adds the block that begins with a value; says how many links it has.
    fn block(&mut self, root: usize) -> Result<usize, Open> {
        // Nothing comes before the initial value.
        let mut f = if root == 0 { 0 } else { OPEN };
        let (mut s, mut links) = (0, 0);
        let mut at = root;
        loop {
            let value = self.values[at];
            if value.f < value.begun || value.f < s || value.is_observed() && value.begun == NOBODY
            {
                return Err(Open::Other);
            }
            (f, s) = (f.min(value.f), s.max(value.s()));
            match self.next.get(at) {
                Some(&next) if next != NO_VALUE => at = next as usize,
                _ => break,
            }
            links += 1;
        }
        // Nobody wrote it, or nobody knows whether anybody did, as nothing saw it; so with the initial value.
        let is_seen = root != 0 || self.values[0].is_observed();
        if f != OPEN && is_seen {
            self.blocks.push(packed(f, s));
        }
        Ok(links)
    }
}

/// A block by `f` and `s`, so that blocks sort by the lesser.
fn packed(f: Pos, s: Pos) -> u64 {
    u64::from(f.min(s)) << 32 | u64::from(f.max(s)) << 1 | u64::from(f < s)
}

/// The lesser of `f` and `s`, the greater, and whether the block is a forward zone.
fn unpacked(block: u64) -> (Pos, Pos, bool) {
    ((block >> 32) as Pos, (block as u32 >> 1) as Pos, block & 1 == 1)
}
