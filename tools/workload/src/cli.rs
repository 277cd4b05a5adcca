//! The command line of `workload`: arguments and their help, nothing else.

use breakit::talk::Loudness;
use clap::Parser;

/// Drives clients against a database and records every operation
#[derive(Parser, Debug)]
#[command(name = "workload", version)]
pub struct Cli {
    /// How much is said on stderr
    #[command(flatten)]
    pub loudness: Loudness,
}
