//! A history decided while it grows: a violation is told as soon as nothing that is open could still excuse it.
//!
//! Lines come from [`tail`]. What has no legal order never gets one by more operations, so the verdict on the part that has
//! come is final once it is invalid; and whoever writes into the pipe learns of it by our end.
//!
//! - Registers ([`registers`]) are decided event by event, and most of what is decided is forgotten.
//! - All other objects ([`recheck`]), and registers whose values come again too soon, are kept, and decided again
//!   ([`periodic`]) and again.

pub mod decider;
pub mod periodic;
pub mod recheck;
pub mod registers;
pub mod tail;

use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use breakit::exit::{Error, Result};
use breakit::messages;
use indicatif::{ProgressBar, ProgressStyle};
use signal_hook::consts::{SIGINT, SIGIO, SIGTERM};

use crate::budget::Budget;
use crate::checks::{self, Asked, Check};
use crate::history::{History, Pos};
use crate::memory;
use crate::plural::many;
use crate::read::Options;
use crate::read::blocks::Piece;
use crate::read::builder::Assembly;
use crate::read::format::Format;
use crate::read::origin::Origin;
use crate::verdict::{Answer, Verdict};
use decider::{Decider, Ended, Limits};
use tail::{Got, Tail};

/// How long nothing may come before we look after what else there is to do.
const TICK: Duration = Duration::from_millis(50);

/// Follows the history at `path` to its end, or to the first violation; the name of the check, and its verdict.
///
/// # Errors
/// 64 for a check or a format that cannot be followed, 65 for what is no history, 66, 77, 71 where it cannot be read.
pub fn follow(
    path: &Path,
    mut check: Option<Arc<dyn Check>>,
    each_key: bool,
    reading: Options,
    limits: Limits,
) -> Result<(History, &'static str, Verdict)> {
    let room = Budget::start(Duration::MAX, limits.memory);
    let mut tail = Tail::open(path, room)?;
    let signals = Signals::watch(tail.is_file())?;
    let name = tail.name().to_string();
    let options = Options { in_order: true, skip_times: true, ..reading };
    let mut assembly = Assembly::new(&name, Format::JSONL, options);
    let progress = Progress::new(&name);
    let mut decider = None;
    let is_file = tail.is_file();
    if is_file && path != Path::new("-") {
        assembly.history().origin = Origin::file(path.to_path_buf(), reading);
    }
    let is_too_much = |decider: Option<&dyn Decider>| {
        decider.is_some_and(Decider::has_given_up) && room.is_overdrawn()
    };
    let ended = loop {
        let mut read = Ok(());
        match tail.next(TICK)? {
            Got::End => break Ended::ByItself,
            Got::Nothing => {}
            // Its writer is to go on, and even its values would take more than there is.
            Got::Lines(_) if is_too_much(decider.as_deref()) => {}
            Got::Lines(piece) => {
                if decider.is_none() {
                    is_lines(&name, piece, reading.format)?;
                }
                // Within a line nothing else looks at the memory.
                let bound = memory::bound(limits.memory);
                read = assembly.piece(piece);
                drop(bound);
                only_one_value(assembly.history())?;
            }
        }
        if decider.is_none() && assembly.history().counts.lines > 0 {
            let chosen = chosen(assembly.history(), check.as_ref())?;
            let asked = Asked { budget: &room, each_key, writes: true };
            let name = chosen.kind().name;
            decider = chosen.decider(assembly.history(), asked, limits);
            if decider.is_none() {
                return Err(not_followed(&format!("the check {name}")));
            }
            check = Some(chosen);
        }
        if let Some(decider) = &mut decider {
            if decider.take(&mut assembly)? {
                break Ended::ByViolation;
            }
            progress.show(assembly.history(), decider.watermark());
        }
        read?;
        if is_file && assembly.history().end.is_some() {
            break Ended::ByItself;
        }
        if signals.say_stop() {
            break Ended::BySignal;
        }
    };
    drop(progress);
    let open = assembly.open().len() as u64;
    let mut history = assembly.finish()?;
    let name = check.as_ref().map_or("linear", |check| check.kind().name);
    let Some(mut decider) = decider else {
        return Ok((
            history,
            name,
            Verdict::new(Answer::Unchecked, "nothing was checked: no line came"),
        ));
    };
    history.is_left = ended != Ended::ByItself;
    let budget = Budget::start(limits.timeout, limits.memory);
    let mut verdict = decider.verdict(&mut history, ended, &budget)?;
    verdict.fact("followed", true);
    match ended {
        Ended::ByViolation => {
            verdict.say(format!(
                "found when line {} had come, with {} open",
                history.counts.lines,
                many(open, "operation")
            ));
        }
        Ended::BySignal => {
            verdict = verdict.doubted(Some("stopped by a signal before the history's end".into()));
        }
        Ended::ByItself => {}
    }
    let doubt = history.proves_nothing();
    Ok((history, name, verdict.doubted(doubt)))
}

/// The check, which the first line names if the command line does not.
fn chosen(history: &History, check: Option<&Arc<dyn Check>>) -> Result<Arc<dyn Check>> {
    if let Some(check) = check {
        return Ok(Arc::clone(check));
    }
    let mut promised = checks::promised(history)?;
    match (promised.pop(), promised.pop()) {
        (Some(only), None) => Ok(only),
        _ => Err(not_followed("several checks")),
    }
}

fn not_followed(what: &str) -> Error {
    Error::usage(format!(
        "--follow decides {}, one at a time, and not {what}; leave it out, and the verdict comes at the end",
        checks::followed()
    ))
}

/// A verdict that must hold for two values of an operation takes the whole history.
///
/// # Errors
/// 65 for a completion that carries another value than its invocation.
fn only_one_value(history: &History) -> Result<()> {
    let Some(clause) = history.answers.sentence(history) else { return Ok(()) };
    Err(Error::data(format!(
        "{}, {clause}; --follow takes operations by one value: write the argument, or null, there, or leave \
         --follow out",
        history.name
    )))
}

/// Whether the first lines are of JSON.
fn is_lines(name: &str, piece: Piece<'_>, forced: Option<Format>) -> Result<()> {
    let format = forced.unwrap_or_else(|| Format::of(piece.text));
    match format.is_lines() {
        true => Ok(()),
        false => Err(Error::usage(format!(
            "--follow reads JSON lines, and {name} is {}; convert it first, or leave --follow out",
            format.name
        ))),
    }
}

/// Signals that say stop. ^C reaches a whole pipeline, and its writer then ends in order: the first one is passed over
/// on a pipe.
struct Signals {
    interrupted: Arc<AtomicBool>,
    terminated: Arc<AtomicBool>,
    passes_over: std::cell::Cell<bool>,
}

impl Signals {
    fn watch(is_file: bool) -> Result<Signals> {
        let place = |e: std::io::Error| Error::io("watch for signals", &e);
        let flag = |signal| {
            let flag = Arc::new(AtomicBool::new(false));
            signal_hook::flag::register(signal, Arc::clone(&flag)).map_err(place)?;
            Ok::<_, Error>(flag)
        };
        // Who opens a file for writing in the moment in which we hold a lease on it has the kernel tell us so.
        flag(SIGIO)?;
        Ok(Signals {
            interrupted: flag(SIGINT)?,
            terminated: flag(SIGTERM)?,
            passes_over: std::cell::Cell::new(!is_file),
        })
    }

    fn say_stop(&self) -> bool {
        let interrupted = self.interrupted.swap(false, Ordering::Relaxed);
        let is_passed_over = interrupted && self.passes_over.replace(false);
        interrupted && !is_passed_over || self.terminated.load(Ordering::Relaxed)
    }
}

/// How far it has come, on a terminal.
struct Progress {
    bar: Option<ProgressBar>,
    name: String,
}

impl Progress {
    fn new(name: &str) -> Progress {
        let is_shown = !messages::quiet() && std::io::stderr().is_terminal();
        let bar = is_shown.then(|| {
            let bar = ProgressBar::no_length();
            if let Ok(style) = ProgressStyle::with_template("{msg}") {
                bar.set_style(style);
            }
            bar
        });
        Progress { bar, name: breakit::escape::line(name).into_owned() }
    }

    fn show(&self, history: &History, oldest: Option<Pos>) {
        let Some(bar) = &self.bar else { return };
        let what = many(history.counts.invokes, "operation");
        let lag = match oldest {
            // Lines are counted in 31 bits.
            Some(oldest) => format!(
                ", the oldest open one began {} ago",
                many(history.counts.lines - u64::from(oldest), "line")
            ),
            None => String::new(),
        };
        bar.set_message(format!("{}: {what}, valid so far{lag}", self.name));
        bar.tick();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
