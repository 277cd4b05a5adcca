//! The packets that are held, the next to leave on top.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// A packet that is held. The number keeps those of one instant in their order.
#[derive(Debug)]
struct Held<P> {
    leaves: u64,
    number: u64,
    packets: usize,
    packet: P,
}

impl<P> Ord for Held<P> {
    fn cmp(&self, other: &Held<P>) -> Ordering {
        (self.leaves, self.number).cmp(&(other.leaves, other.number))
    }
}

impl<P> PartialOrd for Held<P> {
    fn partial_cmp(&self, other: &Held<P>) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<P> PartialEq for Held<P> {
    fn eq(&self, other: &Held<P>) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<P> Eq for Held<P> {}

/// Packets and when they leave, in nanoseconds of one clock.
#[derive(Debug)]
pub struct Hold<P> {
    heap: BinaryHeap<Reverse<Held<P>>>,
    taken: u64,
    /// How many packets of the link are held.
    packets: usize,
}

impl<P> Default for Hold<P> {
    fn default() -> Hold<P> {
        Hold { heap: BinaryHeap::new(), taken: 0, packets: 0 }
    }
}

impl<P> Hold<P> {
    /// Takes a packet that is made of so many `packets` of the link, to leave then.
    pub fn take(&mut self, leaves: u64, packets: usize, packet: P) {
        self.taken += 1;
        self.packets += packets;
        self.heap.push(Reverse(Held { leaves, number: self.taken, packets, packet }));
    }

    /// When the next leaves.
    pub fn next(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse(held)| held.leaves)
    }

    /// A packet that leaves by `now`, the earliest first.
    pub fn due(&mut self, now: u64) -> Option<P> {
        if self.next()? > now {
            return None;
        }
        let Reverse(held) = self.heap.pop()?;
        self.packets -= held.packets;
        Some(held.packet)
    }

    /// Whether a packet that leaves then, no later than `soon`, overtakes none that is held.
    pub fn lets_pass(&self, leaves: u64, soon: u64) -> bool {
        leaves <= soon && self.next().is_none_or(|next| next > leaves)
    }

    /// How many packets of the link are held.
    pub fn packets(&self) -> usize {
        self.packets
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_leave_by_their_time_and_then_by_their_order() {
        let mut hold = Hold::default();
        for (leaves, name) in [(20, 2), (10, 1), (20, 3)] {
            hold.take(leaves, name as usize, name);
        }
        assert_eq!((hold.due(9), hold.packets()), (None, 6));
        assert!(hold.lets_pass(9, 9) && !hold.lets_pass(9, 8) && !hold.lets_pass(10, 20));
        let left: Vec<u32> = std::iter::from_fn(|| hold.due(20)).collect();
        assert_eq!((left, hold.packets()), (vec![1, 2, 3], 0));
    }
}
