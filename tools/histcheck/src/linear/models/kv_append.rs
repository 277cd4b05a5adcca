//! A string: `put`, `append` to its end, and `get`, whose ok value is the whole string.
//!
//! Where each string was put or appended once, and each string that was got is made of them in one way only, an
//! append that was seen is a compare-and-set from the string before it to the one after it, and a put, or an
//! append that nobody saw, is a write: the zones of registers decide.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::budget::Budget;
use crate::history::Pos;
use crate::linear::object::{Call, Fast, Misread, Object, Read, Rests};
use crate::linear::op::{self, Fate, Op};
use crate::linear::specification::{Decided, Operation, Specification};
use crate::linear::zones;
use crate::values::{Id, NULL};

/// The string.
pub const MODELS: &[Specification] = &[Specification {
    name: "kv-append",
    doc: "A string: put, append, get",
    operations: &[
        Operation::change("put").of_any_argument(),
        Operation::change("append").of_any_argument(),
        Operation::query("get"),
    ],
    ..Specification::decided(Decided::AsObject(|key| {
        key.beginning(KvAppend { initial: key.string()? })
    }))
}];

/// A string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvAppend {
    /// What it holds first.
    pub initial: Arc<str>,
}

/// What an operation does.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Act {
    /// Puts this in place of all.
    Put(Arc<str>),
    /// Puts this at the end.
    Append(Arc<str>),
    /// Returned this.
    Get(Arc<str>),
}

impl Object for KvAppend {
    type Act = Act;
    type State = Arc<str>;

    fn act(&self, call: &Call<'_>) -> Read<Act> {
        let text = match call.value {
            None => None,
            Some(NULL) => Some(Arc::default()),
            Some(value) => match call.values.json(value) {
                serde_json::Value::String(text) => Some(text.into()),
                other => {
                    return Err(format!("the model kv-append has strings only, not {other}").into());
                }
            },
        };
        match (call.word, text, call.fate) {
            ("put", Some(text), _) => Ok(Some(Act::Put(text))),
            ("append", Some(text), _) => Ok(Some(Act::Append(text))),
            ("put" | "append", None, Fate::Fail) => Ok(None),
            ("get", _, Fate::Fail | Fate::Info) => Ok(None),
            ("get", Some(text), _) => Ok(Some(Act::Get(text))),
            ("get" | "put" | "append", None, _) => {
                Err(format!("the operation {:?} has no value", call.word).into())
            }
            _ => Err(Misread::name("kv-append", call)),
        }
    }

    fn initial(&self) -> Arc<str> {
        Arc::clone(&self.initial)
    }

    fn step(&self, state: &Arc<str>, act: &Act, next: &mut Vec<Arc<str>>) {
        match act {
            Act::Put(text) => next.push(Arc::clone(text)),
            Act::Append(text) => next.push(format!("{state}{text}").into()),
            Act::Get(text) => next.extend((text == state).then(|| Arc::clone(state))),
        }
    }

    fn is_read(&self, act: &Act) -> bool {
        matches!(act, Act::Get(_)) || *act == Act::Append(Arc::default())
    }

    fn observes(&self, act: &Act) -> bool {
        matches!(act, Act::Get(_))
    }

    /// Between two puts the string only grows. What was got after an append has its piece in it, and what was got
    /// before is the same without it. What was got after a put and before the next begins with it; without them
    /// the appends between follow all that was got of the string before.
    fn rests_on(&self, observer: &Act, writer: &Act) -> Rests {
        let names = match (observer, writer) {
            (_, Act::Get(_)) | (Act::Put(_) | Act::Append(_), _) => false,
            (Act::Get(text), Act::Put(begin)) => text.starts_with(&**begin),
            (Act::Get(text), Act::Append(piece)) => text.contains(&**piece),
        };
        Rests::always_if(names)
    }

    fn engine(&self) -> &'static str {
        "zones"
    }

    fn decide(&self, ops: &[Op<Act>], budget: &Budget) -> Fast {
        let known = match self.as_register(ops, budget) {
            Ok(known) => known,
            Err(answer) => return answer,
        };
        let found = match zones::decide_within(&known, INITIAL, budget) {
            Ok(found) => found,
            Err(limit) => return limit.into(),
        };
        match found {
            zones::Zones::Valid => Fast::Valid,
            zones::Zones::Invalid(conflict) => zones::reason(&conflict, &known),
            zones::Zones::Ambiguous => Fast::Unsuited("a string came up in two ways"),
        }
    }

    fn order(&self, ops: &[Op<Act>], budget: &Budget) -> Option<Vec<usize>> {
        let known = self.as_register(ops, budget).ok()?;
        let order = zones::order(&known, INITIAL)?;
        let order = order.into_iter().map(|at| known[at].source).collect();
        Some(with_empty_appends(ops, order))
    }
}

const INITIAL: Id = Id(0);

impl KvAppend {
    /// The operations as ones on a register, whose `source` is their index.
    fn as_register(&self, ops: &[Op<Act>], budget: &Budget) -> Result<Vec<Op>, Fast> {
        let mut watch = budget.watch();
        let pieces = Pieces::find(&self.initial, ops, budget)?;
        let mut strings: FxHashMap<&str, Id> = FxHashMap::default();
        strings.insert(&self.initial, INITIAL);
        // For each append that was seen, the strings before and after it.
        let mut seen: FxHashMap<usize, (Id, Id)> = FxHashMap::default();
        let mut got: FxHashSet<&str> = FxHashSet::default();
        for (index, op) in ops.iter().enumerate().filter(|(_, op)| op.fate == Fate::Ok) {
            let Act::Get(text) = &op.act else { continue };
            watch.steps(1 + text.len())?;
            if !got.insert(text) {
                continue;
            }
            let mut before = None;
            for (end, append) in pieces.parts(text, index, budget)? {
                watch.steps(1 + end)?;
                let fresh = Id(strings.len() as u32);
                let after = *strings.entry(&text[..end]).or_insert(fresh);
                if let (Some(append), Some(before)) = (append, before) {
                    let link = *seen.entry(append).or_insert((before, after));
                    if link != (before, after) {
                        return Err(Fast::invalid(
                            "{} and another get disagree about what {} was appended to",
                            [index, append],
                        ));
                    }
                }
                before = Some(after);
            }
        }
        let mut fresh = strings.len() as u32;
        let mut unseen = || {
            fresh += 1;
            Id(fresh)
        };
        let mut known = Vec::with_capacity(ops.len());
        for (index, op) in ops.iter().enumerate().filter(|(_, op)| op.fate != Fate::Fail) {
            let act = match &op.act {
                Act::Append(text) if text.is_empty() => continue,
                Act::Append(_) => match seen.get(&index) {
                    Some(&(before, after)) => op::Act::Cas(before, after),
                    None => op::Act::Write(unseen()),
                },
                Act::Put(text) => op::Act::Write(match strings.get(&**text) {
                    Some(&id) => id,
                    None => unseen(),
                }),
                Act::Get(text) => match strings.get(&**text) {
                    Some(&id) if op.fate == Fate::Ok => op::Act::Read(id),
                    _ => continue,
                },
            };
            known.push(Op { source: index, ..op.doing(act) });
        }
        Ok(known)
    }
}

/// A legal order with the appends of nothing put in, each right behind the last operation that had ended before it
/// began: what stands before that one cannot have begun after this one ended.
fn with_empty_appends(ops: &[Op<Act>], order: Vec<usize>) -> Vec<usize> {
    let is_empty =
        |&at: &usize| ops[at].fate == Fate::Ok && ops[at].act == Act::Append(Arc::default());
    // By their returns, and how far in the order those that had returned reach.
    let places = order.iter().zip(1..);
    let mut reach: Vec<(Pos, usize)> = places.map(|(&at, place)| (ops[at].res, place)).collect();
    reach.sort_unstable();
    let mut most = 0;
    for (_, place) in &mut reach {
        most = most.max(*place);
        *place = most;
    }
    let place = |at: usize| {
        let ended = reach.partition_point(|&(res, _)| res < ops[at].inv);
        ended.checked_sub(1).map_or(0, |last| reach[last].1)
    };
    let empty = (0..ops.len()).filter(is_empty).map(|at| (place(at), ops[at].inv, at));
    // Positions begin at 1.
    let mut all: Vec<(usize, Pos, usize)> =
        order.iter().zip(1..).map(|(&at, place)| (place, 0, at)).chain(empty).collect();
    all.sort_unstable();
    all.into_iter().map(|(_, _, at)| at).collect()
}

/// What strings are made of.
struct Pieces<'o> {
    /// What a string may begin with: what was put, and the initial one.
    begin: FxHashSet<&'o str>,
    appends: FxHashMap<&'o str, usize>,
    /// The lengths of what it may begin with, and of what was appended.
    begins: Vec<usize>,
    lengths: Vec<usize>,
}

impl<'o> Pieces<'o> {
    fn find(initial: &'o str, ops: &'o [Op<Act>], budget: &Budget) -> Result<Pieces<'o>, Fast> {
        let again = Fast::Unsuited("a string was written more than once");
        let mut watch = budget.watch();
        let mut begin = FxHashSet::from_iter([initial]);
        let mut appends = FxHashMap::default();
        for (index, op) in ops.iter().enumerate().filter(|(_, op)| op.fate != Fate::Fail) {
            watch.step()?;
            let is_again = match &op.act {
                Act::Put(text) => !begin.insert(text),
                Act::Append(text) if text.is_empty() => false,
                Act::Append(text) => appends.insert(&**text, index).is_some(),
                Act::Get(_) => false,
            };
            if is_again {
                return Err(again);
            }
        }
        let begins = lengths(begin.iter());
        let lengths = lengths(appends.keys());
        Ok(Pieces { begin, appends, begins, lengths })
    }

    /// The one way in which `text`, got by the operation `who`, is made: where each part ends, and who appended
    /// it.
    fn parts(
        &self,
        text: &str,
        who: usize,
        budget: &Budget,
    ) -> Result<Vec<(usize, Option<usize>)>, Fast> {
        // For each place in how many ways one gets there, and whence. Known before it is taken, as a string may be long.
        type Way = (u8, usize, Option<usize>);
        budget.spend((text.len() + 1) * size_of::<Way>())?;
        let mut watch = budget.watch();
        let mut ways: Vec<Way> = vec![(0, 0, None); text.len() + 1];
        for &length in self.begins.iter().take_while(|&&length| length <= text.len()) {
            watch.steps(1 + length)?;
            if text.get(..length).is_some_and(|begin| self.begin.contains(begin)) {
                ways[length].0 += 1;
            }
        }
        for at in 0..text.len() {
            if ways[at].0 == 0 || !text.is_char_boundary(at) {
                continue;
            }
            let ends = self.lengths.iter().map(|length| at + length);
            for end in ends.take_while(|&end| end <= text.len()) {
                watch.steps(1 + end - at)?;
                let piece = text.get(at..end).and_then(|piece| self.appends.get(piece));
                let Some(&append) = piece else { continue };
                let count = ways[end].0.saturating_add(ways[at].0).min(2);
                ways[end] = (count, at, Some(append));
            }
        }
        match ways[text.len()].0 {
            0 => {
                return Err(Fast::without_cause(
                    "{} got a string that nobody can have made",
                    [who],
                ));
            }
            1 => {}
            _ => return Err(Fast::Unsuited("a string can have been made in two ways")),
        }
        let mut parts = Vec::new();
        let mut at = text.len();
        loop {
            let (_, before, append) = ways[at];
            parts.push((at, append));
            if append.is_none() {
                break;
            }
            at = before;
        }
        parts.reverse();
        let mut used: Vec<usize> = parts.iter().filter_map(|&(_, append)| append).collect();
        used.sort_unstable();
        match used.windows(2).any(|pair| pair[0] == pair[1]) {
            true => Err(Fast::invalid("{} has a piece twice that had been appended once", [who])),
            false => Ok(parts),
        }
    }
}

/// Which lengths they have, the least first.
fn lengths<'s>(texts: impl Iterator<Item = &'s &'s str>) -> Vec<usize> {
    let mut lengths: Vec<usize> = texts.map(|text| text.len()).collect();
    lengths.sort_unstable();
    lengths.dedup();
    lengths
}
