//! A register of which all is kept, for a search that is made again and again: where values come again too
//! soon for the zones.

use rustc_hash::FxHashMap;

use super::{Known, Window};
use crate::history::{OPEN, Pos};
use crate::linear::op::{Fate, Op};
use crate::values::Id;

/// The operations of one register from some moment on.
#[derive(Debug, Clone)]
pub struct Kept {
    ops: Vec<Known>,
    /// The place among them of those whose end is not known, by their invocation.
    open: FxHashMap<Pos, usize>,
    /// What the register may hold first; the first is enough to decide.
    pub initial: Vec<Id>,
    /// The place up to which others were.
    pub after: Option<Pos>,
}

impl Kept {
    /// Goes on after `window`.
    pub fn after(window: Window) -> Kept {
        let Window { ops, initial, after } = window;
        let is_open =
            |(at, known): (usize, &Known)| (known.fate == Fate::Info).then_some((known.inv, at));
        let open = ops.iter().enumerate().filter_map(is_open).collect();
        Kept { ops, open, initial, after }
    }

    /// A write or cas began.
    pub fn begin(&mut self, known: Known) {
        self.open.insert(known.inv, self.ops.len());
        self.ops.push(known.pending());
    }

    /// An operation returned.
    pub fn returned(&mut self, known: Known) {
        match self.open.remove(&known.inv) {
            Some(at) => self.ops[at] = known,
            None => self.ops.push(known),
        }
    }

    /// A write or cas that began did not happen.
    pub fn failed(&mut self, known: Known) {
        if let Some(at) = self.open.remove(&known.inv) {
            (self.ops[at].fate, self.ops[at].res) = (Fate::Fail, OPEN);
        }
    }

    /// How much has come: operations, and once more those that ended.
    pub fn events(&self) -> usize {
        2 * self.ops.len() - self.open.len()
    }

    /// The operations, as the engines take them; each names its place among [`Kept::known`].
    pub fn ops(&self) -> Vec<Op> {
        super::ops(&self.ops)
    }

    /// The operations with what a report says of them.
    pub fn known(&self) -> &[Known] {
        &self.ops
    }
}
