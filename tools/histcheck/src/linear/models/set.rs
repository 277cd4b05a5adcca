//! A set: `add`, `remove`, `contains` with `[element, true or false]`, and `read` with the list of all elements.
//!
//! Without reads of the whole, elements are independent of one another: each is a register that holds whether it
//! is there, decided by zones where it came and went once, and else by a search over its two states.

use rustc_hash::FxHashMap;

use crate::budget::{Budget, Watch};
use crate::history::Pos;
use crate::linear::blocks;
use crate::linear::general::{self, Search};
use crate::linear::object::{Call, Fast, Group, Misread, Object, Read, Rests};
use crate::linear::op::{self, Fate, Op};
use crate::linear::register::Register;
use crate::linear::specification::{Decided, Operation, Specification};
use crate::linear::zones::{self, Zones};
use crate::values::{Id, NULL};

/// The set.
pub const MODELS: &[Specification] = &[Specification {
    name: "set",
    doc: "A set: add, remove, contains, read of all elements",
    operations: &[
        Operation::change("add").of_any_argument(),
        Operation::change("remove").of_any_argument(),
        Operation::query("contains").of_argument(),
        Operation::query("read"),
    ],
    ..Specification::decided(Decided::AsObject(|key| key.empty(Set)))
}];

/// A set, empty at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Set;

/// What an operation on a set does.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Act {
    /// It is there from now on.
    Add(Id),
    /// It is not, from now on.
    Remove(Id),
    /// Whether it was there.
    Contains(Id, bool),
    /// All that was there, in the order of ids.
    Whole(Vec<Id>),
}

impl Object for Set {
    type Act = Act;
    type State = Vec<Id>;

    fn act(&self, call: &Call<'_>) -> Read<Act> {
        let list = call.value.and_then(|value| call.values.list(value));
        match (call.word, call.value) {
            ("add", Some(element)) => Ok(Some(Act::Add(element))),
            ("remove", Some(element)) => Ok(Some(Act::Remove(element))),
            ("add" | "remove", None) if call.fate == Fate::Fail => Ok(None),
            ("add" | "remove", None) => {
                Err(format!("the operation {:?} has no value", call.word).into())
            }
            ("contains" | "read", _) if call.fate != Fate::Ok => Ok(None),
            ("contains", _) => match list {
                Some(&[element, there]) if call.values.show(there) == "true" => {
                    Ok(Some(Act::Contains(element, true)))
                }
                Some(&[element, there]) if call.values.show(there) == "false" => {
                    Ok(Some(Act::Contains(element, false)))
                }
                _ => Err("the value of an ok contains must be [element, true or false]".into()),
            },
            ("read", Some(NULL)) => Ok(Some(Act::Whole(Vec::new()))),
            ("read", _) => {
                let mut all = list.ok_or("an ok read must return a list")?.to_vec();
                all.sort_unstable();
                all.dedup();
                Ok(Some(Act::Whole(all)))
            }
            _ => Err(Misread::name("set", call)),
        }
    }

    fn initial(&self) -> Vec<Id> {
        Vec::new()
    }

    fn step(&self, state: &Vec<Id>, act: &Act, next: &mut Vec<Vec<Id>>) {
        let mut after = state.clone();
        match act {
            Act::Add(element) => {
                if let Err(at) = after.binary_search(element) {
                    after.insert(at, *element);
                }
            }
            Act::Remove(element) => after.retain(|other| other != element),
            Act::Contains(element, there) if state.contains(element) != *there => return,
            Act::Whole(all) if all != state => return,
            Act::Contains(..) | Act::Whole(_) => {}
        }
        next.push(after);
    }

    fn is_read(&self, act: &Act) -> bool {
        matches!(act, Act::Contains(..) | Act::Whole(_))
    }

    fn observes(&self, act: &Act) -> bool {
        self.is_read(act)
    }

    fn prompts(&self, after: &Vec<Id>, act: &Act) -> bool {
        match act {
            Act::Contains(element, there) => after.contains(element) == *there,
            // Several may have to come together.
            Act::Whole(_) => true,
            Act::Add(_) | Act::Remove(_) => false,
        }
    }

    fn groups(&self, ops: &[Op<Act>]) -> Vec<Group> {
        let whole = ops.iter().any(|op| matches!(op.act, Act::Whole(_)));
        let group = |op: &Op<Act>| match op.act {
            Act::Whole(_) => Group::Alone,
            Act::Contains(..) if whole => Group::Alone,
            Act::Contains(element, _) => Group::RestsOn(element.0.into()),
            Act::Add(_) | Act::Remove(_) if whole => Group::Needed,
            Act::Add(element) | Act::Remove(element) => Group::With(element.0.into()),
        };
        ops.iter().map(group).collect()
    }

    /// Who saw an element there saw an add of it, and who did not saw a remove, or that there was none.
    fn rests_on(&self, observer: &Act, writer: &Act) -> Rests {
        let (element, is_add) = match writer {
            Act::Add(element) => (element, true),
            Act::Remove(element) => (element, false),
            Act::Contains(..) | Act::Whole(_) => return Rests::Not,
        };
        Rests::always_if(match observer {
            Act::Contains(other, there) => other == element && *there == is_add,
            Act::Whole(all) => all.contains(element) == is_add,
            Act::Add(_) | Act::Remove(_) => false,
        })
    }

    fn engine(&self) -> &'static str {
        "elements"
    }

    fn decide(&self, ops: &[Op<Act>], budget: &Budget) -> Fast {
        each_element(ops, budget).err().unwrap_or(Fast::Valid)
    }

    /// An operation takes effect at the last invocation among those of its element that stand up to it in a legal
    /// order of theirs: none of them had returned by then. So each element keeps its order, and nothing stands
    /// behind what it had ended before.
    fn order(&self, ops: &[Op<Act>], budget: &Budget) -> Option<Vec<usize>> {
        let mut moments: Vec<(Pos, usize)> = Vec::with_capacity(ops.len());
        for known in elements(ops, &mut budget.watch()).ok()? {
            let mut moment = 0;
            for at in of_element(&known, budget)? {
                moment = known[at].inv.max(moment);
                moments.push((moment, known[at].source));
            }
        }
        moments.sort_by_key(|&(moment, _)| moment);
        Some(moments.into_iter().map(|(_, at)| at).collect())
    }
}

/// A legal order of the operations on one element.
fn of_element(known: &[Op], budget: &Budget) -> Option<Vec<usize>> {
    match zones::decide_within(known, ABSENT, budget) {
        Ok(Zones::Valid) => zones::order(known, ABSENT),
        Ok(Zones::Ambiguous) => blocks::order(known, ABSENT, budget)
            .or_else(|_| general::order(&Register::default(), known, &[ABSENT], budget))
            .ok(),
        Ok(Zones::Invalid(_)) | Err(_) => None,
    }
}

/// Decides one element after the other.
///
/// # Errors
/// Any answer but valid.
fn each_element(ops: &[Op<Act>], budget: &Budget) -> Result<(), Fast> {
    for known in elements(ops, &mut budget.watch())? {
        match zones::decide_within(&known, ABSENT, budget)? {
            Zones::Valid => continue,
            Zones::Invalid(conflict) => return Err(zones::reason(&conflict, &known)),
            Zones::Ambiguous => {}
        }
        match general::decide(&Register::default(), &known, &[ABSENT], budget) {
            Search::Valid => {}
            Search::Invalid(at) => {
                let text = "no order of the operations on its element explains {}";
                return Err(Fast::invalid(text, [known[at].source]));
            }
            Search::Unknown(_, limit) => return Err(limit.into()),
            Search::TooMany(_) => {
                return Err(Fast::Unsuited("an element came and went too often"));
            }
        }
    }
    Ok(())
}

const ABSENT: Id = Id(0);
const PRESENT: Id = Id(1);

/// The operations on each element as those on a register; `source` is the index.
///
/// # Errors
/// Where the whole was read, or a limit was reached.
fn elements(ops: &[Op<Act>], watch: &mut Watch<'_>) -> Result<Vec<Vec<Op>>, Fast> {
    let mut place: FxHashMap<Id, usize> = FxHashMap::default();
    let mut elements: Vec<Vec<Op>> = Vec::new();
    for (index, op) in ops.iter().enumerate() {
        watch.step()?;
        let (element, act) = match op.act {
            Act::Add(element) => (element, op::Act::Write(PRESENT)),
            Act::Remove(element) => (element, op::Act::Write(ABSENT)),
            Act::Contains(element, true) => (element, op::Act::Read(PRESENT)),
            Act::Contains(element, false) => (element, op::Act::Read(ABSENT)),
            Act::Whole(_) if op.fate == Fate::Ok => {
                return Err(Fast::Unsuited("the whole set was read"));
            }
            Act::Whole(_) => continue,
        };
        let at = *place.entry(element).or_insert_with(|| {
            elements.push(Vec::new());
            elements.len() - 1
        });
        elements[at].extend(Op::new(act, op.fate, op.inv, op.res, index));
    }
    Ok(elements)
}
