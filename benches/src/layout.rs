//! `layout`: the same history as other programs write it, for benchmarks: JSON lines come in on stdin, and the layout
//! that is named goes out on stdout. Fields and their order are those of real histories of Jepsen.

use std::io::{BufRead, Write};

use breakit::exit::{Error, Result, Status};
use clap::{Parser, ValueEnum};
use serde_json::{Map, Value, json};

/// Writes a history from stdin in another layout on stdout.
#[derive(Parser, Debug)]
#[command(name = "layout")]
struct Cli {
    /// Which
    layout: Layout,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// JSON lines with an index, as every export of Jepsen has it
    Index,
    /// The same with a gap in the index now and then, as where a fault's lines were taken out
    Gaps,
    /// Values that are strings
    Strings,
    /// An error in each line, which is null
    ErrorNull,
    /// A fraction in each line
    Float,
    /// An object within each line
    Nested,
    /// All of these
    Everything,
    /// One JSON array, an event on a line, with an index
    Array,
    /// One JSON array on one line
    OneLine,
    /// One JSON array over many lines, as jq writes it
    Pretty,
    /// EDN, a map on a line
    Edn,
    /// The same with an index, as Jepsen's history.edn
    EdnIndex,
    /// The same in a vector of records, as newer versions of Jepsen print them
    EdnRecords,
    /// A table
    Csv,
    /// A table with an index
    CsvIndex,
}

fn main() -> std::process::ExitCode {
    breakit::tool::main("layout", |cli: Cli| run(cli.layout))
}

fn run(layout: Layout) -> Result<Status> {
    let place = |e: std::io::Error| Error::io("copy the history", &e);
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    out.write_all(begin(layout).as_bytes()).map_err(place)?;
    for (number, line) in std::io::stdin().lock().lines().enumerate() {
        let line = line.map_err(place)?;
        let fields: Map<String, Value> = serde_json::from_str(&line)
            .map_err(|error| Error::data(format!("stdin, line {}: {error}", number + 1)))?;
        let text = event(layout, number as u64, fields);
        out.write_all(text.as_bytes()).map_err(place)?;
    }
    out.write_all(end(layout).as_bytes()).map_err(place)?;
    out.flush().map_err(place)?;
    Ok(Status::Done)
}

fn begin(layout: Layout) -> &'static str {
    match layout {
        Layout::EdnRecords => "[",
        Layout::Csv => "time,process,type,f,value\n",
        Layout::CsvIndex => "index,time,process,type,f,value,node,error\n",
        _ => "",
    }
}

fn end(layout: Layout) -> &'static str {
    match layout {
        Layout::Array | Layout::OneLine | Layout::Pretty | Layout::EdnRecords => "]\n",
        _ => "",
    }
}

fn event(layout: Layout, number: u64, mut fields: Map<String, Value>) -> String {
    let first = number == 0;
    match layout {
        Layout::Index => format!("{}\n", object(indexed(fields, number))),
        Layout::Gaps => format!("{}\n", object(indexed(fields, number + number / 1000))),
        Layout::Strings => {
            quote(&mut fields);
            format!("{}\n", object(fields))
        }
        Layout::ErrorNull => format!("{}\n", object(with(fields, "error", Value::Null))),
        Layout::Float => format!("{}\n", object(with(fields, "latency", float(number)))),
        Layout::Nested => format!("{}\n", object(with(fields, "debug", nested(number)))),
        Layout::Everything => {
            quote(&mut fields);
            let fields = with(indexed(fields, number), "error", Value::Null);
            let fields = with(with(fields, "latency", float(number)), "debug", nested(number));
            format!("{}\n", object(fields))
        }
        Layout::Array => {
            format!("{}{}", if first { "[" } else { ",\n" }, object(indexed(fields, number)))
        }
        Layout::OneLine => {
            format!("{}{}", if first { "[" } else { "," }, object(indexed(fields, number)))
        }
        Layout::Pretty => {
            let text = serde_json::to_string_pretty(&Value::Object(indexed(fields, number)));
            let text = text.unwrap_or_default().replace('\n', "\n  ");
            format!("{}\n  {text}", if first { "[" } else { "," })
        }
        Layout::Edn => format!("{}\n", map(&fields)),
        Layout::EdnIndex => format!("{}\n", map(&indexed(fields, number))),
        Layout::EdnRecords => {
            let between = if first { "" } else { "\n " };
            format!("{between}#jepsen.history.Op{}", map(&indexed(fields, number)))
        }
        Layout::Csv => row(&fields, &["time", "process", "type", "f", "value"]),
        Layout::CsvIndex => row(
            &indexed(fields, number),
            &["index", "time", "process", "type", "f", "value", "node", "error"],
        ),
    }
}

/// In Jepsen's order.
fn indexed(mut fields: Map<String, Value>, index: u64) -> Map<String, Value> {
    let mut all = Map::from_iter([("index".to_string(), index.into())]);
    for name in ["time", "type", "process", "f", "value"] {
        all.extend(fields.shift_remove(name).map(|value| (name.to_string(), value)));
    }
    all.extend(fields);
    all
}

fn with(mut fields: Map<String, Value>, name: &str, value: Value) -> Map<String, Value> {
    fields.insert(name.into(), value);
    fields
}

fn float(number: u64) -> Value {
    json!((number % 10_007) as f64 / 64.0)
}

fn nested(number: u64) -> Value {
    json!({"attempts": [1, number % 5], "session": format!("s-{}", number % 77), "leader": null})
}

/// A number becomes a string.
fn quote(fields: &mut Map<String, Value>) {
    if let Some(value) = fields.get_mut("value").filter(|value| value.is_number()) {
        *value = format!("v{value}").into();
    }
}

fn object(fields: Map<String, Value>) -> String {
    Value::Object(fields).to_string()
}

/// A map of EDN; what is a word there is a keyword.
fn map(fields: &Map<String, Value>) -> String {
    let entries: Vec<String> = fields
        .iter()
        .map(|(name, value)| match value {
            Value::String(word) if ["type", "f", "process"].contains(&name.as_str()) => {
                format!(":{name} :{word}")
            }
            Value::Null => format!(":{name} nil"),
            other => format!(":{name} {other}"),
        })
        .collect();
    format!("{{{}}}", entries.join(", "))
}

fn row(fields: &Map<String, Value>, columns: &[&str]) -> String {
    let cell = |name: &&str| match fields.get(*name) {
        None => String::new(),
        Some(Value::String(word)) => word.clone(),
        Some(other) => other.to_string(),
    };
    let cells: Vec<String> = columns.iter().map(cell).collect();
    format!("{}\n", cells.join(","))
}
