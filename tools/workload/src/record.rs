//! What a run leaves behind: its history, where that goes, and what it says of command lines.

pub mod argv;
pub mod commands;
pub mod history;
pub mod stdout_writer;
