//! A history in memory: operations in columns, the faults around them, the run's first and last line, and
//! how many lines of each kind there were.

pub mod answers;
pub mod keys;

use breakit::exit::Error;
use breakit::op::{Op, Type};
use serde_json::Value;

use answers::Answers;
use keys::Keys;

use crate::clients::Clients;
use crate::column::{Overflow, Sparse};
use crate::faults::Faults;
use crate::processes::Processes;
use crate::read::event::Event;
use crate::read::format::Format;
use crate::read::origin::{Origin, Sought};
use crate::read::position::Place;
use crate::values::{Id, Renamed, Values};

/// A place in the order of the history's lines, from 1. No two lines share one.
pub type Pos = u32;

/// The return of an operation that may take effect at any later time.
pub const OPEN: Pos = Pos::MAX;

const NONE: u32 = u32::MAX;
const NO_TIME: u64 = u64::MAX;

/// What became of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It happened.
    Ok,
    /// It did not happen and never will.
    Fail,
    /// It may have happened, or may yet; a missing completion is this too.
    Info,
}

/// One operation: an invocation with what became of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Operation {
    /// The client.
    pub process: u64,
    /// The operation's name, by its place in [`History::words`].
    pub f: u16,
    /// Which of many independent objects.
    pub key: Option<Id>,
    /// The argument of what changes something, else the result where there is one, else the argument.
    pub value: Option<Id>,
    /// The node that the client talked to, as a JSON string.
    pub node: Option<Id>,
    /// Whether `workload` marked it as one of the reads that end a run.
    pub is_final: bool,
    /// What became of it.
    pub outcome: Outcome,
    /// Where it was invoked.
    pub inv: Pos,
    /// Where it returned: [`OPEN`] for [`Outcome::Info`].
    pub res: Pos,
    /// Nanoseconds of its invocation.
    pub invoked_at: Option<u64>,
    /// Nanoseconds of its completion, of whatever type.
    pub completed_at: Option<u64>,
}

/// All operations, in the order of their invocations: 16 bytes for what nearly all have, side by side as they are
/// read and decided together, and 4 to 8 in a column for each other field that any of them has.
#[derive(Debug)]
pub struct Operations {
    pub(crate) processes: Processes,
    rows: Vec<Row>,
    key: Sparse<u32>,
    invoked_at: Sparse<u64>,
    completed_at: Sparse<u64>,
    /// The processes and nodes that do not fit in the byte of their row.
    more_processes: Overflow,
    more_nodes: Overflow,
}

/// What nearly every operation has.
#[derive(Clone, Copy, Debug)]
struct Row {
    value: u32,
    inv: Pos,
    res: Pos,
    /// The name, and behind it the marks.
    f: u16,
    process: u8,
    node: u8,
}

/// The mark of one of the final reads; the two below say what became of an operation.
const FINAL: u16 = 4;
/// How many bits the marks take; a history has no more than a thousand names of operations.
const MARKS: u32 = 3;

fn marked(f: u16, outcome: Outcome, is_final: bool) -> u16 {
    let final_bit = if is_final { FINAL } else { 0 };
    f << MARKS | final_bit | outcome as u16
}

fn outcome(marked: u16) -> Outcome {
    match marked & 3 {
        0 => Outcome::Ok,
        1 => Outcome::Fail,
        _ => Outcome::Info,
    }
}

impl Default for Operations {
    fn default() -> Operations {
        Operations {
            processes: Processes::default(),
            rows: Vec::new(),
            key: Sparse::new(NONE),
            invoked_at: Sparse::new(NO_TIME),
            completed_at: Sparse::new(NO_TIME),
            more_processes: Overflow::new(),
            more_nodes: Overflow::new(),
        }
    }
}

impl Operations {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The operation at `index`.
    pub fn get(&self, index: usize) -> Operation {
        let row = self.rows[index];
        Operation {
            process: self.process(index),
            f: self.f(index),
            key: self.key(index),
            value: id(row.value),
            node: self.node(index),
            is_final: row.f & FINAL != 0,
            outcome: outcome(row.f),
            inv: row.inv,
            res: row.res,
            invoked_at: time(self.invoked_at.get(index)),
            completed_at: time(self.completed_at.get(index)),
        }
    }

    /// All of them, in the order of their invocations.
    pub fn iter(&self) -> impl Iterator<Item = Operation> + '_ {
        (0..self.len()).map(|index| self.get(index))
    }

    /// Puts the operations of a later part of the history behind ours: its places come `after`, its values
    /// and words are given in ours.
    pub(crate) fn append(&mut self, part: Operations, after: Pos, values: &Renamed, words: &[u16]) {
        let rows = self.len();
        let renamed = |raw| values.raw(raw);
        let processes: Vec<u32> =
            part.processes.iter().map(|number| self.processes.place(number)).collect();
        let (more_processes, more_nodes) = (&mut self.more_processes, &mut self.more_nodes);
        self.rows.extend(part.rows.iter().enumerate().map(|(index, row)| {
            let process = processes[part.more_processes.number(index, row.process) as usize];
            let node = renamed(part.more_nodes.number(index, row.node));
            Row {
                value: renamed(row.value),
                inv: row.inv + after,
                res: if row.res == OPEN { OPEN } else { row.res + after },
                f: words[usize::from(row.f >> MARKS)] << MARKS | row.f & ((1 << MARKS) - 1),
                process: more_processes.byte(rows + index, process),
                node: more_nodes.byte(rows + index, node),
            }
        }));
        // Each goes as soon as it is copied.
        drop(part.rows);
        self.key.append(rows, part.key, renamed);
        self.invoked_at.append(rows, part.invoked_at, |time| time);
        self.completed_at.append(rows, part.completed_at, |time| time);
    }

    /// Makes room for so many operations in all. Room that is not used is never touched, and costs nothing;
    /// columns that grow by halves leave their old places behind.
    pub(crate) fn reserve(&mut self, rows: usize) {
        self.rows.reserve(rows.saturating_sub(self.len()));
        self.key.reserve(rows);
        self.invoked_at.reserve(rows);
        self.completed_at.reserve(rows);
    }

    /// Forgets all operations but those at `open`, which have no completion; returns the places of their
    /// processes, which all processes keep.
    pub(crate) fn keep_open(&mut self, open: &[usize]) -> Vec<u32> {
        let kept: Vec<Operation> = open.iter().map(|&index| self.get(index)).collect();
        let mut fresh =
            Operations { processes: std::mem::take(&mut self.processes), ..Operations::default() };
        let mut places = Vec::with_capacity(open.len());
        for op in kept {
            places.push(fresh.processes.place(op.process));
            fresh.push(&op);
        }
        *self = fresh;
        places
    }

    /// Adds an operation as it is.
    pub(crate) fn push(&mut self, op: &Operation) {
        let process = self.processes.place(op.process);
        let invoke = Event {
            process: op.process,
            kind: Type::Invoke,
            f: op.f,
            key: op.key,
            value: op.value,
            node: op.node,
            is_final: op.is_final,
            time: op.invoked_at,
            index: None,
        };
        let index = self.invoke(process, &invoke, op.inv);
        if op.outcome != Outcome::Info {
            let end = Event { time: op.completed_at, ..invoke };
            self.complete(index, &end, op.outcome, op.res);
        }
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let columns = self.key.bytes() + self.invoked_at.bytes() + self.completed_at.bytes();
        let more = self.more_processes.bytes() + self.more_nodes.bytes();
        self.rows.len() * size_of::<Row>() + columns + more + self.processes.bytes()
    }

    /// Adds an operation that began; returns its index.
    #[inline(always)]
    pub(crate) fn invoke(&mut self, process: u32, event: &Event, pos: Pos) -> usize {
        let index = self.len();
        self.rows.push(Row {
            value: raw(event.value),
            inv: pos,
            res: OPEN,
            f: marked(event.f, Outcome::Info, event.is_final),
            process: self.more_processes.byte(index, process),
            node: self.more_nodes.byte(index, raw(event.node)),
        });
        self.key.set(index, raw(event.key));
        self.invoked_at.set(index, event.time.unwrap_or(NO_TIME));
        self.completed_at.set(index, NO_TIME);
        index
    }

    /// Says of an operation what became of it; what the completion does not say stays.
    #[inline(always)]
    pub(crate) fn complete(&mut self, index: usize, event: &Event, outcome: Outcome, pos: Pos) {
        let row = &mut self.rows[index];
        row.f = marked(row.f >> MARKS, outcome, event.is_final || row.f & FINAL != 0);
        row.res = if outcome == Outcome::Info { OPEN } else { pos };
        if event.node.is_some() {
            row.node = self.more_nodes.byte(index, raw(event.node));
        }
        if event.key.is_some() {
            self.key.set(index, raw(event.key));
        }
        self.completed_at.set(index, event.time.unwrap_or(NO_TIME));
    }

    /// The client of an operation.
    #[inline]
    pub fn process(&self, index: usize) -> u64 {
        self.processes.number(self.process_place(index))
    }

    /// The place of the client of an operation, by which [`Processes`] has its number.
    #[inline]
    pub(crate) fn process_place(&self, index: usize) -> u32 {
        self.more_processes.number(index, self.rows[index].process)
    }

    /// The node that the client of an operation talked to, as a JSON string.
    #[inline]
    pub fn node(&self, index: usize) -> Option<Id> {
        id(self.more_nodes.number(index, self.rows[index].node))
    }

    /// The name of an operation, by its place in [`History::words`].
    #[inline]
    pub fn f(&self, index: usize) -> u16 {
        self.rows[index].f >> MARKS
    }

    /// What became of an operation.
    #[inline]
    pub fn outcome(&self, index: usize) -> Outcome {
        outcome(self.rows[index].f)
    }

    /// Where an operation was invoked.
    #[inline]
    pub fn inv(&self, index: usize) -> Pos {
        self.rows[index].inv
    }

    /// Where an operation returned: [`OPEN`] for [`Outcome::Info`].
    #[inline]
    pub fn res(&self, index: usize) -> Pos {
        self.rows[index].res
    }

    /// Whether any operation says of which object it is.
    pub fn has_keys(&self) -> bool {
        self.key.bytes() > 0
    }

    /// Which of many independent objects an operation is of.
    #[inline]
    pub fn key(&self, index: usize) -> Option<Id> {
        id(self.key.get(index))
    }

    /// The result of an operation where there is one, else the argument.
    #[inline]
    pub fn value(&self, index: usize) -> Option<Id> {
        id(self.rows[index].value)
    }

    #[inline]
    pub(crate) fn set_value(&mut self, index: usize, value: Option<Id>) {
        self.rows[index].value = raw(value);
    }
}

fn id(raw: u32) -> Option<Id> {
    (raw != NONE).then_some(Id(raw))
}

fn raw(id: Option<Id>) -> u32 {
    id.map_or(NONE, |id| id.0)
}

fn time(raw: u64) -> Option<u64> {
    (raw != NO_TIME).then_some(raw)
}

/// The first line of a `workload`.
#[derive(Debug, Clone)]
pub struct Start {
    /// Where it stands.
    pub place: Place,
    /// The checks that it names, each `{"name","options"}`.
    pub checks: Vec<Value>,
    /// The nodes of the run.
    pub nodes: Vec<String>,
    /// Whether the run was asked for faults.
    pub asks_for_faults: bool,
}

impl Start {
    /// What the first line says.
    ///
    /// # Errors
    /// A clause about what it cannot say.
    pub fn of(place: Place, op: &Op) -> std::result::Result<Start, String> {
        let value = op.value.clone().unwrap_or_default();
        let checks = match value.get("check") {
            Some(Value::Array(checks)) => checks.clone(),
            None | Some(Value::Null) => Vec::new(),
            Some(other) => return Err(format!("\"check\" must be a list of checks, not {other}")),
        };
        let words = |name: &str| -> Vec<String> {
            let list = value.get(name).and_then(Value::as_array);
            let words = list.into_iter().flatten().filter_map(Value::as_str);
            words.map(str::to_string).collect()
        };
        let asks_for_faults = value.get("faults_asked") == Some(&Value::Bool(true));
        Ok(Start { place, checks, nodes: words("nodes"), asks_for_faults })
    }

    /// The names of the checks.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.checks.iter().filter_map(|check| check.get("name")?.as_str())
    }
}

/// The last line of a `workload`.
#[derive(Debug, Clone)]
pub struct End {
    /// How the run ended, in a word.
    pub status: String,
    /// Why, where it says.
    pub reason: Option<String>,
}

/// How a history ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending<'a> {
    /// It has its last line.
    Whole(&'a str, Option<&'a str>),
    /// It has a first line and no last one: the run was killed, or the file was cut.
    CutOff,
    /// Nobody promised a last line.
    Unmarked,
    /// It was going on when no more of it was read.
    Left,
}

/// How many lines of each kind were read. Where an event is a line, or another such piece, their sum is `lines`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// All lines.
    pub lines: u64,
    /// Lines that say that an operation began.
    pub invokes: u64,
    /// Lines that say that one happened.
    pub ok: u64,
    /// Lines that say that one did not.
    pub fail: u64,
    /// Lines that say that nobody knows.
    pub info: u64,
    /// Lines of `nemesis`.
    pub faults: u64,
    /// Lines of `workload`.
    pub workload: u64,
    /// Lines of other words.
    pub others: u64,
    /// Lines with nothing on them.
    pub blank: u64,
    /// A last line cut short, dropped because `--lenient` allows it: 0 or 1.
    pub dropped: u64,
    /// Lines between transactions.
    pub rules: u64,
    /// The missing bracket behind all events, which `--lenient` allows: 0 or 1. It is no line.
    pub unclosed: u64,
}

impl Counts {
    /// Adds those of another part of the history.
    pub fn add(&mut self, part: &Counts) {
        for (ours, theirs) in [
            (&mut self.lines, part.lines),
            (&mut self.invokes, part.invokes),
            (&mut self.ok, part.ok),
            (&mut self.fail, part.fail),
            (&mut self.info, part.info),
            (&mut self.faults, part.faults),
            (&mut self.workload, part.workload),
            (&mut self.others, part.others),
            (&mut self.blank, part.blank),
            (&mut self.dropped, part.dropped),
            (&mut self.rules, part.rules),
            (&mut self.unclosed, part.unclosed),
        ] {
            *ours += theirs;
        }
    }
}

/// A history, read.
#[derive(Debug, Default)]
pub struct History {
    /// What to call it: the file's path, or `stdin`.
    pub name: String,
    /// The line on which all events stand, where it is one; lines then stand for events.
    pub only_line: Option<u32>,
    /// How it was written down.
    pub format: Format,
    /// Where it came from.
    pub origin: Origin,
    /// Its clients that have names.
    pub clients: Clients,
    /// Its values.
    pub values: Values,
    /// The names of operations.
    pub words: Vec<String>,
    /// Where the times of lines go back, and by how many nanoseconds, if that contradicts their order.
    pub times_go_back: Option<(Pos, u64)>,
    /// Its operations.
    pub ops: Operations,
    /// What its completions say beside the arguments of their operations.
    pub answers: Answers,
    /// Its faults.
    pub faults: Faults,
    /// Its first line, where a `workload` wrote it.
    pub start: Option<Start>,
    /// Its last line, where a `workload` wrote it.
    pub end: Option<End>,
    /// Whether no invocation was written: when each operation began is not known.
    pub has_completions_alone: bool,
    /// Whether it was going on when no more of it was read.
    pub is_left: bool,
    /// Which shard of how many it is, where `histcheck split` made it.
    pub shard: Option<Value>,
    /// What was read.
    pub counts: Counts,
    /// The line of each place in the order, from place 1, where the two differ: by `index`, or as an event
    /// is no line. Where all events stand on one line, it is the event's own number.
    pub reordered: Option<Vec<u32>>,
}

impl History {
    /// The number of the line at `pos`.
    pub fn line(&self, pos: Pos) -> u32 {
        match &self.reordered {
            Some(lines) => lines[pos as usize - 1],
            None => pos,
        }
    }

    /// An error 65 at a field of an operation, on the line that says how it ended, or else on that with which it
    /// began.
    pub fn error(&self, index: usize, field: &str, clause: &str) -> Error {
        let op = self.ops.get(index);
        let ended = match op.outcome {
            Outcome::Ok if field == "value" && self.answers.has(index) => None,
            Outcome::Ok => self.place(op.process, op.res, |other| other.res, Type::Ok, field),
            Outcome::Fail | Outcome::Info => None,
        };
        let began = || self.place(op.process, op.inv, |other| other.inv, Type::Invoke, field);
        // What neither says is missing where it ended.
        let began = || if field == "value" && op.value.is_none() { None } else { began() };
        let last = if op.outcome == Outcome::Ok { op.res } else { op.inv };
        let place = ended.or_else(began).unwrap_or(Place::of_line(self.line(last).into()));
        place.error(&self.name, clause)
    }

    /// The place of a field of the event at `pos`.
    fn place(
        &self,
        process: u64,
        pos: Pos,
        of: impl Fn(&Operation) -> Pos,
        kind: Type,
        field: &str,
    ) -> Option<Place> {
        let on = |pos: Pos| self.only_line.unwrap_or(self.line(pos));
        let line = on(pos);
        let is_before = |other: &Operation| {
            other.process == process && of(other) < pos && on(of(other)) == line
        };
        let nth = self.ops.iter().filter(is_before).count();
        let process = self.clients.process(process);
        let sought = Sought { line: line.into(), process, kind, nth };
        self.origin.place(&self.name, sought, field)
    }

    /// The name of an operation.
    pub fn word(&self, f: u16) -> &str {
        &self.words[usize::from(f)]
    }

    /// A node's name.
    pub fn node(&self, id: Id) -> String {
        match self.values.json(id) {
            Value::String(name) => name,
            other => other.to_string(),
        }
    }

    /// How it ends.
    pub fn ending(&self) -> Ending<'_> {
        match (&self.start, &self.end) {
            (_, Some(end)) => Ending::Whole(&end.status, end.reason.as_deref()),
            _ if self.is_left => Ending::Left,
            (Some(_), None) => Ending::CutOff,
            (None, None) => Ending::Unmarked,
        }
    }

    /// Why no verdict of this run can be `valid`, where its last line or its faults say so.
    pub fn proves_nothing(&self) -> Option<String> {
        if let Some(end) = &self.end
            && end.status == "unknown"
        {
            let reason = end.reason.as_deref().unwrap_or("it gives no reason");
            return Some(format!("the run's last line says unknown: {reason}"));
        }
        if self.has_completions_alone {
            let why = "the history has completions and no invocations, so that when each operation began is not known";
            return Some(why.into());
        }
        let asked = self.start.as_ref().is_some_and(|start| start.asks_for_faults);
        (asked && self.faults.none_in_force())
            .then(|| "the run asked for faults and none came into force".to_string())
    }

    /// The history as its completions tell it where these have values of their own; and as it was, called once more.
    pub fn exchange_answers(&mut self) {
        self.answers.exchange(&mut self.ops);
    }

    /// The operations of each key, keys in the order of their first appearance.
    pub fn by_key(&self) -> Keys {
        Keys::of(&self.ops)
    }

    /// Bytes held, but for what is there once: words, faults, the first and the last line.
    pub fn bytes(&self) -> usize {
        let lines = self.reordered.as_ref().map_or(0, Vec::len) * size_of::<u32>();
        self.ops.bytes() + self.values.bytes() + self.answers.bytes() + lines
    }
}
