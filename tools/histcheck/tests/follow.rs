//! `--follow`: the same verdicts as of the whole history, and as soon as they are certain.

#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use breakit_tests::process::{Run, Running, run, run_with};
use breakit_tests::{Folder, Random};
use histcheck::budget::Budget;
use histcheck::checks::linear::Linear;
use histcheck::checks::{self, Asked, Check};
use histcheck::follow::{self, decider::Limits};
use histcheck::history::History;
use histcheck::linear::{Model, Question};
use histcheck::read::{self, Options};
use histcheck::verdict::{Answer, Verdict};
use nix::fcntl::OFlag;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::{Map, Value};

const LONG: Duration = Duration::from_secs(60);

/// By then it has started and read what there is, also on a busy machine.
const LATER: Duration = Duration::from_secs(2);

fn op(process: u64, kind: &str, f: &str, value: &str) -> String {
    format!("{{\"process\":{process},\"type\":\"{kind}\",\"f\":\"{f}\",\"value\":{value}}}\n")
}

fn done(process: u64, f: &str, value: &str) -> String {
    op(process, "invoke", f, value) + &op(process, "ok", f, value)
}

fn stale() -> String {
    done(0, "write", "1") + &done(0, "write", "2") + &done(1, "read", "1")
}

/// Writes and reads of the values `from` to `to`, all legal.
fn registers(from: u32, to: u32) -> String {
    let pair = |n: u32| done(0, "write", &n.to_string()) + &done(1, "read", &n.to_string());
    (from..to).map(pair).collect()
}

fn histcheck(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_histcheck"));
    command.args(args);
    command
}

const REGISTER: [&str; 4] = ["linear", "--follow", "--model", "register"];

fn send(running: &mut Running, text: &str) {
    // Who has found a violation reads no more.
    let _ = running.stdin.as_mut().unwrap().write_all(text.as_bytes());
}

/// Waits for the end of one whose input ends now.
fn end(mut running: Running) -> Run {
    running.stdin.take();
    running.end(LONG)
}

/// Waits for the end of one whose stdin stays open.
fn end_with_open_input(mut running: Running) -> Run {
    let open = running.stdin.take();
    let run = running.end(LONG);
    drop(open);
    run
}

#[test]
fn a_violation_ends_it_while_the_writer_still_writes_however_the_bytes_come() {
    let mut running = Running::start(&mut histcheck(&REGISTER));
    for piece in stale().as_bytes().chunks(7) {
        send(&mut running, std::str::from_utf8(piece).unwrap());
        std::thread::sleep(Duration::from_millis(2));
    }
    let said = end_with_open_input(running).expect(1);
    assert!(said.stdout.contains("read 1 (line 6) is stale"), "{said:?}");
    assert!(said.stdout.contains("process 1: read 1"), "{said:?}");
    assert!(said.stdout.contains("found when line 6 had come"), "{said:?}");
}

#[test]
fn what_an_open_operation_may_excuse_is_waited_for() {
    let mut running = Running::start(&mut histcheck(&REGISTER));
    send(&mut running, &op(5, "invoke", "write", "7"));
    send(&mut running, &(done(0, "write", "1") + &done(1, "read", "7") + &done(1, "read", "1")));
    send(&mut running, &done(0, "write", "2"));
    // The write may have come after write 2, so nothing is wrong yet.
    send(&mut running, &op(5, "ok", "write", "7"));
    let said = end(running).expect(1);
    assert!(said.stdout.contains("line 7"), "{said:?}");
}

#[test]
fn every_other_object_is_followed_too_and_by_search_where_values_come_again() {
    let violations = [
        ("stack", done(0, "push", "1") + &done(0, "push", "2") + &done(0, "pop", "1")),
        (
            "fifo-queue",
            done(0, "enqueue", "1") + &done(0, "enqueue", "2") + &done(0, "dequeue", "2"),
        ),
        ("mutex", done(0, "acquire", "null") + &done(1, "acquire", "null")),
        ("counter", done(0, "inc", "1") + &done(0, "read", "2")),
        ("cas-register", done(0, "write", "1") + &done(1, "write", "1") + &done(0, "read", "3")),
        (
            "register",
            done(0, "write", "1")
                + &done(1, "write", "2")
                + &done(1, "write", "1")
                + &done(1, "write", "2")
                + &done(0, "read", "1"),
        ),
    ];
    for (model, lines) in violations {
        let mut running = Running::start(&mut histcheck(&["linear", "--follow", "--model", model]));
        send(&mut running, &lines);
        let said = end_with_open_input(running).expect(1);
        assert!(said.stdout.contains("not linearizable"), "{model}: {said:?}");
        assert!(said.stdout.contains("no more of it was read"), "{model}: {said:?}");
    }
}

#[test]
fn a_violation_of_any_object_ends_it_though_it_began_long_ago_and_a_read_is_open() {
    let mut running = Running::start(&mut histcheck(&["linear", "--follow", "--model", "counter"]));
    let open = |process| op(process, "invoke", "read", "null");
    send(&mut running, &(open(9) + &done(0, "add", "1") + &open(1)));
    std::thread::sleep(LATER);
    send(&mut running, &op(1, "ok", "read", "5"));
    end_with_open_input(running).expect(1);
}

#[test]
fn one_bad_key_of_many_ends_it_and_the_report_shows_only_what_is_wrong() {
    let line = |line: String, key: u32| line.replace("\"f\"", &format!("\"key\":{key},\"f\""));
    let good: String = (0..50).map(|key| line(registers(0, 3), key)).collect();
    let mut running = Running::start(&mut histcheck(&REGISTER));
    send(&mut running, &(good + &line(stale(), 77)));
    let said = end_with_open_input(running).expect(1);
    assert!(said.stdout.contains("1 of 51 keys are not linearizable: 77"), "{said:?}");
}

#[test]
fn a_run_may_name_its_check_in_its_first_line() {
    let start = r#"{"process":"workload","type":"info","f":"start","value":{"check":[{"name":"linear","options":{"model":"register"}}],"nodes":["n1"]}}"#;
    let said = run_with(&mut histcheck(&["--follow"]), &format!("{start}\n{}", stale())).expect(1);
    assert!(said.stdout.contains("stale"), "{said:?}");
    let set = start.replace("linear", "set").replace(r#"{"model":"register"}"#, "{}");
    let said = run_with(&mut histcheck(&["--follow"]), &format!("{set}\n")).expect(64);
    assert!(said.stderr.contains("the check set"), "{said:?}");
    let said = run_with(&mut histcheck(&["--follow"]), &stale()).expect(64);
    assert!(said.stderr.contains("name a check"), "{said:?}");
}

#[test]
fn a_failed_cas_is_an_observation_of_a_followed_register_too_where_that_is_asked_for() {
    let refused = op(0, "invoke", "cas", "[1,2]") + &op(0, "fail", "cas", "[1,2]");
    let history = done(0, "write", "1") + &refused + &done(1, "read", "1");
    let follow = ["linear", "--follow", "--model", "cas-register"];
    run_with(&mut histcheck(&follow), &history).expect(0);
    run_with(histcheck(&follow).arg("--fail-observes"), &history).expect(1);
}

#[test]
fn what_cannot_be_followed_is_refused_with_the_remedy() {
    let folder = Folder::new("refused");
    let file = folder.write("h.jsonl", stale());
    let follow = |args: &[&str]| run(&mut histcheck(args)).expect(64).stderr;
    let said = follow(&[&REGISTER[..], &["--witness", "w", &file]].concat());
    assert!(said.contains("--witness needs the whole history"), "{said}");
    assert!(follow(&[&REGISTER[..], &[&file, &file]].concat()).contains("one history"));
    assert!(follow(&["stats", "--follow", &file]).contains("goes with linear"));
    follow(&["linear", "--stall", "5s", "--model", "register", &file]);
    let edn = "{:process 0, :type :invoke, :f :read, :value nil}\n";
    let said = run_with(&mut histcheck(&REGISTER), edn).expect(64);
    assert!(said.stderr.contains("is edn; convert it first"), "{said:?}");
    let packed = folder.write("h.gz", b"\x1f\x8b\x08\0\0\0\0\0");
    assert!(follow(&[&REGISTER[..], &[&packed]].concat()).contains("zcat"));
}

#[test]
fn a_file_is_followed_until_nobody_writes_it_any_more() {
    let folder = Folder::new("file");
    let path = folder.write("h.jsonl", "");
    let mut file = File::create(&path).unwrap();
    let mut running = Running::start(&mut histcheck(&[&REGISTER[..], &[&path]].concat()));
    // An empty file, and one that is open for writing, are waited on.
    std::thread::sleep(Duration::from_millis(300));
    file.write_all(registers(1, 4).as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    running.stdin.take();
    file.write_all(registers(4, 6).as_bytes()).unwrap();
    drop(file);
    let said = end(running).expect(0);
    assert!(said.stdout.contains("10 operations are linearizable"), "{said:?}");
}

#[test]
fn a_file_ends_with_the_last_line_of_its_run_and_with_the_first_interrupt() {
    let folder = Folder::new("end");
    let path = folder.write("h.jsonl", "");
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    let ended = r#"{"process":"workload","type":"info","f":"end","value":{"status":"done"}}"#;
    file.write_all(format!("{}{ended}\n", registers(1, 4)).as_bytes()).unwrap();
    run(&mut histcheck(&[&REGISTER[..], &[&path]].concat())).expect(0);

    std::fs::write(&path, registers(1, 4)).unwrap();
    let mut running = Running::start(&mut histcheck(&[&REGISTER[..], &["-v", &path]].concat()));
    std::thread::sleep(LATER);
    running.signal(Signal::SIGINT);
    running.stdin.take();
    let said = end(running).expect(2);
    assert!(said.stdout.contains("stopped by a signal"), "{said:?}");
    assert!(said.stdout.contains("without that: valid: 6 operations"), "{said:?}");
    drop(file);
}

#[test]
fn on_a_pipe_the_first_interrupt_is_passed_over_and_the_second_tells_what_was_decided() {
    let mut running = Running::start(&mut histcheck(&REGISTER));
    send(&mut running, &registers(1, 4));
    running.wait_until_it_catches(Signal::SIGINT);
    running.signal(Signal::SIGINT);
    std::thread::sleep(LATER);
    send(&mut running, &registers(4, 5));
    std::thread::sleep(LATER);
    running.signal(Signal::SIGINT);
    let said = end_with_open_input(running).expect(2);
    assert!(said.stdout.contains("without that: valid: 8 operations"), "{said:?}");
}

#[test]
fn a_writer_killed_in_the_middle_of_a_line_leaves_bad_input_or_a_line_dropped() {
    let cut = registers(1, 4) + "{\"process\":0,\"ty";
    let said = run_with(&mut histcheck(&REGISTER), &cut).expect(65);
    assert!(said.stderr.contains("line 13") && said.stderr.contains("--lenient"), "{said:?}");
    let said = run_with(histcheck(&REGISTER).arg("--lenient"), &cut).expect(0);
    assert!(said.stdout.contains("1 cut short and dropped"), "{said:?}");
    // What is wrong before it is wrong all the same.
    run_with(&mut histcheck(&REGISTER), &(stale() + "{\"pro")).expect(1);
}

#[test]
fn a_silent_operation_is_given_up_on_after_the_stall_and_not_before() {
    let history = |running: &mut Running, pause| {
        send(running, &op(9, "invoke", "read", "null"));
        send(running, &registers(1, 300));
        std::thread::sleep(pause);
        send(running, &registers(300, 600));
        std::thread::sleep(pause);
        // It began when 5 was still to come.
        send(running, &op(9, "ok", "read", "5"));
    };
    let mut running = Running::start(&mut histcheck(&REGISTER));
    history(&mut running, Duration::from_millis(10));
    end(running).expect(0);

    let mut running = Running::start(histcheck(&REGISTER).args(["--stall", "200ms"]));
    history(&mut running, Duration::from_millis(900));
    let said = end(running).expect(2);
    assert!(said.stdout.contains("too late to be weighed"), "{said:?}");
    assert!(said.stdout.contains("counted as of unknown outcome: 1 operation,"), "{said:?}");

    // One that never ends holds nothing up, and takes nothing back.
    let mut running = Running::start(histcheck(&REGISTER).args(["--stall", "200ms"]));
    send(&mut running, &op(9, "invoke", "read", "null"));
    send(&mut running, &registers(1, 300));
    std::thread::sleep(Duration::from_millis(600));
    send(&mut running, &registers(300, 600));
    end(running).expect(0);
}

#[test]
fn what_was_given_up_on_and_ends_otherwise_than_it_began_is_never_passed_for_valid() {
    // What it wrote was seen and forgotten by the time its end is known.
    let ends = [("write", "3", "fail", "3"), ("cas", "[1,3]", "fail", "[1,3]")];
    for (f, begun, kind, ended) in ends {
        let model = ["linear", "--follow", "--model", "cas-register", "--stall", "200ms"];
        let mut running = Running::start(histcheck(&model).args(["--initial", "1"]));
        send(&mut running, &op(9, "invoke", f, begun));
        send(&mut running, &done(0, "read", "3"));
        for values in [(10, 300), (300, 600)] {
            std::thread::sleep(Duration::from_millis(900));
            send(&mut running, &registers(values.0, values.1));
        }
        send(&mut running, &op(9, kind, f, ended));
        let said = end(running).expect(2);
        assert!(said.stdout.contains("too late to be weighed"), "{said:?}");
    }
}

#[test]
fn a_growing_index_is_the_order_of_the_lines_and_another_one_is_refused() {
    let indexed = |order: [u32; 6]| -> String {
        let lines = stale();
        let lines = lines.lines().zip(order);
        lines
            .map(|(line, at)| line.replacen('{', &format!("{{\"index\":{at},"), 1) + "\n")
            .collect()
    };
    run_with(&mut histcheck(&REGISTER), &indexed([1, 2, 3, 5, 8, 9])).expect(1);
    let said = run_with(&mut histcheck(&REGISTER), &indexed([1, 2, 5, 6, 3, 4])).expect(65);
    assert!(said.stderr.contains("line 5") && said.stderr.contains("--follow"), "{said:?}");
}

/// The most memory that a process had, in KiB.
fn most_memory(running: &Running) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}

/// A chain of cas from value to value, each read once.
fn chain(from: u32, to: u32) -> String {
    let pair = |n: u32| {
        let from = if n == 0 { "null".to_string() } else { (n - 1).to_string() };
        done(0, "cas", &format!("[{from},{n}]")) + &done(1, "read", &n.to_string())
    };
    (from..to).map(pair).collect()
}

#[test]
fn the_memory_that_a_register_takes_does_not_grow_with_its_history() {
    memory_stays(registers);
}

#[test]
fn the_memory_that_a_chain_of_cas_takes_does_not_grow_with_its_history() {
    memory_stays(chain);
}

fn memory_stays(lines: fn(u32, u32) -> String) {
    let after = |pairs: u32| {
        let mut running =
            Running::start(&mut histcheck(&["linear", "--follow", "--model", "cas-register"]));
        for from in (0..pairs).step_by(1000) {
            send(&mut running, &lines(from, from + 1000));
        }
        // All but what a pipe holds has been read by now.
        let memory = most_memory(&running);
        end(running).expect(0);
        memory
    };
    let (short, long) = (after(10_000), after(40_000));
    assert!(long < short + 2048, "{short} KiB, then {long} KiB");
}

/// A model with operations: their names, arguments and results.
type Calls = (&'static str, &'static [(&'static str, &'static str, &'static str)]);

const CALLS: [Calls; 17] = [
    (
        "register",
        &[("write", "1", "1"), ("write", "2", "2"), ("read", "null", "1"), ("read", "null", "2")],
    ),
    (
        "cas-register",
        &[
            ("write", "1", "1"),
            ("write", "2", "2"),
            ("cas", "[1,3]", "[1,3]"),
            ("cas", "[3,4]", "[3,4]"),
            ("read", "null", "1"),
            ("read", "null", "3"),
            ("read", "null", "4"),
        ],
    ),
    ("mutex", &[("acquire", "null", "null"), ("release", "null", "null")]),
    ("reentrant-mutex", &[("acquire", "null", "null"), ("release", "null", "null")]),
    (
        "fenced-mutex",
        &[("acquire", "null", "1"), ("acquire", "null", "2"), ("release", "null", "null")],
    ),
    ("semaphore:2", &[("acquire", "null", "null"), ("release", "null", "null")]),
    (
        "fifo-queue",
        &[
            ("enqueue", "1", "1"),
            ("enqueue", "2", "2"),
            ("dequeue", "null", "1"),
            ("dequeue", "null", "null"),
        ],
    ),
    (
        "unordered-queue",
        &[
            ("enqueue", "1", "1"),
            ("enqueue", "2", "2"),
            ("dequeue", "null", "1"),
            ("dequeue", "null", "2"),
        ],
    ),
    (
        "stack",
        &[("push", "1", "1"), ("push", "2", "2"), ("pop", "null", "1"), ("pop", "null", "2")],
    ),
    (
        "priority-queue",
        &[
            ("insert", "1", "1"),
            ("insert", "2", "2"),
            ("extract", "null", "1"),
            ("extract", "null", "2"),
        ],
    ),
    (
        "set",
        &[
            ("add", "1", "1"),
            ("remove", "1", "1"),
            ("contains", "1", "[1,true]"),
            ("contains", "1", "[1,false]"),
        ],
    ),
    (
        "counter",
        &[("inc", "1", "1"), ("dec", "1", "1"), ("read", "null", "1"), ("read", "null", "0")],
    ),
    (
        "fetch-add",
        &[("fetch-add", "1", "[1,0]"), ("fetch-add", "1", "[1,1]"), ("read", "null", "1")],
    ),
    (
        "list-append",
        &[
            ("append", "1", "1"),
            ("append", "2", "2"),
            ("read", "null", "[1]"),
            ("read", "null", "[1,2]"),
        ],
    ),
    (
        "kv-append",
        &[
            ("put", "\"a\"", "\"a\""),
            ("append", "\"b\"", "\"b\""),
            ("get", "null", "\"ab\""),
            ("get", "null", "\"a\""),
        ],
    ),
    (
        "multi-register",
        &[
            ("txn", "[[\"w\",1,1]]", "[[\"w\",1,1]]"),
            ("txn", "[[\"r\",1,null]]", "[[\"r\",1,1]]"),
            ("write", "{\"1\":2}", "{\"1\":2}"),
        ],
    ),
    ("@", &[("open", "null", "null"), ("close", "null", "null")]),
];

/// A random history of a model, with keys now and then.
fn random_history(random: &mut Random, calls: &Calls) -> String {
    let processes = 1 + random.index(4);
    let has_keys = random.index(4) == 0;
    let mut open: Vec<Option<(usize, usize)>> = vec![None; processes];
    let mut retired = vec![0; processes];
    let mut text = String::new();
    for _ in 0..2 + random.index(14) {
        let at = random.index(processes);
        let process = (at + processes * retired[at]) as u64;
        let (call, key, kind) = match open[at].take() {
            None => {
                let begun = (random.index(calls.1.len()), random.index(2));
                open[at] = Some(begun);
                (begun.0, begun.1, "invoke")
            }
            Some((call, key)) => {
                let kind = ["ok", "ok", "ok", "ok", "fail", "info"][random.index(6)];
                retired[at] += usize::from(kind == "info");
                (call, key, kind)
            }
        };
        let (f, argument, result) = calls.1[call];
        let line = op(process, kind, f, if kind == "ok" { result } else { argument });
        let key = format!("\"key\":{key},\"f\"");
        text += &if has_keys { line.replacen("\"f\"", &key, 1) } else { line };
    }
    text
}

fn decided(check: &dyn Check, history: &mut History) -> breakit::exit::Result<Verdict> {
    let budget = &Budget::start(LONG, 1 << 30);
    checks::decide(check, history, Asked { budget, each_key: true, writes: false })
}

/// The verdicts of the stream and of the whole, in words. The stream comes from `source`.
fn both(question: &Question, source: &Path, file: &Path, keyed: bool) -> (String, String) {
    let check: Arc<dyn Check> = Arc::new(Linear::new(question.clone()));
    let options = || Options { keyed, ..Options::default() };
    // Nothing is silent for so long.
    let limits = Limits { timeout: LONG, memory: 1 << 30, stall: keyed.then_some(LONG) };
    let stream = match follow::follow(source, Some(Arc::clone(&check)), true, options(), limits) {
        Ok((_, _, verdict)) => verdict.answer.word().to_string(),
        Err(error) => error.to_string(),
    };
    let whole =
        read::read_path(file, options()).and_then(|mut history| decided(&*check, &mut history));
    let whole = match whole {
        Ok(verdict) => verdict.answer.word().to_string(),
        Err(error) => error.to_string(),
    };
    (stream, whole)
}

#[test]
fn the_verdict_of_the_stream_is_that_of_the_whole_for_every_model() {
    let folder = Folder::new("models");
    let table = "start shut\nshut open * opened\nopened close * shut\n";
    let table = folder.write("door.model", table);
    let rounds = std::env::var("HISTCHECK_ORACLE").ok().and_then(|n| n.parse().ok()).unwrap_or(60);
    let mut random = Random(0x5EED);
    for calls in &CALLS {
        let model = Model::of(&calls.0.replace('@', &format!("@{table}"))).unwrap();
        let mut seen = HashMap::new();
        for _ in 0..rounds {
            let text = random_history(&mut random, calls);
            let file = folder.write("h.jsonl", &text);
            let question = Question::new(model.clone(), Value::Null);
            let (stream, whole) = both(&question, file.as_ref(), file.as_ref(), false);
            assert_eq!(stream, whole, "{}:\n{text}", calls.0);
            *seen.entry(whole).or_insert(0) += 1;
        }
        assert!(
            seen.contains_key("valid") && seen.contains_key("invalid"),
            "{}: {seen:?}",
            calls.0
        );
    }
}

/// A history whose lines say less, or something else, than those of [`random_history`].
struct Odd {
    text: String,
    /// The values are pairs with their keys.
    keyed: bool,
    /// A completion has another argument than its invocation.
    changed: bool,
}

/// What these put may be null, and their completion need not say it again.
const PUTS: [&str; 4] = ["write", "append", "add", "remove"];

fn odd_history(random: &mut Random, calls: &Calls) -> Odd {
    let text = random_history(random, calls);
    let mut lines: Vec<Map<String, Value>> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut open: HashMap<u64, usize> = HashMap::new();
    let mut changed = false;
    for at in 0..lines.len() {
        let process = lines[at]["process"].as_u64().unwrap();
        let Some(begun) = open.remove(&process) else {
            open.insert(process, at);
            // What it does is known only at its end, or never.
            let has_null = calls.0 != "counter" && random.below(4) == 0;
            if has_null && random.below(2) == 0 {
                lines[at].remove("value");
            } else if has_null {
                lines[at].insert("value".into(), Value::Null);
            }
            continue;
        };
        let (f, kind) = (lines[at]["f"].clone(), lines[at]["type"].clone());
        let argument = lines[begun].get("value").cloned();
        let is_put = PUTS.iter().any(|&put| f == put) && calls.0 != "counter";
        match argument {
            Some(Value::Null) if is_put && random.below(2) == 0 => {
                lines[at].insert("value".into(), Value::Null);
            }
            Some(_) if is_put && random.below(3) == 0 => drop(lines[at].remove("value")),
            Some(argument) if kind == "ok" && !argument.is_null() && random.below(8) == 0 => {
                let same: Vec<_> = calls.1.iter().filter(|call| f == call.0).collect();
                let other = serde_json::from_str(same[random.index(same.len())].2).unwrap();
                lines[at].insert("value".into(), other);
                changed = true;
            }
            _ => {}
        }
    }
    let keyed = lines.iter().any(|line| line.contains_key("key")) && random.below(2) == 0;
    let indexed = random.below(3) == 0;
    for (at, line) in lines.iter_mut().enumerate() {
        if keyed {
            let key = line.remove("key").unwrap_or_default();
            if line.contains_key("value") || line["type"] == "invoke" {
                let value = line.remove("value").unwrap_or_default();
                line.insert("value".into(), Value::from(vec![key, value]));
            }
        }
        if indexed {
            line.insert("index".into(), (3 * at).into());
        }
    }
    let text = lines.into_iter().map(|line| Value::from(line).to_string() + "\n").collect();
    Odd { text, keyed, changed }
}

/// Judges odd histories of a model, which come through a pipe with pauses in which decisions are made.
fn is_followed_however_odd(calls: &Calls, table: &str, rounds: usize) {
    let folder = Folder::new(&format!("odd-{}", calls.0.replace([':', '@'], "-")));
    let model = Model::of(&calls.0.replace('@', &format!("@{table}"))).unwrap();
    let mut random = Random(0x0DD + calls.0.len() as u64);
    for round in 0..rounds {
        let odd = odd_history(&mut random, calls);
        let file = folder.write("h.jsonl", &odd.text);
        let pipe = folder.file(&format!("pipe-{round}"));
        mkfifo(&pipe, Mode::S_IRWXU).unwrap();
        let mut question = Question::new(model.clone(), Value::Null);
        question.fail_observes = calls.0 == "cas-register" && random.below(3) == 0;
        let pauses: Vec<bool> = odd.text.lines().map(|_| random.below(8) == 0).collect();
        let (stream, whole) = std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut pipe = OpenOptions::new().write(true).open(&pipe).unwrap();
                for (line, &is_followed_by_a_pause) in odd.text.lines().zip(&pauses) {
                    // Who has found a violation reads no more.
                    let _ = pipe.write_all(format!("{line}\n").as_bytes());
                    if is_followed_by_a_pause {
                        std::thread::sleep(Duration::from_millis(130));
                    }
                }
            });
            both(&question, &pipe, file.as_ref(), odd.keyed)
        });
        let is_word = |answer: &str| ["valid", "invalid", "unknown"].contains(&answer);
        let is_right = match is_word(&whole) {
            // What an operation that is open would put is taken from its invocation; that its completion says
            // something else is refused.
            true => {
                let is_refused = stream.contains(" with another value than the invocation");
                stream == whole || odd.changed && (stream == "invalid" || is_refused)
            }
            // A violation may come before what is wrong with a line.
            false => !is_word(&stream) || stream == "invalid",
        };
        assert!(is_right, "{}: {stream}, but {whole}:\n{}", calls.0, odd.text);
    }
}

#[test]
fn what_is_null_or_missing_until_the_end_is_followed_as_the_whole_is_judged() {
    let folder = Folder::new("odd");
    let table = "start shut\nshut open * opened\nopened close * shut\n";
    let table = folder.write("door.model", table);
    let rounds = std::env::var("HISTCHECK_ORACLE").ok().and_then(|n| n.parse().ok()).unwrap_or(25);
    std::thread::scope(|scope| {
        let all: Vec<_> = CALLS
            .iter()
            .map(|calls| scope.spawn(|| is_followed_however_odd(calls, &table, rounds)))
            .collect();
        all.into_iter().for_each(|one| one.join().unwrap());
    });
}

/// Registers of which an end may say what the beginning did not.
const REGISTERS: [Calls; 2] = [
    (
        "register",
        &[
            ("write", "1", "1"),
            ("write", "2", "2"),
            ("write", "null", "3"),
            ("read", "null", "1"),
            ("read", "null", "2"),
            ("read", "null", "3"),
            ("read", "7", "null"),
        ],
    ),
    (
        "cas-register",
        &[
            ("write", "1", "1"),
            ("write", "null", "2"),
            ("cas", "[1,3]", "[1,3]"),
            ("cas", "[3,3]", "[3,3]"),
            ("cas", "null", "[3,4]"),
            ("read", "null", "1"),
            ("read", "null", "3"),
            ("read", "null", "4"),
            ("read", "null", "null"),
        ],
    ),
];

/// The verdict on lines that come one by one, each of them decided before the next; and on all of them together.
fn line_by_line(
    model: &Model,
    text: &str,
    stall: Option<Duration>,
) -> [Result<Verdict, String>; 2] {
    let question = Question::new(model.clone(), Value::Null);
    let check: Arc<dyn Check> = Arc::new(Linear::new(question));
    // Of a pipe of packets each read takes what one write put into it.
    let (read_end, write_end) = nix::unistd::pipe2(OFlag::O_DIRECT | OFlag::O_CLOEXEC).unwrap();
    let path = format!("/proc/self/fd/{}", read_end.as_raw_fd());
    let limits = Limits { timeout: LONG, memory: 1 << 30, stall };
    let stream = std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut pipe = File::from(write_end);
            // Who has found a violation reads no more.
            let _ =
                text.lines().try_for_each(|line| pipe.write_all(format!("{line}\n").as_bytes()));
        });
        let check = Some(Arc::clone(&check));
        let stream = follow::follow(path.as_ref(), check, true, Options::default(), limits);
        drop(read_end);
        stream
    });
    let whole = read::read("whole", std::io::Cursor::new(text.to_string()), Options::default())
        .and_then(|mut history| decided(&*check, &mut history));
    [stream.map(|(_, _, verdict)| verdict), whole].map(|found| found.map_err(|e| e.to_string()))
}

/// What a verdict says of each key that its engine does not decide.
fn said(verdict: &Verdict) -> String {
    let of_key = |key: &serde_json::Value| format!("{} {}", key["key"], key["operations"]);
    let mut keys: Vec<String> = match verdict.answer {
        // A stream ends with the violation.
        Answer::Invalid => Vec::new(),
        // Where nothing was there to be decided there are none.
        _ => {
            let all = verdict.keys.as_deref().unwrap_or("[]");
            serde_json::from_str::<Vec<Value>>(all).unwrap().iter().map(of_key).collect()
        }
    };
    keys.sort();
    format!("{}, {keys:?}", verdict.answer.word())
}

#[test]
fn the_verdict_of_a_register_is_that_of_the_whole_when_its_lines_come_one_by_one() {
    let rounds = std::env::var("HISTCHECK_ORACLE").ok().and_then(|n| n.parse().ok()).unwrap_or(300);
    let mut random = Random(0x11E);
    for calls in &REGISTERS {
        let model = Model::of(calls.0).unwrap();
        let (mut seen, mut late) = (std::collections::HashMap::new(), 0);
        for _ in 0..rounds {
            let text = random_history(&mut random, calls);
            let [stream, whole] = line_by_line(&model, &text, None);
            let Ok(whole) = whole else {
                // An open cas whose values nobody says is refused; the stream may end before it is.
                assert!(stream.map_or(true, |found| found.answer == Answer::Invalid), "{text}");
                continue;
            };
            assert_eq!(said(&stream.unwrap()), said(&whole), "{}:\n{text}", calls.0);
            // Where each open operation is given up on at once, the verdict is the same or not known.
            let [given_up, _] = line_by_line(&model, &text, Some(Duration::ZERO));
            let whole = whole.answer;
            let given_up = given_up.unwrap_or_else(|e| panic!("{e}:\n{text}")).answer;
            if given_up != whole {
                assert_eq!(given_up, Answer::Unknown, "{}: {whole:?}:\n{text}", calls.0);
                late += 1;
            }
            *seen.entry(whole.word()).or_insert(0) += 1;
        }
        let often = |word| seen.get(word).is_some_and(|&count| count > rounds / 20);
        assert!(often("valid") && often("invalid"), "{}: {seen:?}", calls.0);
        assert!(late < rounds / 2, "{late} of {rounds} were given up on");
    }
}

/// A register of which few operations overlap, long enough that most is forgotten. Each takes effect at its beginning
/// or at its end; near the end one read may find what was there `stale` changes before.
fn quiet_history(random: &mut Random, values: u32, stale: usize) -> String {
    let mut text = String::new();
    let mut open: [Option<(&str, String, String)>; 3] = Default::default();
    let mut names = [0, 1, 2];
    let mut held = vec!["null".to_string()];
    let act = |random: &mut Random, held: &mut Vec<String>, f: &str, nth: u32| {
        let now = held.last().unwrap().clone();
        let new = if values == 0 { nth } else { random.below(values) }.to_string();
        match f {
            "read" => (now.clone(), now),
            "write" => {
                held.push(new.clone());
                (new.clone(), new)
            }
            _ => {
                held.push(new.clone());
                let cas = format!("[{now},{new}]");
                (cas.clone(), cas)
            }
        }
    };
    for nth in 0..900 {
        let at = random.index(3);
        let others = (0..3).filter(|&other| other != at && open[other].is_some()).count();
        match open[at].take() {
            Some((f, _, result)) if result == "late" => {
                let (_, result) = act(random, &mut held, f, nth);
                text += &op(names[at], "ok", f, &result);
            }
            Some((f, argument, result)) => {
                let is_lost = f == "write" && random.below(60) == 0;
                let result = match f == "read" && nth > 850 && stale > 0 {
                    true => held[held.len().saturating_sub(stale + 1)].clone(),
                    false => result,
                };
                let kind = if is_lost { "info" } else { "ok" };
                text += &op(names[at], kind, f, if is_lost { &argument } else { &result });
                names[at] += u64::from(is_lost) * 3;
            }
            None if others > 0 && random.below(10) > 0 => {}
            None => {
                let f = ["read", "write", "cas"][random.index(3)];
                // Only what a read finds is not known when it begins.
                let is_late = f == "read" && random.below(2) == 0;
                let (argument, result) = match is_late {
                    true => ("null".to_string(), "late".to_string()),
                    false => act(random, &mut held, f, nth),
                };
                let shown = if f == "read" { "null" } else { &argument };
                text += &op(names[at], "invoke", f, shown);
                open[at] = Some((f, argument, result));
            }
        }
    }
    text
}

#[test]
fn a_long_register_of_which_little_overlaps_is_decided_as_the_whole_is() {
    let mut random = Random(0x9E7);
    let mut seen = HashMap::new();
    for round in 0..60 {
        let text = quiet_history(&mut random, [0, 0, 40][round % 3], [0, 1, 30][round / 3 % 3]);
        let [stream, whole] = line_by_line(&Model::of("cas-register").unwrap(), &text, None);
        let (stream, whole) = (stream.unwrap(), whole.unwrap());
        assert_eq!(said(&stream), said(&whole), "{text}");
        let [given_up, _] =
            line_by_line(&Model::of("cas-register").unwrap(), &text, Some(Duration::ZERO));
        let given_up = given_up.unwrap().answer;
        assert!([whole.answer, Answer::Unknown].contains(&given_up), "{given_up:?}: {text}");
        *seen.entry(whole.answer.word()).or_insert(0) += 1;
    }
    assert!(seen["valid"] > 10 && seen["invalid"] > 10, "{seen:?}");
}

#[test]
fn a_write_that_never_ended_and_was_seen_and_replaced_is_not_seen_again() {
    let others: String = (6..9)
        .map(|n| done(0, "write", &n.to_string()) + &done(1, "read", &n.to_string()))
        .collect();
    let lost = op(9, "invoke", "write", "5") + &op(9, "info", "write", "5");
    for replaced in ["", &others] {
        let text = done(0, "write", "1")
            + &lost
            + &done(1, "read", "5")
            + replaced
            + &done(1, "read", "5");
        let [stream, whole] = line_by_line(&Model::of("register").unwrap(), &text, None);
        let [stream, whole] = [stream, whole].map(|found| said(&found.unwrap()));
        assert_eq!(stream, whole, "{text}");
        assert_eq!(stream.starts_with("valid"), replaced.is_empty(), "{text}");
    }
}

#[test]
fn a_write_that_ends_with_another_key_than_it_began_with_is_judged_by_its_end() {
    let keyed = |line: String| line.replace('{', "{\"key\":8,");
    let other_key = op(0, "invoke", "write", "1") + &keyed(op(0, "ok", "write", "1"));
    for text in
        [other_key.clone() + &keyed(done(1, "read", "1")), other_key + &done(1, "read", "1")]
    {
        let [stream, whole] = line_by_line(&Model::of("register").unwrap(), &text, None);
        let [stream, whole] = [stream, whole].map(|found| found.map(|verdict| said(&verdict)));
        assert_eq!(stream.unwrap(), whole.unwrap(), "{text}");
    }
}

#[test]
fn a_write_that_was_seen_and_did_not_happen_ends_it_at_once() {
    let elsewhere = |line: String| line.replace('{', "{\"key\":8,");
    for (f, put, ended) in [
        ("write", "1", op(0, "fail", "write", "1")),
        ("write", "1", elsewhere(op(0, "ok", "write", "1"))),
        // There it was not legal either.
        ("cas", "[5,1]", elsewhere(op(0, "ok", "cas", "[5,1]"))),
    ] {
        let model = ["linear", "--follow", "--model", "cas-register"];
        let mut running = Running::start(&mut histcheck(&model));
        send(&mut running, &(op(0, "invoke", f, put) + &done(1, "read", "1")));
        std::thread::sleep(LATER);
        send(&mut running, &ended);
        end_with_open_input(running).expect(1);
    }
}

/// The verdict on lines that come one by one, where each open operation is given up on at once.
fn given_up(text: &str) -> Answer {
    let [stream, _] = line_by_line(&Model::of("cas-register").unwrap(), text, Some(Duration::ZERO));
    stream.unwrap_or_else(|e| panic!("{e}:\n{text}")).answer
}

#[test]
fn what_was_given_up_on_and_ends_as_it_began_is_weighed() {
    let writes: String = (10..100).map(|n| done(0, "write", &n.to_string())).collect();
    for (kind, f, value) in [("ok", "write", "1"), ("info", "cas", "[1,2]")] {
        let text = done(0, "read", "null") + &op(9, "invoke", f, value) + &writes;
        assert_eq!(given_up(&(text + &op(9, kind, f, value))), Answer::Valid, "{f} {kind}");
    }
    // What others wrote since may still be read after it: it may have come first.
    for value in ["1", "99"] {
        let text = op(9, "invoke", "write", "1") + &writes + &op(9, "ok", "write", "1");
        // The read is given up on too, and may be too late.
        assert_ne!(given_up(&(text + &done(1, "read", value))), Answer::Invalid, "read {value}");
    }
    // Nor is anything too late that was not given up on.
    for (kind, f, value) in [("ok", "write", "1"), ("fail", "write", "1"), ("fail", "cas", "[1,2]")]
    {
        let text = registers(10, 100) + &op(9, "invoke", f, value) + &op(9, kind, f, value);
        let [stream, _] = line_by_line(&Model::of("cas-register").unwrap(), &text, None);
        assert_eq!(stream.unwrap().answer, Answer::Valid, "{f} {kind}");
    }
}

#[test]
fn what_was_given_up_on_and_ends_at_another_key_is_never_passed_for_valid() {
    // At the key where it began its value was seen and forgotten; at the other one nothing is forgotten yet.
    let ended = op(9, "ok", "write", "1").replace('{', "{\"key\":8,");
    let writes: String = (10..100).map(|n| done(0, "write", &n.to_string())).collect();
    let text = op(9, "invoke", "write", "1") + &done(0, "read", "1") + &writes;
    assert_eq!(given_up(&(text + &ended)), Answer::Unknown);
}

#[test]
fn all_corpus_histories_of_lines_have_the_verdict_of_their_folder() {
    let corpus = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/histories");
    let mut count = 0;
    for verdict in ["valid", "invalid"] {
        let folder = corpus.join("linear").join(verdict);
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let names_its_check = text.lines().next().is_some_and(|l| l.contains("\"check\""));
            if path.extension().is_none_or(|e| e != "jsonl") || !names_its_check {
                continue;
            }
            let status = if verdict == "valid" { 0 } else { 1 };
            run(histcheck(&["--follow"]).arg(&path)).expect(status);
            count += 1;
        }
    }
    assert!(count > 3, "{count}");
}

#[test]
fn a_decision_made_again_and_again_still_comes_within_twice_the_history() {
    // Each value is written twice at once: a search.
    let twice = |n: u32| {
        op(0, "invoke", "write", &n.to_string())
            + &op(1, "invoke", "write", &n.to_string())
            + &op(0, "ok", "write", &n.to_string())
            + &op(1, "ok", "write", &n.to_string())
            + &done(2, "read", &n.to_string())
    };
    let good: String = (1..400).map(twice).collect();
    let mut running = Running::start(&mut histcheck(&REGISTER));
    send(&mut running, &(good + &done(2, "read", "5")));
    let began = Instant::now();
    let said = end_with_open_input(running).expect(1);
    assert!(said.stdout.contains("read 5"), "{said:?}");
    assert!(said.stdout.contains("decided by search"), "{said:?}");
    assert!(began.elapsed() < LONG);
}

#[test]
fn a_key_of_few_operations_takes_some_hundred_bytes() {
    let folder = Folder::new("follow-few");
    let line = |key: u32, kind: &str, f: &str| {
        format!(
            "{{\"process\":0,\"type\":\"{kind}\",\"f\":\"{f}\",\"key\":{key},\"value\":{key}}}\n"
        )
    };
    let two =
        |key: u32| ["write", "read"].map(|f| line(key, "invoke", f) + &line(key, "ok", f)).concat();
    let keys: String = (1..=60_000).map(two).collect();
    let path = folder.path().join("history.jsonl");
    std::fs::write(&path, keys).unwrap();
    // Beside what is not for --memory, that is 660 bytes a key.
    let path = path.to_str().unwrap();
    let decided = run(histcheck(&REGISTER).args(["--memory", "40M", path]));
    assert_eq!(decided.status, 0, "{decided:?}");
}

/// What a report says of an invalid key: the sentence and its picture.
fn evidence(report: &str) -> String {
    let lines = report.lines().skip_while(|line| !line.starts_with("    key "));
    lines.take_while(|line| !line.contains("lines read:")).collect::<Vec<_>>().join("\n")
}

/// What is kept is copied when most of what lies between is in vain; the cold keys then lie elsewhere than before.
#[test]
fn keys_that_rest_for_long_are_judged_with_what_they_did_before() {
    let of =
        |key: u32, text: String| text.replace("\"value\"", &format!("\"key\":{key},\"value\""));
    let mut text: String = (0..100).map(|key| of(key, registers(1, 40))).collect();
    for round in 0..4 {
        // Far more than is kept of all keys together, so that it is copied between.
        text += &of(1_000, registers(1 + round * 30_000, (round + 1) * 30_000));
        text += &of(round, done(3, "read", "39") + &done(3, "write", "77"));
    }
    // Key 2 saw 77 replace 39; key 50 has done nothing since the beginning.
    for (cold, read) in [(2, "39"), (50, "7")] {
        let folder = Folder::new("cold-keys");
        let all = text.clone() + &of(cold, done(4, "read", read));
        let name = &folder.write("history.jsonl", all);
        let followed = run(histcheck(&REGISTER).arg(name)).expect(1).stdout;
        let whole = run(histcheck(&["linear", "--model", "register"]).arg(name)).expect(1).stdout;
        assert!(followed.contains(&format!("read {read} ")), "{followed}");
        let followed = evidence(&followed);
        let followed = followed.split("\n    found when").next().unwrap();
        assert_eq!(followed, evidence(&whole), "key {cold}");
    }
}
