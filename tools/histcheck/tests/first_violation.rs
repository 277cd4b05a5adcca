//! Of several violations the evidence shows the first, the one that `--follow` ends with; and no more operations of
//! one kind than convict.

#![allow(clippy::unwrap_used)]

use std::process::Command;

use breakit_tests::Random;
use breakit_tests::process::run_with;
use serde_json::{Value, json};

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
