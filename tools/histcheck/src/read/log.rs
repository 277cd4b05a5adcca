//! Jepsen's `history.txt`, and what `jepsen.util` wrote of operations into `jepsen.log`: process, type, name,
//! value and error, between tabs or spaces. Other lines of a log are counted and passed over.
//!
//! A log may end with a report that repeats a part of the history. So where events stand behind something, as
//! `INFO  jepsen.util -`, a line that is nothing but an event is none.

pub mod fields;

use breakit::exit::Result;
use breakit::op::{Op, Process};
use serde_json::{Map, Value};

use super::edn::{self, Reader};
use super::format::{self, Events, Head, Likeness};
use super::source_span::{Form, Site};
use super::text::{Item, Quick, Take, Text};
use fields::Fields;

/// The format.
pub const LOG: format::Kind = format::Kind {
    name: "log",
    doc: "Jepsen's history.txt, and the lines of jepsen.util in its log",
    unit: "line",
    has_real_time: true,
    is_process_optional: false,
    looks,
    events: Events::InText(each),
    written: None,
};

fn looks(head: &Head<'_>) -> Likeness {
    match head.in_bracket() {
        // A log may begin its lines with a thread's name in brackets.
        Some([b'{' | b'#' | b';' | b']', ..]) => Likeness::No,
        Some(_) => Likeness::Perhaps.only_if(head.mentions(b"jepsen")),
        None if head.is_nested() => Likeness::No,
        None if is_event(head.line) => Likeness::Likely,
        None => Likeness::Perhaps.only_if(head.mentions(b"jepsen.util")),
    }
}

/// Takes all events.
///
/// # Errors
/// 65 with line and column for what is no event, and whatever `take` says.
pub fn each(text: &mut Text<'_>, _: Quick<'_>, take: Take<'_>) -> Result<()> {
    let mut kind = Kind::Unknown;
    while let Some((bare, whole)) = text.line()? {
        let line = &text.rest()[..bare];
        if line.trim_ascii().is_empty() {
            take(Site::at(text.place(0)), Item::Blank)?;
        } else if !text.rest()[..whole].ends_with(b"\n") {
            return text.cut_line(take);
        } else {
            match event(line) {
                Some(event) if kind.takes(event.is_prefixed, text)? => match event.op {
                    Ok(op) => take(text.site(bare, Form::Log), Item::Op(Box::new(op)))?,
                    Err((at, clause)) => return Err(text.error(at, &clause)),
                },
                _ => take(Site::at(text.place(0)), Item::Remark)?,
            }
        }
        text.pass(whole);
    }
    Ok(())
}

/// Which lines of a log are events.
enum Kind {
    /// There was none yet.
    Unknown,
    /// Those that stand behind something.
    Prefixed,
    /// Those with nothing before them; the first stands on this line.
    Bare(u64),
}

impl Kind {
    /// Whether an event at which the window begins is one of the history.
    fn takes(&mut self, is_prefixed: bool, text: &Text<'_>) -> Result<bool> {
        match (&self, is_prefixed) {
            (Kind::Bare(first), true) => Err(text.error(
                0,
                &format!(
                    "here an event stands behind other text, and on line {first} one stands alone; one of the \
                     two kinds repeats the other, so take it out"
                ),
            )),
            (Kind::Prefixed, _) => Ok(is_prefixed),
            (Kind::Bare(_), false) => Ok(true),
            (Kind::Unknown, _) => {
                *self = if is_prefixed { Kind::Prefixed } else { Kind::Bare(text.place(0).line) };
                Ok(true)
            }
        }
    }
}

/// Whether a line is an event.
pub fn is_event(line: &[u8]) -> bool {
    Fields::of(&String::from_utf8_lossy(line)).is_some()
}

/// A line that looks like an event.
struct Found {
    is_prefixed: bool,
    /// What it says, or at which byte it is wrong and why.
    op: std::result::Result<Op, (usize, String)>,
}

fn event(line: &[u8]) -> Option<Found> {
    match std::str::from_utf8(line) {
        Ok(text) => {
            let fields = Fields::of(text)?;
            Some(Found { is_prefixed: fields.is_prefixed(text), op: op(text, &fields) })
        }
        // An event is never taken for another line because of a byte.
        Err(error) => {
            let text = String::from_utf8_lossy(line);
            let is_prefixed = Fields::of(&text)?.is_prefixed(&text);
            let wrong = (error.valid_up_to(), "the line is not UTF-8".into());
            Some(Found { is_prefixed, op: Err(wrong) })
        }
    }
}

fn op(line: &str, fields: &Fields<'_>) -> std::result::Result<Op, (usize, String)> {
    let at = |word: &str| word.as_ptr() as usize - line.as_ptr() as usize;
    let name = fields.process.trim_start_matches(':');
    let process = match name.parse() {
        Ok(number) => Process::Client(number),
        Err(_) if name.bytes().all(|byte| byte.is_ascii_digit()) => {
            let clause = format!("the process must be a whole number below 2^64, not {name}");
            return Err((at(fields.process), clause));
        }
        Err(_) => Process::Other(name.into()),
    };
    let mut reader = Reader::new(fields.rest.as_bytes());
    let value =
        match reader.peek() {
            Ok(None) => None,
            _ => Some(reader.next_form().map_err(|wrong| {
                (at(fields.rest) + wrong.at, format!("not EDN: {}", wrong.clause))
            })?),
        };
    let (error, extra) = behind_value(reader, fields.rest);
    Ok(Op {
        time: None,
        process,
        kind: fields.kind,
        f: fields.f.trim_start_matches(':').into(),
        key: None,
        value: value.map(plain),
        node: None,
        error,
        extra,
    })
}

/// The error, and what stands behind it. What is no EDN is the text of an error.
fn behind_value(mut reader: Reader<'_>, rest: &str) -> (Option<Value>, Map<String, Value>) {
    let text = rest[reader.at()..].trim();
    let mut forms: Vec<Value> = Vec::new();
    loop {
        match reader.peek() {
            Ok(None) => break,
            Ok(Some(_)) => match reader.next_form() {
                Ok(form) => forms.push(form),
                Err(_) => return (Some(text.into()), Map::new()),
            },
            Err(_) => return (Some(text.into()), Map::new()),
        }
    }
    let mut forms = forms.into_iter();
    let error = forms.next();
    let more: Vec<Value> = forms.collect();
    let extra = match more.is_empty() {
        true => Map::new(),
        false => Map::from_iter([("more".to_string(), more.into())]),
    };
    (error, extra)
}

/// `:timed-out` in the place of a value is no value of the object: the log writes the error there.
fn plain(value: Value) -> Value {
    match edn::keyword(&value) {
        Some("timed-out") => Value::Null,
        _ => value,
    }
}
