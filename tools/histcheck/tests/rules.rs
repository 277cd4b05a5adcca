//! The rules by which lines become operations, one test each, by the binary as users run it.

#![allow(clippy::unwrap_used)]

use std::process::Command;

use breakit_tests::process::{Run, run_with};

fn judge(args: &[&str], lines: &[String]) -> Run {
    let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    run_with(Command::new(env!("CARGO_BIN_EXE_histcheck")).args(args), &text)
}

fn linear(lines: &[String]) -> Run {
    judge(&["linear", "--model", "register"], lines)
}

fn line(process: &str, kind: &str, f: &str, value: &str) -> String {
    format!(r#"{{"process":{process},"type":"{kind}","f":"{f}","value":{value}}}"#)
}

fn done(process: &str, f: &str, value: &str) -> [String; 2] {
    ["invoke", "ok"].map(|kind| line(process, kind, f, value))
}

#[test]
fn a_completion_belongs_to_what_its_process_has_open() {
    let lines = |read: &str| {
        [
            line("0", "invoke", "write", "1"),
            line("1", "invoke", "read", "null"),
            line("0", "ok", "write", "1"),
            line("1", "ok", "read", read),
        ]
    };
    linear(&lines("1")).expect(0);
    linear(&lines("null")).expect(0);
    linear(&lines("2")).expect(1);
}

#[test]
fn what_has_no_completion_may_take_effect_at_any_later_time_or_never() {
    let begun = line("0", "invoke", "write", "1");
    for read in ["1", "null"] {
        let lines = [&[begun.clone()][..], &done("1", "read", read)].concat();
        let run = linear(&lines).expect(0);
        assert!(run.stdout.contains("2 operations (1 ok, 0 fail, 1 info)"), "{}", run.stdout);
        let said = [&[begun.clone(), line("0", "info", "write", "1")][..], &lines[1..]].concat();
        linear(&said).expect(0);
    }
}

#[test]
fn what_was_sent_is_what_was_written_and_a_completion_says_it_where_the_invocation_does_not() {
    let wrote = |asked: &str, did: &str| {
        [line("0", "invoke", "write", asked), line("0", "ok", "write", did)]
    };
    for (asked, did, read, status) in
        [("1", "2", "2", 2), ("1", "2", "1", 0), ("1", "2", "3", 1), ("null", "2", "2", 0)]
    {
        linear(&[wrote(asked, did), done("1", "read", read)].concat()).expect(status);
    }
    let silent = r#"{"process":0,"type":"ok","f":"write"}"#.to_string();
    let lines =
        [&[line("0", "invoke", "write", "1"), silent][..], &done("1", "read", "1")].concat();
    linear(&lines).expect(0);
}

#[test]
fn what_failed_did_not_happen_and_is_remembered_where_it_was_seen() {
    let failed = [line("0", "invoke", "write", "1"), line("0", "fail", "write", "1")];
    linear(&[failed.clone(), done("1", "read", "null")].concat()).expect(0);
    let seen = linear(&[failed, done("1", "read", "1")].concat()).expect(1);
    assert!(seen.stdout.contains("wrote, and that failed"), "{}", seen.stdout);
}

#[test]
fn the_order_is_that_of_lines_or_of_an_index_never_that_of_time() {
    let events =
        [done("0", "write", "1"), done("0", "write", "2"), done("1", "read", "1")].concat();
    let with = |name: &str, numbers: [u64; 6]| -> Vec<String> {
        let put = |(line, number): (&String, u64)| {
            line.replacen('{', &format!("{{\"{name}\":{number},"), 1)
        };
        events.iter().zip(numbers).map(put).collect()
    };
    linear(&events).expect(1);
    linear(&with("time", [30, 40, 50, 60, 10, 20])).expect(1);
    linear(&with("index", [1, 2, 5, 6, 3, 4])).expect(0);
    // At one index the read begins before the write ends.
    linear(&with("index", [1, 2, 3, 4, 4, 5])).expect(0);
    linear(&with("index", [1, 2, 3, 4, 5, 6])).expect(1);
}

#[test]
fn a_process_that_is_a_word_and_never_invokes_is_no_client() {
    for word in ["\"nemesis\"", "\"logger\"", "\"workload\""] {
        let line = line(word, "info", "write", "1");
        linear(&[&[line][..], &done("1", "read", "1")].concat()).expect(1);
    }
}

#[test]
fn of_values_none_is_too_long_and_of_what_orders_lines_64_bits_is_all() {
    let long = "123456789012345678901234567890";
    linear(&[done("0", "write", long), done("1", "read", long)].concat()).expect(0);
    for name in ["process", "time", "index"] {
        let most = line("0", "invoke", "read", "null").replace(
            "\"process\":0",
            &match name {
                "process" => "\"process\":18446744073709551615".to_string(),
                other => format!("\"process\":0,\"{other}\":18446744073709551615"),
            },
        );
        judge(&["stats"], std::slice::from_ref(&most)).expect(0);
        let run = judge(&["stats"], &[most.replace("551615", "551616")]).expect(65);
        assert!(run.stderr.contains(&format!("\"{name}\" must be")), "{}", run.stderr);
    }
}

#[test]
fn every_line_is_counted_by_what_it_is() {
    let mut lines = vec![format!("\u{feff}{}\r", line("0", "invoke", "write", "1")), "\r".into()];
    lines.extend([
        line("0", "ok", "write", "1"),
        line("1", "invoke", "read", "null"),
        line("1", "fail", "read", "null"),
        line("2", "invoke", "read", "null"),
        line("2", "info", "read", "null"),
        line("3", "invoke", "read", "null"),
        line("\"nemesis\"", "info", "kill", "null"),
        line("\"workload\"", "info", "stall", "null"),
        line("\"else\"", "info", "x", "null"),
    ]);
    let cut = "{\"process\":4,\"type\":\"inv";
    let text = lines.join("\n") + "\n" + cut;
    let lenient = ["stats", "--lenient"];
    let run = run_with(Command::new(env!("CARGO_BIN_EXE_histcheck")).args(lenient), &text);
    let counts = "12 lines read: 4 operations (1 ok, 1 fail, 2 info), 1 fault line, 1 of the workload, \
                  1 of other processes, 1 blank, 1 cut short and dropped";
    assert!(run.expect(0).stdout.contains(counts), "{counts}");
}
