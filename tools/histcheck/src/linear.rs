//! Linearizability: is there an order of the operations, each at one moment between its invocation and its
//! return, that one copy of the object could have followed?
//!
//! Each key is an object of its own and is decided apart from the others (Herlihy and Wing's locality).
//!
//! | module | job |
//! |---|---|
//! | [`op`] | an operation as the engines see it |
//! | [`object`], [`register`](mod@register), [`specification`], [`model`], [`models`] | what the objects are, and the ways to decide them without search |
//! | [`zones`], [`timeline`], [`coverage_tree`] | what several of these ways rest on |
//! | [`columns`] | zones of a register without a copy of its operations |
//! | [`blocks`] | registers whose values were written more than once: search over blocks |
//! | [`general`] | the engine for all others: search |
//! | [`case`] | the operations of one key, decided |
//! | [`rounds`] | which key is decided when, and for how long |
//! | [`online`] | a register decided while its operations arrive |
//! | [`earliest`] | the first violation of many |
//! | [`evidence`], [`refutation`] | the few operations that show why not, checked once more |
//! | [`replay`] | an order, checked against the history and the model |
//! | [`diagram`], [`svg`] | evidence as a picture |

pub mod blocks;
pub mod case;
pub mod columns;
pub mod coverage_tree;
pub mod diagram;
pub mod drains;
pub mod earliest;
pub mod evidence;
pub mod fault_bands;
pub mod general;
pub mod model;
pub mod models;
pub mod object;
pub mod online;
pub mod op;
pub mod recorded;
pub mod refutation;
pub mod register;
pub mod replay;
pub mod rounds;
pub mod specification;
pub mod svg;
pub mod timeline;
pub mod zones;

#[cfg(test)]
mod drawn;
mod explanation;
mod hints;
mod thin;
mod witness_file;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use breakit::exit::{Error, Result};
use serde_json::Value;

use crate::budget::{Budget, Exhausted};
use crate::history::keys::{Keys, Rows};
use crate::history::{History, Outcome};
use crate::plural::many;
use crate::values::{Id, NULL};
use crate::verdict::{Answer, Verdict};
use case::{Case, Decided, KeyOperations};
pub use case::{Decision, Engine, Proof, Sought, decide};
use columns::{Columns, Open, Valid};
pub use evidence::Evidence;
pub use model::Model;
use object::{Call, Misread};
use op::Fate;
use register::Register;
use replay::Fault;
use rounds::{Found, Standing};

/// What is asked of a history.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// The object.
    pub model: Model,
    /// What it holds before the first operation.
    pub initial: Value,
    /// Whether a cas that failed says that the register held another value.
    pub fail_observes: bool,
    /// Whether an ok read of null says that its client saw nothing, and not that it saw null.
    pub ignore_null_reads: bool,
    /// Where an order for each valid key is to be written.
    pub witness: Option<PathBuf>,
    /// Where the evidence of the first invalid key is to be drawn.
    pub svg: Option<PathBuf>,
    /// Whether the verdict on each key is wanted, for programs.
    pub each_key: bool,
}

impl Question {
    /// Whether the history is linearizable as `model`, which holds `initial` at first.
    pub fn new(model: Model, initial: Value) -> Question {
        Question {
            model,
            initial,
            fail_observes: false,
            ignore_null_reads: false,
            witness: None,
            svg: None,
            each_key: false,
        }
    }

    /// Whether an operation is one of the reads that say nothing.
    pub(crate) fn ignores(&self, call: &Call<'_>) -> bool {
        self.ignore_null_reads
            && call.fate == Fate::Ok
            && call.value == Some(NULL)
            && models::is_read(call.word)
    }
}

/// One key with what was decided.
#[derive(Debug, Clone)]
pub struct KeyVerdict {
    /// The key; `None` where operations carry none.
    pub key: Option<Id>,
    /// How many operations it has.
    pub operations: usize,
    /// How many of them say what the object held: without any there is nothing to check.
    pub observations: usize,
    /// Which engine decided.
    pub engine: Engine,
    /// What it decided.
    pub decision: Decision,
    /// A legal order where one was wanted and there is one, or why none was found.
    pub order: Option<Sought>,
}

/// Decides every key of a history.
///
/// # Errors
/// 65 for an operation that the model does not have, 64 for an initial value that it cannot hold.
pub fn check(history: &mut History, question: &Question, budget: &Budget) -> Result<Verdict> {
    drains::as_takes(history, &question.model)?;
    let initial = history.values.intern(&question.initial);
    let history = &*history;
    let keys = history.by_key();
    // What is left once the history itself is there.
    let verdicts = keys.len() * 2 * size_of::<KeyVerdict>();
    let budget = match budget.taking(history.bytes() + keys.bytes() + verdicts) {
        Ok(budget) => budget,
        Err(limit) => {
            let because = format!("{limit} once the history was read, before anything was decided");
            return Ok(Verdict::new(Answer::Unknown, because));
        }
    };
    let keys = Work { history, question, initial, budget }.all(&keys)?;
    Ok(tell(history, question, &keys))
}

/// The verdict on all keys, in words and as far as it goes into files.
pub fn tell(history: &History, question: &Question, keys: &[KeyVerdict]) -> Verdict {
    let mut verdict = explanation::verdict(history, question, keys);
    hints::lines(history, question, keys).into_iter().for_each(|line| verdict.say(line));
    if question.each_key {
        verdict.keys = Some(explanation::rows(history, keys));
    }
    let order = question.witness.iter().map(|path| witness_file::witness(history, keys, path));
    let picture = question.svg.iter().map(|path| witness_file::svg(history, keys, path));
    for written in order.chain(picture) {
        match written {
            Ok(what) => verdict.say(what),
            Err(error) => {
                verdict.say(error.to_string());
                verdict.unwritten.push(error);
            }
        }
    }
    verdict
}

/// Goes through the orders in the file at `order`, as `--witness` writes them.
///
/// # Errors
/// 65 for a file that holds no such orders, 66 where it is not there; and those of [`check`].
pub fn verify(
    history: &mut History,
    question: &Question,
    order: &Path,
    budget: &Budget,
) -> Result<Verdict> {
    drains::as_takes(history, &question.model)?;
    let initial = history.values.intern(&question.initial);
    let mut orders = match witness_file::orders(history, order, budget)? {
        Ok(orders) => orders,
        Err(limit) => {
            let because = format!("{limit} before the whole order was read");
            return Ok(Verdict::new(Answer::Unknown, because));
        }
    };
    let (mut operations, mut keys) = (0, 0);
    for (key, rows) in history.by_key().iter() {
        let case = question.model.case(&KeyOperations { history, rows, question, initial })?;
        let of_key = orders.remove(&key).unwrap_or_default();
        let idle = |index: usize| {
            (history.ops.outcome(index) == Outcome::Info).then(|| history.ops.inv(index))
        };
        if let Err(fault) = case.replay(&idle, &of_key, budget) {
            let why = explanation::fault(history, fault);
            let who =
                key.map_or(String::new(), |key| format!("key {}: ", history.values.show(key)));
            let answer = match fault {
                Fault::Unknown(..) => Answer::Unknown,
                _ => Answer::Invalid,
            };
            return Ok(Verdict::new(answer, format!("{who}{why}")));
        }
        (operations, keys) = (operations + of_key.len(), keys + 1);
    }
    let what = many(operations as u64, "operation");
    let model = question.model.name();
    let mut verdict = Verdict::new(
        Answer::Valid,
        format!("the order of {what} is one that a {model} could have followed"),
    );
    verdict.fact("operations", operations);
    verdict.fact("keys", keys);
    Ok(verdict)
}

/// The fate of an operation of a history.
pub(crate) fn fate(outcome: Outcome) -> Fate {
    match outcome {
        Outcome::Ok => Fate::Ok,
        Outcome::Fail => Fate::Fail,
        Outcome::Info => Fate::Info,
    }
}

/// What an object says against an operation of the history, with file, line and column.
pub(crate) fn wrong(history: &History, index: usize, misread: &Misread) -> Error {
    history.error(index, misread.field(), &misread.to_string())
}

/// What is to be decided.
struct Work<'w> {
    history: &'w History,
    question: &'w Question,
    initial: Id,
    budget: Budget,
}

impl Work<'_> {
    /// Decides all keys over the machine's cores, in rounds; the result is in the order of `keys`.
    ///
    /// # Errors
    /// As [`check`], of the first key that has any.
    fn all(&self, keys: &Keys) -> Result<Vec<KeyVerdict>> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        // A thread costs more than deciding a few thousand operations.
        let threads = cores.min(keys.len()).min(1 + self.history.ops.len() / 20_000);
        let share = self.budget.shared_by(threads);
        let mut order: Vec<usize> = (0..keys.len()).collect();
        order.sort_by_key(|&at| std::cmp::Reverse(keys.get(at).1.len()));
        let is_wanted = self.question.witness.is_some();
        let found = rounds::all(&order, threads, &share, || {
            let mut columns = self.columns(&share);
            let share = &share;
            move |at: usize, slice: Duration| {
                let rows = keys.get(at).1;
                let found = self.one(rows, columns.as_mut(), slice, share);
                let standing = match &found {
                    Ok((decided, _)) => Standing::of(&decided.decision, share),
                    Err(_) => Standing::Wrong,
                };
                (found, standing)
            }
        });
        if found.iter().any(|found| found.found.is_err()) {
            self.without_errors(keys)?;
        }
        let mut verdicts = Vec::with_capacity(found.len());
        for Found { at, found, is_set_aside } in found {
            let (Decided { engine, mut decision, observations }, order) = found?;
            if is_set_aside {
                decision.set_aside();
            }
            let (key, rows) = keys.get(at);
            let operations = rows.len();
            verdicts.push(KeyVerdict { key, operations, observations, engine, decision, order });
        }
        if is_wanted {
            self.orders(keys, &mut verdicts, threads, &share);
        }
        Ok(verdicts)
    }

    /// The operations in `rows`, all of one key, as the question's object has them.
    fn case(&self, rows: Rows<'_>) -> Result<Box<dyn Case>> {
        let &Work { history, question, initial, .. } = self;
        question.model.case(&KeyOperations { history, rows, question, initial })
    }

    /// Looks for the orders that take a search, once everything is decided.
    fn orders(&self, keys: &Keys, verdicts: &mut [KeyVerdict], threads: usize, share: &Budget) {
        let lacks =
            |key: &KeyVerdict| matches!(key.decision, Decision::Valid) && key.order.is_none();
        let open: Vec<usize> = (0..verdicts.len()).filter(|&at| lacks(&verdicts[at])).collect();
        let found = Mutex::new(Vec::with_capacity(open.len()));
        rounds::in_parallel(&open, threads, &|| (), |(), at| {
            let rows = keys.get(at).1;
            // What was decided has no operation that the model lacks.
            if let Ok(case) = self.case(rows) {
                let order = case.order(verdicts[at].engine, share);
                rounds::lock(&found).push((at, order));
            }
        });
        for (at, order) in rounds::unlock(found) {
            verdicts[at].order = Some(order);
        }
    }

    /// Looks for the first key that has an error. To find its place takes as long as the whole file, so it is done for
    /// one error and not for all that there are.
    ///
    /// # Errors
    /// As [`check`].
    fn without_errors(&self, keys: &Keys) -> Result<()> {
        for (_, rows) in keys.iter() {
            if self.budget.taking(rows.len() * case::MOST_BYTES).is_ok() {
                self.case(rows)?;
            }
        }
        Ok(())
    }

    /// What decides without a copy, where the question has such a way.
    fn columns<'b>(&'b self, budget: &'b Budget) -> Option<Columns<'b>> {
        let has_cas = self.question.model.register()?;
        let Question { fail_observes, ignore_null_reads, witness, .. } = self.question;
        let register = Register { initial: self.initial, has_cas, fail_observes: *fail_observes };
        // An order is found in a copy, and reads are left out there.
        (witness.is_none() && !ignore_null_reads)
            .then(|| Columns::new(self.history, register, budget))
    }

    /// Decides one key; a search takes no longer than `slice`.
    fn one(
        &self,
        rows: Rows<'_>,
        columns: Option<&mut Columns<'_>>,
        slice: Duration,
        budget: &Budget,
    ) -> Result<(Decided, Option<Sought>)> {
        let undecided = |limit: Exhausted| {
            let decision = case::undecided(rows.len(), limit);
            Ok((Decided { engine: case::NONE, decision, observations: 0 }, None))
        };
        match columns.map(|columns| columns.decide(rows)) {
            Some(Ok(Valid { observations })) => {
                let (engine, decision) = (case::ZONES, Decision::Valid);
                return Ok((Decided { engine, decision, observations }, None));
            }
            Some(Err(Open::Budget(limit))) => return undecided(limit),
            Some(Err(Open::Other)) | None => {}
        }
        // What it takes is known before it is taken.
        let budget = match budget.taking(rows.len() * case::MOST_BYTES) {
            Ok(budget) => budget,
            Err(limit) => return undecided(limit),
        };
        let case = self.case(rows)?;
        let decided = case.decide(slice, &budget);
        // Where it took no search to decide it takes none to find the order, and the operations are at hand.
        let is_quick =
            matches!((&decided.decision, decided.engine), (Decision::Valid, Engine::Direct(_)));
        let order = (is_quick && self.question.witness.is_some())
            .then(|| case.order(decided.engine, &budget));
        Ok((decided, order))
    }
}
