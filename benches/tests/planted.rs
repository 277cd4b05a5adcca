//! What `generate --bad` plants is false for certain, and what it leaves alone is not: held against an exhaustive search
//! that shares no code with histcheck.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeSet, HashMap, HashSet};
use std::process::Command;

use serde_json::Value;

#[derive(Debug)]
struct Op {
    f: String,
    value: Value,
    inv: usize,
    /// `None` for one that may have happened at any time.
    res: Option<usize>,
}

fn generate(args: &[&str]) -> Vec<Op> {
    let out = Command::new(env!("CARGO_BIN_EXE_generate")).args(args).output().unwrap();
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    let mut ops: Vec<Op> = Vec::new();
    let mut open: HashMap<u64, usize> = HashMap::new();
    let mut failed = HashSet::new();
    for (at, line) in String::from_utf8(out.stdout).unwrap().lines().enumerate() {
        let line: Value = serde_json::from_str(line).unwrap();
        let process = line["process"].as_u64().unwrap();
        let (f, value) = (line["f"].as_str().unwrap().to_string(), line["value"].clone());
        match line["type"].as_str().unwrap() {
            "invoke" => {
                open.insert(process, ops.len());
                ops.push(Op { f, value, inv: at, res: None });
            }
            "ok" => {
                let op = &mut ops[open[&process]];
                (op.res, op.value) = (Some(at), value);
            }
            "fail" => {
                failed.insert(open[&process]);
            }
            _ => {}
        }
    }
    let kept = ops
        .into_iter()
        .enumerate()
        .filter(|(at, op)| !failed.contains(at) && (op.res.is_some() || op.f != "read"));
    kept.map(|(_, op)| op).collect()
}

fn step(op: &Op, state: &Value) -> Option<Value> {
    match op.f.as_str() {
        "read" => (op.value == *state).then(|| state.clone()),
        "write" => Some(op.value.clone()),
        _ => (op.value[0] == *state).then(|| op.value[1].clone()),
    }
}

/// Wing and Gong's search: any operation may be next whose invocation comes before all returns that are left.
fn is_linearizable(ops: &[Op]) -> bool {
    let mut seen = HashSet::new();
    // All that returned before `low` are placed, and of the others these.
    let mut stack = vec![(0, BTreeSet::<usize>::new(), Value::Null)];
    while let Some((mut low, mut placed, state)) = stack.pop() {
        while low < ops.len() && (ops[low].res.is_none() || placed.contains(&low)) {
            if ops[low].res.is_some() {
                placed.remove(&low);
            }
            low += 1;
        }
        if low == ops.len() {
            return true;
        }
        if !seen.insert((low, placed.clone(), state.to_string())) {
            continue;
        }
        let mut first = usize::MAX;
        let mut next: Vec<usize> =
            (0..low).filter(|at| ops[*at].res.is_none() && !placed.contains(at)).collect();
        for at in (low..ops.len()).take_while(|&at| ops[at].inv < ops[low].res.unwrap()) {
            if !placed.contains(&at) {
                first = first.min(ops[at].res.unwrap_or(usize::MAX));
                next.push(at);
            }
        }
        for at in next.into_iter().filter(|&at| ops[at].inv < first) {
            if let Some(state) = step(&ops[at], &state) {
                let mut placed = placed.clone();
                placed.insert(at);
                stack.push((low, placed, state));
            }
        }
    }
    false
}

#[test]
fn a_planted_read_is_false_whatever_the_indeterminate_operations_did() {
    for seed in 1..=3 {
        for processes in ["2", "3"] {
            let seed = seed.to_string();
            let args =
                ["cas", "--ops", "2000", "--processes", processes, "--info", "1", "--seed", &seed];
            assert!(is_linearizable(&generate(&args)), "{args:?}");
            let bad: Vec<&str> = args.into_iter().chain(["--bad"]).collect();
            assert!(!is_linearizable(&generate(&bad)), "{bad:?}");
        }
    }
}

#[test]
fn a_history_too_short_for_a_false_read_is_refused() {
    let args = ["cas", "--ops", "1", "--bad"];
    let out = Command::new(env!("CARGO_BIN_EXE_generate")).args(args).output().unwrap();
    assert_eq!(out.status.code(), Some(64));
}
