//! Runs `histcheck` as its command line says: each history read, decided, told; one after the other.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use breakit::exit::{Error, Result, Status};
use breakit::tool::caught;
use breakit::{input, messages, output, stdout};
use signal_hook::consts::SIGINT;

use crate::budget::Budget;
use crate::checks::{self, Asked, Check, Kind};
use crate::cli::{Cli, Command, Common, SplitBy, Task};
use crate::follow::{self, decider::Limits};
use crate::history::History;
use crate::last_words::End;
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
    let reading = reading(cli.common, cli.not_a_client);
    let (check, files) = match cli.task {
        Some(Task::Other(command)) => return other(command, cli.common, reading),
        Some(Task::Check(kind, matches)) => {
            can_follow(kind, cli.common)?;
            let (check, files) = kind.chosen(&matches)?;
            (Some(check), files)
        }
        None => (None, cli.files),
    };
    let files = files_or_stdin(files)?;
    if let Some(check) = &check {
        if cli.common.follow {
            check.must_be_followed()?;
        }
        keep_inputs(&**check, &files)?;
    }
    files.iter().try_for_each(|file| input::not_stdout(file))?;
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

/// Does what is no check.
fn other(command: Command, common: Common, reading: Options) -> Result<Status> {
    if common.follow {
        return Err(not_followed());
    }
    match command {
        Command::Convert { to, file } => {
            input::not_stdout(&file)?;
            let _bound = memory::bound(memory(common));
            convert::run(&file, to, unjudged(common, reading))
        }
        Command::Split { by: SplitBy::Key, shards, into, file } => {
            input::not_stdout(&file)?;
            let _bound = memory::bound(memory(common));
            split::run(&file, shards, &into, unjudged(common, reading))
        }
        Command::Merge(args) => {
            let (form, time) = (form(&common), common.time());
            let _bound = memory::bound(memory(common));
            last_words::prepare(1, |_, end| merge::last_words(end, form));
            merge::run(&files_or_stdin(args.files)?, form, time, memory(common))
        }
    }
}

fn can_follow(kind: &Kind, common: Common) -> Result<()> {
    if common.follow && !kind.is_followed { Err(not_followed()) } else { Ok(()) }
}

fn not_followed() -> Error {
    Error::usage(format!("--follow goes with {}, or with no check at all", checks::followed()))
}

/// Refuses to write over what is read, whatever its names are.
fn keep_inputs(check: &dyn Check, files: &[PathBuf]) -> Result<()> {
    let (read, written) = (check.inputs(), check.outputs());
    if files.len() > 1 && !written.is_empty() {
        let names: Vec<&str> = written.iter().map(|(option, _)| *option).collect();
        return Err(Error::usage(format!("{} takes one history at a time", names.join(" and "))));
    }
    read.iter().try_for_each(|input| input::not_stdout(input))?;
    let inputs = || files.iter().chain(&read).map(PathBuf::as_path);
    for (at, (option, path)) in written.iter().enumerate() {
        output::not_over(option, path, inputs())?;
        if let Some((other, _)) = written[..at].iter().find(|(_, other)| is_same(other, path)) {
            return Err(Error::usage(format!("{other} and {option} name the same file; name two")));
        }
    }
    Ok(())
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

fn form(common: &Common) -> Form {
    if common.json { Form::Json } else { Form::Text }
}

/// What is to be done with each history.
struct Job {
    check: Option<Arc<dyn Check>>,
    form: Form,
    reading: Options,
    common: Common,
}

impl Job {
    fn new(check: Option<Arc<dyn Check>>, common: Common, reading: Options) -> Job {
        let form = form(&common);
        let skip_times = check.as_ref().is_some_and(|check| !check.kind().needs_times);
        let reading = Options { skip_times, ..reading };
        Job { check, form, reading, common }
    }

    /// The name of the check, if one is chosen.
    fn name(&self) -> Option<&'static str> {
        self.check.as_ref().map(|check| check.kind().name)
    }

    /// What is told of a history if the memory ends before it has a verdict.
    fn last_words(&self, path: &Path, end: End) -> String {
        let error = match end {
            End::Refused => Error::system("the system gives no more memory"),
            End::Budget => {
                Error::sentence(Status::Unknown, "--memory ran out while a history was read")
            }
        };
        let named = self.name();
        self.form.no_verdict_line(&input::name(path), named, &error)
    }

    /// Reads one history, decides and tells; there is a verdict line whatever happens, a bug of ours included.
    fn history(&self, path: &Path) -> Result<Status> {
        let name = input::name(path);
        let named = self.name();
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
                messages::detail(format!(
                    "{name}: {} lines read in {took:.1?}",
                    history.counts.lines
                ));
                history
            }
            Err(error) => return self.failed(&name, named, &self.hint(path, error)),
        };
        let checks = match &self.check {
            Some(check) => Ok(vec![Arc::clone(check)]),
            None => checks::promised(&history),
        };
        let checks = match checks {
            Ok(checks) => checks,
            Err(error) => return self.failed(&name, named, &error),
        };
        let mut status = Status::Done;
        let spent = if waits { Duration::ZERO } else { took };
        for check in &checks {
            let budget = Budget::start(self.common.time(), most).after(spent);
            status = status.worst(self.decide(&mut history, &**check, &budget)?);
        }
        Ok(status)
    }

    /// Follows one history, and tells.
    fn follow(&self, path: &Path) -> Result<Status> {
        let Common { stall, .. } = self.common;
        let limits = Limits { timeout: self.common.time(), memory: memory(self.common), stall };
        let (check, each_key) = (self.check.clone(), self.form == Form::Json);
        match caught(|| follow::follow(path, check, each_key, self.reading, limits)) {
            Ok((history, check, verdict)) => self.tell(&history, check, &verdict),
            Err(error) => self.failed(&input::name(path), self.name(), &error),
        }
    }

    fn decide(&self, history: &mut History, check: &dyn Check, budget: &Budget) -> Result<Status> {
        let began = Instant::now();
        let asked = Asked { budget, each_key: self.form == Form::Json, writes: true };
        let decided = caught(|| checks::decide(check, history, asked));
        let took = began.elapsed();
        messages::detail(format!("{}: {} decided in {took:.1?}", history.name, check.kind().name));
        match decided {
            Ok(verdict) => self.tell(history, check.kind().name, &verdict),
            Err(error) => self.failed(&history.name, Some(check.kind().name), &error),
        }
    }

    /// A verdict is in the exit status too: it is the same whether somebody reads it here or not.
    fn tell(&self, history: &History, check: &str, verdict: &Verdict) -> Result<Status> {
        verdict.unwritten.iter().for_each(Error::say);
        Error::unless_reader_gone(self.form.verdict(history, check, verdict))?;
        Ok(verdict.status())
    }

    fn failed(&self, name: &str, check: Option<&str>, error: &Error) -> Result<Status> {
        error.say();
        Error::unless_reader_gone(self.form.no_verdict(name, check, error))?;
        Ok(error.status())
    }

    /// A check's name with a typing error is taken for a file: say so where the file is not there.
    fn hint(&self, path: &Path, error: Error) -> Error {
        let bare = path.components().count() == 1 && path.extension().is_none();
        match error {
            Error::Sentence { status: status @ Status::NoInput, message, cause }
                if bare && self.check.is_none() =>
            {
                let names = checks::names();
                let message = format!("{message}; nor is that a check ({names})");
                Error::Sentence { status, message, cause }
            }
            other => other,
        }
    }
}
