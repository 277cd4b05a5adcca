//! What the adds and reads of a history say of one element of a set.

use crate::history::{OPEN, Operation, Outcome, Pos};

/// What is known of one element. All its adds must be taken before the first read.
#[derive(Debug, Clone, Copy)]
pub struct Element {
    /// Where its first add began, whatever became of that.
    tried_at: Pos,
    /// Where its first add began that did not fail: no read can rightly have it before.
    possible_at: Pos,
    fate: Option<Outcome>,
    /// The first return of an ok add, with the nanoseconds between which that add ran.
    acknowledged_at: Pos,
    span: (Option<u64>, Option<u64>),
    /// The first return of an ok read that has it.
    seen_at: Pos,
    /// The first return of one that can rightly have it. One that cannot is a violation of its own, and says
    /// nothing of what later reads must have.
    rightly_seen_at: Pos,
}

/// Whether a read was the first that had the element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// It was.
    First,
    /// Another one had it before.
    Again,
}

impl Element {
    /// Nobody added it or read it yet.
    pub const UNHEARD: Element = Element {
        tried_at: OPEN,
        possible_at: OPEN,
        fate: None,
        acknowledged_at: OPEN,
        span: (None, None),
        seen_at: OPEN,
        rightly_seen_at: OPEN,
    };

    /// Takes an add of it.
    pub fn add(&mut self, op: &Operation) {
        self.tried_at = self.tried_at.min(op.inv);
        if op.outcome != Outcome::Fail {
            self.possible_at = self.possible_at.min(op.inv);
        }
        if op.outcome == Outcome::Ok && op.res < self.acknowledged_at {
            self.acknowledged_at = op.res;
            self.span = (op.invoked_at, op.completed_at);
        }
        self.fate = Some(match (self.fate, op.outcome) {
            (Some(Outcome::Ok), _) | (_, Outcome::Ok) => Outcome::Ok,
            (Some(Outcome::Info), _) | (_, Outcome::Info) => Outcome::Info,
            _ => Outcome::Fail,
        });
    }

    /// Takes an ok read that has it and returned at `res`; reads come in the order of their returns.
    pub fn see(&mut self, res: Pos) -> Sight {
        if self.possible_at < res {
            self.rightly_seen_at = self.rightly_seen_at.min(res);
        }
        if self.seen_at < OPEN {
            return Sight::Again;
        }
        self.seen_at = res;
        Sight::First
    }

    /// The best outcome of its adds; `None` where there is none.
    pub fn fate(&self) -> Option<Outcome> {
        self.fate
    }

    /// The nanoseconds between which the add ran that was acknowledged first.
    pub fn span(&self) -> (Option<u64>, Option<u64>) {
        self.span
    }

    /// From where on it is known to be in the set: it was acknowledged, or a read rightly had it.
    pub fn known_at(&self) -> Pos {
        self.acknowledged_at.min(self.rightly_seen_at)
    }

    /// The first return of an ok read that has it; [`OPEN`] if there is none.
    pub fn seen_at(&self) -> Pos {
        self.seen_at
    }

    /// Whether a read had it that returned before its first add began.
    pub fn was_read_before_any_add(&self) -> bool {
        self.seen_at < self.tried_at
    }

    /// Whether a read had it that returned before the first add began that did not fail.
    pub fn was_read_before_any_add_that_may_have_happened(&self) -> bool {
        self.seen_at < self.possible_at
    }
}
