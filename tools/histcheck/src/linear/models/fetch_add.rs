//! A number with `fetch-add`, whose argument is what it adds and whose ok value is `[added, before]`, and `read`.
//!
//! A fetch-add that returned is a compare-and-set from what it found to the sum, so that the zones of registers
//! decide. One of unknown outcome says neither, and may as well not have happened: an order without it is
//! legal; where there is none, the search has to try them.

use crate::budget::Budget;
use crate::linear::object::{Call, Fast, Object, Read, Rests};
use crate::linear::op::{self, Fate, Op};
use crate::linear::zones;
use crate::values::{Id, NULL};

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
            (word, _) => Err(format!("the model fetch-add has no operation {word:?}")),
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

    fn decide(&self, ops: &[Op<Act>], _: &Budget) -> Fast {
        let Some((known, initial)) = self.as_register(ops) else {
            return Fast::Unsuited("what a fetch-add found is not said");
        };
        let unknown = ops.iter().any(|op| op.fate == Fate::Info);
        match zones::decide(&known, initial) {
            zones::Zones::Valid => Fast::Valid,
            zones::Zones::Invalid(_) if unknown => {
                Fast::Unsuited("the outcome of a fetch-add is unknown, and some of them happened")
            }
            zones::Zones::Invalid(conflict) => zones::reason(&conflict, &known),
            zones::Zones::Ambiguous => Fast::Unsuited("the number took a value more than once"),
        }
    }

    fn order(&self, ops: &[Op<Act>]) -> Option<Vec<usize>> {
        let (known, initial) = self.as_register(ops)?;
        let order = zones::order(&known, initial)?;
        Some(order.into_iter().map(|at| known[at].source).collect())
    }
}

impl FetchAdd {
    /// The ok operations as ones on a register, whose `source` is their index, and its first value.
    fn as_register(&self, ops: &[Op<Act>]) -> Option<(Vec<Op>, Id)> {
        let mut ids: std::collections::HashMap<i128, Id> = std::collections::HashMap::new();
        let mut id = |number: i128| {
            let fresh = Id(ids.len() as u32);
            *ids.entry(number).or_insert(fresh)
        };
        let initial = id(self.initial.into());
        let mut known = Vec::with_capacity(ops.len());
        for (index, op) in ops.iter().enumerate().filter(|(_, op)| op.fate == Fate::Ok) {
            let act = match op.act {
                Act::Add(0, Some(before)) => op::Act::Read(id(before.into())),
                Act::Add(added, Some(before)) => {
                    let before = i128::from(before);
                    op::Act::Cas(id(before), id(before + i128::from(added)))
                }
                Act::Add(_, None) => return None,
                Act::Read(number) => op::Act::Read(id(number.into())),
            };
            known.push(Op { act, fate: Fate::Ok, inv: op.inv, res: op.res, source: index });
        }
        Some((known, initial))
    }
}
