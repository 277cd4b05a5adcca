//! Histories of completions alone, as Elle's manual has them: what each operation came to, and not when it began.
//!
//! An operation may have begun as soon as the one before it of its process had ended, and no earlier. It is taken to
//! have begun then: whatever has no legal order so has none if it began later. The reverse is not certain.

use rustc_hash::FxHashMap;

use super::event::Event;
use super::pair::Misfit;
use breakit::op::Type;

/// Completions that came before any invocation.
#[derive(Debug, Default)]
pub struct Bare {
    events: Vec<(u32, Event)>,
    /// What is wrong with the first one, if there are invocations after all.
    first: Option<Misfit>,
}

impl Bare {
    /// Takes a completion at a place in the order, and why it fits nothing.
    pub fn push(&mut self, pos: u32, event: Event, wrong: Misfit) {
        self.events.push((pos, event));
        self.first.get_or_insert(wrong);
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.events.capacity() * size_of::<(u32, Event)>()
    }

    /// The first completion, with its place and what is wrong with it.
    pub fn first(&self) -> Option<(u32, &Event, &Misfit)> {
        let (pos, event) = self.events.first()?;
        Some((*pos, event, self.first.as_ref()?))
    }

    /// Invocations and completions in their order, with the places that the completions had.
    pub fn whole(self) -> Vec<(u32, Event)> {
        let mut later: FxHashMap<u64, usize> = FxHashMap::default();
        let mut next = vec![None; self.events.len()];
        for (at, (_, event)) in self.events.iter().enumerate().rev() {
            next[at] = later.insert(event.process, at);
        }
        let mut first: Vec<usize> = later.into_values().collect();
        first.sort_unstable();
        let begun = |at: usize| {
            let (pos, event) = self.events[at];
            (pos, Event { kind: Type::Invoke, time: None, ..event })
        };
        let mut whole = Vec::with_capacity(2 * self.events.len());
        whole.extend(first.into_iter().map(begun));
        for (at, &ended) in self.events.iter().enumerate() {
            whole.push(ended);
            whole.extend(next[at].map(begun));
        }
        whole
    }
}
