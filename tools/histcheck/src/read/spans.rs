//! Tables in which a row is a whole operation, with the times at which it began and ended, to events in order.
//!
//! Of events at one time nobody knows which came first: invocations are put before completions, so that the
//! operations overlap and neither is said to precede the other. Only that a process ends one operation before it
//! begins the next is certain. One process that does both at one time can be put between the invocations and
//! the completions of all others. Two cannot: each would have to begin before the other ends, which is a circle.
//! That is an error, as any order would say more than the table does.

use std::collections::HashMap;

use breakit::exit::Result;
use breakit::op::{Op, Process, Type};

use super::place::Place;
use super::site::{Form, Site};
use super::table::Header;
use super::text::{Item, Take};

/// An operation of a table.
#[derive(Debug)]
pub struct Span {
    /// The time at which it began.
    pub begin: u64,
    /// The time at which it ended, where the table says.
    pub end: Option<u64>,
    /// Where its row begins.
    pub place: Place,
    /// The row.
    pub row: Box<[u8]>,
    /// What it was and what became of it.
    pub op: Op,
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
pub fn each(name: &str, header: &Header, mut spans: Vec<Span>, take: Take<'_>) -> Result<()> {
    // Among spans of one process at one time the one that ends first comes first, then the upper row.
    spans.sort_by_key(|span| (span.begin, span.end.unwrap_or(u64::MAX)));
    let mut edges: Vec<Edge> = Vec::with_capacity(2 * spans.len());
    for (at, span) in spans.iter().enumerate() {
        edges.push(Edge { time: span.begin, is_end: false, span: at });
        edges.extend(span.end.map(|time| Edge { time, is_end: true, span: at }));
    }
    // A span's own beginning stands before its end.
    edges.sort_by_key(|edge| (edge.time, edge.span, edge.is_end));
    for together in edges.chunk_by(|a, b| a.time == b.time) {
        for edge in in_order(name, &spans, together)? {
            let span = &spans[edge.span];
            // A row is counted where it begins.
            let site = Site::new(span.place, &span.row, Form::Row(header));
            let site = site.counted(u64::from(!edge.is_end));
            take(site, Item::Op(Box::new(event(span, edge.is_end))))?;
        }
    }
    Ok(())
}

/// Edges of one time in an order that says no more than they do.
fn in_order(name: &str, spans: &[Span], edges: &[Edge]) -> Result<Vec<Edge>> {
    if edges.len() < 2 {
        return Ok(edges.to_vec());
    }
    let mut of_process: HashMap<&Process, Vec<Edge>> = HashMap::new();
    for &edge in edges {
        of_process.entry(&spans[edge.span].op.process).or_default().push(edge);
    }
    let goes_on = |process: &Process| {
        let own = &of_process[process];
        // What ends now and began earlier is ordered before whatever the process begins now.
        own.iter().any(|edge| edge.is_end)
            && own.iter().filter(|edge| !edge.is_end).count() > 0
            && (own.len() > 2 || own[0].span != own[1].span)
    };
    let (mut begins, mut between, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    for &edge in edges {
        let process = &spans[edge.span].op.process;
        match edge.is_end {
            _ if goes_on(process) => between.push(edge),
            true => ends.push(edge),
            false => begins.push(edge),
        }
    }
    if let Some(other) =
        between.iter().find(|edge| spans[edge.span].op.process != spans[between[0].span].op.process)
    {
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
    match (&op.process, is_end) {
        (Process::Client(_), true) => {}
        (Process::Client(_), false) => {
            op.kind = Type::Invoke;
            op.error = None;
        }
        // A fault that has a length is in force between two lines.
        (Process::Other(_), true) => op.f = format!("stop-{}", op.f),
        (Process::Other(_), false) if span.end.is_some() => op.f = format!("start-{}", op.f),
        (Process::Other(_), false) => {}
    }
    op
}
