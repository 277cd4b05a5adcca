//! Whole operations, with the times at which they began and ended, to events in order: rows of a table, or objects.
//!
//! Of events at one time nobody knows which came first: invocations are put before completions, so that the
//! operations overlap and neither is said to precede the other. Only that a process ends one operation before it
//! begins the next is certain. One process that does both at one time can be put between the invocations and
//! the completions of all others. Two cannot: each would have to begin before the other ends, which is a circle.
//! That is an error, as any order would say more than the table does.

use std::collections::HashMap;

use breakit::exit::Result;
use breakit::natural::{is_minus_one, natural};
use breakit::op::{Op, Process, Type, Wrong};
use serde_json::Value;

use super::edn::Fields;
use super::lanes::{self, Interval};
use super::position::Place;
use super::source_span::{Form, Site};
use super::span_names::NAMES;
use super::text::{Item, Take};

/// When an operation began, when it ended where that is known, and what became of it.
pub type Times = (u64, Option<u64>, Op);

/// An operation of a table.
#[derive(Debug)]
pub struct Span {
    /// The time at which it began.
    pub begin: u64,
    /// The time at which it ended, where the table says.
    pub end: Option<u64>,
    /// Where its text begins.
    pub place: Place,
    /// Which of all it is in the text, from 1.
    pub nth: u32,
    /// Its text.
    pub row: Box<[u8]>,
    /// What it was and what became of it.
    pub op: Op,
}

impl Span {
    fn interval(&self) -> Interval<'_> {
        Interval { process: &self.op.process, begin: self.begin, end: self.end }
    }
}

/// A moment at which a span begins or ends.
#[derive(Clone, Copy, Debug)]
struct Edge {
    time: u64,
    is_end: bool,
    span: usize,
}

/// Takes the events of all spans, in order.
///
/// # Errors
/// 65 where the times give none, and whatever `take` says.
pub fn each(name: &str, form: Form<'_>, mut spans: Vec<Span>, take: Take<'_>) -> Result<()> {
    // Among spans of one process at one time the one that ends first comes first, then the upper row.
    spans.sort_by_key(|span| (span.begin, span.end.unwrap_or(u64::MAX)));
    let intervals: Vec<Interval<'_>> = spans.iter().map(Span::interval).collect();
    let lanes = lanes::of(&intervals);
    let mut edges: Vec<Edge> = Vec::with_capacity(2 * spans.len());
    for (at, span) in spans.iter().enumerate() {
        edges.push(Edge { time: span.begin, is_end: false, span: at });
        edges.extend(span.end.map(|time| Edge { time, is_end: true, span: at }));
    }
    // A span's own beginning stands before its end.
    edges.sort_by_key(|edge| (edge.time, edge.span, edge.is_end));
    for together in edges.chunk_by(|a, b| a.time == b.time) {
        for edge in in_order(name, &spans, &lanes, together)? {
            let span = &spans[edge.span];
            // A row is counted where it begins.
            let site = Site::new(span.place, &span.row, form);
            let site = site.counted(u64::from(!edge.is_end)).numbered(span.nth);
            let op = Box::new(event(span, edge.is_end));
            take(site, Item::of_lane(op, lanes[edge.span]))?;
        }
    }
    Ok(())
}

/// Edges of one time in an order that says no more than they do.
fn in_order(name: &str, spans: &[Span], lanes: &[u32], edges: &[Edge]) -> Result<Vec<Edge>> {
    if edges.len() < 2 {
        return Ok(edges.to_vec());
    }
    let process = |edge: &Edge| (&spans[edge.span].op.process, lanes[edge.span]);
    let mut of_process: HashMap<(&Process, u32), Vec<Edge>> = HashMap::new();
    for &edge in edges {
        of_process.entry(process(&edge)).or_default().push(edge);
    }
    let goes_on = |edge: &Edge| {
        let own = &of_process[&process(edge)];
        // What ends now and began earlier is ordered before whatever the process begins now.
        own.iter().any(|edge| edge.is_end)
            && own.iter().filter(|edge| !edge.is_end).count() > 0
            && (own.len() > 2 || own[0].span != own[1].span)
    };
    let (mut begins, mut between, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    for &edge in edges {
        match edge.is_end {
            _ if goes_on(&edge) => between.push(edge),
            true => ends.push(edge),
            false => begins.push(edge),
        }
    }
    if let Some(other) = between.iter().find(|edge| process(edge) != process(&between[0])) {
        let (one, other) = (&spans[between[0].span], &spans[other.span]);
        return Err(other.place.error(
            name,
            &format!(
                "processes {} and {} (line {}) each end one operation and begin the next at the time \
                 {}, which leaves no order; give finer times",
                other.op.process, one.op.process, one.place.line, between[0].time
            ),
        ));
    }
    Ok([begins, between, ends].concat())
}

/// The line that a span would be in a history, where it begins or ends.
fn event(span: &Span, is_end: bool) -> Op {
    let time = if is_end { span.end } else { Some(span.begin) };
    let mut op = Op { time, ..span.op.clone() };
    match (is_client(&op.process), is_end) {
        (true, true) => {}
        (true, false) => {
            op.kind = Type::Invoke;
            op.error = None;
        }
        // A fault that has a length is in force between two lines.
        (false, true) => op.f = format!("stop-{}", op.f),
        (false, false) if span.end.is_some() => op.f = format!("start-{}", op.f),
        (false, false) => {}
    }
    op
}

/// Whether a row of a process is an operation: it then has an invocation.
fn is_client(process: &Process) -> bool {
    !matches!(process, Process::Other(word) if word == "nemesis" || word == "workload")
}

/// Whether the fields of a first event are those of a whole operation: they have the time of its beginning, and it is no
/// invocation.
pub fn is_whole<'v>(field: impl Fn(&str) -> Option<&'v Value>) -> bool {
    let kind = field("type").and_then(Value::as_str).and_then(Type::of);
    NAMES.iter().any(|(begin, end)| match (field(begin), kind) {
        (None, _) => false,
        (Some(_), None) => field("type").is_none(),
        (Some(_), Some(kind)) => kind != Type::Invoke && field(end).is_some_and(Value::is_number),
    })
}

/// An operation from its fields, which say themselves what its times are called.
///
/// # Errors
/// In words, where they are none.
pub fn of_fields(fields: Fields<'_>) -> std::result::Result<Times, Wrong> {
    let has = |wanted: &str| fields.iter().any(|(name, _)| name == wanted);
    let names = NAMES.iter().find(|(begin, end)| has(begin) && has(end));
    let Some(&(begin, end)) = names.or_else(|| NAMES.iter().find(|(begin, _)| has(begin))) else {
        return Err(Wrong::whole(
            "it does not say when the operation began, as \"start\" on the first line does",
        ));
    };
    if let Some(other) = ["time", "index"].into_iter().find(|name| has(name)) {
        return Err(Wrong::of(
            other,
            format!("cannot stand beside {begin:?} and {end:?}, which give the order"),
        ));
    }
    operation(fields, begin, end)
}

/// An operation from its fields, two of which are its times.
///
/// # Errors
/// In words, where they are none.
pub fn operation(
    mut fields: Fields<'_>,
    begin_name: &str,
    end_name: &str,
) -> std::result::Result<Times, Wrong> {
    let wrong = |field: &str, predicate: String| Wrong::of(field.to_string(), predicate);
    let mut time = |wanted: &str| {
        let at = fields.iter().position(|(name, _)| *name == *wanted);
        match at.map(|at| fields.swap_remove(at).1) {
            None | Some(Value::Null) => Ok(None),
            Some(value) if is_minus_one(&value) => Ok(None),
            Some(value) => natural(&value).map(Some).ok_or_else(|| {
                wrong(wanted, format!("must be a whole number of nanoseconds, not {value}"))
            }),
        }
    };
    let (begin, end) = match (time(begin_name)?, time(end_name)?) {
        (Some(begin), Some(end)) if end < begin => {
            return Err(wrong(
                end_name,
                format!("is {end}, before the operation began at {begin}"),
            ));
        }
        (Some(begin), end) => (begin, end),
        (None, _) => return Err(wrong(begin_name, "is missing".into())),
    };
    if fields.iter().all(|(name, _)| name != "type") {
        fields.push(("type".into(), if end.is_some() { "ok" } else { "info" }.into()));
    }
    let op = Op::of_fields(fields)?;
    match (op.kind, end) {
        (Type::Invoke, _) => {
            let is = "is what became of an operation, as each is a whole one: ok, fail or info, not invoke";
            Err(Wrong::of("type", is))
        }
        (Type::Ok | Type::Fail, None) => {
            Err(Wrong::of("type", format!("is {}, and no time says when it ended", op.kind.word())))
        }
        _ => Ok((begin, end, op)),
    }
}
