//! The faults that were in force around the evidence, as bands in its picture.
//!
//! They lie where their lines lie among those of the operations: the order of the lines is that in which all of it
//! was recorded, and it costs nothing to read. A line that starts a fault is written when it is in force, one that
//! stops it when it is over, so that a band is never longer than its fault was; it may be a little shorter.

use super::op::Op;
use crate::faults::{Fault, FaultEnd};
use crate::history::{History, OPEN, Pos};

/// How many faults a picture shows.
const MOST: usize = 8;

/// A fault in the picture.
#[derive(Debug, Clone)]
pub struct Band {
    /// Before the band: which fault.
    pub label: String,
    /// Behind it: its lines.
    pub remark: String,
    /// The first place at which it was in force.
    pub from: Pos,
    /// The first place at which it no longer was; [`OPEN`] where no line ends it.
    pub until: Pos,
}

impl Band {
    /// How many of the places come before the fault, and how many before its end.
    pub fn columns(&self, ranks: &[Pos]) -> (usize, usize) {
        let before = |pos: Pos| ranks.partition_point(|&rank| rank < pos);
        (before(self.from), before(self.until))
    }
}

/// The faults in force at some time between the first and the last moment of the operations.
pub fn around<'h, A>(history: &'h History, ops: &[Op<A>]) -> Vec<&'h Fault> {
    let moments = || ops.iter().flat_map(|op| [op.inv, op.res]).filter(|&pos| pos != OPEN);
    let (Some(first), Some(last)) = (moments().min(), moments().max()) else { return Vec::new() };
    if !is_ordered_by_lines(history) {
        return Vec::new();
    }
    let overlaps = |fault: &&Fault| {
        let (from, until) = span(history, fault);
        from <= last && until > first
    };
    history.faults.list().iter().filter(overlaps).collect()
}

/// The same, as bands, and how many are left out.
pub fn bands<A>(history: &History, ops: &[Op<A>]) -> (Vec<Band>, usize) {
    let faults = around(history, ops);
    let bands: Vec<Band> = faults.iter().take(MOST).map(|fault| band(history, fault)).collect();
    let left_out = faults.len() - bands.len();
    (bands, left_out)
}

fn band(history: &History, fault: &Fault) -> Band {
    let (from, until) = span(history, fault);
    let line = fault.line;
    let remark = match fault.end {
        FaultEnd::Stopped(stop) => format!("in force, lines {line} to {stop}"),
        // The picture shows it to its end; whether a lease had ended it by then nobody knows.
        FaultEnd::Lease | FaultEnd::Never => format!("in force from line {line}"),
        FaultEnd::Instant => format!("line {line}"),
    };
    Band { label: fault.kind.clone(), remark, from, until }
}

/// The first place of a fault and the first behind it.
fn span(history: &History, fault: &Fault) -> (Pos, Pos) {
    let from = behind(history, fault.line);
    let until = match fault.end {
        FaultEnd::Stopped(line) => behind(history, line),
        FaultEnd::Lease | FaultEnd::Never => OPEN,
        FaultEnd::Instant => from,
    };
    // What only happened is at the place before the next event.
    (from, until.max(from + 1))
}

/// The first place whose line comes behind a line.
fn behind(history: &History, line: u32) -> Pos {
    match &history.reordered {
        Some(lines) => lines.partition_point(|&other| other <= line) as Pos + 1,
        None => line + 1,
    }
}

/// Whether the places have the order of their lines; an `index` may give another, in which faults have none.
fn is_ordered_by_lines(history: &History) -> bool {
    history.reordered.as_ref().is_none_or(|lines| lines.is_sorted())
}
