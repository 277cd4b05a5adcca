//! What is let go of, and what is remembered of it.

use std::collections::VecDeque;

use super::sources::Source;
use super::{Known, Online, Window};
use crate::history::Pos;
use crate::linear::op::Fate;
use crate::values::Id;

/// So many blocks are never looked through.
const FEW_BLOCKS: usize = 6;
/// So many layers of a chain are never looked through.
const FEW_LAYERS: usize = 32;

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

/// What went.
#[derive(Debug)]
pub(super) struct Retired {
    /// What came before all that is remembered.
    start: Start,
    /// What went together, and how it stood after that.
    remembered: VecDeque<(Vec<Known>, Start)>,
    count: usize,
    most: usize,
    /// Whether any block went.
    blocks: bool,
    /// The latest watermark with which a block or a layer went.
    pub behind: Pos,
    /// Whether some of that is not remembered.
    pub forgot: bool,
}

impl Retired {
    pub fn new(initial: Id, most: usize) -> Retired {
        let start = Start { lasts: vec![Last { f: 0, s: 0, value: initial }], after: None };
        let (remembered, count) = (VecDeque::new(), 0);
        Retired { start, remembered, count, most, blocks: false, behind: 0, forgot: false }
    }

    /// Says that others were before all that it takes, up to a place; 0: none.
    pub fn begin_after(&mut self, place: Pos) {
        self.start.after = (place > 0).then_some(place);
    }

    /// Forgets all operations that are remembered, and remembers but a few from now on.
    pub fn forget(&mut self) {
        self.most = self.most.min(1);
        self.shorten();
    }

    /// How many there may be before it is worth looking through them again, where now there are `count`. Who
    /// remembers nothing looks each time.
    fn room(&self, count: usize, few: usize) -> usize {
        if self.most == 0 { 0 } else { 2 * count + few }
    }

    /// Takes operations that go together, and their blocks.
    fn take(&mut self, ops: Vec<Known>, blocks: Vec<Last>, after: Pos) {
        let mut lasts = match self.remembered.back() {
            Some((_, start)) => start.lasts.clone(),
            None if self.blocks => self.start.lasts.clone(),
            // Before the first went there was only the initial value, which is one of them.
            None => Vec::new(),
        };
        lasts.extend(blocks);
        let start = Start { lasts: last_of(lasts), after: Some(after) };
        (self.blocks, self.count) = (true, self.count + ops.len());
        self.remembered.push_back((ops, start));
        self.shorten();
    }

    fn shorten(&mut self) {
        while self.count > self.most {
            let Some((ops, start)) = self.remembered.pop_front() else { break };
            (self.count, self.start) = (self.count - ops.len(), start);
            self.forgot = true;
        }
        if self.remembered.is_empty() {
            self.remembered.shrink_to_fit();
        }
    }
}

/// Those of the blocks after which none of the others must stand.
fn last_of(mut blocks: Vec<Last>) -> Vec<Last> {
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
    blocks
}

impl Online {
    /// Lets go of the blocks that can go.
    pub(super) fn retire(&mut self) {
        let count = self.leaving();
        let mut ops = Vec::new();
        let mut lasts = Vec::with_capacity(count);
        let mut after = 0;
        for (f, id) in self.order.drain(..count).collect::<Vec<_>>() {
            after = f;
            let block = self.blocks[id];
            let value = self.layers[block.top].value;
            lasts.push(Last { f, s: block.s, value });
            self.ops_of_block(id, &mut ops);
            self.remove_layers(block.bottom, None);
            self.blocks.remove(id);
        }
        if count > 0 {
            self.retired.behind = self.retired.behind.max(self.watermark);
            self.retired.take(ops, lasts, after);
        }
        self.room = self.retired.room(self.order.len(), FEW_BLOCKS);
    }

    /// How many blocks, by their `f`, can go.
    fn leaving(&self) -> usize {
        let s = |at: usize| self.blocks[self.order[at].1].s;
        let f = |at: usize| self.order[at].0;
        // The greatest `s` of the blocks from each on that returned before the watermark.
        let mut closing = vec![0; self.order.len() + 1];
        for at in (0..self.order.len()).rev() {
            let own = if f(at) < self.watermark { s(at) } else { 0 };
            closing[at] = closing[at + 1].max(own);
        }
        let (mut count, mut greatest) = (0, 0);
        for (at, &closing) in closing.iter().enumerate().take(self.order.len()).skip(1) {
            greatest = greatest.max(s(at - 1));
            if f(at) >= greatest && closing > f(at - 1) {
                count = at;
            }
        }
        count
    }

    /// Lets go of the layers of the chain of `layer` that can go, if there are many.
    pub(super) fn shorten(&mut self, layer: usize) {
        let id = self.layers[layer].block;
        if self.blocks[id].layers <= self.blocks[id].room {
            return;
        }
        let block = self.blocks[id];
        let mut bottom = block.bottom;
        let mut gone = block.gone;
        while self.layers[bottom].after < self.watermark {
            let layer = &self.layers[bottom];
            for known in layer.ops() {
                if gone.is_none_or(|gone| gone.inv < known.inv) {
                    gone = Some(known);
                }
            }
            let Some(next) = layer.next else { break };
            bottom = next;
        }
        if bottom != block.bottom {
            self.remove_layers(block.bottom, Some(bottom));
            self.layers[bottom].below = None;
            let cut = &mut self.blocks[id];
            (cut.bottom, cut.is_cut, cut.gone) = (bottom, true, gone);
            self.retired.behind = self.retired.behind.max(self.watermark);
            self.retired.forgot = true;
            if block.first.is_none() {
                // The chain of the initial value: nothing went before it.
                let value = self.layers[bottom].value;
                let last = Last { f: 0, s: block.s, value };
                self.retired.start = Start { lasts: vec![last], after: Some(self.now) };
            }
        }
        self.blocks[id].room = self.retired.room(self.blocks[id].layers, FEW_LAYERS);
    }

    fn remove_layers(&mut self, from: usize, to: Option<usize>) {
        let mut at = Some(from);
        while let Some(layer) = at.filter(|_| at != to) {
            let gone = self.layers.remove(layer);
            self.sources.remove(gone.value, &Source::Layer(layer));
            if let Some(block) = self.blocks.get_mut(gone.block) {
                block.layers -= 1;
            }
            at = gone.next;
        }
    }

    fn ops_of_block(&self, id: usize, ops: &mut Vec<Known>) {
        let block = &self.blocks[id];
        let mut at = Some(block.bottom);
        while let Some(layer) = at.map(|at| &self.layers[at]) {
            if block.is_cut && at == Some(block.bottom) {
                ops.extend(block.stand_ins(layer, self.now));
                ops.extend(layer.reads());
            } else {
                ops.extend(layer.ops());
            }
            at = layer.next;
        }
    }

    /// All that is there, with `last`, which has just ended.
    pub fn window(&self, last: Option<Known>) -> Window {
        let mut ops: Vec<Known> =
            self.retired.remembered.iter().flat_map(|(ops, _)| ops.iter().copied()).collect();
        // Only the initial value's block can be there without a return of its own.
        for (id, _) in &self.blocks {
            self.ops_of_block(id, &mut ops);
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
