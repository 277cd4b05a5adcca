//! Decides from a history whether a database kept its promise, and shows why not.
//!
//! Data flows one way:
//!
//! | step | modules |
//! |---|---|
//! | read lines into operations, values into small numbers | [`read`], [`values`], [`number`], [`history`], [`faults`] |
//! | choose the checks | [`checks`] |
//! | decide | [`checks`], [`linear`]; while the history grows [`follow`] |
//! | tell | [`verdict`], [`report`] |
//!
//! Beside that [`convert`] writes a history in another format, and [`split`] and [`merge`] let many machines
//! check one.
//!
//! The engines are a library with the binary beside it, so that benchmarks and other programs call them.

pub mod budget;
pub mod checks;
pub mod cli;
pub mod clients;
mod column;
pub mod contradictions;
pub mod convert;
pub mod faults;
pub mod follow;
pub mod free;
pub mod history;
pub mod last_words;
pub mod linear;
pub mod memory;
pub mod merge;
pub mod number;
pub mod plural;
pub mod processes;
pub mod ranges;
pub mod read;
pub mod report;
pub mod run;
pub mod split;
pub mod values;
pub mod verdict;
