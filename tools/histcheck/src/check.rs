//! The checks there are, and which of them a history asks for.

use std::path::PathBuf;

use breakit::exit::{Error, Result};
use rustc_hash::FxHashSet;
use serde_json::Value;

use crate::answers::Answers;
use crate::budget::Budget;
use crate::history::History;
use crate::linear::{Model, Question};
use crate::values::Id;
use crate::verdict::{Answer, Verdict};
use crate::{linear, set, stats};

/// The names of all checks, as error messages list them.
pub const NAMES: &str = "stats, set, linear";

/// A check with its options.
#[derive(Debug, Clone, PartialEq)]
pub enum Check {
    /// Counts and faults; it judges nothing.
    Stats,
    /// No acknowledged element is lost.
    Set {
        /// Whether the verdict on each key is wanted, for programs.
        each_key: bool,
    },
    /// Linearizable as the model says.
    Linear(Box<Question>),
    /// An order is one that the model could have followed; it stands in this file.
    Verify(Box<Question>, PathBuf),
}

impl Check {
    /// The name in reports and on the command line.
    pub fn name(&self) -> &'static str {
        match self {
            Check::Stats => "stats",
            Check::Set { .. } => "set",
            Check::Linear(_) => "linear",
            Check::Verify(..) => "verify",
        }
    }

    /// The same, with the verdict on each key for programs.
    #[must_use]
    pub fn for_programs(self) -> Check {
        match self {
            Check::Set { .. } => Check::Set { each_key: true },
            Check::Linear(question) => {
                Check::Linear(Box::new(Question { each_key: true, ..*question }))
            }
            other => other,
        }
    }

    /// Decides.
    ///
    /// # Errors
    /// 65 for operations that the check does not understand.
    pub fn decide(&self, history: &mut History, budget: &Budget) -> Result<Verdict> {
        if self.takes_results() {
            history.exchange_answers();
            history.answers = Answers::default();
        }
        let verdict = self.judge(history, budget)?;
        let verdict = match verdict.answer {
            Answer::Invalid if !history.answers.is_empty() => {
                self.judge_completions(history, budget, verdict)
            }
            _ => verdict,
        };
        Ok(match self {
            Check::Stats | Check::Verify(..) => verdict,
            Check::Set { .. } | Check::Linear(_) => {
                let warning = history.answers.sentence(history);
                verdict.noted(warning).doubted(history.proves_nothing())
            }
        })
    }

    /// A table has its operations as their completions tell them.
    fn takes_results(&self) -> bool {
        match self {
            Check::Linear(question) | Check::Verify(question, _) => {
                matches!(question.model, Model::Table(_))
            }
            Check::Stats | Check::Set { .. } => false,
        }
    }

    fn judge(&self, history: &mut History, budget: &Budget) -> Result<Verdict> {
        match self {
            Check::Stats => Ok(stats::report(history, budget)),
            Check::Set { each_key } => set::check(history, *each_key, budget),
            Check::Linear(question) => linear::check(history, question, budget),
            Check::Verify(question, order) => linear::verify(history, question, order, budget),
        }
    }

    /// Takes a verdict of invalid back where no key is invalid too as its completions tell it.
    fn judge_completions(
        &self,
        history: &mut History,
        budget: &Budget,
        verdict: Verdict,
    ) -> Verdict {
        let asked = match self {
            Check::Linear(question) => {
                let question = (**question).clone();
                Check::Linear(Box::new(Question { witness: None, svg: None, ..question }))
            }
            other => other.clone(),
        };
        history.exchange_answers();
        let other = asked.judge(history, budget);
        history.exchange_answers();
        match other {
            // With values that the model cannot have, the completions tell something else than what was done.
            Err(_) => verdict,
            Ok(other) => {
                let too: FxHashSet<Option<Id>> = other.invalid.into_iter().collect();
                match verdict.invalid.iter().any(|key| too.contains(key)) {
                    true => verdict,
                    false => verdict.only_by_arguments(),
                }
            }
        }
    }
}

/// The checks that the history's first line names.
///
/// # Errors
/// 64 where there is no first line or it names none, 65 where it names what there is not.
pub fn promised(history: &History) -> Result<Vec<Check>> {
    let name = &history.name;
    let Some(start) = &history.start else {
        return Err(Error::usage(format!(
            "{name} has no first line of a workload that says what to check; name a check: {NAMES}"
        )));
    };
    if start.checks.is_empty() {
        return Err(Error::usage(format!(
            "the first line of {name} names no check; name one: {NAMES}"
        )));
    }
    let wrong = |clause: String| start.place.error(name, &clause);
    start.checks.iter().map(|check| of(check).map_err(wrong)).collect()
}

fn of(check: &Value) -> std::result::Result<Check, String> {
    let name = check.get("name").and_then(Value::as_str);
    let none = Value::Null;
    let options = check.get("options").unwrap_or(&none);
    match name {
        Some("stats") => known(options, &[]).map(|()| Check::Stats),
        Some("set") => known(options, &[]).map(|()| Check::Set { each_key: false }),
        Some("linear") => {
            known(options, &["model", "initial", "fail-observes"])?;
            let initial = options.get("initial").cloned().unwrap_or_default();
            let fail_observes = match options.get("fail-observes") {
                None | Some(Value::Null) => false,
                Some(Value::Bool(flag)) => *flag,
                Some(other) => {
                    return Err(format!("\"fail-observes\" must be true or false, not {other}"));
                }
            };
            let question = Question::new(model(options.get("model"))?, initial);
            Ok(Check::Linear(Box::new(Question { fail_observes, ..question })))
        }
        Some(other) => Err(format!(
            "it asks for the check {other:?}, which this histcheck does not have ({NAMES})"
        )),
        None => Err(format!("a check must be {{\"name\":...}}, not {check}")),
    }
}

/// An option that we do not know would change the promise: it is never passed over.
fn known(options: &Value, names: &[&str]) -> std::result::Result<(), String> {
    let Value::Object(fields) = options else {
        return match options {
            Value::Null => Ok(()),
            other => Err(format!("\"options\" must be an object, not {other}")),
        };
    };
    match fields.keys().find(|name| !names.contains(&name.as_str())) {
        Some(name) => Err(format!("this histcheck does not know the option {name:?} of its check")),
        None => Ok(()),
    }
}

fn model(value: Option<&Value>) -> std::result::Result<Model, String> {
    let word = value.and_then(Value::as_str);
    let word = word.ok_or("the check linear needs a model, by its name")?;
    if word.starts_with('@') {
        return Err(format!("the model {word:?} is a file, which only the command line may name"));
    }
    Model::of(word).map_err(|error| error.to_string())
}
