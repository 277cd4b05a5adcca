//! Cuts and heals the network between nodes, with a lease that ends every cut.

pub mod cli;
pub mod run;
