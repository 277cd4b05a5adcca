//! Registers, decided event by event: those of the lines that came, one after the other.

mod by_return;
mod journal;
mod key;
mod places;

use std::time::{Duration, Instant};

use super::decider::{Decider, Ended};
use super::periodic::{self, Again, Found, Work};
use crate::budget::{Budget, Exhausted};
use crate::history::{History, OPEN, Operation, Outcome, Pos};
use crate::linear::object::{Call, Object};
use crate::linear::online::{Kept, Known};
use crate::linear::op::{Act, Fate, Op};
use crate::linear::register::Register;
use crate::linear::{self, Decision, KeyVerdict, Proof, Question};
use crate::plural::many;
use crate::read::builder::Assembly;
use crate::values::{Id, NULL, Values};
use crate::verdict::{Answer, Verdict};
use breakit::exit::Result;
use journal::Journal;
use key::{Around, Key, ONLINE, State, decide, pending};
use places::Places;

/// So many operations that no longer matter are remembered over all keys, to be shown.
const REMEMBERED: usize = 1 << 14;
/// And so many for each key at least.
const REMEMBERED_EACH: usize = 64;
/// Roughly what a kept operation takes, with what is made of it to decide.
const KEPT_BYTES: usize = 192;

/// All keys.
pub struct Registers {
    question: Question,
    object: Register,
    initial: Id,
    stall: Option<Duration>,
    keys: Vec<Key>,
    places: Places,
    /// What the keys keep.
    journal: Journal,
    /// The open operations; between two pieces as they stand in the assembly.
    open: Vec<Open>,
    /// The room for the events that come.
    order: Vec<Event>,
    /// What each word means, by its place.
    words: Vec<Option<Plain>>,
    /// The place up to which all events were taken.
    seen: Pos,
    /// When the lines that are being taken came.
    now: Instant,
    watermark: Pos,
    /// How many operations counted as of unknown outcome because they were silent, and how many of these ended in
    /// a way that could not be weighed any more.
    stalled: u64,
    late: u64,
    /// So many of the history's values may be held, by their ids.
    held: usize,
    again: Again,
    /// The keys that take a search.
    searched: Vec<usize>,
    /// Which keys the decision that is being made is of.
    deciding: Vec<usize>,
    memory: usize,
    budget: Budget,
    /// Whether what is only to be shown is forgotten.
    is_short: bool,
    /// How many operations had come when the memory ran out: nothing is held from then on.
    given_up: Option<usize>,
}

/// What does nearly all there is to do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Plain {
    Read,
    Write,
}

/// An open operation, in one line of a cache.
struct Open {
    /// Its place in the history, and that of its key. There are fewer than lines, which are counted in 31 bits.
    index: u32,
    key: u32,
    inv: Pos,
    /// What began, as far as it is known.
    known: Option<Known>,
    /// Whether all of it is known, with its end, which stands in the same piece.
    is_whole: bool,
    is_unknown: bool,
    since: Instant,
    is_stalled: bool,
}

const _: () = assert!(size_of::<Open>() == 64);

impl Open {
    fn index(&self) -> usize {
        self.index as usize
    }

    fn key(&self) -> usize {
        self.key as usize
    }

    /// What it would put, as far as that is known.
    fn pending(&self) -> Option<Known> {
        self.known.filter(|known| known.act.puts().is_some()).map(Known::pending)
    }

    /// Whether its key is decided closely until it ends.
    fn is_waited_for(&self) -> bool {
        self.is_stalled || self.known.is_some_and(|known| known.act.puts().is_some())
    }
}

impl Registers {
    /// Nothing yet.
    pub fn new(
        question: Question,
        has_cas: bool,
        values: &Values,
        initial: Id,
        stall: Option<Duration>,
        memory: usize,
    ) -> Registers {
        Registers {
            question,
            object: Register { initial, has_cas, fail_observes: false },
            initial,
            stall,
            keys: Vec::new(),
            places: Places::default(),
            journal: Journal::default(),
            open: Vec::new(),
            order: Vec::new(),
            words: Vec::new(),
            seen: 0,
            now: Instant::now(),
            watermark: 0,
            stalled: 0,
            late: 0,
            held: values.count_with(initial),
            again: Again::new(memory),
            searched: Vec::new(),
            deciding: Vec::new(),
            memory,
            budget: Budget::start(Duration::MAX, memory),
            is_short: false,
            given_up: None,
        }
    }

    #[inline]
    fn key(&mut self, history: &History, id: Option<Id>) -> usize {
        match self.places.get(id) {
            Some(place) => place,
            None => self.new_key(history, id),
        }
    }

    fn new_key(&mut self, history: &History, id: Option<Id>) -> usize {
        self.held = self.held.max(id.map_or(0, |id| history.values.count_with(id)));
        let place = self.keys.len();
        if place == self.keys.capacity() {
            // Of a million keys half as much again would be too much.
            self.keys.reserve_exact(place / 8 + 16);
        }
        self.keys.push(Key::new(id, self.initial));
        self.places.set(id, place);
        place
    }

    /// How many operations of a key are remembered.
    #[inline]
    fn remembered(&self, place: usize) -> usize {
        match self.is_short {
            true => 1,
            false => (REMEMBERED / (place + 1)).max(REMEMBERED_EACH),
        }
    }

    /// Forgets lists that came since nothing of them was held: most are the two values of a cas.
    fn forget_lists(&self, history: &mut History) {
        if history.values.count() <= self.held {
            return;
        }
        let values = (0..history.ops.len()).filter_map(|index| history.ops.value(index));
        let held = values.map(|value| history.values.count_with(value)).max();
        history.values.forget_lists(self.held.max(held.unwrap_or(0)));
    }

    /// Learns what the words mean that came.
    fn learn(&mut self, history: &History) {
        let new = history.words[self.words.len()..].iter().map(|word| match word.as_str() {
            "read" => Some(Plain::Read),
            "write" => Some(Plain::Write),
            _ => None,
        });
        self.words.extend(new);
    }

    /// What a word means, if that is plain.
    #[inline(always)]
    fn plain(&self, f: u16) -> Option<Plain> {
        self.words.get(usize::from(f)).copied().flatten()
    }

    /// What a read or a write does that returned: the same as of all others, found sooner.
    #[inline]
    fn plainly(&mut self, history: &History, index: usize) -> Option<Known> {
        let ops = &history.ops;
        let value = ops.value(index).filter(|&value| value != NULL)?;
        let f = ops.f(index);
        let plain = self.plain(f)?;
        if ops.outcome(index) != Outcome::Ok {
            return None;
        }
        self.held = self.held.max(history.values.count_with(value));
        Some(Known {
            act: if plain == Plain::Read { Act::Read(value) } else { Act::Write(value) },
            inv: ops.inv(index),
            res: ops.res(index),
            process: ops.process_place(index),
            node: ops.node(index).into(),
            f,
            fate: Fate::Ok,
        })
    }

    /// What a read does that returned.
    #[inline]
    fn read(&mut self, history: &History, index: usize) -> Option<Known> {
        let is_read = self.plain(history.ops.f(index)) == Some(Plain::Read);
        if is_read { self.plainly(history, index) } else { None }
    }

    /// What an operation does, as it is known now.
    #[inline]
    fn known(&mut self, history: &History, index: usize) -> Result<Option<Known>> {
        match self.plainly(history, index) {
            Some(known) => Ok(Some(known)),
            None => self.known_of_any(history, index),
        }
    }

    #[inline(never)]
    fn known_of_any(&mut self, history: &History, index: usize) -> Result<Option<Known>> {
        // Field by field: a whole operation would be written out and read again.
        let ops = &history.ops;
        let f = ops.f(index);
        let call = Call {
            word: history.word(f),
            value: ops.value(index),
            fate: linear::fate(ops.outcome(index)),
            process: ops.process(index),
            values: &history.values,
        };
        if self.question.ignores(&call) {
            return Ok(None);
        }
        let act =
            self.object.act(&call).map_err(|clause| linear::wrong(history, index, &clause))?;
        // What fails is told apart by how it ends; until then it began like all others.
        let fate = if call.fate == Fate::Fail { Fate::Info } else { call.fate };
        let made = act.and_then(|act| Op::new(act, fate, ops.inv(index), ops.res(index), 0));
        let Some(Op { act, fate, inv, res, .. }) = made else { return Ok(None) };
        for value in [act.observes(), act.puts()].into_iter().flatten() {
            self.held = self.held.max(history.values.count_with(value));
        }
        let (process, node) = (ops.process_place(index), ops.node(index).into());
        Ok(Some(Known { act, inv, res, process, node, f, fate }))
    }

    /// Takes all events that came, in their order; whether a key is invalid now.
    fn events(&mut self, history: &History, open: &[usize]) -> Result<bool> {
        self.learn(history);
        let ops = &history.ops;
        let mut is_open = vec![false; ops.len()];
        open.iter().for_each(|&index| is_open[index] = true);
        // What will not return is not waited for.
        let is_lost = |index: usize| ops.res(index) == OPEN && !is_open[index];
        let mut is_done: Vec<bool> = (0..ops.len()).map(is_lost).collect();
        // Where each open operation is among those that are; of a read that is whole, where its key is.
        let mut slots = vec![0_u32; ops.len()];
        for (index, open) in self.open.iter_mut().enumerate() {
            (open.index, slots[index]) = (index as u32, index as u32);
            is_done[index] |= open.is_stalled;
        }
        let first_new = self.open.len();
        let order = self.in_order(history);
        let (mut is_invalid, mut oldest) = (false, 0);
        for (pos, &event) in (self.seen + 1..).zip(&order) {
            let index = match event {
                Event::NONE => continue,
                event => event.index(),
            };
            // Nobody waits for a read, and of one that began and ended here nothing is new at its end.
            let read = if index >= first_new { self.read(history, index) } else { None };
            if !event.is_end() {
                if read.is_some() {
                    slots[index] = self.key(history, ops.key(index)) as u32;
                    self.keys[slots[index] as usize].operations += 1;
                    continue;
                }
                slots[index] = self.open.len() as u32;
                let begun = self.begins(history, index, is_open[index])?;
                self.open.push(begun);
                continue;
            }
            while is_done.get(oldest).is_some_and(|&is_done| is_done) {
                oldest += 1;
            }
            let waited_for = if oldest < ops.len() { ops.inv(oldest).min(pos) } else { pos };
            self.watermark = self.watermark.max(waited_for);
            let slot = slots[index] as usize;
            if let Some(known) = read {
                is_done[index] = true;
                is_invalid |= self.weigh(history, index, slot, (known, false), pos);
                continue;
            }
            let ended = self.open.swap_remove(slot);
            self.keys[ended.key()].waited_for -= u32::from(ended.is_waited_for());
            if let Some(moved) = self.open.get(slot) {
                slots[moved.index()] = slot as u32;
            }
            is_done[index] = true;
            is_invalid |= match ended.known {
                Some(known) if ended.is_whole => self.ends_whole(history, &ended, known, pos),
                _ => self.ends(history, ended, pos)?,
            };
        }
        self.order = order;
        self.open.sort_unstable_by_key(|open| open.index);
        // What ended without anybody knowing how is open no longer.
        let (open, ended) =
            std::mem::take(&mut self.open).into_iter().partition(|open| is_open[open.index()]);
        self.open = open;
        for open in ended {
            self.keys[open.key()].waited_for -= u32::from(open.is_waited_for());
            self.ends_unknown(history, open)?;
        }
        // Lines are counted in 31 bits.
        self.seen = history.counts.lines as Pos;
        Ok(is_invalid)
    }

    /// The events that came, one for each line.
    fn in_order(&mut self, history: &History) -> Vec<Event> {
        let ops = &history.ops;
        let first = self.seen + 1;
        let events = history.counts.lines as usize - self.seen as usize;
        let at = |pos: Pos| pos.checked_sub(first).map(|at| at as usize);
        let mut order = std::mem::take(&mut self.order);
        order.clear();
        order.resize(events, Event::NONE);
        for index in 0..ops.len() {
            // There are fewer operations than lines, which are counted in 31 bits.
            if let Some(at) = at(ops.inv(index)) {
                order[at] = Event::begins(index as u32);
            }
            if let Some(at) = at(ops.res(index)).filter(|_| ops.res(index) != OPEN) {
                order[at] = Event::ends(index as u32);
            }
        }
        order
    }

    fn begins(&mut self, history: &History, index: usize, is_open: bool) -> Result<Open> {
        let ops = &history.ops;
        let lacks_value = || ops.value(index).is_none_or(|value| value == NULL);
        let is_unknown =
            is_open && lacks_value() && matches!(history.word(ops.f(index)), "write" | "cas");
        let known = match is_unknown {
            true => None,
            false => self.known(history, index)?,
        };
        // What ends with another key than it began with is told by its end.
        let place = self.key(history, ops.key(index));
        self.keys[place].operations += 1;
        if is_unknown {
            self.keys[place].unknown += 1;
            self.keep(place);
        }
        if let Some(known) = known.filter(|known| known.act.puts().is_some()) {
            self.keys[place].begin(known);
            self.keys[place].waited_for += 1;
        }
        let (inv, since, is_stalled) = (ops.inv(index), self.now, false);
        let is_whole = !is_open && ops.res(index) != OPEN;
        let (index, key) = (index as u32, place as u32);
        Ok(Open { index, key, inv, known, is_whole, is_unknown, since, is_stalled })
    }

    /// An operation ended that began in the same piece, so that nothing is new of it; whether its key is invalid now.
    #[inline]
    fn ends_whole(&mut self, history: &History, open: &Open, known: Known, pos: Pos) -> bool {
        let has_failed = history.ops.outcome(open.index()) == Outcome::Fail;
        self.weigh(history, open.index(), open.key(), (known, has_failed), pos)
    }

    /// An operation ended, ok or not; whether its key is invalid now.
    fn ends(&mut self, history: &History, open: Open, pos: Pos) -> Result<bool> {
        let index = open.index();
        let known = self.known(history, index)?;
        let mut key = open.key();
        // Where the end says more than the beginning, it is the end that counts.
        let puts = known.filter(|known| known.act.puts().is_some());
        let begun = open.pending();
        let is_other = puts.map(|known| known.act) != begun.map(|known| known.act);
        let place = match history.ops.key(index) {
            id if id == self.keys[key].id.into() => key,
            id => self.key(history, id),
        };
        let has_failed = history.ops.outcome(index) == Outcome::Fail;
        let mut is_invalid = false;
        if is_other || place != key || open.is_unknown {
            is_invalid |= self.takes_back(&open, pos);
            if place != key {
                self.keys[key].operations -= 1;
                self.keys[place].operations += 1;
                key = place;
            }
            if let Some(known) = puts {
                self.keys[key].begin(known);
            }
        }
        // What was let go counted with the other end: it was of unknown outcome, and began with these values.
        let is_taken_back = is_other || place != open.key() || has_failed && puts.is_some();
        let has_let_go = |place: usize| self.keys[place].has_let_go(open.inv);
        let has_let_go = has_let_go(open.key()) || has_let_go(place);
        let is_late = open.is_stalled && is_taken_back && has_let_go;
        self.late += u64::from(is_late);
        let Some(known) = known else {
            self.keys[key].is_new = true;
            self.answers(history, index, key, has_failed);
            return Ok(is_invalid);
        };
        let observes = known.act.observes().is_some();
        if !has_failed && open.is_stalled && observes && self.keys[key].has_let_go(open.inv) {
            self.keys[key].is_new = true;
            self.keys[key].observations += 1;
            self.late += u64::from(!is_late);
            return Ok(is_invalid);
        }
        Ok(is_invalid | self.weigh(history, index, key, (known, has_failed), pos))
    }

    /// Counts a cas that was refused: it is an answer too, if one that is not weighed.
    fn answers(&mut self, history: &History, index: usize, place: usize, has_failed: bool) {
        let is_cas = || history.word(history.ops.f(index)) == "cas";
        let is_answer = has_failed && self.object.has_cas && is_cas();
        self.keys[place].observations += u32::from(is_answer);
    }

    /// Weighs an operation that ended at a place, and whether it failed; whether its key is invalid now.
    #[inline]
    fn weigh(
        &mut self,
        history: &History,
        index: usize,
        place: usize,
        (known, has_failed): (Known, bool),
        pos: Pos,
    ) -> bool {
        let remembered = self.remembered(place);
        if has_failed {
            self.answers(history, index, place, true);
            let key = &mut self.keys[place];
            key.is_new = true;
            return known.act.puts().is_some() && key.failed(known, pos, &mut self.journal);
        }
        let key = &mut self.keys[place];
        key.is_new = true;
        key.observations += u32::from(known.act.observes().is_some());
        let (journal, watermark) = (&mut self.journal, self.watermark);
        let open: &[Open] = if key.waited_for > 0 { &self.open } else { &[] };
        let around = Around { journal, remembered, watermark, open, place };
        let is_invalid = key.returned(known, around);
        if matches!(key.state, State::Kept(_)) {
            self.list(place);
        }
        is_invalid
    }

    /// Keeps all of a key from now on.
    fn keep(&mut self, place: usize) {
        let pending = pending(&self.open, place).collect();
        self.keys[place].keep(None, pending, &mut self.journal);
        self.list(place);
    }

    /// An operation ended, and nobody knows how.
    fn ends_unknown(&mut self, history: &History, open: Open) -> Result<()> {
        let mut known = open.known;
        if open.is_unknown {
            known = self.known(history, open.index())?;
            self.takes_back(&open, open.inv);
            if let Some(known) = known {
                self.keys[open.key()].begin(known);
            }
        }
        if let Some(known) = known.filter(|known| known.act.puts().is_some()) {
            self.keys[open.key()].never_ends(known, &mut self.journal);
        }
        Ok(())
    }

    /// Nothing comes any more. What is still open may happen yet, and what it would do must be known then.
    fn leaves_open(&mut self, history: &History) -> Result<()> {
        for index in 0..history.ops.len() {
            self.known(history, index)?;
        }
        // They stand in the history in the same order, and nothing else does.
        for (index, open) in std::mem::take(&mut self.open).into_iter().enumerate() {
            self.ends_unknown(history, Open { index: index as u32, ..open })?;
        }
        Ok(())
    }

    /// As if it had not begun; whether that makes its key invalid.
    fn takes_back(&mut self, open: &Open, at: Pos) -> bool {
        let key = &mut self.keys[open.key()];
        key.unknown -= u32::from(open.is_unknown);
        open.pending().is_some_and(|known| key.failed(known, at, &mut self.journal))
    }

    /// Counts operations that were silent for too long as of unknown outcome.
    fn stall(&mut self) {
        let Some(stall) = self.stall else { return };
        let mut places = Vec::new();
        for open in self.open.iter_mut().filter(|open| !open.is_stalled) {
            if open.since.elapsed() >= stall {
                self.keys[open.key()].waited_for += u32::from(!open.is_waited_for());
                open.is_stalled = true;
                self.stalled += 1;
                places.push(open.key());
            }
        }
        let watermark = self.watermark;
        for place in places {
            let (remembered, open) = (self.remembered(place), &self.open);
            let around = Around { journal: &mut self.journal, remembered, watermark, open, place };
            self.keys[place].stalls(around);
            self.list(place);
        }
    }

    /// Decides once more what has to be searched, where it is time; whether a key is invalid now.
    fn search_again(&mut self) -> bool {
        let mut is_invalid = false;
        for (at, engine, decision) in self.again.found() {
            let place = self.deciding[at];
            is_invalid |= self.keys[place].decided(engine, decision);
        }
        let size = self.kept();
        if size * KEPT_BYTES > self.memory {
            self.keys.iter_mut().for_each(Key::exhaust);
            return is_invalid;
        }
        if is_invalid || !self.again.is_due(size) {
            return is_invalid;
        }
        let began = Instant::now();
        let mut work = Vec::new();
        self.deciding.clear();
        for &place in &self.searched {
            let key = &mut self.keys[place];
            let State::Kept(kept) = &key.state else { continue };
            if key.is_new && key.unknown == 0 {
                key.is_new = false;
                work.push((kept.ops(), kept.initial.clone(), kept.after));
                self.deciding.push(place);
            }
        }
        let work: Work = Box::new(move |budget| {
            periodic::decide(work.len(), budget, |at, slice| {
                let (ops, initial, after) = &work[at];
                decide(ops, initial, *after, slice, budget)
            })
        });
        self.again.start(size, began, work);
        false
    }

    /// Decides the keys that take a search, in their order.
    fn search(&self, budget: &Budget) -> Vec<Found> {
        let kept: Vec<&Kept> = self
            .keys
            .iter()
            .filter(|key| key.operations > 0)
            .filter_map(|key| match &key.state {
                State::Kept(kept) => Some(&**kept),
                _ => None,
            })
            .collect();
        periodic::decide(kept.len(), budget, |at, slice| {
            let kept = kept[at];
            decide(&kept.ops(), &kept.initial, kept.after, slice, budget)
        })
    }

    /// Keeps the memory: what is only to be shown goes first, and then everything.
    fn keep_within(&mut self) {
        // What remains goes over to another journal, and for that long both are there.
        if !self.is_short && self.budget.room_for(self.journal.bytes()).is_err() {
            self.is_short = true;
            self.forget();
        }
        if self.budget.is_overdrawn() {
            self.given_up = Some(self.keys.iter().map(|key| key.operations as usize).sum());
            (self.keys, self.places) = (Vec::new(), Places::default());
            self.journal = Journal::default();
            (self.open, self.searched) = (Vec::new(), Vec::new());
            self.again = Again::new(self.memory);
        }
    }

    /// Forgets what is only to be shown.
    fn forget(&mut self) {
        let watermark = self.open.iter().map(|open| open.inv).fold(self.watermark, Pos::min);
        for key in &mut self.keys {
            key.forget(watermark, &mut self.journal);
        }
        self.copy_journal();
    }

    /// Takes no more memory for what the keys keep than three times as much as that needs, and a little.
    fn tidy(&mut self) {
        if !self.journal.is_to_be_asked() {
            return;
        }
        if let Some(oldest) = self.keys.iter().map(Key::oldest).min() {
            self.journal.begins(oldest);
        }
        if self.journal.is_sparse() && self.budget.room_for(self.journal.kept_bytes()).is_ok() {
            self.copy_journal();
        }
    }

    /// Copies what the keys keep, and nothing else.
    fn copy_journal(&mut self) {
        let mut fresh = Journal::default();
        for key in &mut self.keys {
            key.copy(&self.journal, &mut fresh);
        }
        self.journal = fresh;
    }

    /// How many operations are kept to be searched; a return counts for one more.
    fn kept(&self) -> usize {
        let of = |&place: &usize| match &self.keys[place].state {
            State::Kept(kept) => kept.events(),
            _ => 0,
        };
        self.searched.iter().map(of).sum()
    }

    /// Lists a key among those that take a search, if it does.
    fn list(&mut self, place: usize) {
        let key = &mut self.keys[place];
        if !key.is_listed && matches!(key.state, State::Kept(_)) {
            key.is_listed = true;
            self.searched.push(place);
        }
    }
}

/// An event at a place in the order, of the operation at an index: twice that, and one more for its end.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Event(u32);

impl Event {
    const NONE: Event = Event(u32::MAX);

    fn begins(index: u32) -> Event {
        Event(index << 1)
    }

    fn ends(index: u32) -> Event {
        Event(index << 1 | 1)
    }

    fn index(self) -> usize {
        (self.0 >> 1) as usize
    }

    fn is_end(self) -> bool {
        self.0 & 1 != 0
    }
}

impl Registers {
    /// Asks whether each key's verdict finds room, and what is made of it. A violation is told in any case.
    fn room_for_verdicts(&self, budget: &Budget) -> std::result::Result<(), Exhausted> {
        if self.keys.iter().any(|key| matches!(key.state, State::Invalid(_))) {
            return Ok(());
        }
        budget.room_for(self.keys.len() * size_of::<KeyVerdict>())
    }
}

impl Decider for Registers {
    fn take(&mut self, assembly: &mut Assembly) -> Result<bool> {
        if self.given_up.is_some() {
            let open = assembly.open();
            assembly.forget_all_but(&open);
            return Ok(false);
        }
        self.stall();
        // Lines are counted in 31 bits.
        let lines = assembly.history().counts.lines as Pos;
        let mut is_invalid = false;
        if lines > self.seen {
            self.now = Instant::now();
            let open = assembly.open();
            is_invalid = self.events(assembly.history(), &open)?;
            assembly.forget_all_but(&open);
            self.forget_lists(assembly.history());
            self.tidy();
        }
        let is_invalid = is_invalid | self.search_again();
        if !is_invalid {
            self.keep_within();
        }
        Ok(is_invalid)
    }

    fn has_given_up(&self) -> bool {
        self.given_up.is_some()
    }

    fn watermark(&self) -> Option<Pos> {
        self.open.iter().find(|open| !open.is_stalled).map(|open| open.inv)
    }

    fn verdict(&mut self, history: &mut History, ended: Ended, budget: &Budget) -> Result<Verdict> {
        if let Some(taken) = self.given_up {
            let limit = Exhausted::Memory(self.memory);
            let what = many(taken as u64, "operation");
            return Ok(Verdict::new(Answer::Unknown, format!("{limit} after {what}")));
        }
        if ended != Ended::ByViolation {
            self.leaves_open(history)?;
        }
        // The clients of what was forgotten are named by their places.
        history.ops.keep_open(&[]);
        let mut searched = match ended {
            // They were about to be searched.
            Ended::ByViolation => Vec::new(),
            Ended::ByItself | Ended::BySignal => self.search(budget),
        }
        .into_iter();
        if let Err(limit) = self.room_for_verdicts(budget) {
            let taken: u64 = self.keys.iter().map(|key| u64::from(key.operations)).sum();
            let what = many(taken, "operation");
            return Ok(Verdict::new(Answer::Unknown, format!("{limit} after {what}")));
        }
        let mut verdicts = Vec::with_capacity(self.keys.len());
        for key in self.keys.iter_mut().filter(|key| key.operations > 0) {
            let (engine, decision) = match &mut key.state {
                State::ByReturn(_) | State::Online(_) => (ONLINE, Decision::Valid),
                State::Invalid(violation) => {
                    let base = put(history, &violation.ops);
                    (violation.engine, moved(violation.decision.clone(), base))
                }
                State::Kept(kept) => {
                    let Some((_, engine, decision)) = searched.next() else { continue };
                    let base = put(history, kept.known());
                    (engine, moved(decision, base))
                }
                State::Exhausted { operations } => {
                    let limit = Exhausted::Memory(self.memory);
                    let why = format!("{limit} after {}", many(*operations as u64, "operation"));
                    (
                        linear::Engine::Blocks(linear::case::AMBIGUOUS),
                        Decision::Unknown { why, at: None, limit: Some(limit) },
                    )
                }
            };
            verdicts.push(KeyVerdict {
                key: key.id.into(),
                operations: key.operations as usize,
                observations: key.observations as usize,
                engine,
                decision,
                order: None,
            });
        }
        let mut verdict = linear::tell(history, &self.question, &verdicts);
        if self.stalled > 0 {
            let what = many(self.stalled, "operation");
            verdict.say(format!(
                "counted as of unknown outcome: {what}, silent for longer than --stall"
            ));
        }
        let doubt = (self.late > 0).then(|| {
            let what = many(self.late, "operation");
            format!("{what} ended after --stall had given up on them, too late to be weighed")
        });
        Ok(verdict.doubted(doubt))
    }
}

/// Puts operations into the history, so that they can be told; where the first of them stands.
fn put(history: &mut History, ops: &[Known]) -> usize {
    let base = history.ops.len();
    for known in ops {
        let value = match known.act {
            // It would have changed nothing, and counts as a read.
            Act::Read(value) if history.word(known.f) == "cas" => {
                history.values.items(&[value, value])
            }
            Act::Read(value) | Act::Write(value) | Act::Differs(value) => value,
            Act::Cas(from, to) => history.values.items(&[from, to]),
        };
        let (outcome, res) = match known.fate {
            Fate::Ok => (Outcome::Ok, known.res),
            Fate::Info => (Outcome::Info, OPEN),
            Fate::Fail => (Outcome::Fail, OPEN),
        };
        history.ops.push(&Operation {
            process: history.ops.processes.number(known.process),
            f: known.f,
            key: None,
            value: Some(value),
            node: known.node.into(),
            is_final: false,
            outcome,
            inv: known.inv,
            res,
            invoked_at: None,
            completed_at: None,
        });
    }
    base
}

/// The same decision of operations that stand `base` places later.
fn moved(decision: Decision, base: usize) -> Decision {
    match decision {
        Decision::Invalid(Proof::Register(mut evidence)) => {
            evidence.ops.iter_mut().for_each(|op| op.source += base);
            Decision::Invalid(Proof::Register(evidence))
        }
        Decision::Unknown { why, at, limit } => {
            Decision::Unknown { why, at: at.map(|at| at + base), limit }
        }
        other => other,
    }
}
