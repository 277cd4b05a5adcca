//! Operations of one process that overlap, dealt out to lanes in which they do not.
//!
//! A row is a whole operation, so that it needs no process to be one. A client of several threads may have several
//! open at once, and one may go on after an operation whose end nobody knows.

use std::collections::HashMap;

use breakit::op::Process;

use super::spans::Span;

/// The lane of each span, from 0. The spans are in the order of their beginnings.
pub fn of(spans: &[Span]) -> Vec<u32> {
    let mut of_process: HashMap<&Process, Vec<usize>> = HashMap::new();
    for (at, span) in spans.iter().enumerate() {
        of_process.entry(&span.op.process).or_default().push(at);
    }
    let mut lanes = vec![0; spans.len()];
    for own in of_process.values() {
        deal(spans, own, &mut lanes);
    }
    lanes
}

/// Deals out the spans of one process.
fn deal(spans: &[Span], own: &[usize], lanes: &mut [u32]) {
    let is_concurrent = overlap(spans, own);
    // When the last span of each lane ended; `None`: nobody knows.
    let mut ends: Vec<Option<u64>> = Vec::new();
    for &at in own {
        let Span { begin, end, .. } = spans[at];
        // Where a process does one thing after the other, it begins the next at the time at which it ends one.
        // Of others that is not known.
        let is_free = |last: u64| if is_concurrent { last < begin } else { last <= begin };
        let lane = ends.iter().position(|last| last.is_some_and(is_free)).unwrap_or(ends.len());
        match ends.get_mut(lane) {
            Some(last) => *last = end,
            None => ends.push(end),
        }
        lanes[at] = lane as u32;
    }
}

/// Whether any of them begins before another has ended.
fn overlap(spans: &[Span], own: &[usize]) -> bool {
    let mut latest = 0;
    own.iter().any(|&at| {
        let Span { begin, end, .. } = spans[at];
        let is_within = begin < latest;
        latest = latest.max(end.unwrap_or(0));
        is_within
    })
}
