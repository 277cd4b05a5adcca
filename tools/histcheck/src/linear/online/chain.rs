//! Layers and blocks.

use super::Known;
use crate::history::{OPEN, Pos};
use crate::linear::op::{Act, Fate};
use crate::values::Id;

/// A value with its writer and its reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layer {
    pub value: Id,
    pub block: usize,
    /// `None` for the initial value.
    pub writer: Option<Known>,
    /// The read that returned first.
    first: Option<Known>,
    /// The read that began last.
    last: Option<Known>,
    pub below: Option<usize>,
    pub next: Option<usize>,
    /// The first return of a layer above.
    pub after: Pos,
}

impl Layer {
    pub fn new(value: Id, block: usize, writer: Option<Known>) -> Layer {
        let (first, last, below, next) = (None, None, None, None);
        Layer { value, block, writer, first, last, below, next, after: OPEN }
    }

    /// Reads come in the order of their returns. The first to return and the last to begin stand for all: another
    /// one, which begins no later and ends no earlier, has a moment between those two in which the value is there.
    pub fn read_by(&mut self, known: Known) {
        self.first.get_or_insert(known);
        if self.last.is_none_or(|last| last.inv < known.inv) {
            self.last = Some(known);
        }
    }

    /// Its operations.
    pub fn ops(&self) -> impl Iterator<Item = Known> {
        self.writer.into_iter().chain(self.reads())
    }

    /// Those of them that are reads.
    pub fn reads(&self) -> impl Iterator<Item = Known> {
        let last = self.last.filter(|last| self.first.is_some_and(|f| f.inv != last.inv));
        self.first.into_iter().chain(last)
    }
}

/// A chain of layers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    /// The first return; `OPEN` only within the event that makes the block.
    pub f: Pos,
    /// The operation that returned first; `None` for the initial value's pseudo-write.
    pub first: Option<Known>,
    /// The last invocation.
    pub s: Pos,
    /// The lowest layer that is there.
    pub bottom: usize,
    /// The highest layer.
    pub top: usize,
    /// How many layers are there.
    pub layers: usize,
    /// How many there may be before it is worth looking for some that can go.
    pub room: usize,
    /// Whether layers below are gone.
    pub is_cut: bool,
    /// Of those the operation that began last.
    pub gone: Option<Known>,
}

impl Block {
    pub fn new(layer: usize, s: Pos) -> Block {
        let (bottom, top) = (layer, layer);
        Block {
            f: OPEN,
            first: None,
            s,
            bottom,
            top,
            layers: 1,
            room: 0,
            is_cut: false,
            gone: None,
        }
    }

    /// What stands for the layers that are gone, in a chain that now begins with `bottom`: its first return writes
    /// that value, and what began last, and the cas that put the value, read it. `f` and `s` of the block,
    /// and the order within it, stay as they were.
    pub fn stand_ins(&self, bottom: &Layer, now: Pos) -> impl Iterator<Item = Known> {
        let acting = move |known: Known, act| {
            let res = if known.res == OPEN { now } else { known.res };
            Known { act, fate: Fate::Ok, res, ..known }
        };
        let value = bottom.value;
        let writes = self.first.map(|known| acting(known, Act::Write(value)));
        let reads = [self.gone, bottom.writer].into_iter().flatten();
        writes.into_iter().chain(reads.map(move |known| acting(known, Act::Read(value))))
    }
}
