//! `histcheck verify`: an order that `linear --witness` wrote, held against its history.

use std::path::PathBuf;
use std::sync::Arc;

use breakit::exit::Result;
use clap::Args;

use super::{Arguments, Asked, Check, Chosen, Kind};
use crate::cli::{Files, Object};
use crate::history::History;
use crate::linear::{self, Model, Question};
use crate::verdict::Verdict;

/// The check. No first line asks for it, as it needs a file.
pub const KIND: Kind = Kind {
    name: "verify",
    doc: "Check an order that linear --witness wrote, without a search",
    judges: false,
    needs_times: false,
    ..Kind::of::<VerifyArgs>()
};

/// The arguments.
#[derive(Args, Clone, Debug)]
pub struct VerifyArgs {
    /// The object and its first value
    #[command(flatten)]
    object: Object,
    /// The order, as linear --witness wrote it
    #[arg(long, value_name = "FILE")]
    witness: PathBuf,
    /// Treat a failed cas as proof that the register held another value
    #[arg(long)]
    fail_observes: bool,
    /// Which history
    #[command(flatten)]
    files: Files,
}

/// The check with its options.
#[derive(Debug)]
struct Verify {
    question: Question,
    order: PathBuf,
    /// The file of the model, if it is a table.
    table: Option<PathBuf>,
}

impl Arguments for VerifyArgs {
    fn chosen(self) -> Result<Chosen> {
        let VerifyArgs { object, witness: order, fail_observes, files } = self;
        let table = object.table();
        let question = Question { fail_observes, ..object.question()? };
        Ok((Arc::new(Verify { question, order, table }), files.files))
    }
}

impl Check for Verify {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn judge(&self, history: &mut History, asked: Asked<'_>) -> Result<Verdict> {
        linear::verify(history, &self.question, &self.order, asked.budget)
    }

    fn takes_results(&self) -> bool {
        matches!(self.question.model, Model::Table(_))
    }

    fn inputs(&self) -> Vec<PathBuf> {
        self.table.iter().chain([&self.order]).cloned().collect()
    }
}
