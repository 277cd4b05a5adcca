//! Histories of completions alone: what they say is read, and what they do not say is not taken for known.

#![allow(clippy::unwrap_used)]

use std::process::Command;

use breakit_tests::process::{Run, run_with};

fn histcheck(args: &[&str], input: &str) -> Run {
    run_with(Command::new(env!("CARGO_BIN_EXE_histcheck")).args(args), input)
}

fn register(input: &str) -> Run {
    histcheck(&["linear", "--model", "register"], input)
}

#[test]
fn completions_alone_are_operations_in_every_format() {
    let edn = "[{:process 0, :type :ok, :value [[:append :x 1] [:r :y [1]]]}
 {:process 1, :type :ok, :value [[:append :x 2] [:append :y 1]]}
 {:process 0, :type :fail, :value [[:r :x [1 2]]]}]";
    let jsonl = histcheck(&["convert", "--to", "jsonl"], edn).stdout;
    let csv = histcheck(&["convert", "--to", "csv"], edn).stdout;
    let indexed: String = (0..)
        .zip(jsonl.lines())
        .map(|(index, line)| line.replacen('{', &format!("{{\"index\":{index},"), 1) + "\n")
        .collect();
    for history in [edn, &jsonl, &csv, &indexed] {
        let run = histcheck(&["stats"], history);
        assert_eq!(run.status, 0, "{}", run.stderr);
        assert!(run.stdout.contains("3 operations (2 ok, 1 fail, 0 info)"), "{}", run.stdout);
    }
}

#[test]
fn what_has_no_order_however_early_it_began_is_invalid_and_nothing_is_valid() {
    let history = |seen: u32| {
        format!(
            r#"{{"process":0,"type":"ok","f":"write","value":1}}
{{"process":0,"type":"ok","f":"write","value":2}}
{{"process":1,"type":"ok","f":"read","value":{seen}}}
"#
        )
    };
    assert_eq!(register(&history(3)).status, 1);
    for seen in [1, 2] {
        // The read of 1 may have begun before 2 was written.
        let run = register(&history(seen));
        assert_eq!(run.status, 2, "{}{}", run.stdout, run.stderr);
        assert!(run.stdout.contains("completions and no invocations"), "{}", run.stdout);
    }
    let one_process = history(1).replace("\"process\":1", "\"process\":0");
    let run = register(&one_process);
    assert_eq!(run.status, 1, "a process does one thing after the other: {}", run.stdout);
    assert!(run.stdout.contains("read 1 (line 3) is stale"), "{}", run.stdout);
}

#[test]
fn a_completion_of_nothing_is_an_error_where_anything_is_invoked() {
    let stray = "{\"process\":0,\"type\":\"ok\",\"f\":\"write\",\"value\":1}\n";
    let pair = "{\"process\":1,\"type\":\"invoke\",\"f\":\"write\",\"value\":2}\n{\"process\":1,\"type\":\"ok\",\"f\":\"write\",\"value\":2}\n";
    for (history, line) in [(format!("{stray}{pair}"), 1), (format!("{pair}{stray}"), 3)] {
        let run = register(&history);
        assert_eq!(run.status, 65, "{}", run.stdout);
        let said =
            format!("line {line}: column 21: process 0 completes \"write\" and has nothing open");
        assert!(run.stderr.contains(&said), "{}", run.stderr);
    }
}

#[test]
fn an_event_of_edn_without_a_process_that_fits_nothing_is_told_so() {
    let history = "{:index 1, :type :invoke :f :read   :value nil}
{:index 2, :type :invoke :f :write  :value 4}
{:index 3, :type :ok     :f :write  :value 4}
";
    let without_index = history.replace(":index", ":i");
    for history in [history, &without_index] {
        let run = histcheck(&["stats"], history);
        assert_eq!(run.status, 65, "{}", run.stdout);
        let said = "line 2: column 1: the event has no :process and so counts as one of process 0: process 0 invokes";
        assert!(run.stderr.contains(said), "{}", run.stderr);
    }
    // One operation after the other needs no process.
    let run = histcheck(&["stats"], "{:type :invoke :f :read}\n{:type :ok :f :read :value 1}\n");
    assert_eq!(run.status, 0, "{}", run.stderr);
}
