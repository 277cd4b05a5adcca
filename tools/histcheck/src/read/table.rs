//! A history as a table in CSV. The header names the columns, in any order: `process`, `type` and `f` must be
//! there; `time`, `key`, `value`, `node`, `error`, `index` and whatever else may be.
//!
//! A cell of `type`, `f` and `node` is a word; any other is JSON, or, where it is none, a string. An empty cell
//! is a field that is missing. The column `extra` holds an object with further fields.

use breakit::exit::{Error, Result};
use breakit::op::Op;
use csv::{ReaderBuilder, StringRecord, Trim, WriterBuilder};
use serde_json::{Map, Value};

use super::text::{Item, Take, Text};

/// The columns that are written.
pub const COLUMNS: [&str; 11] =
    ["time", "process", "type", "f", "key", "value", "node", "error", "index", "final", "extra"];

/// Whether a line is the header of such a table.
pub fn is_header(line: &[u8]) -> bool {
    let Ok(line) = std::str::from_utf8(line) else { return false };
    let names: Vec<&str> = line.split(',').map(|name| name.trim().trim_matches('"')).collect();
    ["process", "type", "f"].iter().all(|name| names.contains(name))
}

/// Takes all events.
///
/// # Errors
/// 65 with line and column for what is no event, and whatever `take` says.
pub fn each(text: &Text<'_>, take: Take<'_>) -> Result<()> {
    let mut reader = ReaderBuilder::new().trim(Trim::Headers).from_reader(text.bytes);
    let header = reader.headers().map_err(|error| wrong(text, &error))?.clone();
    for name in ["process", "type", "f"] {
        if !header.iter().any(|column| column == name) {
            return Err(text.error(0, &format!("the header has no column {name:?}")));
        }
    }
    let twice = |name: &&str| header.iter().filter(|column| column == name).count() > 1;
    if let Some(name) = header.iter().find(twice) {
        return Err(text.error(0, &format!("the header has two columns {name:?}")));
    }
    let mut row = StringRecord::new();
    while reader.read_record(&mut row).map_err(|error| wrong(text, &error))? {
        let at = row.position().map_or(0, |position| position.byte() as usize);
        // The reader's place after a row is before the newline that ends it.
        let at = at + text.bytes[at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let op = event(&header, &row).map_err(|clause| text.error(at, &clause))?;
        take(text.place(at).0, Item::Op(Box::new(op)))?;
    }
    Ok(())
}

fn wrong(text: &Text<'_>, error: &csv::Error) -> Error {
    let at = error.position().map_or(0, |position| position.byte() as usize);
    let clause = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("the row has {len} cells and the header {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => "the row is not UTF-8".into(),
        _ => format!("not CSV: {error}"),
    };
    text.error(at.min(text.bytes.len()), &clause)
}

fn event(header: &StringRecord, row: &StringRecord) -> std::result::Result<Op, String> {
    let mut fields = Map::new();
    for (name, cell) in header.iter().zip(row) {
        match name {
            _ if cell.is_empty() => {}
            "extra" => match serde_json::from_str(cell) {
                Ok(Value::Object(extra)) => fields.extend(extra),
                _ => {
                    return Err(format!(
                        "the column \"extra\" must hold a JSON object, not {cell}"
                    ));
                }
            },
            "type" | "f" | "node" => {
                fields.insert(name.into(), cell.into());
            }
            _ => {
                fields.insert(
                    name.into(),
                    serde_json::from_str(cell).unwrap_or_else(|_| cell.into()),
                );
            }
        }
    }
    Op::of(Value::Object(fields))
}

/// The header line.
pub fn header() -> String {
    COLUMNS.join(",")
}

/// An event as a row.
///
/// # Errors
/// In words, where a row cannot hold it: a name that is empty.
pub fn row(op: &Op) -> std::result::Result<String, String> {
    let Ok(Value::Object(mut fields)) = serde_json::from_str(&op.line()) else {
        return Err("the event is no object".into());
    };
    let mut cells = Vec::with_capacity(COLUMNS.len());
    for name in &COLUMNS[..COLUMNS.len() - 1] {
        cells.push(match (*name, fields.shift_remove(*name)) {
            (_, None) => String::new(),
            ("type" | "f" | "node" | "process", Some(Value::String(word))) => {
                if word.is_empty() {
                    return Err(format!(
                        "{name:?} is empty, which a table cannot tell from missing"
                    ));
                }
                word
            }
            (_, Some(value)) => value.to_string(),
        });
    }
    cells.push(if fields.is_empty() { String::new() } else { Value::Object(fields).to_string() });
    let mut writer = WriterBuilder::new().from_writer(Vec::new());
    writer.write_record(&cells).map_err(|error| error.to_string())?;
    let bytes = writer.into_inner().map_err(|error| error.to_string())?;
    let line = String::from_utf8(bytes).map_err(|error| error.to_string())?;
    Ok(line.trim_end_matches('\n').to_string())
}
