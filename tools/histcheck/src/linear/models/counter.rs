//! A counter: `inc` and `dec` by one or by the number that is their value, `add` with a number, and `read`.
//!
//! Where all changes are by plus one no search is needed: the value only grows, so all reads of one value stand
//! together as a group, and groups stand in the order of their values. Between two groups lie exactly as many
//! increments as their values differ by. Each increment has a first group that it must stand before, as it
//! returned before a read of it was invoked, and a last one that it must stand after: a window of slots. Slots
//! are filled from the first on, with those increments first whose window ends first, and with increments of
//! unknown outcome last: no exchange can make that worse.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::budget::{Budget, Watch};
use crate::history::Pos;
use crate::linear::object::{Call, Fast, Misread, Object, Read, Rests};
use crate::linear::op::{Fate, Op};
use crate::linear::specification::{Decided, Operation, Specification};
use crate::values::NULL;

/// The counter.
pub const MODELS: &[Specification] = &[Specification {
    name: "counter",
    doc: "A number: inc, dec, add, read",
    operations: &[
        Operation::change("inc").of_optional_argument(),
        Operation::change("increment").of_optional_argument(),
        Operation::change("dec").of_optional_argument(),
        Operation::change("decrement").of_optional_argument(),
        Operation::change("add").of_argument(),
        Operation::query("read"),
    ],
    ..Specification::decided(Decided::AsObject(|key| {
        key.beginning(Counter { initial: key.whole_number()? })
    }))
}];

/// A counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter {
    /// What it holds first.
    pub initial: i64,
}

/// What an operation on a counter does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Act {
    /// Adds this.
    Add(i64),
    /// Returned this.
    Read(i64),
}

impl Object for Counter {
    type Act = Act;
    /// Wider than what is read and added: no sum of as many steps as a history can hold leaves it.
    type State = i128;

    fn act(&self, call: &Call<'_>) -> Read<Act> {
        let number = match call.value {
            None | Some(NULL) => None,
            Some(value) => Some(call.values.as_int(value).ok_or_else(|| {
                format!(
                    "a counter counts in whole numbers of 64 bits, not {}",
                    call.values.show(value)
                )
            })?),
        };
        match (call.word, number) {
            ("inc" | "increment", n) => Ok(Some(Act::Add(n.unwrap_or(1)))),
            ("dec" | "decrement", n) => {
                let n = n.unwrap_or(1);
                let less = n
                    .checked_neg()
                    .ok_or("the number added, which is its negative, has more than 64 bits")?;
                Ok(Some(Act::Add(less)))
            }
            ("add", Some(n)) => Ok(Some(Act::Add(n))),
            ("add", None) if call.fate == Fate::Fail => Ok(None),
            ("add", None) => Err("an add has no value".into()),
            ("read", Some(n)) if call.fate == Fate::Ok => Ok(Some(Act::Read(n))),
            ("read", None) if call.fate == Fate::Ok => Err("an ok read says no value".into()),
            ("read", _) => Ok(None),
            _ => Err(Misread::name("counter", call)),
        }
    }

    fn initial(&self) -> i128 {
        self.initial.into()
    }

    fn step(&self, &state: &i128, act: &Act, next: &mut Vec<i128>) {
        match *act {
            Act::Add(n) => next.push(state + i128::from(n)),
            Act::Read(n) => next.extend((i128::from(n) == state).then_some(state)),
        }
    }

    fn is_read(&self, act: &Act) -> bool {
        matches!(act, Act::Read(_) | Act::Add(0))
    }

    fn observes(&self, act: &Act) -> bool {
        matches!(act, Act::Read(_))
    }

    fn rests_on(&self, observer: &Act, _: &Act) -> Rests {
        Rests::later_if(self.observes(observer))
    }

    fn engine(&self) -> &'static str {
        "slots"
    }

    fn decide(&self, ops: &[Op<Act>], budget: &Budget) -> Fast {
        let steps = |op: &Op<Act>| op.fate != Fate::Fail && matches!(op.act, Act::Add(n) if n != 1);
        if ops.iter().any(steps) {
            return Fast::Unsuited("it is changed by other steps than plus one");
        }
        match Slots::fill(self.initial, ops, &mut budget.watch()) {
            Ok(_) => Fast::Valid,
            Err(answer) => answer,
        }
    }

    fn order(&self, ops: &[Op<Act>], budget: &Budget) -> Option<Vec<usize>> {
        Slots::fill(self.initial, ops, &mut budget.watch()).ok()
    }
}

/// All reads of one value.
struct Group {
    value: i64,
    reads: Vec<usize>,
    /// The first return, and who.
    f: (Pos, usize),
    /// The last invocation, and who.
    s: (Pos, usize),
}

struct Slots;

impl Slots {
    /// A legal order, or why there is none.
    fn fill(initial: i64, ops: &[Op<Act>], watch: &mut Watch<'_>) -> Result<Vec<usize>, Fast> {
        let groups = groups(ops);
        in_order(&groups)?;
        // The last invocation among groups up to each, the first return among groups from each on.
        let mut last: Vec<Pos> = Vec::with_capacity(groups.len());
        for group in &groups {
            last.push(group.s.0.max(last.last().copied().unwrap_or(0)));
        }
        let mut first: Vec<Pos> = groups.iter().map(|group| group.f.0).collect();
        for at in (1..first.len()).rev() {
            first[at - 1] = first[at - 1].min(first[at]);
        }
        // In the slot before group j stand those that need not stand after group j: by their first slot.
        let mut by_first: Vec<(usize, usize, usize)> = Vec::new();
        for (index, op) in ops.iter().enumerate() {
            watch.step()?;
            if matches!(op.act, Act::Add(_)) && op.fate != Fate::Fail {
                let low = first.partition_point(|&f| f < op.inv);
                let high = last.partition_point(|&s| s <= op.res);
                if high < low {
                    return Err(too_little(&groups[high], Some(index)));
                }
                by_first.push((low, high, index));
            }
        }
        by_first.sort_unstable();
        let mut coming = by_first.into_iter().peekable();
        let mut open: BinaryHeap<Reverse<(usize, bool, usize)>> = BinaryHeap::new();
        let (mut order, mut value) = (Vec::new(), initial);
        for (slot, group) in groups.iter().enumerate() {
            watch.steps(group.reads.len())?;
            while let Some((_, high, index)) = coming.next_if(|&(low, ..)| low <= slot) {
                open.push(Reverse((high, ops[index].fate == Fate::Info, index)));
            }
            while value < group.value {
                watch.step()?;
                let Some(Reverse((.., index))) = open.pop() else {
                    return Err(too_much(group));
                };
                value += 1;
                order.push(index);
            }
            if value > group.value {
                return Err(too_little(group, order.last().copied()));
            }
            if let Some(&Reverse((high, _, index))) = open.peek()
                && high <= slot
            {
                return Err(too_little(group, Some(index)));
            }
            order.extend(&group.reads);
        }
        let rest = open.into_iter().map(|Reverse((.., index))| index);
        let rest = rest.chain(coming.map(|(.., index)| index));
        let mut rest: Vec<usize> = rest.filter(|&index| ops[index].fate == Fate::Ok).collect();
        rest.sort_unstable_by_key(|&index| ops[index].inv);
        order.extend(rest);
        Ok(by_time(order, ops))
    }
}

/// Within a run of equal operations, those that returned first stand first.
fn by_time(mut order: Vec<usize>, ops: &[Op<Act>]) -> Vec<usize> {
    let runs = order.chunk_by_mut(|&a, &b| ops[a].act == ops[b].act);
    runs.for_each(|run| run.sort_unstable_by_key(|&index| (ops[index].res, ops[index].inv)));
    order
}

fn too_much(group: &Group) -> Fast {
    Fast::invalid("{} saw more than can have been counted by then", [group.f.1])
}

fn too_little(group: &Group, extra: Option<usize>) -> Fast {
    match extra {
        Some(extra) => Fast::invalid(
            "{} saw less than was surely counted by then, {} among it",
            [group.s.1, extra],
        ),
        None => Fast::invalid("{} saw less than the counter began with", [group.s.1]),
    }
}

fn groups(ops: &[Op<Act>]) -> Vec<Group> {
    let reads = ops.iter().enumerate().filter(|(_, op)| op.fate == Fate::Ok);
    let mut reads: Vec<(i64, Pos, usize)> = reads
        .filter_map(|(index, op)| match op.act {
            Act::Read(value) => Some((value, op.inv, index)),
            Act::Add(_) => None,
        })
        .collect();
    reads.sort_unstable();
    let same = reads.chunk_by(|a, b| a.0 == b.0);
    same.map(|run| {
        let all = || run.iter().map(|&(.., index)| index);
        let first = all().map(|index| (ops[index].res, index)).min();
        let last = all().map(|index| (ops[index].inv, index)).max();
        Group {
            value: run[0].0,
            reads: all().collect(),
            f: first.unwrap_or((0, 0)),
            s: last.unwrap_or((0, 0)),
        }
    })
    .collect()
}

/// Of two groups the one with the greater value must not have to stand first.
fn in_order(groups: &[Group]) -> Result<(), Fast> {
    let mut last: Option<(Pos, usize)> = None;
    for group in groups {
        if let Some((began, lesser)) = last
            && group.f.0 < began
        {
            return Err(Fast::invalid(
                "{} had seen more before {} began, and the counter never falls",
                [group.f.1, lesser],
            ));
        }
        last = last.max(Some(group.s));
    }
    Ok(())
}
