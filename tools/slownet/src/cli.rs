//! The command line of `slownet`: arguments and their help, nothing else.

use breakit::talk::Loudness;
use clap::Parser;

/// Makes the network between nodes bad without cutting it, with a lease
#[derive(Parser, Debug)]
#[command(name = "slownet", version)]
pub struct Cli {
    /// How much is said on stderr
    #[command(flatten)]
    pub loudness: Loudness,
}
