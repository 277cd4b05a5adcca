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
use crate::values::Id;
use chain::{Block, Layer};
pub use kept::Kept;
use retired::Retired;
use sources::{Of, Source, Sources};

/// An operation with what a report says of it, in few bytes: each key holds some.
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
    pub node: Option<Id>,
    /// Its name, by its place among the history's words.
    pub f: u16,
    /// Whether it happened.
    pub fate: Fate,
}

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
    sources: Sources,
    layers: Slab<Layer>,
    blocks: Slab<Block>,
    /// All blocks by their `f`.
    order: Vec<(Pos, usize)>,
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
            blocks: Slab::with_capacity(2),
            order: Vec::with_capacity(2),
            watermark: 0,
            now: 0,
            retired: Retired::new(initial, remembered),
            failed: VecDeque::new(),
            room: 0,
        };
        let layer = online.begin_block(initial, None, 0);
        let block = online.layers[layer].block;
        online.blocks[block].f = 0;
        online.order.push((0, block));
        online.sources.add(initial, Source::Layer(layer));
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
        let pending = known.pending();
        if let Some(value) = known.act.puts() {
            self.sources.add(value, Source::Pending(pending));
        }
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
                let layer = self.layer_of(value)?;
                self.read(layer, known)
            }
            Act::Write(value) | Act::Cas(_, value) => {
                match self.layer_written(value, known.inv)? {
                    Some(layer) => {
                        self.layers[layer].writer = Some(known);
                        self.ended(layer, known);
                        self.shorten(layer);
                        Ok(())
                    }
                    // It counted as one that never ends, and its value was replaced since.
                    None => Ok(()),
                }
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
        match self.source(value, known.inv) {
            Some(Source::Layer(layer)) => {
                self.layers[layer].writer = Some(known);
                return Err(Stop::Violation);
            }
            Some(pending) => self.sources.remove(value, &pending),
            None => {}
        }
        if self.failed.len() == MOST_FAILED {
            self.failed.pop_front();
        }
        self.failed.push_back(known);
        Ok(())
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
        self.order.len() <= FEW_LEFT && self.held() <= MOST_LEFT
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
        let has_pending = self.sources.len() > 1;
        if self.layers.len() > 1 || has_pending && f >= self.watermark {
            return None;
        }
        Some(self.layers[self.blocks[block].top].value)
    }

    /// The writes and cas that may happen yet.
    pub(crate) fn pending(&self) -> impl Iterator<Item = Known> {
        self.sources.iter().filter_map(|source| match source {
            Source::Pending(known) => Some(*known),
            Source::Layer(_) => None,
        })
    }

    /// Forgets what is remembered to be shown, and remembers nothing more.
    pub fn forget(&mut self) {
        self.retired.forget();
    }

    /// How many values and pending operations are held.
    pub fn held(&self) -> usize {
        self.layers.len() + self.sources.len()
    }

    /// The layer of the one source of a value that was observed.
    fn layer_of(&mut self, value: Id) -> Result<usize, Stop> {
        match self.only_source(value)? {
            Source::Layer(layer) => Ok(layer),
            Source::Pending(writer) => self.happens(writer),
        }
    }

    fn only_source(&mut self, value: Id) -> Result<Source, Stop> {
        if let Of::Several = self.sources.of(value) {
            self.retire();
        }
        match self.sources.of(value) {
            Of::Nobody => Err(Stop::Violation),
            Of::One(source) => Ok(source),
            Of::Several => Err(Stop::Ambiguous),
        }
    }

    /// The layer that the operation invoked at `inv` put there.
    fn layer_written(&mut self, value: Id, inv: Pos) -> Result<Option<usize>, Stop> {
        match self.source(value, inv) {
            Some(Source::Layer(layer)) => Ok(Some(layer)),
            Some(Source::Pending(writer)) => self.happens(writer).map(Some),
            None => Ok(None),
        }
    }

    /// A pending operation surely happened, and with it what it rests on: the layer of its value.
    fn happens(&mut self, writer: Known) -> Result<usize, Stop> {
        let mut path = vec![writer];
        let found = self.foundation(&mut path);
        let attached = found.and_then(|below| self.attach(&mut path, below));
        if attached.is_err() {
            for writer in path {
                let value = writer.act.puts();
                value
                    .into_iter()
                    .for_each(|value| self.sources.add(value, Source::Pending(writer)));
            }
        }
        attached
    }

    /// The layer on which the last of `path` rests, which grows downwards until one rests on a layer, or on nothing.
    /// What is on the path is no source meanwhile: cas operations that rest on one another in a circle find none.
    fn foundation(&mut self, path: &mut Vec<Known>) -> Result<Option<usize>, Stop> {
        loop {
            let Some(&lowest) = path.last() else { return Ok(None) };
            let Some(value) = lowest.act.puts() else { return Ok(None) };
            self.sources.remove(value, &Source::Pending(lowest));
            let Some(expected) = lowest.act.observes() else { return Ok(None) };
            match self.only_source(expected)? {
                Source::Layer(layer) if self.layers[layer].next.is_none() => {
                    return Ok(Some(layer));
                }
                // Two cas operations replaced one value.
                Source::Layer(_) => return Err(Stop::Violation),
                Source::Pending(writer) => path.push(writer),
            }
        }
    }

    /// Puts the layers of `path`, the lowest last, on the layer `below`.
    fn attach(&mut self, path: &mut Vec<Known>, below: Option<usize>) -> Result<usize, Stop> {
        let mut below = below;
        while let Some(&writer) = path.last() {
            // Only what puts a value is ever pending.
            let value = writer.act.puts().unwrap_or(Id(0));
            let layer = match below {
                None => self.begin_block(value, Some(writer), writer.inv),
                Some(below) => {
                    let block = self.layers[below].block;
                    self.grow(block, writer.inv)?;
                    let mut above = Layer::new(value, block, Some(writer));
                    above.below = Some(below);
                    let layer = self.layers.insert(above);
                    self.layers[below].next = Some(layer);
                    self.blocks[block].top = layer;
                    self.blocks[block].layers += 1;
                    layer
                }
            };
            self.sources.add(value, Source::Layer(layer));
            path.pop();
            below = Some(layer);
        }
        below.ok_or(Stop::Violation)
    }

    fn begin_block(&mut self, value: Id, writer: Option<Known>, s: Pos) -> usize {
        let layer = self.layers.insert(Layer::new(value, 0, writer));
        let block = self.blocks.insert(Block::new(layer, s));
        self.layers[layer].block = block;
        layer
    }

    /// A read of the value of a layer returned.
    fn read(&mut self, layer: usize, known: Known) -> Result<(), Stop> {
        let Layer { block, after, .. } = self.layers[layer];
        if after < known.inv {
            return Err(Stop::Violation);
        }
        self.grow(block, known.inv)?;
        self.layers[layer].read_by(known);
        self.ended(layer, known);
        Ok(())
    }

    /// An operation of the block began at `inv`.
    fn grow(&mut self, block: usize, inv: Pos) -> Result<(), Stop> {
        let Block { f, s, .. } = self.blocks[block];
        if inv <= s {
            return Ok(());
        }
        if f != OPEN {
            let from = self.order.partition_point(|&(f, _)| f < s);
            let newly_before = self.order[from..].iter().take_while(|&&(f, _)| f < inv);
            for &(_, other) in newly_before {
                if other != block && self.blocks[other].s > f {
                    return Err(Stop::Violation);
                }
            }
        }
        self.blocks[block].s = inv;
        Ok(())
    }

    /// An operation of a layer returned just now.
    fn ended(&mut self, layer: usize, known: Known) {
        let Layer { block, mut below, .. } = self.layers[layer];
        let block_of = &mut self.blocks[block];
        if block_of.f == OPEN {
            (block_of.f, block_of.first) = (known.res, Some(known));
            self.order.push((known.res, block));
        }
        while let Some(lower) = below {
            let lower = &mut self.layers[lower];
            if lower.after != OPEN {
                break;
            }
            (lower.after, below) = (known.res, lower.below);
        }
    }

    /// The source of `value` that was invoked at `inv`.
    fn source(&self, value: Id, inv: Pos) -> Option<Source> {
        self.sources.find(value, |source| match source {
            Source::Pending(writer) => writer.inv == inv,
            Source::Layer(layer) => self.layers[*layer].writer.is_some_and(|w| w.inv == inv),
        })
    }
}
