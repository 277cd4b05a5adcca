//! Random histories of one model, and what the binary says of them.

use std::collections::HashMap;
use std::process::Command;

use breakit_tests::Folder;
use breakit_tests::process::{Run, run};
use serde_json::Value;

use super::written::{Written, written};
use super::{Made, Op, Random, Spec};

/// A folder with a file of histories of one model, which lives as long as the test.
pub struct Judged {
    pub folder: Folder,
    pub name: String,
    pub spec: Spec,
    pub histories: Vec<Vec<Made>>,
    pub written: Written,
}

impl Judged {
    pub fn new(name: &str, spec: Spec, histories: Vec<Vec<Made>>) -> Judged {
        let written = written(&spec, &histories, &mut Random(7));
        Judged::of(name, spec, histories, written)
    }

    /// The same of histories that were written down already.
    pub fn of(name: &str, spec: Spec, histories: Vec<Vec<Made>>, written: Written) -> Judged {
        let folder = Folder::new(name);
        folder.write(super::TABLE_FILE, super::TABLE);
        folder.write("history.jsonl", &written.text);
        Judged { folder, name: name.into(), spec, histories, written }
    }

    pub fn histcheck(&self, check: &str, more: &[&str]) -> Run {
        let mut command = Command::new(env!("CARGO_BIN_EXE_histcheck"));
        command.current_dir(self.folder.path()).args([check, "--json"]).args(self.spec.options());
        run(command.args(more).arg("history.jsonl"))
    }

    /// The verdicts on all keys.
    pub fn keys(&self) -> Vec<Value> {
        let told = self.histcheck("linear", &["--witness", "order"]);
        assert!(told.status < 3, "{}", told.stderr);
        let mut verdict = told.lines().remove(0);
        let Value::Array(keys) = verdict["keys"].take() else { panic!("{verdict}") };
        assert_eq!(keys.len(), self.histories.len());
        keys
    }

    /// The verdicts of a follower on all keys that are invalid, by their places. Each run ends at a violation, and may
    /// have decided only some of the keys then: those are left out, line by line, until nothing more is found.
    pub fn followed(&self) -> HashMap<usize, Value> {
        let mut found = HashMap::new();
        loop {
            let lines = self.written.text.lines().zip(&self.written.keys);
            let left = lines.map(|(line, key)| if found.contains_key(key) { "" } else { line });
            let text: String = left.map(|line| format!("{line}\n")).collect();
            self.folder.write("history.jsonl", text);
            let told = self.histcheck("linear", &["--follow"]);
            assert!(told.status < 3, "{}", told.stderr);
            let mut verdict = told.lines().remove(0);
            let Value::Array(keys) = verdict["keys"].take() else { return found };
            let is_invalid = |key: &&Value| key["valid"] == false;
            let before = found.len();
            let place = |key: &Value| key["key"].as_u64().unwrap() as usize;
            found.extend(keys.iter().filter(is_invalid).map(|key| (place(key), key.clone())));
            if found.len() == before {
                return found;
            }
        }
    }

    pub fn ops(&self, key: usize) -> Vec<Op<'_>> {
        super::ops(&self.spec, &self.histories[key])
    }

    pub fn is_valid(&self, key: usize) -> bool {
        super::is_linearizable(&self.spec, &self.spec.initial, &self.ops(key))
    }

    /// The lines of the order that was written last.
    pub fn order(&self) -> Vec<u64> {
        let text = std::fs::read_to_string(self.folder.file("order")).unwrap();
        let line =
            |line: &str| serde_json::from_str::<Value>(line).unwrap()["line"].as_u64().unwrap();
        text.lines().map(line).collect()
    }

    /// What the specification says to an order of all keys.
    pub fn replays(&self, order: &[u64]) -> Result<(), String> {
        let mut orders: HashMap<usize, Vec<usize>> = HashMap::new();
        for line in order {
            let &(key, at) = self.written.begins.get(line).ok_or("no such line")?;
            orders.entry(key).or_default().push(at);
        }
        (0..self.histories.len()).try_for_each(|key| {
            let order = orders.remove(&key).unwrap_or_default();
            super::replays(&self.spec, &self.ops(key), &order)
                .map_err(|e| format!("key {key}: {e}"))
        })
    }

    /// The exit status of `verify` on an order.
    pub fn verify(&self, order: &[u64]) -> Run {
        let lines: String = order.iter().map(|line| format!("{{\"line\":{line}}}\n")).collect();
        self.folder.write("tampered", lines);
        self.histcheck("verify", &["--witness", "tampered"])
    }
}

pub fn many() -> usize {
    std::env::var("HISTCHECK_ORACLE").ok().and_then(|n| n.parse().ok()).unwrap_or(150)
}

/// Random histories that are valid, or that are not.
pub fn histories(spec: &Spec, seed: u64, count: usize, valid: bool) -> Vec<Vec<Made>> {
    let mut random = Random(0xF00D + seed);
    let mut found = Vec::new();
    while found.len() < count {
        let made = super::random_history(spec, &mut random, 8);
        let ops = super::ops(spec, &made);
        if !made.is_empty() && super::is_linearizable(spec, &spec.initial, &ops) == valid {
            found.push(made);
        }
    }
    found
}
