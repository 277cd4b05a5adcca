//! A number with `fetch-add`, whose argument is what it adds and whose ok value is `[added, before]`, and `read`.
//!
//! A fetch-add that returned is a compare-and-set from what it found to the sum, so that the zones of registers
//! decide. One of unknown outcome says neither, and may as well not have happened: an order without it is
//! legal. Where there is none, and all add one, the number goes through all values up to the greatest that was seen, one
//! after the other, so all operations stand in one line ([`by_ones`]); and where that is not so, the search has to try.

use rustc_hash::FxHashMap;

use crate::budget::{Budget, Watch};
use crate::history::Pos;
use crate::linear::object::{Call, Fast, Misread, Object, Read, Rests};
use crate::linear::op::{self, Fate, Op};
use crate::linear::specification::{Decided, Operation, Specification};
use crate::linear::zones;
use crate::values::{Id, NULL};

/// The number.
pub const MODELS: &[Specification] = &[Specification {
    name: "fetch-add",
    doc: "A number: fetch-add, which returns [added, before], and read",
    operations: &[Operation::change("fetch-add").of_argument(), Operation::query("read")],
    ..Specification::decided(Decided::AsObject(|key| {
        key.beginning(FetchAdd { initial: key.whole_number()? })
    }))
}];

/// A number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchAdd {
    /// What it is first.
    pub initial: i64,
}

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Act {
    /// Added the first number, and found the second where that is known.
    Add(i64, Option<i64>),
    /// Returned this.
    Read(i64),
}

impl Object for FetchAdd {
    type Act = Act;
    /// Wider than what is found and added: no sum of as many steps as a history can hold leaves it.
    type State = i128;

    fn act(&self, call: &Call<'_>) -> Read<Act> {
        let value = call.value.filter(|&value| value != NULL);
        let int = |id: Id| call.values.as_int(id);
        let pair = value.and_then(|value| call.values.list(value));
        match (call.word, call.fate) {
            ("fetch-add", Fate::Ok) => {
                match pair {
                    Some(&[added, before]) if int(added).is_some() && int(before).is_some() => {
                        Ok(Some(Act::Add(int(added).unwrap_or_default(), int(before))))
                    }
                    _ => Err("the value of an ok fetch-add must be [added, before], whole numbers of 64 bits"
                        .into()),
                }
            }
            ("fetch-add", fate) => {
                let added = pair.and_then(|pair| pair.first().copied()).or(value).and_then(int);
                match added {
                    Some(added) => Ok(Some(Act::Add(added, None))),
                    None if fate == Fate::Fail => Ok(None),
                    None => Err("a fetch-add must say what it adds, a whole number of 64 bits".into()),
                }
            }
            ("read", Fate::Ok) => match value.and_then(int) {
                Some(number) => Ok(Some(Act::Read(number))),
                None => Err("an ok read must return a whole number of 64 bits".into()),
            },
            ("read", _) => Ok(None),
            _ => Err(Misread::name("fetch-add", call)),
        }
    }

    fn initial(&self) -> i128 {
        self.initial.into()
    }

    fn step(&self, &state: &i128, act: &Act, next: &mut Vec<i128>) {
        match *act {
            Act::Add(added, before) if before.is_none_or(|before| i128::from(before) == state) => {
                next.push(state + i128::from(added));
            }
            Act::Read(number) if i128::from(number) == state => next.push(state),
            _ => {}
        }
    }

    fn is_read(&self, act: &Act) -> bool {
        matches!(act, Act::Read(_) | Act::Add(0, _))
    }

    /// What does not say what it found is legal anywhere.
    fn rests_on(&self, observer: &Act, _: &Act) -> Rests {
        Rests::later_if(!matches!(observer, Act::Add(_, None)))
    }

    fn engine(&self) -> &'static str {
        "zones"
    }

    fn decide(&self, ops: &[Op<Act>], budget: &Budget) -> Fast {
        let (known, initial) = match self.as_register(ops, &mut budget.watch()) {
            Ok(found) => found,
            Err(answer) => return answer,
        };
        let unknown = ops.iter().any(|op| op.fate == Fate::Info);
        let found = match zones::decide_within(&known, initial, budget) {
            Ok(found) => found,
            Err(limit) => return limit.into(),
        };
        match found {
            zones::Zones::Valid => Fast::Valid,
            zones::Zones::Invalid(_) if unknown && only_ones(ops) => {
                let line = by_ones(self.initial.into(), ops, &mut budget.watch());
                line.err().unwrap_or(Fast::Valid)
            }
            zones::Zones::Invalid(_) if unknown => {
                Fast::Unsuited("the outcome of a fetch-add is unknown, and some of them happened")
            }
            zones::Zones::Invalid(conflict) => zones::reason(&conflict, &known),
            zones::Zones::Ambiguous => Fast::Unsuited("the number took a value more than once"),
        }
    }

    fn order(&self, ops: &[Op<Act>], budget: &Budget) -> Option<Vec<usize>> {
        let (known, initial) = self.as_register(ops, &mut budget.watch()).ok()?;
        match zones::order(&known, initial) {
            Some(order) => Some(order.into_iter().map(|at| known[at].source).collect()),
            None => by_ones(self.initial.into(), ops, &mut budget.watch()).ok(),
        }
    }
}

impl FetchAdd {
    /// The ok operations as ones on a register, whose `source` is their index, and its first value.
    fn as_register(&self, ops: &[Op<Act>], watch: &mut Watch<'_>) -> Result<(Vec<Op>, Id), Fast> {
        let mut ids: FxHashMap<i128, Id> = FxHashMap::default();
        let mut id = |number: i128| {
            let fresh = Id(ids.len() as u32);
            *ids.entry(number).or_insert(fresh)
        };
        let initial = id(self.initial.into());
        let mut known = Vec::with_capacity(ops.len());
        for (index, op) in ops.iter().enumerate().filter(|(_, op)| op.fate == Fate::Ok) {
            watch.step()?;
            let act = match op.act {
                Act::Add(0, Some(before)) => op::Act::Read(id(before.into())),
                Act::Add(added, Some(before)) => {
                    let before = i128::from(before);
                    op::Act::Cas(id(before), id(before + i128::from(added)))
                }
                Act::Add(_, None) => {
                    return Err(Fast::Unsuited("what a fetch-add found is not said"));
                }
                Act::Read(number) => op::Act::Read(id(number.into())),
            };
            known.push(Op { act, fate: Fate::Ok, inv: op.inv, res: op.res, source: index });
        }
        Ok((known, initial))
    }
}

/// Whether all add one, and those of unknown outcome may have found any number: evidence may hold one that returned, with
/// its return forgotten.
fn only_ones(ops: &[Op<Act>]) -> bool {
    let fits = |op: &Op<Act>| match (op.act, op.fate) {
        (_, Fate::Fail) => true,
        (Act::Add(1, before), fate) => fate == Fate::Ok || before.is_none(),
        (Act::Add(..), _) => false,
        (Act::Read(_), _) => true,
    };
    ops.iter().all(fits)
}

/// An operation that returned, and the number that it found.
#[derive(Clone, Copy)]
struct Found {
    number: i128,
    is_add: bool,
    at: usize,
}

/// All that add add one: the number goes up from `initial` step by step. At each number stand the reads of it, and then
/// the one add that found it. Where no add that returned found it, and something saw a greater number, one of unknown
/// outcome did. It must have begun before the first return among all that stand later: the later its number, the later
/// that is, so an order exists iff up to each of these returns as many began as are needed by then.
///
/// Returns the line, with those of unknown outcome that it takes.
///
/// # Errors
/// Any answer but valid.
fn by_ones(initial: i128, ops: &[Op<Act>], watch: &mut Watch<'_>) -> Result<Vec<usize>, Fast> {
    let line = in_line(initial, ops, watch)?;
    let may_add = |op: &Op<Act>| op.fate == Fate::Info && matches!(op.act, Act::Add(..));
    let infos = ops.iter().enumerate().filter(|(_, op)| may_add(op));
    let mut began: Vec<(Pos, usize)> = infos.map(|(at, op)| (op.inv, at)).collect();
    began.sort_unstable();
    // From each place of the line on the one that returned first.
    let mut first: Vec<usize> = line.iter().map(|found| found.at).collect();
    for place in (1..first.len()).rev() {
        if ops[first[place]].res < ops[first[place - 1]].res {
            first[place - 1] = first[place];
        }
    }
    let (mut number, mut needed, mut place) = (initial, 0_usize, 0);
    let mut order = Vec::with_capacity(ops.len());
    // The last invocation so far, and whose.
    let mut last: (Pos, usize) = (0, 0);
    for same in line.chunk_by(|a, b| (a.number, a.is_add) == (b.number, b.is_add)) {
        watch.steps(same.len())?;
        let found = same[0];
        let missing = usize::try_from(found.number - number).unwrap_or(usize::MAX);
        needed = needed.saturating_add(missing);
        let early = first[place];
        if missing > 0 && began.partition_point(|&(inv, _)| inv < ops[early].res) < needed {
            return Err(Fast::invalid(
                "{} had ended before as much can have been added as was found by then",
                [early],
            ));
        }
        if let Some(early) = same.iter().find(|found| ops[found.at].res < last.0) {
            return Err(Fast::invalid(
                "{} had ended before {}, on which it rests, began",
                [early.at, last.1],
            ));
        }
        if let [one, other, ..] = same
            && found.is_add
        {
            return Err(Fast::invalid(
                "{} and {} found the same value, which was there only once",
                [one.at, other.at],
            ));
        }
        // There are so many, as was just seen.
        let taken = began.get(needed - missing..needed).unwrap_or_default();
        order.extend(taken.iter().map(|&(_, at)| at));
        for found in same {
            order.push(found.at);
            last = last.max((ops[found.at].inv, found.at));
        }
        number = found.number + i128::from(found.is_add);
        place += same.len();
    }
    Ok(order)
}

/// All that returned, by the number that they found, the reads of it before the add.
fn in_line(initial: i128, ops: &[Op<Act>], watch: &mut Watch<'_>) -> Result<Vec<Found>, Fast> {
    let mut line = Vec::with_capacity(ops.len());
    for (at, op) in ops.iter().enumerate().filter(|(_, op)| op.fate == Fate::Ok) {
        watch.step()?;
        let (number, is_add) = match op.act {
            Act::Add(_, Some(before)) => (before, true),
            Act::Read(number) => (number, false),
            Act::Add(_, None) => return Err(Fast::Unsuited("what a fetch-add found is not said")),
        };
        if i128::from(number) < initial {
            return Err(Fast::without_cause("{} saw what nobody wrote", [at]));
        }
        line.push(Found { number: number.into(), is_add, at });
    }
    line.sort_unstable_by_key(|found| (found.number, found.is_add, found.at));
    Ok(line)
}
