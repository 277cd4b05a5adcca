//! The command line of `histcheck`: arguments and their help, nothing else.

use breakit::talk::Loudness;
use clap::Parser;

/// Decides from a history whether a database kept its promise, and shows why not
#[derive(Parser, Debug)]
#[command(name = "histcheck", version)]
pub struct Cli {
    /// How much is said on stderr
    #[command(flatten)]
    pub loudness: Loudness,
}
