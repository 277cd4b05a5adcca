//! The way that a search in depth took, and the order of operations that it stands for.

use std::collections::VecDeque;

use super::machine::{Class, Machine, State};
use super::plan::{Cursor, Event, Plan};
use crate::linear::object::Object;

/// What took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pick {
    /// This ok operation.
    Op(u32),
    /// Some info operation of this class.
    Class(Class),
    /// Nothing yet.
    Nothing,
}

/// All choices of a search, each with the one before it.
#[derive(Debug)]
pub(super) struct Trail {
    nodes: Vec<Node>,
    kept: bool,
}

#[derive(Debug, Clone, Copy)]
struct Node {
    before: u32,
    pick: Pick,
    /// Which of the states that it may leave behind; of the first node, with which the search begins.
    choice: u32,
}

const START: u32 = u32::MAX;

impl Trail {
    /// A trail; one that is not `kept` takes no memory.
    pub fn new(kept: bool) -> Trail {
        Trail { nodes: Vec::new(), kept }
    }

    /// A search begins with this of the initial states.
    pub fn begin(&mut self, initial: usize) -> u32 {
        self.add(START, Pick::Nothing, initial as u32)
    }

    /// After the node `before`, `pick` left this of its states behind.
    pub fn add(&mut self, before: u32, pick: Pick, choice: u32) -> u32 {
        if !self.kept {
            return START;
        }
        self.nodes.push(Node { before, pick, choice });
        self.nodes.len() as u32 - 1
    }

    /// The memory that it takes.
    pub fn bytes(&self) -> usize {
        self.nodes.len() * size_of::<Node>()
    }

    fn to(&self, end: u32) -> Vec<Node> {
        let mut way = Vec::new();
        let mut at = end;
        while at != START {
            let node = self.nodes[at as usize];
            way.push(node);
            at = node.before;
        }
        way.reverse();
        way
    }
}

/// The order that ends at the node `end`.
///
/// # Errors
/// The class of which more took effect than had been invoked.
pub(super) fn replay<O: Object>(
    plan: &Plan,
    machine: &mut Machine<'_, O>,
    initial: &[O::State],
    trail: &Trail,
    end: u32,
) -> Result<Vec<usize>, Class> {
    let way = trail.to(end);
    let Some((first, mut rest)) = way.split_first() else { return Ok(Vec::new()) };
    let mut walk = Walk {
        state: machine.id(&initial[first.choice as usize]),
        done: 0,
        order: Vec::new(),
        waiting: vec![VecDeque::new(); plan.class.iter().max().map_or(0, |&c| c as usize + 1)],
    };
    let mut cursor = Cursor::new(plan);
    while let Some(event) = cursor.event() {
        match event {
            Event::Open { op, slot } => {
                let class = plan.class[op as usize];
                if machine.is_read(class) && machine.can(walk.state, class) {
                    walk.takes_effect(op, slot);
                }
            }
            Event::Pending { op } => walk.waiting[plan.class[op as usize] as usize].push_back(op),
            Event::Close { slot, .. } => {
                if machine.is_full() {
                    walk.state = machine.keep_only(walk.state);
                }
                while walk.done & (1 << slot) == 0 {
                    let Some((node, more)) = rest.split_first() else { return Ok(walk.order) };
                    walk.follow(node, &cursor, machine)?;
                    walk.settle(&cursor, machine);
                    rest = more;
                }
                walk.done &= !(1 << slot);
            }
        }
        cursor.step(machine);
    }
    Ok(walk.order)
}

struct Walk {
    state: State,
    done: u128,
    order: Vec<usize>,
    /// The info operations of each class that were invoked and not used.
    waiting: Vec<VecDeque<u32>>,
}

impl Walk {
    fn takes_effect(&mut self, op: u32, slot: u32) {
        self.done |= 1 << slot;
        self.order.push(op as usize);
    }

    fn follow<O: Object>(
        &mut self,
        node: &Node,
        cursor: &Cursor<'_>,
        machine: &mut Machine<'_, O>,
    ) -> Result<(), Class> {
        let class = match node.pick {
            Pick::Op(op) => {
                let class = cursor.plan.class[op as usize];
                let of_class = cursor.updates.iter().find(|(other, _)| *other == class);
                let mut slots = of_class.map_or(0, |&(_, mask)| mask);
                while slots != 0 {
                    let slot = slots.trailing_zeros();
                    slots &= slots - 1;
                    if cursor.open[slot as usize] == op {
                        self.takes_effect(op, slot);
                    }
                }
                class
            }
            Pick::Class(class) => {
                let op = self.waiting[class as usize].pop_front().ok_or(class)?;
                self.order.push(op as usize);
                class
            }
            Pick::Nothing => return Ok(()),
        };
        self.state = machine.step(self.state, class)[node.choice as usize];
        Ok(())
    }

    fn settle<O: Object>(&mut self, cursor: &Cursor<'_>, machine: &mut Machine<'_, O>) {
        for &(class, mask) in &cursor.reads {
            let mut slots = mask & !self.done;
            if slots == 0 || !machine.can(self.state, class) {
                continue;
            }
            while slots != 0 {
                let slot = slots.trailing_zeros();
                slots &= slots - 1;
                self.takes_effect(cursor.open[slot as usize], slot);
            }
        }
    }
}
