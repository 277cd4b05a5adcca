//! Histories that stand on one line: the evidence tells their events apart.

#![allow(clippy::unwrap_used)]

use std::process::Command;

use breakit_tests::process::{Run, run_with};

fn register(more: &[&str], input: &str) -> Run {
    let args = [&["linear", "--model", "register"], more].concat();
    run_with(Command::new(env!("CARGO_BIN_EXE_histcheck")).args(args), input)
}

const STALE: &str = r#"[{"process":"nemesis","type":"info","f":"kill"},{"process":0,"type":"invoke","f":"write","value":1},{"process":0,"type":"ok","f":"write","value":1},{"process":0,"type":"invoke","f":"write","value":2},{"process":0,"type":"ok","f":"write","value":2},{"process":1,"type":"invoke","f":"read","value":null},{"process":1,"type":"ok","f":"read","value":1}]"#;

#[test]
fn events_on_one_line_are_named_by_their_own_numbers() {
    let run = register(&[], STALE);
    assert_eq!(run.status, 1, "{}", run.stderr);
    assert!(run.stdout.contains("read 1 (line 7) is stale"), "{}", run.stdout);
    assert!(run.stdout.contains("ok lines 4 and 5"), "{}", run.stdout);
    assert!(run.stdout.contains("what is called line N is its event N"), "{}", run.stdout);
    let run = register(&["--json"], STALE);
    assert!(run.stdout.contains(r#""lines_are_events":true"#), "{}", run.stdout);
    assert!(run.stdout.contains(r#""line":6,"return_line":7"#), "{}", run.stdout);
    let edn = "[{:process 0 :type :invoke :f :read} {:process 0 :type :ok :f :read :value 7}]";
    let run = register(&[], edn);
    assert!(run.stdout.contains("read 7 (line 2) saw"), "{}", run.stdout);
}

#[test]
fn events_by_index_and_whole_operations_on_one_line_have_their_numbers_too() {
    let by_index: String = STALE.to_string();
    let by_index = (1..8).rev().fold(by_index, |text, index| {
        let at = text.match_indices("{\"process\"").nth(index - 1).unwrap().0;
        format!("{}{{\"index\":{index},{}", &text[..at], &text[at + 1..])
    });
    let run = register(&[], &by_index);
    assert!(run.stdout.contains("read 1 (line 7) is stale"), "{}{}", run.stdout, run.stderr);
    let whole = r#"[{"process":1,"f":"read","value":1,"start":50,"end":60},{"process":0,"f":"write","value":2,"start":30,"end":40},{"process":0,"f":"write","value":1,"start":10,"end":20}]"#;
    let run = register(&[], whole);
    assert!(
        run.stdout.contains("read 1 (line 1) is stale: write 2 had replaced that value (line 2)"),
        "{}{}",
        run.stdout,
        run.stderr
    );
}

#[test]
fn errors_name_the_line_and_the_column_and_the_other_event_by_its_number() {
    let twice = STALE.replacen("\"type\":\"ok\"", "\"type\":\"invoke\"", 1);
    let run = register(&[], &twice);
    assert!(run.stderr.contains("while its \"write\" of event 2 is open"), "{}", run.stderr);
    // A value that the model does not have is found at its place.
    let pop = STALE.replace("\"read\"", "\"pop\"");
    let run = register(&[], &pop);
    let column = pop.rfind("\"pop\"").unwrap() + 1;
    let said = format!("line 1: column {column}: the model register has no operation \"pop\"");
    assert!(run.stderr.contains(&said), "{said}: {}", run.stderr);
}

#[test]
fn events_on_several_lines_are_named_by_these() {
    let run = register(&[], &STALE.replace("},", "},\n"));
    assert!(run.stdout.contains("read 1 (line 7) is stale"), "{}", run.stdout);
    assert!(!run.stdout.contains("line N"), "{}", run.stdout);
    let run = register(&[], &STALE.replacen("},", "},\n\n", 2));
    assert!(run.stdout.contains("read 1 (line 5) is stale"), "{}", run.stdout);
}

#[test]
fn faults_on_one_line_are_named_by_their_numbers_and_stand_between_their_neighbours() {
    let fault = |f: &str| format!(r#"{{"process":"nemesis","type":"info","f":"{f}-partition"}}"#);
    let lines = [
        r#"{"process":0,"type":"invoke","f":"write","value":1}"#.to_string(),
        r#"{"process":0,"type":"ok","f":"write","value":1}"#.to_string(),
        fault("start"),
        r#"{"process":1,"type":"invoke","f":"read"}"#.to_string(),
        fault("stop"),
        r#"{"process":1,"type":"ok","f":"read","value":7}"#.to_string(),
    ];
    let faults = |text: &str| {
        let run = register(&["--json"], text);
        assert_eq!(run.status, 1, "{}", run.stderr);
        run.lines()[0]["keys"][0]["witness"]["faults"].clone()
    };
    let one_line = faults(&format!("[{}]", lines.join(",")));
    assert_eq!((&one_line[0]["line"], &one_line[0]["stop_line"]), (&3.into(), &5.into()));
    assert_eq!(one_line, faults(&lines.join("\n")));
    // One event on another line, be it a fault, and all are named by their lines.
    let two = format!("[{},\n{}]", lines[..4].join(","), lines[4..].join(","));
    let run = register(&[], &two);
    assert!(run.stdout.contains("read 7 (line 2) saw"), "{}", run.stdout);
    assert!(!run.stdout.contains("is its event N"), "{}", run.stdout);
    let two = faults(&two);
    assert_eq!((&two[0]["line"], &two[0]["stop_line"]), (&1.into(), &2.into()));
}

#[test]
fn what_an_index_puts_behind_the_first_invocation_of_a_name_has_its_number_on_one_line() {
    let run = register(
        &[],
        r#"[{"index":4,"process":"b","type":"ok","f":"read","value":7},{"index":1,"process":"a","type":"invoke","f":"write","value":1},{"index":2,"process":"a","type":"ok","f":"write","value":1},{"index":3,"process":"b","type":"invoke","f":"read"}]"#,
    );
    assert_eq!(run.status, 1, "{}", run.stderr);
    assert!(run.stdout.contains("read 7 (line 1) saw 7"), "{}", run.stdout);
    assert!(run.stdout.contains("ok lines 4 and 1"), "{}", run.stdout);
}
