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

/// A history of one set, as a user would write it down.
#[derive(Clone, Debug)]
struct Told {
    process: u64,
    f: &'static str,
    element: u64,
    seen: Vec<u64>,
    node: &'static str,
    is_final: bool,
    end: &'static str,
    inv: usize,
    res: usize,
}

impl Told {
    fn line(&self, kind: &str) -> String {
        let value = match (self.f, kind) {
            ("add", _) => json!(self.element),
            (_, "ok") => json!(self.seen),
            _ => Value::Null,
        };
        let more = json!({"node": self.node, "final?": self.is_final});
        line(self.process, kind, self.f, &value, &more)
    }
}

fn told(draw: &mut impl FnMut(u64) -> u64) -> (Vec<Told>, Vec<String>) {
    let (mut ops, mut lines): (Vec<Told>, Vec<String>) = (Vec::new(), Vec::new());
    let mut open: Vec<usize> = Vec::new();
    let marks = draw(3) > 0;
    for _ in 0..4 + draw(14) {
        if !open.is_empty() && draw(2) == 0 {
            let at = open.swap_remove(draw(open.len() as u64) as usize);
            let op = &mut ops[at];
            lines.push(op.line(op.end));
            op.res = if op.end == "info" { usize::MAX } else { lines.len() };
            continue;
        }
        let is_add = draw(2) == 0;
        let op = Told {
            process: ops.len() as u64,
            f: if is_add { "add" } else { "read" },
            element: draw(3),
            seen: (0..4).filter(|_| draw(2) == 0).collect(),
            node: if draw(2) == 0 { "a" } else { "b" },
            is_final: marks && !is_add && draw(2) == 0,
            end: ["ok", "ok", "fail", "info"][draw(4) as usize],
            inv: lines.len() + 1,
            res: usize::MAX,
        };
        lines.push(op.line("invoke"));
        open.push(ops.len());
        ops.push(op);
    }
    // A missing completion is info.
    open.iter().for_each(|&at| ops[at].end = "info");
    (ops, lines)
}

/// What the manual calls each element, word by word.
fn by_the_manual(ops: &[Told]) -> Value {
    let reads: Vec<&Told> = {
        let mut reads: Vec<&Told> =
            ops.iter().filter(|op| op.f == "read" && op.end == "ok").collect();
        reads.sort_by_key(|read| read.res);
        reads
    };
    let finals: Vec<&Told> = if ops.iter().any(|op| op.is_final) {
        let last =
            |node: &&str| reads.iter().rev().find(|read| read.is_final && read.node == *node);
        ["a", "b"].iter().filter_map(last).copied().collect()
    } else {
        reads.last().copied().into_iter().collect()
    };
    let of = |name: &str| -> Vec<u64> {
        let is = |&element: &u64| {
            let adds: Vec<&Told> =
                ops.iter().filter(|op| op.f == "add" && op.element == element).collect();
            let having: Vec<&&Told> =
                reads.iter().filter(|read| read.seen.contains(&element)).collect();
            let begun = |read: &Told| adds.iter().filter(|add| add.inv < read.res).count();
            let possible =
                |read: &Told| adds.iter().any(|add| add.inv < read.res && add.end != "fail");
            let acknowledged = adds.iter().filter(|add| add.end == "ok").map(|add| add.res).min();
            let seen = having.iter().filter(|read| possible(read)).map(|read| read.res).min();
            let known = acknowledged.into_iter().chain(seen).min();
            let due = |read: &Told| known.is_some_and(|known| known < read.inv);
            let gone = finals.iter().any(|read| due(read))
                && !finals.iter().any(|read| read.seen.contains(&element));
            match name {
                "unexpected" => adds.is_empty() && !having.is_empty(),
                "early" => !adds.is_empty() && having.iter().any(|read| begun(read) == 0),
                "aborted" => {
                    let first = having.first();
                    first.is_some_and(|read| begun(read) > 0 && !possible(read))
                }
                "lost" => acknowledged.is_some() && gone,
                "vanished" => acknowledged.is_none() && gone,
                _ => unreachable!(),
            }
        };
        (0..4).filter(is).collect()
    };
    ["lost", "vanished", "unexpected", "aborted", "early"]
        .into_iter()
        .map(|name| (name.to_string(), json!(of(name))))
        .collect()
}

#[test]
fn every_finding_is_what_the_manual_calls_it_on_random_histories() {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut draw = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let mut seen = std::collections::BTreeMap::<String, u32>::new();
    for _ in 0..600 {
        let (ops, lines) = told(&mut draw);
        let run = set(&["--json"], &lines);
        let facts: Value = serde_json::from_str(run.stdout.trim()).unwrap();
        for (name, expected) in by_the_manual(&ops).as_object().unwrap() {
            let mut found: Vec<u64> = serde_json::from_value(facts[name].clone()).unwrap();
            found.sort_unstable();
            assert_eq!(&json!(found), expected, "{name}:\n{}\n{}", lines.join("\n"), run.stdout);
            *seen.entry(name.clone()).or_default() += u32::from(!found.is_empty());
        }
    }
    assert_eq!(seen.len(), 5, "{seen:?}");
    assert!(seen.values().all(|&times| times > 0), "{seen:?}");
}

#[test]
fn an_element_read_while_only_failed_adds_of_it_had_begun_is_aborted_though_a_later_add_succeeds() {
    let lines =
        [add("fail", 1, &none()), read(&[1], &none()), add("ok", 1, &none()), read(&[1], &none())];
    assert_eq!(facts(1, &lines)["aborted"], json!([1]));
    // An open add may have put it there.
    let [open, ended] = ["invoke", "ok"].map(|kind| line(7, kind, "add", &json!(1), &none()));
    let [failed, seen, ..] = lines;
    assert_eq!(facts(0, &[open, failed, seen.clone(), ended, seen])["aborted"], json!([]));
}

#[test]
fn a_read_marked_final_that_did_not_succeed_leaves_no_other_read_final() {
    let marked = json!({"final": true, "node": "n1"});
    let [began, ended] =
        ["invoke", "info"].map(|kind| line(901, kind, "read", &Value::Null, &marked));
    let lines = [add("ok", 1, &none()), read(&[], &json!({"node": "n1"})), began, ended];
    let facts = facts(2, &lines);
    assert_eq!((&facts["lost"], &facts["final_reads"]), (&json!([]), &json!([])));
    assert!(facts["because"].as_str().unwrap().contains("no final read that succeeded"));
}

#[test]
fn maelstroms_final_with_a_question_mark_marks_a_final_read_in_every_format() {
    let edn = "{:process 0, :type :invoke, :f :add, :value 1}\n\
               {:process 0, :type :ok, :f :add, :value 1}\n\
               {:process 1, :type :invoke, :f :read, :final? true}\n\
               {:process 1, :type :ok, :f :read, :value [1], :final? true}\n\
               {:process 1, :type :invoke, :f :read, :value nil}\n\
               {:process 1, :type :ok, :f :read, :value []}"
        .to_string();
    assert_eq!(facts(0, &[edn])["final_reads"][0]["line"], 4);
    let json = [add("ok", 1, &none()), read(&[1], &json!({"final?": true})), read(&[], &none())];
    assert_eq!(facts(0, &json)["final_reads"][0]["line"], 4);
}

#[test]
fn an_element_is_known_from_its_first_rightful_read_on_before_its_add_is_acknowledged() {
    let [began, ended] = ["invoke", "ok"].map(|kind| line(1, kind, "add", &json!(1), &none()));
    let last = json!({"final": true});
    let [asks, has] = [("invoke", Value::Null), ("ok", json!([]))]
        .map(|(kind, value)| line(900, kind, "read", &value, &last));
    assert_eq!(facts(1, &[began, read(&[1], &none()), asks, ended, has])["lost"], json!([1]));
}

#[test]
fn a_valid_verdict_says_where_it_rests_on_little() {
    let nodes = |n: u64| json!({"node": format!("n{n}")});
    let adds = || (1..=3).map(|n| add("ok", n, &nodes(n)));
    let few = |lines: &[String]| {
        let facts = facts(0, lines);
        let sentence = facts["because"].as_str().unwrap().to_string();
        let clauses: Vec<String> =
            serde_json::from_value(facts["rests_on_little"].clone()).unwrap_or_default();
        assert_eq!(clauses.is_empty(), !sentence.contains("this rests on little"), "{sentence}");
        clauses
    };
    let one: Vec<String> = adds().chain([read(&[1, 2, 3], &nodes(1))]).collect();
    assert_eq!(few(&one), ["n2, n3 had none"]);
    let nameless: Vec<String> = adds().chain([read(&[1, 2, 3], &none())]).collect();
    assert_eq!(few(&nameless), ["1 final read of 3 nodes names no node"]);
    let each = (1..=3).map(|n| read(&[1, 2, 3], &json!({"node": format!("n{n}"), "final": true})));
    assert_eq!(few(&adds().chain(each).collect::<Vec<_>>()), [] as [&str; 0]);
    let lines: Vec<String> =
        (1..=9).map(|n| add(if n < 4 { "ok" } else { "fail" }, n, &none())).collect();
    let lines: Vec<String> = lines.into_iter().chain([read(&[1, 2, 3], &none())]).collect();
    assert_eq!(few(&lines), ["only 3 of 9 elements were acknowledged"]);
    let late: Vec<String> = [add("ok", 1, &none()), read(&[1], &json!({"final": true}))]
        .into_iter()
        .chain((2..=9).map(|n| add("ok", n, &none())))
        .collect();
    assert_eq!(few(&late), ["only 1 of 9 acknowledged elements were known before the final reads"]);
}

#[test]
fn json_lists_each_finding_with_its_kind_key_lines_and_explanation() {
    let on = |node: &str| json!({"node": node, "final": true});
    let lines = [
        add("ok", 1, &none()),
        add("ok", 2, &none()),
        add("ok", 3, &none()),
        read(&[1, 1, 9], &on("n1")),
        read(&[1, 3], &on("n2")),
    ];
    let facts = facts(1, &lines);
    let finding = |kind: &str, lines: &[u32], explanation: &str| json!({"kind": kind, "key": null, "lines": lines, "explanation": explanation});
    assert_eq!(
        facts["findings"],
        json!([
            finding("lost", &[4], "1 of 3 acknowledged writes were lost"),
            finding("unexpected", &[8], "1 element never added and yet read"),
            finding("duplicated", &[8], "1 element twice in one read"),
            finding("missing", &[8], "n1 lacks 1 element that other nodes have"),
        ])
    );
    let of_keys =
        [add("ok", 1, &of("a")), read(&[1], &of("a")), add("ok", 2, &of("b")), read(&[], &of("b"))];
    let findings = &self::facts(1, &of_keys)["findings"];
    assert_eq!(findings.as_array().unwrap().len(), 1);
    assert_eq!((&findings[0]["kind"], &findings[0]["key"]), (&json!("lost"), &json!("b")));
    let kept = [add("ok", 1, &none()), read(&[1], &none())];
    assert_eq!(self::facts(0, &kept)["findings"], json!([]));
}
