//! `drain`, with which Jepsen's queues end: dequeues until nothing is there, whose ok value lists what they took.
//!
//! Each element is a dequeue at some time while the drain was open, one after the other. Of an unordered queue that order
//! says nothing. That the queue was empty at the end is not said: a drain may give up.
//!
//! Elsewhere the dequeues must be given times between which they follow each other, and these must not say more than the
//! drain does. Let g be the moment behind the last invocation within the drain, of another operation of its key. If
//! all completions within it come later, then one dequeue may end and the next begin at g, however many there are. Such
//! times rule out no order that the drain allows: an operation that returned before g had returned before the drain
//! began, and one that was invoked after g was invoked after it ended; so each precedes, or follows, exactly those
//! dequeues that it did before. Where an operation returns within the drain and another is invoked after that, no one
//! moment does; nor where two drains that overlap both took several, as one g would put the dequeues of both in order.

use breakit::exit::{Error, Result};
use rustc_hash::FxHashMap;

use super::Model;
use super::specification::Drain;
use crate::history::{History, OPEN, Operation, Operations, Outcome, Pos};
use crate::read::line::word;
use crate::values::Id;

const DRAIN: &str = "drain";

/// Whether any line of a history names a drain.
pub fn are_named(history: &History) -> bool {
    history.words.iter().any(|word| word == DRAIN)
}

/// Puts takes of one element in the place of the drains of a history.
///
/// # Errors
/// 65 for a drain that does not say what it took, or not in which order where the model has one.
pub fn as_takes(history: &mut History, model: &Model) -> Result<()> {
    let Some(how) = model.specification().and_then(|model| model.drain) else { return Ok(()) };
    let Drain { take, is_ordered, .. } = how;
    let Some(drain) = history.words.iter().position(|word| word == DRAIN) else { return Ok(()) };
    let is_drain = |op: &Operation| usize::from(op.f) == drain;
    if !history.ops.iter().any(|op| is_drain(&op)) {
        return Ok(());
    }
    let f = word(take, &mut history.words)
        .map_err(|wrong| Error::data(format!("{}: {}", history.name, wrong.clause)))?;
    let mut others = is_ordered.then(|| Others::of(history));
    let mut spans: Vec<Span> = Vec::with_capacity(history.ops.len());
    for (index, op) in history.ops.iter().enumerate() {
        if !is_drain(&op) {
            spans.push(Span::of(index, op));
            continue;
        }
        let taken = op.value.and_then(|value| history.values.list(value));
        let clause = match (op.outcome, taken) {
            (Outcome::Fail, _) => continue,
            (Outcome::Ok, Some(taken)) => {
                let element = |&value| Span::of(index, Operation { f, value: Some(value), ..op });
                let mut takes: Vec<Span> = taken.iter().map(element).collect();
                match &mut others {
                    Some(others) if takes.len() > 1 => match others.moment(&op) {
                        Some(moment) => one_after_the_other(&mut takes, moment),
                        None => {
                            return Err(history.error(index, "value", &between_others(model, how)));
                        }
                    },
                    _ => {}
                }
                spans.extend(takes);
                continue;
            }
            (Outcome::Ok, None) => "the value of a drain must be the list of what it took".into(),
            (Outcome::Info, _) => format!(
                "of a drain of unknown outcome nobody knows what it took; write the {take}s of which it consists"
            ),
        };
        return Err(history.error(index, "value", &clause));
    }
    renumber(history, spans);
    Ok(())
}

fn between_others(model: &Model, Drain { take, unordered, .. }: Drain) -> String {
    let model = model.name();
    let or = unordered.map_or(String::new(), |model| format!(", or take the model {model}"));
    format!(
        "this drain took several elements while others began and ended, and a {model} must know what came between \
         them; write the {take}s of which it consists{or}"
    )
}

/// A moment: an event of the history, and how many moments behind it.
type Moment = (Pos, u32);

/// An operation between two moments; without the second where it never returned.
struct Span {
    /// Which operation of the history it was, or was a part of.
    index: usize,
    op: Operation,
    begin: Moment,
    end: Option<Moment>,
}

impl Span {
    fn of(index: usize, op: Operation) -> Span {
        Span { index, op, begin: (op.inv, 0), end: (op.res != OPEN).then_some((op.res, 0)) }
    }
}

/// Lets each end before the next begins, all right behind the event at `moment`.
fn one_after_the_other(takes: &mut [Span], moment: Pos) {
    let last = takes.len() - 1;
    for (nth, take) in (0..).zip(takes) {
        if nth > 0 {
            take.begin = (moment, 2 * nth);
        }
        if (nth as usize) < last {
            take.end = Some((moment, 2 * nth + 1));
        }
    }
}

/// When the operations of each key began and ended, but for those that failed, which did nothing.
#[derive(Default)]
struct Others {
    of_key: FxHashMap<Option<Id>, (Vec<Pos>, Vec<Pos>)>,
    /// When the last drain of several elements ended.
    drained: FxHashMap<Option<Id>, Pos>,
}

impl Others {
    fn of(history: &History) -> Others {
        let mut others = Others::default();
        for op in history.ops.iter().filter(|op| op.outcome != Outcome::Fail) {
            let (begins, ends) = others.of_key.entry(op.key).or_default();
            begins.push(op.inv);
            ends.extend((op.res != OPEN).then_some(op.res));
        }
        for (begins, ends) in others.of_key.values_mut() {
            begins.sort_unstable();
            ends.sort_unstable();
        }
        others
    }

    /// The event behind which takes of a drain may follow each other, if there is one. Drains come in the order of their
    /// beginnings.
    fn moment(&mut self, drain: &Operation) -> Option<Pos> {
        let (begins, ends) = self.of_key.get(&drain.key)?;
        // The drain's own are among them.
        let moment = begins[begins.partition_point(|&begin| begin < drain.res) - 1];
        let end = ends[ends.partition_point(|&end| end < drain.inv)];
        let before = self.drained.insert(drain.key, drain.res);
        (moment < end && before.is_none_or(|before| before < drain.inv)).then_some(moment)
    }
}

/// Gives the operations places of which no two are the same. Those that shared one overlap, as all begin before any
/// of them ends.
fn renumber(history: &mut History, spans: Vec<Span>) {
    let mut edges: Vec<(Moment, bool, usize)> = Vec::with_capacity(2 * spans.len());
    for (at, span) in spans.iter().enumerate() {
        edges.push((span.begin, false, at));
        edges.extend(span.end.map(|end| (end, true, at)));
    }
    edges.sort_unstable();
    let lines = edges.iter().map(|&((pos, _), ..)| history.line(pos)).collect();
    history.times_go_back = history.times_go_back.and_then(|(pos, back)| {
        let at = edges.iter().position(|&((old, _), ..)| old == pos)?;
        Some((at as Pos + 1, back))
    });
    let mut spans = spans;
    for (pos, (_, is_end, at)) in (1..).zip(edges) {
        match is_end {
            true => spans[at].op.res = pos,
            false => spans[at].op.inv = pos,
        }
    }
    spans.sort_by_key(|span| span.op.inv);
    let mut renumbered = Operations::default();
    let mut places = vec![0; history.ops.len()];
    for (place, span) in (0..).zip(&spans) {
        renumbered.push(&span.op);
        places[span.index] = place;
    }
    history.ops = renumbered;
    history.answers.move_to(&places);
    history.reordered = Some(lines);
}
