//! Breadth first: all configurations at one moment, carried from event to event.

use std::collections::{HashMap, HashSet};

use super::plan::{Cursor, Event, Plan};
use super::uses::{Used, Uses};
use super::{CONFIG_BYTES, Config, Search, settled, successors};
use crate::budget::{Budget, Exhausted};
use crate::history::Pos;
use crate::linear::op::Act;
use crate::values::Id;

/// A moment after the return of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// The place of the return.
    pub pos: Pos,
    /// What the register may hold then, in orders in which nothing took effect before it had to.
    pub states: Vec<Id>,
}

/// Searches; tells each moment.
pub(super) fn search(
    plan: &Plan<'_>,
    initial: &[Id],
    budget: &Budget,
    moment: &mut dyn FnMut(Moment),
) -> Search {
    let mut cursor = Cursor::new(plan);
    let mut uses = Uses::default();
    let start = |&state: &Id| Config { state, done: 0, used: Used::NONE };
    let mut frontier: Vec<Config> = initial.iter().map(start).collect();
    while let Some(event) = cursor.event() {
        match event {
            Event::Open { op, slot } => {
                for config in &mut frontier {
                    if plan.act(op) == Act::Read(config.state) {
                        config.done |= 1 << slot;
                    }
                }
            }
            Event::Pending { .. } => {}
            Event::Close { op, slot } => {
                frontier = match close(&cursor, slot, &frontier, &mut uses, budget) {
                    Ok(next) if next.is_empty() => return Search::Invalid(op),
                    Ok(next) => next,
                    Err(limit) => return Search::Unknown(op, limit),
                };
                moment(Moment { pos: plan.ops[op].res, states: states(&frontier) });
            }
        }
        cursor.step();
    }
    if frontier.is_empty() { Search::Invalid(plan.op_at(0)) } else { Search::Valid }
}

fn states(frontier: &[Config]) -> Vec<Id> {
    let mut states: Vec<Id> = frontier.iter().map(|config| config.state).collect();
    states.sort_unstable();
    states.dedup();
    states
}

/// All configurations in which the operation in `slot` took effect, without it.
fn close(
    cursor: &Cursor<'_>,
    slot: usize,
    frontier: &[Config],
    uses: &mut Uses,
    budget: &Budget,
) -> Result<Vec<Config>, Exhausted> {
    let mut next = Pareto::default();
    let mut seen: HashSet<Config> = HashSet::new();
    let mut work: Vec<Config> = Vec::new();
    let mut out = Vec::new();
    let mut steps = 0_u32;
    for &config in frontier {
        work.push(settled(cursor, config));
        while let Some(config) = work.pop() {
            if config.done & (1 << slot) != 0 {
                next.add(Config { done: config.done & !(1 << slot), ..config }, uses);
                continue;
            }
            if !seen.insert(config) {
                continue;
            }
            out.clear();
            successors(cursor, config, uses, &mut out);
            work.extend_from_slice(&out);
            steps += 1;
            if steps.is_multiple_of(256) {
                let held = seen.len() + next.len + work.len() + frontier.len();
                budget.spend(held * CONFIG_BYTES + uses.bytes())?;
            }
        }
    }
    budget.spend((next.len + frontier.len()) * CONFIG_BYTES + uses.bytes())?;
    Ok(next.into_configs())
}

/// Configurations without those that another dominates: equal, but with fewer info operations used.
#[derive(Default)]
struct Pareto {
    by: HashMap<(Id, u128), Vec<Used>>,
    /// In the order of arrival, so that the search does not depend on hashes.
    order: Vec<(Id, u128)>,
    len: usize,
}

impl Pareto {
    fn add(&mut self, config: Config, uses: &Uses) {
        let kept = self.by.entry((config.state, config.done)).or_insert_with(|| {
            self.order.push((config.state, config.done));
            Vec::new()
        });
        if kept.iter().any(|&other| uses.within(other, config.used)) {
            return;
        }
        let before = kept.len();
        kept.retain(|&other| !uses.within(config.used, other));
        self.len = self.len + 1 - (before - kept.len());
        kept.push(config.used);
    }

    fn into_configs(self) -> Vec<Config> {
        let Pareto { by, order, .. } = self;
        let configs = order.iter().flat_map(|key @ &(state, done)| {
            by[key].iter().map(move |&used| Config { state, done, used })
        });
        configs.collect()
    }
}
