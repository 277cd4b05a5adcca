//! Zones from the columns of a history: whether a register is linearizable, without a copy of its operations.
//!
//! It says *valid* or nothing. What it leaves open (a conflict, a value with several writers, a cas that saw what
//! the value was not, an operation that is none of a register's) is for [`super::zones`] and the search, which
//! know the reasons too. The theorem is the one of [`super::zones`]; how it is computed here is said in `chains`.
//! [`Beginnings`] does the same for the beginnings of operations that were copied.

mod beginning;
mod chains;

use super::register::Register;
use crate::budget::{Budget, Exhausted};
use crate::history::keys::Rows;
use crate::history::{History, Outcome};
use crate::values::Id;
pub use beginning::Beginnings;
use chains::{Chains, Numbering, Spread, VALUE_BYTES};

/// What is known of a register of which some order is legal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Valid {
    /// How many operations say what it held.
    pub observations: usize,
}

/// Why nothing is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Open {
    /// Another engine must say.
    Other,
    /// A limit was reached.
    Budget(Exhausted),
}

impl From<Exhausted> for Open {
    fn from(limit: Exhausted) -> Open {
        Open::Budget(limit)
    }
}

/// Decides registers of one history, one after the other.
#[derive(Debug)]
pub struct Columns<'h> {
    history: &'h History,
    register: Register,
    /// What each of the history's words means.
    meanings: Vec<Meaning>,
    budget: &'h Budget,
    chains: Chains,
}

/// How many operations are taken between two looks at the budget.
const BETWEEN_LOOKS: usize = 1 << 16;

impl<'h> Columns<'h> {
    /// Decides registers like this one. The budget is for what is taken beyond the history itself.
    pub fn new(history: &'h History, register: Register, budget: &'h Budget) -> Columns<'h> {
        let meanings = history.words.iter().map(|word| Meaning::of(word, &register)).collect();
        Columns { history, register, meanings, budget, chains: Chains::default() }
    }

    /// Whether some order of these operations is legal.
    ///
    /// # Errors
    /// Why it is not said.
    pub fn decide(&mut self, rows: Rows<'_>) -> Result<Valid, Open> {
        let mut chains = std::mem::take(&mut self.chains);
        let decided = self.fill(rows, &mut chains).and_then(|observations| {
            chains.are_consecutive()?;
            Ok(Valid { observations })
        });
        self.chains = chains;
        decided
    }

    /// Puts the operations into chains; says how many say what the register held.
    fn fill(&self, rows: Rows<'_>, chains: &mut Chains) -> Result<usize, Open> {
        let numbering = self.numbering(rows)?;
        // What will be taken at once is asked for before.
        self.budget.spend(numbering.span() * VALUE_BYTES)?;
        chains.begin(numbering, self.register.initial);
        let mut observations = 0;
        for place in 0..rows.len() {
            if place % BETWEEN_LOOKS == 0 {
                self.budget.spend(chains.bytes())?;
            }
            let index = rows.get(place);
            let ops = &self.history.ops;
            let ends = (ops.inv(index), ops.res(index));
            match self.step(index)? {
                Step::Nothing => {}
                Step::Refused => observations += 1,
                Step::Of(value, is_write) => {
                    observations += usize::from(!is_write);
                    chains.take(value, ends, is_write)?;
                }
                Step::Cas(from, to) if ops.outcome(index) == Outcome::Ok => {
                    observations += 1;
                    chains.take(to, ends, true)?;
                    chains.replace(from, to)?;
                }
                Step::Cas(from, to) => {
                    chains.take(to, ends, true)?;
                    chains.perhaps_replace(from, to);
                }
            }
        }
        self.budget.spend(chains.bytes() + chains.bytes_to_come())?;
        Ok(observations)
    }

    /// How the values of these operations are numbered.
    fn numbering(&self, rows: Rows<'_>) -> Result<Numbering, Open> {
        let mut spread = Spread::of(self.register.initial);
        for index in rows.iter() {
            match self.step(index)? {
                Step::Nothing | Step::Refused => {}
                Step::Of(value, _) => spread.see(value),
                Step::Cas(from, to) => {
                    spread.see(from);
                    spread.see(to);
                }
            }
        }
        Ok(spread.numbering())
    }

    /// What an operation does here, as [`Register`] reads it.
    #[inline(always)]
    fn step(&self, index: usize) -> Result<Step, Open> {
        let ops = &self.history.ops;
        let (outcome, value) = (ops.outcome(index), ops.value(index));
        let meaning = self.meanings[usize::from(ops.f(index))];
        let is_write = meaning == Meaning::Write;
        // Whether a read comes or a write is not to be foreseen, so that here is no fork.
        if outcome == Outcome::Ok && is_write | (meaning == Meaning::Read) {
            return value.map(|value| Step::Of(value, is_write)).ok_or(Open::Other);
        }
        match (meaning, outcome, value) {
            (Meaning::Read, Outcome::Info | Outcome::Fail, _) => Ok(Step::Nothing),
            (Meaning::Write, Outcome::Fail, _) => Ok(Step::Nothing),
            (Meaning::Write, Outcome::Info, Some(value)) => Ok(Step::Of(value, true)),
            (Meaning::Cas, _, _) => self.cas(outcome, value).ok_or(Open::Other),
            _ => Err(Open::Other),
        }
    }

    #[inline(never)]
    fn cas(&self, outcome: Outcome, value: Option<Id>) -> Option<Step> {
        let Some(value) = value else {
            return (outcome == Outcome::Fail).then_some(Step::Refused);
        };
        let &[from, to] = self.history.values.list(value)? else { return None };
        match outcome {
            Outcome::Fail if self.register.fail_observes => None,
            Outcome::Fail => Some(Step::Refused),
            Outcome::Ok if from == to => Some(Step::Of(from, false)),
            Outcome::Info if from == to => Some(Step::Nothing),
            Outcome::Ok | Outcome::Info => Some(Step::Cas(from, to)),
        }
    }
}

/// What a word of the history means to a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Read,
    Write,
    Cas,
    /// Nothing: an error, which others tell.
    Nothing,
}

impl Meaning {
    fn of(word: &str, register: &Register) -> Meaning {
        match word {
            "read" => Meaning::Read,
            "write" => Meaning::Write,
            "cas" if register.has_cas => Meaning::Cas,
            _ => Meaning::Nothing,
        }
    }
}

/// What an operation does.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Nothing that matters or is seen.
    Nothing,
    /// A cas that found another value; which one is not weighed.
    Refused,
    /// A read of a value, or a write; of the latter perhaps, where its outcome is info.
    Of(Id, bool),
    /// Perhaps, where its outcome is info.
    Cas(Id, Id),
}
