//! Makes, lists, copies, runs and harms fleets of machines (LXC containers).

pub mod cli;
pub mod run;
