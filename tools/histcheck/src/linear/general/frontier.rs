//! Breadth first: all configurations at one moment, carried from event to event.

use std::collections::VecDeque;

use rustc_hash::{FxHashMap, FxHashSet};

use super::machine::{Machine, State};
use super::plan::{Cursor, Event, Plan};
use super::uses::{Used, Uses};
use super::{CONFIG_BYTES, Config, Search, Supply, opened, settled, successors};
use crate::budget::{Budget, Exhausted};
use crate::linear::object::Object;

/// How many steps are taken at one return for each configuration that may be carried on.
const STEPS_EACH: usize = 4;

/// Searches along all configurations.
pub(super) fn search<O: Object>(
    plan: &Plan,
    machine: &mut Machine<'_, O>,
    supply: &Supply,
    initial: &[O::State],
    budget: &Budget,
) -> Search {
    in_width(plan, machine, supply, initial, budget, usize::MAX).0
}

/// The same, where no more than about `width` configurations are carried on: those in which the fewest
/// operations took effect before they had to. Also says whether any was left behind: then only `Valid` is an
/// answer.
pub(super) fn in_width<O: Object>(
    plan: &Plan,
    machine: &mut Machine<'_, O>,
    supply: &Supply,
    initial: &[O::State],
    budget: &Budget,
    width: usize,
) -> (Search, bool) {
    let mut is_narrowed = false;
    let mut cursor = Cursor::new(plan);
    let mut uses = Uses::default();
    let start = |state| Config { state: machine.id(state), done: 0, used: Used::NONE };
    let mut frontier: Vec<Config> = initial.iter().map(start).collect();
    while let Some(event) = cursor.event() {
        match event {
            Event::Open { op, slot } => {
                for config in &mut frontier {
                    opened(plan, machine, op, slot, config);
                }
            }
            Event::Pending { .. } => {}
            Event::Close { op, slot } => {
                let step = Step { cursor: &cursor, supply, slot, budget, width };
                let (next, narrowed) = match step.close(machine, &frontier, &mut uses) {
                    Ok(next) => next,
                    Err(limit) => return (Search::Unknown(op as usize, limit), is_narrowed),
                };
                is_narrowed |= narrowed;
                frontier = next;
                if frontier.is_empty() {
                    return (Search::Invalid(op as usize), is_narrowed);
                }
                // One way is left, and what came before is over.
                if let [only] = frontier.as_mut_slice()
                    && machine.is_full()
                {
                    only.state = machine.keep_only(only.state);
                }
            }
        }
        cursor.step(machine);
    }
    let found = if frontier.is_empty() { Search::Invalid(plan.op_at(0)) } else { Search::Valid };
    (found, is_narrowed)
}

/// The return of the operation in `slot`.
struct Step<'s> {
    cursor: &'s Cursor<'s>,
    supply: &'s Supply,
    slot: u32,
    budget: &'s Budget,
    width: usize,
}

impl Step<'_> {
    /// All configurations in which the operation took effect, without it; whether some were left behind. Those
    /// that took the fewest effects come first.
    fn close<O: Object>(
        &self,
        machine: &mut Machine<'_, O>,
        frontier: &[Config],
        uses: &mut Uses,
    ) -> Result<(Vec<Config>, bool), Exhausted> {
        let due = 1 << self.slot;
        let mut next = Pareto::default();
        let mut seen: FxHashSet<Config> = FxHashSet::default();
        let settle = |&config: &Config| settled(self.cursor, machine, config);
        let mut work: VecDeque<Config> = frontier.iter().map(settle).collect();
        let mut out = Vec::new();
        let (mut steps, mut is_narrowed) = (0_u32, false);
        while let Some(config) = work.pop_front() {
            if config.done & due != 0 {
                next.add(Config { done: config.done & !due, ..config }, uses);
                if next.len >= self.width {
                    is_narrowed = true;
                    break;
                }
                continue;
            }
            // Where few configurations are to be had, many ways to use info operations lead to them.
            if next.len > 0 && seen.len() / STEPS_EACH > self.width {
                is_narrowed = true;
                break;
            }
            if !seen.insert(config) {
                continue;
            }
            out.clear();
            successors(self.cursor, machine, self.supply, config, uses, &mut out);
            work.extend(out.iter().map(|&(_, _, config)| config));
            steps += 1;
            if machine.has_worked() || steps.is_multiple_of(256) {
                let held = seen.len() + next.len + work.len() + frontier.len();
                self.budget.spend(held * CONFIG_BYTES + uses.bytes() + machine.bytes())?;
            }
        }
        let held = (next.len + frontier.len()) * CONFIG_BYTES;
        self.budget.spend(held + uses.bytes() + machine.bytes())?;
        let mut configs = next.into_configs();
        if self.width < usize::MAX {
            configs.sort_by_key(|config| config.done.count_ones());
        }
        Ok((configs, is_narrowed))
    }
}

/// Configurations without those that another dominates: equal, but with fewer info operations used.
#[derive(Default)]
struct Pareto {
    by: FxHashMap<(State, u128), Vec<Used>>,
    /// In the order of arrival, so that the search does not depend on hashes.
    order: Vec<(State, u128)>,
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
