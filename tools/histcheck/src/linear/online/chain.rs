//! Layers and blocks.

use std::num::NonZeroU32;

use super::Known;
use crate::history::{OPEN, Pos};
use crate::linear::op::{Act, Fate};
use crate::values::Id;

/// The place of a layer or of a block. There are fewer than lines, which are counted in 31 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At(NonZeroU32);

impl At {
    pub fn of(index: usize) -> At {
        At(NonZeroU32::MIN.saturating_add(index as u32))
    }

    #[inline]
    pub fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// Whether a layer is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Its writer may not have happened.
    Pending,
    /// The same, while it is found out on what it rests.
    LookedAt,
    /// Its writer surely happened: it is in a block.
    Layer,
}

/// A value with its writer and its reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layer {
    pub value: Id,
    pub standing: Standing,
    /// The block that it is in; without a meaning as long as it is pending.
    pub block: At,
    /// `None` for the initial value.
    pub writer: Option<Known>,
    /// The read that returned first.
    first: Option<Known>,
    /// The read that began last.
    last: Option<Known>,
    pub below: Option<At>,
    pub next: Option<At>,
    /// The next source of the same value.
    pub same: Option<At>,
    /// The first return of a layer above.
    pub after: Pos,
}

impl Layer {
    /// What is in no block yet.
    pub fn new(value: Id, writer: Option<Known>) -> Layer {
        Layer {
            value,
            standing: Standing::Pending,
            block: At::of(0),
            writer,
            first: None,
            last: None,
            below: None,
            next: None,
            same: None,
            after: OPEN,
        }
    }

    /// Reads come in the order of their returns. The first to return and the last to begin stand for all: another
    /// one, which begins no later and ends no earlier, has a moment between those two in which the value is there.
    pub fn read_by(&mut self, known: Known) {
        self.first.get_or_insert(known);
        if self.last.is_none_or(|last| last.inv < known.inv) {
            self.last = Some(known);
        }
    }

    /// Takes its operations.
    #[inline]
    pub fn each(&self, mut take: impl FnMut(&Known)) {
        self.writer.iter().for_each(&mut take);
        self.each_read(take);
    }

    /// Takes those of them that are reads.
    #[inline]
    pub fn each_read(&self, mut take: impl FnMut(&Known)) {
        let (Some(first), Some(last)) = (&self.first, &self.last) else { return };
        take(first);
        if last.inv != first.inv {
            take(last);
        }
    }
}

/// A chain of layers.
#[derive(Debug)]
pub(super) struct Block {
    /// The first return; `OPEN` only within the event that makes the block.
    pub f: Pos,
    /// The last invocation.
    pub s: Pos,
    /// The lowest layer that is there.
    pub bottom: At,
    /// The highest layer.
    pub top: At,
    /// How many layers are there.
    pub layers: u32,
    /// How many there may be before it is worth looking for some that can go.
    pub room: u32,
    /// What is known of layers below that are gone, where some are.
    pub cut: Option<Box<Cut>>,
}

/// What is known of layers that are gone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    /// The operation of the block that returned first; `None` for the initial value's pseudo-write.
    pub first: Option<Known>,
    /// The operation of those that are gone that began last.
    pub gone: Option<Known>,
}

impl Block {
    pub fn new(layer: At, s: Pos) -> Block {
        let (bottom, top) = (layer, layer);
        Block { f: OPEN, s, bottom, top, layers: 1, room: 0, cut: None }
    }
}

impl Cut {
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
