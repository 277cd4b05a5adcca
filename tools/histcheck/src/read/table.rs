//! A history as a table in CSV. The header names the columns, in any order: `process`, `type` and `f` must be
//! there; `time`, `key`, `value`, `node`, `error`, `index` and whatever else may be.
//!
//! A cell of `type`, `f` and `node` is a word; any other is JSON, or, where it is none, a string. An empty cell
//! is a field that is missing. The column `extra` holds an object with further fields.
//!
//! Where two columns name the times at which an operation began and ended ([`super::span_names::NAMES`]), a row is a whole operation.

pub mod header;

use std::borrow::Cow;

use breakit::exit::{Error, Result};
use breakit::json::Json;
use breakit::op::{Op, Wrong};
use csv::WriterBuilder;
use csv_core::ReadRecordResult;
use serde_json::{Map, Value};

use super::format::{self, Events, Head, Likeness, Written};
use super::source_span::{Form, Site};
use super::spans::{self, Span};
use super::text::{Item, Quick, Take, Text};
use header::{COLUMNS, Header, cells, delimiter, is_foreign_header, is_header};

/// The format.
pub const CSV: format::Kind = format::Kind {
    name: "csv",
    doc: "A table whose header names the columns",
    unit: "row",
    has_real_time: true,
    is_process_optional: false,
    looks,
    events: Events::InText(each),
    written: Some(Written { header: || header() + "\n", event: row }),
};

fn looks(head: &Head<'_>) -> Likeness {
    match head.is_nested() {
        true => Likeness::No,
        false if is_header(head.line) => Likeness::Likely,
        false => Likeness::Perhaps.only_if(is_foreign_header(head.line)),
    }
}

/// Takes all events.
///
/// # Errors
/// 65 with line and column for what is no event, and whatever `take` and `quick` say.
pub fn each(text: &mut Text<'_>, quick: Quick<'_>, take: Take<'_>) -> Result<()> {
    skip_blank(text, take)?;
    let delimiter = match text.line()? {
        Some((bare, _)) => delimiter(&text.rest()[..bare]),
        None => b',',
    };
    let mut rows = Rows::new(delimiter);
    let header = match rows.next(text, take)? {
        Next::Row(length) => {
            let names = rows.cells().ok_or_else(|| no_utf8(text, length))?;
            let header = Header::of(&names, delimiter).map_err(|(at, clause)| {
                let cell = cells(text.rest(), delimiter).nth(at);
                text.error(cell.map_or(0, |cell| cell.begin), &clause)
            })?;
            text.pass(length);
            header
        }
        Next::Cut => return cut(text, delimiter, 1, take),
        Next::End => return Ok(()),
    };
    let mut spans = Vec::new();
    loop {
        let quickly = quick(text.rest(), text.place(0), Form::Row(&header))?;
        text.pass(quickly);
        match rows.next(text, take)? {
            Next::Row(length) => {
                let row = rows.cells().ok_or_else(|| no_utf8(text, length))?;
                if row.len() != header.names.len() {
                    return Err(wrong_length(text, &header, row.len()));
                }
                let site = text.site(length, Form::Row(&header));
                let wrong = |wrong: Wrong| site.error(text.name(), wrong);
                match header.span {
                    None => {
                        let op = event(&header.names, &row).map_err(wrong)?;
                        take(site, Item::Op(Box::new(op)))?;
                    }
                    Some((begin, end)) => {
                        let names = (&header.names[begin], &header.names[end]);
                        let (begin, end, op) = fields(&header.names, &row)
                            .and_then(|fields| spans::operation(fields, names.0, names.1))
                            .map_err(wrong)?;
                        let row = text.rest()[..length].into();
                        let nth = spans.len() as u32 + 1;
                        spans.push(Span { begin, end, place: site.place, nth, row, op });
                    }
                }
                text.pass(length);
            }
            Next::Cut => {
                cut(text, delimiter, header.names.len(), take)?;
                break;
            }
            Next::End => break,
        }
    }
    spans::each(text.name(), Form::Row(&header), spans, take)
}

fn no_utf8(text: &Text<'_>, length: usize) -> Error {
    let valid = std::str::from_utf8(&text.rest()[..length]).err();
    text.error(valid.map_or(0, |error| error.valid_up_to()), "the row is not UTF-8")
}

/// A row with cells for which there is no column, or without cells for all columns.
fn wrong_length(text: &Text<'_>, header: &Header, found: usize) -> Error {
    let columns = header.names.len();
    let at = match cells(text.rest(), header.delimiter).take(columns + 1).last() {
        Some(surplus) if found > columns => surplus.begin,
        Some(last) => last.end,
        None => 0,
    };
    text.error(at, &format!("the row has {found} cells and the header {columns}"))
}

/// What a last row comes to that no newline ends.
fn cut(text: &Text<'_>, delimiter: u8, columns: usize, take: Take<'_>) -> Result<()> {
    let rest = text.rest();
    let Some(open) = cells(rest, delimiter).find(|cell| cell.is_open) else {
        return text.cut_line(take);
    };
    let clause = "the quote that opens this cell is closed nowhere";
    // A quote too many swallows all rows behind it, and they are not to be dropped as one.
    let mut swallowed = rest[open.begin..].split(|&byte| byte == b'\n').skip(1);
    match swallowed.any(|line| cells(line, delimiter).count() == columns) {
        true => Err(text.error(
            open.begin,
            &format!("{clause}; close it, or double it where it is a character"),
        )),
        false => text.cut(open.begin, clause, take),
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
    fn new(delimiter: u8) -> Rows {
        let mut core = csv_core::ReaderBuilder::new().delimiter(delimiter).build();
        // It passes over a byte order mark at the beginning of what it reads first. That of the text is gone
        // already; behind a blank line another would go in silence.
        core.read_record(b"\n", &mut [0], &mut [0]);
        Rows { core, bytes: Vec::new(), ends: Vec::new(), count: 0 }
    }

    /// The next row; blank lines before it are given.
    fn next(&mut self, text: &mut Text<'_>, take: Take<'_>) -> Result<Next> {
        skip_blank(text, take)?;
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
        Ok(Next::Row(read + newline_behind(text, read)?))
    }

    /// The cells of the present row; `None` where they are not UTF-8.
    fn cells(&self) -> Option<Vec<&str>> {
        let begins = [0].into_iter().chain(self.ends.iter().copied());
        let ranges = begins.zip(&self.ends[..self.count]);
        ranges.map(|(begin, &end)| std::str::from_utf8(&self.bytes[begin..end]).ok()).collect()
    }
}

/// Passes blank lines, which are given.
fn skip_blank(text: &mut Text<'_>, take: Take<'_>) -> Result<()> {
    while let Some(length) = blank(text)? {
        take(Site::at(text.place(0)), Item::Blank)?;
        text.pass(length);
    }
    Ok(())
}

/// How long the ending of the line is, where nothing else is on it.
fn blank(text: &mut Text<'_>) -> Result<Option<usize>> {
    if text.rest().is_empty() && !text.is_all() {
        text.more()?;
    }
    match text.rest().first() {
        Some(b'\n') => Ok(Some(1)),
        Some(b'\r') => Ok(Some(1 + newline_behind(text, 1)?)),
        _ => Ok(None),
    }
}

/// 1 where a newline completes the carriage return before it.
fn newline_behind(text: &mut Text<'_>, at: usize) -> Result<usize> {
    if text.rest().len() == at && !text.is_all() {
        text.more()?;
    }
    Ok(usize::from(text.rest()[at - 1] == b'\r' && text.rest().get(at) == Some(&b'\n')))
}

fn event(names: &[String], row: &[&str]) -> std::result::Result<Op, Wrong> {
    Op::of_fields(fields(names, row)?)
}

fn fields<'a>(
    names: &'a [String],
    row: &[&str],
) -> std::result::Result<Vec<(Cow<'a, str>, Value)>, Wrong> {
    let mut fields: Vec<(Cow<'_, str>, Value)> = Vec::with_capacity(names.len());
    let mut further = Map::new();
    for (name, &cell) in names.iter().zip(row) {
        let value = match name.as_str() {
            _ if cell.is_empty() => continue,
            "extra" => match json(name, cell)? {
                Value::Object(object) => {
                    further = object;
                    continue;
                }
                _ => {
                    return Err(Wrong::of("extra", format!("must hold a JSON object, not {cell}")));
                }
            },
            "type" | "f" | "node" => cell.into(),
            _ => json(name, cell)?,
        };
        fields.push((name.as_str().into(), value));
    }
    if let Some((name, _)) = fields.iter().find(|(name, _)| further.contains_key(name.as_ref())) {
        let has = format!("has a field {name:?}, and so has its own column");
        return Err(Wrong::of("extra", has));
    }
    fields.extend(further.into_iter().map(|(name, value)| (name.into(), value)));
    Ok(fields)
}

/// A cell as JSON, or as a string where it is none.
fn json(name: &str, cell: &str) -> std::result::Result<Value, Wrong> {
    if let ([b'1'..=b'9', ..], Ok(number)) = (cell.as_bytes(), cell.parse::<u64>()) {
        // Most cells: whole numbers.
        return Ok(number.into());
    }
    match serde_json::from_str(cell) {
        Ok(Json(value)) => Ok(value),
        Err(error) if error.is_data() => {
            Err(Wrong::of(name.to_string(), format!("holds an object in which {error}")))
        }
        Err(_) => Ok(cell.into()),
    }
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
    let mut fields = op.fields();
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
