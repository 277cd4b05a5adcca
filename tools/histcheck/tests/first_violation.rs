//! Of several violations the evidence shows the first, the one that `--follow` ends with; and no more operations of
//! one kind than convict.

#![allow(clippy::unwrap_used)]

use std::process::Command;

use breakit_tests::Random;
use breakit_tests::process::run_with;
use serde_json::Value;

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
fn a_cas_that_observed_what_nobody_wrote_convicts_without_a_read_of_what_it_put() {
    let lines = event(3, "invoke", "cas", "[7,8]")
        + &event(2, "invoke", "read", "null")
        + &event(2, "ok", "read", "8")
        + &event(3, "ok", "cas", "[7,8]");
    // A failed cas has the search decide, and not the zones.
    let refused = event(4, "invoke", "cas", "[5,6]") + &event(4, "fail", "cas", "[5,6]");
    for more in [&[][..], &["--fail-observes"]] {
        let (ops, last) = evidence("cas-register", more, &(refused.clone() + &lines));
        assert_eq!((ops.len(), &ops[0]["line"], last), (1, &3.into(), 6), "{ops:?}");
        // Where somebody wrote it after the read, the read is what convicts.
        let late = event(3, "invoke", "cas", "[7,8]")
            + &done(2, "read", "8")
            + &done(1, "write", "7")
            + &event(3, "ok", "cas", "[7,8]");
        let (ops, last) = evidence("cas-register", more, &(refused.clone() + &late));
        assert!(ops.iter().any(|op| op["f"] == "read") && last == 5, "{ops:?}");
    }
}
