//! The faults of a history, as intervals: what `start-X` began, `stop-X` or its lease ended; and as Jepsen names them,
//! `kill` to `start`, `pause` to `resume`.

mod pairs;

use breakit::natural::natural;
use breakit::op::Op;
use serde_json::Value;

/// One fault.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// The word after `start-`: `partition`, `slow`; a word of its own for what only happens, as `kill`.
    pub kind: String,
    /// Nanoseconds at which it began, where the line says.
    pub from: Option<u64>,
    /// Nanoseconds at which it ended, where a line says.
    pub until: Option<u64>,
    /// How it ended.
    pub end: FaultEnd,
    /// Whom it struck and how: the start line's value.
    pub value: Value,
    /// The number of its line.
    pub line: u32,
}

/// How a fault ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultEnd {
    /// By a stop line, of this number.
    Stopped(u32),
    /// No line ends it: it went with its lease, after its holder's last renewal.
    Lease,
    /// It has no length: it only happened.
    Instant,
    /// Nothing in the history ends it.
    Never,
}

/// All faults, in the order of their lines, or of the index of these.
#[derive(Debug, Default)]
pub struct Faults {
    list: Vec<Fault>,
    /// Lines that would end a fault and end none: their word and line.
    strays: Vec<(String, u32)>,
    /// All lines, as only all of them show whether they are pairs.
    lines: Vec<pairs::Line>,
    /// How many lines say that a fault came into force.
    in_force: u32,
}

impl Faults {
    /// Takes a line of `nemesis`.
    pub fn take(&mut self, op: &Op, line: u32) {
        self.lines.push((line, op.clone()));
        self.tell(op, line);
    }

    /// Gives all lines so far the number `line`: they are several events of one line.
    pub fn stand_on(&mut self, line: u32) {
        self.lines.iter_mut().for_each(|(number, _)| *number = line);
        self.strays.iter_mut().for_each(|(_, number)| *number = line);
        for fault in &mut self.list {
            fault.line = line;
            if let FaultEnd::Stopped(number) = &mut fault.end {
                *number = line;
            }
        }
    }

    /// Puts the lines in the order of their index and counts pairs of them once, when all lines are there. A `workload`
    /// writes no pairs.
    pub fn settle(&mut self, by_workload: bool) {
        let mut lines = std::mem::take(&mut self.lines);
        let is_moved = by_index(&mut lines);
        let merged = if by_workload { None } else { pairs::merged(&lines) };
        if let Some(lines) = merged.or(is_moved.then_some(lines)) {
            *self = Faults::default();
            lines.iter().for_each(|(line, op)| self.tell(op, *line));
        }
    }

    fn tell(&mut self, op: &Op, line: u32) {
        let f = op.f.as_str();
        self.in_force += u32::from(op.brings_a_fault());
        let undone = UNDONE.iter().find(|(word, _)| *word == f);
        if undone.is_some_and(|(_, kind)| self.undo(kind, op, line)) {
            return;
        }
        if f == "resume" {
            self.strays.push((f.into(), line));
        } else if let Some(kind) = f.strip_prefix("start-").or((f == "start").then_some("fault")) {
            self.begin(kind, op, line);
        } else if let Some(kind) = f.strip_prefix("stop-").or((f == "stop").then_some("fault")) {
            self.stop(kind, op, line);
        } else if !["renew-", "grudge-", "detail-"].iter().any(|told| f.starts_with(told)) {
            self.happen(op, line);
        }
    }

    fn begin(&mut self, kind: &str, op: &Op, line: u32) {
        let value = op.value.clone().unwrap_or_default();
        let from = number(&value, "began").or(op.time);
        // Its holder may have renewed the lease up to its own end, which no line tells: no time is given.
        let end = if value.get("lease").is_some() { FaultEnd::Lease } else { FaultEnd::Never };
        self.list.push(Fault { kind: kind.into(), from, until: None, end, value, line });
    }

    /// Of several open faults of one kind the stop ends the one that names the same `id`, else the oldest.
    fn stop(&mut self, kind: &str, op: &Op, line: u32) {
        let id = op.value.as_ref().and_then(|value| value.get("id"));
        let open = |fault: &&mut Fault| {
            fault.kind == kind && matches!(fault.end, FaultEnd::Lease | FaultEnd::Never)
        };
        let same = |fault: &Fault| id.is_some() && fault.value.get("id") == id;
        let at = self.list.iter_mut().filter(open).position(|fault| same(fault)).unwrap_or(0);
        match self.list.iter_mut().filter(open).nth(at) {
            Some(fault) => {
                fault.until = op.time;
                fault.end = FaultEnd::Stopped(line);
            }
            None => self.strays.push((op.f.clone(), line)),
        }
    }

    /// Ends all that was done by the word `kind` and has not ended; whether there was any.
    fn undo(&mut self, kind: &str, op: &Op, line: u32) -> bool {
        let open = |fault: &&mut Fault| fault.kind == kind && fault.end == FaultEnd::Instant;
        let mut any = false;
        for fault in self.list.iter_mut().filter(open) {
            (fault.until, fault.end, any) = (op.time, FaultEnd::Stopped(line), true);
        }
        any
    }

    fn happen(&mut self, op: &Op, line: u32) {
        let value = op.value.clone().unwrap_or_default();
        let (from, until) = (op.time, op.time);
        self.list.push(Fault {
            kind: op.f.clone(),
            from,
            until,
            end: FaultEnd::Instant,
            value,
            line,
        });
    }

    /// Whether none came into force.
    pub fn none_in_force(&self) -> bool {
        self.in_force == 0
    }

    /// All of them, in order.
    pub fn list(&self) -> &[Fault] {
        &self.list
    }

    /// Lines that would end a fault and end none: word and line.
    pub fn strays(&self) -> &[(String, u32)] {
        &self.strays
    }

    /// The first fault in force at any moment of `[from, until]` nanoseconds.
    pub fn during(&self, from: u64, until: u64) -> Option<usize> {
        self.list.iter().position(|fault| {
            fault.from.is_some_and(|f| f <= until) && fault.until.unwrap_or(u64::MAX) >= from
        })
    }
}

/// What ends what: after it nothing is killed, or paused, any more.
const UNDONE: [(&str, &str); 2] = [("start", "kill"), ("resume", "pause")];

/// Sorts lines by their index, where all have one; whether that moved any.
fn by_index(lines: &mut [pairs::Line]) -> bool {
    let index = |(_, op): &pairs::Line| op.extra.get("index").and_then(natural);
    if lines.is_sorted_by_key(index) || lines.iter().any(|line| index(line).is_none()) {
        return false;
    }
    lines.sort_by_key(index);
    true
}

fn number(value: &Value, name: &str) -> Option<u64> {
    value.get(name).and_then(Value::as_u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(faults: &mut Faults, number: u32, time: u64, f: &str, value: Value) {
        let mut op = Op::fault(f, value);
        op.time = Some(time);
        faults.take(&op, number);
    }

    #[test]
    fn a_start_and_its_stop_are_an_interval_and_a_start_alone_goes_with_its_lease() {
        let mut faults = Faults::default();
        let value = serde_json::json!({"began": 5, "lease": "30s"});
        line(&mut faults, 1, 10, "start-partition", value.clone());
        line(&mut faults, 2, 50, "stop-partition", Value::Null);
        line(&mut faults, 3, 60, "start-partition", value);
        line(&mut faults, 4, 70, "kill", Value::Null);
        let list = faults.list();
        assert_eq!((list[0].from, list[0].until), (Some(5), Some(50)));
        assert_eq!(list[0].end, FaultEnd::Stopped(2));
        assert_eq!((list[1].until, list[1].end), (None, FaultEnd::Lease));
        assert_eq!(list[2].end, FaultEnd::Instant);
        assert_eq!(faults.during(51, 55), Some(1), "the second says that it began at 5");
    }

    #[test]
    fn a_stop_ends_the_open_fault_of_its_kind_that_has_its_id_and_else_the_oldest() {
        let id = |id: u32| serde_json::json!({ "id": id });
        let mut faults = Faults::default();
        for (number, f, value) in [
            (1, "start-slow", Value::Null),
            (2, "start-partition", id(7)),
            (3, "start-partition", Value::Null),
            (4, "start-partition", id(8)),
            (5, "stop-partition", id(8)),
            (6, "stop-partition", Value::Null),
            (7, "stop-partition", id(9)),
            (8, "stop-partition", Value::Null),
        ] {
            line(&mut faults, number, u64::from(number), f, value);
        }
        let ends: Vec<FaultEnd> = faults.list().iter().map(|fault| fault.end).collect();
        let stopped = FaultEnd::Stopped;
        assert_eq!(ends, [FaultEnd::Never, stopped(6), stopped(7), stopped(5)]);
        assert_eq!(faults.strays(), &[("stop-partition".to_string(), 8)]);
    }

    #[test]
    fn what_renews_a_lease_or_tells_a_grudge_is_no_fault_of_its_own() {
        let mut faults = Faults::default();
        line(&mut faults, 1, 1, "renew-partition", Value::Null);
        line(&mut faults, 2, 2, "grudge-partition", Value::Null);
        line(&mut faults, 2, 2, "detail-slow", Value::Null);
        assert!(faults.list().is_empty());
        line(&mut faults, 3, 3, "kill", Value::Null);
        assert_eq!(faults.list().len(), 1);
    }

    #[test]
    fn a_kill_lasts_until_a_start_and_a_pause_until_a_resume_and_without_it_they_only_happen() {
        let mut faults = Faults::default();
        let words = ["kill", "kill", "start", "pause", "resume", "resume", "kill", "stop", "start"];
        for (number, f) in (1..).zip(words) {
            line(&mut faults, number, u64::from(number), f, Value::Null);
        }
        line(&mut faults, 10, 10, "kill", Value::Null);
        faults.settle(false);
        let told: Vec<_> = faults
            .list()
            .iter()
            .map(|fault| (fault.kind.as_str(), fault.line, fault.end))
            .collect();
        let stopped = FaultEnd::Stopped;
        assert_eq!(
            told,
            [
                ("kill", 1, stopped(3)),
                ("kill", 2, stopped(3)),
                ("pause", 4, stopped(5)),
                ("kill", 7, stopped(9)),
                ("kill", 10, FaultEnd::Instant)
            ]
        );
        assert_eq!(faults.strays(), &[("resume".to_string(), 6), ("stop".to_string(), 8)]);
        assert_eq!(faults.during(2, 2), Some(0));
    }

    #[test]
    fn a_stop_of_nothing_is_kept_as_a_stray() {
        let mut faults = Faults::default();
        line(&mut faults, 7, 1, "stop-slow", Value::Null);
        assert!(faults.none_in_force());
        assert_eq!(faults.strays(), &[("stop-slow".to_string(), 7)]);
    }
}
