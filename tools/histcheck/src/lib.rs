//! Decides from a history whether a database kept its promise, and shows why not.

pub mod cli;
pub mod run;
