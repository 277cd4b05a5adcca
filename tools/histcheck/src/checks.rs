//! The checks: one file each, with its arguments, what it promises and how it decides.
//!
//! A new check is a new file with a [`Kind`], and a line in the list below.

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;

use breakit::exit::{Error, Result};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, Args, Command};
use serde_json::Value;

use crate::budget::Budget;
use crate::follow::decider::{Decider, Limits};
use crate::history::History;
use crate::verdict::Verdict;

mod answers;

/// Declares the module of each check and puts its kind into [`CHECKS`].
macro_rules! checks {
    ($($check:ident,)*) => {
        $(pub mod $check;)*

        /// All checks, in the order in which help lists them.
        pub const CHECKS: &[&Kind] = &[$(&$check::KIND,)*];
    };
}

checks! {
    stats,
    set,
    linear,
    verify,
}

/// A check that a command line or a first line asked for, with its options.
pub trait Check: Debug {
    /// What it is.
    fn kind(&self) -> &'static Kind;

    /// Decides, by what operations were invoked with.
    ///
    /// # Errors
    /// 65 for operations that the check does not understand.
    fn judge(&self, history: &mut History, asked: Asked<'_>) -> Result<Verdict>;

    /// Whether it takes operations to have done what their completions say, if invocations say something else.
    fn takes_results(&self) -> bool {
        false
    }

    /// Which files it reads, beside histories.
    fn inputs(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// Which files it writes, each with the option that names it.
    fn outputs(&self) -> Vec<(&'static str, PathBuf)> {
        Vec::new()
    }

    /// Whether these options let it be decided while a history grows.
    ///
    /// # Errors
    /// 64 for an option that needs the whole history.
    fn must_be_followed(&self) -> Result<()> {
        Ok(())
    }

    /// What decides it while a history grows; `None` if it needs the whole history.
    fn decider(&self, _: &mut History, _: Asked<'_>, _: Limits) -> Option<Box<dyn Decider>> {
        None
    }
}

/// What is asked of a check, beside its options.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// What it may spend.
    pub budget: &'a Budget,
    /// Whether the verdict on each key is wanted, for programs.
    pub each_key: bool,
    /// Whether it writes its [`outputs`](Check::outputs).
    pub writes: bool,
}

/// What is known of a check before it has options.
#[derive(Debug)]
pub struct Kind {
    /// The name in reports and on the command line.
    pub name: &'static str,
    /// What it finds out, in one line.
    pub doc: &'static str,
    /// The options that the first line of a history may have; `None` if that line cannot ask for this check.
    pub promised: Option<&'static [Promised]>,
    /// Whether it says that a promise was kept or broken: the run itself may be a reason to doubt that.
    pub judges: bool,
    /// Whether it needs the times of operations, beside the order of their events.
    pub needs_times: bool,
    /// Whether it can be decided while a history grows.
    pub is_followed: bool,
    /// Why shards of a history cannot be checked apart, if they cannot.
    pub keys_depend: Option<&'static str>,
    /// How its arguments are added to a command.
    arguments: fn(Command) -> Command,
    /// The check and the histories that a command line names.
    parse: fn(&ArgMatches) -> Result<Chosen>,
}

/// A check with the histories that a command line names.
pub type Chosen = (Arc<dyn Check>, Vec<PathBuf>);

/// The arguments of a check on the command line.
pub trait Arguments: Args {
    /// The check that they ask for, and the histories that they name.
    ///
    /// # Errors
    /// 64 for arguments that do not go together; those of files that are read for them.
    fn chosen(self) -> Result<Chosen>;
}

/// An option of a check on the first line of a history. It has the name of the option on the command line.
#[derive(Clone, Copy, Debug)]
pub enum Promised {
    /// True or false.
    Flag(&'static str),
    /// A text.
    Word(&'static str),
    /// Any JSON.
    Json(&'static str),
}

impl Promised {
    fn name(self) -> &'static str {
        let (Promised::Flag(name) | Promised::Word(name) | Promised::Json(name)) = self;
        name
    }

    /// The option as the command line has it; `None` if its value says that it is not there.
    fn argument(self, value: &Value) -> std::result::Result<Option<String>, String> {
        match (self, value) {
            (_, Value::Null) | (Promised::Flag(_), Value::Bool(false)) => Ok(None),
            (Promised::Flag(name), Value::Bool(true)) => Ok(Some(format!("--{name}"))),
            (Promised::Flag(name), other) => {
                Err(format!("{name:?} must be true or false, not {other}"))
            }
            (Promised::Word(name), Value::String(word)) if word.starts_with('@') => {
                Err(format!("the {name} {word:?} is a file, which only the command line may name"))
            }
            (Promised::Word(name), Value::String(word)) => Ok(Some(format!("--{name}={word}"))),
            (Promised::Word(name), other) => Err(format!("{name:?} must be a text, not {other}")),
            (Promised::Json(name), value) => Ok(Some(format!("--{name}={value}"))),
        }
    }
}

impl Kind {
    /// A check that judges and has these arguments, without its name.
    pub const fn of<A: Arguments>() -> Kind {
        Kind {
            name: "",
            doc: "",
            promised: None,
            judges: true,
            needs_times: true,
            is_followed: false,
            keys_depend: None,
            arguments: A::augment_args,
            parse: |matches| match A::from_arg_matches(matches) {
                Ok(arguments) => arguments.chosen(),
                Err(error) => Err(Error::usage(error.to_string())),
            },
        }
    }

    /// The subcommand.
    pub fn command(&self) -> Command {
        (self.arguments)(Command::new(self.name)).about(self.doc)
    }

    /// What the arguments of the subcommand ask for.
    ///
    /// # Errors
    /// As [`Arguments::chosen`].
    pub fn chosen(&self, matches: &ArgMatches) -> Result<Chosen> {
        (self.parse)(matches)
    }

    /// The check with the options of a first line. They are read as those of the command line.
    ///
    /// An unknown option would change the promise: it is an error.
    fn with(
        &self,
        promised: &[Promised],
        options: &Value,
    ) -> std::result::Result<Arc<dyn Check>, String> {
        let none = serde_json::Map::new();
        let fields = match options {
            Value::Object(fields) => fields,
            Value::Null => &none,
            other => return Err(format!("\"options\" must be an object, not {other}")),
        };
        let mut arguments = Vec::new();
        for (name, value) in fields {
            let Some(option) = promised.iter().find(|option| option.name() == name) else {
                return Err(format!(
                    "this histcheck does not know the option {name:?} of its check"
                ));
            };
            arguments.extend(option.argument(value)?);
        }
        let command = self.command().no_binary_name(true).disable_help_flag(true);
        let matches =
            command.try_get_matches_from(arguments).map_err(|error| self.refused(&error))?;
        let (check, _) = self.chosen(&matches).map_err(|error| error.to_string())?;
        Ok(check)
    }

    fn refused(&self, error: &clap::Error) -> String {
        let name = self.name;
        match (error.kind(), error.get(ContextKind::InvalidArg)) {
            (ErrorKind::MissingRequiredArgument, Some(ContextValue::Strings(missing))) => {
                let word = |text: &String| {
                    text.split_whitespace()
                        .next()
                        .unwrap_or_default()
                        .trim_start_matches('-')
                        .to_string()
                };
                let missing: Vec<String> = missing.iter().map(word).collect();
                format!("the check {name} needs the option {:?}", missing.join(", "))
            }
            _ => {
                let text = error.to_string();
                let line = text.lines().next().unwrap_or_default();
                format!("the check {name}: {}", line.trim_start_matches("error: "))
            }
        }
    }
}

/// The check of a name.
pub fn kind(name: &str) -> Option<&'static Kind> {
    CHECKS.iter().copied().find(|kind| kind.name == name)
}

/// Whether a check decides each key apart, so that shards of a history can be checked apart and their verdicts merged.
///
/// # Errors
/// A clause that says why not.
pub fn keys_are_independent(name: &str) -> std::result::Result<(), String> {
    match kind(name).and_then(|kind| kind.keys_depend) {
        Some(why) => Err(format!("shards cannot be judged apart by the check {name}: {why}")),
        None => Ok(()),
    }
}

/// The names of the checks that a first line may ask for, as error messages list them.
pub fn names() -> String {
    let promised = CHECKS.iter().filter(|kind| kind.promised.is_some());
    promised.map(|kind| kind.name).collect::<Vec<_>>().join(", ")
}

/// The names of the checks that can be decided while a history grows, as error messages list them.
pub fn followed() -> String {
    let followed = CHECKS.iter().filter(|kind| kind.is_followed);
    followed.map(|kind| kind.name).collect::<Vec<_>>().join(" or ")
}

/// The checks that the history's first line names.
///
/// # Errors
/// 64 if there is no first line or it names none, 65 if it names an unknown one.
pub fn promised(history: &History) -> Result<Vec<Arc<dyn Check>>> {
    let (name, names) = (&history.name, names());
    let Some(start) = &history.start else {
        return Err(Error::usage(format!(
            "{name} has no first line of a workload that says what to check; name a check: {names}"
        )));
    };
    if start.checks.is_empty() {
        return Err(Error::usage(format!(
            "the first line of {name} names no check; name one: {names}"
        )));
    }
    let wrong = |clause: String| start.place.error(name, &clause);
    start.checks.iter().map(|check| of(check).map_err(wrong)).collect()
}

fn of(check: &Value) -> std::result::Result<Arc<dyn Check>, String> {
    let Some(name) = check.get("name").and_then(Value::as_str) else {
        return Err(format!("a check must be {{\"name\":...}}, not {check}"));
    };
    let options = check.get("options").unwrap_or(&Value::Null);
    match kind(name).and_then(|kind| Some((kind, kind.promised?))) {
        Some((kind, promised)) => kind.with(promised, options),
        None => Err(format!(
            "it asks for the check {name:?}, which this histcheck does not have ({})",
            names()
        )),
    }
}

/// Decides a check.
///
/// # Errors
/// 65 for operations that the check does not understand.
pub fn decide(check: &dyn Check, history: &mut History, asked: Asked<'_>) -> Result<Verdict> {
    if check.takes_results() {
        history.exchange_answers();
        history.answers = Default::default();
    }
    let verdict = answers::judge(check, history, asked)?;
    if !check.kind().judges {
        return Ok(verdict);
    }
    let warning = history.answers.sentence(history);
    Ok(verdict.noted(warning).doubted(history.proves_nothing()))
}
