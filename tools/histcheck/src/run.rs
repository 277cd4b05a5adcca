//! Runs `histcheck` as its command line says: each history read, decided, told; one after the other.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use breakit::exit::{Error, Result, Status};
use breakit::tool::caught;
use breakit::{input, output, stdout, talk};
use signal_hook::consts::SIGINT;

use crate::budget::Budget;
use crate::check::{self, Check};
use crate::cli::{CheckArgs, Cli, Common, Object, SplitBy};
use crate::follow::{self, Limits};
use crate::history::History;
use crate::last_words::End;
use crate::linear::{Model, Question};
use crate::read::{self, Options, Tolerance};
use crate::report::Form;
use crate::verdict::Verdict;
use crate::{convert, free, last_words, memory, merge, split};

/// Runs the tool.
///
/// # Errors
/// 64 for a wrong command line; where stdout takes nothing more. What is wrong with one history is told and
/// goes into the status.
pub fn run(cli: Cli) -> Result<Status> {
    cli.loudness.set();
    stdout::must_be_open()?;
    can_follow(&cli)?;
    let reading = reading(cli.common, cli.not_a_client);
    let bound = || memory::bound(memory(cli.common));
    match cli.check {
        Some(CheckArgs::Convert { to, file }) => {
            input::not_stdout(&file)?;
            let _bound = bound();
            return convert::run(&file, to, unjudged(cli.common, reading));
        }
        Some(CheckArgs::Split { by: SplitBy::Key, shards, into, file }) => {
            input::not_stdout(&file)?;
            let _bound = bound();
            return split::run(&file, shards, &into, unjudged(cli.common, reading));
        }
        Some(CheckArgs::Merge(args)) => {
            let (json, time) = (cli.common.json, cli.common.time());
            let _bound = bound();
            last_words::prepare(1, |_, end| merge::last_words(end, json));
            return merge::run(&files_or_stdin(args.files)?, json, time, memory(cli.common));
        }
        _ => {}
    }
    let table = table(cli.check.as_ref());
    let (check, files) = choose(cli.check, cli.files)?;
    keep_inputs(check.as_ref(), table.as_deref(), &files)?;
    if cli.common.follow && files.len() > 1 {
        return Err(Error::usage("--follow takes one history at a time"));
    }
    if !cli.common.follow && files.iter().any(|file| file == Path::new("-")) {
        read_on_at_first_interrupt()?;
    }
    let job = Job::new(check, cli.common, reading);
    last_words::prepare(files.len(), |index, end| job.last_words(&files[index], end));
    let mut status = Status::Done;
    for (number, file) in files.iter().enumerate() {
        last_words::done(number, status);
        status = status.worst(match cli.common.follow {
            true => job.follow(file)?,
            false => job.history(file)?,
        });
    }
    Ok(status)
}

/// Only linear can be followed, and what needs all of a history cannot.
fn can_follow(cli: &Cli) -> Result<()> {
    if !cli.common.follow {
        return Ok(());
    }
    match &cli.check {
        None => Ok(()),
        Some(CheckArgs::Linear { witness: Some(_), .. }) => Err(Error::usage(
            "--witness needs the whole history, which --follow does not keep; leave one of them out",
        )),
        Some(CheckArgs::Linear { .. }) => Ok(()),
        Some(_) => Err(Error::usage("--follow goes with linear, or with no check at all")),
    }
}

/// The check, if one is named, and the files, stdin where none is.
fn choose(check: Option<CheckArgs>, files: Vec<PathBuf>) -> Result<(Option<Check>, Vec<PathBuf>)> {
    let (check, files) = match check {
        None => (None, files),
        Some(CheckArgs::Stats(args)) => (Some(Check::Stats), args.files),
        Some(CheckArgs::Set(args)) => (Some(Check::Set { each_key: false }), args.files),
        Some(CheckArgs::Linear { object, fail_observes, witness, svg, files }) => {
            if files.files.len() > 1 && (witness.is_some() || svg.is_some()) {
                return Err(Error::usage("--witness and --svg take one history at a time"));
            }
            let question = Question { fail_observes, witness, svg, ..question(object)? };
            (Some(Check::Linear(Box::new(question))), files.files)
        }
        Some(CheckArgs::Verify { object, witness, fail_observes, files }) => {
            let question = Question { fail_observes, ..question(object)? };
            (Some(Check::Verify(Box::new(question), witness)), files.files)
        }
        // They are no checks, and done before this is asked.
        Some(CheckArgs::Convert { .. } | CheckArgs::Split { .. } | CheckArgs::Merge(_)) => {
            (None, files)
        }
    };
    Ok((check, files_or_stdin(files)?))
}

/// The file of a model that is a table.
fn table(check: Option<&CheckArgs>) -> Option<PathBuf> {
    match check {
        Some(CheckArgs::Linear { object, .. } | CheckArgs::Verify { object, .. }) => {
            object.model.strip_prefix('@').map(PathBuf::from)
        }
        _ => None,
    }
}

/// Refuses to write over what is read, whatever its names are.
fn keep_inputs(check: Option<&Check>, table: Option<&Path>, files: &[PathBuf]) -> Result<()> {
    let mut inputs: Vec<&Path> = files.iter().map(PathBuf::as_path).chain(table).collect();
    if let Some(Check::Verify(_, order)) = check {
        inputs.push(order);
    }
    inputs.iter().try_for_each(|input| input::not_stdout(input))?;
    let Some(Check::Linear(question)) = check else { return Ok(()) };
    let named = [("--witness", &question.witness), ("--svg", &question.svg)];
    for (what, path) in named {
        if let Some(path) = path {
            output::not_over(what, path, inputs.iter().copied())?;
        }
    }
    match (&question.witness, &question.svg) {
        (Some(order), Some(drawn)) if is_same(order, drawn) => {
            Err(Error::usage("--witness and --svg name the same file; name two"))
        }
        _ => Ok(()),
    }
}

/// Whether two outputs, there or not, are one file.
fn is_same(one: &Path, other: &Path) -> bool {
    one == other && !one.exists() || output::is_one(one, other)
}

/// The files, or stdin where none is named.
fn files_or_stdin(mut files: Vec<PathBuf>) -> Result<Vec<PathBuf>> {
    let stdin = Path::new("-");
    if files.iter().filter(|file| *file == stdin).count() > 1 {
        return Err(Error::usage("stdin (-) is named twice; it can be read only once"));
    }
    if files.is_empty() {
        if std::io::stdin().is_terminal() {
            return Err(Error::usage(
                "no file is named and stdin is a terminal; name a history, or pipe one in",
            ));
        }
        files.push(stdin.into());
    }
    Ok(files)
}

/// How histories are to be read.
fn reading(common: Common, not_clients: Vec<String>) -> Options {
    let tolerance = if common.lenient { Tolerance::CutLastLine } else { Tolerance::Strict };
    // The command line lasts as long as the program.
    let not_clients = not_clients.leak();
    Options {
        tolerance,
        format: common.format,
        keyed: common.keyed,
        not_clients,
        ..Options::default()
    }
}

/// How histories are to be read that are not judged: there is no hurry, unless it is asked for.
fn unjudged(common: Common, reading: Options) -> Options {
    let time = common.timeout.unwrap_or(Duration::MAX);
    Options { budget: Some(Budget::start(time, memory(common))), ..reading }
}

/// How much memory may be held.
fn memory(common: Common) -> usize {
    common.memory.unwrap_or_else(free::half)
}

fn question(object: Object) -> Result<Question> {
    let Object { model, initial, ignore_null_reads } = object;
    let question = Question::new(Model::of(&model)?, initial.unwrap_or_default());
    Ok(Question { ignore_null_reads, ..question })
}

/// ^C reaches a whole pipeline: the writer then ends in order, and its last lines are what we wait for. So the
/// first INT is passed over, and the second ends us.
fn read_on_at_first_interrupt() -> Result<()> {
    if std::io::stdin().is_terminal() {
        return Ok(());
    }
    let place = |e: std::io::Error| Error::io("watch for signals", &e);
    let armed = Arc::new(AtomicBool::new(false));
    // In this order: the first INT finds it unarmed and arms it.
    signal_hook::flag::register_conditional_default(SIGINT, Arc::clone(&armed)).map_err(place)?;
    signal_hook::flag::register(SIGINT, armed).map_err(place)?;
    Ok(())
}

/// What is to be done with each history.
struct Job {
    check: Option<Check>,
    form: Form,
    reading: Options,
    common: Common,
}

impl Job {
    fn new(check: Option<Check>, common: Common, reading: Options) -> Job {
        let form = if common.json { Form::Json } else { Form::Text };
        let check = check.map(|check| if common.json { check.for_programs() } else { check });
        // Which operations overlap is in the order of the lines; nothing that linear says has a time in it.
        let skip_times = matches!(check, Some(Check::Linear(_) | Check::Verify(..)));
        let reading = Options { skip_times, ..reading };
        Job { check, form, reading, common }
    }

    /// What is told of a history if the memory ends before it has a verdict.
    fn last_words(&self, path: &Path, end: End) -> String {
        let error = match end {
            End::Refused => Error::system("the system gives no more memory"),
            End::Budget => Error::Sentence {
                status: Status::Unknown,
                message: "--memory ran out while a history was read".into(),
            },
        };
        let named = self.check.as_ref().map(Check::name);
        self.form.no_verdict_line(&input::name(path), named, &error)
    }

    /// Reads one history, decides and tells; there is a verdict line whatever happens, a bug of ours included.
    fn history(&self, path: &Path) -> Result<Status> {
        let name = input::name(path);
        let named = self.check.as_ref().map(Check::name);
        let (began, most) = (Instant::now(), memory(self.common));
        // Who reads a pipe waits for its writer, and that is not the time of a check.
        let waits = read::waits(path);
        let time = if waits { Duration::MAX } else { self.common.time() };
        let budget = Some(Budget::start(time, most));
        let bound = memory::bound(most);
        let read = caught(|| read::read_path(path, Options { budget, ..self.reading }));
        drop(bound);
        let took = began.elapsed();
        let mut history = match read {
            Ok(history) => {
                talk::detail(format!("{name}: {} lines read in {took:.1?}", history.counts.lines));
                history
            }
            Err(error) => return self.failed(&name, named, &self.hint(path, error)),
        };
        let checks = match &self.check {
            Some(check) => Ok(vec![check.clone()]),
            None => check::promised(&history),
        };
        let checks = match checks {
            Ok(checks) if self.form == Form::Json => {
                checks.into_iter().map(Check::for_programs).collect()
            }
            Ok(checks) => checks,
            Err(error) => return self.failed(&name, named, &error),
        };
        let mut status = Status::Done;
        let spent = if waits { Duration::ZERO } else { took };
        for check in &checks {
            let budget = Budget::start(self.common.time(), most).after(spent);
            status = status.worst(self.decide(&mut history, check, &budget)?);
        }
        Ok(status)
    }

    /// Follows one history, and tells.
    fn follow(&self, path: &Path) -> Result<Status> {
        let Common { stall, .. } = self.common;
        let limits = Limits { timeout: self.common.time(), memory: memory(self.common), stall };
        match caught(|| follow::follow(path, self.check.as_ref(), self.reading, limits)) {
            Ok((history, verdict)) => self.tell(&history, "linear", &verdict),
            Err(error) => {
                self.failed(&input::name(path), self.check.as_ref().map(Check::name), &error)
            }
        }
    }

    fn decide(&self, history: &mut History, check: &Check, budget: &Budget) -> Result<Status> {
        let began = Instant::now();
        let decided = caught(|| check.decide(history, budget));
        let took = began.elapsed();
        talk::detail(format!("{}: {} decided in {took:.1?}", history.name, check.name()));
        match decided {
            Ok(verdict) => self.tell(history, check.name(), &verdict),
            Err(error) => self.failed(&history.name, Some(check.name()), &error),
        }
    }

    /// A verdict is in the exit status too: it is the same whether somebody reads it here or not.
    fn tell(&self, history: &History, check: &str, verdict: &Verdict) -> Result<Status> {
        verdict.unwritten.iter().for_each(|error| talk::error(error.to_string()));
        Error::unless_reader_gone(self.form.verdict(history, check, verdict))?;
        Ok(verdict.status())
    }

    fn failed(&self, name: &str, check: Option<&str>, error: &Error) -> Result<Status> {
        talk::error(error.to_string());
        Error::unless_reader_gone(self.form.no_verdict(name, check, error))?;
        Ok(error.status())
    }

    /// A check's name with a typing error is taken for a file: say so where the file is not there.
    fn hint(&self, path: &Path, error: Error) -> Error {
        let bare = path.components().count() == 1 && path.extension().is_none();
        match error {
            Error::Sentence { status: Status::NoInput, message }
                if bare && self.check.is_none() =>
            {
                let names = check::NAMES;
                Error::no_input(format!("{message}; nor is that a check ({names})"))
            }
            other => other,
        }
    }
}
