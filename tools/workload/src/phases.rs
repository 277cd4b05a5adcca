//! The phases of a run after its setup, and the single operation that they share.

pub mod attempt;
pub mod final_reads;
pub mod load;
pub mod operation_lines;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use breakit::node::Node;

use crate::clients::Database;
use crate::generator::Generator;
use crate::record::history::History;
use crate::stop::Stop;

/// What all phases of a run share.
pub struct Shared {
    /// The database under test.
    pub database: Arc<dyn Database>,
    /// Where it runs; never empty.
    pub nodes: Vec<Node>,
    /// The place that is ours on it.
    pub prefix: String,
    /// How long an operation may take.
    pub timeout: Duration,
    /// Where every operation is recorded.
    pub history: History,
    /// Which operation comes next.
    pub generator: Mutex<Box<dyn Generator>>,
    /// What ends everything early.
    pub stop: Stop,
}

impl Shared {
    /// The generator, for as long as one draws.
    pub fn generator(&self) -> MutexGuard<'_, Box<dyn Generator>> {
        // A worker that panicked while it drew loses its own operation, not the sequence.
        self.generator.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
