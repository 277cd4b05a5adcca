//! `drain`, with which Jepsen's queues end: it is the dequeues of what it lists.

#![allow(clippy::unwrap_used)]

use std::process::Command;

use breakit_tests::Folder;
use breakit_tests::process::{Run, run, run_with};

fn queue(more: &[&str], input: &str) -> Run {
    let args = [&["linear", "--model", "unordered-queue"], more].concat();
    run_with(Command::new(env!("CARGO_BIN_EXE_histcheck")).args(args), input)
}

/// 1 and 2 are put, the latter by an enqueue of unknown outcome, and this is drained.
fn drained(end: &str) -> String {
    format!(
        "{{:process 0, :type :invoke, :f :enqueue, :value 1}}
{{:process 0, :type :ok, :f :enqueue, :value 1}}
{{:process 1, :type :invoke, :f :enqueue, :value 2}}
{{:process 1, :type :info, :f :enqueue, :value 2}}
{{:process 0, :type :invoke, :f :dequeue}}
{{:process 0, :type :fail, :f :dequeue, :error :empty}}
{{:process 2, :type :invoke, :f :drain}}
{{:process 2, {end}}}
"
    )
}

#[test]
fn a_drain_takes_each_of_its_elements_once() {
    for (taken, status) in [
        ("[1 2]", 0),
        ("[2 1]", 0),
        ("[1]", 0),
        ("[1 1]", 1),
        ("[1 3]", 1),
        ("[2 1 2]", 1),
        // A drain that took nothing shows nothing.
        ("[]", 2),
    ] {
        let run = queue(&[], &drained(&format!(":type :ok, :f :drain, :value {taken}")));
        assert_eq!(run.status, status, "{taken}: {}{}", run.stdout, run.stderr);
    }
    let run = queue(&[], &drained(":type :ok, :f :drain, :value [1 3]"));
    assert!(run.stdout.contains("dequeue 3"), "{}", run.stdout);
    assert!(run.stdout.contains("line 8"), "{}", run.stdout);
    assert!(run.stdout.contains("8 forms read: 4 operations"), "{}", run.stdout);
}

#[test]
fn an_element_is_taken_while_its_drain_is_open() {
    let later = drained(":type :ok, :f :drain, :value [1 4]")
        + "{:process 0, :type :invoke, :f :enqueue, :value 4}\n{:process 0, :type :ok, :f :enqueue, :value 4}\n";
    assert_eq!(queue(&[], &later).status, 1);
    let lines: Vec<&str> = later.lines().collect();
    let (drain_end, enqueue) = (lines[7], &lines[8..]);
    let within = [&lines[..7], enqueue, &[drain_end]].concat().join("\n");
    let run = queue(&[], &within);
    assert_eq!(run.status, 0, "{}{}", run.stdout, run.stderr);
}

#[test]
fn a_drain_that_failed_took_nothing_and_one_of_unknown_outcome_is_refused() {
    assert_eq!(queue(&[], &drained(":type :fail, :f :drain")).status, 2);
    let run = queue(&[], &drained(":type :info, :f :drain"));
    assert_eq!(run.status, 65, "{}", run.stdout);
    assert!(run.stderr.contains("nobody knows what it took"), "{}", run.stderr);
    let run = queue(&[], &drained(":type :ok, :f :drain, :value 7"));
    assert!(
        run.stderr.contains("line 8: column 43: the value of a drain must be"),
        "{}",
        run.stderr
    );
    let fifo = ["linear", "--model", "fifo-queue"];
    let run = run_with(
        Command::new(env!("CARGO_BIN_EXE_histcheck")).args(fifo),
        &drained(":type :ok, :f :drain, :value [1 2]"),
    );
    assert!(run.stderr.contains("unordered-queue has it"), "{}", run.stderr);
}

#[test]
fn the_order_of_a_history_with_a_drain_is_written_and_verified() {
    let folder = Folder::new("drains");
    let history = folder.write("h.edn", drained(":type :ok, :f :drain, :value [2 1]"));
    let order = folder.file("order.jsonl");
    let histcheck = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_histcheck"));
        run(command.args(args).arg("--witness").arg(&order).arg(&history))
    };
    let model = ["--model", "unordered-queue"];
    assert_eq!(histcheck(&[&["linear"], &model[..]].concat()).status, 0);
    let run = histcheck(&[&["verify"], &model[..]].concat());
    assert_eq!(run.status, 0, "{}{}", run.stdout, run.stderr);
}
