//! A legal order from the search over blocks, by two more walks: one that keeps, for each configuration, the one that it
//! came from; and one along the configurations of the way that was found, which puts the effects between each two of
//! them in order. The search that only decides keeps nothing of this.
//!
//! Between two configurations of the way lies one return, and what took effect there is what the second has done and
//! the first had not. These operations were all open then, so that any order of them is one in time; what is left is
//! that the register allows it, either as a block right before the last write or from what the register holds on.
//! They are few, and are searched.
//!
//! Ways soon have one beginning in common; from time to time it is set apart, and all that leads nowhere is forgotten.

use rustc_hash::FxHashSet;

use super::config::{Config, Frontier};
use super::general::Search;
use super::pending::{Count, Supply};
use super::state::{Board, Deed, Slots, Value, each};
use super::transitions::Return;
use super::{Blocks, WIDE, WIDTHS, Walk};
use crate::budget::{Budget, Exhausted};
use crate::history::Pos;
use crate::linear::op::Op;
use crate::values::Id;

/// What a walk writes down.
pub(super) enum Notes {
    /// Nothing: it decides.
    Nothing,
    /// Whence each configuration came.
    Trail(Trail),
    /// The operations in the order of their effects.
    Order(Order),
}

/// A configuration right after the return at `pos`, and the one that it came from.
#[derive(Debug, Clone, Copy)]
struct Node {
    config: Config,
    pos: Pos,
    before: u32,
}

/// In place of a node: the end of the common way.
const COMMON: u32 = u32::MAX;

/// So many nodes are kept before what leads nowhere is looked for.
const MANY: usize = 1 << 16;

/// All ways to the configurations of the frontier.
#[derive(Default)]
pub(super) struct Trail {
    /// The way that all have in common, from the beginning.
    common: Vec<Node>,
    nodes: Vec<Node>,
    /// The node of each configuration.
    at: Vec<u32>,
    /// With how many nodes to look for what leads nowhere.
    many: usize,
}

/// A legal order of all ok operations and the info operations that they need, by their indices, where the register
/// holds `initial` at first.
///
/// # Errors
/// What the search found instead; that none is legal only says that it followed too few ways.
pub fn order(ops: &[Op], initial: Id, budget: &Budget) -> Result<Vec<usize>, Search> {
    let blocks = Blocks::new(ops, &[initial], budget);
    let widths: &[usize] = if blocks.has_info { &WIDTHS } else { &[WIDE, usize::MAX] };
    let mut found = Search::Invalid(0);
    for &width in widths {
        let trail = Notes::Trail(Trail { at: vec![COMMON], many: MANY, ..Trail::default() });
        let mut walk = Walk { notes: trail, defers: false, ..blocks.walk(Count::Exact, width) };
        found = walk.through();
        match found {
            Search::Valid => return along(&blocks, walk),
            Search::Invalid(_) => {}
            Search::Unknown(..) | Search::TooMany(_) => break,
        }
    }
    Err(found)
}

/// The order along the way that a walk found.
fn along(blocks: &Blocks<'_>, found: Walk<'_>) -> Result<Vec<usize>, Search> {
    let Notes::Trail(trail) = found.notes else { return Err(Search::Valid) };
    let order = Order { way: trail.into_way(), ..Order::default() };
    let walk = blocks.walk(Count::Exact, usize::MAX);
    let mut walk = Walk { notes: Notes::Order(order), uses: found.uses, defers: false, ..walk };
    match (walk.through(), walk.notes) {
        (Search::Valid, Notes::Order(order)) => Ok(order.placed()),
        (found, _) => Err(found),
    }
}

impl Trail {
    /// The way to the first configuration of the frontier.
    fn into_way(mut self) -> Vec<Node> {
        let mut way = Vec::new();
        let mut at = self.at.first().copied().unwrap_or(COMMON);
        while at != COMMON {
            let node = self.nodes[at as usize];
            way.push(node);
            at = node.before;
        }
        self.common.extend(way.into_iter().rev());
        self.common
    }

    fn bytes(&self) -> usize {
        (self.nodes.len() + self.common.len()) * size_of::<Node>()
    }

    /// The frontier is `next` now, each of them with the one of the last frontier that it came from.
    fn goes_on(&mut self, next: &[(Config, usize)], pos: Pos) {
        let before = std::mem::take(&mut self.at);
        for &(config, from) in next {
            self.at.push(self.nodes.len() as u32);
            self.nodes.push(Node { config, pos, before: before[from] });
        }
        if self.nodes.len() > self.many {
            self.forget();
        }
    }

    /// Forgets what leads nowhere, and sets apart what all ways have in common.
    fn forget(&mut self) {
        let mut is_on_way = vec![false; self.nodes.len()];
        self.at.iter().filter(|&&at| at != COMMON).for_each(|&at| is_on_way[at as usize] = true);
        // For each node the one that follows, where only one does.
        let mut next = vec![Next::None; self.nodes.len()];
        let mut first = Next::None;
        for at in (0..self.nodes.len()).rev() {
            if !is_on_way[at] {
                continue;
            }
            match self.nodes[at].before {
                COMMON => first.add(at),
                before => {
                    is_on_way[before as usize] = true;
                    next[before as usize].add(at);
                }
            }
        }
        let mut last = COMMON;
        while let Next::One(at) = first {
            self.common.push(self.nodes[at]);
            is_on_way[at] = false;
            last = at as u32;
            first = next[at];
        }
        let mut place = vec![COMMON; self.nodes.len()];
        let mut left = Vec::new();
        for at in (0..self.nodes.len()).filter(|&at| is_on_way[at]) {
            let node = self.nodes[at];
            let is_first = node.before == COMMON || node.before == last;
            let before = if is_first { COMMON } else { place[node.before as usize] };
            place[at] = left.len() as u32;
            left.push(Node { before, ..node });
        }
        for at in self.at.iter_mut().filter(|at| **at != COMMON) {
            *at = place[*at as usize];
        }
        self.nodes = left;
        self.many = MANY.max(2 * self.nodes.len());
    }
}

/// What follows a node on the ways.
#[derive(Clone, Copy)]
enum Next {
    None,
    One(usize),
    Several,
}

impl Next {
    fn add(&mut self, at: usize) {
        *self = match self {
            Next::None => Next::One(at),
            _ => Next::Several,
        };
    }
}

impl Walk<'_> {
    /// The return of the operation in the slot `due`, with the way there written down.
    pub(super) fn return_on_trail(&mut self, due: u32, now: Pos) -> Result<(), Exhausted> {
        let Notes::Trail(trail) = &mut self.notes else { return Ok(()) };
        let board = &self.board;
        let mut step = Return {
            takes_info: false,
            board,
            supply: &self.supply,
            uses: &mut self.uses,
            due,
            now,
            has_info: self.blocks.has_info,
            defers: self.defers,
            most: self.width.saturating_mul(4),
            is_narrowed: false,
            budget: self.blocks.budget,
            next: Frontier::default(),
            ways: &mut self.ways,
        };
        step.find_leads();
        let mut next: Vec<(Config, usize)> = Vec::new();
        for takes_info in [false, true] {
            step.takes_info = takes_info;
            for (from, &config) in self.frontier.configs.iter().enumerate() {
                step.from(config)?;
                for found in step.next.configs.drain(..) {
                    if !next.iter().any(|(known, _)| known.dominates(&found, board)) {
                        next.retain(|(known, _)| !found.dominates(known, board));
                        next.push((found, from));
                    }
                }
                if from % 64 == 63 {
                    self.blocks.budget.spend(trail.bytes() + next.len() * size_of::<Config>())?;
                }
            }
            if !next.is_empty() || !self.blocks.has_info {
                break;
            }
        }
        if next.len() > self.width {
            next.sort_by_key(|(config, _)| (config.cost, config.settled().count_ones()));
            next.truncate(self.width);
        }
        let held = trail.bytes() + 2 * next.len() * size_of::<Config>();
        self.blocks.budget.spend(held + step.uses.bytes() + board.bytes())?;
        trail.goes_on(&next, now);
        self.frontier.configs.clear();
        self.frontier.configs.extend(next.iter().map(|&(config, _)| config));
        self.board.close(due);
        Ok(())
    }

    /// Writes down that an operation has a slot, and whether it took effect at once.
    pub(super) fn note_invoked(&mut self, slot: u32, at: usize) {
        let Notes::Order(order) = &mut self.notes else { return };
        order.ops.resize(order.ops.len().max(slot as usize + 1), 0);
        order.ops[slot as usize] = at as u32;
        let is_done = |config: &Config| config.done & (1 << slot) != 0;
        if self.frontier.configs.first().is_some_and(is_done) {
            order.since.push(at as u32);
        }
    }

    /// The return of the operation in the slot `due`, along the way. The frontier is the one configuration of the way.
    pub(super) fn return_in_order(&mut self, due: u32, now: Pos) -> Result<(), Exhausted> {
        let Notes::Order(order) = &mut self.notes else { return Ok(()) };
        let Some(config) = self.frontier.configs.first_mut() else { return Ok(()) };
        let next = order.way.get(order.done).filter(|node| node.pos == now).copied();
        order.done += usize::from(next.is_some());
        let bit = 1 << due;
        let after = next.map_or(Config { done: config.done & !bit, ..*config }, |node| node.config);
        let between = Between { board: &self.board, supply: &self.supply, due };
        let infos = self.uses.more(config.used, after.used);
        let is_placed = config.done & bit != 0
            || order.place(&between, (*config, after), infos, self.blocks)?;
        *config = after;
        if !is_placed {
            self.frontier.configs.clear();
        }
        self.board.close(due);
        Ok(())
    }
}

/// The operations in the order of their effects, so far.
#[derive(Default)]
pub(super) struct Order {
    way: Vec<Node>,
    /// How much of the way lies behind.
    done: usize,
    /// The operation in each slot.
    ops: Vec<u32>,
    /// How many info operations of each kind took effect.
    used: Vec<u32>,
    before: Vec<u32>,
    /// From the last write on: what comes right before that comes between the two.
    since: Vec<u32>,
}

impl Order {
    fn placed(mut self) -> Vec<usize> {
        self.before.append(&mut self.since);
        self.before.into_iter().map(|at| at as usize).collect()
    }
}

/// An effect: of the operation in a slot, or of an info operation of a kind.
#[derive(Debug, Clone, Copy)]
enum Effect {
    Slot(u32),
    Info(u32),
}

/// Effects that are not placed yet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Left {
    slots: Slots,
    /// Info operations, by their kinds.
    infos: Vec<u32>,
}

impl Order {
    /// Places what took effect between two configurations, with these info operations among it; says whether an order of
    /// it was found.
    fn place(
        &mut self,
        between: &Between<'_>,
        (from, to): (Config, Config),
        infos: Vec<u32>,
        blocks: &Blocks<'_>,
    ) -> Result<bool, Exhausted> {
        let left = Left { slots: (to.done | 1 << between.due) & !from.done, infos };
        let mut search = Sequence::new(between, blocks.budget);
        // After another write, which may have put the same value, more would be covered, or later info operations.
        let stays = (from.state, from.since) == (to.state, to.since)
            && (left.slots | to.covered) & !from.covered == 0;
        if stays && self.were_there(&left.infos, from.since, between) && search.begins(&left)? {
            for effect in search.effects {
                let op = self.op(effect, between, blocks);
                self.before.push(op);
            }
            return Ok(true);
        }
        let mut search = Sequence { goal: Some(to.state), ..Sequence::new(between, blocks.budget) };
        if !search.goes_on(from.state, left, false)? {
            return Ok(false);
        }
        let mut has_due = false;
        for effect in search.effects {
            let op = self.op(effect, between, blocks);
            has_due |= matches!(effect, Effect::Slot(slot) if slot == between.due);
            if matches!(between.deed(effect), Deed::Write(_)) {
                self.before.append(&mut self.since);
            }
            self.since.push(op);
        }
        if !has_due {
            // A write of which nobody saw anything, right before the last one.
            self.before.push(self.ops[between.due as usize]);
        }
        Ok(true)
    }

    /// Whether info operations of these kinds, in their order, each the next of its kind, were invoked before `pos`.
    fn were_there(&self, kinds: &[u32], pos: Pos, between: &Between<'_>) -> bool {
        let used = |kind: u32| self.used.get(kind as usize).copied().unwrap_or(0);
        kinds.chunk_by(|a, b| a == b).all(|same| {
            let last = used(same[0]) + same.len() as u32 - 1;
            between.supply.has(same[0], last, pos)
        })
    }

    /// The operation that takes effect.
    fn op(&mut self, effect: Effect, between: &Between<'_>, blocks: &Blocks<'_>) -> u32 {
        match effect {
            Effect::Slot(slot) => self.ops[slot as usize],
            Effect::Info(kind) => {
                self.used.resize(self.used.len().max(kind as usize + 1), 0);
                let nth = self.used[kind as usize];
                self.used[kind as usize] += 1;
                blocks.invoked_at(between.supply.kinds[kind as usize].invoked[nth as usize])
            }
        }
    }
}

/// The return at which something took effect.
struct Between<'b> {
    board: &'b Board,
    supply: &'b Supply,
    due: u32,
}

impl Between<'_> {
    fn deed(&self, effect: Effect) -> Deed {
        match effect {
            Effect::Slot(slot) => self.board.deed(slot),
            Effect::Info(kind) => self.supply.kinds[kind as usize].deed,
        }
    }
}

/// A search for an order of effects.
struct Sequence<'s> {
    between: &'s Between<'s>,
    budget: &'s Budget,
    /// What cannot be placed after this value.
    failed: FxHashSet<(Value, Left)>,
    steps: u32,
    /// What the register must hold in the end, where somebody sees it; then a write may come in between.
    goal: Option<Value>,
    effects: Vec<Effect>,
}

impl<'s> Sequence<'s> {
    fn new(between: &'s Between<'s>, budget: &'s Budget) -> Sequence<'s> {
        let failed = FxHashSet::default();
        Sequence { between, budget, failed, steps: 0, goal: None, effects: Vec::new() }
    }

    /// All that is left as a block: a write, and what follows it.
    fn begins(&mut self, left: &Left) -> Result<bool, Exhausted> {
        for (effect, less) in self.choices(left) {
            if let Deed::Write(value) = self.between.deed(effect) {
                self.effects.push(effect);
                if self.goes_on(value, less, true)? {
                    return Ok(true);
                }
                self.effects.clear();
            }
        }
        Ok(false)
    }

    /// All that is left, after the register holds `value`.
    fn goes_on(
        &mut self,
        value: Value,
        mut left: Left,
        has_written: bool,
    ) -> Result<bool, Exhausted> {
        self.steps += 1;
        if self.steps.is_multiple_of(256) {
            self.budget.spend(self.failed.len() * size_of::<(Value, Left)>())?;
        }
        let length = self.effects.len();
        let seen = self.between.board.satisfied(value) & left.slots;
        self.effects.extend(each(seen).map(Effect::Slot));
        left.slots &= !seen;
        if self.is_end(value, &left, has_written) {
            return Ok(true);
        }
        if !self.failed.contains(&(value, left.clone())) {
            for (effect, less) in self.choices(&left) {
                let (to, is_write) = match self.between.deed(effect) {
                    Deed::Cas(from, to) if from == value => (to, false),
                    Deed::Write(to) if self.goal.is_some() && !has_written => (to, true),
                    _ => continue,
                };
                self.effects.push(effect);
                if self.goes_on(to, less, has_written || is_write)? {
                    return Ok(true);
                }
                self.effects.pop();
            }
            self.failed.insert((value, left));
        }
        self.effects.truncate(length);
        Ok(false)
    }

    fn is_end(&self, value: Value, left: &Left, has_written: bool) -> bool {
        let due = self.between.due;
        let is_idle = self.goal.is_some()
            && has_written
            && left.slots == 1 << due
            && matches!(self.between.board.deed(due), Deed::Write(_));
        let is_there = self.goal.is_none_or(|goal| goal == value);
        left.infos.is_empty() && is_there && (left.slots == 0 || is_idle)
    }

    /// What may be next, with what is left then; of info operations of one kind one.
    fn choices(&self, left: &Left) -> Vec<(Effect, Left)> {
        let slot = |slot: u32| {
            (Effect::Slot(slot), Left { slots: left.slots & !(1 << slot), ..left.clone() })
        };
        let slots = each(left.slots).map(slot);
        let is_first = |&at: &usize| at == 0 || left.infos[at - 1] != left.infos[at];
        let infos = (0..left.infos.len()).filter(is_first).map(|at| {
            let mut infos = left.infos.clone();
            let kind = infos.remove(at);
            (Effect::Info(kind), Left { infos, ..*left })
        });
        slots.chain(infos).collect()
    }
}
