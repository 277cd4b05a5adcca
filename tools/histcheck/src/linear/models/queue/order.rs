//! A legal order of the operations on a queue in which no pattern was found.
//!
//! A dequeue that found nothing does so at the gap that was chosen for it, at which no value is surely there. So each
//! value can be put and taken on one side of each of these gaps, which part the values into stretches.
//!
//! In a fifo-queue the values of a stretch stand in line: a before b where a's enqueue or dequeue had ended before b's
//! began, with what never was dequeued at the end. A value is put before it is taken: so its enqueue may be taken to end
//! no later than its dequeue, and that to begin no earlier than its enqueue. Both relations are orders of intervals, in
//! which of two pairs `a < b` and `c < d` also `a < d` or `c < b` holds: a circle of both would leave one of two values,
//! pattern (d). So there always is one that must stand behind none of the others, and it is put next in line.
//!
//! Then each operation takes effect as early as it can: in the first gap of its own, and not before what stands before
//! it: the enqueue of the value before, or its dequeue, the value's own enqueue, what found nothing before its stretch.
//! That comes before its return: else one of these would begin only after that, which the line and the stretches
//! exclude. In a bag the values of a stretch do not wait for one another.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{Act, Item, Moments};
use crate::budget::Watch;
use crate::linear::op::Op;
use crate::linear::timeline::Timeline;

/// The order; `None` where a limit was reached, or a pattern was passed over.
pub(super) fn order(
    is_fifo: bool,
    moments: &Moments,
    ops: &[Op<Act>],
    watch: &mut Watch<'_>,
) -> Option<Vec<usize>> {
    let Moments { timeline, items, empties } = moments;
    let mut values: Vec<Value> =
        items.iter().map(|&item| Value::of(item, ops, timeline, empties)).collect();
    values.sort_by_key(|value| value.stretch);
    let mut stretches = values.chunk_by(|a, b| a.stretch == b.stretch).peekable();
    let mut line = Line { is_fifo, begin: 0, put: 0, taken: 0, moments: Vec::new() };
    for number in 0..=empties.len() {
        if let Some(values) = stretches.next_if(|values| values[0].stretch == number) {
            watch.steps(values.len()).ok()?;
            match is_fifo {
                true => line_up(values)?.into_iter().for_each(|at| line.value(&values[at])),
                false => values.iter().for_each(|value| line.value(value)),
            }
        }
        if let Some(&(gap, empty)) = empties.get(number) {
            line.nothing(gap, empty);
        }
    }
    // Of one gap they are in line already.
    line.moments.sort_by_key(|&(gap, _)| gap);
    Some(line.moments.into_iter().map(|(_, at)| at).collect())
}

/// The first and the last gap in which an operation may take effect.
#[derive(Debug, Clone, Copy)]
struct Span {
    first: usize,
    last: usize,
}

impl Span {
    fn of(op: &Op<Act>, timeline: &Timeline) -> Span {
        Span { first: timeline.after(op.inv), last: timeline.before(op.res) }
    }
}

/// That of what never happened.
const NEVER: Span = Span { first: usize::MAX, last: usize::MAX };

/// A value that was put.
#[derive(Debug, Clone, Copy)]
struct Value {
    item: Item,
    put: Span,
    take: Span,
    /// How many found nothing before it came.
    stretch: usize,
}

impl Value {
    fn of(item: Item, ops: &[Op<Act>], timeline: &Timeline, empties: &[(usize, usize)]) -> Value {
        let mut put = Span::of(&ops[item.put], timeline);
        let mut take = item.take.map_or(NEVER, |take| Span::of(&ops[take], timeline));
        // In this gap it is surely there, or may come and go.
        let there = put.first.max(take.first).min(put.last.saturating_add(1));
        put.last = put.last.min(take.last);
        take.first = take.first.max(put.first);
        Value { item, put, take, stretch: empties.partition_point(|&(gap, _)| gap < there) }
    }
}

/// The values in line.
fn line_up(values: &[Value]) -> Option<Vec<usize>> {
    let sorted = |key: fn(&Value) -> usize| {
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_unstable_by_key(|&at| key(&values[at]));
        order.into_iter().peekable()
    };
    let mut by_begin = sorted(|value| value.put.first);
    let mut by_put = sorted(|value| value.put.last);
    let mut by_take = sorted(|value| value.take.last);
    let mut is_in_line = vec![false; values.len()];
    // No enqueue of what is left had ended before theirs began.
    let mut begun: BinaryHeap<Reverse<(usize, usize)>> = BinaryHeap::new();
    let mut line = Vec::with_capacity(values.len());
    loop {
        while by_put.next_if(|&at| is_in_line[at]).is_some() {}
        while by_take.next_if(|&at| is_in_line[at]).is_some() {}
        let (Some(&put), Some(&take)) = (by_put.peek(), by_take.peek()) else { break };
        while let Some(at) = by_begin.next_if(|&at| values[at].put.first <= values[put].put.last) {
            begun.push(Reverse((values[at].take.first, at)));
        }
        let Reverse((began, at)) = begun.pop()?;
        if began > values[take].take.last {
            return None;
        }
        is_in_line[at] = true;
        line.push(at);
    }
    Some(line)
}

/// When each takes effect.
struct Line {
    is_fifo: bool,
    /// The gap at which the last one found nothing.
    begin: usize,
    /// The gaps before which the next value is not put, and not taken.
    put: usize,
    taken: usize,
    /// The gap of each operation.
    moments: Vec<(usize, usize)>,
}

impl Line {
    /// The next value.
    fn value(&mut self, value: &Value) {
        if !self.is_fifo {
            (self.put, self.taken) = (self.begin, self.begin);
        }
        self.put = self.put.max(value.put.first);
        self.moments.push((self.put, value.item.put));
        if let Some(take) = value.item.take {
            self.taken = self.taken.max(self.put).max(value.take.first);
            self.moments.push((self.taken, take));
        }
    }

    /// The next one that found nothing.
    fn nothing(&mut self, gap: usize, empty: usize) {
        (self.begin, self.put, self.taken) = (gap, gap, gap);
        self.moments.push((gap, empty));
    }
}
