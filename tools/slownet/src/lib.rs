//! Makes the network between nodes bad without cutting it, with a lease.

pub mod cli;
pub mod run;
