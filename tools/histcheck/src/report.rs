//! Prints verdicts: as text for people, or as JSON lines for programs.

pub mod finding;
mod json;
mod text;

use breakit::exit::{Error, Result};
use breakit::jsonl;

use crate::history::History;
use crate::verdict::Verdict;

/// The form in which verdicts are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A sentence and indented details.
    Text,
    /// A JSON object for each verdict, on one line.
    Json,
}

impl Form {
    /// Prints what `check` found in `history`.
    ///
    /// # Errors
    /// Where stdout takes nothing more.
    pub fn verdict(self, history: &History, check: &str, verdict: &Verdict) -> Result<()> {
        match self {
            Form::Json => jsonl::print(&json::verdict(history, check, verdict)),
            Form::Text => jsonl::print_for_people(&text::verdict(history, check, verdict)),
        }
    }

    /// Prints what `merge` found in the verdicts on the parts of a history.
    ///
    /// # Errors
    /// Where stdout takes nothing more.
    pub fn merged(self, check: &str, verdict: &Verdict) -> Result<()> {
        match self {
            Form::Json => jsonl::print_text(&self.merged_lines(check, verdict)),
            Form::Text => jsonl::print_for_people(&self.merged_lines(check, verdict)),
        }
    }

    /// What [`Form::merged`] prints.
    pub fn merged_lines(self, check: &str, verdict: &Verdict) -> String {
        match self {
            Form::Json => json::merged(check, verdict),
            Form::Text => text::merged(check, verdict),
        }
    }

    /// Prints that there is no verdict on `file`, as an error stood in the way. `check` is its name, where one
    /// was chosen.
    ///
    /// # Errors
    /// Where stdout takes nothing more.
    pub fn no_verdict(self, file: &str, check: Option<&str>, error: &Error) -> Result<()> {
        jsonl::print_text(&self.no_verdict_line(file, check, error))
    }

    /// What [`Form::no_verdict`] prints.
    pub fn no_verdict_line(self, file: &str, check: Option<&str>, error: &Error) -> String {
        match self {
            Form::Json => json::no_verdict(file, check, error),
            Form::Text => text::no_verdict(file, check, error),
        }
    }
}
