//! Histories that contradict themselves: the report says so in one line, whatever the verdict.

#![allow(clippy::unwrap_used)]

use std::process::Command;

use breakit_tests::Folder;
use breakit_tests::process::{Run, run, run_with};

fn register(more: &[&str], input: &str) -> Run {
    let args = [&["linear", "--model", "register"], more].concat();
    run_with(Command::new(env!("CARGO_BIN_EXE_histcheck")).args(args), input)
}

/// A write of a process from a time on, in microseconds.
fn write(process: u32, from: u64, value: u32) -> String {
    let line = |kind: &str, time: u64| {
        format!(
            "{{\"time\":{time}000,\"process\":{process},\"type\":\"{kind}\",\"f\":\"write\",\"value\":{value}}}\n"
        )
    };
    line("invoke", from) + &line("ok", from + 2)
}

#[test]
fn logs_of_clients_one_behind_the_other_are_a_warning_whatever_the_check() {
    let logs = write(0, 100, 1) + &write(0, 200, 2) + &write(1, 120, 3);
    for check in [&["linear", "--model", "register"][..], &["stats"]] {
        let run = run_with(Command::new(env!("CARGO_BIN_EXE_histcheck")).args(check), &logs);
        let said =
            "warning: times go back: that of line 5 is 0.000082 s before one on an earlier line";
        assert_eq!(run.stdout.matches("warning: ").count(), 1, "{}", run.stdout);
        assert!(run.stdout.contains(said), "{}", run.stdout);
    }
    let run = register(&["--json"], &logs);
    assert!(run.stdout.contains(r#""warnings":["times go back"#), "{}", run.stdout);
    let edn = run_with(
        Command::new(env!("CARGO_BIN_EXE_histcheck")).args(["convert", "--to", "edn"]),
        &logs,
    );
    assert!(register(&[], &edn.stdout).stdout.contains("times go back: that of line 5"));
}

#[test]
fn small_steps_back_of_threads_that_write_one_history_are_none() {
    let logs = write(0, 100, 1) + &write(0, 200, 2) + &write(1, 195, 3) + &write(2, 300, 4);
    let run = register(&[], &logs);
    assert!(!run.stdout.contains("warning"), "{}", run.stdout);
}

#[test]
fn times_that_go_back_where_a_large_file_is_cut_for_two_processors_are_seen() {
    let log = |process: u32| -> String {
        (0..40_000).map(|at| write(process, 1_000_000 + 10 * at, at as u32)).collect()
    };
    let logs = log(0) + &log(1);
    assert!(logs.len() > 8 << 20, "{}", logs.len());
    let folder = Folder::new("times-back");
    let file = folder.write("logs.jsonl", &logs);
    let run = run(Command::new(env!("CARGO_BIN_EXE_histcheck")).arg("stats").arg(file));
    assert!(run.stdout.contains("times go back: that of line 80001"), "{}", run.stdout);
}

#[test]
fn keys_in_values_are_a_hint_at_keyed_and_pairs_that_are_values_are_not() {
    let keyed = "{:process 0, :type :invoke, :f :write, :value [1 5]}
{:process 0, :type :ok, :f :write, :value [1 5]}
{:process 1, :type :invoke, :f :read, :value [1 nil]}
{:process 1, :type :ok, :f :read, :value [1 5]}
";
    let run = register(&[], keyed);
    assert_eq!(run.stdout.matches("warning: ").count(), 1, "{}", run.stdout);
    assert!(run.stdout.contains("add --keyed"), "{}", run.stdout);
    for other in [
        register(&["--keyed"], keyed),
        register(&[], &keyed.replace("[1 nil]", "nil")),
        register(&[], &(keyed.to_string() + "{:process 2, :type :invoke, :f :write, :value 5}")),
    ] {
        assert!(!other.stdout.contains("warning"), "{}{}", other.stdout, other.stderr);
    }
}
