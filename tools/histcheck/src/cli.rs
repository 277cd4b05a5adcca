//! The command line of `histcheck`: arguments and their help, nothing else.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use breakit::messages::Loudness;
use clap::builder::{PossibleValue, PossibleValuesParser, StringValueParser, TypedValueParser};
use clap::{ArgMatches, Args, FromArgMatches, Parser, Subcommand};
use serde_json::Value;

use crate::checks::{self, CHECKS, Kind};
use crate::linear::{Model, Question, models};
use crate::read::format::{Format, Written};
use crate::read::{FORMATS, lines};

/// Decides from a history whether a database kept its promise, and shows why if it did not
///
/// Without a check, runs those that the history's first line names. Without a file, reads stdin.
/// Exits 0 for valid, 1 for invalid, 2 for unknown.
#[derive(Parser, Debug)]
#[command(name = "histcheck", version)]
pub struct Cli {
    /// Which check; without one, those that the first line names
    #[command(subcommand)]
    pub task: Option<Task>,
    /// Histories; - is stdin
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// A process that is not a client, although it has invocations (repeatable)
    #[arg(long, global = true, value_name = "WORD")]
    pub not_a_client: Vec<String>,
    /// How verdicts are printed, and the limits of time and memory
    #[command(flatten)]
    pub common: Common,
    /// How much is said on stderr
    #[command(flatten)]
    pub loudness: Loudness,
}

/// Flags that every check has.
#[derive(Args, Clone, Copy, Debug)]
pub struct Common {
    /// Print each verdict as a JSON object on one line
    #[arg(long, global = true)]
    pub json: bool,
    /// Ignore an incomplete last line, as a killed writer leaves it, with a warning
    #[arg(long, global = true)]
    pub lenient: bool,
    /// The format of the histories [default: detected from their first bytes]
    #[arg(long, global = true, value_enum)]
    pub format: Option<Format>,
    /// Read every value as [KEY, VALUE], as jepsen.independent writes them
    #[arg(long, global = true)]
    pub keyed: bool,
    /// The time that reading and checking one history may take before the verdict is unknown [default: 60s]
    #[arg(long, global = true, value_name = "TIME", value_parser = breakit::clock::parse_duration)]
    pub timeout: Option<Duration>,
    /// The memory that a history and its check may take before the verdict is unknown [default: half of what is free]
    #[arg(long, global = true, value_name = "SIZE", value_parser = crate::budget::parse_bytes)]
    pub memory: Option<usize>,
    /// Check linear while the history grows, and exit 1 at the first violation
    #[arg(long, global = true)]
    pub follow: bool,
    /// With --follow: treat an operation without a completion as info after TIME
    #[arg(long, global = true, value_name = "TIME", requires = "follow", value_parser = breakit::clock::parse_duration)]
    pub stall: Option<Duration>,
}

impl Common {
    /// How long one check of one history may take.
    pub fn time(&self) -> Duration {
        self.timeout.unwrap_or(Duration::from_secs(60))
    }
}

/// What is done with histories, beside the checks.
#[derive(Subcommand, Clone, Debug)]
pub enum Command {
    /// Write a history in another format
    Convert {
        /// The format
        #[arg(long, value_name = "TO", value_parser = written())]
        to: Written,
        /// The history; - is stdin
        #[arg(value_name = "FILE", default_value = "-")]
        file: PathBuf,
    },
    /// Split a history into shards that can be checked separately, and print their names
    Split {
        /// The operations that stay in one shard
        #[arg(long, value_enum, default_value = "key")]
        by: SplitBy,
        /// The number of shards
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
        shards: u32,
        /// The folder for the shards
        #[arg(long, value_name = "DIR")]
        into: PathBuf,
        /// The history; - is stdin
        #[arg(value_name = "FILE", default_value = "-")]
        file: PathBuf,
    },
    /// Merge the shards' verdicts, as --json printed them, into one
    Merge(Files),
}

/// A check or another command.
#[derive(Clone, Debug)]
pub enum Task {
    /// One of [`CHECKS`], with its arguments.
    Check(&'static Kind, ArgMatches),
    /// Something else.
    Other(Command),
}

impl FromArgMatches for Task {
    fn from_arg_matches(matches: &ArgMatches) -> clap::error::Result<Task> {
        match matches.subcommand().and_then(|(name, matches)| Some((checks::kind(name)?, matches)))
        {
            Some((kind, matches)) => Ok(Task::Check(kind, matches.clone())),
            None => Command::from_arg_matches(matches).map(Task::Other),
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> clap::error::Result<()> {
        *self = Task::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Subcommand for Task {
    fn augment_subcommands(command: clap::Command) -> clap::Command {
        let checks = CHECKS.iter().map(|kind| kind.command());
        Command::augment_subcommands(command.subcommands(checks))
    }

    fn augment_subcommands_for_update(command: clap::Command) -> clap::Command {
        Task::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        checks::kind(name).is_some() || Command::has_subcommand(name)
    }
}

/// An object.
#[derive(Args, Clone, Debug)]
pub struct Object {
    /// The object: a model, semaphore:N, or @FILE for a table
    #[arg(long, value_parser = ModelName)]
    pub model: String,
    /// The value before the first operation, as JSON [default: null]
    #[arg(long, value_name = "VALUE", value_parser = value, allow_hyphen_values = true)]
    pub initial: Option<Value>,
    /// Treat an ok read of null as a read of an unknown value
    #[arg(long)]
    pub ignore_null_reads: bool,
}

impl Object {
    /// The file of the model, if it is a table.
    pub fn table(&self) -> Option<PathBuf> {
        self.model.strip_prefix('@').map(PathBuf::from)
    }

    /// Whether a history is linearizable as this object.
    ///
    /// # Errors
    /// As [`Model::of`].
    pub fn question(self) -> breakit::exit::Result<Question> {
        let Object { model, initial, ignore_null_reads } = self;
        let question = Question::new(Model::of(&model)?, initial.unwrap_or_default());
        Ok(Question { ignore_null_reads, ..question })
    }
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
        Some(Box::new(models::plain().map(|model| PossibleValue::new(model.name).help(model.doc))))
    }
}

/// The format of a name, if histories are written in it.
fn written() -> impl TypedValueParser<Value = Written> {
    let all = || FORMATS.iter().filter_map(|format| Some((format, format.written?)));
    let names = all().map(|(format, _)| PossibleValue::new(format.name).help(format.doc));
    PossibleValuesParser::new(names).map(move |name| {
        let mut found = all().filter(|(format, _)| format.name == name);
        found.next().map_or(lines::WRITTEN, |(_, written)| written)
    })
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
