//! The info operations that have been invoked: how many there are of each, and where the register can always go
//! while they are taken for endless.

use rustc_hash::FxHashMap;

use super::state::{Deed, Value};
use crate::history::{OPEN, Pos};

/// How many info operations there are of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    /// As many as were invoked.
    Exact,
    /// As many as are wanted, once one was invoked.
    Endless,
}

/// Info operations of one deed.
#[derive(Debug)]
pub(super) struct Kind {
    pub deed: Deed,
    /// Where they were invoked.
    pub invoked: Vec<Pos>,
}

/// All that were invoked so far.
#[derive(Debug)]
pub(super) struct Supply {
    pub count: Count,
    pub kinds: Vec<Kind>,
    by_deed: FxHashMap<Deed, u32>,
    pub home: Home,
}

/// The values among which endless info operations lead to and fro, from everywhere: those that they write, and those
/// that cas lead to from there.
#[derive(Debug)]
pub(super) struct Home {
    /// Since where each value is one of them.
    joined: Vec<Pos>,
    pub values: Vec<Value>,
    /// Where the last one became one.
    pub widened: Pos,
}

impl Home {
    /// Whether an operation can take effect at home at any time and leave the register there, and so has no other use.
    pub fn is_free(&self, deed: Deed) -> bool {
        match deed {
            Deed::Read(value) | Deed::Write(value) => self.has(value),
            Deed::Cas(from, to) => self.has(from) && self.has(to),
            Deed::Differs(value) => self.values.iter().any(|&other| other != value),
        }
    }

    /// Whether `value` was one of them before `pos`.
    pub fn had(&self, value: Value, pos: Pos) -> bool {
        self.joined[value as usize] < pos
    }

    /// Whether `value` is one of them.
    pub fn has(&self, value: Value) -> bool {
        self.joined[value as usize] != OPEN
    }
}

impl Supply {
    pub fn new(values: usize, count: Count) -> Supply {
        let home = Home { joined: vec![OPEN; values], values: Vec::new(), widened: 0 };
        Supply { count, kinds: Vec::new(), by_deed: FxHashMap::default(), home }
    }

    /// One more is invoked. Says whether there is more [`Home`] now.
    pub fn add(&mut self, deed: Deed, pos: Pos) -> bool {
        let kind = *self.by_deed.entry(deed).or_insert(self.kinds.len() as u32) as usize;
        if kind == self.kinds.len() {
            self.kinds.push(Kind { deed, invoked: Vec::new() });
        }
        let is_new = self.kinds[kind].invoked.is_empty();
        if self.count == Count::Exact || is_new {
            self.kinds[kind].invoked.push(pos);
        }
        self.count == Count::Endless && is_new && self.widen(pos)
    }

    fn widen(&mut self, pos: Pos) -> bool {
        let before = self.home.values.len();
        loop {
            let leads = |kind: &Kind| match kind.deed {
                Deed::Write(value) => Some(value),
                Deed::Cas(from, to) if self.home.has(from) => Some(to),
                _ => None,
            };
            let mut values = self.kinds.iter().filter_map(leads);
            let Some(value) = values.find(|&value| !self.home.has(value)) else { break };
            self.home.joined[value as usize] = pos;
            self.home.widened = pos;
            self.home.values.push(value);
        }
        self.home.values.len() > before
    }

    /// Whether one of a kind of which `used` were used was there before `pos`.
    pub fn has(&self, kind: u32, used: u32, pos: Pos) -> bool {
        let invoked = &self.kinds[kind as usize].invoked;
        let needed = match self.count {
            Count::Exact => used as usize,
            Count::Endless => 0,
        };
        invoked.get(needed).is_some_and(|&at| at < pos)
    }
}
