//! What is let go of, and what is remembered of it.

use std::collections::VecDeque;

use super::chain::{At, Block, Cut, Layer};
use super::{Known, Online, Window};
use crate::history::Pos;
use crate::linear::op::Fate;
use crate::values::Id;
use slab::Slab;

/// So many blocks are never looked through.
const FEW_BLOCKS: usize = 6;
/// So many layers of a chain are never looked through.
const FEW_LAYERS: u32 = 32;

/// A block that went, where no other that went must stand after it.
#[derive(Clone, Copy, Debug)]
struct Last {
    f: Pos,
    s: Pos,
    value: Id,
}

/// What came before some operations.
#[derive(Clone, Debug)]
struct Start {
    lasts: Vec<Last>,
    after: Option<Pos>,
}

/// What went together: how many operations and blocks, and up to where they were.
#[derive(Clone, Copy, Debug)]
struct Together {
    ops: u32,
    blocks: u32,
    after: Pos,
}

/// What went.
#[derive(Debug)]
pub(super) struct Retired {
    /// What came before all that is remembered.
    start: Start,
    /// What went together, one after the other, with all the operations and the blocks.
    remembered: VecDeque<Together>,
    ops: VecDeque<Known>,
    blocks: VecDeque<Last>,
    most: usize,
    /// Whether any of the blocks that went are forgotten.
    has_start: bool,
    /// The latest watermark with which a block or a layer went.
    pub behind: Pos,
    /// Whether some of that is not remembered.
    pub forgot: bool,
    /// The room to find what can go.
    closing: Vec<Pos>,
}

impl Retired {
    pub fn new(initial: Id, most: usize) -> Retired {
        let start = Start { lasts: vec![Last { f: 0, s: 0, value: initial }], after: None };
        Retired {
            start,
            remembered: VecDeque::new(),
            ops: VecDeque::new(),
            blocks: VecDeque::new(),
            most,
            has_start: false,
            behind: 0,
            forgot: false,
            closing: Vec::new(),
        }
    }

    /// Says that others were before all that it takes, up to a place; 0: none.
    pub fn begin_after(&mut self, place: Pos) {
        self.start.after = (place > 0).then_some(place);
    }

    /// Forgets all operations that are remembered, and remembers but a few from now on.
    pub fn forget(&mut self) {
        self.most = self.most.min(1);
        self.shorten();
        (self.ops, self.blocks) = (VecDeque::new(), VecDeque::new());
    }

    /// How many there may be before it is worth looking through them again, where now there are `count`. Who
    /// remembers nothing looks each time.
    fn room(&self, count: usize, few: usize) -> usize {
        if self.most == 0 { 0 } else { 2 * count + few }
    }

    /// Operations went together, so many of the last that are remembered.
    fn together(&mut self, ops: usize, blocks: usize, after: Pos) {
        // There are fewer than lines, which are counted in 31 bits.
        let together = Together { ops: ops as u32, blocks: blocks as u32, after };
        self.remembered.push_back(together);
        self.shorten();
    }

    fn shorten(&mut self) {
        while self.ops.len() > self.most {
            let Some(together) = self.remembered.pop_front() else { break };
            // Before the first went there was only the initial value, which is one of them.
            if !std::mem::replace(&mut self.has_start, true) {
                self.start.lasts.clear();
            }
            self.ops.drain(..together.ops as usize);
            self.start.lasts.extend(self.blocks.drain(..together.blocks as usize));
            last_of(&mut self.start.lasts);
            self.start.after = Some(together.after);
            self.forgot = true;
        }
    }
}

/// Those of the blocks after which none of the others must stand.
fn last_of(blocks: &mut Vec<Last>) {
    let greatest = (0..blocks.len()).max_by_key(|&at| blocks[at].s);
    let others = (0..blocks.len()).filter(|&at| Some(at) != greatest);
    let second = others.map(|at| blocks[at].s).max().unwrap_or(0);
    let first = greatest.map_or(0, |at| blocks[at].s);
    let mut at = 0..;
    blocks.retain(|block| {
        let is_greatest = at.next() == greatest;
        block.f >= if is_greatest { second } else { first }
    });
    // The one that a legal order may well put last comes first.
    blocks.sort_by_key(|block| std::cmp::Reverse(block.f.min(block.s)));
}

impl Online {
    /// Lets go of the blocks that can go.
    pub(super) fn retire(&mut self) {
        let count = self.leaving();
        let before = self.retired.ops.len();
        for at in 0..count {
            let (f, id) = self.order[at];
            let Block { s, top, bottom, .. } = self.blocks[id.index()];
            let value = self.layers[top.index()].value;
            self.retired.blocks.push_back(Last { f, s, value });
            let ops = &mut self.retired.ops;
            let take = |known: &Known| ops.push_back(*known);
            each_of(&self.blocks[id.index()], &self.layers, self.now, take);
            self.remove_layers(bottom, None);
            self.blocks.remove(id.index());
        }
        if let Some(&(after, _)) = self.order[..count].last() {
            self.order.drain(..count);
            self.retired.behind = self.retired.behind.max(self.watermark);
            self.retired.together(self.retired.ops.len() - before, count, after);
        }
        self.room = self.retired.room(self.order.len(), FEW_BLOCKS);
    }

    /// How many blocks, by their `f`, can go.
    fn leaving(&mut self) -> usize {
        let (order, blocks) = (&self.order, &self.blocks);
        let s = |at: usize| blocks[order[at].1.index()].s;
        let f = |at: usize| order[at].0;
        // The greatest `s` of the blocks from each on that returned before the watermark.
        let returned = order.partition_point(|&(f, _)| f < self.watermark);
        let closing = &mut self.retired.closing;
        closing.clear();
        closing.resize(returned, 0);
        let mut greatest = 0;
        for at in (0..returned).rev() {
            greatest = s(at).max(greatest);
            closing[at] = greatest;
        }
        let (mut count, mut greatest) = (0, 0);
        for (at, &closing) in closing.iter().enumerate().skip(1) {
            greatest = greatest.max(s(at - 1));
            if f(at) >= greatest && closing > f(at - 1) {
                count = at;
            }
        }
        count
    }

    /// Lets go of the layers of the chain of `layer` that can go, if there are many.
    #[inline]
    pub(super) fn shorten(&mut self, layer: At) {
        let id = self.layers[layer.index()].block;
        let block = &self.blocks[id.index()];
        if block.layers > block.room {
            self.shorten_block(id);
        }
    }

    fn shorten_block(&mut self, id: At) {
        let block = &self.blocks[id.index()];
        let (from, mut bottom) = (block.bottom, block.bottom);
        let mut gone = block.cut.as_ref().and_then(|cut| cut.gone);
        while self.layers[bottom.index()].after < self.watermark {
            let layer = &self.layers[bottom.index()];
            layer.each(|known| {
                if gone.is_none_or(|gone| gone.inv < known.inv) {
                    gone = Some(*known);
                }
            });
            let Some(next) = layer.next else { break };
            bottom = next;
        }
        if bottom != from {
            let first = match &block.cut {
                Some(cut) => cut.first,
                // All of them are still there.
                None => {
                    let mut first = None;
                    each_of(block, &self.layers, self.now, |known| {
                        if known.res == block.f {
                            first = Some(*known);
                        }
                    });
                    first
                }
            };
            let (s, is_initial) = (block.s, first.is_none());
            self.remove_layers(from, Some(bottom));
            self.layers[bottom.index()].below = None;
            let cut = &mut self.blocks[id.index()];
            (cut.bottom, cut.cut) = (bottom, Some(Box::new(Cut { first, gone })));
            self.retired.behind = self.retired.behind.max(self.watermark);
            self.retired.forgot = true;
            if is_initial {
                // The chain of the initial value: nothing went before it.
                let value = self.layers[bottom.index()].value;
                let last = Last { f: 0, s, value };
                self.retired.start = Start { lasts: vec![last], after: Some(self.now) };
            }
        }
        let block = &mut self.blocks[id.index()];
        let room = self.retired.room(block.layers as usize, FEW_LAYERS as usize);
        block.room = u32::try_from(room).unwrap_or(u32::MAX);
    }

    fn remove_layers(&mut self, from: At, to: Option<At>) {
        let mut at = Some(from);
        while let Some(layer) = at.filter(|_| at != to) {
            let &Layer { block, next, .. } = &self.layers[layer.index()];
            self.remove(layer);
            self.blocks[block.index()].layers -= 1;
            at = next;
        }
    }

    /// All that is there, with `last`, which has just ended.
    pub fn window(&self, last: Option<Known>) -> Window {
        let mut ops: Vec<Known> = self.retired.ops.iter().copied().collect();
        // Only the initial value's block can be there without a return of its own.
        for (_, block) in &self.blocks {
            each_of(block, &self.layers, self.now, |known| ops.push(*known));
        }
        ops.extend(self.pending());
        ops.extend(self.failed.iter().copied());
        if let Some(last) = last {
            ops.retain(|known| known.inv != last.inv);
            ops.push(last);
        }
        ops.retain(|known| known.fate != Fate::Info || known.act.puts().is_some());
        ops.sort_by_key(|known| known.inv);
        let start = &self.retired.start;
        Window {
            ops,
            initial: start.lasts.iter().map(|last| last.value).collect(),
            after: start.after,
        }
    }
}

/// Takes all operations of a block, or what stands for them.
fn each_of(block: &Block, layers: &Slab<Layer>, now: Pos, mut take: impl FnMut(&Known)) {
    let bottom = &layers[block.bottom.index()];
    match &block.cut {
        None => bottom.each(&mut take),
        Some(cut) => {
            cut.stand_ins(bottom, now).for_each(|known| take(&known));
            bottom.each_read(&mut take);
        }
    }
    let next = |layer: &Layer| layer.next.map(|next| &layers[next.index()]);
    std::iter::successors(next(bottom), |layer| next(layer))
        .for_each(|layer| layer.each(&mut take));
}
