//! A list: `append` of one element, and `read`, whose ok value is the whole list.
//!
//! With elements that were each appended once, the longest read is the order: every read must be a beginning of
//! it, and all operations stand in one line: reads of nothing, the first append, reads of one element, and so
//! on; appends that no read saw come last. One walk with the last invocation so far decides.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::budget::{Budget, Watch};
use crate::history::Pos;
use crate::linear::object::{Call, Fast, Group, Misread, Object, Read, Rests};
use crate::linear::op::{Fate, Op};
use crate::linear::specification::{Decided, Operation, Specification};
use crate::values::{Id, NULL};

/// The list.
pub const MODELS: &[Specification] = &[Specification {
    name: "list-append",
    doc: "A list: append, read of the whole list",
    operations: &[Operation::change("append").of_any_argument(), Operation::query("read")],
    ..Specification::decided(Decided::AsObject(|key| {
        key.beginning(ListAppend { initial: key.list()? })
    }))
}];

/// A list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListAppend {
    /// What it holds first.
    pub initial: Vec<Id>,
}

/// What an operation on a list does.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Act {
    /// Puts this at the end.
    Append(Id),
    /// Returned this.
    Read(Arc<[Id]>),
}

impl Object for ListAppend {
    type Act = Act;
    type State = Vec<Id>;

    fn act(&self, call: &Call<'_>) -> Read<Act> {
        match (call.word, call.value, call.fate) {
            ("append", Some(element), _) => Ok(Some(Act::Append(element))),
            ("append", None, Fate::Fail) => Ok(None),
            ("append", None, _) => Err("an append has no value".into()),
            ("read", _, Fate::Fail | Fate::Info) => Ok(None),
            ("read", Some(NULL), _) => Ok(Some(Act::Read(Arc::default()))),
            ("read", value, _) => match value.and_then(|value| call.values.list(value)) {
                Some(list) => Ok(Some(Act::Read(list.into()))),
                None => Err("an ok read must return a list".into()),
            },
            _ => Err(Misread::name("list-append", call)),
        }
    }

    fn initial(&self) -> Vec<Id> {
        self.initial.clone()
    }

    fn step(&self, state: &Vec<Id>, act: &Act, next: &mut Vec<Vec<Id>>) {
        match act {
            Act::Append(element) => {
                next.push(state.iter().copied().chain([*element]).collect());
            }
            Act::Read(list) => next.extend((**list == **state).then(|| state.clone())),
        }
    }

    fn is_read(&self, act: &Act) -> bool {
        matches!(act, Act::Read(_))
    }

    fn observes(&self, act: &Act) -> bool {
        self.is_read(act)
    }

    fn useful(&self, ops: &[Op<Act>]) -> Vec<bool> {
        let mut seen = FxHashSet::default();
        for op in ops.iter().filter(|op| op.fate == Fate::Ok) {
            if let Act::Read(list) = &op.act {
                seen.extend(list.iter().copied());
            }
        }
        let is_useful = |op: &Op<Act>| match &op.act {
            Act::Append(element) => seen.contains(element),
            Act::Read(_) => false,
        };
        ops.iter().map(is_useful).collect()
    }

    fn groups(&self, ops: &[Op<Act>]) -> Vec<Group> {
        let seen = self.useful(ops);
        let group = |(at, op): (usize, &Op<Act>)| match op.act {
            Act::Read(_) => Group::Alone,
            // What no read saw came after all reads: it can go, as long as no read that saw it is left.
            Act::Append(_) if !seen[at] => Group::Alone,
            Act::Append(_) => Group::Needed,
        };
        ops.iter().enumerate().map(group).collect()
    }

    /// What has its element came after it, and what has not before.
    fn rests_on(&self, observer: &Act, writer: &Act) -> Rests {
        Rests::always_if(match (observer, writer) {
            (Act::Read(list), Act::Append(element)) => list.contains(element),
            (Act::Append(_), _) | (_, Act::Read(_)) => false,
        })
    }

    fn engine(&self) -> &'static str {
        "chains"
    }

    fn decide(&self, ops: &[Op<Act>], budget: &Budget) -> Fast {
        self.line(ops, &mut budget.watch()).err().unwrap_or(Fast::Valid)
    }

    fn order(&self, ops: &[Op<Act>], budget: &Budget) -> Option<Vec<usize>> {
        self.line(ops, &mut budget.watch()).ok()
    }
}

impl ListAppend {
    /// All operations that happened, in line; or why they cannot stand so.
    fn line(&self, ops: &[Op<Act>], watch: &mut Watch<'_>) -> Result<Vec<usize>, Fast> {
        let appends = self.appends(ops, watch)?;
        let (longest, reads) = self.reads(ops, watch)?;
        let mut line = Line { ops, order: Vec::new(), last: (0, 0) };
        let begin = self.initial.len();
        let mut seen = vec![false; ops.len()];
        for length in 0..=longest.1.len() {
            watch.step()?;
            if length > begin {
                let append = written(&appends, ops, longest.1[length - 1], longest.0)?;
                if std::mem::replace(&mut seen[append], true) {
                    let two = [longest.0, append];
                    return Err(Fast::invalid("{} has twice what only {} had appended", two));
                }
                line.layer(&[append])?;
            }
            line.layer(reads.get(&length).map_or(&[], Vec::as_slice))?;
        }
        let is_last = |at: &usize| {
            ops[*at].fate == Fate::Ok && matches!(ops[*at].act, Act::Append(_)) && !seen[*at]
        };
        let last: Vec<usize> = (0..ops.len()).filter(is_last).collect();
        line.layer(&last)?;
        Ok(line.order)
    }

    /// The append of each element, and whether it happened for all we know.
    fn appends(
        &self,
        ops: &[Op<Act>],
        watch: &mut Watch<'_>,
    ) -> Result<FxHashMap<Id, usize>, Fast> {
        let first: FxHashSet<Id> = self.initial.iter().copied().collect();
        let mut appends: FxHashMap<Id, usize> = FxHashMap::default();
        for (index, op) in ops.iter().enumerate() {
            watch.step()?;
            let Act::Append(element) = op.act else { continue };
            if op.fate == Fate::Fail {
                appends.entry(element).or_insert(index);
                continue;
            }
            let other = appends.insert(element, index);
            let is_again = other.is_some_and(|other| ops[other].fate != Fate::Fail);
            if is_again || first.contains(&element) {
                return Err(Fast::Unsuited("an element was appended more than once"));
            }
        }
        Ok(appends)
    }

    /// The longest read, and all reads by their length, each of them a beginning of it.
    fn reads<'o>(
        &self,
        ops: &'o [Op<Act>],
        watch: &mut Watch<'_>,
    ) -> Result<(Longest<'o>, FxHashMap<usize, Vec<usize>>), Fast>
    where
        Self: 'o,
    {
        let all = || {
            ops.iter().enumerate().filter(|(_, op)| op.fate == Fate::Ok).filter_map(
                |(index, op)| match &op.act {
                    Act::Read(list) => Some((index, &**list)),
                    Act::Append(_) => None,
                },
            )
        };
        let Some((who, longest)) = all().max_by_key(|(_, list)| list.len()) else {
            return Ok(((usize::MAX, &[]), FxHashMap::default()));
        };
        let mut reads: FxHashMap<usize, Vec<usize>> = FxHashMap::default();
        for (index, list) in all() {
            watch.steps(1 + list.len())?;
            if !longest.starts_with(list) {
                let two = [index, who];
                return Err(Fast::invalid(
                    "{} is no beginning of {}, nor the other way round",
                    two,
                ));
            }
            if !list.starts_with(&self.initial) {
                return Err(Fast::invalid("{} does not begin with the initial list", [index]));
            }
            reads.entry(list.len()).or_default().push(index);
        }
        Ok(((who, longest), reads))
    }
}

/// Who read it, and what.
type Longest<'o> = (usize, &'o [Id]);

fn written(
    appends: &FxHashMap<Id, usize>,
    ops: &[Op<Act>],
    element: Id,
    reader: usize,
) -> Result<usize, Fast> {
    match appends.get(&element) {
        Some(&append) if ops[append].fate == Fate::Fail => Err(Fast::without_cause(
            "{} has an element that only {} appended, and that failed",
            [reader, append],
        )),
        Some(&append) => Ok(append),
        None => Err(Fast::without_cause("{} has an element that nobody appended", [reader])),
    }
}

/// Operations one after the other.
struct Line<'o> {
    ops: &'o [Op<Act>],
    order: Vec<usize>,
    /// The last invocation so far, and whose.
    last: (Pos, usize),
}

impl Line<'_> {
    /// Adds operations that stand after all so far, in any order.
    fn layer(&mut self, members: &[usize]) -> Result<(), Fast> {
        if let Some(&early) = members.iter().find(|&&at| self.ops[at].res < self.last.0) {
            return Err(Fast::invalid(
                "{} had ended before {} began, after which it must stand",
                [early, self.last.1],
            ));
        }
        let mut members = members.to_vec();
        members.sort_unstable_by_key(|&at| self.ops[at].inv);
        for &at in &members {
            self.last = self.last.max((self.ops[at].inv, at));
        }
        self.order.extend(members);
        Ok(())
    }
}
