//! Histories of transactions without times: AWDIT's test text, and the text of Plume.
//!
//! A session is a process, a transaction is an operation `txn` whose value is the list of its steps. Nothing
//! says which transaction of one session ended before one of another began.

use breakit::exit::Result;
use breakit::op::{Op, Process, Type};
use serde_json::{Map, Value};

use super::format::{self, Events, Likeness};
use super::position::Place;
use super::source_span::Site;
use super::text::{Item, Quick, Take, Text};

/// The format.
pub const PLUME: format::Kind = format::Kind {
    name: "plume",
    doc: "Plume's text of transactions, as AWDIT takes it: r(key,value,session,transaction)",
    unit: "line",
    has_real_time: false,
    is_process_optional: false,
    looks: |head| Likeness::Surely.only_if(matches!(head.text, [b'r' | b'w', b'(', ..])),
    events: Events::InText(each_of_plume),
    written: None,
};

/// The format.
pub const SESSIONS: format::Kind = format::Kind {
    name: "sessions",
    doc: "AWDIT's test text: r KEY VALUE, --- between transactions, === between sessions",
    unit: "line",
    has_real_time: false,
    is_process_optional: false,
    looks: |head| {
        let is_step = matches!(head.text, [b'r' | b'w', b' ' | b'\t', b'0'..=b'9' | b'-', ..]);
        let is_rule = head.text.starts_with(b"---") || head.text.starts_with(b"===");
        Likeness::Surely.only_if(is_step || is_rule)
    },
    events: Events::InText(each_of_sessions),
    written: None,
};

type Step = (Place, Value);

/// Plume writes the steps of all transactions that were aborted under this number.
const ABORTED: i64 = -1;

/// Takes the transactions of AWDIT's test text: `r KEY VALUE`, `w KEY VALUE`, `---` between transactions, `===`
/// between sessions. Its last line is taken without a newline too, as published histories have it; whether a
/// number there was cut short cannot be seen.
///
/// # Errors
/// 65 with line and column for what is none of these, and whatever `take` says.
pub fn each_of_sessions(text: &mut Text<'_>, _: Quick<'_>, take: Take<'_>) -> Result<()> {
    let (mut session, mut steps) = (0, Vec::new());
    while let Some((bare, whole)) = text.line()? {
        let place = text.place(0);
        let line = text.rest()[..bare].trim_ascii();
        if line.is_empty() {
            take(Site::at(place), Item::Blank)?;
        } else if is_rule(line, b'-') || is_rule(line, b'=') {
            let ends_session = line[0] == b'=';
            transaction(session, Type::Ok, &mut steps, take)?;
            take(Site::at(place), Item::Rule)?;
            session += u64::from(ends_session);
        } else {
            match step(line) {
                Some(step) => steps.push((place, step)),
                None if is_last(text, whole) => text.cut_line(take)?,
                None => {
                    let clause = "a line must be \"r KEY VALUE\", \"w KEY VALUE\", --- or ===";
                    return Err(text.error(0, clause));
                }
            }
        }
        text.pass(whole);
    }
    transaction(session, Type::Ok, &mut steps, take)
}

/// Whether no newline ends the line of so many bytes.
fn is_last(text: &Text<'_>, whole: usize) -> bool {
    !text.rest()[..whole].ends_with(b"\n")
}

fn is_rule(line: &[u8], byte: u8) -> bool {
    line.len() >= 3 && line.iter().all(|&other| other == byte)
}

fn step(line: &[u8]) -> Option<Value> {
    let line = std::str::from_utf8(line).ok()?;
    let mut words = line.split_ascii_whitespace();
    let f = words.next().filter(|f| ["r", "w"].contains(f))?;
    let (key, value) = (words.next()?.parse::<i64>().ok()?, words.next()?.parse::<i64>().ok()?);
    words
        .next()
        .is_none()
        .then(|| Value::from(vec![f.into(), Value::from(key), Value::from(value)]))
}

/// Takes the transactions of Plume's text: `r(KEY,VALUE,SESSION,TRANSACTION)`, `w(...)`. The value 0 is that of
/// a key which nobody wrote.
///
/// # Errors
/// 65 with line and column for what is none of these, and whatever `take` says.
pub fn each_of_plume(text: &mut Text<'_>, _: Quick<'_>, take: Take<'_>) -> Result<()> {
    let (mut now, mut steps): (Option<(u64, i64)>, Vec<Step>) = (None, Vec::new());
    while let Some((bare, whole)) = text.line()? {
        let place = text.place(0);
        let line = text.rest()[..bare].trim_ascii();
        if line.is_empty() {
            take(Site::at(place), Item::Blank)?;
            text.pass(whole);
            continue;
        }
        let Some((step, of)) = plume(line) else {
            // Its bracket shows whether a line is whole.
            if is_last(text, whole) && !line.ends_with(b")") {
                text.cut_line(take)?;
                text.pass(whole);
                continue;
            }
            return Err(text.error(0, "a line must be r(KEY,VALUE,SESSION,TRANSACTION) or w(...)"));
        };
        if let Some(before) = now.filter(|&before| before != of) {
            transaction(before.0, fate(before.1), &mut steps, take)?;
        }
        now = Some(of);
        steps.push((place, step));
        text.pass(whole);
    }
    let (session, number) = now.unwrap_or_default();
    transaction(session, fate(number), &mut steps, take)
}

fn fate(transaction: i64) -> Type {
    if transaction == ABORTED { Type::Fail } else { Type::Ok }
}

fn plume(line: &[u8]) -> Option<(Value, (u64, i64))> {
    let line = std::str::from_utf8(line).ok()?;
    let (f, rest) = line.split_once('(').filter(|(f, _)| ["r", "w"].contains(f))?;
    let numbers: Option<Vec<i64>> =
        rest.strip_suffix(')')?.split(',').map(|word| word.trim().parse().ok()).collect();
    let &[key, value, session, transaction] = numbers?.as_slice() else { return None };
    let value = if f == "r" && value == 0 { Value::Null } else { value.into() };
    let step = Value::from(vec![f.into(), key.into(), value]);
    (transaction >= ABORTED).then_some((step, (u64::try_from(session).ok()?, transaction)))
}

/// Gives the steps so far as one transaction of this end.
fn transaction(session: u64, end: Type, steps: &mut Vec<Step>, take: Take<'_>) -> Result<()> {
    let Some(&(begin, _)) = steps.first() else { return Ok(()) };
    let lines = steps.len() as u64;
    let done: Value = steps.drain(..).map(|(_, step)| step).collect();
    let mut asked = done.clone();
    for step in asked.as_array_mut().into_iter().flatten() {
        if step[0] == "r" {
            step[2] = Value::Null;
        }
    }
    for (kind, value, pieces) in [(Type::Invoke, asked, lines), (end, done, 0)] {
        take(Site::at(begin).counted(pieces), Item::Op(Box::new(op(session, kind, value))))?;
    }
    Ok(())
}

fn op(session: u64, kind: Type, value: Value) -> Op {
    Op {
        time: None,
        process: Process::Client(session),
        kind,
        f: "txn".into(),
        key: None,
        value: Some(value),
        node: None,
        error: None,
        extra: Map::new(),
    }
}
