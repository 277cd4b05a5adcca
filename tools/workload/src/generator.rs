//! Which operation comes next.
//!
//! Every written value is new to its register and every added element new to its set: a read then says whose
//! write it saw, and checking is fast and exact. The sequence of requests follows from the seed alone, but
//! for what a compare-and-set expects: that is the value last seen, or most of them would fail.

pub mod pace;

use breakit::rng::{Pcg64, RngExt, generator};
use serde_json::{Value, json};

use crate::clients::{Outcome, Request};

/// Which promise is put to the test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Reads and writes of registers.
    Register,
    /// Reads, writes and compare-and-sets of registers.
    CasRegister,
    /// Adds to one set.
    Set,
}

impl Kind {
    /// The promise as the first line states it, for `histcheck`.
    pub fn check(self) -> Value {
        match self {
            Kind::Register => json!([{ "name": "linear", "options": { "model": "register" } }]),
            Kind::CasRegister => {
                json!([{ "name": "linear", "options": { "model": "cas-register" } }])
            }
            Kind::Set => json!([{ "name": "set" }]),
        }
    }
}

/// How registers take turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turns {
    /// So many are in use at a time.
    pub keys: u32,
    /// So many operations each, then a new one takes its place.
    pub ops_per_key: u32,
}

/// Draws the requests of a run.
#[derive(Debug)]
pub struct Generator {
    kind: Kind,
    turns: Turns,
    random: Pcg64,
    registers: Vec<Register>,
    next_key: u64,
    next_element: u64,
}

/// A register in use.
#[derive(Debug)]
struct Register {
    key: u64,
    left: u32,
    next_value: u64,
    /// What it held when somebody last saw or changed it.
    seen: Option<Value>,
}

impl Generator {
    /// The generator of one run.
    pub fn new(kind: Kind, turns: Turns, seed: u64) -> Generator {
        let random = generator(seed, "operations");
        let mut made =
            Generator { kind, turns, random, registers: Vec::new(), next_key: 1, next_element: 0 };
        if kind != Kind::Set {
            made.registers = (0..turns.keys).map(|_| made.fresh()).collect();
        }
        made
    }

    /// The next request.
    pub fn draw(&mut self) -> Request {
        match self.kind {
            Kind::Set => self.add(),
            Kind::Register | Kind::CasRegister => self.register(),
        }
    }

    /// Learns what came of a request.
    pub fn learn(&mut self, request: &Request, outcome: &Outcome) {
        let Outcome::Ok(value) = outcome else { return };
        let held = if request.f == "cas" { value.get(1) } else { Some(value) };
        let register =
            self.registers.iter_mut().find(|r| Some(&Value::from(r.key)) == request.key.as_ref());
        if let (Some(register), Some(held)) = (register, held) {
            register.seen = (!held.is_null()).then(|| held.clone());
        }
    }

    /// A read of everything that the run has written to.
    pub fn reads_of_all(&self) -> Vec<Request> {
        let read = |key| Request { f: "read", key, value: Value::Null };
        match self.kind {
            Kind::Set => vec![read(None)],
            _ => (1..self.next_key).map(|key| read(Some(key.into()))).collect(),
        }
    }

    fn add(&mut self) -> Request {
        let element = self.next_element;
        self.next_element += 1;
        Request { f: "add", key: None, value: element.into() }
    }

    fn register(&mut self) -> Request {
        let index = self.random.random_range(0..self.registers.len());
        if self.registers[index].left == 0 {
            self.registers[index] = self.fresh();
        }
        let dice = self.random.random_range(0..12);
        let cas = self.kind == Kind::CasRegister && dice >= 8;
        let register = &mut self.registers[index];
        register.left -= 1;
        let key = Some(register.key.into());
        if dice < 6 {
            return Request { f: "read", key, value: Value::Null };
        }
        register.next_value += 1;
        let new = Value::from(register.next_value);
        match &register.seen {
            Some(expected) if cas => Request { f: "cas", key, value: json!([expected, new]) },
            // Nothing is known to be there yet: nothing to compare with.
            _ => Request { f: "write", key, value: new },
        }
    }

    fn fresh(&mut self) -> Register {
        let key = self.next_key;
        self.next_key += 1;
        Register { key, left: self.turns.ops_per_key, next_value: 0, seen: None }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const TURNS: Turns = Turns { keys: 3, ops_per_key: 10 };

    fn drawn(kind: Kind, seed: u64, count: usize) -> Vec<Request> {
        let mut generator = Generator::new(kind, TURNS, seed);
        (0..count).map(|_| generator.draw()).collect()
    }

    #[test]
    fn a_seed_repeats_the_sequence_and_another_seed_does_not() {
        assert_eq!(drawn(Kind::Register, 7, 200), drawn(Kind::Register, 7, 200));
        assert_ne!(drawn(Kind::Register, 7, 200), drawn(Kind::Register, 8, 200));
    }

    #[test]
    fn no_value_is_written_twice_and_no_register_outlives_its_turn() {
        let requests = drawn(Kind::CasRegister, 1, 1000);
        let mut written = HashSet::new();
        let mut operations = std::collections::HashMap::new();
        for request in &requests {
            let key = request.key.clone().unwrap().to_string();
            *operations.entry(key.clone()).or_insert(0) += 1;
            if request.f == "write" {
                assert!(written.insert((key, request.value.to_string())), "{request:?}");
            }
        }
        assert!(operations.values().all(|count| *count <= TURNS.ops_per_key), "{operations:?}");
        assert!(operations.len() > 90, "{}", operations.len());
    }

    #[test]
    fn a_compare_and_set_expects_what_was_last_seen() {
        let mut generator =
            Generator::new(Kind::CasRegister, Turns { keys: 1, ops_per_key: 500 }, 3);
        let mut seen = None;
        let mut compared = 0;
        for _ in 0..200 {
            let request = generator.draw();
            if request.f == "cas" {
                assert_eq!(request.value.get(0), seen.as_ref());
                compared += 1;
            }
            if request.f == "write" {
                generator.learn(&request, &Outcome::Ok(request.value.clone()));
                seen = Some(request.value);
            }
        }
        assert!(compared > 30, "{compared}");
    }

    #[test]
    fn everything_that_was_written_to_is_read_at_the_end() {
        let mut generator = Generator::new(Kind::Register, TURNS, 5);
        let used: HashSet<_> =
            (0..500).map(|_| generator.draw().key.unwrap().to_string()).collect();
        let read: HashSet<_> = generator
            .reads_of_all()
            .into_iter()
            .map(|request| request.key.unwrap().to_string())
            .collect();
        assert!(read.is_superset(&used));
        assert_eq!(Generator::new(Kind::Set, TURNS, 5).reads_of_all().len(), 1);
    }
}
