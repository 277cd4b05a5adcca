//! A verdict on a history in which completions say something else than their invocations.

use breakit::exit::Result;
use rustc_hash::FxHashSet;

use super::{Asked, Check};
use crate::history::History;
use crate::values::Id;
use crate::verdict::{Answer, Verdict};

/// The verdict by what operations were invoked with. It is `invalid` only if the history is invalid too by what their
/// completions say.
///
/// # Errors
/// As [`Check::judge`].
pub fn judge(check: &dyn Check, history: &mut History, asked: Asked<'_>) -> Result<Verdict> {
    let verdict = check.judge(history, asked)?;
    if verdict.answer != Answer::Invalid || history.answers.is_empty() {
        return Ok(verdict);
    }
    history.exchange_answers();
    let other = check.judge(history, Asked { writes: false, ..asked });
    history.exchange_answers();
    // With values that the model cannot have, the completions say something else than what was done.
    let Ok(other) = other else { return Ok(verdict) };
    let too: FxHashSet<Option<Id>> = other.invalid.into_iter().collect();
    match verdict.invalid.iter().any(|key| too.contains(key)) {
        true => Ok(verdict),
        false => Ok(verdict.only_by_arguments()),
    }
}
