//! Drives clients against a database and records every operation.

pub mod cli;
pub mod run;
