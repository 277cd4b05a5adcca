//! The command line of `workload`: arguments and their help, nothing else.

use std::path::PathBuf;
use std::time::Duration;

use breakit::clock::parse_duration;
use breakit::helper::PathArg;
use breakit::messages::Loudness;
use breakit::node::NodesArg;
use clap::error::ErrorKind;
use clap::{ArgMatches, Args, Command, FromArgMatches, Parser, Subcommand};

use crate::clients;
use crate::workloads::{WORKLOADS, Workload, WorkloadKind};

/// Drives clients against a database and records every operation
#[derive(Parser, Debug)]
#[command(
    name = "workload",
    version,
    subcommand_required = true,
    arg_required_else_help = false,
    after_help = clients::list()
)]
pub struct Cli {
    /// The promise that is tested
    #[command(subcommand)]
    pub chosen: Chosen,
    /// How much is said on stderr
    #[command(flatten)]
    pub loudness: Loudness,
    /// Where the programs that are run are looked for
    #[command(flatten)]
    pub path: PathArg,
}

/// The workload that a command line names, with its arguments.
#[derive(Debug)]
pub struct Chosen {
    /// Its entry in the table.
    pub kind: &'static WorkloadKind,
    /// The workload itself.
    pub workload: Box<dyn Workload>,
    /// What every workload takes.
    pub common: CommonArgs,
}

impl Subcommand for Chosen {
    fn augment_subcommands(command: Command) -> Command {
        WORKLOADS.iter().fold(command, |command, kind| {
            let own = CommonArgs::augment_args(Command::new(kind.name));
            command.subcommand((kind.arguments)(own).about(kind.about))
        })
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Chosen::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        WORKLOADS.iter().any(|kind| kind.name == name)
    }
}

impl FromArgMatches for Chosen {
    fn from_arg_matches(found: &ArgMatches) -> std::result::Result<Chosen, clap::Error> {
        let chosen = found.subcommand().and_then(|(name, own)| {
            let kind = WORKLOADS.iter().find(|kind| kind.name == name)?;
            Some((kind, own))
        });
        let (kind, own) = chosen.ok_or_else(|| clap::Error::new(ErrorKind::MissingSubcommand))?;
        let common = CommonArgs::from_arg_matches(own)?;
        Ok(Chosen { kind, workload: (kind.parse)(own)?, common })
    }

    fn update_from_arg_matches(
        &mut self,
        found: &ArgMatches,
    ) -> std::result::Result<(), clap::Error> {
        *self = Chosen::from_arg_matches(found)?;
        Ok(())
    }
}

/// What every workload takes.
#[derive(Args, Debug)]
pub struct CommonArgs {
    /// The database's client
    #[arg(short, long, value_name = "CLIENT", help = clients::help())]
    pub client: String,
    /// Where the database runs
    #[command(flatten)]
    pub nodes: NodesArg,
    /// Operations to start a second, whether or not earlier ones were answered
    #[arg(long, value_name = "PER-SECOND", default_value_t = 200.0, value_parser = rate)]
    pub rate: f64,
    /// The maximum number of operations that are open at the same time
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub concurrency: u32,
    /// End the load after TIME [default: 30s, with mem 1.5s, with --ops none]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub time_limit: Option<Duration>,
    /// End the load after N operations
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub ops: Option<u64>,
    /// The seed of every random choice [default: $BREAKIT_SEED, else a new number]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Give up waiting for the answer to an operation after TIME
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    pub timeout: Duration,
    /// Wait at most TIME until a program of --client exec: reads its first request
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    pub start_timeout: Duration,
    /// Give up a final read after TIME, with all its attempts
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    pub final_timeout: Duration,
    /// Wait at most TIME for a database that is still starting
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_duration)]
    pub ready: Duration,
    /// Wait at most TIME until the nodes agree again after the last fault [default: 15s, with mem 1s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub recovery: Option<Duration>,
    /// Read everything from every node at the end [default]
    #[arg(long = "final", overrides_with = "no_final")]
    pub final_reads: bool,
    /// Skip recovery and final reads
    #[arg(long)]
    pub no_final: bool,
    /// Run CMD during the load, and put the fault lines that it prints into the history (repeatable)
    #[arg(long, value_name = "CMD")]
    pub nemesis: Vec<String>,
    /// Record every word of the commands of --client and --nemesis, including secrets
    #[arg(long)]
    pub record_commands: bool,
    /// Write the history to FILE as well, even if the reader of stdout exits or hangs
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Print what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// The number of the first process
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=1 << 53))]
    pub process_base: u64,
    /// The prefix of all names that the run creates in the database [default: breakit- and a new number]
    #[arg(long, value_name = "P")]
    pub prefix: Option<String>,
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        // Rarer than the least, the next operation may fall due later than the clock can say.
        Ok(rate) if (1e-6..=1e6).contains(&rate) => Ok(rate),
        _ => Err("a rate is a number from 0.000001 to 1000000, in operations a second".into()),
    }
}
