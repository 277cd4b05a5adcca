//! What must not change a verdict, and does not: other names, other times, operations that took longer, one
//! thread or two, a file or a pipe, packed or plain, whole or in shards, in whatever order files are named.
//!
//! The histories are random ones of every model, each with a key of its own, so that every key is an assertion.

#![allow(clippy::unwrap_used)]

mod spec;

use std::collections::BTreeMap;
use std::io::Write;
use std::process::Command;

use breakit_tests::process::{Run, run, run_with};
use breakit_tests::{Folder, skip};
use serde_json::{Value, json};
use spec::written::written;
use spec::{Fate, MODELS, Made, NEVER, Random, Spec};

/// The binary in a folder of its own, asked about one model.
struct Bench<'s> {
    folder: Folder,
    spec: &'s Spec,
}

impl<'s> Bench<'s> {
    fn new(name: &str, spec: &'s Spec) -> Bench<'s> {
        let folder = Folder::new(name);
        folder.write(spec::TABLE_FILE, spec::TABLE);
        Bench { folder, spec }
    }

    /// `histcheck linear --json` of files.
    fn linear(&self, files: &[&str]) -> Run {
        run(self.command(env!("CARGO_BIN_EXE_histcheck")).args(files))
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.folder.path());
        if program != env!("CARGO_BIN_EXE_histcheck") {
            command.args(["-c", "0", env!("CARGO_BIN_EXE_histcheck")]);
        }
        command.args(["linear", "--json"]).args(self.spec.options());
        command
    }

    /// The verdict on each key of a history.
    fn keys(&self, text: &str) -> BTreeMap<String, Value> {
        self.folder.write("history.jsonl", text);
        keys(&self.linear(&["history.jsonl"]))
    }
}

/// The verdict on each key, of all files.
fn keys(run: &Run) -> BTreeMap<String, Value> {
    assert!(run.status < 3, "{}", run.stderr);
    let told: Vec<Value> = run.lines();
    let all = told.iter().flat_map(|verdict| verdict["keys"].as_array().unwrap());
    all.map(|key| (key["key"].to_string(), key["valid"].clone())).collect()
}

/// Random histories, valid and not.
fn histories(spec: &Spec, seed: u64, count: usize) -> Vec<Vec<Made>> {
    let mut random = Random(0xCAFE + seed);
    (0..count).map(|_| spec::random_history(spec, &mut random, 8)).collect()
}

fn text(spec: &Spec, histories: &[Vec<Made>]) -> String {
    written(spec, histories, &mut Random(11)).text
}

/// Each line of a history changed.
fn changed(text: &str, mut change: impl FnMut(&mut Value)) -> String {
    let line = |line: &str| {
        let mut value: Value = serde_json::from_str(line).unwrap();
        change(&mut value);
        format!("{value}\n")
    };
    text.lines().map(line).collect()
}

/// Calls `test` with each model, its histories, and the verdicts on them as they are.
fn with_every_model(name: &str, test: impl Fn(&Bench<'_>, &str, &BTreeMap<String, Value>)) {
    for &model in MODELS {
        let spec = spec::spec(model);
        let bench = Bench::new(name, &spec);
        let text = text(&spec, &histories(&spec, name.len() as u64, 60));
        let before = bench.keys(&text);
        assert!(before.len() > 40, "{model}: {} keys", before.len());
        test(&bench, &text, &before);
    }
}

#[test]
fn other_names_of_processes_and_keys_change_no_verdict() {
    with_every_model("names", |bench, text, before| {
        let renamed = changed(text, |line| {
            let process = line["process"].as_i64().unwrap();
            line["process"] = (process * 7919 % 1_000_003).into();
            line["key"] = json!({"key": [line["key"], "of many"]});
        });
        let after = bench.keys(&renamed);
        let named: BTreeMap<String, Value> = before
            .iter()
            .map(|(key, valid)| (format!("{{\"key\":[{key},\"of many\"]}}"), valid.clone()))
            .collect();
        assert_eq!(after, named, "{}", bench.spec.model);
    });
}

#[test]
fn other_names_of_values_change_no_verdict() {
    let names = [json!("one"), json!(-99), json!({"a": [1.5, true]})];
    let plain = [
        "register",
        "cas-register",
        "fifo-queue",
        "unordered-queue",
        "stack",
        "set",
        "list-append",
    ];
    with_every_model("values", |bench, text, before| {
        let is_ordered = bench.spec.model == "priority-queue";
        let is_free =
            plain.contains(&bench.spec.model.as_str()) && bench.spec.begins_with.is_none();
        if !is_free && !is_ordered {
            return;
        }
        let other = |value: &Value| match value.as_u64() {
            // The order of priorities stays.
            Some(v) if is_ordered => json!(i64::MAX - 30 + v as i64 * 10),
            Some(v) => names[v as usize - 1].clone(),
            None => value.clone(),
        };
        let renamed = changed(text, |line| {
            line["value"] = match line["value"].take() {
                Value::Array(items) => items.iter().map(other).collect(),
                single => other(&single),
            };
        });
        assert_eq!(&bench.keys(&renamed), before, "{}", bench.spec.model);
    });
}

#[test]
fn times_change_no_verdict() {
    with_every_model("times", |bench, text, before| {
        for (from, step) in [(0, 1_000), (1 << 60, 1), (9_000_000_000, -1_000)] {
            let mut time: i64 = from;
            let timed = changed(text, |line| {
                time += step;
                line["time"] = time.into();
            });
            assert_eq!(&bench.keys(&timed), before, "{} from {from}", bench.spec.model);
        }
    });
}

/// An operation that began earlier, or ended later, could have done all that it could before.
#[test]
fn wider_operations_leave_a_valid_history_valid() {
    let mut random = Random(0x91DE);
    for &model in MODELS {
        let spec = spec::spec(model);
        let valid =
            |made: &Vec<Made>| spec::is_linearizable(&spec, &spec.initial, &spec::ops(&spec, made));
        let mut all: Vec<Vec<Made>> = histories(&spec, 5, 200).into_iter().filter(valid).collect();
        let widened: usize = all.iter_mut().map(|made| usize::from(widen(made, &mut random))).sum();
        assert!(widened > 20, "{model}: {widened}");
        let bench = Bench::new("wider", &spec);
        for (key, verdict) in bench.keys(&text(&spec, &all)) {
            assert_ne!(verdict, false, "{model}: {key}: {all:?}");
        }
    }
}

/// Widens one operation as far as its process lets it; false where there is none to widen.
fn widen(made: &mut [Made], random: &mut Random) -> bool {
    // Places for new beginnings and ends between the old ones.
    for op in made.iter_mut() {
        op.inv *= 2;
        op.res = if op.res == NEVER { NEVER } else { op.res * 2 };
    }
    let ok: Vec<usize> = (0..made.len()).filter(|&at| made[at].fate == Fate::Ok).collect();
    if ok.is_empty() {
        return false;
    }
    let at = ok[random.below(ok.len() as u32) as usize];
    let same = || made.iter().filter(|op| op.process == made[at].process);
    let end = same().map(|op| op.inv).filter(|&inv| inv > made[at].res).min();
    let begin = same()
        .map(|op| if op.res == NEVER { op.inv } else { op.res })
        .filter(|&res| res < made[at].inv)
        .max();
    made[at].res = end.map_or(1000, |inv| inv - 1);
    made[at].inv = begin.map_or(1, |res| res + 1);
    true
}

#[test]
fn shards_together_say_what_the_whole_says_of_each_key() {
    with_every_model("shards", |bench, _, before| {
        let split = ["split", "--shards", "5", "--into", "shards", "history.jsonl"];
        let mut histcheck = Command::new(env!("CARGO_BIN_EXE_histcheck"));
        let made = run(histcheck.current_dir(bench.folder.path()).args(split)).expect(0);
        let files: Vec<&str> = made.stdout.lines().collect();
        let verdicts = bench.linear(&files);
        assert_eq!(&keys(&verdicts), before, "{}", bench.spec.model);
        let backwards: Vec<&str> = files.iter().rev().copied().collect();
        let again = bench.linear(&backwards);
        assert_eq!(again.status, verdicts.status, "{}", bench.spec.model);
        let sorted = |run: &Run| {
            let mut lines: Vec<String> = run.stdout.lines().map(str::to_string).collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(&again), sorted(&verdicts), "in another order: {}", bench.spec.model);
    });
}

#[test]
fn packed_or_through_a_pipe_a_history_has_the_same_report() {
    with_every_model("packed", |bench, text, _| {
        let plain = bench.linear(&["history.jsonl"]);
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(text.as_bytes()).unwrap();
        bench.folder.write("history.jsonl.gz", packer.finish().unwrap());
        let packed = bench.linear(&["history.jsonl.gz"]);
        let piped = run_with(&mut bench.command(env!("CARGO_BIN_EXE_histcheck")), text);
        for (other, name) in [(packed, "history.jsonl.gz"), (piped, "stdin")] {
            assert_eq!(other.status, plain.status);
            assert_eq!(
                other.stdout.replace(name, "history.jsonl"),
                plain.stdout,
                "{}",
                bench.spec.model
            );
        }
    });
}

/// Long enough to be read in parts and decided by two threads; most keys are valid, as evidence takes its time.
fn long(spec: &Spec) -> String {
    let is_valid =
        |made: &Vec<Made>| spec::is_linearizable(spec, &spec.initial, &spec::ops(spec, made));
    let (valid, invalid): (Vec<_>, Vec<_>) =
        histories(spec, 17, 400).into_iter().partition(is_valid);
    let mut all = invalid;
    while all.iter().map(Vec::len).sum::<usize>() < 22_000 {
        all.extend(valid.iter().cloned());
    }
    let remark = "r".repeat(200);
    changed(&text(spec, &all), |line| line["remark"] = remark.as_str().into())
}

#[test]
fn one_thread_and_two_print_the_same_bytes() {
    if !breakit_tests::has("taskset") {
        skip!("no taskset; install the package util-linux");
    }
    if std::thread::available_parallelism().map_or(1, usize::from) < 2 {
        skip!("one processor only");
    }
    for model in ["cas-register", "unordered-queue"] {
        let spec = spec::spec(model);
        let bench = Bench::new("threads", &spec);
        let text = long(&spec);
        assert!(text.len() > 8 << 20, "{} bytes are read by one thread", text.len());
        bench.folder.write("history.jsonl", &text);
        let two = bench.linear(&["history.jsonl"]);
        let one = run(bench.command("taskset").arg("history.jsonl"));
        assert_eq!((one.status, one.stderr), (two.status, two.stderr));
        assert!(one.stdout == two.stdout, "{model}: the reports differ");
        // Through a pipe it is read in one part.
        let piped = run_with(&mut bench.command(env!("CARGO_BIN_EXE_histcheck")), &text);
        let piped = piped.stdout.replacen("\"file\":\"stdin\"", "\"file\":\"history.jsonl\"", 1);
        assert!(piped == two.stdout, "{model}: the reports differ through a pipe");
    }
}
