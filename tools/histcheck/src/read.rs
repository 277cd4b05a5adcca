//! Reads a history: bytes to lines, lines to events, events to operations.
//!
//! | step | module |
//! |---|---|
//! | blocks of bytes to lines | [`blocks`] |
//! | a plain line to an event, fast | [`scan`] |
//! | any line to an event | [`line`] |
//! | invocations and completions to operations | [`pair`] |

pub mod blocks;
pub mod line;
pub mod pair;
pub mod scan;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use breakit::exit::{Error, Result};
use breakit::op::{Op, Process};
use serde_json::Value;

use crate::history::{Counts, End, History, Start};
use blocks::{Blocks, RawLine};
use line::{Event, Parsed};
use pair::Pairing;

/// What a reader puts up with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tolerance {
    /// Nothing.
    #[default]
    Strict,
    /// A last line that was cut short, as a killed writer leaves it.
    CutLastLine,
}

/// Reads the history at `path`, or on stdin for `-`.
///
/// # Errors
/// 65 with file, line and column for what is no history; 66, 77, 71 where it cannot be read.
pub fn read_path(path: &Path, tolerance: Tolerance) -> Result<History> {
    if path == Path::new("-") {
        return read("stdin", std::io::stdin(), tolerance);
    }
    let name = path.display().to_string();
    let place = |e| Error::io(format!("open {name}"), &e);
    let file = File::open(path).map_err(place)?;
    if file.metadata().map_err(place)?.is_dir() {
        return Err(Error::no_input(format!(
            "{name} is a directory; name the histories in it, as {name}/*.jsonl"
        )));
    }
    read(&name, file, tolerance)
}

/// Reads a history from any reader; `name` is what it is called.
///
/// # Errors
/// As [`read_path`].
pub fn read(name: &str, source: impl Read, tolerance: Tolerance) -> Result<History> {
    let mut reader = Reader::new(name, tolerance);
    let mut blocks = Blocks::new(source);
    loop {
        match blocks.next_line() {
            Ok(Some(raw)) => reader.take(raw)?,
            Ok(None) => return reader.finish(),
            Err(error) => return Err(Error::io(format!("read {name}"), &error)),
        }
    }
}

/// A history in the making.
struct Reader {
    history: History,
    pairing: Pairing,
    tolerance: Tolerance,
    /// Client events that carry an `index`, held back until all are there to be put in its order.
    indexed: Vec<(u64, u32, Event)>,
    /// The first client line, and whether it has an `index`: all others must do as it does.
    first: Option<(u32, bool)>,
}

impl Reader {
    fn new(name: &str, tolerance: Tolerance) -> Reader {
        let history = History { name: name.into(), ..History::default() };
        Reader { history, pairing: Pairing::default(), tolerance, indexed: Vec::new(), first: None }
    }

    fn take(&mut self, raw: RawLine<'_>) -> Result<()> {
        self.history.counts.lines += 1;
        let number = u32::try_from(raw.number).unwrap_or(u32::MAX);
        if number >= u32::MAX - 1 {
            return Err(self.error(
                raw.number,
                "the history has more than 4,294,967,293 lines; split it by key",
            ));
        }
        if let Some(event) = scan::event(raw.text, &mut self.history) {
            return self.client(number, event, raw.text);
        }
        if raw.text.iter().all(u8::is_ascii_whitespace) {
            self.history.counts.blank += 1;
            return Ok(());
        }
        match line::parse(raw.text, &mut self.history) {
            Ok(Parsed::Client(event)) => self.client(number, event, raw.text),
            Ok(Parsed::Other(op)) => self.other(number, &op).map_err(|c| self.at(raw, &c)),
            Err(clause) if !raw.whole && clause.no_json => self.cut(raw, &clause.text),
            Err(clause) => Err(self.at(raw, &clause.text)),
        }
    }

    /// The last line, without a newline and no JSON: what a killed writer leaves.
    fn cut(&mut self, raw: RawLine<'_>, clause: &str) -> Result<()> {
        if self.tolerance == Tolerance::CutLastLine {
            self.history.counts.dropped += 1;
            return Ok(());
        }
        Err(self.at(raw, &format!("{clause}; the last line was cut short, and --lenient drops it")))
    }

    fn client(&mut self, number: u32, event: Event, text: &[u8]) -> Result<()> {
        let (first, indexed) = *self.first.get_or_insert((number, event.index.is_some()));
        match event.index {
            Some(index) if indexed => {
                self.indexed.push((index, number, event));
                Ok(())
            }
            None if !indexed => self.pair(number, number, &event, Some(text)),
            _ => Err(self.error(
                u64::from(number),
                &format!(
                    "column 1: this line {} an \"index\" and line {first} {}; give it to all lines or to none",
                    if indexed { "lacks" } else { "has" },
                    if indexed { "has one" } else { "has none" },
                ),
            )),
        }
    }

    fn pair(&mut self, pos: u32, number: u32, event: &Event, text: Option<&[u8]>) -> Result<()> {
        let paired = self.pairing.take(&mut self.history, pos, event);
        paired.map_err(|clause| match text {
            Some(text) => {
                let column = column_of(text, "\"process\"");
                self.error(u64::from(number), &format!("column {column}: {clause}"))
            }
            None => self.error(u64::from(number), &format!("column 1: {clause}")),
        })
    }

    fn other(&mut self, number: u32, op: &Op) -> std::result::Result<(), String> {
        let Process::Other(word) = &op.process else { return Ok(()) };
        match word.as_str() {
            "nemesis" => {
                self.history.counts.faults += 1;
                self.history.faults.take(op, number);
            }
            "workload" => {
                self.history.counts.workload += 1;
                self.workload(op)?;
            }
            _ => self.history.counts.others += 1,
        }
        Ok(())
    }

    fn workload(&mut self, op: &Op) -> std::result::Result<(), String> {
        match op.f.as_str() {
            "start" if self.history.start.is_some() => Err(
                "\"f\" is start for the second time: these are two runs; give each as a file of its own"
                    .into(),
            ),
            "start" => start(op).map(|start| self.history.start = Some(start)),
            "end" => {
                self.history.end = Some(end(op));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn finish(mut self) -> Result<History> {
        let mut indexed = std::mem::take(&mut self.indexed);
        indexed.sort_by_key(|&(index, number, _)| (index, number));
        if let Some(pair) = indexed.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            let (index, first, second) = (pair[0].0, pair[0].1, pair[1].1);
            return Err(self.error(
                u64::from(second),
                &format!("column 1: \"index\" {index} stands on line {first} already"),
            ));
        }
        if !indexed.is_empty() {
            self.history.reordered = Some(indexed.iter().map(|&(_, number, _)| number).collect());
        }
        for (rank, (_, number, event)) in indexed.into_iter().enumerate() {
            self.pair(rank as u32 + 1, number, &event, None)?;
        }
        Ok(self.history)
    }

    fn at(&self, raw: RawLine<'_>, clause: &str) -> Error {
        if clause.starts_with("column ") {
            return self.error(raw.number, clause);
        }
        let named = clause.split('"').nth(1).map(|name| format!("\"{name}\""));
        let column = named.map_or(1, |name| column_of(raw.text, &name));
        self.error(raw.number, &format!("column {column}: {clause}"))
    }

    fn error(&self, number: u64, clause: &str) -> Error {
        Error::data(format!("{}, line {number}: {clause}", self.history.name))
    }
}

/// The column, from 1, at which `name` stands on the line; 1 where it does not.
fn column_of(text: &[u8], name: &str) -> usize {
    text.windows(name.len()).position(|window| window == name.as_bytes()).map_or(1, |at| at + 1)
}

fn start(op: &Op) -> std::result::Result<Start, String> {
    let value = op.value.clone().unwrap_or_default();
    let checks = match value.get("check") {
        Some(Value::Array(checks)) => checks.clone(),
        None | Some(Value::Null) => Vec::new(),
        Some(other) => return Err(format!("\"check\" must be a list of checks, not {other}")),
    };
    let words = |name: &str| -> Vec<String> {
        let list = value.get(name).and_then(Value::as_array);
        let words = list.into_iter().flatten().filter_map(Value::as_str);
        words.map(str::to_string).collect()
    };
    let asks_for_faults =
        words("argv").iter().any(|arg| arg == "--nemesis" || arg.starts_with("--nemesis="));
    Ok(Start { checks, nodes: words("nodes"), asks_for_faults })
}

fn end(op: &Op) -> End {
    let field = |name: &str| {
        let value = op.value.as_ref().and_then(|value| value.get(name));
        value.and_then(Value::as_str).map(str::to_string)
    };
    End { status: field("status").unwrap_or_else(|| "done".into()), reason: field("reason") }
}

/// Lines read, in words, nothing left out.
pub fn count_sentence(counts: &Counts, operations: usize) -> String {
    let Counts { lines, ok, fail, faults, workload, others, blank, dropped, .. } = *counts;
    let unknown = operations as u64 - ok - fail;
    let mut text = format!(
        "{} read: {} ({ok} ok, {fail} fail, {unknown} info), {}",
        many(lines, "line"),
        many(operations as u64, "operation"),
        many(faults, "fault line"),
    );
    for (number, what) in [
        (workload, "of the workload"),
        (others, "of other processes"),
        (blank, "blank"),
        (dropped, "cut short and dropped"),
    ] {
        if number > 0 {
            text += &format!(", {number} {what}");
        }
    }
    text
}

/// `1 line`, `2 lines`.
pub fn many(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Outcome;

    fn parse(text: &str) -> Result<History> {
        read("h", text.as_bytes(), Tolerance::Strict)
    }

    const INVOKE: &str = r#"{"process":0,"type":"invoke","f":"write","value":1}"#;
    const OK: &str = r#"{"process":0,"type":"ok","f":"write","value":1}"#;

    #[test]
    fn a_pair_of_lines_is_one_operation_and_a_missing_completion_is_info() {
        let history = parse(&format!("\u{feff}{INVOKE}\r\n\n{OK}\n{INVOKE}")).unwrap();
        assert_eq!(history.counts.lines, 4);
        assert_eq!(history.counts.blank, 1);
        let ops: Vec<_> = history.ops.iter().map(|op| (op.outcome, op.inv)).collect();
        assert_eq!(ops, [(Outcome::Ok, 1), (Outcome::Info, 4)]);
    }

    #[test]
    fn what_is_no_history_is_named_with_line_and_column() {
        for (text, said) in [
            (
                OK.to_string(),
                "h, line 1: column 2: process 0 completes \"write\" and has nothing open",
            ),
            (
                format!("{INVOKE}\n{INVOKE}\n"),
                "h, line 2: column 2: process 0 invokes \"write\" while its \"write\" of line 1 is open",
            ),
            (
                format!("{INVOKE}\n{}", &OK[..20]),
                "h, line 2: column 20: not JSON: EOF while parsing a value; the last line was cut short, and --lenient drops it",
            ),
            (format!("{INVOKE}\nnope\n"), "h, line 2: column 2: not JSON: expected ident"),
            (
                format!("{INVOKE}\n{}\n", OK.replace("write", "read")),
                "line 2: column 2: process 0 completes \"read\" while its \"write\" of line 1 is open",
            ),
            (OK.replace("\"ok\"", "7"), "line 1: column 14: \"type\" must be"),
            (
                format!("{}\n{OK}\n", INVOKE.replace('{', "{\"index\":3,")),
                "line 2: column 1: this line lacks an \"index\" and line 1 has one",
            ),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.to_string().contains(said), "{text}: {error}");
            assert_eq!(error.status(), breakit::exit::Status::Data);
        }
    }

    #[test]
    fn the_index_orders_lines_where_it_is_given() {
        let text = format!(
            "{}\n{}\n",
            OK.replace('{', "{\"index\":9,"),
            INVOKE.replace('{', "{\"index\":4,")
        );
        let history = parse(&text).unwrap();
        let op = history.ops.get(0);
        assert_eq!((op.inv, op.res, op.outcome), (1, 2, Outcome::Ok));
        assert_eq!((history.line(op.inv), history.line(op.res)), (2, 1));
    }

    #[test]
    fn every_prefix_of_a_history_is_read_or_refused_and_the_lenient_reader_takes_all_of_them() {
        let whole = format!("{INVOKE}\n{OK}\n{INVOKE}\n");
        for length in 0..whole.len() {
            let cut = &whole[..length];
            assert!(read("h", cut.as_bytes(), Tolerance::CutLastLine).is_ok(), "{cut:?}");
            let strict = parse(cut);
            let complete = cut.is_empty() || cut.ends_with('\n') || cut.ends_with('}');
            assert_eq!(strict.is_ok(), complete, "{cut:?}");
        }
    }
}
