//! Jepsen's `history.txt`, and what `jepsen.util` wrote of operations into `jepsen.log`: process, type, name,
//! value and error between tabs. Other lines of a log are counted and passed over.

use breakit::exit::Result;
use breakit::op::{Op, Process, Type};
use serde_json::{Map, Value};

use super::edn::{self, Reader};
use super::site::{Form, Site};
use super::text::{Item, Take, Text};

/// Takes all events.
///
/// # Errors
/// 65 with line and column for what is no event, and whatever `take` says.
pub fn each(text: &mut Text<'_>, take: Take<'_>) -> Result<()> {
    while let Some((bare, whole)) = text.line()? {
        let line = &text.rest()[..bare];
        if line.trim_ascii().is_empty() {
            take(Site::at(text.place(0)), Item::Blank)?;
        } else if !text.rest()[..whole].ends_with(b"\n") {
            return text.cut_line(take);
        } else {
            match event(line) {
                None => take(Site::at(text.place(0)), Item::Remark)?,
                Some(Ok(op)) => take(text.site(bare, Form::Log), Item::Op(Box::new(op)))?,
                Some(Err((at, clause))) => return Err(text.error(at, &clause)),
            }
        }
        text.pass(whole);
    }
    Ok(())
}

/// The byte of an event's line at which what it has of a field begins.
pub fn field(line: &[u8], wanted: &str) -> Option<usize> {
    let line = std::str::from_utf8(line).ok()?;
    let fields = Fields::of(line)?;
    let at = |word: &str| word.as_ptr() as usize - line.as_ptr() as usize;
    match wanted {
        "process" => Some(at(fields.process)),
        "type" => Some(at(fields.process) + fields.process.len() + 1),
        "f" => Some(at(fields.f)),
        "value" => {
            let (begin, rest) = fields.rest;
            Some(begin + rest.len() - rest.trim_start().len())
        }
        _ => None,
    }
}

/// Whether a line is an event.
pub fn is_event(line: &[u8]) -> bool {
    Fields::of(&String::from_utf8_lossy(line)).is_some()
}

/// The fields of an event, as they stand.
struct Fields<'a> {
    process: &'a str,
    kind: Type,
    f: &'a str,
    /// Value and error, with the byte at which the first begins.
    rest: (usize, &'a str),
}

impl<'a> Fields<'a> {
    fn of(line: &'a str) -> Option<Fields<'a>> {
        let mut before = 0;
        for (end, _) in line.match_indices('\t') {
            let word = &line[end + 1..];
            let word = word.split('\t').next().unwrap_or(word);
            if let Some(kind) = word.strip_prefix(':').and_then(Type::of) {
                let process = line[before..end].split_whitespace().last()?;
                let rest = line.get(end + 1 + word.len() + 1..)?;
                let f = rest.split('\t').next()?;
                let at = line.len() - rest.len() + f.len();
                let rest = (at, &line[at..]);
                let is_number = process.bytes().all(|byte| byte.is_ascii_digit());
                let is_process = is_number || process.ends_with("nemesis");
                return (is_process && !f.is_empty()).then_some(Fields { process, kind, f, rest });
            }
            before = end + 1;
        }
        None
    }
}

fn event(line: &[u8]) -> Option<std::result::Result<Op, (usize, String)>> {
    let line = match std::str::from_utf8(line) {
        Ok(line) => line,
        // An event is never taken for another line because of a byte.
        Err(error) if is_event(line) => {
            return Some(Err((error.valid_up_to(), "the line is not UTF-8".into())));
        }
        Err(_) => return None,
    };
    let fields = Fields::of(line)?;
    let process = match (fields.process.parse(), fields.process.strip_suffix("nemesis")) {
        (Ok(number), _) => Process::Client(number),
        (Err(_), Some(_)) => Process::Other(fields.process.trim_start_matches(':').into()),
        (Err(_), None) => {
            let number = fields.process;
            let clause = format!("the process must be a whole number below 2^64, not {number}");
            return Some(Err((field(line.as_bytes(), "process").unwrap_or(0), clause)));
        }
    };
    let (at, rest) = fields.rest;
    let mut reader = Reader::new(rest.as_bytes());
    let mut forms: Vec<Value> = Vec::new();
    loop {
        match reader.peek() {
            Ok(None) => break,
            _ => match reader.next_form() {
                Ok(form) => forms.push(form),
                Err(wrong) => {
                    return Some(Err((at + wrong.at, format!("not EDN: {}", wrong.clause))));
                }
            },
        }
    }
    let mut forms = forms.into_iter();
    Some(Ok(Op {
        time: None,
        process,
        kind: fields.kind,
        f: fields.f.trim_start_matches(':').into(),
        key: None,
        value: forms.next().map(plain),
        node: None,
        error: forms.next(),
        extra: match forms.next() {
            Some(more) => {
                Map::from_iter([("more".to_string(), std::iter::once(more).chain(forms).collect())])
            }
            None => Map::new(),
        },
    }))
}

/// `:timed-out` in the place of a value is no value of the object: the log writes the error there.
fn plain(value: Value) -> Value {
    match edn::keyword(&value) {
        Some("timed-out") => Value::Null,
        _ => value,
    }
}
