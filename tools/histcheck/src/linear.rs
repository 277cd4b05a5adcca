//! Linearizability: is there an order of the operations, each at one moment between its invocation and its
//! return, that one copy of the object could have followed?
//!
//! Each key is an object of its own and is decided apart from the others (Herlihy and Wing's locality).
//!
//! | module | job |
//! |---|---|
//! | [`op`] | an operation as the engines see it |
//! | [`zones`] | the engine for values that were each written once: no search |
//! | [`general`] | the engine for all others: search |
//! | [`evidence`] | the few operations that show why not, checked once more |
//! | [`diagram`] | these operations as a picture in text |

pub mod diagram;
pub mod evidence;
pub mod general;
pub mod op;
pub mod zones;

mod tell;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use breakit::exit::{Error, Result};
use serde_json::Value;

use crate::budget::Budget;
use crate::history::{History, Outcome};
use crate::values::Id;
use crate::verdict::Verdict;
use evidence::Evidence;
use general::Search;
use op::{Act, Fate, Op};
use zones::Zones;

/// The object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Model {
    /// `read` and `write`.
    Register,
    /// `read`, `write` and `cas`, whose value is `[expected, new]`.
    CasRegister,
}

impl Model {
    /// All models, as error messages list them.
    pub const NAMES: &str = "register, cas-register";

    /// The model of a name.
    pub fn of(name: &str) -> Option<Model> {
        match name {
            "register" => Some(Model::Register),
            "cas-register" => Some(Model::CasRegister),
            _ => None,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Model::Register => "register",
            Model::CasRegister => "cas-register",
        }
    }
}

/// Which engine decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// [`zones`].
    Zones,
    /// [`general`].
    General,
}

impl Engine {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Engine::Zones => "zones",
            Engine::General => "general",
        }
    }
}

/// What was decided about one key.
#[derive(Debug, Clone)]
pub enum Decision {
    /// Some order is legal.
    Valid,
    /// No order is.
    Invalid(Evidence),
    /// Nobody knows.
    Unknown {
        /// Why, in words.
        why: String,
        /// The operation of the history at which the search stood.
        at: Option<usize>,
    },
}

/// One key with what was decided.
#[derive(Debug, Clone)]
pub struct KeyVerdict {
    /// The key; `None` where operations carry none.
    pub key: Option<Id>,
    /// How many operations it has.
    pub operations: usize,
    /// How many of them say what the register held: without any there is nothing to check.
    pub observations: usize,
    /// Which engine decided.
    pub engine: Engine,
    /// What it decided.
    pub decision: Decision,
}

/// Decides every key of a history.
///
/// # Errors
/// 65 for an operation that the model does not have.
pub fn check(
    history: &mut History,
    model: Model,
    initial: &Value,
    budget: &Budget,
) -> Result<Verdict> {
    let initial = history.values.intern(initial);
    let mut keys = Vec::new();
    for (key, indices) in history.by_key() {
        keys.push((key, operations(history, &indices, model)?));
    }
    let verdicts = decide_all(history, &keys, initial, budget);
    Ok(tell::verdict(history, model, &verdicts))
}

/// The operations of one key as the engines take them.
fn operations(history: &History, indices: &[usize], model: Model) -> Result<Vec<Op>> {
    let mut ops = Vec::with_capacity(indices.len());
    for &index in indices {
        let op = history.ops.get(index);
        let fate = match op.outcome {
            Outcome::Ok => Fate::Ok,
            Outcome::Fail => Fate::Fail,
            Outcome::Info => Fate::Info,
        };
        let act = act(history, index, model, fate).map_err(|clause| {
            let (line, last) = (history.line(op.inv), op.res);
            let line = if fate == Fate::Ok { history.line(last) } else { line };
            Error::data(format!("{}, line {line}: {clause}", history.name))
        })?;
        ops.extend(act.and_then(|act| Op::new(act, fate, op.inv, op.res, index)));
    }
    Ok(ops)
}

/// `None` for a failed operation that does not say what it tried: it did not happen anyway.
fn act(
    history: &History,
    index: usize,
    model: Model,
    fate: Fate,
) -> std::result::Result<Option<Act>, String> {
    let op = history.ops.get(index);
    match (history.word(op.f), op.value) {
        ("read", Some(value)) => Ok(Some(Act::Read(value))),
        ("read", None) if fate != Fate::Ok => Ok(None),
        ("read", None) => {
            Err("an ok read says no value; write null for a register that is empty".into())
        }
        ("write", Some(value)) => Ok(Some(Act::Write(value))),
        ("cas", Some(value)) if model == Model::CasRegister => match history.values.list(value) {
            Some(&[expected, new]) => Ok(Some(Act::Cas(expected, new))),
            _ => Err(format!(
                "the value of a cas must be [expected, new], not {}",
                history.values.show(value)
            )),
        },
        ("write" | "cas", None) if fate == Fate::Fail => Ok(None),
        ("cas", None) if model == Model::CasRegister => {
            Err("a cas has no value; it must be [expected, new]".into())
        }
        ("write", None) => Err("a write has no value".into()),
        (word, _) => Err(format!(
            "the model {} has no operation {word:?}{}",
            model.name(),
            if word == "cas" { "; take --model cas-register" } else { "" }
        )),
    }
}

/// Decides all keys over the machine's cores, the largest first; the result is in the order of `keys`.
fn decide_all(
    history: &History,
    keys: &[(Option<Id>, Vec<Op>)],
    initial: Id,
    budget: &Budget,
) -> Vec<KeyVerdict> {
    let total: usize = keys.iter().map(|(_, ops)| ops.len()).sum();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // A thread costs more than deciding a few thousand operations.
    let threads = cores.min(keys.len()).min(1 + total / 20_000);
    let share = budget.shared_by(threads);
    let mut order: Vec<usize> = (0..keys.len()).collect();
    order.sort_by_key(|&at| std::cmp::Reverse(keys[at].1.len()));
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(keys.len()));
    let work = || {
        while let Some(&at) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (key, ops) = &keys[at];
            let verdict = decide_key(*key, ops, initial, &share);
            // No other thread panics while it holds the list.
            done.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push((at, verdict));
        }
    };
    std::thread::scope(|scope| {
        (1..threads).for_each(|_| {
            scope.spawn(work);
        });
        work();
    });
    let mut done = done.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    done.sort_by_key(|&(at, _)| at);
    let sizes = history.by_key().into_iter().map(|(_, indices)| indices.len());
    let verdicts = done.into_iter().map(|(_, verdict)| verdict);
    verdicts.zip(sizes).map(|(verdict, operations)| KeyVerdict { operations, ..verdict }).collect()
}

fn decide_key(key: Option<Id>, ops: &[Op], initial: Id, budget: &Budget) -> KeyVerdict {
    let (engine, decision) = decide(ops, initial, budget);
    let observes = |op: &&Op| op.fate == Fate::Ok && op.act.observes().is_some();
    let observations = ops.iter().filter(observes).count();
    KeyVerdict { key, operations: ops.len(), observations, engine, decision }
}

/// Decides the operations of one key: by zones where they can, else by search.
pub fn decide(ops: &[Op], initial: Id, budget: &Budget) -> (Engine, Decision) {
    match zones::decide(ops, initial) {
        Zones::Valid => (Engine::Zones, Decision::Valid),
        Zones::Invalid(conflict) => {
            (Engine::Zones, proved(evidence::of_conflict(ops, &conflict, initial, budget)))
        }
        Zones::Ambiguous(_) => (Engine::General, search(ops, initial, budget)),
    }
}

fn search(ops: &[Op], initial: Id, budget: &Budget) -> Decision {
    match general::decide(ops, &[initial], budget) {
        Search::Valid => Decision::Valid,
        Search::Invalid(at) => proved(evidence::of_search(ops, at, initial, budget)),
        Search::Unknown(at, limit) => {
            let done = ops.iter().filter(|op| op.res < ops[at].res).count();
            let why = format!("{limit} after {done} of {} operations", ops.len());
            Decision::Unknown { why, at: Some(ops[at].source) }
        }
        Search::TooMany(at) => {
            let why = format!(
                "more than {} operations are open at once, and values are written more than once",
                general::MOST_OPEN
            );
            Decision::Unknown { why, at: Some(ops[at].source) }
        }
    }
}

fn proved(evidence: Option<Evidence>) -> Decision {
    match evidence {
        Some(evidence) => Decision::Invalid(evidence),
        None => Decision::Unknown {
            why: "the two engines disagree about it, which is a fault of histcheck: please report it with \
                  the history"
                .into(),
            at: None,
        },
    }
}
