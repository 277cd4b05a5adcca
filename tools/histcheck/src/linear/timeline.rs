//! Moments of a history at which an object surely holds something, and the first that is not among them.
//!
//! Between the events of a history lie gaps: gap 0 before the first event, gap g after g of them. An operation
//! takes effect in one of the gaps between its invocation and its return; where two take effect in one gap,
//! either may be first.

use crate::history::{OPEN, Pos};
use crate::linear::op::Op;

/// The places of the events of some operations.
#[derive(Debug)]
pub enum Timeline {
    /// For each place up to the last event how many events there are up to it.
    Near(Vec<u32>),
    /// Where most places are those of other operations: the places, sorted.
    Far(Vec<Pos>),
}

/// So many places for each event are near: less is read at once than a search would go through.
const NEAR: usize = 8;

impl Timeline {
    /// The events of these operations.
    pub fn of<A>(ops: &[Op<A>]) -> Timeline {
        let events = || ops.iter().flat_map(|op| [op.inv, op.res]).filter(|&pos| pos != OPEN);
        let last = events().max().unwrap_or(0) as usize;
        if last < NEAR * 2 * ops.len() {
            let mut counts = vec![0; last + 1];
            events().for_each(|pos| counts[pos as usize] = 1);
            let mut sum = 0;
            for count in &mut counts {
                sum += *count;
                *count = sum;
            }
            return Timeline::Near(counts);
        }
        let mut places: Vec<Pos> = events().collect();
        places.sort_unstable();
        places.dedup();
        Timeline::Far(places)
    }

    /// How many events there are up to `pos`.
    fn up_to(&self, pos: Pos) -> usize {
        match self {
            Timeline::Near(counts) => match counts.get(pos as usize) {
                Some(&count) => count as usize,
                None => self.end(),
            },
            Timeline::Far(places) => places.partition_point(|&place| place <= pos),
        }
    }

    /// The first gap after the event at `pos`; past the last one for [`OPEN`].
    pub fn after(&self, pos: Pos) -> usize {
        match pos {
            OPEN => self.end() + 1,
            pos => self.up_to(pos),
        }
    }

    /// The last gap before the event at `pos`; the last of all for [`OPEN`].
    pub fn before(&self, pos: Pos) -> usize {
        pos.checked_sub(1).map_or(0, |before| self.up_to(before))
    }

    /// The last gap.
    pub fn end(&self) -> usize {
        match self {
            Timeline::Near(counts) => counts.last().map_or(0, |&count| count as usize),
            Timeline::Far(places) => places.len(),
        }
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
    fn near_or_far_the_gaps_are_the_same() {
        let at = |inv, res| Op { act: (), fate: crate::linear::op::Fate::Ok, inv, res, source: 0 };
        let near = Timeline::of(&[at(1, 4), at(2, 7)]);
        let far = Timeline::of(&[at(100, 400), at(200, 700)]);
        assert!(matches!((&near, &far), (Timeline::Near(_), Timeline::Far(_))));
        for pos in 0..9 {
            assert_eq!(near.after(pos), far.after(100 * pos), "{pos}");
            assert_eq!(near.before(pos), far.before(100 * pos), "{pos}");
        }
        assert_eq!((near.after(OPEN), near.before(OPEN), near.end()), (5, 4, 4));
        assert_eq!((far.after(OPEN), far.before(OPEN), far.end()), (5, 4, 4));
    }

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
