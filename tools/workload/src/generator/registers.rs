//! Operations on registers that take turns: some are in use at a time, and each is replaced by a new one.
//!
//! The sequence follows from the seed alone, but for what a compare-and-set expects: that is the value last seen, or
//! most of them would fail.

use breakit::rng::{Pcg64, RngExt};
use clap::Args;
use serde_json::Value;

use super::Generator;
use crate::action::{Action, Outcome, RegisterAction};

/// How registers take turns.
#[derive(Args, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turns {
    /// Use N registers at the same time
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub keys: u32,
    /// Replace a register by a new one after N operations
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    pub ops_per_key: u32,
}

/// Draws reads, writes and, if asked to, compare-and-sets.
#[derive(Debug)]
pub struct Registers {
    turns: Turns,
    compare_and_set: bool,
    random: Pcg64,
    in_use: Vec<Register>,
    next_key: u64,
}

/// A register in use.
#[derive(Debug)]
struct Register {
    key: u64,
    left: u32,
    next_value: u64,
    /// What it held when it was last seen or changed.
    seen: Option<Value>,
}

impl Registers {
    /// The generator of one run.
    pub fn new(turns: Turns, compare_and_set: bool, random: Pcg64) -> Registers {
        let mut made =
            Registers { turns, compare_and_set, random, in_use: Vec::new(), next_key: 1 };
        made.in_use = (0..turns.keys).map(|_| made.fresh()).collect();
        made
    }

    fn fresh(&mut self) -> Register {
        let key = self.next_key;
        self.next_key += 1;
        Register { key, left: self.turns.ops_per_key, next_value: 0, seen: None }
    }
}

impl Generator for Registers {
    fn next(&mut self, _process: u64) -> Action {
        let index = self.random.random_range(0..self.in_use.len());
        if self.in_use[index].left == 0 {
            self.in_use[index] = self.fresh();
        }
        let dice = self.random.random_range(0..12);
        let register = &mut self.in_use[index];
        register.left -= 1;
        if dice < 6 {
            return Action::Register(register.key, RegisterAction::Read);
        }
        register.next_value += 1;
        let new = Value::from(register.next_value);
        let action = match &register.seen {
            Some(expected) if self.compare_and_set && dice >= 8 => {
                RegisterAction::CompareAndSet { expected: expected.clone(), new }
            }
            // No value was seen yet: nothing to compare with.
            _ => RegisterAction::Write(new),
        };
        Action::Register(register.key, action)
    }

    fn learn(&mut self, _process: u64, action: &Action, outcome: &Outcome) {
        let (Action::Register(key, action), Outcome::Ok(value)) = (action, outcome) else { return };
        let held = match action {
            RegisterAction::CompareAndSet { new, .. } => new,
            RegisterAction::Read | RegisterAction::Write(_) => value,
        };
        if let Some(register) = self.in_use.iter_mut().find(|register| register.key == *key) {
            register.seen = (!held.is_null()).then(|| held.clone());
        }
    }

    fn final_reads(&self) -> Vec<Action> {
        (1..self.next_key).map(|key| Action::Register(key, RegisterAction::Read)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use breakit::rng::generator;

    use super::*;

    const TURNS: Turns = Turns { keys: 3, ops_per_key: 10 };

    fn registers(turns: Turns, seed: u64) -> Registers {
        Registers::new(turns, true, generator(seed, "operations"))
    }

    #[test]
    fn no_value_is_written_twice_and_no_register_outlives_its_turn() {
        let mut registers = registers(TURNS, 1);
        let mut written = HashSet::new();
        let mut operations = HashMap::new();
        for _ in 0..1000 {
            let Action::Register(key, action) = registers.next(0) else { panic!("no register") };
            *operations.entry(key).or_insert(0) += 1;
            if let RegisterAction::Write(value) = action {
                assert!(written.insert((key, value.to_string())), "{key} {value}");
            }
        }
        assert!(operations.values().all(|count| *count <= TURNS.ops_per_key), "{operations:?}");
        assert!(operations.len() > 90, "{}", operations.len());
    }

    #[test]
    fn a_compare_and_set_expects_what_was_last_seen() {
        let mut registers = registers(Turns { keys: 1, ops_per_key: 500 }, 3);
        let mut seen = None;
        let mut compared = 0;
        for _ in 0..200 {
            let action = registers.next(0);
            match &action {
                Action::Register(_, RegisterAction::CompareAndSet { expected, .. }) => {
                    assert_eq!(Some(expected), seen.as_ref());
                    compared += 1;
                }
                Action::Register(_, RegisterAction::Write(value)) => {
                    registers.learn(0, &action, &action.done());
                    seen = Some(value.clone());
                }
                _ => {}
            }
        }
        assert!(compared > 30, "{compared}");
    }

    #[test]
    fn every_register_that_was_used_is_read_at_the_end() {
        let mut registers = registers(TURNS, 5);
        let used: HashSet<_> =
            (0..500).map(|_| registers.next(0).key().unwrap().to_string()).collect();
        let read: HashSet<_> = registers
            .final_reads()
            .into_iter()
            .map(|action| action.key().unwrap().to_string())
            .collect();
        assert!(read.is_superset(&used));
    }
}
