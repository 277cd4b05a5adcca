//! What `linear` proves, through the binary: each witness order replays, by `verify` and by the specification of
//! [`spec`], and one that was tampered with does not; each counterexample is invalid on its own, holds all
//! writers of what it observes, and has nothing to spare. Random histories of every model, by the exhaustive
//! oracle. `HISTCHECK_ORACLE=20000` takes so many of each model.

#![allow(clippy::unwrap_used)]

mod spec;

use std::collections::HashMap;
use std::process::Command;

use breakit_tests::Folder;
use breakit_tests::process::{Run, run};
use serde_json::Value;
use spec::written::{Written, written};
use spec::{Act, Fate, Made, NEVER, Op, Random, Spec, State};

/// A folder with a file of histories of one model, which lives as long as the test.
struct Judged {
    folder: Folder,
    spec: Spec,
    histories: Vec<Vec<Made>>,
    written: Written,
}

impl Judged {
    fn new(name: &str, spec: Spec, histories: Vec<Vec<Made>>) -> Judged {
        let folder = Folder::new(name);
        let written = written(&spec, &histories, &mut Random(7));
        folder.write(spec::TABLE_FILE, spec::TABLE);
        folder.write("history.jsonl", &written.text);
        Judged { folder, spec, histories, written }
    }

    fn histcheck(&self, check: &str, more: &[&str]) -> Run {
        let mut command = Command::new(env!("CARGO_BIN_EXE_histcheck"));
        command.current_dir(self.folder.path()).args([check, "--json"]).args(self.spec.options());
        run(command.args(more).arg("history.jsonl"))
    }

    /// The verdicts on all keys.
    fn keys(&self) -> Vec<Value> {
        let told = self.histcheck("linear", &["--witness", "order"]);
        assert!(told.status < 3, "{}", told.stderr);
        let mut verdict = told.lines().remove(0);
        let Value::Array(keys) = verdict["keys"].take() else { panic!("{verdict}") };
        assert_eq!(keys.len(), self.histories.len());
        keys
    }

    fn ops(&self, key: usize) -> Vec<Op<'_>> {
        spec::ops(&self.spec, &self.histories[key])
    }

    fn is_valid(&self, key: usize) -> bool {
        spec::is_linearizable(&self.spec, &self.spec.initial, &self.ops(key))
    }

    /// The lines of the order that was written last.
    fn order(&self) -> Vec<u64> {
        let text = std::fs::read_to_string(self.folder.file("order")).unwrap();
        let line =
            |line: &str| serde_json::from_str::<Value>(line).unwrap()["line"].as_u64().unwrap();
        text.lines().map(line).collect()
    }

    /// What the specification says to an order of all keys.
    fn replays(&self, order: &[u64]) -> Result<(), String> {
        let mut orders: HashMap<usize, Vec<usize>> = HashMap::new();
        for line in order {
            let &(key, at) = self.written.begins.get(line).ok_or("no such line")?;
            orders.entry(key).or_default().push(at);
        }
        (0..self.histories.len()).try_for_each(|key| {
            let order = orders.remove(&key).unwrap_or_default();
            spec::replays(&self.spec, &self.ops(key), &order).map_err(|e| format!("key {key}: {e}"))
        })
    }

    /// The exit status of `verify` on an order.
    fn verify(&self, order: &[u64]) -> Run {
        let lines: String = order.iter().map(|line| format!("{{\"line\":{line}}}\n")).collect();
        self.folder.write("tampered", lines);
        self.histcheck("verify", &["--witness", "tampered"])
    }
}

fn many() -> usize {
    std::env::var("HISTCHECK_ORACLE").ok().and_then(|n| n.parse().ok()).unwrap_or(150)
}

/// Random histories that are valid, or that are not.
fn histories(spec: &Spec, seed: u64, count: usize, valid: bool) -> Vec<Vec<Made>> {
    let mut random = Random(0xF00D + seed);
    let mut found = Vec::new();
    while found.len() < count {
        let made = spec::random_history(spec, &mut random, 8);
        let ops = spec::ops(spec, &made);
        if !made.is_empty() && spec::is_linearizable(spec, &spec.initial, &ops) == valid {
            found.push(made);
        }
    }
    found
}

fn every_witness_replays_and_a_tampered_one_does_not(name: &str) {
    let spec = spec::spec(name);
    let made = histories(&spec, 1, many(), true);
    let judged = Judged::new(name, spec, made);
    for (key, verdict) in judged.keys().iter().enumerate() {
        let nothing = verdict["because"] == "nothing was checked";
        assert!(verdict["valid"] == true || nothing, "{verdict}: {:#?}", judged.ops(key));
    }
    let order = judged.order();
    assert_eq!(judged.replays(&order), Ok(()), "{name}");
    let all = judged.histcheck("verify", &["--witness", "order"]);
    assert_eq!(all.status, 0, "{name}: {}{}", all.stdout, all.stderr);

    let spec = spec::spec(name);
    let few = histories(&spec, 2, 12, true);
    let judged = Judged::new(name, spec, few);
    judged.keys();
    let order = judged.order();
    let mut random = Random(0xBAD);
    let mut refused = 0;
    for round in 0..20 {
        let tampered = tampered(&judged, &order, &mut random, round);
        let legal = judged.replays(&tampered);
        let found = judged.verify(&tampered);
        let expected = i32::from(legal.is_err());
        assert_eq!(found.status, expected, "{name}: {legal:?}, {}{}", found.stdout, found.stderr);
        refused += expected;
    }
    assert!(refused >= 8, "{name}: {refused} refused");
}

/// The order with one thing wrong, mostly.
fn tampered(judged: &Judged, order: &[u64], random: &mut Random, round: usize) -> Vec<u64> {
    let mut order = order.to_vec();
    let at = random.below(order.len() as u32) as usize;
    let mut lines: Vec<u64> = judged.written.begins.keys().copied().collect();
    lines.sort_unstable();
    match round % 5 {
        0 => drop(order.remove(at)),
        1 => order.insert(at, order[random.below(order.len() as u32) as usize]),
        2 => {
            let other = random.below(order.len() as u32) as usize;
            order.swap(at, other);
        }
        3 => {
            // Another operation than the one that stands there: one that failed, or that is not needed.
            order[at] = lines[random.below(lines.len() as u32) as usize];
        }
        _ => {
            // One more, that failed or is of unknown outcome.
            lines.retain(|line| !order.contains(line));
            if !lines.is_empty() {
                order.insert(at, lines[random.below(lines.len() as u32) as usize]);
            }
        }
    }
    order
}

fn every_counterexample_is_invalid_closed_and_minimal(name: &str) {
    let spec = spec::spec(name);
    // Chains of cas are many-shaped: fewer do not show each way in which one of unknown outcome convicts.
    let count = if name.starts_with("cas-register") { 4 * many() } else { many() };
    let made = histories(&spec, 3, count, false);
    let judged = Judged::new(name, spec, made);
    for (key, verdict) in judged.keys().iter().enumerate() {
        assert!(!judged.is_valid(key) && verdict["valid"] == false, "{verdict}");
        let witness = &verdict["witness"];
        let facts = (&witness["minimal"], &witness["checked"], &witness["left_out"]);
        assert_eq!(facts, (&true.into(), &true.into(), &0.into()), "{verdict}");
        Counterexample::of(&judged, key, witness).convicts(verdict);
    }
}

/// What the JSON of a counterexample says, in the words of the specification.
struct Counterexample<'j> {
    judged: &'j Judged,
    key: usize,
    /// What the object may hold before it.
    initial: Vec<State>,
    /// Whether it begins with the history.
    is_whole: bool,
    ops: Vec<(Act, Op<'j>)>,
}

impl<'j> Counterexample<'j> {
    fn of(judged: &'j Judged, key: usize, witness: &Value) -> Counterexample<'j> {
        let initial = match &witness["initial"] {
            Value::Array(values) => {
                values.iter().map(|value| vec![value.as_i64().unwrap_or(0)]).collect()
            }
            _ => vec![judged.spec.initial.clone()],
        };
        let ops = witness["operations"].as_array().unwrap().iter();
        let ops = ops.map(|told| {
            let (of_key, at) = judged.written.begins[&told["line"].as_u64().unwrap()];
            assert_eq!(of_key, key);
            let op = judged.ops(key)[at];
            let is_end_told = told["end_matters"] == true;
            let fate = match op.fate {
                Fate::Ok if !is_end_told => Fate::Weak,
                fate => fate,
            };
            assert!(fate == Fate::Ok || !is_end_told, "{told}");
            let act = match op.act {
                Act::Cas(_, to) if told["comparison_matters"] == false => Act::Write(*to),
                act => act.clone(),
            };
            let res = if fate == Fate::Ok { op.res } else { NEVER };
            (act, Op { fate, res, ..op })
        });
        let is_whole = witness["after_line"].is_null();
        Counterexample { judged, key, initial, is_whole, ops: ops.collect() }
    }

    fn is_valid(&self, ops: &[(Act, Op<'_>)]) -> bool {
        let ops: Vec<Op<'_>> = ops.iter().map(|(act, op)| Op { act, ..*op }).collect();
        let valid = |initial: &State| spec::is_linearizable(&self.judged.spec, initial, &ops);
        self.initial.iter().any(valid)
    }

    fn convicts(&self, verdict: &Value) {
        assert!(!self.is_valid(&self.ops), "it has a legal order: {verdict:#}");
        for at in 0..self.ops.len() {
            if self.ops[at].1.fate == Fate::Ok {
                for fate in [Fate::Weak, Fate::Info] {
                    let mut weaker = self.ops.clone();
                    weaker[at].1 = Op { fate, res: NEVER, ..self.ops[at].1 };
                    assert!(self.is_valid(&weaker), "{at} need not have ended: {verdict:#}");
                }
            }
            if let Some(fewer) = self.without(at) {
                assert!(self.is_valid(&fewer), "{at} need not be there: {verdict:#}");
            }
        }
        self.has_all_writers(verdict);
    }

    /// Without an operation that happened, and all that observe what it left behind. `None` for one that takes
    /// something away, as others may rest on that.
    fn without(&self, at: usize) -> Option<Vec<(Act, Op<'j>)>> {
        let (act, op) = &self.ops[at];
        if op.fate == Fate::Fail {
            return None;
        }
        if op.fate == Fate::Info && matches!(act, Act::Take(_)) {
            // It may have taken what nobody else did; where there is no such thing it has no say.
            let mut fewer = self.ops.clone();
            fewer.remove(at);
            return (!(1..=3).any(|value| self.is_left_over(value))).then_some(fewer);
        }
        let mut out = vec![at];
        let mut done = 0;
        while let Some(&writer) = out.get(done) {
            done += 1;
            for reader in 0..self.ops.len() {
                let is_later = !out.contains(&reader);
                if is_later && rests_on(&self.ops[reader].0, &self.ops[writer].0)? {
                    out.push(reader);
                }
            }
        }
        let left = (0..self.ops.len()).filter(|at| !out.contains(at));
        Some(left.map(|at| self.ops[at].clone()).collect())
    }

    /// Whether a value was put more often than ok operations took it.
    fn is_left_over(&self, value: i64) -> bool {
        let puts = |(act, op): &&(Act, Op<'_>)| *act == Act::Put(value) && op.fate != Fate::Fail;
        let takes = |(act, op): &&(Act, Op<'_>)| *act == Act::Take(value) && op.fate == Fate::Ok;
        self.ops.iter().filter(puts).count() > self.ops.iter().filter(takes).count()
    }

    /// Whoever may have put what it observes is in it, or came too late.
    fn has_all_writers(&self, verdict: &Value) {
        let last = self.ops.iter().map(|(_, op)| op.res).filter(|&res| res != NEVER).max();
        for op in self.judged.ops(self.key) {
            let is_shown = |&(_, shown): &&(Act, Op<'_>)| shown.inv == op.inv;
            let shown = self.ops.iter().find(is_shown);
            let may_matter = op.fate != Fate::Fail && last.is_none_or(|last| op.inv < last);
            if !self.is_whole || shown.is_some() || !may_matter {
                continue;
            }
            for (act, observer) in &self.ops {
                let is_known = matches!(observer.fate, Fate::Ok | Fate::Weak);
                let is_needed = is_known && observes(act, op.act);
                assert!(!is_needed, "{op:?} wrote what {observer:?} observes: {verdict:#}");
            }
        }
    }
}

/// Whether an act may be seen by another, so that without it the other would mean something else; `None`
/// where that cannot be said of it.
fn rests_on(reader: &Act, writer: &Act) -> Option<bool> {
    let rests = match (writer, reader) {
        (Act::Read(_) | Act::Differs(_) | Act::Contains(..) | Act::Whole(_), _) => false,
        (Act::Take(0), _) => false,
        (Act::Write(_) | Act::Cas(..), Act::Differs(_)) => true,
        (Act::Write(_) | Act::Cas(..), _) => observes(reader, writer),
        (Act::Put(v), Act::Take(took)) => v == took,
        (Act::Put(v), Act::Whole(list)) => list.contains(v),
        (Act::Put(_), _) => false,
        (Act::Append(_), Act::Whole(_)) => true,
        (Act::Append(_), _) => false,
        (Act::Add(_), Act::Read(_) | Act::Whole(_)) => true,
        (Act::Add(v) | Act::Remove(v), Act::Contains(w, _)) => v == w,
        (Act::Add(_), _) | (Act::Remove(_), Act::Add(_)) => false,
        (Act::Remove(_), Act::Whole(_)) => true,
        (Act::Remove(_), _) => false,
        (Act::FetchAdd(..), _) => true,
        (Act::Txn(writes), Act::Txn(reads)) => {
            let written = |read: &&(bool, usize, i64)| {
                writes.iter().any(|write| write.0 && write.1 == read.1)
            };
            reads.iter().filter(|read| !read.0).any(|read| written(&read))
        }
        (Act::Acquire(_) | Act::Release | Act::Take(_) | Act::Go(..) | Act::Txn(_), _) => {
            return None;
        }
    };
    Some(rests)
}

/// Whether one put exactly what the other found.
fn observes(reader: &Act, writer: &Act) -> bool {
    let put = match writer {
        // That is a read.
        Act::Cas(from, to) if from == to => return false,
        Act::Write(v) | Act::Cas(_, v) | Act::Put(v) => *v,
        _ => return false,
    };
    match reader {
        Act::Read(v) | Act::Cas(v, _) | Act::Take(v) => *v == put,
        _ => false,
    }
}

/// Two tests for each model.
macro_rules! tests {
    ($($test:ident $name:literal)*) => {
        mod every_witness_replays_and_a_tampered_one_is_refused {
            $(#[test] fn $test() {
                super::every_witness_replays_and_a_tampered_one_does_not($name);
            })*
        }
        mod every_counterexample_is_invalid_closed_and_minimal {
            $(#[test] fn $test() {
                super::every_counterexample_is_invalid_closed_and_minimal($name);
            })*
        }
    };
}

spec::with_every_model!(tests);
