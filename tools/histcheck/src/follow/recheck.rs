//! Any object: its history is kept whole and decided again and again.

use std::time::Instant;

use breakit::exit::Result;

use super::decider::{Decider, Ended};
use super::periodic::{self, Again, Found, Work};
use crate::budget::{Budget, Exhausted};
use crate::history::{Counts, History, OPEN, Pos};
use crate::linear::case::{Case, KeyOperations};
use crate::linear::{self, Decision, KeyVerdict, Question};
use crate::linear::{drains, models};
use crate::plural::many;
use crate::read::builder::Assembly;
use crate::values::{Id, NULL};
use crate::verdict::{Answer, Verdict};

/// Roughly what an operation takes, with what is made of it to decide.
const OPERATION_BYTES: usize = 96;

/// All that has come.
pub struct Whole {
    question: Question,
    initial: Id,
    again: Again,
    /// Of each key that a decision is being made of, what a verdict needs.
    keys: Vec<(Option<Id>, usize)>,
    /// The place up to which there was something at the last decision.
    decided: Pos,
    invalid: Vec<KeyVerdict>,
    memory: usize,
    exhausted: Option<u64>,
}

impl Whole {
    /// Nothing yet.
    pub fn new(question: Question, initial: Id, memory: usize) -> Whole {
        Whole {
            question,
            initial,
            again: Again::new(memory),
            keys: Vec::new(),
            decided: 0,
            invalid: Vec::new(),
            memory,
            exhausted: None,
        }
    }

    /// The keys of which something came since the last decision, as cases.
    fn begin(&mut self, assembly: &mut Assembly, size: usize) -> Result<()> {
        let began = Instant::now();
        let history = assembly.history();
        let mut cases: Vec<Box<dyn Case>> = Vec::new();
        self.keys.clear();
        let keys = history.by_key();
        for (key, rows) in keys.iter() {
            // What only began asks nothing of the others.
            let is_new = |index: usize| {
                let res = history.ops.res(index);
                res != OPEN && res > self.decided
            };
            if rows.iter().any(is_new) {
                let (question, initial) = (&self.question, self.initial);
                cases.push(question.model.case(&KeyOperations {
                    history,
                    rows,
                    question,
                    initial,
                })?);
                self.keys.push((key, rows.len()));
            }
        }
        // Lines are counted in 31 bits.
        self.decided = history.counts.lines as Pos;
        let work: Work = Box::new(move |budget| decide(&cases, budget));
        self.again.start(size, began, work);
        Ok(())
    }

    /// Whether it is known of everything that is open what it may do: an operation may do anything as long as the
    /// argument on which that depends is not known. What a drain took is known of a whole history alone.
    fn is_clear(assembly: &mut Assembly) -> bool {
        let open = assembly.open();
        let history = assembly.history();
        if drains::are_named(history) {
            return false;
        }
        !open.into_iter().any(|index| {
            let op = history.ops.get(index);
            let lacks = op.value.is_none() || op.value == Some(NULL);
            lacks && models::changes_by_argument(history.word(op.f))
        })
    }
}

fn decide(cases: &[Box<dyn Case>], budget: &Budget) -> Vec<Found> {
    periodic::decide(cases.len(), budget, |at, slice| {
        let decided = cases[at].decide(slice, budget);
        (decided.engine, decided.decision)
    })
}

impl Decider for Whole {
    fn take(&mut self, assembly: &mut Assembly) -> Result<bool> {
        if self.exhausted.is_some() {
            let open = assembly.open();
            assembly.forget_all_but(&open);
            return Ok(false);
        }
        for (at, engine, decision) in self.again.found() {
            if matches!(decision, Decision::Invalid(_)) {
                let (key, operations) = self.keys[at];
                let (observations, order) = (1, None);
                self.invalid.push(KeyVerdict {
                    key,
                    operations,
                    observations,
                    engine,
                    decision,
                    order,
                });
            }
        }
        if !self.invalid.is_empty() {
            return Ok(true);
        }
        let history = assembly.history();
        if history.ops.len() * OPERATION_BYTES + history.values.bytes() > self.memory {
            self.exhausted = Some(history.counts.invokes);
            return Ok(false);
        }
        let Counts { invokes, ok, fail, info, .. } = history.counts;
        // Lines are counted in 31 bits.
        let size = (invokes + ok + fail + info) as usize;
        if self.again.is_due(size) && Whole::is_clear(assembly) {
            self.begin(assembly, size)?;
        }
        Ok(false)
    }

    fn has_given_up(&self) -> bool {
        self.exhausted.is_some()
    }

    fn watermark(&self) -> Option<Pos> {
        None
    }

    fn verdict(&mut self, history: &mut History, _: Ended, budget: &Budget) -> Result<Verdict> {
        if !self.invalid.is_empty() {
            return Ok(linear::tell(history, &self.question, &self.invalid));
        }
        if let Some(taken) = self.exhausted {
            let limit = Exhausted::Memory(self.memory);
            let what = many(taken, "operation");
            return Ok(Verdict::new(Answer::Unknown, format!("{limit} after {what}")));
        }
        linear::check(history, &self.question, budget)
    }
}
