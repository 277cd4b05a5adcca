//! `--memory` and `--timeout` hold for every model and every check: on histories that take much of either, the answer
//! comes in time, and no process grows beyond what it was given. Alone in its file, as what children took is known of
//! the greatest of them only.

#![allow(clippy::unwrap_used)]

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use breakit_tests::process::{Run, run, shell};
use histcheck::budget::{Budget, Exhausted};
use histcheck::memory::BESIDE;
use nix::sys::resource::{UsageWho, getrusage};

/// A history, written operation by operation.
#[derive(Default)]
struct History {
    text: String,
    processes: u32,
}

impl History {
    fn line(&mut self, process: u32, kind: &str, f: &str, value: &str) {
        let what = format!(r#""process":{process},"type":"{kind}","f":"{f}","value":{value}"#);
        writeln!(self.text, "{{{what}}}").unwrap();
    }

    /// One that begins and ends before anything else happens.
    fn alone(&mut self, f: &str, argument: &str, result: &str) {
        self.line(0, "invoke", f, argument);
        self.line(0, "ok", f, result);
    }

    /// One that ends when [`History::end`] says so.
    fn begin(&mut self, f: &str, argument: &str) -> u32 {
        self.processes += 1;
        self.line(self.processes, "invoke", f, argument);
        self.processes
    }

    fn end(&mut self, process: u32, f: &str, result: &str) {
        self.line(process, "ok", f, result);
    }

    /// Many at once.
    fn together(&mut self, all: &[(&str, &str, &str)]) {
        let begun: Vec<u32> = all.iter().map(|(f, argument, _)| self.begin(f, argument)).collect();
        for (process, (f, _, result)) in begun.into_iter().zip(all) {
            self.end(process, f, result);
        }
    }
}

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let folder = format!("histcheck-memory-{}-{name}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// From a pipe, so that the time to read it is not the time of the check.
fn decide(folder: &Path, check: &str, history: &str, options: &str) -> (Run, Duration) {
    let path = folder.join("history.jsonl");
    std::fs::write(&path, history).unwrap();
    let began = Instant::now();
    let line = format!("cat {} | histcheck {check} {options}", path.display());
    (run(&mut shell(&line)), began.elapsed())
}

/// What no process took more than, in bytes.
fn most_resident() -> usize {
    getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss() as usize * 1024
}

/// What happens in one round, by its number.
type Round = fn(&mut History, u32);

/// Each model, and what one copy of it does in a round.
fn rounds(folder: &Path) -> Vec<(String, Round)> {
    let table = folder.join("door.model");
    std::fs::write(&table, "start shut\nshut open * wide\nwide close * shut\n").unwrap();
    let lock: Round = |h, _| {
        h.alone("acquire", "null", "null");
        h.alone("release", "null", "null");
    };
    let queue: Round = |h, n| {
        h.alone("enqueue", &n.to_string(), &n.to_string());
        h.alone("dequeue", "null", &n.to_string());
    };
    let plain: [(&str, Round); 16] = [
        ("register", |h, n| {
            h.alone("write", &n.to_string(), &n.to_string());
            h.alone("read", "null", &n.to_string());
        }),
        ("cas-register", |h, n| {
            let value = (n % 5).to_string();
            h.alone("write", &value, &value);
            h.alone("read", "null", &value);
        }),
        ("mutex", lock),
        ("reentrant-mutex", lock),
        ("semaphore:2", lock),
        ("fenced-mutex", |h, n| {
            h.alone("acquire", "null", &n.to_string());
            h.alone("release", "null", "null");
        }),
        ("fifo-queue", queue),
        ("unordered-queue", queue),
        ("stack", |h, n| {
            h.alone("push", &n.to_string(), &n.to_string());
            h.alone("pop", "null", &n.to_string());
        }),
        ("priority-queue", |h, n| {
            h.alone("insert", &n.to_string(), &n.to_string());
            h.alone("extract", "null", &n.to_string());
        }),
        ("set", |h, n| {
            h.alone("add", &n.to_string(), &n.to_string());
            h.alone("contains", &n.to_string(), &format!("[{n},true]"));
        }),
        ("counter", |h, n| {
            h.alone("inc", "1", "1");
            h.alone("read", "null", &(n + 1).to_string());
        }),
        ("fetch-add", |h, n| {
            h.alone("fetch-add", "1", &format!("[1,{n}]"));
            h.alone("read", "null", &(n + 1).to_string());
        }),
        ("list-append", |h, n| {
            h.alone("append", &n.to_string(), &n.to_string());
            if n == 0 {
                h.alone("read", "null", "[0]");
            }
        }),
        ("kv-append", |h, n| {
            h.alone("put", &format!("\"{n};\""), &format!("\"{n};\""));
            h.alone("get", "null", &format!("\"{n};\""));
        }),
        ("multi-register", |h, n| {
            let value = format!(r#"{{"x":{n}}}"#);
            h.alone("write", &value, &value);
            h.alone("read", "null", &value);
        }),
    ];
    let mut all: Vec<(String, Round)> =
        plain.iter().map(|(model, round)| (format!("linear --model {model}"), *round)).collect();
    all.push((format!("linear --model @{}", table.display()), |h, _| {
        h.alone("open", "null", "null");
        h.alone("close", "null", "null");
    }));
    let set: Round = |h, n| {
        h.alone("add", &n.to_string(), &n.to_string());
        if n == 0 {
            h.alone("read", "null", "[0]");
        }
    };
    all.push(("set".into(), set));
    all.push(("stats".into(), set));
    all
}

/// Histories that need a search, and a large one: what a structure holds is part of each state.
fn hard() -> Vec<(&'static str, History)> {
    let mut hard = Vec::new();
    for (model, put, take) in [
        ("fifo-queue", "enqueue", "dequeue"),
        ("unordered-queue", "enqueue", "dequeue"),
        ("stack", "push", "pop"),
        ("priority-queue", "insert", "extract"),
    ] {
        let mut history = History::default();
        // Takes of unknown outcome, and values that were put twice.
        for n in 0..3_000 {
            let value = (n / 2).to_string();
            if n % 100 == 0 {
                history.begin(take, "null");
            }
            history.together(&[(put, &value, &value), (put, &value, &value)]);
        }
        history.together(&[(take, "null", "7"), (take, "null", "9"), (take, "null", "7")]);
        hard.push((model, history));
    }
    let mut set = History::default();
    for n in 0..3_000 {
        let (one, other) = (n.to_string(), (n + 10_000).to_string());
        set.together(&[("add", &one, &one), ("add", &other, &other), ("remove", &one, &one)]);
        if n % 10 == 0 {
            set.begin("remove", &other);
        }
    }
    set.alone("read", "null", "[1,2,3]");
    hard.push(("set", set));
    let mut list = History::default();
    let mut register = History::default();
    let mut counter = History::default();
    let mut cas = History::default();
    let mut semaphore = History::default();
    for n in 0..3_000_u32 {
        let value = (n / 2).to_string();
        list.together(&[("append", &value, &value), ("append", "7", "7")]);
        let (x, y) = (format!(r#"{{"x":{n}}}"#), format!(r#"{{"y{n}":{n}}}"#));
        register.together(&[("write", &x, &x), ("write", &y, &y), ("write", &x, &x)]);
        counter.begin("add", &(1_u64 << (n % 60)).to_string());
        counter.alone("add", "3", "3");
        cas.begin("cas", &format!("[{},{}]", n % 7, n % 5));
        cas.alone("write", &(n % 5).to_string(), &(n % 5).to_string());
        semaphore.line(1_000_000 + n, "invoke", "acquire", "null");
        semaphore.line(1_000_000 + n, "info", "acquire", "null");
        semaphore.line(1_000_000 + n, "invoke", "acquire", "null");
        semaphore.line(1_000_000 + n, "ok", "acquire", "null");
        semaphore.line(1_000_000 + n, "invoke", "release", "null");
    }
    list.alone("read", "null", "[7,7]");
    register.alone("read", "null", r#"{"x":1}"#);
    counter.alone("read", "null", "12345678901");
    cas.alone("read", "null", "6");
    hard.extend([("list-append", list), ("multi-register", register), ("counter", counter)]);
    hard.extend([("cas-register", cas), ("semaphore:3", semaphore)]);
    // Strings of many lengths, any of which may begin another.
    let mut string = History::default();
    let mut all = String::new();
    for n in 0..400 {
        let piece = "a".repeat(n + 1);
        string.together(&[("append", &format!("\"{piece}\""), "null")]);
        all += &piece;
        string.alone("get", "null", &format!("\"{all}\""));
    }
    hard.push(("kv-append", string));
    hard
}

/// Far below a minute, on a machine that does much else.
const SOON: Duration = Duration::from_secs(50);

#[test]
fn whatever_the_check_the_time_and_the_memory_that_it_is_given_hold() {
    let folder = Folder::new("checks");
    for (check, round) in rounds(&folder.0) {
        let mut history = History::default();
        (0..15_000).for_each(|n| round(&mut history, n));
        let (run, took) = decide(&folder.0, &check, &history.text, "--timeout 1ns");
        assert_eq!(run.status, 2, "{check}: {run:?}");
        assert!(run.stdout.contains("unknown: --timeout ") && took < SOON, "{check}: {run:?}");
        // Enough to read it, if not to decide.
        let (run, _) = decide(&folder.0, &check, &history.text, "--memory 1M --timeout 10m");
        assert!([0, 2].contains(&run.status), "{check}: {run:?}");
        if run.status == 2 {
            assert!(run.stdout.contains("unknown: "), "{check}: {run:?}");
        }
    }
    for (model, history) in hard() {
        let check = format!("linear --model {model}");
        let (run, took) = decide(&folder.0, &check, &history.text, "--timeout 2s --memory 32M");
        assert!([0, 1, 2].contains(&run.status) && took < SOON, "{model}: {took:?} {run:?}");
        if run.status == 2 {
            assert!(run.stdout.contains(" ran out "), "{model}: {run:?}");
        }
        // The program itself, what it prints, and what an allocator cannot give back.
        let most = (32 << 20) + BESIDE + (32 << 20);
        assert!(most_resident() < most, "{model}: {} of {most}", most_resident());
    }
    many_keys(&folder);
}

/// Last, as their list in JSON takes more.
fn many_keys(folder: &Folder) {
    let mut history = String::new();
    for key in 0..100_000 {
        for (kind, value) in [("invoke", "1"), ("ok", "1")] {
            let what = format!(r#""type":"{kind}","f":"write","key":{key},"value":{value}"#);
            writeln!(history, r#"{{"process":0,{what}}}"#).unwrap();
        }
    }
    for options in ["--timeout 1ns", "--memory 16M"] {
        let (run, took) = decide(&folder.0, "linear --model register", &history, options);
        assert_eq!(run.status, 2, "{run:?}");
        assert!(run.stdout.len() < 5_000 && took < SOON, "{options}: {}", run.stdout.len());
    }
    let (run, _) = decide(&folder.0, "linear --model register --json", &history, "--timeout 10m");
    let keys = run.lines()[0]["keys"].as_array().map(Vec::len);
    assert_eq!((run.status, keys), (2, Some(100_000)), "each is named for programs");
}

#[test]
fn what_the_program_holds_counts_whoever_took_it() {
    let budget = Budget::start(Duration::MAX, 1 << 20);
    assert_eq!(budget.spend(0), Ok(()));
    let large: Vec<u8> = Vec::with_capacity(256 << 20);
    assert_eq!(budget.spend(0), Err(Exhausted::Memory(1 << 20)));
    assert_eq!(large.capacity(), 256 << 20);
    drop(large);
    assert_eq!(Budget::none().spend(usize::MAX), Ok(()));
}
