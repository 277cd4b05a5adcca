//! What values are put into and taken from, each of them once: puts and takes, half and half.

use std::collections::{BTreeMap, HashMap};

use breakit::rng::{Pcg64, RngExt};

use super::{Call, Object};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Fifo,
    Bag,
    Stack,
    Priority,
}

/// A container.
pub struct Container {
    kind: Kind,
    processes: usize,
    /// By the order in which they leave, which is that of their rank.
    items: BTreeMap<u64, u64>,
    put: u64,
    pushed: u64,
    /// The lines of the put of each value.
    spans: HashMap<u64, (u64, u64)>,
}

/// So far behind the front a false take looks for its value.
const REACH: usize = 200;

impl Container {
    pub fn new(kind: Kind, processes: usize) -> Container {
        let (items, spans) = (BTreeMap::new(), HashMap::new());
        Container { kind, processes, items, put: 0, pushed: 0, spans }
    }

    fn names(&self) -> [&'static str; 2] {
        match self.kind {
            Kind::Fifo | Kind::Bag => ["enqueue", "dequeue"],
            Kind::Stack => ["push", "pop"],
            Kind::Priority => ["insert", "extract"],
        }
    }

    /// The least leaves first.
    fn rank(&mut self, value: u64) -> u64 {
        self.pushed += 1;
        match self.kind {
            Kind::Fifo => self.pushed,
            Kind::Stack => u64::MAX - self.pushed,
            Kind::Bag => scattered(self.pushed),
            Kind::Priority => value,
        }
    }

    /// When its put began and ended, if it ended.
    fn span(&self, value: u64) -> (u64, u64) {
        self.spans.get(&value).copied().unwrap_or((0, u64::MAX))
    }
}

/// Another number for each, in no order.
fn scattered(number: u64) -> u64 {
    number.wrapping_mul(2_654_435_761) & 0xffff_ffff
}

impl Object for Container {
    fn next(&mut self, slot: usize, inv: u64, rng: &mut Pcg64) -> Call {
        let [put, take] = self.names();
        if rng.random_bool(0.5) {
            return Call { slot, f: take, key: None, number: 0, argument: "null".into(), inv };
        }
        self.put += 1;
        let number = if self.kind == Kind::Priority { scattered(self.put) } else { self.put };
        self.spans.insert(number, (inv, u64::MAX));
        Call { slot, f: put, key: None, number, argument: number.to_string(), inv }
    }

    fn take_effect(&mut self, call: &Call) -> Option<String> {
        if call.f == self.names()[0] {
            let rank = self.rank(call.number);
            self.items.insert(rank, call.number);
            return Some(call.argument.clone());
        }
        Some(self.items.pop_first().map_or("null".into(), |(_, value)| value.to_string()))
    }

    fn returned(&mut self, call: &Call, line: u64) {
        if let Some(span) = self.spans.get_mut(&call.number) {
            span.1 = line;
        }
    }

    /// A value that leaves before another which surely should have, and which no take that is open now can take: as many
    /// as there are processes leave before it. Of a bag nothing, though as much was surely there.
    fn lie(&mut self, call: &Call) -> Option<String> {
        if call.f == self.names()[0] {
            return None;
        }
        let near: Vec<(u64, u64)> = self.items.iter().map(|(r, v)| (*r, *v)).take(REACH).collect();
        let first = self.processes + 1;
        if self.kind == Kind::Bag {
            let sure = near.iter().filter(|(_, value)| self.span(*value).1 < call.inv).count();
            return (sure > first).then(|| "null".into());
        }
        for (at, &(_, front)) in near.iter().enumerate().skip(first) {
            for &(rank, value) in &near[at + 1..] {
                let (front, other) = (self.span(front), self.span(value));
                let is_false = match self.kind {
                    Kind::Fifo => front.1 < other.0,
                    Kind::Stack => other.1 < front.0 && front.1 < call.inv,
                    Kind::Priority | Kind::Bag => front.1 < call.inv,
                };
                if is_false {
                    self.items.remove(&rank);
                    return Some(value.to_string());
                }
            }
        }
        None
    }
}
