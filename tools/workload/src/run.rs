//! Runs `workload` as its command line says.

use breakit::exit::{Result, Status};

use crate::cli::Cli;
use crate::client::{self, Asked};

/// Runs the tool.
///
/// # Errors
/// One sentence for whatever stood in the way.
pub fn run(cli: Cli) -> Result<Status> {
    cli.loudness.set();
    let common = cli.workload.common();
    let asked = Asked {
        ready: common.ready,
        seed: breakit::rng::seed(common.seed)?,
        workload: cli.workload.name(),
    };
    client::database(&common.client, &asked)?;
    Ok(Status::Done)
}
