//! Drives clients against a database and records every operation.
//!
//! | module | what it holds |
//! |---|---|
//! | [`cli`] | the command line |
//! | [`plan`] | what a run is going to do, and `--dry-run` |
//! | [`run`] | a run from its first line to its last, phase by phase |
//! | [`workloads`] | the workloads: what each needs, promises and does |
//! | [`action`] | what a client is asked to do, and what came of it |
//! | [`generator`] | which operation comes next, and when it is due |
//! | [`phases`] | the load, the final reads, and one operation within its timeout |
//! | [`clients`] | what a database client must do, and those that there are |
//! | [`nemesis`] | the programs that break things meanwhile |
//! | [`record`] | the history, its lines whole and in order, and where it goes |
//! | [`stop`] | what ends a run early: a signal, a reader that left, a disk that is full |
//! | [`progress`] | the line on a terminal |
//! | [`child`] | programs that we start: their command lines, their group, their end |

pub mod action;
pub mod child;
pub mod cli;
pub mod clients;
pub mod generator;
pub mod nemesis;
pub mod phases;
pub mod plan;
pub mod progress;
pub mod record;
pub mod run;
pub mod stop;
mod table;
pub mod workloads;
