//! Clients whose processes are words: who of them is one, and the number that each has among the others.
//!
//! A word is a client from its first invocation on, unless it is `nemesis` or `workload`, or the user says otherwise.

use breakit::op::{Process, Type};
use rustc_hash::FxHashMap;
use serde_json::Value;

/// Numbers from here on are those of names. A process that is written as such a number is taken by its digits, as
/// if they were a name.
const FIRST: u64 = 1 << 63;

/// The words that are never clients.
const NEVER: [&str; 2] = ["nemesis", "workload"];

/// The clients of a history that have names.
#[derive(Debug, Default)]
pub struct Clients {
    names: Vec<String>,
    by_name: FxHashMap<String, u64>,
    /// What the user says is none.
    others: &'static [String],
}

impl Clients {
    /// None yet; `others` are words that are no clients, whatever their lines say.
    pub fn except(others: &'static [String]) -> Clients {
        Clients { others, ..Clients::default() }
    }

    /// The number of the client to which a line belongs; `None` where it belongs to none, as far as is known by now.
    pub fn number(&mut self, process: &Process, kind: Type) -> Option<u64> {
        match process {
            Process::Client(number) if *number < FIRST => Some(*number),
            Process::Client(number) => Some(self.named(&number.to_string())),
            Process::Other(word) if !self.may_be(word) => None,
            Process::Other(word) if kind == Type::Invoke => Some(self.named(word)),
            Process::Other(word) => self.by_name.get(word).copied(),
        }
    }

    /// Whether a word is a client if it invokes.
    pub fn may_be(&self, word: &str) -> bool {
        !NEVER.contains(&word) && !self.others.iter().any(|other| other == word)
    }

    /// Whether a number is that of a name.
    pub fn is_name(number: u64) -> bool {
        number >= FIRST
    }

    /// The process that has a number, as it is written.
    pub fn process(&self, number: u64) -> Process {
        let name = number.checked_sub(FIRST).and_then(|at| self.names.get(at as usize));
        name.map_or(Process::Client(number), |name| Process::Other(name.clone()))
    }

    /// The same as a value of JSON.
    pub fn json(&self, number: u64) -> Value {
        match self.process(number) {
            Process::Client(number) => number.into(),
            Process::Other(name) => name.into(),
        }
    }

    /// The number of a lane of a process, and that of the process. The two are one client.
    pub fn lane(&mut self, process: &Process, lane: u32) -> (u64, Option<u64>) {
        let number = self.number(process, Type::Invoke);
        (self.named(&lane_name(process, lane)), number)
    }

    fn named(&mut self, name: &str) -> u64 {
        if let Some(&number) = self.by_name.get(name) {
            return number;
        }
        let number = FIRST + self.names.len() as u64;
        self.names.push(name.to_string());
        self.by_name.insert(name.to_string(), number);
        number
    }
}

/// What a lane of a process is called: `7 (2)` is the second operation of 7 that is open.
pub fn lane_name(process: &Process, lane: u32) -> String {
    format!("{process} ({})", lane + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(word: &str) -> Process {
        Process::Other(word.into())
    }

    #[test]
    fn a_word_is_a_client_from_its_first_invocation_on_unless_it_never_is_one() {
        let others: &'static [String] = Box::leak(Box::new(["loader".to_string()]));
        let mut clients = Clients::except(others);
        assert_eq!(clients.number(&word("a"), Type::Info), None);
        let number = clients.number(&word("a"), Type::Invoke);
        assert_eq!(clients.number(&word("a"), Type::Ok), number);
        assert_eq!(clients.process(number.unwrap()), word("a"));
        assert_ne!(clients.number(&word("b"), Type::Invoke), number);
        for never in ["nemesis", "workload", "loader"] {
            assert_eq!(clients.number(&word(never), Type::Invoke), None, "{never}");
        }
    }

    #[test]
    fn no_number_is_taken_for_a_name() {
        let mut clients = Clients::default();
        let name = clients.number(&word("a"), Type::Invoke);
        let numbers = [0, FIRST - 1, FIRST, u64::MAX];
        for (at, number) in numbers.into_iter().enumerate() {
            let found = clients.number(&Process::Client(number), Type::Ok);
            assert_ne!(found, name);
            assert_eq!(clients.process(found.unwrap()).to_string(), number.to_string());
            assert_eq!(Clients::is_name(found.unwrap()), at >= 2);
        }
    }
}
