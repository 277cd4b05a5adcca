//! What may take effect when an operation returns that has not: the ways on from one configuration.

use rustc_hash::FxHashSet;

use super::config::{Config, Frontier, HOME};
use super::pending::{Count, Supply};
use super::state::{Board, Deed, Slots, Value, each};
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
    /// Whether the place of the last write matters, as there are info operations.
    pub has_info: bool,
    /// Whether cas that nothing saw are [optional](super::optional).
    pub defers: bool,
    /// Whether they may take effect.
    pub takes_info: bool,
    /// The most ways that are followed from one configuration.
    pub most: usize,
    pub is_narrowed: bool,
    pub budget: &'r Budget,
    pub next: Frontier,
    pub ways: &'r mut Ways,
}

/// What is on the way, kept from one return to the next so that its memory is.
#[derive(Default)]
pub(super) struct Ways {
    blocks: Vec<Block>,
    /// All that came up from one configuration.
    work: Vec<(Config, Stage)>,
    out: Vec<(Config, Stage)>,
    seen: FxHashSet<(Config, Stage)>,
    /// See [`Return::leads_to_due`].
    leads: Vec<Value>,
}

/// How far a way has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Stage {
    /// No write has taken effect, and nothing saw what the last cas put. A write that comes next, with no cas to make
    /// optional here, is not worth trying: the way without this cas, that has it optional before that write, is as good.
    Unseen,
    /// No write has taken effect.
    Before,
    /// A write has.
    Written,
}

/// So many ways are searched faster than hashed.
const FEW: usize = 32;

impl Ways {
    fn begin(&mut self, config: Config) {
        self.work.clear();
        self.seen.clear();
        self.work.push((config, Stage::Before));
    }

    fn take_out(&mut self) {
        for at in 0..self.out.len() {
            let way = self.out[at];
            let is_new = match self.work.len() {
                ..FEW => !self.work.contains(&way),
                FEW => {
                    self.seen.extend(&self.work);
                    self.seen.insert(way)
                }
                _ => self.seen.insert(way),
            };
            if is_new {
                self.work.push(way);
            }
        }
        self.out.clear();
    }
}

/// A sequence of effects before the last write: what the register holds at its end, and what took effect.
#[derive(Clone, Copy)]
struct Block {
    value: Value,
    config: Config,
}

/// Lets an operation take effect, as it is invoked, that can do so without harm.
pub(super) fn opened(config: &mut Config, slot: u32, board: &Board) {
    let bit = 1 << slot;
    if config.state == HOME {
        config.covered |= bit & !board.free;
        config.done |= bit & board.free;
    } else if board.satisfied(config.state) & bit != 0 {
        config.done |= bit;
    }
}

impl<'r> Return<'r> {
    /// All ways from `config` on in which the operation that is due took effect.
    pub fn from(&mut self, mut config: Config) -> Result<(), Exhausted> {
        let bit = self.bit();
        if config.done & bit != 0 {
            self.keep(config);
            if config.optional & bit == 0 {
                return Ok(());
            }
            config = config.without(self.due);
        }
        if config.covered & bit != 0 {
            if self.is_idle(&config) {
                self.keep(config);
            }
            self.before_last_write(config)?;
        }
        self.on_from_here(config)
    }

    fn bit(&self) -> Slots {
        1 << self.due
    }

    fn keep(&mut self, mut config: Config) {
        config.done &= !self.bit();
        config.covered &= !self.bit();
        config.optional &= !self.bit();
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
        let mut blocks = std::mem::take(&mut self.ways.blocks);
        self.beginnings(config, &mut blocks);
        let mut steps = 0_usize;
        let mut seen: FxHashSet<(Value, Slots)> = FxHashSet::default();
        while let Some(mut block) = blocks.pop() {
            let seen_here = self.board.satisfied(block.value) & block.config.covered;
            block.config.done |= seen_here;
            block.config.covered &= !seen_here;
            if block.config.done & self.bit() != 0 {
                for config in self.overwritten(block.config, block.value, block.config.covered) {
                    self.keep(config);
                }
            }
            steps += 1;
            if steps.is_multiple_of(256) {
                self.budget.spend(seen.len() * 64 + blocks.len() * size_of::<Block>())?;
            }
            if steps > self.most {
                self.is_narrowed = true;
                break;
            }
            let is_end =
                !self.takes_info && self.board.cas_from(block.value) & block.config.movable() == 0;
            // Endless cas go round in circles; and ways to the same are one.
            let is_new = |seen: &mut FxHashSet<_>| {
                self.supply.count == Count::Exact || seen.insert((block.value, block.config.done))
            };
            if !is_end && self.may_go_on(&block) && is_new(&mut seen) {
                self.go_on(block, &mut blocks);
            }
        }
        blocks.clear();
        self.ways.blocks = blocks;
        Ok(())
    }

    /// Whether a block that goes on may have the effect of what is due.
    fn may_go_on(&self, block: &Block) -> bool {
        block.config.done & self.bit() != 0 || self.leads_to_due(block.value)
    }

    fn beginnings(&mut self, config: Config, blocks: &mut Vec<Block>) {
        let only = self.useful_writes(config.movable());
        for same in self.board.by_deed(only) {
            let slot = self.board.first_to_return(same);
            if let Deed::Write(value) = self.board.deed(slot) {
                blocks.push(Block { value, config: config.effect(slot) });
            }
        }
        if !self.takes_info
            || only == self.bit() && matches!(self.board.deed(self.due), Deed::Write(_))
        {
            return;
        }
        let values = self.supply.home.values.iter();
        let leads_on = |value| self.board.cas_from(value) & config.covered != 0;
        let at_home =
            values.filter(|&&value| self.supply.home.had(value, config.since) && leads_on(value));
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
    }

    /// The writes among `slots` of which what is due may have use: itself; those of what it reads, where no cas leads
    /// there from others; all.
    fn useful_writes(&self, slots: Slots) -> Slots {
        let writes = slots & self.board.writes;
        let has_cas = self.takes_info || slots & self.board.cas != 0;
        match self.board.deed(self.due) {
            Deed::Write(_) => writes & self.bit(),
            Deed::Read(value) if !has_cas => writes & self.board.writes_of(value),
            _ => writes,
        }
    }

    /// One cas more in a block.
    fn go_on(&mut self, Block { value, config }: Block, blocks: &mut Vec<Block>) {
        for kind in [config.covered, config.optional] {
            for same in self.board.by_deed(self.board.cas_from(value) & kind) {
                let slot = self.board.first_to_return(same);
                if let Deed::Cas(_, value) = self.board.deed(slot) {
                    blocks.push(Block { value, config: config.effect(slot) });
                }
            }
        }
        for (kind, to) in self.cas_kinds(value) {
            let wanted = match self.supply.count {
                Count::Exact => self.board.observers(to) & config.covered != 0,
                // A block of its own begins there.
                Count::Endless => !self.supply.home.had(to, config.since),
            };
            if wanted && let Some(config) = self.use_info(config, kind, config.since) {
                blocks.push(Block { value: to, config });
            }
        }
    }

    /// The kinds of info cas from `value`, and where they lead.
    fn cas_kinds(&self, value: Value) -> Vec<(u32, Value)> {
        if !self.takes_info {
            return Vec::new();
        }
        let kinds = self.supply.kinds.iter().zip(0..);
        let leads = kinds.filter_map(|(kind, number)| match kind.deed {
            Deed::Cas(from, to) if from == value => Some((number, to)),
            _ => None,
        });
        leads.collect()
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
    fn on_from_here(&mut self, config: Config) -> Result<(), Exhausted> {
        self.ways.begin(config);
        let mut at = 0;
        while let Some(&(config, stage)) = self.ways.work.get(at) {
            at += 1;
            if at.is_multiple_of(256) {
                self.budget.spend(self.ways.work.len() * 4 * size_of::<Config>())?;
            }
            if at > self.most {
                self.is_narrowed = true;
                break;
            }
            if config.done & self.bit() != 0 {
                self.keep(config);
                continue;
            }
            let has_written = stage == Stage::Written;
            if has_written && config.covered & self.bit() != 0 && self.is_idle(&config) {
                self.keep(config);
            }
            let mut out = std::mem::take(&mut self.ways.out);
            if !has_written || self.leads_to_due(config.state) {
                self.cas(config, stage, &mut out);
            }
            if !has_written {
                self.writes(config, stage, &mut out);
            }
            self.ways.out = out;
            self.ways.take_out();
        }
        Ok(())
    }

    /// Finds from which values cas that are open lead to the one that what is due wants.
    pub fn find_leads(&mut self) {
        self.ways.leads.clear();
        let (Deed::Read(wanted) | Deed::Cas(wanted, _)) = self.board.deed(self.due) else { return };
        self.ways.leads.push(wanted);
        let mut at = 0;
        while let Some(&to) = self.ways.leads.get(at) {
            at += 1;
            for slot in each(self.board.cas) {
                if let Deed::Cas(from, other) = self.board.deed(slot)
                    && other == to
                    && !self.ways.leads.contains(&from)
                {
                    self.ways.leads.push(from);
                }
            }
        }
    }

    /// Whether what is due may take effect once the register holds `value`, perhaps after cas. Where info operations may
    /// lead on nothing is ruled out.
    fn leads_to_due(&self, value: Value) -> bool {
        self.takes_info || self.ways.leads.is_empty() || self.ways.leads.contains(&value)
    }

    fn cas(&mut self, config: Config, stage: Stage, out: &mut Vec<(Config, Stage)>) {
        let at_home = config.state == HOME;
        let only = [config.state];
        let values: &[Value] = if at_home { &self.supply.home.values } else { &only };
        for &value in values {
            let from = self.board.cas_from(value);
            let left = self.board.by_deed(from & !config.done);
            let left = left.flat_map(|same| self.cas_to_try(same, config.covered));
            let optional = self.board.by_deed(from & config.optional);
            for slot in left.chain(optional.map(|same| self.board.first_to_return(same))) {
                if let Deed::Cas(_, to) = self.board.deed(slot) {
                    let after = self.now_holds(config.effect(slot), to, at_home);
                    let saw = after.done != config.effect(slot).done;
                    let next = match stage {
                        Stage::Written => stage,
                        _ if saw || !self.defers => Stage::Before,
                        _ => Stage::Unseen,
                    };
                    out.push((after, next));
                }
            }
        }
        if at_home || !self.takes_info {
            return;
        }
        for (kind, to) in self.cas_kinds(config.state) {
            let wanted = match self.supply.count {
                Count::Exact => self.board.observers(to) & !config.done != 0,
                // There it can go from anywhere.
                Count::Endless => !self.supply.home.has(to),
            };
            if wanted && let Some(config) = self.use_info(config, kind, OPEN) {
                out.push((self.now_holds(config, to, false), stage));
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

    fn writes(&mut self, config: Config, stage: Stage, out: &mut Vec<(Config, Stage)>) {
        let left = self.board.open & !config.settled();
        let alike = self.board.alike(self.due);
        if stage == Stage::Unseen
            && self.board.cas_from(config.state) & left & !config.done & !alike == 0
        {
            return;
        }
        for same in self.board.by_deed(self.useful_writes(left)) {
            let slot = self.board.first_to_return(same);
            if let Deed::Write(value) = self.board.deed(slot)
                && (slot == self.due || self.leads_to_due(value))
            {
                for config in self.overwritten(config, config.state, left & !alike) {
                    out.push((self.now_holds(config.effect(slot), value, true), Stage::Written));
                }
            }
        }
        if !self.takes_info {
            return;
        }
        if self.supply.count == Count::Endless {
            if config.state != HOME && !self.supply.home.values.is_empty() {
                out.push((config.at_home(self.board), Stage::Written));
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
                out.push((self.now_holds(config, value, true), Stage::Written));
            }
        }
    }

    /// The register holds `value` now; `is_write`: whatever it held before, so that all that is open may have taken
    /// effect before.
    fn now_holds(&self, mut config: Config, value: Value, is_write: bool) -> Config {
        if self.supply.home.has(value) {
            return config.at_home(self.board);
        }
        config.state = value;
        if is_write {
            config.since = if self.has_info { self.now } else { 0 };
            config.cover(self.board);
        }
        config.done |= self.board.satisfied(value);
        config.covered &= !config.done;
        config
    }
}
