//! The faults of a recorded run, to be made again: the same parts, the same nodes, the same offsets.

use std::collections::BTreeMap;
use std::time::Duration;

use breakit::clock;
use breakit::escape::cited;
use breakit::exit::{Error, Result};
use breakit::jsonl::Lines;
use breakit::messages;
use breakit::node::Node;
use breakit::op::Op;
use breakit::schedule::Window;
use serde_json::{Map, Value};

use crate::link::{Link, Names};
use crate::long_line;
use crate::traffic::Whom;
use breakit::net::Net;

/// What one holder did: the same links in every window.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Its links.
    pub links: Vec<Link>,
    /// Where its chance came from, where that was recorded.
    pub seed: Option<u64>,
    /// When they were in force, counted from the beginning of the run.
    pub windows: Vec<Window>,
}

/// The faults of a history.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// By holder.
    pub parts: Vec<Part>,
    /// How many faults of other kinds there are: they are not ours to make.
    pub others: usize,
}

/// A holder while it is read: its links by their numbers, and its windows in nanoseconds.
struct Found {
    ids: Vec<String>,
    links: Vec<Link>,
    seed: Option<u64>,
    windows: Vec<(u64, u64)>,
}

/// Reads the faults of a history, which begins with the time of its first line; `nodes` are those of now,
/// beside those of the fleet. A fault without a stop line ended with its lease.
///
/// # Errors
/// 65 with the line that cannot be made again, or where there is none.
pub fn read(mut lines: Lines, nodes: Vec<Node>) -> Result<Record> {
    let names = Names::of(nodes);
    let (mut begin, mut others) = (None, 0);
    let mut found: Vec<Found> = Vec::new();
    let mut pieces: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    while let Some((_, mut op)) = lines.next_op()? {
        begin = begin.or(began(&op).or(op.time));
        match op.f.as_str() {
            long_line::F => {
                if let Some(piece) = op.value {
                    pieces.entry(id(&piece)).or_default().push(piece);
                }
            }
            "start-slow" => {
                if let Some(value) = &mut op.value {
                    let before = pieces.remove(&id(value)).unwrap_or_default();
                    before.into_iter().for_each(|piece| long_line::merge(value, piece));
                }
                start(&mut found, &op, &names).map_err(|error| lines.error(error.to_string()))?
            }
            "stop-slow" => stop(&mut found, &op),
            other if other.starts_with("start-") => others += 1,
            _ => {}
        }
    }
    if found.is_empty() {
        return Err(
            lines.error("the history has no start-slow line: there is no fault to make again")
        );
    }
    let begin = begin.unwrap_or_default();
    Ok(Record { parts: found.into_iter().map(|found| found.since(begin)).collect(), others })
}

impl Found {
    fn since(self, begin: u64) -> Part {
        let since = |time: u64| Duration::from_nanos(time.saturating_sub(begin));
        let window = |(start, end)| Window { start: since(start), end: Some(since(end)) };
        let windows = self.windows.into_iter().map(window).collect();
        Part { links: self.links, seed: self.seed, windows }
    }
}

fn start(found: &mut Vec<Found>, op: &Op, names: &Names) -> Result<()> {
    let needs = |what: &str| Error::data(format!("a start-slow line needs {what}"));
    let value = op.value.as_ref().ok_or_else(|| needs("\"value\": what it did to whom"))?;
    let start = began(op).or(op.time).ok_or_else(|| needs("\"began\" or \"time\""))?;
    let lease = value.get("lease").and_then(Value::as_str);
    let lease = lease.map_or(Ok(Duration::from_secs(30)), clock::parse_duration);
    let window = (start, start.saturating_add(clock::nanos(lease.map_err(Error::data)?)));
    let each = each(value);
    let ids: Vec<String> = each.iter().map(|value| id(value)).collect();
    if let Some(holder) = found.iter_mut().find(|holder| holder.ids == ids) {
        // A holder has ended one fault, seen or unseen, before it begins the next.
        if let Some(last) = holder.windows.last_mut() {
            last.1 = last.1.min(start);
        }
        holder.windows.push(window);
        return Ok(());
    }
    let links = each.iter().map(|value| link(value, names)).collect::<Result<_>>()?;
    let seed = each.iter().find_map(|value| value.get("seed")?.as_u64());
    found.push(Found { ids, links, seed, windows: vec![window] });
    Ok(())
}

fn stop(found: &mut [Found], op: &Op) {
    let (Some(value), Some(time)) = (&op.value, op.time) else { return };
    for id in each(value).iter().map(|value| id(value)) {
        let holder = found.iter_mut().find(|holder| holder.ids.contains(&id));
        if let Some(window) = holder.and_then(|holder| holder.windows.last_mut()) {
            window.1 = time.max(window.0);
        }
    }
}

/// The links of a line, or the one that it is.
fn each(value: &Value) -> Vec<&Value> {
    match value.get("links").and_then(Value::as_array) {
        Some(links) => links.iter().collect(),
        None => vec![value],
    }
}

fn id(value: &Value) -> String {
    value.get("id").and_then(Value::as_str).unwrap_or_default().to_string()
}

fn link(value: &Value, names: &Names) -> Result<Link> {
    let list = |name: &str| -> Option<Vec<String>> {
        let list = value.get(name)?.as_array()?.iter();
        list.map(|one| one.as_str().map(str::to_string)).collect()
    };
    let nodes = list("nodes").ok_or_else(|| Error::data("\"nodes\" must be a list of names"))?;
    let to = match value.get("to").and_then(Value::as_str) {
        Some("everybody") => Vec::new(),
        _ => list("to").ok_or_else(|| Error::data("\"to\" must be a list, or \"everybody\""))?,
    };
    let block = |text: &String| {
        Net::parse(text)
            .ok_or_else(|| Error::data(format!("{} is no block of addresses", cited(text))))
    };
    let recorded = to.iter().map(block).collect::<Result<_>>()?;
    let to = as_they_are_now(recorded, value, names)?;
    let parts = value.get("parts").and_then(Value::as_object);
    let mut fields: Map<String, Value> =
        parts.cloned().ok_or_else(|| Error::data("\"parts\" must say what was done"))?;
    for (recorded, flag) in [
        ("direction", "direction"),
        ("protocol", "protocol"),
        ("ports", "port"),
        ("interfaces", "interface"),
        ("except", "except"),
    ] {
        fields.extend(value.get(recorded).map(|value| (flag.to_string(), value.clone())));
    }
    Link::of_fields(names.nodes(&nodes)?, to, &fields, names)
}

/// Nodes that were named are found by their names, wherever they are now; those that nobody knows any more are
/// taken to be where they were.
fn as_they_are_now(recorded: Vec<Net>, value: &Value, names: &Names) -> Result<Whom> {
    let mut whom = Whom { blocks: recorded, ..Whom::default() };
    let named = value.get("to_nodes").and_then(Value::as_object).into_iter().flatten();
    for (name, addresses) in named {
        let addresses = addresses.as_array().into_iter().flatten();
        let before: Vec<Net> =
            addresses.filter_map(|address| Net::parse(address.as_str()?)).collect();
        match names.nodes(std::slice::from_ref(name)) {
            Ok(nodes) => {
                whom.blocks.retain(|block| !before.contains(block));
                whom.add(&nodes)?;
            }
            Err(_) => {
                messages::say(format!("{name} is no node now: its recorded addresses are meant"));
                whom.named.insert(name.clone(), before);
            }
        }
    }
    Ok(whom)
}

/// Before the fault was in force: its line was written after.
fn began(op: &Op) -> Option<u64> {
    op.value.as_ref()?.get("began")?.as_u64()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn line(time: u64, f: &str, value: &str) -> String {
        format!(r#"{{"time":{time},"process":"nemesis","type":"info","f":"{f}","value":{value}}}"#)
            + "\n"
    }

    fn record(text: &str) -> Result<Record> {
        let node = |n| Node::parse(&format!(r#"{{"node":"n{n}","via":"netns:x"}}"#)).unwrap();
        read(Lines::new("h", std::io::Cursor::new(text.to_string())), vec![node(1), node(2)])
    }

    fn windows(part: &Part) -> Vec<(u64, u64)> {
        part.windows.iter().map(|w| (w.start.as_secs(), w.end.unwrap().as_secs())).collect()
    }

    #[test]
    fn faults_are_read_with_their_offsets_from_the_first_line_and_by_holder() {
        let first = r#"{"id":"3f2a","nodes":["n1"],"to":"everybody","direction":"in","parts":{"delay":"5ms"},"seed":7,"began":3000000000}"#;
        let each = r#"{"id":"4000","nodes":["n1","n2"],"to":["10.0.0.0/8"],"protocol":"tcp","ports":["80"],"interfaces":["eth0"],"parts":{"loss":"5%","limit":"9"}}"#;
        let many = format!(r#"{{"links":[{each}],"began":4000000000,"lease":"5s"}}"#);
        let history = line(SECOND, "start", "{}")
            + &line(3 * SECOND + 5, "start-slow", first)
            + &line(4 * SECOND + 5, "start-slow", &many)
            + &line(5 * SECOND, "start-partition", "{}")
            + &line(6 * SECOND, "stop-slow", r#"{"id":"3f2a"}"#)
            + &line(8 * SECOND, "start-slow", &first.replace("3000000000", "7000000000"));
        let record = record(&history).unwrap();
        assert_eq!((record.parts.len(), record.others), (2, 1));
        assert_eq!(windows(&record.parts[0]), [(2, 5), (6, 36)]);
        assert_eq!(windows(&record.parts[1]), [(3, 8)], "without a stop line its lease ended it");
        assert_eq!((record.parts[0].seed, record.parts[1].seed), (Some(7), None));
        let link = &record.parts[1].links[0];
        assert_eq!(link.nodes.len(), 2);
        assert_eq!(link.parts.json().to_string(), r#"{"loss":"5%","limit":"9"}"#);
        let traffic = r#"{"to":["10.0.0.0/8"],"direction":"out","interfaces":["eth0"],"protocol":"tcp","ports":["80"]}"#;
        assert_eq!(link.traffic.json().to_string(), traffic);
    }

    #[test]
    fn named_peers_are_where_they_are_now_and_unknown_ones_where_they_were() {
        let value = r#"{"id":"3f2a","nodes":["n1"],"to":["10.0.0.0/8","192.0.2.1","192.0.2.9"],
            "to_nodes":{"n2":["192.0.2.1"],"gone":["192.0.2.9"]},"parts":{"delay":"5ms"}}"#;
        let node = Node::parse(r#"{"node":"n2","addrs":["192.0.2.77"],"via":"netns:x"}"#).unwrap();
        let one = Node::parse(r#"{"node":"n1","via":"netns:x"}"#).unwrap();
        let text = line(1, "start-slow", &value.replace('\n', ""));
        let record = read(Lines::new("h", std::io::Cursor::new(text)), vec![one, node]).unwrap();
        let traffic = record.parts[0].links[0].traffic.json();
        assert_eq!(traffic["to"], serde_json::json!(["10.0.0.0/8", "192.0.2.9", "192.0.2.77"]));
    }

    #[test]
    fn what_cannot_be_made_again_is_named_by_its_line() {
        for (value, clause) in [
            (r#"{"nodes":["n1"],"to":"everybody"}"#, "h, line 1: \"parts\" must say"),
            (r#"{"nodes":"n1","parts":{}}"#, "\"nodes\" must be a list"),
            (r#"{"nodes":["n1"],"parts":{"delay":"5ms"}}"#, "\"to\" must be a list"),
            (r#"{"nodes":["n1"],"to":"everybody","parts":{"dely":"5ms"}}"#, "unknown field 'dely"),
        ] {
            let error = record(&line(1, "start-slow", value)).unwrap_err();
            assert_eq!(error.status(), breakit::exit::Status::Data);
            assert!(error.to_string().contains(clause), "{error}");
        }
        let none = record(&line(1, "start-partition", "{}")).unwrap_err();
        assert!(none.to_string().contains("no start-slow line"), "{none}");
    }
}
