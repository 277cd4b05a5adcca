//! The events of a search in their order, and a cursor over them that knows what is open.

use rustc_hash::FxHashMap;

use super::MOST_OPEN;
use super::machine::{Class, Machine};
use crate::history::Pos;
use crate::linear::object::Object;
use crate::linear::op::{Fate, Op};

/// Something that happens at one place of the history.
#[derive(Debug, Clone, Copy)]
pub(super) enum Event {
    /// An ok operation is invoked, and has this slot until it returns.
    Open { op: u32, slot: u32 },
    /// It returns.
    Close { op: u32, slot: u32 },
    /// An info operation is invoked: one more of its class.
    Pending { op: u32 },
}

/// What the search walks over.
#[derive(Debug)]
pub(super) struct Plan {
    pub events: Vec<Event>,
    /// The class of each operation.
    pub class: Vec<Class>,
    /// The return of each operation.
    pub res: Vec<Pos>,
    /// Whether there are info operations.
    pub has_pending: bool,
    /// The most slots in use at once.
    slots: usize,
    /// How many classes there are.
    classes: usize,
}

impl Plan {
    /// Plans the search.
    ///
    /// # Errors
    /// The operation with which more than [`MOST_OPEN`] are open.
    pub fn new<'o, O: Object>(
        object: &'o O,
        ops: &[Op<O::Act>],
    ) -> Result<(Plan, Machine<'o, O>), usize> {
        let useful = object.useful(ops);
        let mut places: Vec<(Pos, u32)> = Vec::with_capacity(2 * ops.len());
        for (index, op) in ops.iter().enumerate() {
            let at = index as u32;
            match op.fate {
                Fate::Ok => places.extend([(op.inv, at), (op.res, at)]),
                Fate::Info if useful[index] => places.push((op.inv, at)),
                Fate::Info | Fate::Fail => {}
            }
        }
        places.sort_unstable();
        let mut class_of: FxHashMap<&O::Act, Class> = FxHashMap::default();
        let mut classes = Vec::new();
        let class = ops.iter().map(|op| {
            *class_of.entry(&op.act).or_insert_with(|| {
                classes.push(op.act.clone());
                classes.len() as Class - 1
            })
        });
        let mut plan = Plan {
            events: Vec::with_capacity(places.len()),
            class: class.collect(),
            res: ops.iter().map(|op| op.res).collect(),
            has_pending: false,
            slots: 0,
            classes: classes.len(),
        };
        plan.lay_out(ops, &places)?;
        Ok((plan, Machine::new(object, classes)))
    }

    fn lay_out<A>(&mut self, ops: &[Op<A>], places: &[(Pos, u32)]) -> Result<(), usize> {
        let mut slot_of: FxHashMap<u32, u32> = FxHashMap::default();
        let mut free: Vec<u32> = Vec::new();
        for &(place, op) in places {
            let known = &ops[op as usize];
            let event = if known.fate == Fate::Info {
                self.has_pending = true;
                Event::Pending { op }
            } else if place == known.inv {
                let slot = free.pop().unwrap_or(self.slots as u32);
                self.slots = self.slots.max(slot as usize + 1);
                if self.slots > MOST_OPEN {
                    return Err(op as usize);
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

    /// The operation of the event at `index`; that of the last one past the end.
    pub fn op_at(&self, index: usize) -> usize {
        let index = index.min(self.events.len().saturating_sub(1));
        match self.events.get(index) {
            Some(&(Event::Open { op, .. } | Event::Close { op, .. } | Event::Pending { op })) => {
                op as usize
            }
            None => 0,
        }
    }
}

/// The open operations of one class, by their slots.
pub(super) type OfClass = (Class, u128);

/// A place between two events, and what is open there.
pub(super) struct Cursor<'p> {
    pub plan: &'p Plan,
    at: usize,
    /// The ok operation in each slot, where one is.
    pub open: Vec<u32>,
    /// The open reads.
    pub reads: Vec<OfClass>,
    /// The other open ok operations.
    pub updates: Vec<OfClass>,
    /// How many info operations of each class were invoked.
    pub available: Vec<u32>,
    /// The classes of which at least one was.
    pub pending: Vec<Class>,
}

impl<'p> Cursor<'p> {
    pub fn new(plan: &'p Plan) -> Cursor<'p> {
        Cursor {
            plan,
            at: 0,
            open: vec![0; plan.slots],
            reads: Vec::new(),
            updates: Vec::new(),
            available: vec![0; plan.classes],
            pending: Vec::new(),
        }
    }

    /// How many events lie behind it.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The next event.
    pub fn event(&self) -> Option<Event> {
        self.plan.events.get(self.at).copied()
    }

    fn opened<O: Object>(&mut self, op: u32, slot: u32, machine: &Machine<'_, O>) {
        self.open[slot as usize] = op;
        let class = self.plan.class[op as usize];
        let list = if machine.is_read(class) { &mut self.reads } else { &mut self.updates };
        match list.iter_mut().find(|(other, _)| *other == class) {
            Some((_, mask)) => *mask |= 1 << slot,
            None => list.push((class, 1 << slot)),
        }
    }

    fn closed<O: Object>(&mut self, op: u32, slot: u32, machine: &Machine<'_, O>) {
        let class = self.plan.class[op as usize];
        let list = if machine.is_read(class) { &mut self.reads } else { &mut self.updates };
        let Some(at) = list.iter().position(|(other, _)| *other == class) else { return };
        list[at].1 &= !(1 << slot);
        if list[at].1 == 0 {
            list.swap_remove(at);
        }
    }

    /// Goes past the next event.
    pub fn step<O: Object>(&mut self, machine: &Machine<'_, O>) {
        match self.plan.events[self.at] {
            Event::Open { op, slot } => self.opened(op, slot, machine),
            Event::Close { op, slot } => self.closed(op, slot, machine),
            Event::Pending { op } => {
                let class = self.plan.class[op as usize];
                self.available[class as usize] += 1;
                if self.available[class as usize] == 1 {
                    self.pending.push(class);
                }
            }
        }
        self.at += 1;
    }

    fn back<O: Object>(&mut self, machine: &Machine<'_, O>) {
        self.at -= 1;
        match self.plan.events[self.at] {
            Event::Open { op, slot } => self.closed(op, slot, machine),
            Event::Close { op, slot } => self.opened(op, slot, machine),
            Event::Pending { op } => {
                let class = self.plan.class[op as usize];
                self.available[class as usize] -= 1;
                if self.available[class as usize] == 0 {
                    // Classes come in the order of their first operation, so the last one goes first.
                    self.pending.pop();
                }
            }
        }
    }

    /// Goes to the place with `at` events behind it.
    pub fn seek<O: Object>(&mut self, at: usize, machine: &Machine<'_, O>) {
        while self.at > at {
            self.back(machine);
        }
        while self.at < at {
            self.step(machine);
        }
    }
}
