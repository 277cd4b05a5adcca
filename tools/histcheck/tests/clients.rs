//! Which processes are clients: numbers, and words that invoke. None is passed over in silence.

#![allow(clippy::unwrap_used)]

use std::process::Command;

use breakit_tests::Folder;
use breakit_tests::process::{Run, run, run_with};

fn histcheck(args: &[&str], input: &str) -> Run {
    run_with(Command::new(env!("CARGO_BIN_EXE_histcheck")).args(args), input)
}

fn register(more: &[&str], input: &str) -> Run {
    histcheck(&[&["linear", "--model", "register"], more].concat(), input)
}

/// A write of 1 and a read of `seen`, by processes that are written like this.
fn write_and_read(writer: &str, reader: &str, seen: u32) -> String {
    format!(
        r#"{{"process":{writer},"type":"invoke","f":"write","value":1}}
{{"process":{writer},"type":"ok","f":"write","value":1}}
{{"process":{reader},"type":"invoke","f":"read","value":null}}
{{"process":{reader},"type":"ok","f":"read","value":{seen}}}
"#
    )
}

#[test]
fn clients_may_have_names_in_every_format() {
    let lines = write_and_read("\"client-1\"", "\"client-2\"", 2);
    let run = register(&[], &lines);
    assert_eq!(run.status, 1, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("process client-2: read 2"), "{}", run.stdout);
    assert!(run.stdout.contains("2 operations (2 ok"), "{}", run.stdout);
    for format in ["edn", "csv", "jsonl"] {
        let other = histcheck(&["convert", "--to", format], &lines);
        assert_eq!(other.status, 0, "{}", other.stderr);
        let again = register(&["--json"], &other.stdout);
        assert_eq!(again.status, 1, "{format}: {}{}", again.stdout, again.stderr);
        assert!(again.stdout.contains(r#""process":"client-2""#), "{}", again.stdout);
    }
}

#[test]
fn a_followed_history_and_one_by_index_have_named_clients_too() {
    let lines = write_and_read("\"a\"", "\"b\"", 2);
    let run = register(&["--follow"], &lines);
    assert_eq!(run.status, 1, "{}{}", run.stdout, run.stderr);
    // The completion of the read stands before its invocation.
    let mut numbered: Vec<String> = (0..)
        .zip(lines.lines())
        .map(|(index, line)| line.replacen('{', &format!("{{\"index\":{index},"), 1))
        .collect();
    numbered.swap(2, 3);
    let run = register(&[], &(numbered.join("\n") + "\n"));
    assert_eq!(run.status, 1, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("4 lines read: 2 operations (2 ok"), "{}", run.stdout);
}

#[test]
fn a_quoted_number_is_the_client_of_that_number() {
    let run = register(&[], &write_and_read("\"0\"", "\"1\"", 2));
    assert_eq!(run.status, 1, "{}{}", run.stdout, run.stderr);
    let one = r#"{"process":"7","type":"invoke","f":"write","value":1}
{"process":7,"type":"ok","f":"write","value":1}
"#;
    let run = histcheck(&["stats"], one);
    assert!(run.stdout.contains("write: 1 ok"), "{}{}", run.stdout, run.stderr);
}

#[test]
fn a_word_that_never_invokes_the_nemesis_the_workload_and_whom_the_user_names_are_no_clients() {
    let lines = write_and_read("\"loader\"", "0", 2);
    let said = r#"{"process":"monitor","type":"info","f":"note","value":1}
{"process":"nemesis","type":"invoke","f":"kill","value":null}
{"process":"nemesis","type":"ok","f":"kill","value":null}
"#;
    let run = histcheck(&["stats", "--not-a-client", "loader"], &(lines + said));
    assert_eq!(run.status, 0, "{}", run.stderr);
    assert!(run.stdout.contains("7 lines read: 1 operation (1 ok"), "{}", run.stdout);
    assert!(run.stdout.contains("3 of other processes"), "{}", run.stdout);
}

#[test]
fn a_word_that_completes_something_before_it_invokes_is_an_error_that_names_both_lines() {
    let stray = r#"{"process":"a","type":"ok","f":"write","value":1}
"#;
    let lines = stray.to_string() + &write_and_read("\"a\"", "\"b\"", 1);
    let run = register(&[], &lines);
    assert_eq!(run.status, 65, "{}", run.stdout);
    assert!(run.stderr.contains("line 2: column 12: process \"a\" invokes"), "{}", run.stderr);
    assert!(run.stderr.contains("line 1 completes"), "{}", run.stderr);
    let run = register(&["--not-a-client", "a"], &lines);
    assert_eq!(run.status, 1, "the read of 1 is left: {}{}", run.stdout, run.stderr);
}

#[test]
fn named_clients_of_a_large_file_are_read_like_those_of_a_small_one() {
    let mut lines = String::new();
    for round in 0..30_000 {
        lines += &write_and_read(&format!("\"client {}\"", round % 5), "3", 1);
    }
    assert!(lines.len() > 4 << 20, "{}", lines.len());
    let folder = Folder::new("large-names");
    let file = folder.write("large.jsonl", &lines);
    let run = run(Command::new(env!("CARGO_BIN_EXE_histcheck")).arg("stats").arg(file));
    assert!(run.stdout.contains("60000 operations (60000 ok"), "{}{}", run.stdout, run.stderr);
}

#[test]
fn shards_hold_the_operations_of_named_clients() {
    let folder = Folder::new("name-shards");
    let keyed: String = write_and_read("\"a\"", "\"b\"", 1).replace("\"f\"", "\"key\":5,\"f\"");
    let file = folder.write("h.jsonl", &keyed);
    let run = run(Command::new(env!("CARGO_BIN_EXE_histcheck"))
        .args(["split", "--shards", "2", "--into"])
        .arg(folder.path().join("shards"))
        .arg(file));
    assert_eq!(run.status, 0, "{}", run.stderr);
    let counts: Vec<usize> = run
        .stdout
        .lines()
        .map(|shard| std::fs::read_to_string(shard).unwrap().matches("\"f\":\"write\"").count())
        .collect();
    assert!(counts == [2, 0] || counts == [0, 2], "{counts:?}");
}

#[test]
fn keys_are_taken_out_of_the_values_of_named_clients() {
    let lines = write_and_read("\"a\"", "\"b\"", 1)
        .replace("\"value\":1", "\"value\":[9,1]")
        .replace("\"value\":null", "\"value\":[9,null]");
    let run = histcheck(&["convert", "--to", "jsonl", "--keyed"], &lines);
    assert_eq!(run.stdout.matches("\"key\":9").count(), 4, "{}{}", run.stdout, run.stderr);
}

/// The text with every process that is a number written in another way.
fn renamed(text: &str, name: impl Fn(&str) -> String) -> String {
    let mut pieces = text.split("\"process\":");
    let mut renamed = pieces.next().unwrap_or_default().to_string();
    for piece in pieces {
        let digits = piece.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = piece.split_at(digits);
        let process = if digits == 0 { String::new() } else { name(number) };
        renamed += &format!("\"process\":{process}{rest}");
    }
    renamed
}

#[test]
fn the_verdict_on_every_history_is_the_same_whatever_its_clients_are_called() {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/histories");
    let mut compared = 0;
    for check in ["linear", "set"] {
        for verdict in ["valid", "invalid", "unknown"] {
            for entry in std::fs::read_dir(corpus.join(check).join(verdict)).unwrap() {
                let path = entry.unwrap().path();
                if path.extension().is_none_or(|ending| ending != "jsonl") {
                    continue;
                }
                let text = std::fs::read_to_string(&path).unwrap();
                let args = match (text.contains("\"check\""), check) {
                    (true, _) => &[][..],
                    (false, "set") => &["set"],
                    (false, _) => &["linear", "--model", "cas-register"],
                };
                let plain = histcheck(args, &text);
                let named = histcheck(args, &renamed(&text, |number| format!("\"c{number}\"")));
                let quoted = histcheck(args, &renamed(&text, |number| format!("\"{number}\"")));
                assert_eq!(named.status, plain.status, "{}: {}", path.display(), named.stderr);
                assert_eq!(quoted.stdout, plain.stdout, "{}: {}", path.display(), quoted.stderr);
                compared += 1;
            }
        }
    }
    assert!(compared > 30, "{compared}");
}
