//! Any history of a register, values written as often as you like: decided by search over the operations that
//! are open at one moment.
//!
//! Just-in-time linearization (Lowe 2017): walk the events in order, and choose only when an operation returns
//! that has not taken effect yet; then some sequence of open operations that ends with it takes effect. A
//! configuration is the register's value, a **mask** of the open ok operations that took effect already, and
//! a **count**, for each class of info operations with the same effect, of those that did.
//!
//! What keeps the choices few, each of them exact:
//! - an open read takes effect the moment the register holds its value: it never changes anything;
//! - of open ok operations with the same effect only the one that returns first is tried, and an info operation
//!   of that effect only where no ok one is open (a count in place of the mask would be unsound:
//!   `w2[40,96] w1[48,51] w2[68,69] r1[74,80]` is invalid, and counts call it valid);
//! - an info operation is tried only where something that is open would observe its value: unobserved, it may
//!   as well not have happened;
//! - an info operation whose value nothing ever observes is dropped from the start.
//!
//! First depth first with a memo, which is fast where a legal order exists; where that wanders, breadth first
//! over the frontier of configurations, whose emptiness names the operation that cannot be explained. Both are
//! exact, and both stop at the budget.

mod frontier;
mod plan;
mod uses;

use std::collections::HashSet;

use super::op::{Act, Op};
use crate::budget::{Budget, Exhausted};
use crate::values::Id;
pub use frontier::Moment;
use plan::{Cursor, Event, Plan};
use uses::{Used, Uses};

/// What the search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Search {
    /// A legal order exists.
    Valid,
    /// None does: up to the return of this operation, by its index, and not before.
    Invalid(usize),
    /// The budget ran out at this operation.
    Unknown(usize, Exhausted),
    /// More operations are open at once than the mask holds; at this one.
    TooMany(usize),
}

/// The most ok operations that may be open at once.
pub const MOST_OPEN: usize = 128;

/// What is known at one moment of a possible order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Config {
    state: Id,
    /// Slots of open ok operations that took effect.
    done: u128,
    /// How many info operations of each class took effect.
    used: Used,
}

/// Memory of a configuration in a set, roughly.
const CONFIG_BYTES: usize = 2 * (size_of::<Config>() + 16);

/// Steps without progress after which depth first gives up.
const PATIENCE: u64 = 200_000;

/// Decides whether a legal order exists that begins with one of the `initial` values.
pub fn decide(ops: &[Op], initial: &[Id], budget: &Budget) -> Search {
    let plan = match Plan::new(ops) {
        Ok(plan) => plan,
        Err(op) => return Search::TooMany(op),
    };
    match depth_first(&plan, initial, budget) {
        Some(answer) => answer,
        None => frontier::search(&plan, initial, budget, &mut |_| {}),
    }
}

/// Decides breadth first alone, and tells what the register may hold after each return.
pub fn decide_in_breadth(
    ops: &[Op],
    initial: &[Id],
    budget: &Budget,
    moment: &mut dyn FnMut(Moment),
) -> Search {
    match Plan::new(ops) {
        Ok(plan) => frontier::search(&plan, initial, budget, moment),
        Err(op) => Search::TooMany(op),
    }
}

/// `None` where it wandered too long without progress or its memo took half the memory.
fn depth_first(plan: &Plan, initial: &[Id], budget: &Budget) -> Option<Search> {
    let mut cursor = Cursor::new(plan);
    let mut uses = Uses::default();
    let mut memo: HashSet<(usize, Config)> = HashSet::new();
    let start = |&state: &Id| (0, Config { state, done: 0, used: Used::NONE });
    let mut stack: Vec<(usize, Config)> = initial.iter().rev().map(start).collect();
    let (mut deepest, mut steps, mut progress) = (0, 0_u64, 0_u64);
    let mut candidates = Vec::new();
    while let Some((from, config)) = stack.pop() {
        cursor.seek(from);
        let config = forward(&mut cursor, config);
        let at = cursor.at();
        if at == plan.events.len() {
            return Some(Search::Valid);
        }
        steps += 1;
        if at > deepest {
            deepest = at;
            progress = steps;
            // What lies behind the deepest point is rarely asked for again; forgetting it costs time only.
            if memo.len() > 1 << 17 {
                memo.clear();
            }
        }
        if steps - progress > PATIENCE {
            return None;
        }
        if steps.is_multiple_of(1024) {
            let bytes = memo.len() * CONFIG_BYTES + uses.bytes();
            match budget.spend(bytes * 2) {
                Ok(()) => {}
                Err(Exhausted::Memory(_)) => return None,
                Err(time) => return Some(Search::Unknown(plan.op_at(deepest), time)),
            }
        }
        if memo.insert((at, config)) {
            candidates.clear();
            successors(&cursor, config, &mut uses, &mut candidates);
            stack.extend(candidates.iter().rev().map(|&next| (at, next)));
        }
    }
    Some(Search::Invalid(plan.op_at(deepest)))
}

/// Walks on until an operation returns that has not taken effect, or to the end.
fn forward(cursor: &mut Cursor<'_>, mut config: Config) -> Config {
    while let Some(event) = cursor.event() {
        match event {
            Event::Open { op, slot } => {
                if cursor.plan.act(op) == Act::Read(config.state) {
                    config.done |= 1 << slot;
                }
            }
            Event::Pending { .. } => {}
            Event::Close { slot, .. } => {
                if config.done & (1 << slot) == 0 {
                    break;
                }
                config.done &= !(1 << slot);
            }
        }
        cursor.step();
    }
    config
}

/// Every configuration that is one effect further, best first: the operation that must return now, the other
/// ok operations, the info operations.
fn successors(cursor: &Cursor<'_>, config: Config, uses: &mut Uses, out: &mut Vec<Config>) {
    let plan = cursor.plan;
    let due = match cursor.event() {
        Some(Event::Close { slot, .. }) => slot,
        _ => return,
    };
    let open = |slot: usize| cursor.open[slot].filter(|_| config.done & (1 << slot) == 0);
    let mut tried: Vec<(Act, usize)> = Vec::new();
    for slot in std::iter::once(due).chain((0..cursor.open.len()).filter(|&s| s != due)) {
        let Some(op) = open(slot) else { continue };
        let act = plan.act(op);
        if act.step(config.state).is_none() || matches!(act, Act::Read(_)) {
            continue;
        }
        match tried.iter_mut().find(|(other, _)| *other == act) {
            // Of equals the one that returns first goes first; `due` returns before all.
            Some((_, best)) => {
                let at = |slot: usize| open(slot).map(|op| plan.ops[op].res);
                if at(slot) < at(*best) {
                    *best = slot;
                }
            }
            None => tried.push((act, slot)),
        }
    }
    for &(act, slot) in &tried {
        if let Some(state) = act.step(config.state) {
            let done = config.done | (1 << slot);
            out.push(settled(cursor, Config { state, done, used: config.used }));
        }
    }
    for &class in &cursor.pending {
        let act = plan.classes[class as usize];
        let left = cursor.available[class as usize] > uses.count(config.used, class);
        if !left || tried.iter().any(|(other, _)| *other == act) {
            continue;
        }
        let Some(state) = act.step(config.state) else { continue };
        let wanted = |op: usize| plan.act(op).observes() == Some(state);
        let by_open = (0..cursor.open.len()).filter_map(open).any(wanted);
        let by_pending =
            || cursor.pending.iter().any(|&c| plan.classes[c as usize].observes() == Some(state));
        if state != config.state && (by_open || by_pending()) {
            let used = uses.one_more(config.used, class);
            out.push(settled(cursor, Config { state, used, ..config }));
        }
    }
}

/// Lets every open read of the present value take effect.
fn settled(cursor: &Cursor<'_>, mut config: Config) -> Config {
    for (slot, op) in cursor.open.iter().enumerate() {
        if op.is_some_and(|op| cursor.plan.act(op) == Act::Read(config.state)) {
            config.done |= 1 << slot;
        }
    }
    config
}
