//! A history as a table in CSV. The header names the columns, in any order: `process`, `type` and `f` must be
//! there; `time`, `key`, `value`, `node`, `error`, `index` and whatever else may be.
//!
//! A cell of `type`, `f` and `node` is a word; any other is JSON, or, where it is none, a string. An empty cell
//! is a field that is missing. The column `extra` holds an object with further fields.
//!
//! Where two columns name the times at which an operation began and ended ([`SPANS`]), a row is a whole operation.

use breakit::exit::Result;
use breakit::op::{Op, Type};
use csv::WriterBuilder;
use csv_core::ReadRecordResult;
use serde_json::{Map, Value};

use super::spans::{self, Span};
use super::text::{Item, Take, Text};

/// The columns that are written.
pub const COLUMNS: [&str; 11] =
    ["time", "process", "type", "f", "key", "value", "node", "error", "index", "final", "extra"];

/// The columns between whose times a row is an operation.
pub const SPANS: [(&str, &str); 6] = [
    ("start", "end"),
    ("start_time", "end_time"),
    ("invoke", "complete"),
    ("invoke_time", "complete_time"),
    ("call", "return"),
    ("call_time", "return_time"),
];

/// Whether a line is the header of such a table.
pub fn is_header(line: &[u8]) -> bool {
    let Ok(line) = std::str::from_utf8(line) else { return false };
    let names: Vec<String> =
        line.split(',').map(|name| name.trim().trim_matches('"').to_string()).collect();
    missing(&names).is_none()
}

/// The columns of the times at which operations began and ended, where a row is an operation.
fn span(names: &[String]) -> Option<(usize, usize)> {
    let place = |wanted: &str| names.iter().position(|name| name == wanted);
    SPANS.iter().find_map(|(begin, end)| Some((place(begin)?, place(end)?)))
}

/// The first column that must be there and is not.
fn missing(names: &[String]) -> Option<&'static str> {
    let wanted: &[&str] =
        if span(names).is_some() { &["process", "f"] } else { &["process", "type", "f"] };
    wanted.iter().find(|&&wanted| names.iter().all(|name| name != wanted)).copied()
}

/// Takes all events.
///
/// # Errors
/// 65 with line and column for what is no event, and whatever `take` says.
pub fn each(text: &mut Text<'_>, take: Take<'_>) -> Result<()> {
    let mut rows = Rows::new();
    let names: Vec<String> = match rows.next(text, take)? {
        Next::Row(length) => {
            let names = rows.cells().map_err(|clause| text.error(0, clause))?;
            let names: Vec<String> = names.iter().map(|name| name.trim().to_string()).collect();
            check(&names).map_err(|clause| text.error(0, &clause))?;
            text.pass(length);
            names
        }
        Next::Cut => return text.cut_line(take),
        Next::End => return Ok(()),
    };
    let span = span(&names);
    let mut spans = Vec::new();
    loop {
        match rows.next(text, take)? {
            Next::Row(length) => {
                let row = rows.cells().map_err(|clause| text.error(0, clause))?;
                let place = text.place(0);
                let wrong = |clause: String| text.error(0, &clause);
                match span {
                    None => {
                        let op = event(&names, &row).map_err(wrong)?;
                        take(place, Item::Op(Box::new(op)))?;
                    }
                    Some(columns) => {
                        let (begin, end, op) = operation(&names, &row, columns).map_err(wrong)?;
                        spans.push(Span { begin, end, place, op });
                    }
                }
                text.pass(length);
            }
            Next::Cut => {
                text.cut_line(take)?;
                break;
            }
            Next::End => break,
        }
    }
    spans::each(text.name(), spans, take)
}

fn check(names: &[String]) -> std::result::Result<(), String> {
    if let Some(name) = missing(names) {
        return Err(format!("the header has no column {name:?}"));
    }
    let twice = |name: &&String| names.iter().filter(|other| other == name).count() > 1;
    if let Some(name) = names.iter().find(twice) {
        return Err(format!("the header has two columns {name:?}"));
    }
    match span(names) {
        Some((begin, end))
            if names.iter().any(|name| ["index", "time"].contains(&name.as_str())) =>
        {
            Err(format!(
                "the columns {:?} and {:?} give the order; \"time\" and \"index\" cannot stand beside them",
                names[begin], names[end]
            ))
        }
        _ => Ok(()),
    }
}

/// The rows of a table.
struct Rows {
    core: csv_core::Reader,
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// How many of the ends are those of the present row.
    count: usize,
}

enum Next {
    /// A row of so many bytes; the window begins with it.
    Row(usize),
    /// One that the end of the text cut short, or whose last cell it may have.
    Cut,
    /// None.
    End,
}

impl Rows {
    fn new() -> Rows {
        // Its default is no reader that works.
        Rows { core: csv_core::Reader::new(), bytes: Vec::new(), ends: Vec::new(), count: 0 }
    }

    /// The next row; blank lines before it are given.
    fn next(&mut self, text: &mut Text<'_>, take: Take<'_>) -> Result<Next> {
        while let Some(length) = self.blank(text)? {
            take(text.place(0), Item::Blank)?;
            text.pass(length);
        }
        let (mut read, mut written) = (0, 0);
        self.count = 0;
        loop {
            if read == text.rest().len() {
                match text.is_all() {
                    // The reader would take the end of the text for that of the row, and of a quoted cell too.
                    true => return Ok(if read == 0 { Next::End } else { Next::Cut }),
                    false => text.more()?,
                }
                continue;
            }
            let (result, taken, gave, ended) = self.core.read_record(
                &text.rest()[read..],
                &mut self.bytes[written..],
                &mut self.ends[self.count..],
            );
            (read, written, self.count) = (read + taken, written + gave, self.count + ended);
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => self.bytes.resize(self.bytes.len() * 2 + 256, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2 + 16, 0),
                ReadRecordResult::Record => break,
                ReadRecordResult::End => return Ok(Next::End),
            }
        }
        Ok(Next::Row(read + self.newline_behind(text, read)?))
    }

    /// How long the ending of the line is, where nothing else is on it.
    fn blank(&self, text: &mut Text<'_>) -> Result<Option<usize>> {
        if text.rest().is_empty() && !text.is_all() {
            text.more()?;
        }
        match text.rest().first() {
            Some(b'\n') => Ok(Some(1)),
            Some(b'\r') => Ok(Some(1 + self.newline_behind(text, 1)?)),
            _ => Ok(None),
        }
    }

    /// 1 where a newline completes the carriage return before it.
    fn newline_behind(&self, text: &mut Text<'_>, at: usize) -> Result<usize> {
        if text.rest().len() == at && !text.is_all() {
            text.more()?;
        }
        Ok(usize::from(text.rest()[at - 1] == b'\r' && text.rest().get(at) == Some(&b'\n')))
    }

    /// The cells of the present row.
    fn cells(&self) -> std::result::Result<Vec<&str>, &'static str> {
        let begins = [0].into_iter().chain(self.ends.iter().copied());
        let ranges = begins.zip(&self.ends[..self.count]);
        let cells = ranges.map(|(begin, &end)| std::str::from_utf8(&self.bytes[begin..end]));
        cells.collect::<std::result::Result<_, _>>().map_err(|_| "the row is not UTF-8")
    }
}

fn event(names: &[String], row: &[&str]) -> std::result::Result<Op, String> {
    Op::of(Value::Object(fields(names, row)?))
}

/// A row as an operation with its times.
fn operation(
    names: &[String],
    row: &[&str],
    (begin, end): (usize, usize),
) -> std::result::Result<(u64, Option<u64>, Op), String> {
    let mut fields = fields(names, row)?;
    let mut time = |column: usize| match fields.shift_remove(&names[column]) {
        None => Ok(None),
        Some(value) => value.as_u64().map(Some).ok_or_else(|| {
            format!("{:?} must be a whole number of nanoseconds, not {value}", names[column])
        }),
    };
    let (begin, end) = match (time(begin)?, time(end)?) {
        (Some(begin), Some(end)) if end < begin => {
            return Err(format!("the operation ended at {end}, before it began at {begin}"));
        }
        (Some(begin), end) => (begin, end),
        (None, _) => return Err(format!("{:?} is missing", names[begin])),
    };
    if !fields.contains_key("type") {
        fields.insert("type".into(), if end.is_some() { "ok" } else { "info" }.into());
    }
    let op = Op::of(Value::Object(fields))?;
    match (op.kind, end) {
        (Type::Invoke, _) => {
            Err("a row is a whole operation, and its \"type\" what became of it: \
             ok, fail or info, not invoke"
                .into())
        }
        (Type::Ok | Type::Fail, None) => {
            Err(format!("\"type\" is {}, and no time says when it ended", op.kind.word()))
        }
        _ => Ok((begin, end, op)),
    }
}

fn fields(names: &[String], row: &[&str]) -> std::result::Result<Map<String, Value>, String> {
    if row.len() != names.len() {
        return Err(format!("the row has {} cells and the header {}", row.len(), names.len()));
    }
    let mut fields = Map::new();
    for (name, &cell) in names.iter().zip(row) {
        match name.as_str() {
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
                fields.insert(name.clone(), cell.into());
            }
            _ => {
                fields.insert(
                    name.clone(),
                    serde_json::from_str(cell).unwrap_or_else(|_| cell.into()),
                );
            }
        }
    }
    Ok(fields)
}

/// The header line.
pub fn header() -> String {
    COLUMNS.join(",")
}

/// An event as a row.
///
/// # Errors
/// In words, where a row cannot hold it.
pub fn row(op: &Op) -> std::result::Result<String, String> {
    let Ok(Value::Object(mut fields)) = serde_json::from_str(&op.line()) else {
        return Err("the event is no object".into());
    };
    let mut cells = Vec::with_capacity(COLUMNS.len());
    for name in &COLUMNS[..COLUMNS.len() - 1] {
        let is_word = ["type", "f", "node"].contains(name);
        // An empty cell is a field that is missing: an empty word stays for the last column.
        if is_word && fields.get(*name).is_some_and(|value| value == "") {
            cells.push(String::new());
            continue;
        }
        cells.push(match fields.shift_remove(*name) {
            None => String::new(),
            Some(Value::String(word)) if is_word => word,
            // A bare word, unless it would be read as something else.
            Some(Value::String(word))
                if *name == "process" && serde_json::from_str::<Value>(&word).is_err() =>
            {
                word
            }
            Some(value) => value.to_string(),
        });
    }
    cells.push(if fields.is_empty() { String::new() } else { Value::Object(fields).to_string() });
    let mut writer = WriterBuilder::new().from_writer(Vec::new());
    writer.write_record(&cells).map_err(|error| error.to_string())?;
    let bytes = writer.into_inner().map_err(|error| error.to_string())?;
    let line = String::from_utf8(bytes).map_err(|error| error.to_string())?;
    Ok(line.trim_end_matches('\n').to_string())
}
