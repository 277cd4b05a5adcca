//! The binary as its users run it.

#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant};

use breakit_tests::process::{Run, Running, run, run_with};
use breakit_tests::wait::throughout;
use breakit_tests::{Folder, hostile};
use nix::sys::signal::Signal;
use serde_json::Value;

const START: &str = r#"{"time":1,"process":"workload","type":"info","f":"start","value":{"check":[{"name":"linear","options":{"model":"register"}}],"nodes":["n1"]}}"#;
const END: &str =
    r#"{"time":99,"process":"workload","type":"info","f":"end","value":{"status":"done"}}"#;

/// Much longer than anything takes here, however busy the machine is.
const SOON: Duration = Duration::from_secs(40);

fn op(process: u64, kind: &str, f: &str, value: &str) -> String {
    format!(r#"{{"process":{process},"type":"{kind}","f":"{f}","value":{value}}}"#)
}

fn done(process: u64, f: &str, value: &str) -> String {
    format!("{}\n{}", op(process, "invoke", f, value), op(process, "ok", f, value))
}

fn history(operations: &[String]) -> String {
    format!("{START}\n{}\n{END}\n", operations.join("\n"))
}

fn valid() -> String {
    history(&[done(0, "write", "1"), done(1, "read", "1")])
}

fn stale() -> String {
    history(&[done(0, "write", "1"), done(0, "write", "2"), done(1, "read", "1")])
}

fn histcheck() -> Command {
    Command::new(env!("CARGO_BIN_EXE_histcheck"))
}

fn judge(args: &[&str], input: &str) -> Run {
    run_with(histcheck().args(args), input)
}

#[test]
fn the_first_line_says_what_to_check_and_the_status_is_the_verdict() {
    let good = judge(&[], &valid()).expect(0);
    assert!(good.stdout.starts_with("stdin: linear: valid: 2 operations"), "{}", good.stdout);
    assert!(good.stdout.contains("6 lines read: 2 operations (2 ok, 0 fail, 0 info)"));
    let bad = judge(&["-"], &stale()).expect(1);
    assert!(bad.stdout.contains("read 1 (line 7) is stale"), "{}", bad.stdout);
    assert_eq!((good.stderr, bad.stderr), (String::new(), String::new()));
}

#[test]
fn without_a_first_line_and_a_check_the_checks_are_listed() {
    let run = judge(&[], &done(0, "read", "null")).expect(64);
    assert!(run.stderr.contains("name a check: stats, set, linear"), "{}", run.stderr);
    assert_eq!(run.stdout, "stdin: no verdict: no check was named\n");
    let other = ["linear", "--model", "counter", "--initial", "\"x\""];
    let run = judge(&other, &done(0, "read", "1")).expect(64);
    assert_eq!(run.stdout, "stdin: linear: no verdict: wrong usage\n");
    let named = judge(&["linear", "--model", "register"], &done(0, "read", "null"));
    named.expect(0);
}

#[test]
fn verbose_says_what_took_how_long_on_stderr() {
    let run = judge(&["-v"], &valid()).expect(0);
    assert!(run.stderr.contains("histcheck: stdin: 6 lines read in "), "{}", run.stderr);
    assert!(run.stderr.contains("histcheck: stdin: linear decided in "), "{}", run.stderr);
}

#[test]
fn verbose_says_the_errors_behind_an_error() {
    let absent = Folder::new("behind").file("absent.jsonl").display().to_string();
    let behind = "histcheck: because: No such file or directory (os error 2)\n";
    let verbose = run(histcheck().args(["set", "-v", &absent])).expect(66);
    assert!(verbose.stderr.ends_with(behind), "{}", verbose.stderr);
    assert_eq!(run(histcheck().args(["set", &absent])).expect(66).stderr.lines().count(), 1);
}

#[test]
fn several_files_have_a_verdict_line_each_and_the_worst_status() {
    let folder = Folder::new("several");
    let files = [
        folder.write("valid.jsonl", valid()),
        folder.write("none.jsonl", history(&[done(0, "write", "1")])),
        folder.write("broken.jsonl", "{\"a\n"),
        folder.file("absent.jsonl").display().to_string(),
        folder.write("stale.jsonl", stale()),
    ];
    let words = ["valid", "unknown", "no verdict: bad input", "no verdict: not there", "invalid"];
    for (many, status) in [(1, 0), (2, 2), (3, 65), (4, 66), (5, 1)] {
        let run = run(histcheck().args(&files[..many])).expect(status);
        let lines: Vec<&str> = run.stdout.lines().filter(|line| !line.starts_with(' ')).collect();
        assert_eq!(lines.len(), many, "{}", run.stdout);
        for ((line, file), word) in lines.iter().zip(&files).zip(words) {
            assert!(line.starts_with(&format!("{file}: ")) && line.contains(word), "{line}");
        }
    }
}

#[test]
fn json_is_one_object_a_verdict_also_for_what_could_not_be_read() {
    let folder = Folder::new("json");
    let files = [folder.write("stale.jsonl", stale()), folder.write("broken.jsonl", "nope\n")];
    let run = run(histcheck().arg("--json").args(&files)).expect(1);
    let lines = run.lines();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["file"], files[0].as_str());
    assert_eq!((&lines[0]["check"], &lines[0]["valid"]), (&"linear".into(), &Value::Bool(false)));
    let witness = lines[0]["keys"][0]["witness"]["operations"].as_array().unwrap();
    let witness: Vec<_> =
        witness.iter().map(|op| (op["line"].as_u64(), op["f"].as_str())).collect();
    assert_eq!(
        witness,
        [(Some(2), Some("write")), (Some(4), Some("write")), (Some(6), Some("read"))]
    );
    let finding = &lines[0]["findings"][0];
    assert_eq!((&finding["kind"], &finding["key"]), (&"not-linearizable".into(), &Value::Null));
    assert_eq!(finding["lines"], serde_json::json!([2, 4, 6]));
    assert_eq!(finding["explanation"], lines[0]["keys"][0]["because"]);
    assert_eq!(lines[0]["counts"]["lines"], 8);
    assert_eq!((&lines[1]["valid"], &lines[1]["status"]), (&"unknown".into(), &65.into()));
    assert!(lines[1]["error"].as_str().unwrap().contains("broken.jsonl, line 1: column 2"));
}

#[test]
fn a_set_in_json_has_its_counts_and_the_list_of_the_lost() {
    let text = format!(
        "{}\n{}\n{}\n{}\n",
        done(0, "add", "1"),
        done(0, "add", "\"b\""),
        done(0, "add", "3"),
        done(1, "read", "[3]")
    );
    let verdict = judge(&["set", "--json"], &text).expect(1).lines().remove(0);
    assert_eq!(verdict["lost"], serde_json::json!([1, "b"]));
    assert_eq!(verdict["lost_count"], 2);
    assert_eq!(verdict["acknowledged_count"], 3);
}

#[test]
fn what_is_wrong_with_a_history_is_named_with_its_place() {
    let invoke = op(0, "invoke", "write", "1");
    for (text, said) in [
        (
            format!("{invoke}\n{invoke}\n"),
            "line 2: column 12: process 0 invokes \"write\" while its \"write\" of line 1 is open",
        ),
        (
            format!("{invoke}\n{}\n", op(4, "ok", "write", "1")),
            "line 2: column 21: process 4 completes \"write\" and has nothing open",
        ),
        ("{\"process\":0,\n".to_string(), "line 1: column 13: not JSON"),
        (
            "{\"process\":0,\"type\":\"done\",\"f\":\"x\"}\n".to_string(),
            "line 1: column 21: \"type\" must be invoke, ok, fail or info",
        ),
        ("[1]\n".to_string(), "line 1: column 1: a line must be one JSON object"),
        (
            format!("{}\n", done(0, "add", "1")),
            "line 2: column 30: the model register has no operation \"add\"",
        ),
        (format!("{}\n", done(0, "cas", "[1,2]")), "take --model cas-register"),
        (
            format!("{invoke}\n{}\n{}", op(0, "ok", "write", "1"), "\u{7f}\n"),
            "line 3: column 1: not JSON",
        ),
        (
            format!(
                "{}\n{}\n",
                op(0, "invoke", "read", "null"),
                r#"{"process":0,"type":"ok","f":"read"}"#
            ),
            "line 2: column 1: an ok read says no value",
        ),
    ] {
        let run = judge(&["linear", "--model", "register"], &text).expect(65);
        assert!(run.stderr.starts_with("histcheck: stdin, "), "{}", run.stderr);
        assert!(run.stderr.contains(said), "{said:?} is not in {}", run.stderr);
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    }
    let set = judge(&["set"], &done(0, "read", "7")).expect(65);
    assert!(set.stderr.contains("must be a list, not 7"), "{}", set.stderr);
}

#[test]
fn a_history_cut_at_any_byte_is_never_called_valid_in_silence() {
    let whole = valid();
    for end in 0..whole.len() {
        let run = judge(&["linear", "--model", "register", "--lenient"], &whole[..end]);
        assert!([0, 2].contains(&run.status), "cut at {end}: {} {}", run.status, run.stderr);
        let last = whole[..end].lines().last().unwrap_or_default();
        let complete = serde_json::from_str::<Value>(last).is_ok() || last.is_empty();
        assert!(complete || run.stdout.contains("1 cut short and dropped"), "cut at {end}");
        if end > START.len() && end < whole.len() - 1 {
            assert!(run.stdout.contains("cut off"), "cut at {end}: {}", run.stdout);
        }
    }
}

#[test]
fn the_last_line_of_a_killed_workload_is_dropped_only_when_allowed() {
    let text = &stale()[..stale().len() - END.len() + 20];
    let strict = judge(&[], text).expect(65);
    assert!(strict.stderr.contains("--lenient drops it"), "{}", strict.stderr);
    let lenient = judge(&["--lenient"], text).expect(1);
    assert!(lenient.stdout.contains("1 cut short and dropped"), "{}", lenient.stdout);
    assert!(lenient.stdout.contains("cut off: the run's last line is missing"));
    let inside = text.replacen("\"f\":\"write\"", "\"f\":\"wri", 1);
    judge(&["--lenient"], &inside).expect(65);
}

#[test]
fn a_wrong_command_line_is_one_sentence_and_64() {
    for (args, said) in [
        (vec!["linear"], "--model"),
        (vec!["linear", "--model", "queue"], "queue"),
        (vec!["linear", "--model", "register", "--initial", "{"], "is no JSON"),
        (vec!["--timeout", "soon"], "is no duration"),
        (vec!["--memory", "much"], "is no size"),
        (vec!["-", "-"], "stdin (-) is named twice"),
    ] {
        let run = judge(&args, "").expect(64);
        assert!(run.stderr.contains(said), "{args:?}: {}", run.stderr);
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    }
    let late = judge(&["/dev/null", "set"], "").expect(66);
    assert!(late.stderr.contains("nor is that a check"), "{}", late.stderr);
    let typo = judge(&["linera"], "").expect(66);
    assert!(typo.stderr.contains("nor is that a check (stats, set, linear)"), "{}", typo.stderr);
    let folder = judge(&["stats", "/"], "").expect(66);
    assert!(folder.stderr.contains("/ is a directory"), "{}", folder.stderr);
}

#[test]
fn a_first_line_that_asks_for_what_there_is_not_is_refused() {
    for (check, said) in [
        (r#"[{"name":"bank"}]"#, "the check \"bank\", which this histcheck does not have"),
        (r#"[{"name":"set","options":{"strict":true}}]"#, "does not know the option \"strict\""),
        (r#"[{"name":"linear","options":{"model":"queue"}}]"#, "there is no model \"queue\""),
        (r#"[{"name":"linear"}]"#, "needs the option \"model\""),
        (r#"["set"]"#, "a check must be"),
        (r#""set""#, "must be a list of checks"),
    ] {
        let start = format!(
            r#"{{"process":"workload","type":"info","f":"start","value":{{"check":{check}}}}}"#
        );
        let run = judge(&[], &format!("{start}\n")).expect(65);
        assert!(run.stderr.contains(said), "{said:?} is not in {}", run.stderr);
    }
}

#[test]
fn stats_counts_operations_and_shows_faults_as_intervals() {
    let text = [
        r#"{"time":1000000000,"process":0,"type":"invoke","f":"read","value":null}"#,
        r#"{"time":1500000000,"process":"nemesis","type":"info","f":"start-partition","value":{"began":1400000000,"lease":"30s"}}"#,
        r#"{"time":1005000000,"process":0,"type":"ok","f":"read","value":3}"#,
        r#"{"time":2000000000,"process":0,"type":"invoke","f":"write","value":3}"#,
        r#"{"time":2100000000,"process":"nemesis","type":"info","f":"stop-partition"}"#,
        r#"{"time":2200000000,"process":"nemesis","type":"info","f":"start-slow","value":{"lease":"30s"}}"#,
        r#"{"time":3000000000,"process":0,"type":"fail","f":"write","value":3}"#,
    ]
    .join("\n");
    let run = judge(&["stats"], &text).expect(0);
    for line in [
        "stdin: stats: counted: 2 operations, 2 faults",
        "read: 1 ok, 0 fail, 0 info; ok in 5.000 ms (median)",
        "write: 0 ok, 1 fail, 0 info",
        "over 2.000 s: 1.0 operations a second",
        "partition: 0.400 s to 1.100 s (lines 2 and 5)",
        "slow: from 1.200 s (line 6), ended by its lease: no line stops it",
        "7 lines read: 2 operations (1 ok, 1 fail, 0 info), 3 fault lines",
    ] {
        assert!(run.stdout.contains(line), "{line:?} is not in\n{}", run.stdout);
    }
    let json = judge(&["stats", "--json"], &text).expect(0).lines().remove(0);
    assert_eq!(json["faults"][0]["from"], 1_400_000_000_u64);
    assert_eq!(json["by_f"]["read"]["ok_latency_ms"]["1"], 5.0);
}

#[test]
fn the_initial_value_is_what_the_register_holds_at_first() {
    let text = done(0, "read", "-5");
    judge(&["linear", "--model", "register"], &text).expect(1);
    judge(&["linear", "--model", "register", "--initial", "-5"], &text).expect(0);
}

#[test]
fn a_sum_beyond_64_bits_is_a_number_as_any_other() {
    let most = i64::MAX.to_string();
    let counter = |ops: &[(&str, &str)]| -> String {
        let ops: Vec<String> = ops.iter().map(|(f, value)| done(0, f, value)).collect();
        ops.join("\n")
    };
    let judged = |model: &str, initial: &str, text: &str, status: i32| {
        judge(&["linear", "--model", model, "--initial", initial], text).expect(status);
    };
    // Nothing was observed.
    judged("counter", "0", &counter(&[("add", &most), ("add", "1")]), 2);
    let there_and_back = [("add", &*most), ("add", &most), ("add", &format!("-{most}"))];
    judged("counter", "0", &counter(&[&there_and_back[..], &[("read", &most)]].concat()), 0);
    judged("counter", "0", &counter(&[&there_and_back[..], &[("read", "1")]].concat()), 1);
    let fetched = format!("[1,{most}]");
    judged("fetch-add", &most, &counter(&[("fetch-add", &fetched)]), 0);
    judged("fetch-add", &most, &counter(&[("fetch-add", &fetched), ("read", "-1")]), 1);
}

/// Forty cas at once, each from another value to another: an order of them is a walk that takes each once, and there
/// is none, as two lead to 0 more than away from it. All walks have to be tried.
fn hard() -> String {
    let pairs = (0..7).flat_map(|from| (0..7).map(move |to| (from, to)));
    let cas: Vec<String> = pairs
        .filter(|&(from, to)| from != to && (from, to) != (0, 1) && (from, to) != (0, 2))
        .map(|(from, to)| format!("[{from},{to}]"))
        .collect();
    let all = |kind: &'static str| {
        cas.iter().zip(0..).map(move |(value, process)| op(process, kind, "cas", value))
    };
    [done(50, "write", "0")]
        .into_iter()
        .chain(all("invoke"))
        .chain(all("ok"))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn a_budget_that_runs_out_is_unknown_in_time_and_says_which() {
    let began = Instant::now();
    let args = ["linear", "--model", "cas-register"];
    let time = judge(&[&args[..], &["--timeout", "300ms"]].concat(), &hard()).expect(2);
    assert!(began.elapsed() < SOON, "took {:?}", began.elapsed());
    assert!(time.stdout.contains("--timeout 300ms ran out after"), "{}", time.stdout);
    let memory = judge(&[&args[..], &["--memory", "64K"]].concat(), &hard()).expect(2);
    let said = "--memory 64K ran out after ";
    assert!(memory.stdout.contains(said), "{}", memory.stdout);
    assert!(memory.stdout.contains(" of 41 operations, at the "), "{}", memory.stdout);
}

/// Two interrupts that come at once are one: waits until the first one was taken, and that it ends nothing.
#[track_caller]
fn passed_over(running: &mut Running) {
    running.wait_until_it_has_taken(Signal::SIGINT);
    throughout(Duration::from_millis(300), "the interrupt is passed over", || running.is_running());
}

#[test]
fn the_first_interrupt_is_passed_over_on_a_pipe_and_the_second_ends() {
    let mut running = Running::start(histcheck().args(["--json"]));
    let mut stdin = running.stdin.take().unwrap();
    let text = stale();
    let (first, rest) = text.split_at(text.len() / 2);
    stdin.write_all(first.as_bytes()).unwrap();
    running.wait_until_it_catches(Signal::SIGINT);
    running.signal(Signal::SIGINT);
    passed_over(&mut running);
    stdin.write_all(rest.as_bytes()).unwrap();
    drop(stdin);
    let verdict = running.end(SOON).expect(1);
    assert_eq!(verdict.lines()[0]["counts"]["lines"], 8);

    let mut running = Running::start(&mut histcheck());
    let _held = running.stdin.take().unwrap();
    running.wait_until_it_catches(Signal::SIGINT);
    running.signal(Signal::SIGINT);
    passed_over(&mut running);
    running.signal(Signal::SIGINT);
    running.end(SOON).expect(130);
}

#[test]
fn a_reader_that_left_is_no_error() {
    let mut command = Command::new("bash");
    let line = format!(
        "set -o pipefail; yes '{}' | head -0; {} stats /dev/null /dev/null | true",
        "x",
        env!("CARGO_BIN_EXE_histcheck")
    );
    run(command.args(["-c", &line])).expect(0);
}

/// A history of these operations, one after the other.
fn in_turn(ops: &[(&str, &str)]) -> String {
    let lines = ops.iter().map(|&(f, value)| done(0, f, value));
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

fn linear(model: &str, more: &[&str], history: &str) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_histcheck"));
    command.args(["linear", "--model", model]).args(more);
    run_with(&mut command, history)
}

#[test]
fn every_model_reads_its_operations_and_tells_right_from_wrong() {
    type Ops = &'static [(&'static str, &'static str)];
    let cases: [(&str, Ops, Ops); 13] = [
        (
            "mutex",
            &[("acquire", "null"), ("release", "null")],
            &[("acquire", "1"), ("acquire", "1")],
        ),
        (
            "reentrant-mutex",
            &[("acquire", "1"), ("acquire", "1"), ("release", "1")],
            &[("acquire", "1"), ("release", "1"), ("release", "1")],
        ),
        (
            "fenced-mutex",
            &[("acquire", "1"), ("release", "null"), ("acquire", "5")],
            &[("acquire", "5"), ("release", "null"), ("acquire", "4")],
        ),
        (
            "semaphore:2",
            &[("acquire", "1"), ("acquire", "1")],
            &[("acquire", "1"), ("acquire", "1"), ("acquire", "1")],
        ),
        (
            "fifo-queue",
            &[
                ("enqueue", "1"),
                ("enqueue", "2"),
                ("dequeue", "1"),
                ("dequeue", "2"),
                ("dequeue", "null"),
            ],
            &[("enqueue", "1"), ("enqueue", "2"), ("dequeue", "2")],
        ),
        (
            "unordered-queue",
            &[("enqueue", "1"), ("enqueue", "2"), ("dequeue", "2")],
            &[("enqueue", "1"), ("dequeue", "null")],
        ),
        (
            "stack",
            &[("push", "1"), ("push", "2"), ("pop", "2"), ("pop", "1")],
            &[("push", "1"), ("push", "2"), ("pop", "1")],
        ),
        (
            "priority-queue",
            &[("insert", "7"), ("insert", "3"), ("extract", "3")],
            &[("insert", "7"), ("insert", "3"), ("extract", "7")],
        ),
        (
            "set",
            &[("add", "1"), ("contains", "[1,true]"), ("remove", "1"), ("read", "[]")],
            &[("add", "1"), ("contains", "[1,false]")],
        ),
        ("counter", &[("inc", "1"), ("read", "1")], &[("inc", "1"), ("read", "0")]),
        (
            "fetch-add",
            &[("fetch-add", "[3,0]"), ("read", "3")],
            &[("fetch-add", "[3,0]"), ("fetch-add", "[1,0]")],
        ),
        (
            "list-append",
            &[("append", "1"), ("append", "2"), ("read", "[1,2]")],
            &[("append", "1"), ("read", "[]")],
        ),
        (
            "kv-append",
            &[("put", "\"a\""), ("append", "\"b\""), ("get", "\"ab\"")],
            &[("put", "\"a\""), ("append", "\"b\""), ("get", "\"a\"")],
        ),
    ];
    for (model, good, bad) in cases {
        let run = linear(model, &[], &in_turn(good));
        assert_eq!(run.status, 0, "{model}: {}{}", run.stdout, run.stderr);
        let run = linear(model, &[], &in_turn(bad));
        assert_eq!(run.status, 1, "{model}: {}{}", run.stdout, run.stderr);
        assert!(
            run.stdout.contains("operations that show it, none of which can be left out"),
            "{model}: {}",
            run.stdout
        );
        assert!(run.stdout.contains("(line ") && !run.stdout.contains("{}"), "{}", run.stdout);
        let run = linear(model, &[], &in_turn(&[("fly", "null")]));
        assert_eq!(run.status, 65, "{model}: {}{}", run.stdout, run.stderr);
        assert!(run.stderr.contains("no operation \"fly\""), "{model}: {}", run.stderr);
    }
}

#[test]
fn registers_that_one_transaction_writes_change_together() {
    let good = in_turn(&[
        ("txn", r#"[["w","x",1],["w","y",1]]"#),
        ("txn", r#"[["r","x",1],["r","y",1]]"#),
        ("read", r#"{"x":1,"z":null}"#),
    ]);
    assert_eq!(linear("multi-register", &[], &good).status, 0);
    let bad = in_turn(&[("write", r#"{"x":1,"y":1}"#), ("read", r#"{"x":1,"y":null}"#)]);
    assert_eq!(linear("multi-register", &[], &bad).status, 1);
}

#[test]
fn a_table_is_a_model_and_a_wrong_one_is_named() {
    let folder = Folder::new("table");
    let table =
        folder.write("lock.model", "start free\nfree acquire * held\nheld release * free\n");
    let model = format!("@{table}");
    let good = in_turn(&[("acquire", "1"), ("release", "1"), ("acquire", "2")]);
    let run = linear(&model, &[], &good);
    assert_eq!(run.status, 0, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("linearizable as a lock"), "{}", run.stdout);
    let run = linear(&model, &[], &in_turn(&[("acquire", "1"), ("acquire", "2")]));
    assert_eq!(run.status, 1, "{}{}", run.stdout, run.stderr);
    folder.write("lock.model", "start free\nfree acquire held\n");
    let run = linear(&model, &[], &good);
    assert_eq!(run.status, 65, "{}", run.stderr);
    assert!(run.stderr.contains("line 2"), "{}", run.stderr);
    std::fs::remove_file(&table).unwrap();
    assert_eq!(linear(&model, &[], &good).status, 66);
    assert_eq!(linear("heap", &[], &good).status, 64);
}

#[test]
fn a_failed_cas_is_an_observation_only_where_that_is_asked_for() {
    let history = in_turn(&[("write", "1")])
        + &op(0, "invoke", "cas", "[1,2]")
        + "\n"
        + &op(0, "fail", "cas", "[1,2]")
        + "\n"
        + &in_turn(&[("read", "1")]);
    assert_eq!(linear("cas-register", &[], &history).status, 0);
    let run = linear("cas-register", &["--fail-observes"], &history);
    assert_eq!(run.status, 1, "{}", run.stdout);
    let asks = START.replace(r#""register""#, r#""cas-register","fail-observes":true"#);
    judge(&[], &format!("{asks}\n{history}{END}\n")).expect(1);
}

#[test]
fn an_order_is_written_and_verified_and_a_wrong_one_is_refused() {
    let folder = Folder::new("order");
    let order = folder.write("order.jsonl", "");
    let text = in_turn(&[("enqueue", "1"), ("enqueue", "2"), ("dequeue", "1")]);
    let history = folder.write("history.jsonl", &text);
    let run = linear("fifo-queue", &["--witness", &order], &text);
    assert_eq!(run.status, 0, "{}{}", run.stdout, run.stderr);
    let verify = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_histcheck"));
        command.args(["verify", "--model", "fifo-queue", "--witness"]).arg(&order).arg(&history);
        run_with(&mut command, "")
    };
    let run = verify();
    assert_eq!(run.status, 0, "{}{}", run.stdout, run.stderr);
    for (wrong, says) in [
        ("{\"line\":1}\n{\"line\":3}\n", "the order lacks it"),
        ("{\"line\":3}\n{\"line\":1}\n{\"line\":5}\n", "had ended before"),
        ("{\"line\":1}\n{\"line\":1}\n", "twice"),
    ] {
        std::fs::write(&order, wrong).unwrap();
        let run = verify();
        assert_eq!(run.status, 1, "{wrong}: {}{}", run.stdout, run.stderr);
        assert!(run.stdout.contains(says), "{wrong}: {}", run.stdout);
    }
    std::fs::write(&order, "{\"line\":2}\n").unwrap();
    assert_eq!(verify().status, 65);
}

#[test]
fn evidence_is_drawn_as_a_standalone_picture() {
    let folder = Folder::new("picture");
    let path = folder.file("evidence.svg");
    let bad = in_turn(&[("write", "1"), ("write", "2"), ("read", "1")]);
    let run = linear("register", &["--svg", path.to_str().unwrap()], &bad);
    assert_eq!(run.status, 1, "{}{}", run.stdout, run.stderr);
    let svg = std::fs::read_to_string(&path).unwrap();
    assert!(svg.starts_with("<svg xmlns=") && svg.ends_with("</svg>\n"), "{svg}");
    assert_eq!(svg.matches("<rect ").count(), 1 + 3, "{svg}");
}

#[test]
fn the_faults_in_force_around_the_evidence_are_drawn_with_it() {
    let fault = |f: &str| {
        format!(
            "{{\"process\":\"nemesis\",\"type\":\"info\",\"f\":\"{f}\",\"value\":{{\"id\":\"{f}\"}}}}"
        )
    };
    let text = [
        fault("start-early"),
        done(0, "write", "1"),
        fault("stop-early"),
        op(0, "invoke", "write", "2"),
        fault("start-partition"),
        op(0, "ok", "write", "2"),
        fault("kill"),
        done(1, "read", "1"),
        fault("stop-partition"),
        done(1, "read", "2"),
        fault("start-late"),
    ]
    .join("\n");
    let edn = judge(&["convert", "--to", "edn"], &text).expect(0).stdout;
    for history in [&text, &edn] {
        let run = judge(&["linear", "--model", "register"], history).expect(1);
        let row = |word: &str| run.stdout.lines().find(|line| line.trim().starts_with(word));
        let partition = row("partition").unwrap_or_else(|| panic!("{}", run.stdout));
        assert!(
            partition.contains("~~") && partition.contains("in force, lines 6 to 11"),
            "{}",
            run.stdout
        );
        assert!(
            row("kill").is_some_and(|kill| kill.ends_with("~     line 8") || kill.contains("~")),
            "{}",
            run.stdout
        );
        assert!(row("late").is_none(), "{}", run.stdout);
        let json = judge(&["linear", "--model", "register", "--json"], history).expect(1);
        let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
        let faults = json["keys"][0]["witness"]["faults"].as_array().unwrap();
        let partition = faults.iter().find(|fault| fault["kind"] == "partition").unwrap();
        assert_eq!((&partition["line"], &partition["stop_line"]), (&6.into(), &11.into()));
        assert!(!faults.iter().any(|fault| fault["kind"] == "late"), "{json}");
    }
    let without =
        judge(&["linear", "--model", "register"], &text.replace("nemesis", "other")).expect(1);
    assert!(!without.stdout.contains('~'), "{}", without.stdout);
    let folder = Folder::new("bands");
    let svg = folder.file("evidence.svg");
    judge(&["linear", "--model", "register", "--svg", &svg.display().to_string()], &text).expect(1);
    let drawn = std::fs::read_to_string(&svg).unwrap();
    assert!(drawn.contains("fill-opacity") && drawn.contains("in force, lines 6 to 11"), "{drawn}");
}

#[test]
fn an_order_names_operations_that_begin_on_one_line_apart() {
    let folder = Folder::new("one-line");
    let order = folder.file("order");
    let events: String = [(0, "write", "1"), (1, "read", "1"), (0, "write", "2")]
        .map(|(process, f, value)| {
            ["invoke", "ok"]
                .map(|kind| format!("{{:process {process} :type :{kind} :f :{f} :value {value}}}"))
                .concat()
        })
        .concat();
    // Where all events stood on one line they would be named by their own numbers.
    let history = folder.write("h.edn", events + "\n{:process 1 :type :invoke :f :read}\n");
    let linear = |check: &str| {
        let mut command = histcheck();
        command.args([check, "--model", "register", "--witness"]).arg(&order).arg(&history);
        command
    };
    run(&mut linear("linear")).expect(0);
    run(&mut linear("verify")).expect(0);
    let kept = std::fs::read_to_string(&order).unwrap();
    let swapped = kept
        .replace("\"operation\":0", "\"operation\":9")
        .replace("\"operation\":2", "\"operation\":0");
    std::fs::write(&order, swapped.replace("\"operation\":9", "\"operation\":2")).unwrap();
    run(&mut linear("verify")).expect(1);
    std::fs::write(&order, "{\"line\":1}\n").unwrap();
    let unsaid = run(&mut linear("verify")).expect(65);
    assert!(
        unsaid.stderr.contains("line 1: column 1: several operations begin"),
        "{}",
        unsaid.stderr
    );
    std::fs::write(&order, "{\"line\":1,\"operation\":3}\n").unwrap();
    let said = run(&mut linear("verify")).expect(65);
    assert!(said.stderr.contains("that operation does not begin at that line"), "{said:?}");
}

#[test]
fn one_answer_of_any_kind_is_enough_to_have_been_checked_with_an_order_wanted_or_not() {
    let folder = Folder::new("one-answer");
    let order = folder.file("order").display().to_string();
    let refused = format!("{}\n{}", op(1, "invoke", "cas", "[7,8]"), op(1, "fail", "cas", "[7,8]"));
    let unknown = format!("{}\n{}", op(1, "invoke", "cas", "[1,2]"), op(1, "info", "cas", "[1,2]"));
    let answers = [
        (0, done(1, "read", "1")),
        (0, done(1, "cas", "[1,2]")),
        (0, done(1, "cas", "[1,1]")),
        (0, refused),
        (2, unknown),
        (2, op(1, "invoke", "read", "null")),
        (2, done(1, "write", "2")),
    ];
    for (status, answer) in answers {
        let text = format!("{}\n{answer}\n", done(0, "write", "1"));
        let linear = ["linear", "--model", "cas-register"];
        for more in [&[][..], &["--follow"], &["--witness", &order]] {
            let said = judge(&[&linear[..], more].concat(), &text);
            assert_eq!(said.status, status, "{more:?} {text}{said:?}");
        }
    }
}

#[test]
fn what_the_model_does_not_have_is_refused_with_the_remedy() {
    let cas = format!("{}\n{}\n", done(0, "write", "1"), done(0, "cas", "[1,2]"));
    for more in [&[][..], &["--follow"]] {
        let said = judge(&[&["linear", "--model", "register"][..], more].concat(), &cas).expect(65);
        assert!(said.stderr.contains("take --model cas-register"), "{said:?}");
    }
    let list = format!("{}\n", done(0, "append", "1"));
    let said = judge(&["linear", "--model", "list-append", "--initial", "5"], &list).expect(64);
    assert!(said.stderr.contains("5"), "{said:?}");
    judge(&["linear", "--model", "semaphore:0"], &list).expect(64);
}

#[test]
fn what_a_history_and_its_name_say_steers_no_terminal_and_forges_no_line() {
    run(Command::new(env!("CARGO_BIN_EXE_histcheck")).arg(format!("--{}", hostile::TEXT)))
        .expect(64)
        .shows(r"\u{202e}");
    let folder = Folder::new("hostile");
    let value = serde_json::to_string(hostile::TEXT).unwrap();
    let text = format!("{}\n", done(0, "read", &format!("[{value},{value}]")));
    let name = format!("{}\nh.jsonl: linear: valid: 9 operations", hostile::TEXT);
    let file = folder.write(&name, text);
    let judge = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_histcheck"));
        command.args(["linear", "--model", "register", "--keyed", &file]).args(more);
        run(&mut command).expect(1)
    };
    let said = judge(&[]).shows(&format!("{}\\nh.jsonl: linear: valid", hostile::SHOWN));
    assert!(!said.stdout.contains("\nh.jsonl"), "{}", said.stdout);
    assert!(said.stdout.contains(r"\u{9b}31m"), "the key: {}", said.stdout);
    // Programs get it all as it is.
    let lines = judge(&["--json"]).lines();
    assert_eq!(lines[0]["file"].as_str(), Some(file.as_str()));
    assert_eq!(lines[0]["keys"][0]["key"].as_str(), Some(hostile::TEXT));
    let verdicts = folder.write("verdicts", judge(&["--json"]).stdout);
    let merged = run(Command::new(env!("CARGO_BIN_EXE_histcheck")).args(["merge", &verdicts]));
    merged.expect(1).shows(r"\nh.jsonl: linear: valid");
    let svg = folder.file("x.svg").display().to_string();
    judge(&["--svg", &svg]);
    let drawn = std::fs::read_to_string(svg).unwrap();
    assert!(
        drawn.contains(r"\u{202e}") && !drawn.contains(['\u{202e}', '\u{9b}', '\x1b']),
        "{drawn}"
    );
    let missing = run(Command::new(env!("CARGO_BIN_EXE_histcheck")).arg(hostile::TEXT)).expect(66);
    missing.shows(hostile::SHOWN);
}
