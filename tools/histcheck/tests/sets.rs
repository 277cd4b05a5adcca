//! `histcheck set`: what is found of one set, of several, and of a history without its end.

#![allow(clippy::unwrap_used)]

use std::process::Command;

use breakit_tests::process::{Run, run_with};
use serde_json::{Value, json};

const START: &str = r#"{"time":1,"process":"workload","type":"info","f":"start","value":{"check":[{"name":"set"}],"nodes":["n1","n2"]}}"#;

fn set(args: &[&str], lines: &[String]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_histcheck"));
    run_with(command.arg("set").args(args), &(lines.join("\n") + "\n"))
}

fn facts(status: i32, lines: &[String]) -> Value {
    set(&["--json"], lines).expect(status).lines().remove(0)
}

/// A line of process `process`, with what else it has.
fn line(process: u64, kind: &str, f: &str, value: &Value, more: &Value) -> String {
    let mut line = json!({"process": process, "type": kind, "f": f, "value": value});
    line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    line.to_string()
}

fn add(kind: &str, element: u64, more: &Value) -> String {
    // Who never heard how it ended calls no more.
    let process = element;
    let [began, ended] =
        ["invoke", kind].map(|kind| line(process, kind, "add", &json!(element), more));
    format!("{began}\n{ended}")
}

fn read(elements: &[u64], more: &Value) -> String {
    let began = line(900, "invoke", "read", &Value::Null, more);
    format!("{began}\n{}", line(900, "ok", "read", &json!(elements), more))
}

fn of(key: &str) -> Value {
    json!({"key": key, "final": true})
}

fn none() -> Value {
    json!({})
}

#[test]
fn an_element_is_due_from_its_first_ok_add_on() {
    let [began, ended] = ["invoke", "ok"].map(|kind| line(2, kind, "add", &json!(1), &none()));
    let [reads, has] = [("invoke", Value::Null), ("ok", json!([]))]
        .map(|(kind, value)| line(900, kind, "read", &value, &none()));
    let again = [add("ok", 1, &none()), began, reads, ended, has];
    assert_eq!(facts(1, &again)["lost"], json!([1]));
    // One that failed before tells nobody that it is there.
    let [_, began, reads, ended, has] = again;
    let failed = add("fail", 1, &none());
    assert_eq!(facts(2, &[failed, began, reads, ended, has])["judged_count"], 0);
}

#[test]
fn what_one_read_has_twice_is_told_once_and_nothing_else() {
    let adds = (1..=3).map(|element| add("ok", element, &none()));
    let lines: Vec<String> = adds.chain([read(&[1, 2, 2, 3, 2], &none())]).collect();
    assert_eq!(facts(0, &lines)["duplicated"], json!([2]));
}

#[test]
fn only_what_may_have_been_added_can_vanish() {
    let lines = [
        add("fail", 1, &none()),
        add("info", 2, &none()),
        read(&[1, 2, 3], &none()),
        read(&[], &none()),
    ];
    let facts = facts(1, &lines);
    assert_eq!(facts["vanished"], json!([2]));
    assert_eq!((&facts["aborted"], &facts["unexpected"]), (&json!([1]), &json!([3])));
}

#[test]
fn several_sets_are_counted_together_and_those_that_are_not_valid_are_told() {
    let lines = [
        add("ok", 1, &of("a")),
        add("info", 2, &of("a")),
        read(&[1, 2], &of("a")),
        add("ok", 3, &of("b")),
        add("info", 4, &of("b")),
        read(&[4], &of("b")),
        add("ok", 5, &json!({"key": "c"})),
    ];
    let facts = facts(1, &lines);
    let counts = ["attempt", "acknowledged", "judged", "recovered", "lost"];
    let counts = counts.map(|name| facts[format!("{name}_count")].as_u64().unwrap());
    assert_eq!(counts, [5, 3, 2, 2, 1]);
    let said = set(&[], &lines).expect(1).stdout;
    assert!(!said.contains("key \"a\":"), "{said}");
    assert!(said.contains("key \"b\": invalid: 1 of 1 acknowledged writes were lost"), "{said}");
    assert!(said.contains("key \"c\": unknown:"), "{said}");
}

#[test]
fn of_several_sets_that_are_cut_off_only_the_invalid_ones_are_told() {
    let lines = [
        START.to_string(),
        add("ok", 1, &of("a")),
        read(&[1], &of("a")),
        add("ok", 2, &of("b")),
        read(&[2, 3], &of("b")),
    ];
    let said = set(&[], &lines).expect(1).stdout;
    assert!(!said.contains("key \"a\":"), "{said}");
    assert!(said.contains("key \"b\": invalid: 1 element never added"), "{said}");
}

#[test]
fn what_only_the_end_of_a_run_can_tell_is_not_told_of_one_that_is_cut_off() {
    let at = |time: u64, element: u64| add("ok", element, &json!({"time": time}));
    let fault = |time: u64, f: &str| {
        json!({"time": time, "process": "nemesis", "type": "info", "f": f}).to_string()
    };
    let lines = [
        START.to_string(),
        at(10, 1),
        fault(20, "start-partition"),
        at(30, 2),
        fault(40, "stop-partition"),
        add("info", 3, &json!({"time": 50})),
        read(&[3], &json!({"time": 60})),
        at(70, 4),
        read(&[4], &json!({"time": 80, "node": "n1", "final": true})),
        read(&[], &json!({"time": 90, "node": "n2", "final": true})),
    ];
    let end =
        r#"{"time":99,"process":"workload","type":"info","f":"end","value":{"status":"done"}}"#;
    let whole: Vec<String> = lines.iter().cloned().chain([end.to_string()]).collect();
    let all = [
        "2 of 3 acknowledged writes were lost",
        "had been read and are gone",
        "of the lost were added during partition",
        "of the lost were added while no fault was in force",
        "n2 lacks 1 element",
        "final reads: n1",
    ];
    let said = set(&[], &whole).expect(1).stdout;
    all.iter().for_each(|what| assert!(said.contains(what), "{what:?} is not in\n{said}"));
    let said = set(&[], &lines).expect(2).stdout;
    all.iter().for_each(|what| assert!(!said.contains(what), "{what:?} is in\n{said}"));
    let facts = facts(2, &lines);
    assert_eq!((&facts["judged_count"], &facts["acknowledged_count"]), (&json!(0), &json!(3)));
}
