//! What must hold for any bytes at all. The fuzz targets and `cargo test` (tests/fuzzed.rs) share it.

use std::io::Read;
use std::time::Duration;

use breakit::exit::{Error, Result, Status};
use breakit::op::Op;
use histcheck::budget::Budget;
use histcheck::convert;
use histcheck::history::History;
use histcheck::linear::{self, Model, Question};
use histcheck::read::builder::Assembly;
use histcheck::read::format::Format;
use histcheck::read::text::Item;
use histcheck::read::{self, Options, Tolerance};

/// The targets, each with a folder of its name in the corpus.
#[allow(dead_code)]
pub const TARGETS: [&str; 11] = [
    "jsonl",
    "json",
    "operations",
    "edn",
    "log",
    "csv",
    "plume",
    "sessions",
    "packed",
    "convert",
    "linear",
];

/// Checks what the target says of `data`.
pub fn run(target: &str, data: &[u8]) {
    match target {
        "packed" => packed(data),
        "convert" => there_and_back(data),
        "linear" => judged(data),
        name => match Format::named(name) {
            Some(format) if TAKEN_QUICKLY.contains(&name) => quick(format, data),
            Some(format) => text(format, data),
            None => panic!("no target {name}"),
        },
    }
}

/// The formats that have a fast way, which is held against the slow one.
const TAKEN_QUICKLY: [&str; 4] = ["jsonl", "json", "edn", "csv"];

/// Gives a few bytes at a time, so that every event lies across the end of some window.
struct Slow(Vec<u8>, usize, usize);

impl Read for Slow {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.2.min(self.0.len() - self.1).min(buffer.len());
        buffer[..length].copy_from_slice(&self.0[self.1..self.1 + length]);
        self.1 += length;
        Ok(length)
    }
}

fn slow(data: &[u8], step: usize) -> Slow {
    Slow(data.to_vec(), 0, step)
}

/// The options that the length of the data choose.
fn options(format: Option<Format>, data: &[u8]) -> Options {
    Options {
        format,
        keyed: data.len() % 7 == 3,
        tolerance: [Tolerance::Strict, Tolerance::CutLastLine][data.len() % 2],
        skip_times: data.len().is_multiple_of(3),
        budget: None,
        in_order: false,
        ..Options::default()
    }
}

/// All that a history says, in words that do not depend on the order in which values were met.
fn told(history: &Result<History>) -> String {
    let history = match history {
        Ok(history) => history,
        Err(error) => return placed(error),
    };
    let value = |id: Option<histcheck::values::Id>| id.map(|id| history.values.show(id));
    let line = |pos| (pos != histcheck::history::OPEN).then(|| history.line(pos));
    let mut told = String::new();
    for op in history.ops.iter() {
        told += &format!(
            "{} {} {:?} {:?} {:?} {} {:?} {:?} {:?} {:?} {:?}\n",
            op.process,
            history.word(op.f),
            value(op.key),
            value(op.value),
            value(op.node),
            op.is_final,
            op.outcome,
            line(op.inv),
            line(op.res),
            op.invoked_at,
            op.completed_at
        );
    }
    for fault in history.faults.list() {
        told += &format!("{fault:?}\n");
    }
    told + &format!("{:?} {:?} {:?}", history.counts, history.end, history.shard)
}

/// The error, which names line and column.
pub fn placed(error: &Error) -> String {
    let text = error.to_string();
    assert_eq!(error.status(), Status::Data, "{text}");
    let place = text.strip_prefix("h, line ").unwrap_or_else(|| panic!("no line: {text}"));
    let (line, rest) = place.split_once(": column ").unwrap_or_else(|| panic!("no column: {text}"));
    let column = rest.split(':').next().unwrap_or_default();
    for number in [line, column] {
        assert!(number.parse::<u64>().is_ok_and(|number| number > 0), "{text}");
    }
    text
}

/// A text says the same, however its bytes arrive.
fn text(format: Format, data: &[u8]) {
    let options = options(Some(format), data);
    let whole = told(&read::read("h", std::io::Cursor::new(data.to_vec()), options));
    for step in [1, 1 + data.len() / 3] {
        let split = told(&read::read("h", slow(data, step), options));
        let damaged = is_damaged(&whole) || is_damaged(&split);
        assert!(damaged || whole == split, "{step} bytes at a time: {whole} and {split}");
    }
}

/// Events are read alike by the readers made for speed and by those that know everything, and what is wrong is said
/// alike.
fn quick(format: Format, data: &[u8]) {
    text(format, data);
    let options = Options { skip_times: false, ..options(Some(format), data) };
    let fast = read::read("h", std::io::Cursor::new(data.to_vec()), options);
    let carefully = || {
        let mut assembly = Assembly::new("h", format, options);
        let source = Box::new(std::io::Cursor::new(data.to_vec()));
        read::events::each("h", source, options, &mut |site, item| assembly.item(site, item))?;
        assembly.finish()
    };
    match (fast, carefully()) {
        (Ok(fast), Ok(slow)) => assert_eq!(told(&Ok(fast)), told(&Ok(slow))),
        // Of a line that lacks a field and has another wrong one, either may be said first.
        (Err(fast), Err(slow)) => {
            let line = |error: &Error| placed(error).split(':').next().map(str::to_string);
            assert_eq!(line(&fast), line(&slow), "{fast} and {slow}");
        }
        (fast, slow) => panic!("{:?} and {:?}", fast.map(drop), slow.map(drop)),
    }
}

/// How far damaged data can be unpacked depends on how they arrive, and so what is found wrong first.
fn is_damaged(told: &str) -> bool {
    told.contains("the packed data are damaged or cut short")
}

fn packed(data: &[u8]) {
    let options = options(None, data);
    let whole = read::read("h", std::io::Cursor::new(data.to_vec()), options);
    let split = read::read("h", slow(data, 1), options);
    assert_eq!(whole.is_ok(), split.is_ok());
    let (whole, split) = (told(&whole), told(&split));
    assert!(whole == split || is_damaged(&whole) || is_damaged(&split), "{whole} and {split}");
}

/// The events of a history in any format.
fn events(text: &[u8], format: Option<Format>) -> Result<Vec<Op>> {
    let mut ops = Vec::new();
    let options = Options { format, ..Options::default() };
    let source = Box::new(std::io::Cursor::new(text.to_vec()));
    read::events::each("h", source, options, &mut |_, item| {
        if let Item::Op(op) = item {
            ops.push(*op);
        }
        Ok(())
    })?;
    Ok(ops)
}

/// Whatever events there are come back from every format, one after the other.
fn there_and_back(data: &[u8]) {
    let format = [None, Some("edn"), Some("csv"), Some("jsonl")][data.len() % 4];
    let format = format.and_then(Format::named);
    let Ok(first) = events(data, format) else { return };
    let mut ops = first.clone();
    let formats = ["jsonl", "edn", "csv", "jsonl"].into_iter().filter_map(Format::named);
    for (format, to) in formats.filter_map(|format| Some((format, format.written?))) {
        let mut text = (to.header)();
        for op in &ops {
            match convert::written(op, to) {
                Ok(line) => text += &format!("{line}\n"),
                // Said, and so not lost.
                Err(_) => return,
            }
        }
        let back = events(text.as_bytes(), Some(format));
        ops = back.unwrap_or_else(|error| panic!("{error}: by way of {format:?}:\n{text}"));
        assert_eq!(ops, first, "by way of {format:?}:\n{text}");
    }
}

/// Read and judged: whatever comes of it, it comes soon.
fn judged(data: &[u8]) {
    let (&choice, data) = data.split_first().unwrap_or((&0, data));
    let models: Vec<&str> = Model::names().collect();
    let name = models[usize::from(choice) % models.len()];
    let name = if name.starts_with("semaphore") { "semaphore:2" } else { name };
    let Ok(model) = Model::of(name) else { return };
    let Ok(mut history) = read::read("h", std::io::Cursor::new(data.to_vec()), options(None, data))
    else {
        return;
    };
    let question =
        Question { fail_observes: choice >= 128, ..Question::new(model, serde_json::Value::Null) };
    let budget = Budget::start(Duration::from_millis(300), 1 << 24);
    if let Err(error) = linear::check(&mut history, &question, &budget) {
        assert!([Status::Data, Status::Usage].contains(&error.status()), "{error}");
    }
}
