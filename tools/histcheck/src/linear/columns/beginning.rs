//! Whether the beginnings of a register's operations are linearizable, each without a copy of them.

use super::chains::{Chains, Spread, VALUE_BYTES};
use super::{BETWEEN_LOOKS, Open};
use crate::budget::Budget;
use crate::history::{OPEN, Pos};
use crate::linear::op::{Act, Fate, Op};
use crate::values::Id;

/// Decides the beginnings of some operations, one after the other.
#[derive(Debug)]
pub struct Beginnings<'o> {
    ops: &'o [Op],
    initial: Id,
    budget: &'o Budget,
    chains: Chains,
    is_in_order: bool,
}

impl<'o> Beginnings<'o> {
    /// Decides beginnings of these operations of a register that holds `initial` at first.
    pub fn new(ops: &'o [Op], initial: Id, budget: &'o Budget) -> Beginnings<'o> {
        let is_in_order = ops.is_sorted_by_key(|op| op.inv);
        Beginnings { ops, initial, budget, chains: Chains::default(), is_in_order }
    }

    /// Whether some order of what happened until `end` is legal. What was invoked later cannot have been seen legally,
    /// and of what had not returned nobody knows whether it happened.
    ///
    /// Where each value has one writer this is exact: the chains are those of the theorem then.
    ///
    /// # Errors
    /// Why it is not said; where a value has several writers it may be.
    pub fn is_valid(&mut self, end: Pos) -> Result<bool, Open> {
        let begun = match self.is_in_order {
            true => &self.ops[..self.ops.partition_point(|op| op.inv < end)],
            false => self.ops,
        };
        let known = |op: &Op| op.fate == Fate::Ok && op.res <= end;
        let matters = |op: &&Op| {
            op.inv < end && op.fate != Fate::Fail && (known(op) || op.act.puts().is_some())
        };
        let mut spread = Spread::of(self.initial);
        for op in begun.iter().filter(matters) {
            op.act.observes().into_iter().chain(op.act.puts()).for_each(|id| spread.see(id));
        }
        let numbering = spread.numbering();
        self.budget.spend(numbering.span() * VALUE_BYTES)?;
        self.chains.begin(numbering, self.initial);
        let mut is_replaced_once = true;
        for (place, op) in begun.iter().filter(matters).enumerate() {
            if place % BETWEEN_LOOKS == 0 {
                self.budget.spend(self.chains.bytes())?;
            }
            let ends = (op.inv, if known(op) { op.res } else { OPEN });
            match op.act {
                Act::Read(value) => self.chains.take(value, ends, false)?,
                Act::Write(value) => self.chains.take(value, ends, true)?,
                Act::Cas(from, to) => {
                    self.chains.take(to, ends, true)?;
                    match known(op) {
                        // Whether the value has another writer is still to be seen.
                        true => is_replaced_once &= self.chains.replace(from, to).is_ok(),
                        false => self.chains.perhaps_replace(from, to),
                    }
                }
                Act::Differs(_) => return Err(Open::Other),
            }
        }
        self.budget.spend(self.chains.bytes() + self.chains.bytes_to_come())?;
        Ok(is_replaced_once && self.chains.are_consecutive().is_ok())
    }
}
