//! `histcheck linear`: the arguments of the check; the engines are in [`crate::linear`].

use std::path::PathBuf;
use std::sync::Arc;

use breakit::exit::{Error, Result};
use clap::Args;

use super::{Arguments, Asked, Check, Chosen, Kind, Promised};
use crate::cli::{Files, Object};
use crate::follow::decider::{Decider, Limits};
use crate::follow::recheck::Whole;
use crate::follow::registers::Registers;
use crate::history::History;
use crate::linear::{self, Model, Question};
use crate::verdict::Verdict;

/// The check.
pub const KIND: Kind = Kind {
    name: "linear",
    doc: "Check linearizability against a sequential model",
    promised: Some(&[
        Promised::Word("model"),
        Promised::Json("initial"),
        Promised::Flag("fail-observes"),
    ]),
    // Which operations overlap is in the order of the lines; nothing that it says has a time in it.
    needs_times: false,
    is_followed: true,
    ..Kind::of::<LinearArgs>()
};

/// The arguments.
#[derive(Args, Clone, Debug)]
pub struct LinearArgs {
    /// The object and its first value
    #[command(flatten)]
    object: Object,
    /// Treat a failed cas as proof that the register held another value
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
}

/// The check with its options.
#[derive(Debug)]
pub struct Linear {
    question: Question,
    /// The file of the model, if it is a table.
    table: Option<PathBuf>,
}

impl Arguments for LinearArgs {
    fn chosen(self) -> Result<Chosen> {
        let LinearArgs { object, fail_observes, witness, svg, files } = self;
        let table = object.table();
        let question = Question { fail_observes, witness, svg, ..object.question()? };
        Ok((Arc::new(Linear { question, table }), files.files))
    }
}

impl Linear {
    /// Whether the history is linearizable as the question's model.
    pub fn new(question: Question) -> Linear {
        Linear { question, table: None }
    }

    fn question(&self, asked: Asked<'_>) -> Question {
        let Question { witness, svg, .. } = self.question.clone();
        let is_wanted = |_: &PathBuf| asked.writes;
        Question {
            witness: witness.filter(is_wanted),
            svg: svg.filter(is_wanted),
            each_key: asked.each_key,
            ..self.question.clone()
        }
    }
}

impl Check for Linear {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn judge(&self, history: &mut History, asked: Asked<'_>) -> Result<Verdict> {
        linear::check(history, &self.question(asked), asked.budget)
    }

    fn takes_results(&self) -> bool {
        matches!(self.question.model, Model::Table(_))
    }

    fn inputs(&self) -> Vec<PathBuf> {
        self.table.iter().cloned().collect()
    }

    fn outputs(&self) -> Vec<(&'static str, PathBuf)> {
        let Question { witness, svg, .. } = &self.question;
        let named = [("--witness", witness), ("--svg", svg)];
        named.into_iter().filter_map(|(option, path)| Some((option, path.clone()?))).collect()
    }

    fn decider(
        &self,
        history: &mut History,
        asked: Asked<'_>,
        Limits { stall, memory, .. }: Limits,
    ) -> Option<Box<dyn Decider>> {
        let question = self.question(asked);
        let initial = history.values.intern(&question.initial);
        Some(match question.model.register() {
            Some(has_cas) if !question.fail_observes => {
                Box::new(Registers::new(question, has_cas, &history.values, initial, stall, memory))
            }
            _ => Box::new(Whole::new(question, initial, memory)),
        })
    }

    fn must_be_followed(&self) -> Result<()> {
        match self.question.witness {
            Some(_) => Err(Error::usage(
                "--witness needs the whole history, which --follow does not keep; leave one of them out",
            )),
            None => Ok(()),
        }
    }
}
