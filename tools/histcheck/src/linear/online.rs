//! A register decided while its operations arrive: the chains and zones of [`zones`](super::zones), kept up from
//! return to return, with no more in memory than what may still matter.
//!
//! **What is kept.** A value that was observed, or whose writer returned, has *layers*: its writer, the reads of
//! it, then the cas that replaced it with the layer of the next value, and so on; a chain of layers is a *block*
//! with `f`, its first return, and `s`, its last invocation. Values come to be known by the invocation of their
//! writer, which is *pending* until it returns or its value is observed: only then it surely happened.
//!
//! **When it is invalid.** Block A must stand before block B iff `f(A) < s(B)`; there is no legal order iff some
//! two must each stand before the other (proof in [`zones`](super::zones)). `f` is set once, at a return, which
//! is later than every invocation so far; so only where some `s(A)` grows can such a pair come to be, and then
//! with a block whose `f` lies between the old `s(A)` and the new one. Within a chain an operation must not begin
//! after the return of one of a later layer. A value with no source now has none ever: whatever is invoked later
//! comes after the return that saw it. So each violation is found at the return that completes it, and what is
//! found stays: more operations add constraints and never take one away.
//!
//! **What is let go.** The *watermark* is a place before the invocation of every operation that is still open:
//! whatever returns from now on began behind it. A block A is closed once a block B that must stand after it has
//! returned before the watermark: `f(A) < s(B)` and `f(B) < watermark`. Nothing that returns later can legally
//! belong to it, as it would begin after `f(B)`: B and A would each have to stand before the other. The blocks with the
//! least `f` go together once all of them are closed by a block that stays, and no block that stays, or comes, must
//! stand before one of them: if `S` is the greatest of their `s`, every other `f` is at least `S`.
//! Then the history is linearizable iff the rest of it is, whatever comes:
//! leaving out a writer with all its observers keeps a legal order legal; and the blocks that go are
//! legal among themselves and fit before the legal order of the rest. For that some x of the rest would have to
//! return before an operation of theirs begins: then x's block has its `f` below `S`.
//! What one of the blocks that go leaves behind, where it may stand last, is what the register holds first then.
//! Layers of a chain are closed by the return of a later layer before the watermark, and go while `f`
//! and `s` of their block stay.
//!
//! **Values that come again.** A value may be written again once its earlier source is gone. While two sources of
//! it are there, a return that observed it is ambiguous: all that is there then is handed to the search
//! ([`Kept`]), with nothing lost, as the rest decides.

mod chain;
mod kept;
mod retired;
mod sources;

use std::collections::VecDeque;

use slab::Slab;

use super::op::{Act, Fate, Op};
use crate::history::{OPEN, Pos};
use crate::values::{Id, IdOrNone};
use chain::{At, Block, Layer, Standing};
pub use kept::Kept;
use retired::Retired;
use sources::{Of, Sources};

/// An operation with what a report says of it, in 32 bytes: there are many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// What it does.
    pub act: Act,
    /// Where it was invoked.
    pub inv: Pos,
    /// Where it returned; [`OPEN`] unless it is [`Fate::Ok`].
    pub res: Pos,
    /// Who called it, by its place among the history's processes.
    pub process: u32,
    /// The node that the client talked to.
    pub node: IdOrNone,
    /// Its name, by its place among the history's words.
    pub f: u16,
    /// Whether it happened.
    pub fate: Fate,
}

const _: () = assert!(size_of::<Known>() == 32 && size_of::<Option<Known>>() == 32);

impl Known {
    /// The operation as engines take it, with the number by which it is known.
    pub fn op(&self, source: usize) -> Op {
        let Known { act, fate, inv, res, .. } = *self;
        Op { act, fate, inv, res, source }
    }

    /// The same operation as it begins, when nobody knows how it ends.
    pub(crate) fn pending(self) -> Known {
        Known { fate: Fate::Info, res: OPEN, ..self }
    }
}

/// Operations as engines take them, each with its place.
fn ops(known: &[Known]) -> Vec<Op> {
    known.iter().enumerate().map(|(place, known)| known.op(place)).collect()
}

/// Why the stream cannot go on as it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// No order is legal.
    Violation,
    /// A value was observed that two operations may have written.
    Ambiguous,
}

/// What is there of a history: it is linearizable iff these operations are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// The operations.
    pub ops: Vec<Known>,
    /// What the register may hold before them; the first is enough to decide.
    pub initial: Vec<Id>,
    /// The place up to which others were, where they do not begin with the history.
    pub after: Option<Pos>,
}

impl Window {
    /// The operations as engines take them; each names its place here.
    pub fn ops(&self) -> Vec<Op> {
        ops(&self.ops)
    }
}

/// How many writes that failed are remembered, to name them where their value is seen.
const MOST_FAILED: usize = 64;

/// With more blocks than this nobody asks whether only one will stay.
const FEW_LEFT: usize = 6;

/// Nor with more layers and pending operations.
const MOST_LEFT: usize = 32;

/// One register, online.
#[derive(Debug)]
pub struct Online {
    /// The layers, and the pending operations that may become some.
    layers: Slab<Layer>,
    sources: Sources,
    /// How many of the layers are pending.
    pending: usize,
    blocks: Slab<Block>,
    /// All blocks by their `f`.
    order: Vec<(Pos, At)>,
    watermark: Pos,
    now: Pos,
    retired: Retired,
    failed: VecDeque<Known>,
    /// How many blocks there may be before it is worth looking for some that can go.
    room: usize,
}

impl Online {
    /// Nothing yet; the register holds `initial`. Of what is let go the last `remembered` operations are kept, so
    /// that evidence can show them.
    pub fn new(initial: Id, remembered: usize) -> Online {
        let mut online = Online {
            sources: Sources::default(),
            // Of most keys no more is there at once, and there may be a million of them.
            layers: Slab::with_capacity(2),
            pending: 0,
            blocks: Slab::with_capacity(2),
            order: Vec::with_capacity(2),
            watermark: 0,
            now: 0,
            retired: Retired::new(initial, remembered),
            failed: VecDeque::new(),
            room: 0,
        };
        let layer = online.may_come(initial, None);
        let block = online.begin_block(layer, 0);
        online.blocks[block.index()].f = 0;
        online.order.push((0, block));
        online
    }

    /// The same after others, up to a place at which it surely holds a value; 0: after none.
    pub(crate) fn after((value, place): (Id, Pos), remembered: usize) -> Online {
        let mut online = Online::new(value, remembered);
        online.retired.begin_after(place);
        online
    }

    /// Says that every operation that returns from now on began at `watermark` or later.
    pub fn advance(&mut self, watermark: Pos) {
        self.watermark = self.watermark.max(watermark);
    }

    /// A write or cas began.
    pub fn begin(&mut self, known: Known) {
        if let Some(value) = known.act.puts() {
            self.may_come(value, Some(known.pending()));
        }
    }

    /// A value that may come to be there.
    fn may_come(&mut self, value: Id, writer: Option<Known>) -> At {
        let layer = At::of(self.layers.insert(Layer::new(value, writer)));
        self.sources.add(layer, &mut self.layers);
        self.pending += 1;
        layer
    }

    /// An operation returned; a write or cas began before.
    ///
    /// # Errors
    /// Why it goes on no longer.
    pub fn returned(&mut self, known: Known) -> Result<(), Stop> {
        self.now = known.res;
        // One that had been given up on began before it, and what it may rest on must not go now.
        self.watermark = self.watermark.min(known.inv);
        if self.order.len() > self.room {
            self.retire();
        }
        match known.act {
            Act::Read(value) => {
                let layer = self.only_source(value)?;
                self.happens(layer)?;
                self.read(layer, known)
            }
            Act::Write(value) | Act::Cas(_, value) => {
                // If it is not there it counted as one that never ends, and its value was replaced since.
                let Some(layer) = self.sources.find(value, known.inv, &self.layers) else {
                    return Ok(());
                };
                self.happens(layer)?;
                self.layers[layer.index()].writer = Some(known);
                self.ended(layer, known);
                self.shorten(layer);
                Ok(())
            }
            Act::Differs(_) => Err(Stop::Ambiguous),
        }
    }

    /// A write or cas that began did not happen.
    ///
    /// # Errors
    /// Where its value was observed.
    pub fn failed(&mut self, known: Known) -> Result<(), Stop> {
        let known = Known { fate: Fate::Fail, res: OPEN, ..known };
        let Some(value) = known.act.puts() else { return Ok(()) };
        if let Some(source) = self.sources.find(value, known.inv, &self.layers) {
            let layer = &mut self.layers[source.index()];
            if layer.standing == Standing::Layer {
                layer.writer = Some(known);
                return Err(Stop::Violation);
            }
            self.remove(source);
            self.pending -= 1;
        }
        if self.failed.len() == MOST_FAILED {
            self.failed.pop_front();
        }
        self.failed.push_back(known);
        Ok(())
    }

    /// A layer, or what was pending, is no longer there.
    #[inline]
    fn remove(&mut self, layer: At) {
        self.sources.remove(layer, &mut self.layers);
        self.layers.remove(layer.index());
    }

    /// Whether something was let go that an operation which began at `inv` may have belonged to, as it did not count as
    /// open. What had gone while the watermark was no later than that went rightly for it too.
    pub fn has_let_go(&self, inv: Pos) -> bool {
        self.retired.behind > inv
    }

    /// Whether something was forgotten that it took.
    pub(crate) fn has_forgotten(&self) -> bool {
        self.retired.forgot
    }

    /// Whether so little is left that it may be certain what the register holds, and worth knowing it.
    pub(crate) fn may_be_settled(&self) -> bool {
        self.order.len() <= FEW_LEFT && self.layers.len() <= MOST_LEFT
    }

    /// What the register surely holds once all that was taken has happened, where no write or cas is open: the rest of
    /// the history is legal iff it is so on a register that holds this first, with what never ends beside it.
    ///
    /// One block of one layer is left. Whatever begins now stands behind it: its `f` and `s` are past. What never ended
    /// may come to be observed, and stands behind it too: only by reads that began after `f`, if that is before the
    /// watermark.
    pub(crate) fn settled(&mut self) -> Option<Id> {
        if self.order.len() > 1 {
            self.retire();
        }
        let &[(f, block)] = self.order.as_slice() else { return None };
        if self.layers.len() - self.pending > 1 || self.pending > 0 && f >= self.watermark {
            return None;
        }
        Some(self.layers[self.blocks[block.index()].top.index()].value)
    }

    /// The writes and cas that may happen yet.
    pub(crate) fn pending(&self) -> impl Iterator<Item = Known> {
        let pending = self.layers.iter().filter(|(_, layer)| layer.standing != Standing::Layer);
        pending.filter_map(|(_, layer)| layer.writer)
    }

    /// Forgets what is remembered to be shown, and remembers nothing more.
    pub fn forget(&mut self) {
        self.retired.forget();
    }

    fn only_source(&mut self, value: Id) -> Result<At, Stop> {
        if let Of::Several = self.sources.of(value, &self.layers) {
            self.retire();
        }
        match self.sources.of(value, &self.layers) {
            Of::Nobody => Err(Stop::Violation),
            Of::One(source) => Ok(source),
            Of::Several => Err(Stop::Ambiguous),
        }
    }

    /// The writer of a layer surely happened, if that was not known, and with it what it rests on.
    #[inline]
    fn happens(&mut self, layer: At) -> Result<(), Stop> {
        let Layer { standing, writer, .. } = self.layers[layer.index()];
        match (standing, writer) {
            (Standing::Layer, _) => Ok(()),
            (_, Some(Known { act: Act::Cas(..), .. })) => self.happens_on_others(layer),
            (_, writer) => {
                self.begin_block(layer, writer.map_or(0, |writer| writer.inv));
                Ok(())
            }
        }
    }

    fn happens_on_others(&mut self, layer: At) -> Result<(), Stop> {
        let mut path = vec![layer];
        let found = self.foundation(&mut path);
        let attached = found.and_then(|below| self.attach(&mut path, below));
        for layer in path {
            self.layers[layer.index()].standing = Standing::Pending;
        }
        attached
    }

    /// The layer on which the last of `path` rests, which grows downwards until one rests on a layer, or on nothing.
    /// What is on the path is no source meanwhile: cas operations that rest on one another in a circle find none.
    fn foundation(&mut self, path: &mut Vec<At>) -> Result<Option<At>, Stop> {
        loop {
            let Some(&lowest) = path.last() else { return Ok(None) };
            let lowest = &mut self.layers[lowest.index()];
            lowest.standing = Standing::LookedAt;
            let observed = lowest.writer.and_then(|writer| writer.act.observes());
            let Some(expected) = observed else { return Ok(None) };
            let source = self.only_source(expected)?;
            let Layer { standing, next, .. } = self.layers[source.index()];
            match (standing, next) {
                (Standing::Layer, None) => return Ok(Some(source)),
                // Two cas operations replaced one value.
                (Standing::Layer, Some(_)) => return Err(Stop::Violation),
                (Standing::Pending | Standing::LookedAt, _) => path.push(source),
            }
        }
    }

    /// Puts the layers of `path`, the lowest last, on the layer `below`.
    fn attach(&mut self, path: &mut Vec<At>, below: Option<At>) -> Result<(), Stop> {
        let mut below = below;
        while let Some(&layer) = path.last() {
            let inv = self.layers[layer.index()].writer.map_or(0, |writer| writer.inv);
            match below {
                None => {
                    self.begin_block(layer, inv);
                }
                Some(below) => {
                    let block = self.layers[below.index()].block;
                    self.grow(block, inv)?;
                    let above = &mut self.layers[layer.index()];
                    above.below = Some(below);
                    self.layers[below.index()].next = Some(layer);
                    self.blocks[block.index()].top = layer;
                    self.blocks[block.index()].layers += 1;
                    self.joins(layer, block);
                }
            }
            path.pop();
            below = Some(layer);
        }
        Ok(())
    }

    fn begin_block(&mut self, layer: At, s: Pos) -> At {
        let block = At::of(self.blocks.insert(Block::new(layer, s)));
        self.joins(layer, block);
        block
    }

    /// What was pending is a layer of a block.
    fn joins(&mut self, layer: At, block: At) {
        let layer = &mut self.layers[layer.index()];
        (layer.standing, layer.block) = (Standing::Layer, block);
        self.pending -= 1;
    }

    /// A read of the value of a layer returned.
    fn read(&mut self, layer: At, known: Known) -> Result<(), Stop> {
        let Layer { block, after, .. } = self.layers[layer.index()];
        if after < known.inv {
            return Err(Stop::Violation);
        }
        self.grow(block, known.inv)?;
        self.layers[layer.index()].read_by(known);
        self.ended(layer, known);
        Ok(())
    }

    /// An operation of the block began at `inv`.
    #[inline]
    fn grow(&mut self, block: At, inv: Pos) -> Result<(), Stop> {
        let Block { f, s, .. } = self.blocks[block.index()];
        if inv <= s {
            return Ok(());
        }
        if f != OPEN {
            let from = self.order.partition_point(|&(f, _)| f < s);
            let newly_before = self.order[from..].iter().take_while(|&&(f, _)| f < inv);
            for &(_, other) in newly_before {
                if other != block && self.blocks[other.index()].s > f {
                    return Err(Stop::Violation);
                }
            }
        }
        self.blocks[block.index()].s = inv;
        Ok(())
    }

    /// An operation of a layer returned just now.
    #[inline]
    fn ended(&mut self, layer: At, known: Known) {
        let Layer { block, mut below, .. } = self.layers[layer.index()];
        let f = &mut self.blocks[block.index()].f;
        if *f == OPEN {
            *f = known.res;
            self.order.push((known.res, block));
        }
        while let Some(lower) = below {
            let lower = &mut self.layers[lower.index()];
            if lower.after != OPEN {
                break;
            }
            (lower.after, below) = (known.res, lower.below);
        }
    }
}
