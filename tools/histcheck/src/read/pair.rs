//! Invocations and completions to operations.

use breakit::op::Type;

use crate::history::{History, OPEN, Operation, Outcome, Pos};
use crate::read::line::Event;
use crate::values::{Id, NULL};

/// Which operation each process has open.
#[derive(Debug, Default)]
pub struct Pairing {
    open: rustc_hash::FxHashMap<u64, usize>,
}

impl Pairing {
    /// Takes the event at `pos` into the history.
    ///
    /// # Errors
    /// Two invocations of one process, a completion of nothing, or of something else, in words.
    pub fn take(&mut self, history: &mut History, pos: Pos, event: &Event) -> Result<(), String> {
        match event.kind {
            Type::Invoke => self.invoke(history, pos, event),
            Type::Ok => self.complete(history, pos, event, Outcome::Ok),
            Type::Fail => self.complete(history, pos, event, Outcome::Fail),
            Type::Info => self.complete(history, pos, event, Outcome::Info),
        }
    }

    fn invoke(&mut self, history: &mut History, pos: Pos, event: &Event) -> Result<(), String> {
        if let Some(&index) = self.open.get(&event.process) {
            return Err(format!(
                "process {} invokes {:?} while its {}; a process has one operation open at most \
                 (--process-base keeps two workloads apart)",
                event.process,
                history.word(event.f),
                describe(history, index)
            ));
        }
        history.counts.invokes += 1;
        let index = history.ops.push(Operation {
            process: event.process,
            f: event.f,
            key: event.key,
            value: event.value,
            node: event.node,
            is_final: event.is_final,
            outcome: Outcome::Info,
            inv: pos,
            res: OPEN,
            invoked_at: event.time,
            completed_at: None,
        });
        self.open.insert(event.process, index);
        Ok(())
    }

    fn complete(
        &mut self,
        history: &mut History,
        pos: Pos,
        event: &Event,
        outcome: Outcome,
    ) -> Result<(), String> {
        let Some(index) = self.open.remove(&event.process) else {
            return Err(format!(
                "process {} completes {:?} and has nothing open",
                event.process,
                history.word(event.f)
            ));
        };
        let op = history.ops.get(index);
        if op.f != event.f {
            return Err(mismatch(history, event, index));
        }
        if let (Some(invoked), Some(completed)) = (op.key, event.key)
            && invoked != completed
        {
            return Err(format!(
                "process {} completes key {} while its {} for key {}",
                event.process,
                history.values.show(completed),
                describe(history, index),
                history.values.show(invoked)
            ));
        }
        match outcome {
            Outcome::Ok => history.counts.ok += 1,
            Outcome::Fail => history.counts.fail += 1,
            Outcome::Info => history.counts.info += 1,
        }
        let completed = Operation {
            key: event.key.or(op.key),
            value: value(op.value, event.value, outcome),
            node: event.node.or(op.node),
            is_final: event.is_final || op.is_final,
            outcome,
            res: if outcome == Outcome::Info { OPEN } else { pos },
            completed_at: event.time,
            ..op
        };
        history.ops.set(index, completed);
        Ok(())
    }
}

/// The result wins where there is one. What did not happen, or nobody knows of, has no result: there it is
/// the argument that counts.
fn value(argument: Option<Id>, result: Option<Id>, outcome: Outcome) -> Option<Id> {
    match outcome {
        // An argument of null says only that the answer was not known yet.
        Outcome::Ok => result.or(argument.filter(|&argument| argument != NULL)),
        Outcome::Fail | Outcome::Info => match argument {
            None | Some(NULL) => result.or(argument),
            known => known,
        },
    }
}

fn mismatch(history: &History, event: &Event, index: usize) -> String {
    format!(
        "process {} completes {:?} while its {}",
        event.process,
        history.word(event.f),
        describe(history, index)
    )
}

fn describe(history: &History, index: usize) -> String {
    let op = history.ops.get(index);
    format!("{:?} of line {} is open", history.word(op.f), history.line(op.inv))
}
