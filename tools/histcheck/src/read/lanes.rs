//! Operations of one process that overlap, dealt out to lanes in which they do not.
//!
//! A row is a whole operation, so that it needs no process to be one. A client of several threads may have several
//! open at once, and one may go on after an operation whose end nobody knows.

use std::collections::HashMap;

use breakit::op::Process;

/// An operation of a process, and when it ran.
#[derive(Clone, Copy, Debug)]
pub struct Interval<'a> {
    /// Whose.
    pub process: &'a Process,
    /// When it began.
    pub begin: u64,
    /// When it ended; `None` if nobody knows.
    pub end: Option<u64>,
}

/// The lane of each interval, from 0. The intervals are in the order of their beginnings.
pub fn of(intervals: &[Interval<'_>]) -> Vec<u32> {
    let mut of_process: HashMap<&Process, Vec<usize>> = HashMap::new();
    for (at, interval) in intervals.iter().enumerate() {
        of_process.entry(interval.process).or_default().push(at);
    }
    let mut lanes = vec![0; intervals.len()];
    for own in of_process.values() {
        deal(intervals, own, &mut lanes);
    }
    lanes
}

/// Deals out the intervals of one process.
fn deal(intervals: &[Interval<'_>], own: &[usize], lanes: &mut [u32]) {
    let is_concurrent = overlap(intervals, own);
    // When the last interval of each lane ended; `None`: nobody knows.
    let mut ends: Vec<Option<u64>> = Vec::new();
    for &at in own {
        let Interval { begin, end, .. } = intervals[at];
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
fn overlap(intervals: &[Interval<'_>], own: &[usize]) -> bool {
    let mut latest = 0;
    own.iter().any(|&at| {
        let Interval { begin, end, .. } = intervals[at];
        let is_within = begin < latest;
        latest = latest.max(end.unwrap_or(0));
        is_within
    })
}
