//! Decisions made again and again on what has come so far, beside the reading, and how often.
//!
//! What has no legal order never gets one by more operations, so each violation that a part of the history shows is
//! one of the whole. A decision is made when there is twice as much as at the last one, which costs at most
//! as much again as one decision of the whole; and when the last one is ten times as long ago as it took, which costs
//! a tenth of the time.

use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

use crate::budget::Budget;
use crate::linear::rounds::{self, Standing};
use crate::linear::{Decision, Engine};

/// Fewer operations than this are not worth a decision, unless nothing else comes.
const FEW: usize = 128;
/// No two decisions within this time, unless there is twice as much.
const PAUSE: Duration = Duration::from_millis(100);
/// How long one may take before the end.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was decided of one key, by its place.
pub type Found = (usize, Engine, Decision);

/// Decides `count` keys in rounds; `one` decides the key at a place within a slice of time.
pub fn decide(
    count: usize,
    budget: &Budget,
    one: impl Fn(usize, Duration) -> (Engine, Decision) + Sync,
) -> Vec<Found> {
    let keys: Vec<usize> = (0..count).collect();
    let found = rounds::all(&keys, 1, budget, || {
        |at: usize, slice: Duration| {
            let (engine, decision) = one(at, slice);
            let standing = Standing::of(&decision, budget);
            ((at, engine, decision), standing)
        }
    });
    let told = |(at, engine, mut decision): Found, is_set_aside: bool| {
        if is_set_aside {
            decision.set_aside();
        }
        (at, engine, decision)
    };
    found.into_iter().map(|key| told(key.found, key.is_set_aside)).collect()
}

/// What decides: on a thread of its own.
pub type Work = Box<dyn FnOnce(&Budget) -> Vec<Found> + Send>;

/// When to decide, and the decision that is being made.
#[derive(Debug)]
pub struct Again {
    running: Option<(Instant, Receiver<Vec<Found>>)>,
    /// How much there was at the last decision, when it ended, and how long it took.
    decided: usize,
    ended: Instant,
    took: Duration,
    memory: usize,
}

impl Again {
    /// Nothing decided yet; there are so many bytes in all, of which a decision may take half.
    pub fn new(memory: usize) -> Again {
        let (decided, took) = (0, Duration::ZERO);
        Again { running: None, decided, ended: Instant::now(), took, memory }
    }

    /// Whether to decide now that there is so much.
    pub fn is_due(&self, size: usize) -> bool {
        if self.running.is_some() || size <= self.decided {
            return false;
        }
        let idle = self.ended.elapsed();
        size >= (2 * self.decided).max(FEW) || idle >= PAUSE && idle >= 10 * self.took
    }

    /// Decides `size` of it; preparing began at `began`.
    pub fn start(&mut self, size: usize, began: Instant, work: Work) {
        let (give, take) = channel();
        let budget = Budget::start(PATIENCE, self.memory).shared_by(2);
        let started = std::thread::Builder::new().spawn(move || {
            // Nobody waits for it any more where the history has ended.
            let _ = give.send(work(&budget));
        });
        self.decided = size;
        self.ended = Instant::now();
        self.took = began.elapsed();
        // Without a thread there is the decision at the end.
        self.running = started.is_ok().then_some((began, take));
    }

    /// What the decision found, once it is made.
    pub fn found(&mut self) -> Vec<Found> {
        let Some((began, take)) = &self.running else { return Vec::new() };
        let found = match take.try_recv() {
            Ok(found) => found,
            Err(TryRecvError::Empty) => return Vec::new(),
            Err(TryRecvError::Disconnected) => Vec::new(),
        };
        (self.ended, self.took) = (Instant::now(), began.elapsed());
        self.running = None;
        found
    }
}
