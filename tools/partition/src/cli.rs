//! The command line of `partition`: arguments and their help, nothing else.

use breakit::talk::Loudness;
use clap::Parser;

/// Cuts and heals the network between nodes, with a lease that ends every cut
#[derive(Parser, Debug)]
#[command(name = "partition", version)]
pub struct Cli {
    /// How much is said on stderr
    #[command(flatten)]
    pub loudness: Loudness,
}
