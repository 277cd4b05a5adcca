//! The phases of a run after its setup, and the single operation that they share.

pub mod attempt;
pub mod final_reads;
pub mod load;
