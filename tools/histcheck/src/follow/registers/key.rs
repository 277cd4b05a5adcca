//! One key of registers that are followed: few events as they came, then online as long as that decides, then kept for
//! a search.

use std::time::Duration;

use crate::budget::Budget;
use crate::history::Pos;
use crate::linear::online::{Kept, Known, Online, Stop, Window};
use crate::linear::op::Op;
use crate::linear::{self, Decision, Engine, Proof};
use crate::values::{Id, NULL};

/// What decides event by event.
pub(super) const ONLINE: Engine = Engine::Direct("online zones");

/// A key.
pub(super) struct Key {
    pub id: Option<Id>,
    pub state: State,
    pub operations: u32,
    pub observations: u32,
    /// How many open operations it has of which it is not known what they may do.
    pub unknown: u32,
    /// Whether it is among those that take a search.
    pub is_listed: bool,
    /// Whether something came since the last decision, where it takes some.
    pub is_new: bool,
}

/// How it is decided, and whether it is.
pub(super) enum State {
    Few(Few),
    Online(Box<Online>),
    Kept(Box<Kept>),
    Invalid(Box<Violation>),
    Exhausted { operations: u32 },
}

/// A key's end.
pub(super) struct Violation {
    pub engine: Engine,
    pub decision: Decision,
    /// The operations that it names.
    pub ops: Vec<Known>,
}

impl Key {
    /// Nothing of it yet. The register holds `initial`.
    pub fn new(id: Option<Id>, initial: Id, remembered: usize) -> Key {
        Key {
            id,
            state: State::Few(Few::new(initial, remembered)),
            operations: 0,
            observations: 0,
            unknown: 0,
            is_listed: false,
            is_new: false,
        }
    }

    /// Forgets what is remembered only to be shown.
    pub fn forget(&mut self) {
        match &mut self.state {
            State::Few(few) => few.remembered = few.remembered.min(1),
            State::Online(online) => online.forget(),
            _ => {}
        }
    }

    pub fn begin(&mut self, known: Known) {
        self.make_room();
        match &mut self.state {
            State::Few(few) => few.take(Came::Began(known)),
            State::Online(online) => online.begin(known),
            State::Kept(kept) => kept.begin(known),
            State::Invalid(_) | State::Exhausted { .. } => {}
        }
    }

    /// Whether it is invalid now.
    pub fn returned(&mut self, known: Known, watermark: Pos) -> bool {
        self.make_room();
        let stop = match &mut self.state {
            State::Few(few) => {
                few.take(Came::Returned(known));
                return self.replay();
            }
            State::Online(online) => {
                online.advance(watermark);
                online.returned(known)
            }
            State::Kept(kept) => {
                kept.returned(known);
                Ok(())
            }
            State::Invalid(_) | State::Exhausted { .. } => Ok(()),
        };
        self.stop(stop, Some(known))
    }

    /// Whether it is invalid now.
    pub fn failed(&mut self, known: Known) -> bool {
        self.make_room();
        let stop = match &mut self.state {
            State::Few(few) => {
                few.take(Came::Failed(known));
                return self.replay();
            }
            State::Online(online) => online.failed(known),
            State::Kept(kept) => {
                kept.failed(known);
                Ok(())
            }
            State::Invalid(_) | State::Exhausted { .. } => Ok(()),
        };
        self.stop(stop, None)
    }

    /// Goes on online where there are no longer few events.
    fn make_room(&mut self) {
        if let State::Few(few) = &self.state
            && few.came.len() == FEW
        {
            // None of them stopped it when it came.
            self.state = State::Online(Box::new(few.online().0));
        }
    }

    /// Decides few events anew; whether the key is invalid by the last of them.
    fn replay(&mut self) -> bool {
        let State::Few(few) = &self.state else { return false };
        let last = match few.came.last() {
            Some(Came::Returned(known)) => Some(*known),
            _ => None,
        };
        let (online, stop) = few.online();
        if stop.is_err() {
            self.state = State::Online(Box::new(online));
        }
        self.stop(stop, last)
    }

    fn stop(&mut self, stop: std::result::Result<(), Stop>, last: Option<Known>) -> bool {
        match (stop, &self.state) {
            (Err(Stop::Ambiguous), _) => {
                self.keep(last);
                false
            }
            (Err(Stop::Violation), State::Online(online)) => {
                let window = online.window(last);
                self.state = State::Invalid(Box::new(Violation::of(window)));
                true
            }
            _ => false,
        }
    }

    /// From now on all is kept.
    pub fn keep(&mut self, last: Option<Known>) {
        let window = match &self.state {
            State::Few(few) => few.online().0.window(last),
            State::Online(online) => online.window(last),
            _ => return,
        };
        self.state = State::Kept(Box::new(Kept::after(window)));
        self.is_new = true;
    }

    pub fn has_let_go(&self) -> bool {
        match &self.state {
            State::Online(online) => online.has_let_go(),
            State::Kept(kept) => kept.after.is_some(),
            State::Few(_) | State::Invalid(_) | State::Exhausted { .. } => false,
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

/// So many events are decided anew at each return: they take less memory than what is decided of them, and of most of
/// a million keys no more ever come.
const FEW: usize = 6;

/// The few events of a key, as they came.
pub(super) struct Few {
    came: Vec<Came>,
    initial: Id,
    remembered: u32,
}

/// An event.
enum Came {
    Began(Known),
    Returned(Known),
    Failed(Known),
}

impl Few {
    fn new(initial: Id, remembered: usize) -> Few {
        Few { came: Vec::new(), initial, remembered: remembered as u32 }
    }

    fn take(&mut self, came: Came) {
        if self.came.len() == self.came.capacity() {
            self.came.reserve_exact(2);
        }
        self.came.push(came);
    }

    /// What is decided of them, and why it goes on no longer, if it does not. Nothing is let go.
    fn online(&self) -> (Online, std::result::Result<(), Stop>) {
        let mut online = Online::new(self.initial, self.remembered as usize);
        for came in &self.came {
            let taken = match *came {
                Came::Began(known) => {
                    online.begin(known);
                    Ok(())
                }
                Came::Returned(known) => online.returned(known),
                Came::Failed(known) => online.failed(known),
            };
            if taken.is_err() {
                return (online, taken);
            }
        }
        (online, Ok(()))
    }
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
