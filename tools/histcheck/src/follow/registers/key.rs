//! One key of registers that are followed: by the order of its returns as long as that is legal, then online, and back
//! where little is left; then kept for a search, where a value comes again too soon.

use std::time::Duration;

use super::Open;
use super::by_return::ByReturn;
use super::journal::{Journal, NOWHERE};
use crate::budget::Budget;
use crate::history::{OPEN, Pos};
use crate::linear::online::{Kept, Known, Online, Stop, Window};
use crate::linear::op::{Fate, Op};
use crate::linear::{self, Decision, Engine, Proof};
use crate::values::{Id, IdOrNone, NULL};

/// What decides event by event.
pub(super) const ONLINE: Engine = Engine::Direct("online zones");

/// A key.
pub(super) struct Key {
    pub id: IdOrNone,
    pub state: State,
    pub operations: u32,
    pub observations: u32,
    /// How many open operations it has of which it is not known what they may do.
    pub unknown: u32,
    /// How many are open that put a value or were given up on.
    pub waited_for: u32,
    /// Whether it is among those that take a search.
    pub is_listed: bool,
    /// Whether something came since the last decision, where it takes some.
    pub is_new: bool,
}

const _: () = assert!(size_of::<Key>() == 72);

/// How it is decided, and whether it is.
pub(super) enum State {
    ByReturn(ByReturn),
    Online(Box<Closely>),
    Kept(Box<Kept>),
    Invalid(Box<Violation>),
    Exhausted { operations: u32 },
}

/// A key that is decided online.
pub(super) struct Closely {
    online: Online,
    /// What came before and is settled, kept to be shown.
    before: ByReturn,
}

/// A key's end.
pub(super) struct Violation {
    pub engine: Engine,
    pub decision: Decision,
    /// The operations that it names.
    pub ops: Vec<Known>,
}

/// What an event of a key is taken with.
pub(super) struct Around<'a> {
    /// Where operations are kept.
    pub journal: &'a mut Journal,
    /// How many of them are kept to be shown.
    pub remembered: usize,
    /// Whatever returns from now on began there or later.
    pub watermark: Pos,
    /// All open operations, or none if none of them is waited for of this key, and which key it is.
    pub open: &'a [Open],
    pub place: usize,
}

impl Around<'_> {
    /// Whatever returns from now on began there or later, also what was given up on and puts a value.
    fn settling(&self) -> Pos {
        let pending = pending(self.open, self.place).map(|known| known.inv);
        pending.fold(self.watermark, Pos::min)
    }
}

/// The writes and cas of the key at `place` that are open, as far as they are known.
pub(super) fn pending(open: &[Open], place: usize) -> impl Iterator<Item = Known> {
    open.iter().filter(move |open| open.key() == place).filter_map(Open::pending)
}

impl Key {
    /// Nothing of it yet. The register holds `initial`.
    pub fn new(id: Option<Id>, initial: Id) -> Key {
        Key {
            id: id.into(),
            state: State::ByReturn(ByReturn::new(initial)),
            operations: 0,
            observations: 0,
            unknown: 0,
            waited_for: 0,
            is_listed: false,
            is_new: false,
        }
    }

    /// Forgets what is remembered only to be shown.
    pub fn forget(&mut self, watermark: Pos, journal: &mut Journal) {
        match &mut self.state {
            State::ByReturn(ops) => ops.shorten(1, watermark, journal),
            State::Online(closely) => {
                let held = closely.before.settled();
                closely.before.begin_again(held, journal);
                closely.online.forget();
            }
            _ => {}
        }
    }

    /// No place of an operation that the journal keeps of it is before this.
    pub fn oldest(&self) -> u32 {
        match &self.state {
            State::ByReturn(ops) => ops.oldest(),
            State::Online(closely) => closely.before.oldest(),
            State::Kept(_) | State::Invalid(_) | State::Exhausted { .. } => NOWHERE,
        }
    }

    /// Goes over to another journal.
    pub fn copy(&mut self, from: &Journal, to: &mut Journal) {
        match &mut self.state {
            State::ByReturn(ops) => ops.copy(from, to),
            State::Online(closely) => closely.before.copy(from, to),
            _ => {}
        }
    }

    /// A write or cas began.
    pub fn begin(&mut self, known: Known) {
        match &mut self.state {
            State::Online(closely) => closely.online.begin(known),
            State::Kept(kept) => kept.begin(known),
            // It is among those that are open.
            State::ByReturn(_) | State::Invalid(_) | State::Exhausted { .. } => {}
        }
    }

    /// A write or cas that began will never end.
    pub fn never_ends(&mut self, known: Known, journal: &mut Journal) {
        if let State::ByReturn(ops) = &mut self.state {
            ops.never_ends(known.pending(), journal);
        }
    }

    /// An operation returned; whether it is invalid now.
    #[inline]
    pub fn returned(&mut self, known: Known, mut around: Around<'_>) -> bool {
        if let State::ByReturn(ops) = &mut self.state
            && ops.returned(known, around.journal)
        {
            if ops.is_full(around.remembered) {
                ops.shorten(around.remembered, around.settling(), around.journal);
                if ops.is_overfull(around.remembered) {
                    // Too much overlaps, of which online more can go.
                    self.look_closely(None, &mut around);
                }
            }
            return false;
        }
        self.returned_closely(known, &mut around)
    }

    /// An operation was given up on: it may yet return when what it rests on is let go, and must not keep it from going.
    pub fn stalls(&mut self, mut around: Around<'_>) {
        self.look_closely(None, &mut around);
    }

    fn returned_closely(&mut self, known: Known, around: &mut Around<'_>) -> bool {
        self.look_closely(Some(known), around);
        let stop = match &mut self.state {
            State::Online(closely) => {
                closely.online.advance(around.watermark);
                closely.online.returned(known)
            }
            State::Kept(kept) => {
                kept.returned(known);
                Ok(())
            }
            State::ByReturn(_) | State::Invalid(_) | State::Exhausted { .. } => Ok(()),
        };
        let is_invalid = self.stop(stop, Some(known), around.journal);
        self.look_away(known.res, around);
        is_invalid
    }

    /// A write or cas did not happen, and that was known at `at`; whether it is invalid now.
    pub fn failed(&mut self, known: Known, at: Pos, journal: &mut Journal) -> bool {
        let stop = match &mut self.state {
            State::ByReturn(ops) => {
                ops.failed(known, at, journal);
                Ok(())
            }
            State::Online(closely) => closely.online.failed(known),
            State::Kept(kept) => {
                kept.failed(known);
                Ok(())
            }
            State::Invalid(_) | State::Exhausted { .. } => Ok(()),
        };
        self.stop(stop, None, journal)
    }

    /// Goes on online, or with a search, with `last`, which returns and is not taken yet.
    fn look_closely(&mut self, last: Option<Known>, around: &mut Around<'_>) {
        let State::ByReturn(ops) = &mut self.state else { return };
        let mut pending: Vec<Known> = pending(around.open, around.place).collect();
        pending.extend(last.filter(|last| last.act.puts().is_some()).map(Known::pending));
        // One that had been given up on began before it, and what it may rest on is not settled.
        let watermark = last.map_or(Pos::MAX, |last| last.inv).min(around.settling());
        ops.settle(watermark, around.journal);
        pending.extend(ops.take_unknown(around.journal));
        let unsettled = ops.unsettled(around.journal);
        let mut online = Online::after(ops.settled(), around.remembered);
        let taken = take_again(&mut online, &unsettled, &pending, watermark);
        if taken.is_err() {
            return self.keep(None, pending, around.journal);
        }
        let mut before = *ops;
        before.leave_settled(around.journal);
        self.state = State::Online(Box::new(Closely { online, before }));
    }

    /// Goes back to the order of the returns where it is certain at `now` what the register holds.
    fn look_away(&mut self, now: Pos, around: &mut Around<'_>) {
        let State::Online(closely) = &mut self.state else { return };
        let online = &mut closely.online;
        if self.waited_for > 0 || !online.may_be_settled() {
            return;
        }
        let Some(value) = online.settled() else { return };
        let pending: Vec<Known> = online.pending().collect();
        let mut ops = closely.before;
        let held = (value, now);
        let mut shown = Vec::new();
        match online.has_forgotten() {
            true => ops.begin_again(held, around.journal),
            false => shown = online.window(None).ops,
        }
        if ops.goes_on(&shown, &pending, held, around.remembered, around.journal) {
            ops.shorten(around.remembered, now, around.journal);
        }
        self.state = State::ByReturn(ops);
    }

    fn stop(
        &mut self,
        stop: std::result::Result<(), Stop>,
        last: Option<Known>,
        journal: &mut Journal,
    ) -> bool {
        match (stop, &mut self.state) {
            (Err(Stop::Ambiguous), _) => {
                self.keep(last, Vec::new(), journal);
                false
            }
            (Err(Stop::Violation), State::Online(closely)) => {
                let window = closely.window(last, journal);
                self.state = State::Invalid(Box::new(Violation::of(window)));
                true
            }
            _ => false,
        }
    }

    /// From now on all is kept: with `last`, which has just returned, and what is `pending`.
    pub fn keep(&mut self, last: Option<Known>, pending: Vec<Known>, journal: &mut Journal) {
        let window = match &mut self.state {
            State::ByReturn(ops) => {
                let ended = ops.ended(journal).into_iter().map(shown);
                let unknown = ops.unknown(journal);
                let mut all: Vec<Known> = ended.chain(unknown).chain(pending).collect();
                all.sort_by_key(|known| known.inv);
                let window = Window { ops: all, initial: vec![ops.initial()], after: ops.after() };
                ops.clear(journal);
                window
            }
            State::Online(closely) => closely.window(last, journal),
            _ => return,
        };
        self.state = State::Kept(Box::new(Kept::after(window)));
        self.is_new = true;
    }

    /// Whether something was let go that an operation which began at `inv` may rest on, or come before.
    pub fn has_let_go(&self, inv: Pos) -> bool {
        match &self.state {
            State::ByReturn(ops) => ops.has_settled(inv),
            State::Online(closely) => {
                closely.before.has_settled(inv) || closely.online.has_let_go(inv)
            }
            State::Kept(kept) => kept.after.is_some(),
            State::Invalid(_) | State::Exhausted { .. } => false,
        }
    }

    /// What a search found of it; whether it is invalid now.
    pub fn decided(&mut self, engine: Engine, decision: Decision) -> bool {
        let State::Kept(kept) = &self.state else { return false };
        let is_invalid = matches!(decision, Decision::Invalid(_));
        if is_invalid {
            let ops = kept.known().to_vec();
            self.state = State::Invalid(Box::new(Violation { engine, decision, ops }));
        }
        is_invalid
    }

    pub fn exhaust(&mut self) {
        if let State::Kept(_) = self.state {
            self.state = State::Exhausted { operations: self.operations };
        }
    }
}

impl Closely {
    /// All that is there, with `last`, which has just ended; the journal keeps none of it.
    fn window(&mut self, last: Option<Known>, journal: &mut Journal) -> Window {
        let mut window = self.online.window(last);
        if !self.online.has_forgotten() {
            window.ops.extend(self.before.ended(journal).into_iter().map(shown));
            window.ops.sort_by_key(|known| known.inv);
            (window.initial, window.after) = (vec![self.before.initial()], self.before.after());
        }
        self.before.clear(journal);
        window
    }
}

/// An operation of the journal as reports take it: only what happened for certain has a return.
fn shown(known: Known) -> Known {
    if known.fate == Fate::Ok { known } else { Known { res: OPEN, ..known } }
}

/// Takes events again that were legal in the order of the returns: operations in that order, and what is `pending`.
/// Whatever returned later than they began at `watermark` or later.
///
/// # Errors
/// Why it goes on no longer.
fn take_again(
    online: &mut Online,
    ended: &[Known],
    pending: &[Known],
    watermark: Pos,
) -> Result<(), Stop> {
    let puts = |known: &&Known| known.act.puts().is_some();
    let begun = ended.iter().chain(pending).filter(puts).map(|known| (known.inv, false, known));
    let mut events: Vec<(Pos, bool, &Known)> =
        begun.chain(ended.iter().map(|known| (known.res, true, known))).collect();
    events.sort_unstable_by_key(|&(at, _, _)| at);
    // What returns from each event on began no earlier than this.
    let mut watermarks = vec![watermark; events.len()];
    let mut least = watermark;
    for (at, &(_, is_end, known)) in events.iter().enumerate().rev() {
        if is_end && known.fate == Fate::Ok {
            least = least.min(known.inv);
        }
        watermarks[at] = least;
    }
    for (&(_, is_end, known), watermark) in events.iter().zip(watermarks) {
        online.advance(watermark);
        match (is_end, known.fate) {
            (false, _) => online.begin(*known),
            (true, Fate::Fail) => online.failed(*known)?,
            (true, _) => online.returned(*known)?,
        }
    }
    Ok(())
}

impl Violation {
    fn of(window: Window) -> Violation {
        let ops = window.ops();
        let budget = Budget::start(EVIDENCE, usize::MAX);
        let (engine, decision) =
            decide(&ops, &window.initial, window.after, Duration::MAX, &budget);
        let engine = if engine == linear::case::ZONES { ONLINE } else { engine };
        // It ends the reading, so that nobody knows what was still to come.
        let decision = match decision {
            Decision::Valid => linear::case::proved(None),
            other => other,
        };
        Violation { engine, decision, ops: window.ops }
    }
}

/// How long the evidence of a violation may take to find.
const EVIDENCE: Duration = Duration::from_secs(20);

/// Decides operations that do not begin with the history, if `after` says so: then the register held one of
/// `initial`, each of which leads to the same answer. A search takes no longer than `slice`.
pub(super) fn decide(
    ops: &[Op],
    initial: &[Id],
    after: Option<Pos>,
    slice: Duration,
    budget: &Budget,
) -> (Engine, Decision) {
    let first = initial.first().copied().unwrap_or(NULL);
    let (engine, mut decision) = linear::case::decide_within(ops, first, slice, budget);
    if let (Decision::Invalid(Proof::Register(evidence)), Some(_)) = (&mut decision, after) {
        let convicts = |&value: &Id| {
            matches!(linear::decide(&evidence.ops, value, budget).1, Decision::Invalid(_))
        };
        if evidence.after.is_none() {
            evidence.after = after;
            if initial.iter().all(convicts) {
                evidence.initial = initial.to_vec();
            }
        }
    }
    (engine, decision)
}
