//! The header of a table, and where the cells of its rows are.

use crate::read::span_names::NAMES;

/// The columns that are written.
pub const COLUMNS: [&str; 11] =
    ["time", "process", "type", "f", "key", "value", "node", "error", "index", "final", "extra"];

/// The header of a table.
#[derive(Debug)]
pub struct Header {
    /// The names of the columns.
    pub names: Vec<String>,
    /// What stands between cells.
    pub delimiter: u8,
    /// The columns of the times at which operations began and ended, where a row is an operation.
    pub span: Option<(usize, usize)>,
}

/// What stands between cells, where it is not a comma: what other tables than those of programs have there.
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];

/// Whether a line is the header of such a table, or of one that lacks a column.
pub fn is_header(line: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(line) else { return false };
    let names: Vec<String> = text
        .split(char::from(delimiter(line)))
        .map(|name| known(name.trim().trim_matches('"')))
        .collect();
    let has = |wanted: &str| names.iter().any(|name| name == wanted);
    names.len() > 1 && (has("process") || (has("type") && has("f")))
}

/// Whether a line is the header of a table that has other names for its columns.
pub fn is_foreign_header(line: &[u8]) -> bool {
    let is_word = |name: &[u8]| {
        let name = name.strip_prefix(b"\"").and_then(|n| n.strip_suffix(b"\"")).unwrap_or(name);
        name.first().is_some_and(u8::is_ascii_alphabetic)
            && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(byte))
    };
    let mut names = line.split(|&byte| byte == delimiter(line));
    names.clone().count() > 2 && names.all(is_word)
}

/// What stands between the cells of a table, by its header.
pub fn delimiter(header: &[u8]) -> u8 {
    let count = |delimiter: &u8| memchr::memchr_iter(*delimiter, header).count();
    // Of two that are there as often it is the first.
    DELIMITERS.into_iter().rev().max_by_key(count).unwrap_or(b',')
}

/// A column's name; those with a meaning have it in capitals too.
fn known(name: &str) -> String {
    let small = name.to_ascii_lowercase();
    let spans = || NAMES.iter().any(|(begin, end)| small == *begin || small == *end);
    match COLUMNS.contains(&small.as_str()) || spans() {
        true => small,
        false => name.to_string(),
    }
}

impl Header {
    /// The header with these cells.
    ///
    /// # Errors
    /// At which cell and in which words, where it is none.
    pub fn of(cells: &[&str], delimiter: u8) -> std::result::Result<Header, (usize, String)> {
        let names: Vec<String> = cells.iter().map(|name| known(name.trim())).collect();
        let place = |wanted: &str| names.iter().position(|name| name == wanted);
        let span = NAMES.iter().find_map(|(begin, end)| Some((place(begin)?, place(end)?)));
        let wanted: &[&str] =
            if span.is_some() { &["process", "f"] } else { &["process", "type", "f"] };
        let missing: Vec<&str> =
            wanted.iter().copied().filter(|name| place(name).is_none()).collect();
        if !missing.is_empty() {
            return Err((0, lacks(&missing, &names)));
        }
        let twice = |at: &usize| names[..*at].contains(&names[*at]);
        if let Some(at) = (0..names.len()).find(twice) {
            return Err((at, format!("the header has two columns {:?}", names[at])));
        }
        match (span, place("index").or(place("time"))) {
            (Some((begin, end)), Some(other)) => {
                let clause = format!(
                    "the columns {:?} and {:?} give the order; \"time\" and \"index\" cannot stand beside them",
                    names[begin], names[end]
                );
                Err((other, clause))
            }
            _ => Ok(Header { names, delimiter, span }),
        }
    }

    /// The names of the columns and what separates them, unless a row is a whole operation.
    pub fn of_events(&self) -> Option<(&[String], u8)> {
        self.span.is_none().then_some((&self.names, self.delimiter))
    }

    /// The byte of a row at which the cell of a column begins; where there is no such column, that of further
    /// fields.
    pub fn cell(&self, row: &[u8], wanted: &str) -> Option<usize> {
        let place = |wanted: &str| self.names.iter().position(|name| name == wanted);
        let column = place(wanted).or_else(|| place("extra"))?;
        let cell = cells(row, self.delimiter).nth(column)?;
        (cell.begin < cell.end).then_some(cell.begin)
    }
}

/// That columns are missing, and what each would hold.
fn lacks(missing: &[&str], names: &[String]) -> String {
    let holds = |name: &&str| match *name {
        "process" => "\"process\" (the client)",
        "f" => "\"f\" (the operation, as read)",
        _ => "\"type\" (invoke, ok, fail or info; not needed beside \"start\" and \"end\")",
    };
    let columns: Vec<&str> = missing.iter().map(holds).collect();
    let word = if missing.len() == 1 { "column" } else { "columns" };
    let (columns, names) = (columns.join(" and "), names.join(", "));
    format!(
        "the header has no {word} {columns}; rename those of its columns that are meant: {names}"
    )
}

/// A cell as it stands in a row.
#[derive(Debug)]
pub struct Cell {
    /// Its first byte.
    pub begin: usize,
    /// The byte behind it.
    pub end: usize,
    /// Whether a quote opens it that none closes.
    pub is_open: bool,
}

/// The cells of the row with which a text begins.
pub fn cells(row: &[u8], delimiter: u8) -> impl Iterator<Item = Cell> {
    let mut next = Some(0);
    std::iter::from_fn(move || {
        let begin = next?;
        let (mut at, mut quoted) = (begin, row.get(begin) == Some(&b'"'));
        at += usize::from(quoted);
        let is_open = loop {
            match row.get(at) {
                None => break quoted,
                Some(b'"') if quoted && row.get(at + 1) == Some(&b'"') => at += 2,
                Some(b'"') if quoted => (quoted, at) = (false, at + 1),
                Some(b'\r' | b'\n') if !quoted => break false,
                Some(&byte) if byte == delimiter && !quoted => break false,
                Some(_) => at += 1,
            }
        };
        next = (row.get(at) == Some(&delimiter)).then_some(at + 1);
        Some(Cell { begin, end: at, is_open })
    })
}
