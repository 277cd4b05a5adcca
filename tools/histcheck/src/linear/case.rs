//! The operations of one key as those of their object, ready to be decided on any thread.

use std::sync::Arc;
use std::time::Duration;

use breakit::exit::{Error, Result};
use serde_json::Value;

use super::blocks::{self, Found};
use super::earliest::{self, First};
use super::evidence::{self, Evidence};
use super::general::{self, Search};
use super::object::{Call, Fast, Object};
use super::op::{Act, Fate, Op};
use super::refutation::{self, Refutation};
use super::register::Register;
use super::replay::{self, Fault};
use super::zones::{self, Zones};
use super::{Question, fate, wrong};
use crate::budget::{Budget, Exhausted};
use crate::history::keys::Rows;
use crate::history::{History, Outcome, Pos};
use crate::plural::many;
use crate::values::{Id, NULL};

/// Which engine decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// One without search, by its name.
    Direct(&'static str),
    /// The search over blocks, for this reason.
    Blocks(&'static str),
    /// The search, as the way without it was not exact, for this reason.
    General(&'static str),
}

impl Engine {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Engine::Direct(name) => name,
            Engine::Blocks(_) => "blocks",
            Engine::General(_) => "general",
        }
    }

    /// Why it had to search, where it did.
    pub fn searched(self) -> Option<&'static str> {
        match self {
            Engine::Direct(_) => None,
            Engine::Blocks(why) | Engine::General(why) => Some(why),
        }
    }
}

/// The zones.
pub(crate) const ZONES: Engine = Engine::Direct("zones");
/// None of them came to decide.
pub(super) const NONE: Engine = Engine::Direct("none");
/// Why a register takes a search.
pub(crate) const AMBIGUOUS: &str = "values were written more than once";
const NEGATIVE: &str = "a failed cas says only what the value was not";

/// What was decided about one key.
#[derive(Debug, Clone)]
pub enum Decision {
    /// Some order is legal.
    Valid,
    /// No order is.
    Invalid(Proof),
    /// Nobody knows.
    Unknown {
        /// Why, in words.
        why: String,
        /// The operation of the history at which the search stood.
        at: Option<usize>,
        /// The limit that was reached, where it was one that more of would help.
        limit: Option<Exhausted>,
    },
}

impl Decision {
    /// Says of a key that is open why no more time was spent on it.
    pub fn set_aside(&mut self) {
        if let Decision::Unknown { why, .. } = self {
            *why = "its search was given up, as another key is invalid".into();
        }
    }
}

/// The operations that show that no order is legal.
#[derive(Debug, Clone)]
pub enum Proof {
    /// Of a register.
    Register(Evidence),
    /// Of another object.
    Other(Refutation),
}

/// What was decided, and how.
#[derive(Debug, Clone)]
pub struct Decided {
    /// Which engine decided.
    pub engine: Engine,
    /// What it decided.
    pub decision: Decision,
    /// How many operations say what the object held.
    pub observations: usize,
}

/// A legal order, by operations of the history, or why none was found.
pub type Sought = std::result::Result<Vec<usize>, String>;

/// One key's operations.
pub trait Case: Send + Sync {
    /// Decides them; a search takes no longer than `slice`.
    fn decide(&self, slice: Duration, budget: &Budget) -> Decided;
    /// Looks for a legal order of what `engine` found valid.
    fn order(&self, engine: Engine, budget: &Budget) -> Sought;
    /// Goes through an order of theirs, given by operations of the history, as [`replay::replay_within`] does.
    ///
    /// # Errors
    /// What is wrong with it, or the limit that was reached.
    fn replay(
        &self,
        idle: &dyn Fn(usize) -> Option<Pos>,
        order: &[usize],
        budget: &Budget,
    ) -> std::result::Result<(), Fault>;
}

/// What an operation takes, about, in a case and in the ways to decide it without search: of a register of unique
/// values, which has the widest tables, 105 bytes were measured.
pub const MOST_BYTES: usize = 128;

/// The operations of one key in a history, with the value that its object has first. A model makes its case of them.
pub struct KeyOperations<'k> {
    /// The history.
    pub history: &'k History,
    /// Which operations are of the key.
    pub rows: Rows<'k>,
    /// What is asked of them.
    pub question: &'k Question,
    /// What the object has first.
    pub initial: Id,
}

impl KeyOperations<'_> {
    /// The case of an object that is always empty first.
    ///
    /// # Errors
    /// 64 for an initial value; those of [`KeyOperations::beginning`].
    pub fn empty<O: Object + Send + 'static>(&self, object: O) -> Result<Box<dyn Case>> {
        match self.question.initial {
            Value::Null => self.beginning(object),
            _ => Err(Error::usage(format!(
                "the model {} begins empty; leave --initial out",
                self.question.model.name()
            ))),
        }
    }

    /// The case of an object that has its initial value already.
    ///
    /// # Errors
    /// 65 for an operation that the object does not have.
    pub fn beginning<O: Object + Send + 'static>(&self, object: O) -> Result<Box<dyn Case>> {
        Ok(Box::new(OfObject { ops: self.operations(&object)?, object }))
    }

    /// The initial value as a whole number, 0 if there is none.
    ///
    /// # Errors
    /// 64 for another value.
    pub fn whole_number(&self) -> Result<i64> {
        match self.initial {
            NULL => Ok(0),
            other => {
                let number = self.history.values.as_int(other);
                number.ok_or_else(|| self.cannot_begin("a whole number"))
            }
        }
    }

    /// The initial value as a list, empty if there is none.
    ///
    /// # Errors
    /// 64 for another value.
    pub fn list(&self) -> Result<Vec<Id>> {
        match self.history.values.list(self.initial) {
            Some(list) => Ok(list.to_vec()),
            None if self.initial == NULL => Ok(Vec::new()),
            None => Err(self.cannot_begin("a list")),
        }
    }

    /// The initial value as a string, empty if there is none.
    ///
    /// # Errors
    /// 64 for another value.
    pub fn string(&self) -> Result<Arc<str>> {
        match &self.question.initial {
            Value::Null => Ok(Arc::default()),
            Value::String(text) => Ok(text.as_str().into()),
            _ => Err(self.cannot_begin("a string")),
        }
    }

    /// The initial value as JSON.
    pub fn json(&self) -> Value {
        self.history.values.json(self.initial)
    }

    fn cannot_begin(&self, what: &str) -> Error {
        let (model, initial) = (self.question.model.name(), &self.question.initial);
        Error::usage(format!("the model {model} begins with {what}; --initial {initial} is none"))
    }

    /// The case of a register.
    ///
    /// # Errors
    /// 65 for an operation that it does not have.
    pub fn register(&self, has_cas: bool) -> Result<Box<dyn Case>> {
        let Question { fail_observes, .. } = *self.question;
        let object = Register { initial: self.initial, has_cas, fail_observes };
        let ops = self.operations(&object)?;
        let refused = if has_cas { self.refused() } else { 0 };
        Ok(Box::new(OfRegister { ops, object, refused }))
    }

    /// How many cas were refused: each is an answer about what the register held, whether it is weighed
    /// (`--fail-observes`) or not. A history of nothing else did ask something.
    fn refused(&self) -> usize {
        let ops = &self.history.ops;
        let refused = |&index: &usize| {
            ops.outcome(index) == Outcome::Fail && self.history.word(ops.f(index)) == "cas"
        };
        self.rows.iter().filter(refused).count()
    }

    fn operations<O: Object>(&self, object: &O) -> Result<Vec<Op<O::Act>>> {
        let mut ops = Vec::with_capacity(self.rows.len());
        let all = &self.history.ops;
        for index in self.rows.iter() {
            let call = Call {
                word: self.history.word(all.f(index)),
                value: all.value(index),
                fate: fate(all.outcome(index)),
                process: all.process(index),
                values: &self.history.values,
            };
            if self.question.ignores(&call) {
                continue;
            }
            let act = object.act(&call).map_err(|clause| wrong(self.history, index, &clause))?;
            let (inv, res) = (all.inv(index), all.res(index));
            let plain = act.map(|act| Op { act, fate: call.fate, inv, res, source: index });
            ops.extend(plain.and_then(|op| object.kept(op)));
        }
        Ok(ops)
    }
}

/// A register's operations.
struct OfRegister {
    ops: Vec<Op>,
    object: Register,
    /// How many cas were refused.
    refused: usize,
}

impl Case for OfRegister {
    fn decide(&self, slice: Duration, budget: &Budget) -> Decided {
        let (engine, decision) = decide_within(&self.ops, self.object.initial, slice, budget);
        let observes = |op: &&Op| op.fate == Fate::Ok && self.object.observes(&op.act);
        let observations = self.ops.iter().filter(observes).count() + self.refused;
        Decided { engine, decision, observations }
    }

    fn order(&self, engine: Engine, budget: &Budget) -> Sought {
        sought(self.find_order(engine, budget), &self.ops)
    }

    fn replay(
        &self,
        idle: &dyn Fn(usize) -> Option<Pos>,
        order: &[usize],
        budget: &Budget,
    ) -> std::result::Result<(), Fault> {
        replay::replay_within(&self.object, &self.ops, idle, order, budget)
    }
}

impl OfRegister {
    fn find_order(
        &self,
        engine: Engine,
        budget: &Budget,
    ) -> std::result::Result<Vec<usize>, Search> {
        spent(budget)?;
        let initial = self.object.initial;
        let search = || general::order(&self.object, &self.ops, &[initial], budget);
        match engine {
            ZONES => zones::order(&self.ops, initial).map_or_else(search, Ok),
            Engine::Blocks(_) => match blocks::order(&self.ops, initial, budget) {
                // It followed other ways than the search that decided.
                Err(Search::Valid | Search::Invalid(_)) => search(),
                found => found,
            },
            _ => search(),
        }
    }
}

/// Whether the budget was spent on the decision, so that no order is looked for.
fn spent(budget: &Budget) -> std::result::Result<(), Search> {
    budget.spend(0).map_err(|limit| Search::Unknown(0, limit))
}

/// An order by operations of the history, or in words why none was found.
fn sought<A>(found: std::result::Result<Vec<usize>, Search>, ops: &[Op<A>]) -> Sought {
    match found {
        Ok(order) => Ok(sources(&order, ops)),
        Err(Search::Unknown(_, limit)) => Err(limit.to_string()),
        Err(Search::TooMany(_)) => Err(too_many()),
        Err(Search::Valid | Search::Invalid(_)) => {
            Err("the search did not find what another found, which is a fault of histcheck".into())
        }
    }
}

fn too_many() -> String {
    let most = general::MOST_OPEN;
    format!("more than {most} operations are open at once, and it takes a search")
}

fn sources<A>(order: &[usize], ops: &[Op<A>]) -> Vec<usize> {
    order.iter().map(|&at| ops[at].source).collect()
}

/// Decides the operations of one register: by zones where they can, else by search.
pub fn decide(ops: &[Op], initial: Id, budget: &Budget) -> (Engine, Decision) {
    decide_within(ops, initial, Duration::MAX, budget)
}

/// The same; a search takes no longer than `slice`.
pub fn decide_within(
    ops: &[Op],
    initial: Id,
    slice: Duration,
    budget: &Budget,
) -> (Engine, Decision) {
    let found = match zones::decide_within(ops, initial, budget) {
        Ok(found) => found,
        Err(limit) => return (ZONES, undecided(ops.len(), limit)),
    };
    match found {
        Zones::Valid => (ZONES, Decision::Valid),
        Zones::Invalid(conflict) => {
            let known = || evidence::of_conflict(ops, ops, &conflict, initial, budget);
            let evidence = match earliest::of_register(ops, &conflict, initial, budget) {
                First::Known => known(),
                First::Conflict(few, conflict) => {
                    evidence::of_conflict(ops, &few, &conflict, initial, budget)
                }
                First::Search(end) => {
                    evidence::of_beginning(ops, end, initial, budget).or_else(known)
                }
            };
            (ZONES, proved(evidence.map(Proof::Register)))
        }
        Zones::Ambiguous => {
            let negative = ops.iter().any(|op| matches!(op.act, Act::Differs(_)));
            let why = if negative { NEGATIVE } else { AMBIGUOUS };
            let Found { search, moments, in_blocks } =
                blocks::decide_with_moments(ops, &[initial], &budget.at_most(slice));
            let engine = if in_blocks { Engine::Blocks(why) } else { Engine::General(why) };
            let prove = |at: usize| {
                let known = || evidence::of_search(ops, at, &moments, initial, budget);
                let end = earliest::of_searched_register(ops, at, initial, budget);
                let evidence = match end == ops[at].res {
                    true => known(),
                    false => evidence::of_beginning(ops, end, initial, budget).or_else(known),
                };
                evidence.map(Proof::Register)
            };
            (engine, of_search(ops, search, prove))
        }
    }
}

fn of_search<A>(
    ops: &[Op<A>],
    found: Search,
    prove: impl FnOnce(usize) -> Option<Proof>,
) -> Decision {
    match found {
        Search::Valid => Decision::Valid,
        Search::Invalid(at) => proved(prove(at)),
        Search::Unknown(at, limit) => out_of(ops, at, limit),
        Search::TooMany(at) => {
            Decision::Unknown { why: too_many(), at: Some(ops[at].source), limit: None }
        }
    }
}

/// A limit was reached before the operations were decided, in no place among them.
pub(super) fn undecided(operations: usize, limit: Exhausted) -> Decision {
    let why = format!("{limit} before its {} were decided", many(operations as u64, "operation"));
    Decision::Unknown { why, at: None, limit: Some(limit) }
}

fn out_of<A>(ops: &[Op<A>], at: usize, limit: Exhausted) -> Decision {
    let done = ops.iter().filter(|op| op.res < ops[at].res).count();
    let why = format!("{limit} after {done} of {} operations", ops.len());
    Decision::Unknown { why, at: Some(ops[at].source), limit: Some(limit) }
}

/// Invalid where a second decision agrees.
pub(crate) fn proved(proof: Option<Proof>) -> Decision {
    match proof {
        Some(proof) => Decision::Invalid(proof),
        None => Decision::Unknown {
            why: "the two engines disagree about it, which is a fault of histcheck: please report it with \
                  the history"
                .into(),
            at: None,
            limit: None,
        },
    }
}

/// The operations of any other object.
struct OfObject<O: Object> {
    ops: Vec<Op<O::Act>>,
    object: O,
}

impl<O: Object> OfObject<O> {
    fn answer(&self, slice: Duration, budget: &Budget) -> (Engine, Decision) {
        match self.object.decide(&self.ops, budget) {
            Fast::Valid => (Engine::Direct(self.object.engine()), Decision::Valid),
            Fast::Invalid(reason) => {
                let first = earliest::of_object(&self.object, &self.ops, &reason, budget);
                let found = match &first {
                    Some((ops, reason)) => {
                        refutation::Found { ops, reason: reason.as_ref(), end: None }
                    }
                    None => refutation::Found { ops: &self.ops, reason: Some(&reason), end: None },
                };
                let proof = refutation::of(&self.object, &self.ops, found, budget);
                (Engine::Direct(self.object.engine()), proved(proof.map(Proof::Other)))
            }
            Fast::Exhausted(limit) => {
                (Engine::Direct(self.object.engine()), undecided(self.ops.len(), limit))
            }
            Fast::Unsuited(why) => {
                let initial = [self.object.initial()];
                let found =
                    general::decide(&self.object, &self.ops, &initial, &budget.at_most(slice));
                let prove = |at| {
                    let end = earliest::of_searched(&self.object, &self.ops, at, budget);
                    let found = refutation::Found { ops: &self.ops, reason: None, end: Some(end) };
                    let proof = refutation::of(&self.object, &self.ops, found, budget);
                    proof.map(Proof::Other)
                };
                (Engine::General(why), of_search(&self.ops, found, prove))
            }
        }
    }

    fn find_order(
        &self,
        engine: Engine,
        budget: &Budget,
    ) -> std::result::Result<Vec<usize>, Search> {
        spent(budget)?;
        let direct = match engine {
            Engine::Direct(_) => self.object.order(&self.ops, budget),
            Engine::Blocks(_) | Engine::General(_) => None,
        };
        let search = || general::order(&self.object, &self.ops, &[self.object.initial()], budget);
        let Some(order) = direct else { return search() };
        match replay::replay_in(&self.object, &self.ops, &sources(&order, &self.ops), budget) {
            Ok(()) => Ok(order),
            Err(Fault::Unknown(at, limit)) => Err(Search::Unknown(order[at], limit)),
            // It would be a fault of histcheck; what is printed is right all the same.
            Err(_) => search(),
        }
    }
}

impl<O: Object + Send> Case for OfObject<O> {
    fn decide(&self, slice: Duration, budget: &Budget) -> Decided {
        let (engine, decision) = self.answer(slice, budget);
        let observes = |op: &&Op<O::Act>| op.fate == Fate::Ok && self.object.observes(&op.act);
        Decided { engine, decision, observations: self.ops.iter().filter(observes).count() }
    }

    fn order(&self, engine: Engine, budget: &Budget) -> Sought {
        sought(self.find_order(engine, budget), &self.ops)
    }

    fn replay(
        &self,
        idle: &dyn Fn(usize) -> Option<Pos>,
        order: &[usize],
        budget: &Budget,
    ) -> std::result::Result<(), Fault> {
        replay::replay_within(&self.object, &self.ops, idle, order, budget)
    }
}
