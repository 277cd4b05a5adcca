//! A register whose values were written more than once: decided by search over blocks.
//!
//! A **block** is a write with the reads and cas that take effect before the next write. A write takes no notice of
//! what it replaces, so a block that ends with a write leaves nothing behind: it can be put right before any other
//! write, if all its operations are open there. So of what took effect before the last write little needs to be
//! known, and the search puts off what it can. Events are walked in order, as in [`general`](super::general);
//! a configuration is what the register holds, which open operations took effect (**done**), and which of the others
//! were open when the last write took effect (**covered**). When an operation returns that is not done,
//! - one that is covered may have taken effect in a block right before the last write: a write alone, or
//!   any write, read and cas that are covered, in an order that the register allows;
//! - or it takes effect now: after some open cas, or after some open write and open cas.
//!
//! *No order is made up.* What is covered was open at the last write, and is still open: right before that write is a
//! moment between its invocation and its return. What it leaves behind is overwritten at once.
//!
//! *None is lost.* Take a legal order, and follow it with one configuration that lags behind: from it, some blocks
//! put before the last write, and then effects from now on, lead to what the order has done. Let `d` be the operation
//! that returns. If it is among the blocks, its whole block is put there (one of the ways tried); what other
//! blocks are put off stays covered. Else the effects from now on, up to `d`, are some cas, and then
//! blocks, the last of which holds `d`, as its write or after it. The blocks between need not take effect:
//! all their operations are open now, and covered once the last block's write takes effect, so they may still be
//! put before that write. So it is enough to try cas, at most one write, and cas. Of operations with the same
//! effect it is enough to try the one that returns first, by the exchange in [`general`](super::general); a cas that
//! is covered has a use that a fresh one lacks, so where the first to return is covered the first of the fresh ones
//! is tried too. And a configuration can be dropped where another is at least as free: [`Config::dominates`].
//!
//! Info operations never return. They are taken in two ways, neither of which is exact for both answers:
//! **counted**, with few configurations kept, those that used the fewest: an order found is an order; and
//! **endless**: as many of each as are wanted once one was invoked: if then no order is legal, none is. While they
//! are endless the values that they write, and those that their cas lead to from there, are one ([`HOME`]): the
//! register goes from each to each, and to them from everywhere, as often as anybody likes. So what only moves among
//! them takes effect at once. Where both fail the general search goes on.

mod board;
mod config;
mod moves;
mod supply;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rustc_hash::FxHashMap;

use super::general::uses::{Used, Uses};
use super::general::{self, Search};
use super::models::register::Register;
use super::object::Object;
use super::op::{Act, Fate, Op};
use crate::budget::{Budget, Exhausted};
use crate::history::Pos;
use crate::values::Id;
use board::{Board, Deed, Value};
use config::{Config, Frontier, HOME};
use moves::Return;
use supply::{Count, Supply};

/// How many configurations are kept at first.
const WIDTHS: [usize; 2] = [32, 512];

/// Decides whether a legal order exists that begins with one of the `initial` values.
pub fn decide(ops: &[Op], initial: &[Id], budget: &Budget) -> Search {
    let search = Blocks::new(ops, initial, budget);
    if !search.has_info {
        return search.run(Count::Exact, usize::MAX).0;
    }
    for width in WIDTHS {
        match search.run(Count::Exact, width) {
            (Search::Valid, _) => return Search::Valid,
            (answer @ (Search::Unknown(_, Exhausted::Time(_)) | Search::TooMany(_)), _) => {
                return answer;
            }
            _ => {}
        }
        if let (answer @ Search::Invalid(_), false) = search.run(Count::Endless, 8 * width) {
            return answer;
        }
    }
    if let (answer @ Search::Invalid(_), false) = search.run(Count::Endless, usize::MAX) {
        return answer;
    }
    general::decide(&Register::default(), ops, initial, budget)
}

struct Blocks<'b> {
    ops: &'b [Op],
    /// The operations that matter, in the order of their invocations, where that is not the order of `ops`.
    order: Option<Vec<u32>>,
    useful: Vec<bool>,
    values: FxHashMap<Id, Value>,
    initial: Vec<Value>,
    has_info: bool,
    budget: &'b Budget,
}

impl<'b> Blocks<'b> {
    fn new(ops: &'b [Op], initial: &[Id], budget: &'b Budget) -> Blocks<'b> {
        let mut values: FxHashMap<Id, Value> = FxHashMap::default();
        let mut number = |id: Id| {
            let next = values.len() as Value;
            *values.entry(id).or_insert(next)
        };
        let initial = initial.iter().map(|&id| number(id)).collect();
        for op in ops {
            let (Act::Read(one) | Act::Write(one) | Act::Cas(one, _) | Act::Differs(one)) = op.act;
            number(one);
            if let Act::Cas(_, other) = op.act {
                number(other);
            }
        }
        let is_info = |op: &Op| op.fate == Fate::Info;
        let useful = match ops.iter().any(is_info) {
            true => Register::default().useful(ops),
            false => Vec::new(),
        };
        let has_info = ops.iter().zip(&useful).any(|(op, &useful)| useful && is_info(op));
        let order = (!ops.is_sorted_by_key(|op| op.inv)).then(|| {
            let mut order: Vec<u32> = (0..ops.len() as u32).collect();
            order.sort_by_key(|&at| ops[at as usize].inv);
            order
        });
        Blocks { ops, order, useful, values, initial, has_info, budget }
    }

    fn deed(&self, act: Act) -> Deed {
        let number = |id: Id| self.values[&id];
        match act {
            Act::Read(value) => Deed::Read(number(value)),
            Act::Write(value) => Deed::Write(number(value)),
            Act::Differs(value) => Deed::Differs(number(value)),
            Act::Cas(from, to) => Deed::Cas(number(from), number(to)),
        }
    }

    /// Walks the history with at most `width` configurations. Also says whether any was left behind.
    fn run(&self, count: Count, width: usize) -> (Search, bool) {
        let mut walk = Walk {
            blocks: self,
            board: Board::new(self.values.len()),
            supply: Supply::new(self.values.len(), count),
            uses: Uses::default(),
            frontier: Frontier::default(),
            returns: BinaryHeap::new(),
            width,
            is_narrowed: false,
        };
        let found = walk.through();
        (found, walk.is_narrowed)
    }
}

struct Walk<'w> {
    blocks: &'w Blocks<'w>,
    board: Board,
    supply: Supply,
    uses: Uses,
    frontier: Frontier,
    /// The returns of what is open, with slot and operation.
    returns: BinaryHeap<Reverse<(Pos, u32, u32)>>,
    width: usize,
    is_narrowed: bool,
}

impl Walk<'_> {
    fn through(&mut self) -> Search {
        for &state in &self.blocks.initial {
            let config = Config { state, cost: 0, used: Used::NONE, since: 0, done: 0, covered: 0 };
            self.frontier.add(config, &self.board);
        }
        for at in 0..self.blocks.ops.len() {
            let at = self.blocks.order.as_ref().map_or(at, |order| order[at] as usize);
            let op = &self.blocks.ops[at];
            let passed = self.return_until(op.inv).and_then(|()| match op.fate {
                Fate::Ok => self.invoke(op, at),
                Fate::Info if self.blocks.useful[at] => {
                    self.supply(op);
                    Ok(())
                }
                Fate::Info | Fate::Fail => Ok(()),
            });
            if let Err(answer) = passed {
                return answer;
            }
        }
        match self.return_until(Pos::MAX) {
            Err(answer) => answer,
            Ok(()) if self.frontier.configs.is_empty() => Search::Invalid(0),
            Ok(()) => Search::Valid,
        }
    }

    fn invoke(&mut self, op: &Op, at: usize) -> Result<(), Search> {
        let deed = self.blocks.deed(op.act);
        let slot = self.board.open(deed, op.res).ok_or(Search::TooMany(at))?;
        self.returns.push(Reverse((op.res, slot, at as u32)));
        for config in &mut self.frontier.configs {
            moves::opened(config, slot, &self.board, &self.supply);
        }
        Ok(())
    }

    /// An info operation is invoked.
    fn supply(&mut self, op: &Op) {
        let deed = self.blocks.deed(op.act);
        if !self.supply.add(deed, op.inv) {
            return;
        }
        let before = std::mem::take(&mut self.frontier.configs);
        for mut config in before {
            if config.state == HOME || self.supply.home.has(config.state) {
                moves::go_home(&mut config, &self.board, &self.supply);
            }
            self.frontier.add(config, &self.board);
        }
    }

    fn return_until(&mut self, pos: Pos) -> Result<(), Search> {
        while let Some(&Reverse((now, slot, op))) = self.returns.peek()
            && now < pos
        {
            self.returns.pop();
            self.return_of(slot, now).map_err(|limit| Search::Unknown(op as usize, limit))?;
            if self.frontier.configs.is_empty() {
                return Err(Search::Invalid(op as usize));
            }
        }
        Ok(())
    }

    fn return_of(&mut self, due: u32, now: Pos) -> Result<(), Exhausted> {
        let bit = 1 << due;
        if self.frontier.configs.iter().all(|config| config.done & bit != 0) {
            self.frontier.configs.iter_mut().for_each(|config| config.done &= !bit);
            self.board.close(due);
            return Ok(());
        }
        let held = self.frontier.configs.len() * size_of::<Config>();
        self.blocks.budget.spend(2 * held + self.uses.bytes() + self.board.bytes())?;
        let mut step = Return {
            board: &self.board,
            supply: &self.supply,
            uses: &mut self.uses,
            due,
            now,
            has_info: self.blocks.has_info,
            most: self.width.saturating_mul(4),
            is_narrowed: false,
            budget: self.blocks.budget,
            next: Frontier::default(),
        };
        for &config in &self.frontier.configs {
            step.from(config)?;
        }
        self.is_narrowed |= step.is_narrowed;
        self.frontier = step.next;
        self.is_narrowed |= self.frontier.narrow(self.width);
        self.board.close(due);
        Ok(())
    }
}
