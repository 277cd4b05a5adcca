//! A register whose values were written more than once: decided by search over blocks.
//!
//! A **block** is a write with the reads and cas that take effect before the next write. A write takes no notice of
//! what it replaces, so a block that ends with a write leaves nothing behind: it can be put right before any other
//! write, if all its operations are open there. So of what took effect before the last write little needs to be
//! known, and the search puts off what it can. Events are walked in order, as in [`general`](super::general);
//! a configuration is what the register holds, which open operations took effect (**done**), and which of the others
//! were open when the last write took effect (**covered**). When an operation returns that is not done,
//! - one that is covered may have taken effect in a block right before the last write: a write alone, or
//!   any write, read and cas that are covered, in an order that the register allows;
//! - or it takes effect now: after some open cas, or after some open write and open cas.
//!
//! *No order is made up.* What is covered was open at the last write, and is still open: right before that write is a
//! moment between its invocation and its return. What it leaves behind is overwritten at once.
//!
//! *None is lost.* Take a legal order, and follow it with one configuration that lags behind: from it, some blocks
//! put before the last write, and then effects from now on, lead to what the order has done. Let `d` be the operation
//! that returns. If it is among the blocks, its whole block is put there (one of the ways tried); what other
//! blocks are put off stays covered. Else the effects from now on, up to `d`, are some cas, and then
//! blocks, the last of which holds `d`, as its write or after it. The blocks between need not take effect:
//! all their operations are open now, and covered once the last block's write takes effect, so they may still be
//! put before that write. So it is enough to try cas, at most one write, and cas. Of operations with the same
//! effect it is enough to try the one that returns first, by the exchange in [`general`](super::general); a cas that
//! is covered has a use that a fresh one lacks, so where the first to return is covered the first of the fresh ones
//! is tried too. And a configuration can be dropped where another is at least as free: [`Config::dominates`].
//! Cas that nothing saw are kept [`optional`], so that they need not be tried both ways.
//!
//! Info operations never return. They are taken in two ways, neither of which is exact for both answers:
//! **counted**, with few configurations kept, those that used the fewest: an order found is an order; and
//! **endless**: as many of each as are wanted once one was invoked: if then no order is legal, none is. While they
//! are endless the values that they write, and those that their cas lead to from there, are one ([`HOME`]): the
//! register goes from each to each, and to them from everywhere, as often as anybody likes. So what only moves among
//! them takes effect at once. Where both fail the general search goes on.

mod config;
mod numbers;
mod optional;
mod path;
mod pending;
mod state;
mod transitions;

use super::general::uses::Uses;
use super::general::{self, Search};
use super::object::Object;
use super::op::{Act, Fate, Op};
use super::register::Register;
use crate::budget::{Budget, Exhausted};
use crate::history::Pos;
use crate::values::Id;
use config::{Config, Frontier, HOME};
use numbers::Numbers;
use path::Notes;
pub use path::order;
use pending::{Count, Supply};
use state::{Board, Deed, Value};
use transitions::{Return, Ways};

/// How many configurations are kept, where there are info operations to be counted; those that make the many are the
/// ways to use them.
const WIDTHS: [usize; 3] = [8, 32, 512];
/// How many are kept at first, where that is rarely too few.
const WIDE: usize = 1024;
/// How many states of moments are remembered at least, where there are so many; at most twice as many.
const REMEMBERED: usize = 1 << 14;

/// A moment after the return of an operation.
#[derive(Debug)]
pub struct Moment {
    /// The place of the return.
    pub pos: Pos,
    /// What the register may hold then, in orders in which nothing took effect before it had to.
    pub states: Vec<Id>,
}

/// What the search found.
#[derive(Debug)]
pub struct Found {
    /// The answer.
    pub search: Search,
    /// Where no order is legal: the last moments before that shows.
    pub moments: Vec<Moment>,
    /// Whether it was found here; the general search goes on where this one cannot tell.
    pub in_blocks: bool,
}

/// Decides whether a legal order exists that begins with one of the `initial` values.
pub fn decide(ops: &[Op], initial: &[Id], budget: &Budget) -> Search {
    decide_with_moments(ops, initial, budget).search
}

/// The same; tells what the register may hold at the last moments too.
pub fn decide_with_moments(ops: &[Op], initial: &[Id], budget: &Budget) -> Found {
    let blocks = Blocks::new(ops, initial, budget);
    if !blocks.has_info {
        return match blocks.run(Count::Exact, WIDE) {
            (Found { search: Search::Invalid(_), .. }, true) => {
                blocks.run(Count::Exact, usize::MAX).0
            }
            (found, _) => found,
        };
    }
    let (endless, is_narrowed) = blocks.run(Count::Endless, WIDE);
    match endless.search {
        Search::Invalid(_) if !is_narrowed => return endless,
        Search::TooMany(_) | Search::Unknown(_, Exhausted::Time(_)) => return endless,
        _ => {}
    }
    for width in WIDTHS {
        let (found, _) = blocks.run(Count::Exact, width);
        match found.search {
            Search::Valid | Search::Unknown(_, Exhausted::Time(_)) => return found,
            _ => {}
        }
    }
    if let (Found { search: Search::Invalid(_), .. }, true) = (&endless, is_narrowed)
        && let (found @ Found { search: Search::Invalid(_), .. }, _) =
            blocks.run(Count::Endless, usize::MAX)
    {
        return found;
    }
    let search = general::decide(&Register::default(), ops, initial, budget);
    Found { search, moments: Vec::new(), in_blocks: false }
}

/// Whether a legal order is found along few configurations, which takes little time.
pub fn is_soon_valid(ops: &[Op], initial: &[Id], budget: &Budget) -> bool {
    let (found, _) = Blocks::new(ops, initial, budget).run(Count::Exact, WIDTHS[0]);
    found.search == Search::Valid
}

struct Blocks<'b> {
    ops: &'b [Op],
    /// The operations that matter, in the order of their invocations, where that is not the order of `ops`.
    order: Option<Vec<u32>>,
    useful: Vec<bool>,
    values: Numbers,
    initial: Vec<Value>,
    has_info: bool,
    budget: &'b Budget,
}

impl<'b> Blocks<'b> {
    fn new(ops: &'b [Op], initial: &[Id], budget: &'b Budget) -> Blocks<'b> {
        let mut values = Numbers::default();
        let initial = initial.iter().map(|&id| values.add(id)).collect();
        for op in ops {
            let (Act::Read(one) | Act::Write(one) | Act::Cas(one, _) | Act::Differs(one)) = op.act;
            values.add(one);
            if let Act::Cas(_, other) = op.act {
                values.add(other);
            }
        }
        let is_info = |op: &Op| op.fate == Fate::Info;
        let useful = match ops.iter().any(is_info) {
            true => Register::default().useful(ops),
            false => Vec::new(),
        };
        let has_info = ops.iter().zip(&useful).any(|(op, &useful)| useful && is_info(op));
        let order = (!ops.is_sorted_by_key(|op| op.inv)).then(|| {
            let mut order: Vec<u32> = (0..ops.len() as u32).collect();
            order.sort_by_key(|&at| ops[at as usize].inv);
            order
        });
        Blocks { ops, order, useful, values, initial, has_info, budget }
    }

    fn deed(&self, act: Act) -> Deed {
        let number = |id: Id| self.values.of(id);
        match act {
            Act::Read(value) => Deed::Read(number(value)),
            Act::Write(value) => Deed::Write(number(value)),
            Act::Differs(value) => Deed::Differs(number(value)),
            Act::Cas(from, to) => Deed::Cas(number(from), number(to)),
        }
    }

    /// Walks the history with at most `width` configurations. Also says whether any was left behind.
    fn run(&self, count: Count, width: usize) -> (Found, bool) {
        let mut walk = self.walk(count, width);
        let search = walk.through();
        let moments = match search {
            Search::Invalid(_) if !walk.is_narrowed => walk.moments(),
            _ => Vec::new(),
        };
        (Found { search, moments, in_blocks: true }, walk.is_narrowed)
    }

    fn walk(&self, count: Count, width: usize) -> Walk<'_> {
        Walk {
            blocks: self,
            board: Board::new(self.values.len()),
            supply: Supply::new(self.values.len(), count),
            uses: Uses::default(),
            frontier: Frontier::default(),
            returns: Vec::new(),
            ways: Ways::default(),
            recent: Vec::new(),
            width,
            is_narrowed: false,
            notes: Notes::Nothing,
            defers: !self.has_info,
            spare: Vec::new(),
            steps: 0,
        }
    }

    /// The operation that was invoked at `pos`.
    fn invoked_at(&self, pos: Pos) -> u32 {
        let inv = |at: u32| self.ops[at as usize].inv;
        match &self.order {
            Some(order) => order[order.partition_point(|&at| inv(at) < pos)],
            None => self.ops.partition_point(|op| op.inv < pos) as u32,
        }
    }
}

struct Walk<'w> {
    blocks: &'w Blocks<'w>,
    board: Board,
    supply: Supply,
    uses: Uses,
    frontier: Frontier,
    /// The returns of what is open, the next one last, with slot and operation. They are few, and most come after most
    /// others, so that they are put in order faster here than in a heap.
    returns: Vec<(Pos, u32, u32)>,
    ways: Ways,
    /// What the register may hold after the last returns, a return one after the other.
    recent: Vec<(Pos, Value)>,
    width: usize,
    is_narrowed: bool,
    notes: Notes,
    /// Whether cas that nothing saw are [optional](optional).
    defers: bool,
    /// The memory of the frontier before, for the next one.
    spare: Vec<Config>,
    /// Configurations gone through since the budget was asked.
    steps: usize,
}

/// So many are gone through between two looks at the budget.
const BETWEEN_LOOKS: usize = 256;

impl Walk<'_> {
    fn through(&mut self) -> Search {
        for &state in &self.blocks.initial {
            self.frontier.add(Config::of(state), &self.board);
        }
        for at in 0..self.blocks.ops.len() {
            let at = self.blocks.order.as_ref().map_or(at, |order| order[at] as usize);
            let op = &self.blocks.ops[at];
            let passed = self.return_until(op.inv).and_then(|()| match op.fate {
                Fate::Ok => self.invoke(op, at),
                Fate::Info if self.blocks.useful[at] => {
                    self.supply(op);
                    Ok(())
                }
                Fate::Info | Fate::Fail => Ok(()),
            });
            if let Err(answer) = passed {
                return answer;
            }
        }
        match self.return_until(Pos::MAX) {
            Err(answer) => answer,
            Ok(()) if self.frontier.configs.is_empty() => Search::Invalid(0),
            Ok(()) => Search::Valid,
        }
    }

    fn invoke(&mut self, op: &Op, at: usize) -> Result<(), Search> {
        let deed = self.blocks.deed(op.act);
        let slot = self.board.open(deed, op.res).ok_or(Search::TooMany(at))?;
        let place = self.returns.iter().position(|&(res, ..)| res < op.res);
        self.returns.insert(place.unwrap_or(self.returns.len()), (op.res, slot, at as u32));
        if self.supply.home.is_free(deed) {
            self.board.free |= 1 << slot;
        }
        // Else it is only open.
        if matches!(deed, Deed::Read(_) | Deed::Differs(_)) || self.blocks.has_info {
            for config in &mut self.frontier.configs {
                transitions::opened(config, slot, &self.board);
            }
        }
        self.note_invoked(slot, at);
        Ok(())
    }

    /// An info operation is invoked.
    fn supply(&mut self, op: &Op) {
        let deed = self.blocks.deed(op.act);
        if !self.supply.add(deed, op.inv) {
            return;
        }
        self.board.find_free(|deed| self.supply.home.is_free(deed));
        let before = std::mem::take(&mut self.frontier.configs);
        for config in before {
            let is_home = config.state == HOME || self.supply.home.has(config.state);
            let config = if is_home { config.at_home(&self.board) } else { config };
            self.frontier.add(config, &self.board);
        }
    }

    fn return_until(&mut self, pos: Pos) -> Result<(), Search> {
        while let Some(&(now, slot, op)) = self.returns.last()
            && now < pos
        {
            self.returns.pop();
            self.return_of(slot, now).map_err(|limit| Search::Unknown(op as usize, limit))?;
            if self.frontier.configs.is_empty() {
                return Err(Search::Invalid(op as usize));
            }
        }
        Ok(())
    }

    fn return_of(&mut self, due: u32, now: Pos) -> Result<(), Exhausted> {
        if let Notes::Order(_) = self.notes {
            return self.return_in_order(due, now);
        }
        let bit = 1 << due;
        if self.frontier.configs.iter().all(|config| config.settled() & bit != 0) {
            self.frontier.configs.iter_mut().for_each(|config| config.done &= !bit);
            self.board.close(due);
            return Ok(());
        }
        if let Notes::Trail(_) = self.notes {
            return self.return_on_trail(due, now);
        }
        let held = self.frontier.configs.len() * size_of::<Config>();
        self.steps += self.frontier.configs.len();
        if self.steps >= BETWEEN_LOOKS {
            self.steps = 0;
            self.blocks.budget.spend(2 * held + self.uses.bytes() + self.board.bytes())?;
        }
        let spare = std::mem::take(&mut self.spare);
        let mut step = Return {
            takes_info: self.supply.count == Count::Endless,
            board: &self.board,
            supply: &self.supply,
            uses: &mut self.uses,
            due,
            now,
            has_info: self.blocks.has_info,
            defers: self.defers,
            most: self.width.saturating_mul(4),
            is_narrowed: false,
            budget: self.blocks.budget,
            next: Frontier { configs: spare },
            ways: &mut self.ways,
        };
        step.find_leads();
        for (at, &config) in self.frontier.configs.iter().enumerate() {
            step.from(config)?;
            if at % 64 == 63 {
                self.blocks
                    .budget
                    .spend(held + 2 * step.next.configs.len() * size_of::<Config>())?;
            }
        }
        // Where others go on, info operations are kept for later.
        if step.next.configs.is_empty() && self.blocks.has_info && !step.takes_info {
            step.takes_info = true;
            for &config in &self.frontier.configs {
                step.from(config)?;
            }
            step.is_narrowed = true;
        }
        self.is_narrowed |= step.is_narrowed || !step.takes_info && self.blocks.has_info;
        self.spare = std::mem::replace(&mut self.frontier, step.next).configs;
        self.spare.clear();
        self.is_narrowed |= self.frontier.narrow(self.width);
        self.board.close(due);
        self.remember(now);
        Ok(())
    }

    fn remember(&mut self, now: Pos) {
        let before = self.recent.len();
        for config in &self.frontier.configs {
            if !self.recent[before..].iter().any(|&(_, state)| state == config.state) {
                self.recent.push((now, config.state));
            }
        }
        // The older half goes at once. A moment is remembered with all its states or not at all.
        if self.recent.len() > 2 * REMEMBERED {
            let (last, _) = self.recent[self.recent.len() - REMEMBERED - 1];
            let first = self.recent.partition_point(|&(pos, _)| pos <= last);
            self.recent.drain(..first);
        }
    }

    fn moments(&self) -> Vec<Moment> {
        let mut ids = vec![Id(0); self.blocks.values.len()];
        self.blocks.values.all().for_each(|(id, value)| ids[value as usize] = id);
        let of = |state: Value| match state {
            HOME => self.supply.home.values.as_slice(),
            _ => &[],
        };
        let mut moments: Vec<Moment> = Vec::new();
        for &(pos, state) in &self.recent {
            if moments.last().is_none_or(|last| last.pos != pos) {
                moments.push(Moment { pos, states: Vec::new() });
            }
            let Some(Moment { states, .. }) = moments.last_mut() else { continue };
            states.extend(
                of(state)
                    .iter()
                    .chain((state != HOME).then_some(&state))
                    .map(|&value| ids[value as usize]),
            );
        }
        moments
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::linear::drawn;
    use crate::linear::replay::replay;
    use breakit::rng::generator;

    #[test]
    fn however_few_are_kept_an_order_is_an_order_and_endless_info_operations_only_add_orders() {
        let mut rng = generator(7, "blocks");
        let budget = Budget::start(Duration::from_secs(300), 1 << 30);
        let mut told = [0; 4];
        for _ in 0..20_000 {
            let ops = drawn::register(&mut rng, 4..13, 3);
            let expected = general::decide(&Register::default(), &ops, &[Id(0)], &budget);
            let is_valid = expected == Search::Valid;
            let blocks = Blocks::new(&ops, &[Id(0)], &budget);
            for width in [1, 2, usize::MAX] {
                let (found, is_narrowed) = blocks.run(Count::Exact, width);
                let is_order = found.search == Search::Valid;
                assert!(is_valid || !is_order, "{width}: {ops:?}");
                assert!(is_order || is_narrowed || !is_valid, "{width}: {ops:?}");
                told[0] += u32::from(is_order && is_narrowed);
                let (found, is_narrowed) = blocks.run(Count::Endless, width);
                let is_invalid = matches!(found.search, Search::Invalid(_)) && !is_narrowed;
                assert!(!is_valid || !is_invalid, "{width}: {ops:?}");
                told[1] += u32::from(is_invalid);
                told[2] += u32::from(!is_invalid && !is_valid && !is_narrowed);
            }
            match order(&ops, Id(0), &budget) {
                Ok(order) => {
                    let sources: Vec<usize> = order.iter().map(|&at| ops[at].source).collect();
                    let register = Register { initial: Id(0), ..Register::default() };
                    assert_eq!(replay(&register, &ops, &sources), Ok(()), "{sources:?} {ops:?}");
                    told[3] += 1;
                }
                Err(found) => {
                    // With info operations it does not find all; the general search goes on.
                    let (counted, _) = blocks.run(Count::Exact, WIDTHS[2]);
                    assert_ne!(counted.search, Search::Valid, "{found:?}: {ops:?}");
                    assert!(!is_valid || blocks.has_info, "{found:?}: {ops:?}");
                }
            }
        }
        assert!(told.iter().all(|&count| count > 100), "{told:?}");
    }

    /// What the walks leave open goes to the general search, which is right too, but slow: so it is counted here.
    #[test]
    fn of_small_histories_the_walks_leave_few_open_and_none_without_info_operations() {
        let mut rng = generator(11, "open");
        let budget = Budget::start(Duration::from_secs(300), 1 << 30);
        let (mut lost, mut not_refuted, mut left) = (0, 0, 0);
        for round in 0..6_000 {
            let mut ops = drawn::register(&mut rng, 4..13, 3);
            if round % 3 == 0 {
                ops.retain(|op| op.fate == Fate::Ok);
            }
            let initial = [Id(0), Id(round % 4)];
            let expected = general::decide(&Register::default(), &ops, &initial, &budget);
            let is_valid = expected == Search::Valid;
            let blocks = Blocks::new(&ops, &initial, &budget);
            let (counted, is_narrowed) = blocks.run(Count::Exact, usize::MAX);
            let is_order = counted.search == Search::Valid;
            if blocks.has_info {
                let (endless, _) = blocks.run(Count::Endless, usize::MAX);
                lost += u32::from(is_valid && !is_order);
                not_refuted += u32::from(!is_valid && endless.search == Search::Valid);
            } else {
                assert!(is_valid == is_order && !is_narrowed, "{ops:?}");
            }
            for moment in counted.moments {
                left += u32::from(moment.states.len() > 1);
                assert!(!moment.states.is_empty(), "{ops:?}");
            }
        }
        // So many there are; fewer are welcome.
        assert!(lost <= 22 && not_refuted <= 9, "{lost} orders lost, {not_refuted} not refuted");
        assert!(left > 500, "{left} moments of several states");
    }
}
