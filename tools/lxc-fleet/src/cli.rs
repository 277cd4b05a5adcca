//! The command line of `lxc-fleet`: arguments and their help, nothing else.

use breakit::talk::Loudness;
use clap::Parser;

/// Makes, lists, copies, runs and harms fleets of machines (LXC containers)
#[derive(Parser, Debug)]
#[command(name = "lxc-fleet", version)]
pub struct Cli {
    /// How much is said on stderr
    #[command(flatten)]
    pub loudness: Loudness,
}
