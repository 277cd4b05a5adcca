//! A register whose operations are legal in the order in which they returned: nearly every one of many keys, as few
//! operations of a key overlap.
//!
//! **Why it is valid.** Each operation that returns is put behind all that returned before. No returned operation began
//! after it returned, so this order keeps to real time; what is open, or will never return, need not have happened. So as long as each read finds the
//! value that the order has put last, the order is legal. Where one finds another value nothing is said yet: then
//! [`Online`](crate::linear::online::Online) takes the events again, in the order in which they came.
//!
//! **What it need not take again.** Let X be a write or cas that began after each earlier one had returned, and let all
//! operations that return from now on have begun after X returned. X is then the last to put a value in each legal order of what
//! returned up to X, which are legal as shown; so the history is linearizable iff the rest is, where the register first holds the value of X:
//! - An order of the rest, put behind that of the others, is one of the whole.
//! - In a legal order of the whole, all of the rest that returned stands behind the others. Of what
//!   never returned some may stand between X and them; put first of the rest, in their order, they act on the value of X as they did.
//!
//! X is said to *settle* what came before. That is kept only to be shown.

use super::journal::{Journal, NOWHERE};
use crate::history::Pos;
use crate::linear::online::Known;
use crate::linear::op::{Act, Fate};
use crate::values::Id;

/// With fewer operations than this nobody asks whether too many are kept.
const MANY: usize = 256;

/// Stands behind all that ended up to `now`, where the register surely held `value`. No operation of a register that is
/// followed does such a thing.
fn mark(value: Id, now: Pos) -> Known {
    let (process, node, f) = (0, None.into(), 0);
    Known { act: Act::Differs(value), inv: now, res: now, process, node, f, fate: Fate::Ok }
}

fn is_mark(known: &Known) -> bool {
    matches!(known.act, Act::Differs(_))
}

/// What is known of such a register. There may be a million of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct ByReturn {
    /// What the register holds, by that order.
    value: Id,
    /// The operation that ended last, and how many are kept. Those that failed are kept with the place of their end.
    last: u32,
    count: u32,
    /// One of them that settles all before it, so that these can go, and how many those are with itself; 0 for none.
    settling: u32,
    before: u32,
    /// The write or cas of unknown outcome that came last.
    unknown: u32,
    /// No place of any of these is before it.
    oldest: u32,
    /// All that returned up to there is settled, and the register then held this.
    settled: Pos,
    held: Id,
    /// What it held before all that is kept, and up to where operations were that are not; 0 for none.
    initial: Id,
    after: Pos,
}

impl ByReturn {
    /// Nothing yet; the register holds `initial`.
    pub fn new(initial: Id) -> ByReturn {
        ByReturn {
            value: initial,
            last: NOWHERE,
            count: 0,
            settling: NOWHERE,
            before: 0,
            unknown: NOWHERE,
            oldest: NOWHERE,
            settled: 0,
            held: initial,
            initial,
            after: 0,
        }
    }

    /// Takes an operation that returned; whether it is legal behind the others.
    #[inline]
    pub fn returned(&mut self, known: Known, journal: &mut Journal) -> bool {
        match known.act.step(self.value) {
            Some(value) => self.value = value,
            None => return false,
        }
        self.push(known, journal);
        true
    }

    /// Keeps an operation that failed at a place.
    pub fn failed(&mut self, known: Known, at: Pos, journal: &mut Journal) {
        self.push(Known { fate: Fate::Fail, res: at, ..known }, journal);
    }

    #[inline]
    fn push(&mut self, known: Known, journal: &mut Journal) {
        self.last = journal.push(known, self.last);
        self.oldest = self.oldest.min(self.last);
        self.count += 1;
    }

    /// Keeps a write or cas that will never end.
    pub fn never_ends(&mut self, known: Known, journal: &mut Journal) {
        self.unknown = journal.push(known, self.unknown);
        self.oldest = self.oldest.min(self.unknown);
    }

    /// No place of an operation that is kept is before it.
    pub fn oldest(&self) -> u32 {
        self.oldest
    }

    /// Whether it is time to forget some, where the last `most` are to be kept. If nothing can go yet, that is asked twice
    /// for as many, and seldom where there are more than enough.
    #[inline]
    pub fn is_full(&self, most: usize) -> bool {
        let count = self.count as usize;
        if self.before > 0 {
            return count >= self.before as usize + most;
        }
        count.is_multiple_of((most / 2).max(1))
            && (count < 4 * most || (count / most).is_power_of_two())
    }

    /// Whether so many are kept that too little of them is settled, where the last `most` are to be kept.
    pub fn is_overfull(&self, most: usize) -> bool {
        self.count as usize >= (4 * most).max(MANY)
    }

    /// Whether anything is settled that an operation which began at `inv` may have come before.
    pub fn has_settled(&self, inv: Pos) -> bool {
        self.settled > inv
    }

    /// Up to where operations were that are not kept.
    pub fn after(&self) -> Option<Pos> {
        (self.after > 0).then_some(self.after)
    }

    /// What the register held before all that is kept.
    pub fn initial(&self) -> Id {
        self.initial
    }

    /// From where on, and with what in the register, events are to be taken again.
    pub fn settled(&self) -> (Id, Pos) {
        (self.held, self.settled)
    }

    /// All that is kept of what ended, the last one first, with its place.
    fn back<'a>(&self, journal: &'a Journal) -> impl Iterator<Item = (u32, Known)> + use<'a> {
        journal.back(self.last).take(self.count as usize)
    }

    /// The same, but for what is settled.
    fn back_to_settled<'a>(
        &self,
        journal: &'a Journal,
    ) -> impl Iterator<Item = (u32, Known)> + use<'a> {
        let settled = self.settled;
        self.back(journal).take_while(move |(_, known)| known.res > settled)
    }

    /// All operations that ended, the first one first.
    pub fn ended(&self, journal: &Journal) -> Vec<Known> {
        let back = self.back(journal).map(|(_, known)| known);
        let mut ended: Vec<Known> = back.filter(|known| !is_mark(known)).collect();
        ended.reverse();
        ended
    }

    /// Those that are not settled.
    pub fn unsettled(&self, journal: &Journal) -> Vec<Known> {
        let mut ended: Vec<Known> = self.back_to_settled(journal).map(|(_, known)| known).collect();
        ended.reverse();
        ended
    }

    /// Those that will never end.
    pub fn unknown(&self, journal: &Journal) -> Vec<Known> {
        journal.back(self.unknown).map(|(_, known)| known).collect()
    }

    /// Keeps only what is settled.
    pub fn leave_settled(&mut self, journal: &mut Journal) {
        let count = self.back_to_settled(journal).count() as u32;
        let settled = self.back(journal).nth(count as usize).map_or(NOWHERE, |(at, _)| at);
        journal.give_back(count);
        self.count -= count;
        self.last = settled;
    }

    /// Hands those over that will never end.
    pub fn take_unknown(&mut self, journal: &mut Journal) -> Vec<Known> {
        let unknown = self.unknown(journal);
        journal.give_back(unknown.len() as u32);
        self.unknown = NOWHERE;
        unknown
    }

    /// Settles what it can, where whatever returns from now on began at `watermark` or later. Says by which operation, and
    /// how many are kept up to that.
    pub fn settle(&mut self, watermark: Pos, journal: &Journal) -> Option<(u32, u32)> {
        // Whatever returned after the one that is looked at began there or later.
        let mut later = watermark;
        // The put that is looked at, if it returned before all that returned later began.
        let mut candidate: Option<(u32, u32, Known)> = None;
        let mut found = None;
        let back = (0..self.count).zip(self.back_to_settled(journal));
        for (newer, (at, known)) in back.filter(|(_, (_, known))| known.fate == Fate::Ok) {
            if known.act.puts().is_some() {
                if candidate.is_some_and(|(_, _, put)| put.inv > known.res) {
                    found = candidate;
                    break;
                }
                candidate = (known.res < later).then_some((newer, at, known));
            }
            later = later.min(known.inv);
        }
        let found = found.or(candidate.filter(|(_, _, put)| put.inv > self.settled));
        let (newer, at, put) = found?;
        (self.settled, self.held) = (put.res, put.act.puts()?);
        Some((at, self.count - newer))
    }

    /// Forgets what is only kept to be shown, but for the last `most` and a few more.
    pub fn shorten(&mut self, most: usize, watermark: Pos, journal: &mut Journal) {
        let last = self.settle(watermark, journal);
        let known = (self.before > 0).then_some((self.settling, self.before));
        let leaves_enough = |&(_, before): &(u32, u32)| (self.count - before) as usize >= most;
        let cut = last.into_iter().chain(known).find(leaves_enough);
        if let Some((at, before)) = cut {
            let settling = journal.known(at);
            let value = match settling.act {
                Act::Differs(value) => value,
                act => act.puts().unwrap_or(self.initial),
            };
            journal.give_back(before);
            if self.unknown == NOWHERE {
                self.oldest = at + 1;
            }
            self.count -= before;
            (self.initial, self.after) = (value, settling.res);
            let next = last.filter(|&(last, _)| last != at);
            (self.settling, self.before) =
                next.map_or((NOWHERE, 0), |(next, up_to)| (next, up_to - before));
        } else if self.before == 0 {
            (self.settling, self.before) = last.unwrap_or((NOWHERE, 0));
        }
    }

    /// Goes on from what was decided otherwise: at `now` the register surely holds `value`, and what was before matters
    /// no more, but for what is `pending`. `ops` are to be shown, in any order; of these some never ended and yet
    /// happened. Says whether it is time to forget some, where the last `most` are to be kept.
    pub fn goes_on(
        &mut self,
        ops: &[Known],
        pending: &[Known],
        (value, now): (Id, Pos),
        most: usize,
        journal: &mut Journal,
    ) -> bool {
        let full = |count: u32| (count as usize / most).checked_ilog2();
        let before = full(self.count);
        let is_pending = |known: &&Known| pending.iter().any(|other| other.inv == known.inv);
        for &known in ops.iter().filter(|known| !is_pending(known)) {
            let res = if known.fate == Fate::Ok { known.res } else { now };
            self.push(Known { res, ..known }, journal);
        }
        pending.iter().for_each(|&known| self.never_ends(known, journal));
        (self.value, self.settled, self.held) = (value, now, value);
        if self.count > 0 {
            self.push(mark(value, now), journal);
            if self.before == 0 {
                (self.settling, self.before) = (self.last, self.count);
            }
        }
        full(self.count) > before
    }

    /// Forgets all that ended: the register holds `value` after `now`.
    pub fn begin_again(&mut self, (value, now): (Id, Pos), journal: &mut Journal) {
        self.clear(journal);
        (self.initial, self.after) = (value, now);
    }

    /// Forgets all that is kept.
    pub fn clear(&mut self, journal: &mut Journal) {
        self.take_unknown(journal);
        journal.give_back(self.count);
        (self.last, self.count) = (NOWHERE, 0);
        (self.settling, self.before) = (NOWHERE, 0);
        self.oldest = NOWHERE;
    }

    /// Goes over to another journal.
    pub fn copy(&mut self, from: &Journal, to: &mut Journal) {
        let ended = from.copy_to(to, self.last, self.count as usize);
        let unknown = from.copy_to(to, self.unknown, usize::MAX);
        let at = |count: u32| count.checked_sub(1).and_then(|last| ended.get(last as usize));
        let place = |count: u32| at(count).copied().unwrap_or(NOWHERE);
        (self.last, self.settling) = (place(self.count), place(self.before));
        self.unknown = unknown.last().copied().unwrap_or(NOWHERE);
        self.oldest =
            ended.first().into_iter().chain(unknown.first()).copied().min().unwrap_or(NOWHERE);
    }
}
