//! Any history of any object that has a sequential specification: decided by search over the operations that
//! are open at one moment.
//!
//! Just-in-time linearization (Lowe 2017): walk the events in order, and choose only when an operation returns
//! that has not taken effect yet; then some sequence of open operations that ends with it takes effect. A
//! configuration is the object's state, a **mask** of the open ok operations that took effect already, and
//! a **count**, for each class of info operations with the same effect, of those that did.
//!
//! What keeps the choices few, each of them exact:
//! - an open read takes effect the moment it can: it never changes anything;
//! - of open ok operations with the same effect only the one that returns first is tried, and an info operation
//!   of that effect only where no ok one is open. Proof: let a and b be open, with equal effects, a returning
//!   first (an info operation never returns). If b takes effect in a legal order and a later or never, let them
//!   change places: both were invoked before the first of the two moments, and b returns after a, so after the
//!   second; the effects are the same, so the order stays legal. (A count in place of the mask would be
//!   unsound: `w2[40,96] w1[48,51] w2[68,69] r1[74,80]` is invalid, and counts call it valid: which of the equal
//!   operations took effect decides which of them may still do so when the other returns);
//! - info operations of one effect differ in nothing once invoked, as none returns: there a count is enough;
//! - an info operation is tried only where something that is open may profit;
//! - an info operation that cannot be of use is dropped from the start.
//!
//! Info operations that wait for ever are many, and how many of them an order used would tell configurations
//! apart that are otherwise equal. So the search first takes the supply of each class, once there is one, for
//! endless ([`Supply`]): if even then no order is legal, none is. If one is found, it is counted over; if it
//! drew more of a class than were there, that class is counted in a second search, and so on. Objects whose states
//! would never end then, such as queues, have all counted at once.
//!
//! First depth first with a memo, which is fast where a legal order exists; where that wanders, breadth first
//! over the frontier of configurations, whose emptiness names the operation that cannot be explained. Both are
//! exact, and both stop at the budget.

mod frontier;
mod machine;
mod path;
mod plan;
pub(super) mod uses;

use rustc_hash::FxHashSet;

use super::object::Object;
use super::op::Op;
use crate::budget::{Budget, Exhausted};
use machine::{Class, Machine, State};
use path::{Pick, Trail};
use plan::{Cursor, Event, Plan};
use uses::{Used, Uses};

/// What the search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Search {
    /// A legal order exists.
    Valid,
    /// None does, up to the return of this operation, by its index.
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
    /// Slots of open ok operations that took effect.
    done: u128,
    state: State,
    /// How many info operations of each counted class took effect.
    used: Used,
}

/// Memory of a configuration in a set, roughly.
const CONFIG_BYTES: usize = 2 * (size_of::<Config>() + 16);

/// Steps without progress after which depth first gives up.
const PATIENCE: u64 = 200_000;

/// How many configurations are carried on at first, where depth first wandered: so many orders at once rarely all end.
const WIDTHS: [usize; 2] = [64, 1024];

/// Which classes of info operations are counted; the supply of the others is taken for endless.
#[derive(Debug, Clone)]
struct Supply {
    counted: Vec<bool>,
}

impl Supply {
    fn endless(plan: &Plan) -> Supply {
        let classes = plan.class.iter().max().map_or(0, |&class| class as usize + 1);
        Supply { counted: vec![false; classes] }
    }

    fn all(plan: &Plan) -> Supply {
        let mut supply = Supply::endless(plan);
        supply.counted.fill(true);
        supply
    }

    fn counts(&self, class: Class) -> bool {
        self.counted[class as usize]
    }
}

/// Decides whether a legal order exists that begins with one of the `initial` states.
pub fn decide<O: Object>(
    object: &O,
    ops: &[Op<O::Act>],
    initial: &[O::State],
    budget: &Budget,
) -> Search {
    decide_with_patience(object, ops, initial, budget, PATIENCE)
}

/// The same; the search goes on breadth first after `patience` steps without progress, so with 0 from the start.
pub fn decide_with_patience<O: Object>(
    object: &O,
    ops: &[Op<O::Act>],
    initial: &[O::State],
    budget: &Budget,
    patience: u64,
) -> Search {
    match Plan::new(object, ops) {
        Ok((plan, mut machine)) => {
            by_supply(&plan, &mut machine, initial, budget, patience, true).0
        }
        Err(op) => Search::TooMany(op),
    }
}

/// A legal order, by the operations' indices: all ok ones, and those info ones that it needs.
///
/// # Errors
/// What the search found instead.
pub fn order<O: Object>(
    object: &O,
    ops: &[Op<O::Act>],
    initial: &[O::State],
    budget: &Budget,
) -> Result<Vec<usize>, Search> {
    let (plan, mut machine) = Plan::new(object, ops).map_err(Search::TooMany)?;
    let (search, order) = by_supply(&plan, &mut machine, initial, budget, u64::MAX, false);
    order.ok_or(search)
}

/// Counts more and more classes of info operations, until the answer is exact. The order comes along where the
/// search was in depth, and it was wanted or had to be counted over.
fn by_supply<O: Object>(
    plan: &Plan,
    machine: &mut Machine<'_, O>,
    initial: &[O::State],
    budget: &Budget,
    patience: u64,
    may_widen: bool,
) -> (Search, Option<Vec<usize>>) {
    let mut supply = match machine.is_bounded() {
        true => Supply::endless(plan),
        false => Supply::all(plan),
    };
    let trailed = plan.has_pending || !may_widen;
    loop {
        let mut trail = Trail::new(trailed);
        let found = depth_first(plan, machine, &supply, initial, budget, patience, &mut trail);
        match found {
            Some((Search::Valid, end)) if trailed => {
                match path::replay(plan, machine, initial, &trail, end) {
                    Ok(order) => return (Search::Valid, Some(order)),
                    Err(class) if supply.counts(class) => return (Search::Valid, None),
                    Err(class) => supply.counted[class as usize] = true,
                }
            }
            Some((answer, _)) => return (answer, None),
            None if !may_widen => return (Search::Unknown(0, budget.out_of_memory()), None),
            None => {
                drop(trail);
                return (in_breadth(plan, machine, &supply, initial, budget), None);
            }
        }
    }
}

/// Breadth first: first along a few configurations only, whose survival is a legal order; then along all, with as few classes counted as `supply` says: what is impossible then is impossible.
fn in_breadth<O: Object>(
    plan: &Plan,
    machine: &mut Machine<'_, O>,
    supply: &Supply,
    initial: &[O::State],
    budget: &Budget,
) -> Search {
    for width in WIDTHS {
        let all = Supply::all(plan);
        match frontier::in_width(plan, machine, &all, initial, budget, width) {
            (Search::Invalid(_), true) => {}
            (answer, _) => return answer,
        }
    }
    let found = frontier::search(plan, machine, supply, initial, budget);
    if found == Search::Valid && plan.has_pending {
        let all = Supply::all(plan);
        return frontier::search(plan, machine, &all, initial, budget);
    }
    found
}

/// `None` where it wandered too long without progress or its memo took half the memory.
fn depth_first<O: Object>(
    plan: &Plan,
    machine: &mut Machine<'_, O>,
    supply: &Supply,
    initial: &[O::State],
    budget: &Budget,
    patience: u64,
    trail: &mut Trail,
) -> Option<(Search, u32)> {
    let mut cursor = Cursor::new(plan);
    let mut uses = Uses::default();
    let mut memo: FxHashSet<(usize, Config)> = FxHashSet::default();
    let mut stack: Vec<(usize, Config, u32)> = Vec::new();
    for (at, state) in initial.iter().enumerate().rev() {
        let state = machine.id(state);
        let config = Config { state, done: 0, used: Used::NONE };
        stack.push((0, config, trail.begin(at)));
    }
    let (mut deepest, mut steps, mut progress) = (0, 0_u64, 0_u64);
    let mut candidates = Vec::new();
    while let Some((from, config, node)) = stack.pop() {
        cursor.seek(from, machine);
        let mut config = forward(&mut cursor, machine, config);
        let at = cursor.at();
        // Nothing else is left to try, and nothing beyond was tried: what came before is over.
        if stack.is_empty() && at >= deepest && machine.is_full() {
            config.state = machine.keep_only(config.state);
            memo.clear();
        }
        if at == plan.events.len() {
            return Some((Search::Valid, node));
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
        if steps - progress >= patience {
            return None;
        }
        if machine.has_worked() || steps.is_multiple_of(1024) {
            let held = memo.len() * CONFIG_BYTES + uses.bytes() + machine.bytes() + trail.bytes();
            match budget.spend(held * 2) {
                Ok(()) => {}
                Err(Exhausted::Memory(_)) => return None,
                Err(time) => return Some((Search::Unknown(plan.op_at(deepest), time), node)),
            }
        }
        if memo.insert((at, config)) {
            candidates.clear();
            successors(&cursor, machine, supply, config, &mut uses, &mut candidates);
            for &(pick, choice, next) in candidates.iter().rev() {
                stack.push((at, next, trail.add(node, pick, choice)));
            }
        }
    }
    Some((Search::Invalid(plan.op_at(deepest)), 0))
}

/// Walks on until an operation returns that has not taken effect, or to the end.
fn forward<O: Object>(
    cursor: &mut Cursor<'_>,
    machine: &mut Machine<'_, O>,
    mut config: Config,
) -> Config {
    while let Some(event) = cursor.event() {
        match event {
            Event::Open { op, slot } => opened(cursor.plan, machine, op, slot, &mut config),
            Event::Pending { .. } => {}
            Event::Close { slot, .. } => {
                if config.done & (1 << slot) == 0 {
                    break;
                }
                config.done &= !(1 << slot);
            }
        }
        cursor.step(machine);
    }
    config
}

/// A read that can take effect as it is invoked does.
fn opened<O: Object>(
    plan: &Plan,
    machine: &mut Machine<'_, O>,
    op: u32,
    slot: u32,
    config: &mut Config,
) {
    let class = plan.class[op as usize];
    if machine.is_read(class) && machine.can(config.state, class) {
        config.done |= 1 << slot;
    }
}

/// Every configuration that is one effect further, best first: the operation that must return now, the other
/// ok operations, the info operations. Each with what takes effect, and which of its states that leaves behind.
fn successors<O: Object>(
    cursor: &Cursor<'_>,
    machine: &mut Machine<'_, O>,
    supply: &Supply,
    config: Config,
    uses: &mut Uses,
    out: &mut Vec<(Pick, u32, Config)>,
) {
    let Some(Event::Close { slot: due, .. }) = cursor.event() else { return };
    let mut due_at = 0..0;
    for &(class, mask) in &cursor.updates {
        let left = mask & !config.done;
        if left == 0 {
            continue;
        }
        let slot = first_to_return(cursor, left);
        let begin = out.len();
        for at in 0..machine.step(config.state, class).len() {
            let state = machine.step(config.state, class)[at];
            let done = config.done | (1 << slot);
            let next = settled(cursor, machine, Config { state, done, ..config });
            out.push((Pick::Op(cursor.open[slot as usize]), at as u32, next));
        }
        if slot == due {
            due_at = begin..out.len();
        }
    }
    out[..due_at.end].rotate_right(due_at.len());
    for &class in &cursor.pending {
        let is_counted = supply.counts(class);
        if is_counted && cursor.available[class as usize] <= uses.count(config.used, class) {
            continue;
        }
        let open = |&(other, mask): &(Class, u128)| other == class && mask & !config.done != 0;
        if cursor.updates.iter().any(open) {
            continue;
        }
        for at in 0..machine.step(config.state, class).len() {
            let state = machine.step(config.state, class)[at];
            if state != config.state && is_wanted(cursor, machine, state, config.done) {
                let used = if is_counted { uses.one_more(config.used, class) } else { config.used };
                let next = settled(cursor, machine, Config { state, used, ..config });
                out.push((Pick::Class(class), at as u32, next));
            }
        }
    }
}

/// Whether anything that is open or pending may profit from `state`.
fn is_wanted<O: Object>(
    cursor: &Cursor<'_>,
    machine: &Machine<'_, O>,
    state: State,
    done: u128,
) -> bool {
    let wants = |&(class, mask): &(Class, u128)| mask & !done != 0 && machine.prompts(state, class);
    cursor.reads.iter().any(wants)
        || cursor.updates.iter().any(wants)
        || cursor.pending.iter().any(|&class| machine.prompts(state, class))
}

fn first_to_return(cursor: &Cursor<'_>, slots: u128) -> u32 {
    let mut left = slots & (slots - 1);
    let mut best = slots.trailing_zeros();
    let res = |slot: u32| cursor.plan.res[cursor.open[slot as usize] as usize];
    while left != 0 {
        let slot = left.trailing_zeros();
        left &= left - 1;
        if res(slot) < res(best) {
            best = slot;
        }
    }
    best
}

/// Lets every open read that can take effect do so.
fn settled<O: Object>(
    cursor: &Cursor<'_>,
    machine: &mut Machine<'_, O>,
    mut config: Config,
) -> Config {
    for &(class, mask) in &cursor.reads {
        if mask & !config.done != 0 && machine.can(config.state, class) {
            config.done |= mask;
        }
    }
    config
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use breakit::rng::generator;

    use super::*;
    use crate::linear::drawn;
    use crate::linear::register::Register;
    use crate::values::Id;

    #[test]
    fn however_few_are_carried_on_what_is_found_is_so() {
        let mut rng = generator(5, "width");
        let budget = Budget::start(Duration::from_secs(300), 1 << 30);
        let register = Register::default();
        let mut told = [0; 3];
        for _ in 0..4_000 {
            let ops = drawn::register(&mut rng, 4..11, 4);
            let is_valid = decide(&register, &ops, &[Id(0)], &budget) == Search::Valid;
            for width in [1, 2, 8] {
                let Ok((plan, mut machine)) = Plan::new(&register, &ops) else { continue };
                let all = Supply::all(&plan);
                let (found, is_narrowed) =
                    frontier::in_width(&plan, &mut machine, &all, &[Id(0)], &budget, width);
                let is_order = found == Search::Valid;
                assert!(is_valid || !is_order, "{width}: {ops:?}");
                assert!(is_order || is_narrowed || !is_valid, "{width}: {ops:?}");
                told[0] += u32::from(is_order && is_narrowed);
                told[1] += u32::from(!is_order && is_narrowed && is_valid);
                told[2] += u32::from(!is_order && !is_narrowed);
            }
        }
        assert!(told.iter().all(|&count| count > 20), "{told:?}");
    }
}
