//! Moments of a history at which an object surely holds something, and the first that is not among them.
//!
//! Between the events of a history lie gaps: gap 0 before the first event, gap g after g of them. An operation
//! takes effect in one of the gaps between its invocation and its return; where two take effect in one gap,
//! either may be first.

use crate::history::{OPEN, Pos};
use crate::linear::op::Op;

/// The places of the events of some operations.
#[derive(Debug)]
pub struct Timeline {
    places: Vec<Pos>,
}

impl Timeline {
    /// The events of these operations.
    pub fn of<A>(ops: &[Op<A>]) -> Timeline {
        let events = ops.iter().flat_map(|op| [op.inv, op.res]);
        let mut places: Vec<Pos> = events.filter(|&pos| pos != OPEN).collect();
        places.sort_unstable();
        places.dedup();
        Timeline { places }
    }

    /// The first gap after the event at `pos`; past the last one for [`OPEN`].
    pub fn after(&self, pos: Pos) -> usize {
        match pos {
            OPEN => self.end() + 1,
            pos => self.places.partition_point(|&place| place <= pos),
        }
    }

    /// The last gap before the event at `pos`; the last of all for [`OPEN`].
    pub fn before(&self, pos: Pos) -> usize {
        self.places.partition_point(|&place| place < pos)
    }

    /// The last gap.
    pub fn end(&self) -> usize {
        self.places.len()
    }

    /// Nothing is covered yet.
    pub fn cover(&self) -> Cover {
        Cover { next: (0..=self.end() as u32 + 1).collect() }
    }
}

/// A set of gaps that grows, as a forest: each covered gap points towards the first one that is not.
#[derive(Debug)]
pub struct Cover {
    next: Vec<u32>,
}

impl Cover {
    /// Covers the gaps from `first` to `last`; none where `last` comes before `first`.
    pub fn add(&mut self, first: usize, last: usize) {
        let mut at = self.first_free(first);
        while at <= last && at + 1 < self.next.len() {
            self.next[at] = at as u32 + 1;
            at = self.first_free(at + 1);
        }
    }

    /// The first gap from `from` on that is not covered; one past the last where all are.
    pub fn first_free(&mut self, from: usize) -> usize {
        let last = self.next.len() - 1;
        let mut root = from.min(last);
        while self.next[root] as usize != root {
            root = self.next[root] as usize;
        }
        let mut at = from.min(last);
        while self.next[at] as usize != at {
            at = std::mem::replace(&mut self.next[at], root as u32) as usize;
        }
        root
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_covered_is_passed_over() {
        let ops = [
            Op { act: (), fate: crate::linear::op::Fate::Ok, inv: 10, res: 40, source: 0 },
            Op { act: (), fate: crate::linear::op::Fate::Info, inv: 20, res: OPEN, source: 1 },
        ];
        let timeline = Timeline::of(&ops);
        assert_eq!((timeline.after(10), timeline.before(40), timeline.end()), (1, 2, 3));
        let mut cover = timeline.cover();
        assert_eq!(cover.first_free(1), 1);
        cover.add(1, 2);
        cover.add(2, 1);
        assert_eq!((cover.first_free(0), cover.first_free(1), cover.first_free(3)), (0, 3, 3));
        cover.add(3, 3);
        assert_eq!(cover.first_free(1), 4);
    }
}
