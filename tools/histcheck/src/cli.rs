//! The command line of `histcheck`: arguments and their help, nothing else.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use breakit::talk::Loudness;
use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use serde_json::Value;

use crate::linear::models;
use crate::read::format::Format;

/// Decides from a history whether a database kept its promise, and shows why not
///
/// Without a check, does those that the history's first line names. Reads stdin where no file is named.
/// Exits 0 for valid, 1 for invalid, 2 for unknown.
#[derive(Parser, Debug)]
#[command(name = "histcheck", version)]
pub struct Cli {
    /// Which check; without one, those that the first line names
    #[command(subcommand)]
    pub check: Option<CheckArgs>,
    /// Histories; - is stdin
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// A process that is no client, although it invokes; may be given more than once
    #[arg(long, global = true, value_name = "WORD")]
    pub not_a_client: Vec<String>,
    /// How verdicts are told and what may be spent on them
    #[command(flatten)]
    pub common: Common,
    /// How much is said on stderr
    #[command(flatten)]
    pub loudness: Loudness,
}

/// Flags that every check has.
#[derive(Args, Clone, Copy, Debug)]
pub struct Common {
    /// One JSON object a verdict, on one line
    #[arg(long, global = true)]
    pub json: bool,
    /// Drop a last line that was cut short, as a killed writer leaves it, and say so
    #[arg(long, global = true)]
    pub lenient: bool,
    /// How the histories are written down [default: as their first bytes say]
    #[arg(long, global = true, value_enum)]
    pub format: Option<Format>,
    /// Take every value for [KEY, VALUE], as jepsen.independent writes them
    #[arg(long, global = true)]
    pub keyed: bool,
    /// How long one check of one history may take, its reading included, before it is unknown [default: 60s]
    #[arg(long, global = true, value_name = "TIME", value_parser = breakit::clock::parse_duration)]
    pub timeout: Option<Duration>,
    /// How much memory a history and its check may take before it is unknown [default: half of what is free]
    #[arg(long, global = true, value_name = "BYTES", value_parser = crate::budget::parse_bytes)]
    pub memory: Option<usize>,
    /// Decide linear while the history grows, and exit 1 at the first violation
    #[arg(long, global = true)]
    pub follow: bool,
    /// With --follow: how long an operation may be silent before its outcome counts as unknown
    #[arg(long, global = true, value_name = "TIME", requires = "follow", value_parser = breakit::clock::parse_duration)]
    pub stall: Option<Duration>,
}

impl Common {
    /// How long one check of one history may take.
    pub fn time(&self) -> Duration {
        self.timeout.unwrap_or(Duration::from_secs(60))
    }
}

/// The checks, and what else is done with histories.
#[derive(Subcommand, Clone, Debug)]
pub enum CheckArgs {
    /// Count operations by name and outcome, with latencies and faults; judges nothing
    Stats(Files),
    /// No acknowledged element is lost, and nothing is read that was not added
    Set(Files),
    /// Some order of the operations is one that a single copy could have followed
    Linear {
        /// The object and its first value
        #[command(flatten)]
        object: Object,
        /// A cas that failed says that the register held another value
        #[arg(long)]
        fail_observes: bool,
        /// Write a legal order of each valid key to a file, for verify
        #[arg(long, value_name = "FILE")]
        witness: Option<PathBuf>,
        /// Draw the evidence of the first invalid key as SVG
        #[arg(long, value_name = "FILE")]
        svg: Option<PathBuf>,
        /// Which histories
        #[command(flatten)]
        files: Files,
    },
    /// An order that linear wrote is one that the object could have followed
    Verify {
        /// The object and its first value
        #[command(flatten)]
        object: Object,
        /// The order, as linear --witness wrote it
        #[arg(long, value_name = "FILE")]
        witness: PathBuf,
        /// A cas that failed says that the register held another value
        #[arg(long)]
        fail_observes: bool,
        /// Which history
        #[command(flatten)]
        files: Files,
    },
    /// Write a history in another format
    Convert {
        /// Which
        #[arg(long, value_enum)]
        to: Target,
        /// The history; - is stdin
        #[arg(value_name = "FILE", default_value = "-")]
        file: PathBuf,
    },
    /// Split a history into shards that can be checked apart; prints their names
    Split {
        /// What stays together
        #[arg(long, value_enum, default_value = "key")]
        by: SplitBy,
        /// How many
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
        shards: u32,
        /// The folder in which they are made
        #[arg(long, value_name = "DIR")]
        into: PathBuf,
        /// The history; - is stdin
        #[arg(value_name = "FILE", default_value = "-")]
        file: PathBuf,
    },
    /// Make one verdict of those on the shards, which --json printed
    Merge(Files),
}

/// An object.
#[derive(Args, Clone, Debug)]
pub struct Object {
    /// The object: a model, semaphore:N, or @FILE for a table
    #[arg(long, value_parser = ModelName)]
    pub model: String,
    /// What it holds before the first operation, as JSON [default: null]
    #[arg(long, value_name = "VALUE", value_parser = value, allow_hyphen_values = true)]
    pub initial: Option<Value>,
    /// An ok read of null says that its client saw nothing, and not that it saw null
    #[arg(long)]
    pub ignore_null_reads: bool,
}

/// Any text, so that numbers and files can follow; shells complete the names.
#[derive(Clone, Debug)]
struct ModelName;

impl TypedValueParser for ModelName {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<String, clap::Error> {
        StringValueParser::new().parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let plain = models::all().filter(|model| model.number().is_none());
        Some(Box::new(plain.map(|model| PossibleValue::new(model.name).help(model.doc))))
    }
}

/// In which format a history is written.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// One JSON object a line
    Jsonl,
    /// EDN, one map a line
    Edn,
    /// A table
    Csv,
}

/// By what a history is split.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum SplitBy {
    /// Operations of one key stay together
    Key,
}

/// The histories of a check.
#[derive(Args, Clone, Debug)]
pub struct Files {
    /// Histories; - is stdin
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

fn value(text: &str) -> Result<Value, String> {
    serde_json::from_str(text)
        .map_err(|_| format!("{text:?} is no JSON; write 0, null or '\"a word\"'"))
}
