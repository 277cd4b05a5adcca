//! Runs `workload` as its command line says.

use breakit::exit::{Result, Status};

use crate::cli::Cli;

/// Runs the tool.
///
/// # Errors
/// One sentence for whatever stood in the way.
pub fn run(cli: Cli) -> Result<Status> {
    cli.loudness.set();
    Ok(Status::Done)
}
