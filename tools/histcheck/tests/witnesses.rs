//! Long valid histories, made by simulated processes on one copy of an object: each has a witness order, which
//! `verify` replays. A search would not find most of these in the time that it has.

#![allow(clippy::unwrap_used)]

use std::fmt::Write;
use std::process::Command;

use breakit::rng::{Pcg64, RngExt, generator};
use breakit_tests::Folder;
use breakit_tests::process::run;

const OPERATIONS: usize = 6_000;
const PROCESSES: usize = 10;
const ELEMENTS: u64 = 20;

/// One copy of an object, and what it is asked.
struct Object {
    model: &'static str,
    put: &'static str,
    take: &'static str,
    /// Which of the values that are there, in the order in which they came, is taken.
    leaves: fn(&[u64], &mut Pcg64) -> usize,
    /// Whether a take of unknown outcome is decided without search.
    may_lose_takes: bool,
}

const CONTAINERS: [Object; 4] = [
    Object {
        model: "fifo-queue",
        put: "enqueue",
        take: "dequeue",
        leaves: |_, _| 0,
        may_lose_takes: true,
    },
    Object {
        model: "unordered-queue",
        put: "enqueue",
        take: "dequeue",
        leaves: |values, rng| rng.random_range(0..values.len()),
        may_lose_takes: true,
    },
    Object {
        model: "stack",
        put: "push",
        take: "pop",
        leaves: |values, _| values.len() - 1,
        may_lose_takes: false,
    },
    Object {
        model: "priority-queue",
        put: "insert",
        take: "extract",
        leaves: |values, _| (0..values.len()).min_by_key(|&at| values[at]).unwrap(),
        may_lose_takes: false,
    },
];

/// An operation that was invoked.
struct Open {
    f: &'static str,
    argument: String,
    /// What it is about, be it a value or an element.
    number: u64,
    /// Once it took effect.
    result: Option<String>,
    /// It never does.
    is_dropped: bool,
}

/// What an object makes of an operation.
trait Simulated {
    fn ask(&mut self, rng: &mut Pcg64) -> Open;
    fn take_effect(&mut self, open: &Open, rng: &mut Pcg64) -> String;
    fn may_lose(&self, open: &Open) -> bool;
}

struct Container {
    object: &'static Object,
    values: Vec<u64>,
    fresh: u64,
}

impl Simulated for Container {
    fn ask(&mut self, rng: &mut Pcg64) -> Open {
        let Object { put, take, .. } = *self.object;
        let open =
            |f, argument, number| Open { f, argument, number, result: None, is_dropped: false };
        if rng.random_range(0..2) == 0 {
            return open(take, "null".into(), 0);
        }
        self.fresh += 1;
        // Unique, and in no order.
        let value = self.fresh * 7_919 % 1_000_003;
        open(put, value.to_string(), value)
    }

    fn take_effect(&mut self, open: &Open, rng: &mut Pcg64) -> String {
        if open.f == self.object.put {
            self.values.push(open.number);
            return open.argument.clone();
        }
        if self.values.is_empty() {
            return "null".into();
        }
        let at = (self.object.leaves)(&self.values, rng);
        self.values.remove(at).to_string()
    }

    fn may_lose(&self, open: &Open) -> bool {
        self.object.may_lose_takes || open.f == self.object.put
    }
}

#[derive(Default)]
struct Set {
    is_there: [bool; ELEMENTS as usize],
}

impl Simulated for Set {
    fn ask(&mut self, rng: &mut Pcg64) -> Open {
        let f = ["add", "remove", "contains"][rng.random_range(0..3_usize)];
        let number = rng.random_range(0..ELEMENTS);
        let argument = if f == "contains" { "null".into() } else { number.to_string() };
        Open { f, argument, number, result: None, is_dropped: false }
    }

    fn take_effect(&mut self, open: &Open, _: &mut Pcg64) -> String {
        let there = &mut self.is_there[open.number as usize];
        match open.f {
            "add" => *there = true,
            "remove" => *there = false,
            _ => return format!("[{},{there}]", open.number),
        }
        open.argument.clone()
    }

    fn may_lose(&self, _: &Open) -> bool {
        true
    }
}

/// A history, with one in `info` operations of unknown outcome; half of these took effect.
fn history(copy: &mut dyn Simulated, info: Option<u32>, rng: &mut Pcg64) -> String {
    let mut text = String::new();
    let mut open: Vec<Option<Open>> = (0..PROCESSES).map(|_| None).collect();
    let mut names: Vec<usize> = (0..PROCESSES).collect();
    let mut begun = 0;
    while begun < OPERATIONS || open.iter().any(Option::is_some) {
        let slot = rng.random_range(0..PROCESSES);
        let process = names[slot];
        let mut line = |kind: &str, f: &str, value: &str| {
            writeln!(text, r#"{{"process":{process},"type":"{kind}","f":"{f}","value":{value}}}"#)
                .unwrap();
        };
        match open[slot].take() {
            None if begun == OPERATIONS => {}
            None => {
                begun += 1;
                let mut new = copy.ask(rng);
                line("invoke", new.f, &new.argument);
                let is_lost = info.is_some_and(|one_in| rng.random_range(0..2 * one_in) == 0);
                new.is_dropped = is_lost && copy.may_lose(&new);
                open[slot] = Some(new);
            }
            Some(mut one) if one.result.is_none() && !one.is_dropped => {
                one.result = Some(copy.take_effect(&one, rng));
                open[slot] = Some(one);
            }
            Some(one) => {
                let is_lost = info.is_some_and(|one_in| rng.random_range(0..2 * one_in) == 0);
                match &one.result {
                    Some(result) if !is_lost || !copy.may_lose(&one) => line("ok", one.f, result),
                    _ => {
                        line("info", one.f, &one.argument);
                        names[slot] += PROCESSES;
                    }
                }
            }
        }
    }
    text
}

fn has_a_witness_that_replays(model: &str, copy: &mut dyn Simulated, info: Option<u32>) {
    let folder = Folder::new(model);
    folder.write("history.jsonl", history(copy, info, &mut generator(11, model)));
    let histcheck = |check: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_histcheck"));
        command.current_dir(folder.path()).args([check, "--model", model]);
        run(command.args(["--witness", "order", "history.jsonl"]))
    };
    let told = histcheck("linear").expect(0);
    assert!(told.stdout.contains("a legal order of 1 key is in order"), "{model}: {}", told.stdout);
    histcheck("verify").expect(0);
}

#[test]
fn long_histories_of_containers_have_a_witness() {
    for object in &CONTAINERS {
        for info in [None, Some(100)] {
            let mut copy = Container { object, values: Vec::new(), fresh: 0 };
            has_a_witness_that_replays(object.model, &mut copy, info);
        }
    }
}

#[test]
fn long_histories_of_sets_have_a_witness() {
    for info in [None, Some(100)] {
        has_a_witness_that_replays("set", &mut Set::default(), info);
    }
}
