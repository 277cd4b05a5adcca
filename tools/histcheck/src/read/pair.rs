//! Invocations and completions to operations.

use breakit::op::Type;

use crate::history::answers::{self, Reply};
use crate::history::{History, Outcome, Pos};
use crate::linear::models;
use crate::read::event::Event;
use crate::values::{Id, NULL};

/// Which operation each process has open, by the place of the process.
#[derive(Debug, Default)]
pub struct Pairing {
    open: Vec<u32>,
}

/// Why an event does not fit what came before.
#[derive(Debug)]
pub struct Misfit {
    /// In which field that shows.
    pub field: &'static str,
    /// In words.
    pub clause: String,
}

impl Misfit {
    /// That this is wrong with what a field holds.
    pub fn new(field: &'static str, clause: String) -> Misfit {
        Misfit { field, clause }
    }
}

/// A process of which no event came yet.
const UNSEEN: u32 = u32::MAX;
/// A process that has nothing open.
const IDLE: u32 = u32::MAX - 1;

impl Pairing {
    /// Takes the event at `pos` into the history.
    ///
    /// # Errors
    /// Two invocations of one process, a completion of nothing, or of something else.
    #[inline(always)]
    pub fn take(&mut self, history: &mut History, pos: Pos, event: &Event) -> Result<(), Misfit> {
        let process = history.ops.processes.place(event.process);
        match event.kind {
            Type::Invoke => self.invoke(history, process, pos, event),
            Type::Ok => self.complete(history, process, pos, event, Outcome::Ok),
            Type::Fail => self.complete(history, process, pos, event, Outcome::Fail),
            Type::Info => self.complete(history, process, pos, event, Outcome::Info),
        }
    }

    /// Whether no event of the process at a place came yet.
    pub fn is_unseen(&self, process: u32) -> bool {
        self.of(process) == UNSEEN
    }

    /// The operation that the process at a place has open.
    pub fn open(&self, process: u32) -> Option<usize> {
        let open = self.of(process);
        (open < IDLE).then_some(open as usize)
    }

    /// Says what a process has open; it is seen by that.
    pub fn set(&mut self, process: u32, open: Option<usize>) {
        // There are fewer operations than lines, and these are counted in 31 bits.
        *self.place(process) = open.map_or(IDLE, |index| index as u32);
    }

    #[inline]
    fn of(&self, process: u32) -> u32 {
        self.open.get(process as usize).copied().unwrap_or(UNSEEN)
    }

    #[inline]
    fn place(&mut self, process: u32) -> &mut u32 {
        let at = process as usize;
        if at >= self.open.len() {
            self.open.resize(at + 1, UNSEEN);
        }
        &mut self.open[at]
    }

    #[inline(always)]
    fn invoke(
        &mut self,
        history: &mut History,
        process: u32,
        pos: Pos,
        event: &Event,
    ) -> Result<(), Misfit> {
        if let Some(index) = self.open(process) {
            return Err(twice(history, event, index));
        }
        history.counts.invokes += 1;
        let index = history.ops.invoke(process, event, pos);
        *self.place(process) = index as u32;
        Ok(())
    }

    #[inline(always)]
    fn complete(
        &mut self,
        history: &mut History,
        process: u32,
        pos: Pos,
        event: &Event,
        outcome: Outcome,
    ) -> Result<(), Misfit> {
        let Some(index) = self.open(process) else {
            return Err(of_nothing(history, event));
        };
        if history.ops.f(index) != event.f {
            return Err(mismatch(history, event, index));
        }
        if let (Some(invoked), Some(completed)) = (history.ops.key(index), event.key)
            && invoked != completed
        {
            return Err(of_another_key(history, event, index, (invoked, completed)));
        }
        match outcome {
            Outcome::Ok => history.counts.ok += 1,
            Outcome::Fail => history.counts.fail += 1,
            Outcome::Info => history.counts.info += 1,
        }
        let argument = history.ops.value(index);
        let value = match event.value {
            Some(result) if outcome == Outcome::Ok && Some(result) != argument => {
                ok_value(history, index, argument, result)
            }
            result => {
                let changes = || models::changes_by_null(history.word(event.f));
                value(argument, result, outcome, changes)
            }
        };
        history.ops.set_value(index, value);
        history.ops.complete(index, event, outcome, pos);
        *self.place(process) = IDLE;
        Ok(())
    }
}

/// The value of an ok operation whose completion has another one than its invocation: the result, unless the argument
/// says what the operation did.
fn ok_value(history: &mut History, index: usize, argument: Option<Id>, result: Id) -> Option<Id> {
    match answers::reply(history.word(history.ops.f(index)), argument, result) {
        Reply::Told => Some(result),
        Reply::Silent => argument,
        Reply::Differs => {
            history.answers.push(index, result);
            argument
        }
    }
}

/// The result wins where it is the only value or the same. What did not happen, or nobody knows of, has no result:
/// there it is the argument that counts.
fn value(
    argument: Option<Id>,
    result: Option<Id>,
    outcome: Outcome,
    changes: impl Fn() -> bool,
) -> Option<Id> {
    match outcome {
        // Of what asks, an argument of null says only that the answer was not known yet.
        Outcome::Ok => {
            result.or_else(|| argument.filter(|&argument| argument != NULL || changes()))
        }
        Outcome::Fail | Outcome::Info => match argument {
            None | Some(NULL) => result.or(argument),
            known => known,
        },
    }
}

#[cold]
fn twice(history: &History, event: &Event, index: usize) -> Misfit {
    Misfit::new(
        "process",
        format!(
            "process {} invokes {:?} while its {}; a process has one operation open at most \
             (--process-base keeps two workloads apart)",
            history.clients.process(event.process),
            history.word(event.f),
            describe(history, index)
        ),
    )
}

/// That a completion has no invocation.
#[cold]
pub fn of_nothing(history: &History, event: &Event) -> Misfit {
    let word = history.word(event.f);
    let process = history.clients.process(event.process);
    let clause = format!("process {process} completes {word:?} and has nothing open");
    Misfit::new("type", clause)
}

#[cold]
fn of_another_key(
    history: &History,
    event: &Event,
    index: usize,
    (invoked, completed): (Id, Id),
) -> Misfit {
    let clause = format!(
        "process {} completes key {} while its {} for key {}",
        history.clients.process(event.process),
        history.values.show(completed),
        describe(history, index),
        history.values.show(invoked)
    );
    Misfit::new("key", clause)
}

#[cold]
fn mismatch(history: &History, event: &Event, index: usize) -> Misfit {
    let word = history.word(event.f);
    let open = describe(history, index);
    let process = history.clients.process(event.process);
    Misfit::new("f", format!("process {process} completes {word:?} while its {open}"))
}

fn describe(history: &History, index: usize) -> String {
    let op = history.ops.get(index);
    let unit = if history.only_line.is_some() { "event" } else { "line" };
    format!("{:?} of {unit} {} is open", history.word(op.f), history.line(op.inv))
}
