//! Which operation comes next, and when it is due.
//!
//! Every written value is new to its register and every added element new to its set: a read then says whose
//! write it saw, and checking is fast and exact.

pub mod pace;
pub mod registers;

use std::fmt::Debug;

use crate::action::{Action, Outcome};

/// Draws the operations of a run. All its choices follow from the seed and from what it learns.
pub trait Generator: Debug + Send {
    /// The next operation, which that process will carry out.
    fn next(&mut self, process: u64) -> Action;

    /// Learns what came of an operation of that process.
    fn learn(&mut self, _process: u64, _action: &Action, _outcome: &Outcome) {}

    /// Reads of everything that the run has written to.
    fn final_reads(&self) -> Vec<Action>;
}
