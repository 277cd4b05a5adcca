//! What decides a history while it grows, and within which limits.

use std::time::Duration;

use breakit::exit::Result;

use crate::budget::Budget;
use crate::history::{History, Pos};
use crate::read::builder::Assembly;
use crate::verdict::Verdict;

/// Why no more is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// There is no more.
    ByItself,
    /// What came is invalid.
    ByViolation,
    /// A signal said so.
    BySignal,
}

/// What is spent, and what counts as silence.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long the decision at the end may take.
    pub timeout: Duration,
    /// How much memory may be kept.
    pub memory: usize,
    /// After which time without an end an operation counts as of unknown outcome.
    pub stall: Option<Duration>,
}

/// What decides.
pub trait Decider {
    /// Takes what came; whether it is invalid now. Called every now and then also where nothing came.
    ///
    /// # Errors
    /// 65 for an operation that the model does not have.
    fn take(&mut self, assembly: &mut Assembly) -> Result<bool>;

    /// Whether the memory ran out, and nothing is decided any more.
    fn has_given_up(&self) -> bool;

    /// The oldest open operation that is waited for, where that matters.
    fn watermark(&self) -> Option<Pos>;

    /// The verdict on all that came.
    ///
    /// # Errors
    /// As [`Decider::take`].
    fn verdict(&mut self, history: &mut History, ended: Ended, budget: &Budget) -> Result<Verdict>;
}
