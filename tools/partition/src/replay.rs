//! The cuts of a recorded run, to be made again: the same nodes, the same packets, the same offsets.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use breakit::clock;
use breakit::exit::{Error, Result};
use breakit::jsonl::Lines;
use breakit::op::Op;
use breakit::schedule::Window;
use serde_json::{Map, Value};

use crate::grudge_lines::{self, Told};
use crate::packets::Packets;
use crate::peer::Peers;
use crate::shapes;
use crate::target::{Step, Target};

/// What one holder did: its cuts in their order, never two at a time.
#[derive(Clone, Debug)]
pub struct Part {
    /// The nodes that were cut off from peers; empty where nodes were cut off from one another.
    pub nodes: Vec<String>,
    /// When each cut was in force, counted from the beginning of the run.
    pub windows: Vec<Window>,
    /// The cuts.
    pub steps: VecDeque<Step>,
}

/// The cuts of a history.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// By holder.
    pub parts: Vec<Part>,
    /// How many faults of other kinds there are: they are not ours to make.
    pub others: usize,
}

/// A cut while it is read.
struct Found {
    table: String,
    nodes: Vec<String>,
    step: Step,
    start: u64,
    end: u64,
}

/// Reads the cuts of a history. It begins with the time of its first line.
///
/// A cut without a stop line ended with its lease.
///
/// # Errors
/// 65 with the line that cannot be made again, or where there is none.
pub fn read(mut lines: Lines) -> Result<Record> {
    let place = lines.name().to_string();
    let (mut begin, mut others) = (None, 0);
    let mut found: Vec<Found> = Vec::new();
    let mut told: HashMap<String, Told> = HashMap::new();
    while let Some((number, op)) = lines.next_op()? {
        let time = began(&op).or(op.time);
        // Lines that are only told before a cut came after it had begun.
        if op.f != grudge_lines::F {
            begin = begin.or(time);
        }
        match op.f.as_str() {
            "start-partition" => {
                let at = format!("{place} line {number}");
                let table = op.value.as_ref().and_then(|value| text(value, "table"));
                let told = told.remove(table.unwrap_or_default()).unwrap_or_default();
                found.push(cut(&op, &told, &at).map_err(|clause| lines.error(clause))?);
            }
            grudge_lines::F => {
                let value = op.value.as_ref().ok_or_else(|| lines.error("it needs \"value\""))?;
                let table = text(value, "table").unwrap_or_default().to_string();
                let told = told.entry(table).or_default();
                told.take(value).map_err(|clause| lines.error(clause))?;
            }
            "stop-partition" => {
                let ended = op.value.as_ref().and_then(|value| text(value, "table"));
                let last = found.iter_mut().rev().find(|cut| Some(cut.table.as_str()) == ended);
                if let (Some(cut), Some(time)) = (last, op.time) {
                    cut.end = time.max(cut.start);
                }
            }
            other if other.starts_with("start-") => others += 1,
            _ => {}
        }
    }
    if found.is_empty() {
        return Err(Error::data(format!(
            "{place} has no start-partition line: there is no cut to make again"
        )));
    }
    Ok(Record { parts: parts(found, begin.unwrap_or_default()), others })
}

fn parts(found: Vec<Found>, begin: u64) -> Vec<Part> {
    let mut parts: Vec<(String, Part)> = Vec::new();
    for cut in found {
        let since = |time: u64| Duration::from_nanos(time.saturating_sub(begin));
        let window = Window { start: since(cut.start), end: Some(since(cut.end)) };
        match parts.iter_mut().find(|(table, _)| *table == cut.table) {
            Some((_, part)) => {
                // A holder has ended one cut, seen or unseen, before it begins the next.
                if let Some(last) = part.windows.last_mut() {
                    last.end = last.end.min(Some(window.start));
                }
                part.windows.push(window);
                part.steps.push_back(cut.step);
            }
            None => {
                let (windows, steps) = (vec![window], [cut.step].into());
                parts.push((cut.table, Part { nodes: cut.nodes, windows, steps }));
            }
        }
    }
    parts.into_iter().map(|(_, part)| part).collect()
}

/// A cut from its start line and what was told before it.
fn cut(op: &Op, told: &Told, place: &str) -> std::result::Result<Found, String> {
    let value = op.value.as_ref().ok_or("a start-partition line needs \"value\": whom it cut")?;
    let start =
        began(op).or(op.time).ok_or("a start-partition line needs \"began\" or \"time\"")?;
    // A cut without a stop line ended with its lease.
    let lease = text(value, "lease").map_or(Ok(Duration::from_secs(30)), clock::parse_duration)?;
    let packets = Packets::of_words(text(value, "packets").unwrap_or_default())
        .map_err(|clause| format!("\"packets\": {clause}"))?;
    let (target, nodes) = target(value, told, place)?;
    Ok(Found {
        table: text(value, "table").unwrap_or_default().to_string(),
        nodes,
        step: Step { target, packets },
        start,
        end: start.saturating_add(clock::nanos(lease)),
    })
}

/// The target, and the nodes that were cut off from peers.
fn target(
    value: &Value,
    told: &Told,
    place: &str,
) -> std::result::Result<(Target, Vec<String>), String> {
    let lines = value.get("lines").and_then(Value::as_u64).unwrap_or_default();
    if lines != told.lines {
        return Err(format!(
            "{lines} grudge-partition lines of its table come before it, by its \"lines\", and {} are there",
            told.lines
        ));
    }
    let find = |from: &[String], to: &[String]| {
        Peers::find(from, to).map(Target::Peers).map_err(|error| error.to_string())
    };
    if !told.from.is_empty() || !told.to.is_empty() {
        return Ok((find(&told.from, &told.to)?, told.at.iter().cloned().collect()));
    }
    let grudge = match (told.grudge(), value.get("grudge")) {
        (Some(grudge), _) => grudge,
        (None, Some(Value::Object(grudge))) => grudge.clone(),
        (None, _) => of_sides(text(value, "cut").unwrap_or_default()).ok_or(
            "neither \"grudge\" nor the sides in \"cut\" say whole whom it cut; give its shape and seed to partition cut",
        )?,
    };
    if let Some(peers) = value.get("peers") {
        let (from, to) = (list(peers, "from")?, list(peers, "to")?);
        let nodes = ends(&grudge).filter(|end| !from.contains(end) && !to.contains(end));
        let mut nodes: Vec<String> = nodes.collect();
        nodes.sort();
        nodes.dedup();
        return Ok((find(&from, &to)?, nodes));
    }
    let shape = shapes::given::of(Value::Object(grudge).to_string(), place.into());
    Ok((Target::Among { shape, primaries: None }, Vec::new()))
}

/// Before the fault was in force: its line was written after.
fn began(op: &Op) -> Option<u64> {
    op.value.as_ref()?.get("began")?.as_u64()
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}

fn list(value: &Value, name: &str) -> std::result::Result<Vec<String>, String> {
    let wrong = || format!("\"peers\" must hold lists of addresses, not {value}");
    let list = value.get(name).and_then(Value::as_array).ok_or_else(wrong)?;
    list.iter().map(|one| one.as_str().map(str::to_string).ok_or_else(wrong)).collect()
}

/// Both ends of every pair.
fn ends(grudge: &Map<String, Value>) -> impl Iterator<Item = String> + '_ {
    grudge.iter().flat_map(|(dst, sources)| {
        let sources = sources.as_array().into_iter().flatten().filter_map(Value::as_str);
        std::iter::once(dst.as_str()).chain(sources).map(str::to_string)
    })
}

/// The grudge of `n1,n2 | n3,n4`: nobody talks to another side.
fn of_sides(words: &str) -> Option<Map<String, Value>> {
    if words.ends_with("...") || !words.contains(" | ") {
        return None;
    }
    let sides: Vec<Vec<&str>> = words.split(" | ").map(|side| side.split(',').collect()).collect();
    let others = |own: usize| -> Vec<&str> {
        (0..sides.len()).filter(|i| *i != own).flat_map(|i| sides[i].iter().copied()).collect()
    };
    let of = |(own, side): (usize, &Vec<&str>)| -> Vec<(String, Value)> {
        side.iter().map(|node| (node.to_string(), others(own).into())).collect()
    };
    Some(sides.iter().enumerate().flat_map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(text: &str) -> Result<Record> {
        read(Lines::new("h", std::io::Cursor::new(text.to_string())))
    }

    fn line(time: u64, f: &str, value: &str) -> String {
        format!(r#"{{"time":{time},"process":"nemesis","type":"info","f":"{f}","value":{value}}}"#)
            + "\n"
    }

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn cuts_are_read_with_their_offsets_from_the_first_line_and_by_holder() {
        let first = r#"{"grudge":{"n1":["n2"]},"table":"a","began":3000000000,"packets":"tcp port 80, 20%"}"#;
        let other = r#"{"cut":"n1 | n2,n3","table":"b","began":4000000000,"lease":"5s"}"#;
        let history = line(SECOND, "start", "{}")
            + &line(3 * SECOND + 5, "start-partition", first)
            + &line(4 * SECOND + 5, "start-partition", other)
            + &line(5 * SECOND, "start-slow", "{}")
            + &line(6 * SECOND, "stop-partition", r#"{"table":"a"}"#)
            + &line(7 * SECOND, "start-partition", &first.replace("\"began\":3000000000,", ""));
        let record = record(&history).unwrap();
        assert_eq!((record.parts.len(), record.others), (2, 1));
        let windows = |part: usize| -> Vec<(u64, u64)> {
            let windows = record.parts[part].windows.iter();
            windows.map(|w| (w.start.as_secs(), w.end.unwrap().as_secs())).collect()
        };
        assert_eq!(windows(0), [(2, 5), (6, 36)]);
        assert_eq!(windows(1), [(3, 8)], "a cut without a stop line ends with its lease");
        assert_eq!(record.parts[0].steps[0].packets.words(), "tcp port 80, 20%");
        let Target::Among { shape, .. } = &record.parts[1].steps[0].target else {
            panic!("{record:?}")
        };
        let names = breakit::node::names(&["n1..n3".into()]).unwrap();
        let drawn = shape.draw(&names, &mut breakit::rng::generator(0, "replay")).unwrap();
        assert_eq!(drawn.json().to_string(), r#"{"n1":["n2","n3"],"n2":["n1"],"n3":["n1"]}"#);
    }

    #[test]
    fn the_nodes_that_were_cut_off_from_peers_are_told_from_those() {
        let value = r#"{"grudge":{"here":["10.0.0.5"],"db":["here"]},
            "peers":{"from":["10.0.0.5"],"to":["10.0.0.6"]},"table":"a","began":1}"#;
        let value = value.replace('\n', "").replace("\"db\"", "\"10.0.0.6\"");
        let record = record(&line(1, "start-partition", &value)).unwrap();
        assert_eq!(record.parts[0].nodes, ["here"]);
    }

    #[test]
    fn what_cannot_be_made_again_is_named_by_its_line() {
        for (value, clause) in [
            (r#"{"cut":"n1 drops n2","began":1}"#, "h, line 1: neither \"grudge\" nor the sides"),
            (r#"{"grudge":{},"packets":"odd","began":1}"#, "h, line 1: \"packets\""),
            (r#"{"grudge":{},"peers":[],"began":1}"#, "must hold lists"),
            (r#"{"cut":"n1 | n2","lines":2,"began":1}"#, "2 grudge-partition lines of its table"),
        ] {
            let error = record(&line(1, "start-partition", value)).unwrap_err();
            assert_eq!(error.status(), breakit::exit::Status::Data);
            assert!(error.to_string().contains(clause), "{error}");
        }
        let none = record(&line(1, "start-slow", "{}")).unwrap_err();
        assert!(none.to_string().contains("no start-partition line"), "{none}");
    }
}
