//! Of several violations the evidence shows the first, the one that `--follow` ends with; and no more operations of
//! one kind than convict. Random histories of every model, by the exhaustive oracle of [`spec`];
//! `HISTCHECK_ORACLE=20000` takes so many of each.

#![allow(clippy::unwrap_used)]

mod spec;

use std::collections::HashMap;
use std::process::Command;

use breakit_tests::Random;
use breakit_tests::process::run_with;
use serde_json::{Value, json};
use spec::counterexample::Counterexample;
use spec::judged::{Judged, histories, many};
use spec::{Fate, NEVER, Op};

fn event(process: u64, kind: &str, f: &str, value: &str) -> String {
    format!("{{\"process\":{process},\"type\":\"{kind}\",\"f\":\"{f}\",\"value\":{value}}}\n")
}

fn done(process: u64, f: &str, value: &str) -> String {
    let asked = if f == "read" { "null" } else { value };
    event(process, "invoke", f, asked) + &event(process, "ok", f, value)
}

/// The evidence of a history that is invalid: its operations, and the last line that it needs.
fn evidence(model: &str, more: &[&str], lines: &str) -> (Vec<Value>, u64) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_histcheck"));
    command.args(["linear", "--json", "--model", model]).args(more);
    let verdict = run_with(&mut command, lines).expect(1).lines().remove(0);
    let witness = &verdict["keys"][0]["witness"];
    assert_eq!((&witness["minimal"], &witness["checked"]), (&true.into(), &true.into()));
    let ops = witness["operations"].as_array().unwrap().clone();
    let needed = ops.iter().filter(|op| op["end_matters"] == true);
    let last = needed.filter_map(|op| op["return_line"].as_u64()).max().unwrap();
    (ops, last)
}

#[test]
fn of_many_stale_reads_the_first_is_shown_as_a_follower_shows_it() {
    let mut random = Random(7);
    for _ in 0..60 {
        let mut lines = String::new();
        let mut written = 0;
        let mut stale = 0;
        while stale < 3 {
            match random.below(4) {
                0 | 1 => {
                    written += 1;
                    lines += &done(0, "write", &written.to_string());
                }
                2 if written > 0 => lines += &done(1, "read", &written.to_string()),
                _ if written > 1 => {
                    stale += 1;
                    let old = 1 + random.below(written - 1);
                    lines += &done(2, "read", &old.to_string());
                }
                _ => {}
            }
        }
        let (_, batch) = evidence("register", &[], &lines);
        let (_, followed) = evidence("register", &["--follow"], &lines);
        assert_eq!(batch, followed, "{lines}");
    }
}

#[test]
fn of_two_locks_held_twice_the_first_is_shown() {
    let twice = |process: u64| {
        done(process, "acquire", "null")
            + &done(process + 1, "acquire", "null")
            + &done(process + 1, "release", "null")
            + &done(process, "release", "null")
    };
    let (_, last) = evidence("mutex", &[], &(twice(0) + &twice(5) + &twice(9)));
    assert!(last <= 8, "line {last}");
}

#[test]
fn of_more_than_two_that_took_what_was_put_once_two_are_shown() {
    for (model, put, take) in [
        ("unordered-queue", "enqueue", "dequeue"),
        ("fifo-queue", "enqueue", "dequeue"),
        ("stack", "push", "pop"),
        ("priority-queue", "insert", "extract"),
    ] {
        let takes: String = (0..4).map(|n| event(n, "invoke", take, "null")).collect();
        let taken: String = (0..4).map(|n| event(n, "ok", take, "7")).collect();
        let text = takes + &event(9, "invoke", put, "7") + &taken + &event(9, "ok", put, "7");
        assert_eq!(evidence(model, &[], &text).0.len(), 3, "{model}");
    }
}

#[test]
fn what_surely_happened_convicts_without_the_read_that_ended_before_it_did() {
    let lines = event(3, "invoke", "cas", "[[],1.25]")
        + &event(2, "invoke", "read", "null")
        + &event(3, "fail", "cas", "[[],1.25]")
        + &event(3, "invoke", "cas", "[[1,2],[]]")
        + &event(2, "ok", "read", "[]")
        + &event(3, "ok", "cas", "[[1,2],[]]");
    let mut command = Command::new(env!("CARGO_BIN_EXE_histcheck"));
    command.args(["linear", "--json", "--model", "cas-register", "--fail-observes"]);
    command.args(["--initial", "1.25"]);
    let verdict = run_with(&mut command, &lines).expect(1).lines().remove(0);
    let witness = &verdict["keys"][0]["witness"];
    let ops = witness["operations"].as_array().unwrap();
    let told = |op: &Value| json!([op["line"], op["end_matters"], op["surely_happened"]]);
    assert_eq!(ops.iter().map(told).collect::<Vec<_>>(), [json!([4, false, true])], "{witness}");
}

#[test]
fn what_may_rest_on_what_the_evidence_leaves_out_is_not_said_to_have_happened() {
    // The first dequeue may have taken what was put later; the second ended before that.
    let lines = event(0, "invoke", "dequeue", "null")
        + &event(1, "invoke", "dequeue", "null")
        + &event(1, "ok", "dequeue", "2")
        + &done(1, "enqueue", "2")
        + &event(0, "ok", "dequeue", "2");
    for order in ["unordered-queue", "fifo-queue"] {
        let (ops, last) = evidence(order, &[], &lines);
        assert_eq!(last, 3);
        let unsure = |op: &&Value| op["surely_happened"] == false;
        assert!(ops.iter().filter(unsure).all(|op| op["line"] == 1), "{ops:?}");
    }
}

/// Where the shortest beginning ends that has no legal order. What had not ended by then may not have happened, and if
/// it did, with the result that the history has for it.
fn first_violation(judged: &Judged, key: usize) -> u32 {
    let ops = judged.ops(key);
    let begun = |end: u32| {
        let begun = ops.iter().filter(move |op| op.inv < end);
        begun.map(move |op| match op.fate {
            Fate::Ok if op.res > end => Op { fate: Fate::Weak, res: NEVER, ..*op },
            _ => *op,
        })
    };
    let mut ends: Vec<u32> = ops.iter().filter(|op| op.fate == Fate::Ok).map(|op| op.res).collect();
    ends.sort_unstable();
    let is_invalid = |end: &u32| {
        let ops: Vec<Op<'_>> = begun(*end).collect();
        !spec::is_linearizable(&judged.spec, &judged.spec.initial, &ops)
    };
    ends.into_iter().find(is_invalid).unwrap()
}

/// The last end that some evidence needs, and whether it says of what ended later than `first` that it happened: then
/// it may convict by that what had ended before.
fn shown(judged: &Judged, key: usize, verdict: &Value, first: u32) -> (u32, bool) {
    let evidence = Counterexample::of(judged, key, &verdict["witness"]);
    let ends = evidence.ops.iter().map(|(_, op)| op.res).filter(|&res| res != NEVER);
    let ops = judged.ops(key);
    let ends_later = |op: &Op<'_>| ops.iter().any(|o| o.inv == op.inv && o.res > first);
    let is_later = |op: &Op<'_>| op.fate == Fate::Ok && op.res == NEVER && ends_later(op);
    (ends.max().unwrap_or(0), evidence.ops.iter().any(|(_, op)| is_later(op)))
}

fn evidence_ends_with_the_first_violation(name: &str) {
    let spec = spec::spec(name);
    let made = histories(&spec, 5, many(), false);
    let judged = Judged::new(&format!("first {name}"), spec, made);
    let batch: HashMap<usize, Value> = judged.keys().into_iter().enumerate().collect();
    let followed = judged.followed();
    assert_eq!((batch.len(), followed.len()), (many(), many()), "{name}");
    let mut exact = 0;
    for key in 0..many() {
        let first = first_violation(&judged, key);
        for verdict in [&batch[&key], &followed[&key]] {
            let (last, knows_more) = shown(&judged, key, verdict, first);
            let is_first = last == first || knows_more && last < first;
            assert!(is_first, "{last} and not {first}: {verdict}: {:#?}", judged.ops(key));
            exact += usize::from(last == first);
        }
    }
    // What is known of what ended later is needed in few.
    assert!(10 * exact > 9 * 2 * many(), "{name}: {exact} of {}", 2 * many());
}

/// A test for each model.
macro_rules! tests {
    ($($test:ident $name:literal)*) => {
        mod evidence_ends_with_the_first_violation {
            $(#[test] fn $test() {
                super::evidence_ends_with_the_first_violation($name);
            })*
        }
    };
}

spec::with_every_model!(tests);
