//! Drives clients against a database and records every operation.
//!
//! | module | what it holds |
//! |---|---|
//! | [`cli`] | the command line |
//! | [`client`] | what a database client must do, and those that there are |
//! | [`child`] | programs that we start: their words, their group, their end |

pub mod child;
pub mod cli;
pub mod client;
pub mod run;
