//! What is known at one moment of a possible order, and which of two such is the better.

use super::state::{Board, Slots, Value};
use crate::history::{OPEN, Pos};
use crate::linear::general::uses::Used;

/// In place of a value: any of those at [`Home`](super::pending::Home), whichever is wanted.
pub(super) const HOME: Value = Value::MAX;

/// A configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Config {
    /// What the register holds.
    pub state: Value,
    /// How many info operations took effect.
    pub cost: u32,
    /// Which of them, where they are counted.
    pub used: Used,
    /// Where the last write took effect; only kept where there are info operations.
    pub since: Pos,
    /// Open operations that took effect.
    pub done: Slots,
    /// Open operations that did not, and were open when the last write took effect.
    pub covered: Slots,
    /// Those of `done` that are [optional](super::optional).
    pub optional: Slots,
}

impl Config {
    /// The register holds `state` and nothing has happened.
    pub fn of(state: Value) -> Config {
        Config { state, cost: 0, used: Used::NONE, since: 0, done: 0, covered: 0, optional: 0 }
    }

    /// The same after the operation in `slot` took effect.
    #[inline]
    pub fn effect(mut self, slot: u32) -> Config {
        self.done |= 1 << slot;
        self.covered &= !(1 << slot);
        self.optional &= !(1 << slot);
        self
    }

    /// The same once the register went home.
    pub fn at_home(mut self, board: &Board) -> Config {
        self.state = HOME;
        self.since = OPEN;
        self.cover(board);
        self
    }

    /// A write takes effect: whatever is open may have done so before. What is free did.
    pub fn cover(&mut self, board: &Board) {
        self.done |= board.free;
        self.covered = board.open & !self.done;
    }

    /// Whether whatever order goes on from `other` has its like that goes on from here.
    ///
    /// Of an operation that may still be put before the last write, that order can do all it did: a write is put there
    /// alone where it had taken effect already, an operation that had not is in the same place. A read that took effect
    /// needs nothing more. An optional cas is as good as a settled one and as a covered one.
    #[inline]
    pub fn dominates(&self, other: &Config, board: &Board) -> bool {
        if self.state != other.state {
            return other.state == HOME && self.at_home(board).dominates_alike(other, board);
        }
        self.dominates_alike(other, board)
    }

    /// The same of two that hold the same.
    #[inline]
    fn dominates_alike(&self, other: &Config, board: &Board) -> bool {
        let only_here = self.settled() & !other.settled() & (board.writes | board.cas);
        let only_there = other.done & !self.done & !(board.writes & self.covered);
        let not_covered = other.covered & !self.covered & !self.done;
        self.since >= other.since
            && self.cost <= other.cost
            && only_here | only_there | not_covered == 0
    }
}

/// Configurations of which none dominates another.
#[derive(Debug, Default)]
pub(super) struct Frontier {
    pub configs: Vec<Config>,
}

impl Frontier {
    pub fn add(&mut self, config: Config, board: &Board) {
        if self.configs.iter().any(|known| known.dominates(&config, board)) {
            return;
        }
        self.configs.retain(|known| !config.dominates(known, board));
        self.configs.push(config);
    }

    /// Keeps about `width` of them: those that used the fewest info operations. Says whether any is left behind.
    pub fn narrow(&mut self, width: usize) -> bool {
        if self.configs.len() <= width {
            return false;
        }
        self.configs.sort_by_key(|config| (config.cost, config.settled().count_ones()));
        self.configs.truncate(width);
        true
    }
}
