//! Logs of Jepsen as people have them: columns between spaces or several tabs, reports that repeat the history,
//! errors in free text.

#![allow(clippy::unwrap_used)]

use std::process::Command;

use breakit_tests::process::{Run, run_with};

fn register(input: &str) -> Run {
    let args = ["linear", "--model", "register"];
    run_with(Command::new(env!("CARGO_BIN_EXE_histcheck")).args(args), input)
}

/// A write of 3 and a read of 4, with this before each event and this between its columns.
fn garbage_read(before: &str, between: &str) -> String {
    [
        ["0", ":invoke", ":write", "3"],
        ["0", ":ok", ":write", "3"],
        ["1", ":invoke", ":read", "nil"],
        ["1", ":ok", ":read", "4"],
    ]
    .map(|columns| format!("{before}{}\n", columns.join(between)))
    .concat()
}

#[test]
fn columns_may_stand_between_tabs_or_spaces_however_many() {
    for before in ["", "INFO  jepsen.util - ", "2026-11-28 INFO [worker 3] jepsen.util: "] {
        for between in ["\t", "\t\t", " ", "   ", " \t "] {
            let run = register(&garbage_read(before, between));
            assert_eq!(run.status, 1, "{before:?} {between:?}: {}{}", run.stdout, run.stderr);
            assert!(run.stdout.contains("2 operations (2 ok"), "{}", run.stdout);
        }
    }
}

#[test]
fn prose_is_no_event_however_many_types_it_names() {
    let prose =
        "INFO  jepsen.core - all :ok\nINFO  jepsen.core - a :ok [1 2]\nWARN  x - saw :fail 3\n";
    let run = register(&(garbage_read("INFO  jepsen.util - ", "\t") + prose));
    assert_eq!(run.status, 1, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("7 lines read: 2 operations"), "{}", run.stdout);
    assert!(run.stdout.contains("3 of other processes"), "{}", run.stdout);
}

#[test]
fn a_report_that_repeats_the_history_adds_nothing_to_it() {
    let log = "INFO  jepsen.util - 0\t:invoke\t:write\t3\nINFO  jepsen.util - 0\t:ok\t:write\t3\n";
    let report = " Not linearizable. Linearizable prefix was:\n0\t:invoke\t:write\t3\n  0\t:ok\t:write\t3\n0\t:ok\t:write\t9\n";
    let run = register(&format!("{log}{report}"));
    assert_eq!(run.status, 2, "a write alone shows nothing: {}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("6 lines read: 1 operation (1 ok"), "{}", run.stdout);
    let run = register(&format!("0\t:invoke\t:write\t3\n{log}"));
    assert_eq!(run.status, 65, "{}", run.stdout);
    assert!(run.stderr.contains("repeats the other"), "{}", run.stderr);
}

#[test]
fn an_error_may_be_any_text() {
    for error in ["{:unclosed", "[:timeout \"5 s]", "java.net.SocketException: \"x", "#", "\\"] {
        let log = format!("0\t:invoke\t:read\tnil\n0\t:fail\t:read\tnil\t{error}\n")
            + &garbage_read("", "\t").replace('4', "3");
        let run = register(&log);
        assert_eq!(run.status, 0, "{error}: {}{}", run.stdout, run.stderr);
        let args = ["convert", "--to", "jsonl"];
        let lines = run_with(Command::new(env!("CARGO_BIN_EXE_histcheck")).args(args), &log);
        let kept = serde_json::to_string(error).unwrap();
        assert!(lines.stdout.contains(&format!("\"error\":{kept}")), "{}", lines.stdout);
    }
}

#[test]
fn clients_in_a_log_may_have_names() {
    let log = garbage_read("INFO  jepsen.util - ", "\t").replace("- 1", "- worker-1");
    let run = register(&log);
    assert_eq!(run.status, 1, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("process worker-1: read 4"), "{}", run.stdout);
}
