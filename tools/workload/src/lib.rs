//! Drives clients against a database and records every operation.
//!
//! | module | what it holds |
//! |---|---|
//! | [`cli`] | the command line |
//! | [`plan`] | what a run is going to do, and `--dry-run` |
//! | [`run`] | a run from its first line to its last, phase by phase |
//! | [`generator`] | which operation comes next |
//! | [`pace`] | when it is due |
//! | [`load`] | the main phase: processes that take operations as they fall due |
//! | [`attempt`] | one operation, from the open connection to its outcome |
//! | [`final_reads`] | waiting until the nodes agree, then reading every one of them |
//! | [`nemesis`] | the programs that break things meanwhile |
//! | [`history`] | the lines, written whole and in order |
//! | [`outlet`] | stdout, whose reader may hang |
//! | [`stop`] | what ends a run early: a signal, a reader that left, a disk that is full |
//! | [`progress`] | the line on a terminal |
//! | [`client`] | what a database client must do, and those that there are |
//! | [`child`] | programs that we start: their words, their group, their end |
//! | [`recorded`] | what the history says of command lines: no secret |

pub mod attempt;
pub mod child;
pub mod cli;
pub mod client;
pub mod final_reads;
pub mod generator;
pub mod history;
pub mod load;
pub mod nemesis;
pub mod outlet;
pub mod pace;
pub mod plan;
pub mod progress;
pub mod recorded;
pub mod run;
pub mod stop;
