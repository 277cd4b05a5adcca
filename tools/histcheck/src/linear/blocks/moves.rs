//! What may take effect when an operation returns that has not: the ways on from one configuration.

use rustc_hash::FxHashSet;

use super::board::{Board, Deed, Slots, Value, each};
use super::config::{Config, Frontier, HOME};
use super::supply::{Count, Supply};
use crate::budget::{Budget, Exhausted};
use crate::history::{OPEN, Pos};
use crate::linear::general::uses::Uses;

/// The return of the operation in a slot.
pub(super) struct Return<'r> {
    pub board: &'r Board,
    pub supply: &'r Supply,
    pub uses: &'r mut Uses,
    pub due: u32,
    pub now: Pos,
    /// Whether any info operation can be of use.
    pub has_info: bool,
    /// The most ways that are followed from one configuration.
    pub most: usize,
    pub is_narrowed: bool,
    pub budget: &'r Budget,
    pub next: Frontier,
}

/// A sequence of effects before the last write: what the register holds at its end, and what took effect.
#[derive(Clone, Copy)]
struct Block {
    value: Value,
    config: Config,
}

/// Takes the effect of a read that can have it.
pub(super) fn opened(config: &mut Config, slot: u32, board: &Board, supply: &Supply) {
    let bit = 1 << slot;
    if config.state == HOME {
        config.covered |= bit;
        settle(config, board, supply);
    } else if board.satisfied(config.state) & bit != 0 {
        config.done |= bit;
    }
}

/// Lets all that only sees what the register holds, or that changes nothing for good, take effect.
pub(super) fn settle(config: &mut Config, board: &Board, supply: &Supply) {
    if config.state == HOME {
        for &value in &supply.home.values {
            config.done |= board.satisfied(value) | board.writes_of(value);
            let leads_back = |&slot: &u32| match board.deed(slot) {
                Deed::Cas(_, to) => supply.home.has(to),
                _ => false,
            };
            for slot in each(board.cas_from(value)).filter(leads_back) {
                config.done |= 1 << slot;
            }
        }
    } else {
        config.done |= board.satisfied(config.state);
    }
    config.covered &= !config.done;
}

/// The register is at home now.
pub(super) fn go_home(config: &mut Config, board: &Board, supply: &Supply) {
    config.state = HOME;
    config.since = OPEN;
    config.covered = board.open & !config.done;
    settle(config, board, supply);
}

impl Return<'_> {
    /// All ways from `config` on in which the operation that is due took effect.
    pub fn from(&mut self, config: Config) -> Result<(), Exhausted> {
        let bit = 1 << self.due;
        if config.done & bit != 0 {
            self.keep(config);
            return Ok(());
        }
        if config.covered & bit != 0 {
            if self.is_idle(&config) {
                self.keep(config);
            }
            self.before_last_write(config)?;
        }
        self.explored(config)
    }

    fn bit(&self) -> Slots {
        1 << self.due
    }

    fn keep(&mut self, mut config: Config) {
        config.done &= !self.bit();
        config.covered &= !self.bit();
        self.next.add(config, self.board);
    }

    /// Whether what is due, being covered, took effect right before the last write and nothing saw it.
    fn is_idle(&self, config: &Config) -> bool {
        match self.board.deed(self.due) {
            Deed::Write(_) => true,
            Deed::Cas(from, _) => self.supply.home.had(from, config.since),
            Deed::Read(_) | Deed::Differs(_) => false,
        }
    }

    // Before the last write

    /// The ways in which it took effect in a block right before the last write, that begins with a write and whose end
    /// nobody sees.
    fn before_last_write(&mut self, config: Config) -> Result<(), Exhausted> {
        let mut blocks = self.beginnings(config);
        let mut steps = 0_usize;
        let mut seen: FxHashSet<(Value, Slots)> = FxHashSet::default();
        while let Some(mut block) = blocks.pop() {
            let seen_here = self.board.satisfied(block.value) & block.config.covered;
            block.config.done |= seen_here;
            block.config.covered &= !seen_here;
            if block.config.done & self.bit() != 0 {
                self.keep(block.config);
            }
            steps += 1;
            if steps.is_multiple_of(256) {
                self.budget.spend(seen.len() * 64 + blocks.len() * size_of::<Block>())?;
            }
            if steps > self.most {
                self.is_narrowed = true;
                break;
            }
            // Endless cas go round in circles; and ways to the same are one.
            if self.supply.count == Count::Exact || seen.insert((block.value, block.config.done)) {
                self.go_on(block, &mut blocks);
            }
        }
        Ok(())
    }

    fn beginnings(&mut self, config: Config) -> Vec<Block> {
        let mut blocks = Vec::new();
        let writes = config.covered & self.board.writes;
        let only = match self.board.deed(self.due) {
            Deed::Write(_) => writes & self.bit(),
            _ => writes,
        };
        for same in self.board.by_deed(only) {
            let slot = self.board.first_to_return(same);
            if let Deed::Write(value) = self.board.deed(slot) {
                blocks.push(Block { value, config: effect(config, slot) });
            }
        }
        if !self.has_info
            || only == self.bit() && matches!(self.board.deed(self.due), Deed::Write(_))
        {
            return blocks;
        }
        let values = self.supply.home.values.iter();
        let at_home = values.filter(|&&value| self.supply.home.had(value, config.since));
        blocks.extend(at_home.map(|&value| Block { value, config }));
        for kind in 0..self.supply.kinds.len() as u32 {
            let Deed::Write(value) = self.supply.kinds[kind as usize].deed else { continue };
            let covered = self.board.writes_of(value) & config.covered != 0;
            let wanted = self.board.observers(value) & config.covered != 0;
            if wanted && !covered && self.supply.count == Count::Exact {
                let config = self.use_info(config, kind, config.since);
                blocks.extend(config.map(|config| Block { value, config }));
            }
        }
        blocks
    }

    /// One cas more in a block.
    fn go_on(&mut self, Block { value, config }: Block, blocks: &mut Vec<Block>) {
        for same in self.board.by_deed(self.board.cas_from(value) & config.covered) {
            let slot = self.board.first_to_return(same);
            if let Deed::Cas(_, value) = self.board.deed(slot) {
                blocks.push(Block { value, config: effect(config, slot) });
            }
        }
        for (kind, to) in self.cas_kinds(value) {
            let covered = self.board.observers(to) & config.covered & !config.done;
            let is_new = self.supply.count == Count::Endless || covered != 0;
            if is_new && let Some(config) = self.use_info(config, kind, config.since) {
                blocks.push(Block { value: to, config });
            }
        }
    }

    /// The kinds of info cas from `value`, and where they lead.
    fn cas_kinds(&self, value: Value) -> Vec<(u32, Value)> {
        let kinds = self.supply.kinds.iter().zip(0..);
        let leads = kinds.filter_map(|(kind, number)| match kind.deed {
            Deed::Cas(from, to) if from == value => Some((number, to)),
            _ => None,
        });
        if self.has_info { leads.collect() } else { Vec::new() }
    }

    /// One info operation of a kind takes effect before `pos`, if there is one.
    fn use_info(&mut self, config: Config, kind: u32, pos: Pos) -> Option<Config> {
        let used = match self.supply.count {
            Count::Exact => self.uses.count(config.used, kind),
            Count::Endless => 0,
        };
        if !self.supply.has(kind, used, pos) {
            return None;
        }
        Some(match self.supply.count {
            Count::Exact => Config {
                used: self.uses.one_more(config.used, kind),
                cost: config.cost + 1,
                ..config
            },
            Count::Endless => config,
        })
    }

    // After the last write

    /// The ways in which it takes effect now: cas after what the register holds, then perhaps a write and cas after
    /// that, until it did.
    fn explored(&mut self, config: Config) -> Result<(), Exhausted> {
        let mut work = vec![(config, false)];
        let mut seen: FxHashSet<(Config, bool)> = FxHashSet::default();
        let mut at = 0;
        while let Some(&(config, has_written)) = work.get(at) {
            at += 1;
            if at.is_multiple_of(256) {
                self.budget.spend(work.len() * 4 * size_of::<Config>())?;
            }
            if at > self.most {
                self.is_narrowed = true;
                break;
            }
            if config.done & self.bit() != 0 {
                self.keep(config);
                continue;
            }
            if has_written && config.covered & self.bit() != 0 && self.is_idle(&config) {
                self.keep(config);
            }
            let mut out = Vec::new();
            self.cas(config, &mut out);
            out.iter_mut().for_each(|way| way.1 = has_written);
            if !has_written {
                self.writes(config, &mut out);
            }
            work.extend(out.into_iter().filter(|&way| seen.insert(way)));
        }
        Ok(())
    }

    fn cas(&mut self, config: Config, out: &mut Vec<(Config, bool)>) {
        let at_home = config.state == HOME;
        let only = [config.state];
        let values: &[Value] = if at_home { &self.supply.home.values } else { &only };
        for &value in values {
            let left = self.board.cas_from(value) & !config.done;
            for same in self.board.by_deed(left) {
                for slot in self.cas_to_try(same, config.covered) {
                    if let Deed::Cas(_, to) = self.board.deed(slot) {
                        out.push((self.now_holds(effect(config, slot), to, at_home), false));
                    }
                }
            }
        }
        if at_home {
            return;
        }
        for (kind, to) in self.cas_kinds(config.state) {
            let wanted = self.board.observers(to) & !config.done != 0;
            if (wanted || self.supply.count == Count::Endless)
                && let Some(config) = self.use_info(config, kind, OPEN)
            {
                out.push((self.now_holds(config, to, false), false));
            }
        }
    }

    /// Of cas with the same effect the one that returns first; where that is covered and another is not, the one of
    /// those too, for a covered one may still be put before the last write.
    fn cas_to_try(&self, same: Slots, covered: Slots) -> impl Iterator<Item = u32> + use<> {
        let first = self.board.first_to_return(same);
        let fresh = same & !covered;
        let other =
            (covered & (1 << first) != 0 && fresh != 0).then(|| self.board.first_to_return(fresh));
        std::iter::once(first).chain(other)
    }

    fn writes(&mut self, config: Config, out: &mut Vec<(Config, bool)>) {
        let due_writes = matches!(self.board.deed(self.due), Deed::Write(_));
        let left = self.board.writes & !config.done;
        let left = if due_writes { left & self.bit() } else { left };
        for same in self.board.by_deed(left) {
            let slot = self.board.first_to_return(same);
            if let Deed::Write(value) = self.board.deed(slot) {
                out.push((self.now_holds(effect(config, slot), value, true), true));
            }
        }
        if !self.has_info {
            return;
        }
        if self.supply.count == Count::Endless {
            if config.state != HOME && !self.supply.home.values.is_empty() {
                let mut config = config;
                go_home(&mut config, self.board, self.supply);
                out.push((config, true));
            }
            return;
        }
        for kind in 0..self.supply.kinds.len() as u32 {
            let Deed::Write(value) = self.supply.kinds[kind as usize].deed else { continue };
            let wanted = self.board.observers(value) & !config.done != 0;
            let open = self.board.writes_of(value) & !config.done != 0;
            if wanted
                && !open
                && let Some(config) = self.use_info(config, kind, OPEN)
            {
                out.push((self.now_holds(config, value, true), true));
            }
        }
    }

    /// The register holds `value` now; `is_write`: whatever it held before, so that all that is open may have taken
    /// effect before.
    fn now_holds(&self, mut config: Config, value: Value, is_write: bool) -> Config {
        config.state = value;
        if is_write {
            config.covered = self.board.open & !config.done;
            config.since = if self.has_info { self.now } else { 0 };
        }
        settle(&mut config, self.board, self.supply);
        config
    }
}

fn effect(mut config: Config, slot: u32) -> Config {
    config.done |= 1 << slot;
    config.covered &= !(1 << slot);
    config
}
