//! A tool from its command line to its exit status.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::sync::Once;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Parser};

use crate::exit::{Error, Result, Status};
use crate::similar::closest;
use crate::{jsonl, messages};

/// The whole `main` of a tool: reads the command line, runs it, says what went wrong, ends in order.
///
/// `tool` is the name in front of every line on stderr.
pub fn main<Cli: Parser>(tool: &'static str, run: impl FnOnce(Cli) -> Result<Status>) -> ExitCode {
    messages::name(tool);
    let outcome = caught(|| match Cli::try_parse() {
        Ok(cli) => run(cli),
        Err(error) => usage(tool, &Cli::command(), &error),
    });
    finish(outcome)
}

/// Does `work`, whose bugs are errors of ours as any other: told in one sentence, with the status 71.
///
/// # Errors
/// As `work`, or 71 where it panicked.
pub fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            let what = format!("{place}: {}", words(info.payload()));
            match std::thread::current().name() {
                Some("main") => LAST_PANIC.set(Some(what)),
                // Whoever waits for this thread knows only that it died.
                _ => messages::error(format!("internal error, please report it: {what}")),
            }
            // Whoever asks for it wants to see where we were.
            if std::env::var_os("RUST_BACKTRACE").is_some_and(|wanted| wanted != "0") {
                before(info);
            }
        }));
    });
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let what = LAST_PANIC.take().unwrap_or_else(|| words(&*panic));
        Err(Error::system(format!("internal error, please report it: {what}")))
    })
}

thread_local! {
    /// What the last panic of this thread said, and where.
    static LAST_PANIC: Cell<Option<String>> = const { Cell::new(None) };
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

/// Turns an outcome into the exit code. Does not return for a signal.
fn finish(outcome: Result<Status>) -> ExitCode {
    let status = match outcome {
        Ok(status) => status,
        Err(error) => {
            error.say();
            match error {
                Error::Signal(number) => die_of(number),
                Error::Passed(code) => return ExitCode::from(code),
                _ => {}
            }
            error.status()
        }
    };
    ExitCode::from(status.code())
}

/// Dies of the signal itself, so that the shell and make see what ended us.
fn die_of(number: i32) {
    // Restores the default action and raises; it returns only for signals whose default is to be ignored.
    let _ = signal_hook::low_level::emulate_default_handler(number);
}

/// Clap's answer to a command line: help and version are data, all else is one sentence and status 64.
fn usage(tool: &str, command: &Command, error: &clap::Error) -> Result<Status> {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            jsonl::print_text(&error.render().to_string()).map(|()| Status::Done)
        }
        // The tool's name alone: its help is long, and an error is one sentence.
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand if std::env::args_os().len() == 1 => {
            let commands = command.get_subcommands().filter(|command| !command.is_hide_set());
            let names: Vec<&str> = commands.map(Command::get_name).collect();
            let names = names.join(", ");
            Err(Error::usage(format!("which command? {names} (see {tool} --help)")))
        }
        _ => {
            let more = format!("{} (see {tool} --help)", did_you_mean(command, error));
            let room = LONGEST_MESSAGE - tool.len() - ": ".len() - more.len();
            Err(Error::usage(shorten(sentence(&error.render().to_string()), room) + &more))
        }
    }
}

/// The command that was meant by one that there is not, if any is like it.
fn did_you_mean(command: &Command, error: &clap::Error) -> String {
    let Some(ContextValue::String(typed)) = error.get(ContextKind::InvalidSubcommand) else {
        return String::new();
    };
    let commands = command.get_subcommands().filter(|command| !command.is_hide_set());
    closest(typed, commands.map(Command::get_name))
        .map(|meant| format!("; did you mean {meant}?"))
        .unwrap_or_default()
}

/// How many bytes the message about a wrong command line may have: it is read at one glance.
const LONGEST_MESSAGE: usize = 200;

/// The sentence, or as much of it as has room.
fn shorten(sentence: String, room: usize) -> String {
    if sentence.len() <= room {
        return sentence;
    }
    let fits = sentence.char_indices().map(|(at, _)| at).take_while(|at| at + 3 <= room);
    format!("{}...", &sentence[..fits.last().unwrap_or_default()])
}

/// Clap's many-line message as one sentence: everything before the usage, joined, without its tips.
fn sentence(rendered: &str) -> String {
    let body = rendered.split("\nUsage:").next().unwrap_or(rendered);
    let body = body.split("\nFor more information").next().unwrap_or(body);
    let body = body.lines().filter(|line| !line.trim_start().starts_with("tip:"));
    let words: Vec<&str> = body.flat_map(str::split_whitespace).collect();
    let joined = words.join(" ");
    joined.strip_prefix("error: ").unwrap_or(&joined).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_cut_between_characters() {
        assert_eq!(shorten("short".into(), 5), "short");
        for room in 3..20 {
            let cut = shorten("äöü".repeat(50), room);
            assert!(cut.len() <= room && cut.ends_with("..."), "{room}: {cut}");
        }
    }

    #[test]
    fn claps_message_becomes_one_sentence() {
        let text = "error: unexpected argument '--fo' found\n\n  tip: a similar argument exists: '--for'\n\nUsage: x\n";
        assert_eq!(sentence(text), "unexpected argument '--fo' found");
    }
}
