//! Completions that carry another value than their invocation: what was done is what was sent, and no verdict of
//! invalid rests on that alone.

#![allow(clippy::unwrap_used)]

use std::process::Command;

use breakit_tests::process::{Run, run_with};
use serde_json::Value;

fn histcheck(args: &str, lines: &str) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_histcheck"));
    run_with(command.args(args.split(' ')), lines)
}

/// An operation on two lines: its name, its argument and its result.
fn op(process: u64, f: &str, argument: &str, result: &str) -> String {
    let line = |kind: &str, value: &str| {
        format!("{{\"process\":{process},\"type\":\"{kind}\",\"f\":\"{f}\",\"value\":{value}}}\n")
    };
    line("invoke", argument) + &line("ok", result)
}

#[test]
fn a_reply_of_the_database_in_a_completion_does_not_replace_what_was_sent() {
    for (model, f, argument, read, seen) in [
        ("register", "write", "3", "read", "3"),
        ("cas-register", "cas", "[null,3]", "read", "3"),
        ("list-append", "append", "3", "read", "[3]"),
        ("kv-append", "put", "\"a\"", "get", "\"a\""),
        ("fifo-queue", "enqueue", "3", "dequeue", "3"),
        ("unordered-queue", "enqueue", "3", "dequeue", "3"),
        ("stack", "push", "3", "pop", "3"),
        ("priority-queue", "insert", "3", "extract", "3"),
        ("set", "add", "3", "read", "[3]"),
        ("counter", "add", "3", "read", "3"),
        ("counter", "inc", "null", "read", "1"),
        ("multi-register", "write", "{\"x\":3}", "read", "{\"x\":3}"),
    ] {
        for reply in ["\"OK\"", "true", "17"] {
            let lines = op(0, f, argument, reply) + &op(1, read, "null", seen);
            let said = histcheck(&format!("linear --model {model}"), &lines).expect(0).stdout;
            let sent = if argument == "null" { "nothing" } else { argument };
            let sent = if f == "inc" { "null" } else { sent };
            let note = format!(
                "1 completion with another value than the invocation: {f} of line 1 was invoked with {sent}, and \
                 line 2 completes it with {reply}"
            );
            assert!(said.contains(&note), "{note:?} is not in\n{said}");
        }
        let lines = op(0, f, argument, "null") + &op(1, read, "null", seen);
        let said = histcheck(&format!("linear --model {model}"), &lines).expect(0).stdout;
        assert!(!said.contains("another value"), "null is no reply: {said}");
    }
    let lines = op(0, "add", "3", "\"OK\"") + &op(1, "read", "null", "[3]");
    assert!(histcheck("set", &lines).expect(0).stdout.contains("another value"));
}

#[test]
fn what_only_the_completion_says_was_written_makes_a_verdict_unknown_and_not_invalid() {
    let lines = op(0, "write", "3", "4") + &op(1, "read", "null", "4");
    let said = histcheck("linear --model register", &lines).expect(2).stdout;
    assert!(said.contains("by the arguments: invalid: not linearizable: read 4"), "{said}");
    let withdrawn = histcheck("linear --model register --json", &lines).expect(2).lines().remove(0);
    assert_eq!(withdrawn["findings"], serde_json::json!([]));
    let lines = op(0, "add", "3", "4") + &op(1, "read", "null", "[4]");
    histcheck("set", &lines).expect(2);
    let nonsense = op(0, "write", "3", "4") + &op(1, "read", "null", "5");
    histcheck("linear --model register", &nonsense).expect(1);
    // A pair that the completion does not have says nothing of the cas.
    let cas = op(0, "cas", "[null,3]", "true") + &op(1, "read", "null", "4");
    histcheck("linear --model cas-register", &cas).expect(1);
}

#[test]
fn a_key_invalid_by_arguments_and_another_by_results_make_no_invalid_verdict() {
    let of = |key: u64, text: &str| text.replace('{', &format!("{{\"key\":{key},"));
    let by_arguments = op(0, "write", "3", "4") + &op(1, "read", "null", "4");
    let by_results = op(0, "write", "3", "4") + &op(1, "read", "null", "3");
    let both = of(1, &by_arguments) + &of(2, &by_results);
    histcheck("linear --model register", &both).expect(2);
    histcheck("linear --model register", &of(2, &by_results)).expect(0);
}

#[test]
fn a_history_that_is_followed_is_refused_where_a_completion_has_a_value_of_its_own() {
    let lines = op(0, "write", "3", "\"OK\"") + &op(1, "read", "null", "3");
    let said = histcheck("linear --follow --model register", &lines).expect(65).stderr;
    assert!(said.contains("line 2 completes it with \"OK\"; --follow takes"), "{said}");
}

#[test]
fn a_table_takes_the_value_of_the_completion() {
    let folder = breakit_tests::Folder::new("table");
    let table = folder.write("t", "start a\na put \"new\" b\nb look null b\n");
    let lines = op(0, "put", "5", "\"new\"") + &op(1, "look", "null", "null");
    let said = histcheck(&format!("linear --model @{table}"), &lines).expect(0).stdout;
    assert!(!said.contains("another value"), "{said}");
}

#[test]
fn parts_of_a_large_file_read_by_several_threads_keep_their_replies() {
    let folder = breakit_tests::Folder::new("large");
    let lines: String = (0..60_000)
        .map(|n| op(0, "write", &n.to_string(), "\"OK\"") + &op(1, "read", "null", &n.to_string()))
        .collect();
    let file = folder.write("h.jsonl", lines);
    let said = histcheck(&format!("linear --model register {file}"), "").expect(0).stdout;
    assert!(said.contains("60000 completions with another value"), "{said}");
}

/// A register's history of which each operation is one after the other or overlaps, and the same as arguments and
/// as results alone tell it.
fn random(draw: &mut impl FnMut(u64) -> u64) -> [String; 3] {
    let mut texts = [String::new(), String::new(), String::new()];
    let mut open: Vec<(u64, bool, u64, u64)> = Vec::new();
    let mut say = |process: u64, kind: &str, f: &str, values: [Option<u64>; 3]| {
        for (text, value) in texts.iter_mut().zip(values) {
            let value = value.map_or(Value::Null, Value::from);
            *text += &format!(
                "{{\"process\":{process},\"type\":\"{kind}\",\"f\":\"{f}\",\"value\":{value}}}\n"
            );
        }
    };
    let count = 3 + draw(5);
    for process in 0..count {
        let (is_write, sent, other) = (draw(2) == 0, draw(4), draw(4));
        match is_write {
            true => say(process, "invoke", "write", [Some(sent), Some(sent), Some(other)]),
            false => say(process, "invoke", "read", [None; 3]),
        }
        open.push((process, is_write, sent, other));
        while !open.is_empty() && (process + 1 == count || draw(3) > 0) {
            let at = draw(open.len() as u64) as usize;
            let (process, is_write, sent, other) = open.swap_remove(at);
            match is_write {
                true => say(process, "ok", "write", [Some(other), Some(sent), Some(other)]),
                false => say(process, "ok", "read", [Some(other); 3]),
            }
        }
    }
    texts
}

#[test]
fn invalid_is_what_is_invalid_by_arguments_and_by_results_on_random_histories() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let mut taken_back = 0;
    for _ in 0..300 {
        let [both, sent, told] = random(&mut draw);
        let [both_status, sent, told] =
            [&both, &sent, &told].map(|text| histcheck("linear --model register", text).status);
        let expected = match (sent, told) {
            (1, 1) => 1,
            (1, _) => 2,
            (other, _) => other,
        };
        taken_back += u32::from(expected == 2 && sent == 1);
        assert_eq!(both_status, expected, "{both}");
    }
    assert!(taken_back > 0);
}
