//! A history in memory: operations in columns, the faults around them, the run's first and last line, and
//! how many lines of each kind there were.

use serde_json::Value;

use crate::faults::Faults;
use crate::values::{Id, Values};

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
    /// The result where there is one, else the argument.
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

/// All operations, in the order of their invocations, in columns.
#[derive(Debug, Default)]
pub struct Operations {
    process: Vec<u64>,
    f: Vec<u16>,
    key: Vec<u32>,
    value: Vec<u32>,
    node: Vec<u32>,
    is_final: Vec<bool>,
    outcome: Vec<Outcome>,
    inv: Vec<Pos>,
    res: Vec<Pos>,
    invoked_at: Vec<u64>,
    completed_at: Vec<u64>,
}

impl Operations {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.inv.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.inv.is_empty()
    }

    /// The operation at `index`.
    pub fn get(&self, index: usize) -> Operation {
        Operation {
            process: self.process[index],
            f: self.f[index],
            key: id(self.key[index]),
            value: id(self.value[index]),
            node: id(self.node[index]),
            is_final: self.is_final[index],
            outcome: self.outcome[index],
            inv: self.inv[index],
            res: self.res[index],
            invoked_at: time(self.invoked_at[index]),
            completed_at: time(self.completed_at[index]),
        }
    }

    /// All of them, in the order of their invocations.
    pub fn iter(&self) -> impl Iterator<Item = Operation> + '_ {
        (0..self.len()).map(|index| self.get(index))
    }

    /// Adds an operation; returns its index.
    pub fn push(&mut self, op: Operation) -> usize {
        self.process.push(op.process);
        self.f.push(op.f);
        self.key.push(raw(op.key));
        self.value.push(raw(op.value));
        self.node.push(raw(op.node));
        self.is_final.push(op.is_final);
        self.outcome.push(op.outcome);
        self.inv.push(op.inv);
        self.res.push(op.res);
        self.invoked_at.push(op.invoked_at.unwrap_or(NO_TIME));
        self.completed_at.push(op.completed_at.unwrap_or(NO_TIME));
        self.len() - 1
    }

    /// Replaces the operation at `index`, whose completion came.
    pub fn set(&mut self, index: usize, op: Operation) {
        self.key[index] = raw(op.key);
        self.value[index] = raw(op.value);
        self.node[index] = raw(op.node);
        self.is_final[index] = op.is_final;
        self.outcome[index] = op.outcome;
        self.res[index] = op.res;
        self.completed_at[index] = op.completed_at.unwrap_or(NO_TIME);
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
    /// The checks that it names, each `{"name","options"}`.
    pub checks: Vec<Value>,
    /// The nodes of the run.
    pub nodes: Vec<String>,
    /// Whether the run was asked for faults.
    pub asks_for_faults: bool,
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
}

/// How many lines of each kind were read. Their sum is `lines`.
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
}

/// A history, read.
#[derive(Debug, Default)]
pub struct History {
    /// What to call it: the file's path, or `stdin`.
    pub name: String,
    /// Its values.
    pub values: Values,
    /// The names of operations.
    pub words: Vec<String>,
    /// Its operations.
    pub ops: Operations,
    /// Its faults.
    pub faults: Faults,
    /// Its first line, where a `workload` wrote it.
    pub start: Option<Start>,
    /// Its last line, where a `workload` wrote it.
    pub end: Option<End>,
    /// What was read.
    pub counts: Counts,
    /// The line of each place in the order, from place 1, where `index` made the two differ.
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
        let asked = self.start.as_ref().is_some_and(|start| start.asks_for_faults);
        (asked && self.faults.is_empty())
            .then(|| "the run asked for faults and none came into force".to_string())
    }

    /// The operations of each key, keys in the order of their first appearance.
    pub fn by_key(&self) -> Vec<(Option<Id>, Vec<usize>)> {
        let mut place = std::collections::HashMap::new();
        let mut keys: Vec<(Option<Id>, Vec<usize>)> = Vec::new();
        for (index, &key) in self.ops.key.iter().enumerate() {
            let at = *place.entry(key).or_insert_with(|| {
                keys.push((id(key), Vec::new()));
                keys.len() - 1
            });
            keys[at].1.push(index);
        }
        keys
    }
}
