//! Limits that hold while a history is read and decided, and what a person sees meanwhile.

#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use breakit_tests::Folder;
use breakit_tests::process::{Run, run, shell};
use breakit_tests::pty::Terminal;

/// A history in a folder of its own, which goes with it.
struct History(Folder);

impl History {
    fn new(name: &str, write: impl FnOnce(&mut dyn Write)) -> History {
        let history = History(Folder::new(name));
        let file = std::fs::File::create(history.path()).unwrap();
        let mut file = std::io::BufWriter::new(file);
        write(&mut file);
        file.flush().unwrap();
        history
    }

    fn path(&self) -> PathBuf {
        self.0.file("history.jsonl")
    }

    fn decide(&self, options: &[&str]) -> Run {
        let mut command = Command::new(env!("CARGO_BIN_EXE_histcheck"));
        run(command.args(["linear", "--model", "register"]).args(options).arg(self.path()))
    }
}

/// Each value written and then read, `values` times.
fn register(to: &mut dyn Write, values: u32) {
    for value in 0..values {
        for (f, argument) in [("write", value.to_string()), ("read", "null".into())] {
            let line = |kind: &str, value: &str| {
                format!(r#"{{"process":0,"type":"{kind}","f":"{f}","value":{value}}}"#)
            };
            writeln!(to, "{}", line("invoke", &argument)).unwrap();
            writeln!(to, "{}", line("ok", &value.to_string())).unwrap();
        }
    }
}

/// Large enough for several threads.
const VALUES: u32 = 50_000;

#[test]
fn with_more_memory_a_decision_comes_farther_and_says_how_far() {
    let history = History::new("memory", |to| register(to, VALUES));
    let (mut reading, mut deciding, mut valid) = (0, 0, 0);
    for memory in (17..=24).map(|power| (1_u64 << power).to_string()) {
        let run = history.decide(&["--memory", &memory]);
        match run.status {
            0 => valid += 1,
            2 if run.stderr.contains("were read") => {
                assert_eq!((deciding, valid), (0, 0), "{run:?}");
                assert!(run.stderr.contains(" ran out when "), "{run:?}");
                assert!(run.stdout.contains("history.jsonl: linear: unknown: "), "{run:?}");
                reading += 1;
            }
            2 => {
                assert_eq!(valid, 0, "{run:?}");
                assert!(run.stdout.contains(": linear: unknown: --memory "), "{run:?}");
                deciding += 1;
            }
            _ => panic!("{run:?}"),
        }
    }
    assert!(reading > 0 && deciding > 0 && valid > 0, "{reading} {deciding} {valid}");
}

#[test]
fn a_history_of_ambiguous_values_is_not_copied_beyond_the_memory() {
    let history = History::new("copy", |to| (0..2).for_each(|_| register(to, VALUES / 2)));
    let run = history.decide(&["--memory", "8M"]).expect(2);
    assert!(run.stdout.contains("--memory 8M ran out before its 100000 operations"), "{run:?}");
    history.decide(&["--memory", "512M", "--timeout", "10m"]).expect(0);
}

#[test]
fn the_time_to_read_counts_too() {
    let history = History::new("time", |to| register(to, VALUES));
    let run = history.decide(&["--timeout", "1ms"]).expect(2);
    assert!(run.stderr.contains("--timeout 1ms ran out when "), "{run:?}");
    let json = history.decide(&["--timeout", "1ms", "--json"]).expect(2);
    assert_eq!(json.lines()[0]["valid"], "unknown");
}

#[test]
fn waiting_for_the_writer_of_a_pipe_is_not_the_time_of_a_check() {
    let path = History::new("pipe", |to| register(to, 10));
    let file = path.path().display().to_string();
    let line = format!(
        "(head -2 {file}; sleep 3; tail -n +3 {file}) | histcheck linear --timeout 2s --model register"
    );
    let run = run(&mut shell(&line)).expect(0);
    assert!(run.stdout.contains("linear: valid"), "{run:?}");
}

/// Long blank lines make a large file that even an unoptimized build reads at once.
fn large(to: &mut dyn Write) {
    register(to, 10);
    let blank = " ".repeat((1 << 16) - 1);
    (0..1100).for_each(|_| writeln!(to, "{blank}").unwrap());
}

#[test]
fn a_person_sees_how_far_the_reading_of_a_large_file_has_come_and_a_program_does_not() {
    let history = History::new("bar", large);
    let path = history.path().display().to_string();
    let line = format!("histcheck linear --model register {path}");
    let (status, screen) = Terminal::start(&line).end(Duration::from_secs(120));
    assert_eq!(status, 0, "{screen}");
    let verdict = screen.find("linear: valid").unwrap_or_else(|| panic!("{screen}"));
    let bar = screen.find("of 68.75 MiB").unwrap_or_else(|| panic!("{screen}"));
    assert!(bar < verdict, "{screen}");
    // It is gone before the verdict is told: the line is erased.
    assert!(screen[bar..verdict].contains("\x1b[2K"), "{screen:?}");
    let quiet = Terminal::start(&format!("{line} -q")).end(Duration::from_secs(120));
    assert!(quiet.1.contains("linear: valid") && !quiet.1.contains("MiB"), "{quiet:?}");
    let run = history.decide(&[]).expect(0);
    assert_eq!(run.stderr, "", "{run:?}");
}

/// A verdict on so many keys as `--json` prints it.
fn verdict(valid: bool, keys: usize) -> String {
    let key = r#"{"key":1234,"valid":true,"engine":"zones","operations":1000},"#;
    let keys = key.repeat(keys);
    let keys = keys.trim_end_matches(',');
    format!(
        "{{\"file\":\"s.jsonl\",\"check\":\"linear\",\"valid\":{valid},\"because\":\"so\",\"keys\":[{keys}],\"counts\":{{\"ok\":7}}}}\n"
    )
}

#[test]
fn what_merge_reads_is_held_by_the_limits_and_an_invalid_verdict_stands() {
    let folder = Folder::new("merge-limits");
    // Three times what the program may take beside --memory.
    let large = folder.write("large.jsonl", verdict(true, 50 * 16 * 1024));
    let bad = folder.write("bad.jsonl", verdict(false, 2));
    let merge = |options: &[&str], files: &[&String]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_histcheck"));
        run(command.arg("merge").args(options).args(files))
    };
    let whole = merge(&["--json", "--memory", "512M", "--timeout", "10m"], &[&large]).expect(0);
    assert_eq!(whole.lines()[0]["counts"]["ok"], 7);
    let memory = merge(&["--memory", "1M", "--timeout", "10m"], &[&large, &bad]).expect(2);
    let said = "unknown: --memory 1M ran out when 0 of 2 files had been read";
    assert!(memory.stdout.contains(said), "{memory:?}");
    let invalid = merge(&["--memory", "1M", "--timeout", "10m"], &[&bad, &large]).expect(1);
    assert!(invalid.stdout.contains("1 of 1 verdict invalid"), "{invalid:?}");
    let time = merge(&["--timeout", "1ns"], &[&bad]).expect(2);
    assert!(time.stdout.contains("unknown: --timeout 1ns ran out when 0 of 1"), "{time:?}");
    // Who waits for a pipe does not spend the time of the check.
    let line = format!("(sleep 3; cat {bad}) | histcheck merge --timeout 1s");
    run(&mut shell(&line)).expect(1);
}

/// A string that is put and got again and again; and at the end one that was put, appended to only after another had
/// been put, and got by who had begun before that.
fn replaced_too_early(to: &mut dyn Write, rounds: u32) {
    let mut line = |process: u32, kind: &str, f: &str, value: &str| {
        let what = format!(r#""process":{process},"type":"{kind}","f":"{f}","value":{value}"#);
        writeln!(to, "{{{what}}}").unwrap();
    };
    for round in 0..rounds {
        let text = format!("\"{round};\"");
        for (f, argument) in [("put", text.as_str()), ("get", "null")] {
            line(0, "invoke", f, argument);
            line(0, "ok", f, &text);
        }
    }
    line(0, "invoke", "put", "\"one;\"");
    line(0, "ok", "put", "\"one;\"");
    line(1, "invoke", "get", "null");
    for (f, value) in [("put", "\"other;\""), ("append", "\"more;\"")] {
        line(0, "invoke", f, value);
        line(0, "ok", f, value);
    }
    line(1, "ok", "get", "\"one;more;\"");
}

#[test]
fn of_a_long_string_that_was_replaced_too_early_each_operation_is_looked_up_and_not_searched_for() {
    let history = History::new("replaced", |to| replaced_too_early(to, 60_000));
    // The processor's time, which a busy machine does not stretch.
    let line = format!(
        "TIMEFORMAT=%U; time histcheck linear --timeout 10m --model kv-append {}",
        history.path().display()
    );
    let run = run(&mut shell(&line)).expect(1);
    assert!(run.stdout.contains("put \"one;\""), "{run:?}");
    let spent: f64 = run.stderr.trim().parse().unwrap();
    assert!(spent < 12.0, "{run:?}");
}

/// A line of one key of strings.
fn string(process: u64, kind: &str, f: &str, key: &str, value: &str) -> String {
    format!(
        "{{\"process\":{process},\"type\":\"{kind}\",\"f\":\"{f}\",\"key\":\"{key}\",\"value\":{value}}}\n"
    )
}

/// A key that no search decides in time: 26 appends at once of two strings, and a third in what was got.
fn slow(key: &str, from: u64) -> String {
    let appends = |kind: &str| -> String {
        let value = |n: u64| if n.is_multiple_of(2) { "\"b\"" } else { "\"a\"" };
        (0..26).map(|n| string(from + n, kind, "append", key, value(n))).collect()
    };
    let got = "\"ababababababababababababaa\"";
    appends("invoke")
        + &appends("ok")
        + &string(from, "invoke", "get", key, "null")
        + &string(from, "ok", "get", key, got)
}

/// A key that takes a search, as a string is written twice, and is quickly decided.
fn quick(key: &str, got: &str) -> String {
    let done = |f: &str, asked: &str, value: &str| {
        string(900, "invoke", f, key, asked) + &string(900, "ok", f, key, value)
    };
    done("append", "\"a\"", "\"a\"") + &done("append", "\"a\"", "\"a\"") + &done("get", "null", got)
}

#[test]
fn one_key_that_takes_too_long_hides_no_invalid_one_wherever_it_stands() {
    let (bad, good) = (quick("bad", "\"a\""), quick("good", "\"aa\""));
    for text in [
        bad.clone() + &slow("slow", 0),
        slow("slow", 0) + &bad,
        slow("slow", 0) + &good + &slow("slower", 100) + &bad + &slow("slowest", 200),
    ] {
        for follow in [&[][..], &["--follow"]] {
            let began = std::time::Instant::now();
            let mut command = Command::new(env!("CARGO_BIN_EXE_histcheck"));
            command.args(["linear", "--model", "kv-append", "--timeout", "300s"]).args(follow);
            let run = breakit_tests::process::run_with(&mut command, &text).expect(1);
            assert!(run.stdout.contains("keys are not linearizable: \"bad\""), "{run:?}");
            let aside = "key \"slow\": unknown: its search was given up, as another key is invalid";
            assert!(follow.len() == 1 || run.stdout.contains(aside), "{run:?}");
            assert!(began.elapsed() < Duration::from_secs(150), "{:?}", began.elapsed());
        }
    }
}

#[test]
fn keys_that_take_too_long_leave_time_to_those_that_do_not() {
    let text = slow("slow", 0) + &slow("slower", 100) + &quick("good", "\"aa\"");
    let mut command = Command::new(env!("CARGO_BIN_EXE_histcheck"));
    command.args(["linear", "--model", "kv-append", "--timeout", "2s", "--json"]);
    let run = breakit_tests::process::run_with(&mut command, &text).expect(2);
    let keys = run.lines()[0]["keys"].clone();
    assert_eq!(keys[2]["valid"], true, "{keys}");
    let because = keys[0]["because"].as_str().unwrap();
    assert!(because.starts_with("--timeout 2s ran out"), "{because}");
}

#[test]
fn a_search_forgets_what_is_over_in_a_sequential_history() {
    let history = History::new("sequential", |to| {
        let mut line = |kind: &str, f: &str, value: &str| {
            writeln!(to, r#"{{"process":0,"type":"{kind}","f":"{f}","value":{value}}}"#).unwrap();
        };
        let elements: Vec<String> = (0..5_000).map(|element| element.to_string()).collect();
        for element in &elements {
            line("invoke", "add", element);
            line("ok", "add", element);
        }
        line("invoke", "read", "null");
        line("ok", "read", &format!("[{}]", elements.join(",")));
        // Of unknown outcome, and never of use: it keeps the way that the search took.
        line("invoke", "add", "5000");
    });
    let order = history.0.file("order").display().to_string();
    for options in [&["--memory", "20M"][..], &["--memory", "20M", "--witness", &order]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_histcheck"));
        command.args(["linear", "--model", "set"]).args(options).arg(history.path());
        let found = run(&mut command).expect(0);
        assert!(found.stdout.contains("decided by search"), "{found:?}");
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_histcheck"));
    command.args(["verify", "--model", "set", "--witness", &order]).arg(history.path());
    run(&mut command).expect(0);
}

#[test]
fn the_memory_holds_within_a_line_that_is_followed_too() {
    // The values of this line take many times its bytes before it is an event.
    let values: Vec<String> = (0..700_000).map(|n| format!("\"{n}\"")).collect();
    let line = format!(
        "{{\"process\":0,\"type\":\"invoke\",\"f\":\"add\",\"value\":[{}]}}\n",
        values.join(",")
    );
    let folder = Folder::new("follow-memory");
    let file = folder.write("long.jsonl", line);
    let mut command = Command::new(env!("CARGO_BIN_EXE_histcheck"));
    let args = ["linear", "--model", "set", "--follow", "--memory", "1M"];
    let run = run(command.args(args).arg(file));
    assert_eq!(run.status, 2, "{run:?}");
    assert!(run.stderr.contains("--memory ran out while a history was read"), "{run:?}");
    assert!(run.stdout.contains("unknown: a limit was reached while it was read"), "{run:?}");
}
