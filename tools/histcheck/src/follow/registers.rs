//! Registers, decided event by event: those of the lines that came, one after the other.

mod key;
mod piece;

use std::time::{Duration, Instant};

use breakit::exit::Result;
use rustc_hash::FxHashMap;

use super::again::{self, Again, Found, Work};
use super::{Decider, Ended};
use crate::budget::{Budget, Exhausted};
use crate::history::{History, OPEN, Operation, Outcome, Pos};
use crate::linear::models::register::Register;
use crate::linear::object::{Call, Object};
use crate::linear::online::{Kept, Known};
use crate::linear::op::{Act, Fate, Op};
use crate::linear::{self, Decision, KeyVerdict, Proof, Question};
use crate::plural::many;
use crate::read::assemble::Assembly;
use crate::values::{Id, NULL, Values};
use crate::verdict::{Answer, Verdict};
use key::{Key, ONLINE, State, decide};
use piece::{LAST, Piece, Step};

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
    places: FxHashMap<Option<Id>, usize>,
    /// The open operations, as they stand in the assembly.
    open: Vec<Open>,
    /// The room for the events that come.
    piece: Piece,
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

/// An open operation.
struct Open {
    key: usize,
    inv: Pos,
    /// What began, as far as it is known.
    begun: Option<Known>,
    is_unknown: bool,
    since: Instant,
    is_stalled: bool,
}

impl Registers {
    /// Nothing yet.
    pub fn new(
        question: Question,
        values: &Values,
        initial: Id,
        stall: Option<Duration>,
        memory: usize,
    ) -> Registers {
        let has_cas = question.model == linear::Model::CasRegister;
        Registers {
            question,
            object: Register { initial, has_cas, fail_observes: false },
            initial,
            stall,
            keys: Vec::new(),
            places: FxHashMap::default(),
            open: Vec::new(),
            piece: Piece::default(),
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

    fn key(&mut self, history: &History, id: Option<Id>) -> usize {
        if let Some(&place) = self.places.get(&id) {
            return place;
        }
        self.held = self.held.max(id.map_or(0, |id| history.values.count_with(id)));
        let place = self.keys.len();
        let remembered = match self.is_short {
            true => 1,
            false => (REMEMBERED / (place + 1)).max(REMEMBERED_EACH),
        };
        self.keys.push(Key::new(id, self.initial, remembered));
        self.places.insert(id, place);
        place
    }

    /// Forgets lists that came since nothing of them was held: most are the two values of a cas.
    fn forget_lists(&self, history: &mut History) {
        let values = (0..history.ops.len()).filter_map(|index| history.ops.value(index));
        let held = values.map(|value| history.values.count_with(value)).max();
        history.values.forget_lists(self.held.max(held.unwrap_or(0)));
    }

    /// What an operation does, as it is known now.
    fn known(&mut self, history: &History, index: usize) -> Result<Option<Known>> {
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
        let (process, node) = (ops.process_place(index), ops.node(index));
        Ok(Some(Known { act, inv, res, process, node, f, fate }))
    }

    /// Takes all events that came, key by key, and those of a key in their order; whether a key is invalid now.
    fn events(&mut self, history: &History, open: &[usize]) -> Result<bool> {
        let mut is_open = vec![false; history.ops.len()];
        open.iter().for_each(|&index| is_open[index] = true);
        let mut piece = self.piece(history, &is_open);
        let carried = self.open.len();
        // Those that carry on, and after them the new ones that do.
        let mut begun: Vec<Option<Open>> =
            std::mem::take(&mut self.open).into_iter().map(Some).collect();
        begun.resize_with(history.ops.len(), || None);
        let mut is_invalid = false;
        // The first by its place: whatever the order in which keys are taken, it is the one that is told.
        let mut wrong = None;
        piece.each(|Step { index, place, pos, watermark, is_end, .. }| {
            let taken = match (is_end, begun[index].take()) {
                (false, _) => self
                    .begins(history, index, place, is_open[index])
                    .map(|open| begun[index] = Some(open)),
                (true, Some(open)) => {
                    self.ends(history, index, open, watermark).map(|ended| is_invalid |= ended)
                }
                (true, None) => Ok(()),
            };
            if let Err(error) = taken
                && wrong.as_ref().is_none_or(|&(first, _)| pos < first)
            {
                wrong = Some((pos, error));
            }
        });
        piece.clear();
        self.piece = piece;
        if let Some((_, error)) = wrong {
            return Err(error);
        }
        // What ended without anybody knowing how is open no longer.
        for index in 0..carried.max(begun.len()) {
            if let Some(open) = begun[index].take() {
                match is_open[index] {
                    true => self.open.push(open),
                    false => self.ends_unknown(history, index, open)?,
                }
            }
        }
        // Lines are counted in 31 bits.
        self.seen = history.counts.lines as Pos;
        Ok(is_invalid)
    }

    /// The events that came, each with its key, which is known from now on, and with the watermark at its place.
    fn piece(&mut self, history: &History, is_open: &[bool]) -> Piece {
        let ops = &history.ops;
        let first = self.seen + 1;
        let events = history.counts.lines as usize - self.seen as usize;
        let at = |pos: Pos| pos.checked_sub(first).map(|at| at as usize);
        let mut by_place = vec![Event::None; events];
        for index in 0..ops.len() {
            if let Some(at) = at(ops.inv(index)) {
                by_place[at] = Event::Begins(index);
            }
            if let Some(at) = at(ops.res(index)).filter(|_| ops.res(index) != OPEN) {
                by_place[at] = Event::Ends(index);
            }
        }
        // What will not return is not waited for.
        let mut is_done: Vec<bool> =
            (0..ops.len()).map(|index| ops.res(index) == OPEN && !is_open[index]).collect();
        let mut places = vec![0; ops.len()];
        for (index, open) in self.open.iter().enumerate() {
            is_done[index] |= open.is_stalled;
            places[index] = open.key;
        }
        let mut piece = std::mem::take(&mut self.piece);
        let mut oldest = 0;
        for (pos, event) in (first..).zip(by_place) {
            let (index, is_end) = match event {
                Event::None => continue,
                Event::Begins(index) => (index, false),
                Event::Ends(index) => (index, true),
            };
            if !is_end {
                places[index] = self.key(history, ops.key(index));
            }
            while is_done.get(oldest).is_some_and(|&is_done| is_done) {
                oldest += 1;
            }
            let waited_for = if oldest < ops.len() { ops.inv(oldest).min(pos) } else { pos };
            self.watermark = self.watermark.max(waited_for);
            let place = places[index];
            piece.add(Step { index, place, pos, watermark: self.watermark, is_end, next: LAST });
            if is_end {
                // Its end may say for the first time of which key it is, and then two keys change at once.
                let told = self.key(history, ops.key(index));
                piece.is_in_order |= told != place;
                is_done[index] = true;
            }
        }
        piece
    }

    fn begins(
        &mut self,
        history: &History,
        index: usize,
        place: usize,
        is_open: bool,
    ) -> Result<Open> {
        let ops = &history.ops;
        let lacks_value = ops.value(index).is_none_or(|value| value == NULL);
        let is_unknown =
            is_open && lacks_value && matches!(history.word(ops.f(index)), "write" | "cas");
        let begun = match is_unknown {
            true => None,
            false => self.known(history, index)?.filter(|known| known.act.puts().is_some()),
        };
        let key = &mut self.keys[place];
        key.operations += 1;
        if is_unknown {
            key.unknown += 1;
            key.keep(None);
        }
        if let Some(known) = begun {
            key.begin(known);
        }
        self.list(place);
        let since = self.now;
        Ok(Open { key: place, inv: ops.inv(index), begun, is_unknown, since, is_stalled: false })
    }

    /// An operation ended, ok or not; whether its key is invalid now.
    fn ends(
        &mut self,
        history: &History,
        index: usize,
        open: Open,
        watermark: Pos,
    ) -> Result<bool> {
        let known = self.known(history, index)?;
        let mut key = open.key;
        // Where the end says more than the beginning, it is the end that counts.
        let puts = known.filter(|known| known.act.puts().is_some());
        let is_other = puts.map(|known| known.act) != open.begun.map(|known| known.act);
        let place = match history.ops.key(index) {
            id if id == self.keys[key].id => key,
            id => self.key(history, id),
        };
        let has_failed = history.ops.outcome(index) == Outcome::Fail;
        let mut is_invalid = false;
        if is_other || place != key || open.is_unknown {
            is_invalid |= self.takes_back(&open);
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
        let is_taken_back = is_other || place != open.key || has_failed && puts.is_some();
        let has_let_go = self.keys[open.key].has_let_go() || self.keys[place].has_let_go();
        let is_late = open.is_stalled && is_taken_back && has_let_go;
        self.late += u64::from(is_late);
        let is_cas = || history.word(history.ops.f(index)) == "cas";
        let key = &mut self.keys[key];
        key.is_new = true;
        if has_failed {
            // A cas that was refused is an answer too, if one that is not weighed.
            key.observations += u32::from(self.object.has_cas && is_cas());
            return Ok(is_invalid | puts.is_some_and(|known| key.failed(known)));
        }
        let Some(known) = known else { return Ok(is_invalid) };
        let observes = known.act.observes().is_some();
        key.observations += u32::from(observes);
        if open.is_stalled && observes && key.has_let_go() {
            self.late += u64::from(!is_late);
            return Ok(is_invalid);
        }
        let is_invalid = is_invalid | key.returned(known, watermark);
        self.list(place);
        Ok(is_invalid)
    }

    /// An operation ended, and nobody knows how.
    fn ends_unknown(&mut self, history: &History, index: usize, open: Open) -> Result<()> {
        if open.is_unknown {
            let known = self.known(history, index)?;
            self.takes_back(&open);
            if let Some(known) = known {
                self.keys[open.key].begin(known);
            }
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
            self.ends_unknown(history, index, open)?;
        }
        Ok(())
    }

    /// As if it had not begun; whether that makes its key invalid.
    fn takes_back(&mut self, open: &Open) -> bool {
        let key = &mut self.keys[open.key];
        key.unknown -= u32::from(open.is_unknown);
        open.begun.is_some_and(|known| key.failed(known))
    }

    /// Counts operations that were silent for too long as of unknown outcome.
    fn stall(&mut self) {
        let Some(stall) = self.stall else { return };
        for open in self.open.iter_mut().filter(|open| !open.is_stalled) {
            if open.since.elapsed() >= stall {
                open.is_stalled = true;
                self.stalled += 1;
            }
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
            again::decide(work.len(), budget, |at, slice| {
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
        again::decide(kept.len(), budget, |at, slice| {
            let kept = kept[at];
            decide(&kept.ops(), &kept.initial, kept.after, slice, budget)
        })
    }

    /// Keeps the memory: what is only to be shown goes first, and then everything.
    fn keep_within(&mut self) {
        if !self.budget.is_overdrawn() {
            return;
        }
        if !std::mem::replace(&mut self.is_short, true) {
            self.keys.iter_mut().for_each(Key::forget);
        }
        if self.budget.is_overdrawn() {
            self.given_up = Some(self.keys.iter().map(|key| key.operations as usize).sum());
            (self.keys, self.places) = (Vec::new(), FxHashMap::default());
            (self.open, self.searched) = (Vec::new(), Vec::new());
            self.again = Again::new(self.memory);
        }
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

/// An event at a place in the order, of the operation at an index.
#[derive(Clone, Copy)]
enum Event {
    None,
    Begins(usize),
    Ends(usize),
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
        let mut verdicts = Vec::new();
        for key in self.keys.iter_mut().filter(|key| key.operations > 0) {
            let (engine, decision) = match &mut key.state {
                State::Few(_) | State::Online(_) => (ONLINE, Decision::Valid),
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
                key: key.id,
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
            verdict.details.push(format!(
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
            node: known.node,
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
