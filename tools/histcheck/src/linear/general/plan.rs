//! The events of a search in their order, and a cursor over them that knows what is open.

use std::collections::{HashMap, HashSet};

use super::MOST_OPEN;
use crate::linear::op::{Act, Fate, Op};
use crate::values::Id;

/// Something that happens at one place of the history.
#[derive(Debug, Clone, Copy)]
pub(super) enum Event {
    /// An ok operation is invoked, and has this slot until it returns.
    Open { op: usize, slot: usize },
    /// It returns.
    Close { op: usize, slot: usize },
    /// An info operation is invoked: one more of its class.
    Pending { op: usize, class: u32 },
}

/// What the search walks over.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub ops: &'a [Op],
    pub events: Vec<Event>,
    /// The effect of each class of info operations.
    pub classes: Vec<Act>,
    /// The most slots in use at once.
    slots: usize,
}

impl<'a> Plan<'a> {
    /// Plans the search.
    ///
    /// # Errors
    /// The operation with which more than [`MOST_OPEN`] are open.
    pub fn new(ops: &'a [Op]) -> Result<Plan<'a>, usize> {
        let useful = useful(ops);
        let mut places: Vec<(u32, usize)> = Vec::with_capacity(2 * ops.len());
        for (index, op) in ops.iter().enumerate() {
            match op.fate {
                Fate::Ok => places.extend([(op.inv, index), (op.res, index)]),
                Fate::Info if useful[index] => places.push((op.inv, index)),
                Fate::Info | Fate::Fail => {}
            }
        }
        places.sort_unstable();
        let mut plan = Plan { ops, events: Vec::new(), classes: Vec::new(), slots: 0 };
        plan.lay_out(&places)?;
        Ok(plan)
    }

    fn lay_out(&mut self, places: &[(u32, usize)]) -> Result<(), usize> {
        let mut class_of: HashMap<Act, u32> = HashMap::new();
        let mut slot_of: HashMap<usize, usize> = HashMap::new();
        let mut free: Vec<usize> = Vec::new();
        for &(place, op) in places {
            let Op { act, fate, .. } = self.ops[op];
            let event = if fate == Fate::Info {
                let classes = &mut self.classes;
                let class = *class_of.entry(act).or_insert_with(|| {
                    classes.push(act);
                    classes.len() as u32 - 1
                });
                Event::Pending { op, class }
            } else if place == self.ops[op].inv {
                let slot = free.pop().unwrap_or(self.slots);
                self.slots = self.slots.max(slot + 1);
                if self.slots > MOST_OPEN {
                    return Err(op);
                }
                slot_of.insert(op, slot);
                Event::Open { op, slot }
            } else {
                let slot = slot_of.remove(&op).unwrap_or_default();
                free.push(slot);
                Event::Close { op, slot }
            };
            self.events.push(event);
        }
        Ok(())
    }

    pub fn act(&self, op: usize) -> Act {
        self.ops[op].act
    }

    /// The operation of the event at `index`; that of the last one past the end.
    pub fn op_at(&self, index: usize) -> usize {
        let index = index.min(self.events.len().saturating_sub(1));
        match self.events.get(index) {
            Some(
                &(Event::Open { op, .. } | Event::Close { op, .. } | Event::Pending { op, .. }),
            ) => op,
            None => 0,
        }
    }
}

/// Which info operations put a value that something observes. To leave the others out of a legal order leaves
/// a legal order.
fn useful(ops: &[Op]) -> Vec<bool> {
    let mut observed: HashSet<Id> = HashSet::new();
    let mut putters: HashMap<Id, Vec<usize>> = HashMap::new();
    let mut work: Vec<Id> = Vec::new();
    for (index, op) in ops.iter().enumerate() {
        match (op.fate, op.act.observes(), op.act.puts()) {
            (Fate::Ok, Some(value), _) => work.push(value),
            (Fate::Info, _, Some(value)) => putters.entry(value).or_default().push(index),
            _ => {}
        }
    }
    let mut useful = vec![false; ops.len()];
    while let Some(value) = work.pop() {
        if !observed.insert(value) {
            continue;
        }
        for &index in putters.get(&value).into_iter().flatten() {
            useful[index] = true;
            work.extend(ops[index].act.observes());
        }
    }
    useful
}

/// A place between two events, and what is open there.
pub(super) struct Cursor<'p> {
    pub plan: &'p Plan<'p>,
    at: usize,
    /// The ok operation in each slot.
    pub open: Vec<Option<usize>>,
    /// How many info operations of each class were invoked.
    pub available: Vec<u32>,
    /// The classes of which at least one was.
    pub pending: Vec<u32>,
}

impl<'p> Cursor<'p> {
    pub fn new(plan: &'p Plan<'p>) -> Cursor<'p> {
        let (open, available) = (vec![None; plan.slots], vec![0; plan.classes.len()]);
        Cursor { plan, at: 0, open, available, pending: Vec::new() }
    }

    /// How many events lie behind it.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The next event.
    pub fn event(&self) -> Option<Event> {
        self.plan.events.get(self.at).copied()
    }

    /// Goes past the next event.
    pub fn step(&mut self) {
        match self.plan.events[self.at] {
            Event::Open { op, slot } => self.open[slot] = Some(op),
            Event::Close { slot, .. } => self.open[slot] = None,
            Event::Pending { class, .. } => {
                self.available[class as usize] += 1;
                if self.available[class as usize] == 1 {
                    self.pending.push(class);
                }
            }
        }
        self.at += 1;
    }

    fn back(&mut self) {
        self.at -= 1;
        match self.plan.events[self.at] {
            Event::Open { slot, .. } => self.open[slot] = None,
            Event::Close { op, slot } => self.open[slot] = Some(op),
            Event::Pending { class, .. } => {
                self.available[class as usize] -= 1;
                if self.available[class as usize] == 0 {
                    // Classes come in the order of their first operation, so the last one goes first.
                    self.pending.pop();
                }
            }
        }
    }

    /// Goes to the place with `at` events behind it.
    pub fn seek(&mut self, at: usize) {
        while self.at > at {
            self.back();
        }
        while self.at < at {
            self.step();
        }
    }
}
