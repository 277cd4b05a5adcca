//! Gaps of a history that are covered at first and come free one after the other, and who waits for one to.
//!
//! Both are trees over a row of numbers: what goes or comes costs as many steps as the row can be halved.

/// How many things cover each gap. Each goes once.
///
/// A node holds what covers all gaps beneath it, as far as no node above holds it already; so of two that
/// hang on one node one holds nothing, and a gap is free where neither it nor any node above holds anything.
#[derive(Debug)]
pub struct Coverage {
    held: Vec<i32>,
    /// Where the row of gaps begins, as the children of a node are at twice its place.
    row: usize,
}

/// Held by what never comes free, or did.
const NEVER: i32 = i32::MAX / 2;

impl Coverage {
    /// Of the gaps before `end`, covered by these, each from its first gap to its last.
    pub fn of(end: usize, things: impl Iterator<Item = (usize, usize)>) -> Coverage {
        let row = end.next_power_of_two();
        let mut held = vec![0; 2 * row];
        for (first, last) in things {
            held[row + first] += 1;
            if last + 1 < end {
                held[row + last + 1] -= 1;
            }
        }
        let mut sum = 0;
        for held in &mut held[row..row + end] {
            sum += *held;
            *held = sum;
        }
        held[row + end..].fill(NEVER);
        let mut coverage = Coverage { held, row };
        (1..row).rev().for_each(|node| {
            coverage.lift(node);
        });
        coverage
    }

    /// Takes one of the things away.
    pub fn remove(&mut self, first: usize, last: usize) {
        // What stands between the two nodes is covered wholly, or what stands beneath them.
        let (mut from, mut to) = (self.row + first, self.row + last + 1);
        let (mut left, mut right) = (self.row + first, self.row + last);
        while left > 1 {
            if from < to && from % 2 == 1 {
                self.held[from] -= 1;
                from += 1;
            }
            if from < to && to % 2 == 1 {
                to -= 1;
                self.held[to] -= 1;
            }
            (from, to, left, right) = (from / 2, to / 2, left / 2, right / 2);
            let mut changed = self.lift(left);
            if left != right {
                changed |= self.lift(right);
            }
            if !changed && left == right && from == to {
                return;
            }
        }
        if from < to {
            self.held[1] -= 1;
        }
    }

    /// The gaps that came free, in their order; each is told once.
    pub fn freed(&mut self, free: &mut Vec<usize>) {
        self.freed_beneath(1, free);
    }

    fn freed_beneath(&mut self, node: usize, free: &mut Vec<usize>) {
        if self.held[node] != 0 {
            return;
        }
        if node >= self.row {
            free.push(node - self.row);
            self.held[node] = NEVER;
            return;
        }
        self.freed_beneath(2 * node, free);
        self.freed_beneath(2 * node + 1, free);
        self.lift(node);
    }

    /// Lifts what both children hold. Says whether there was anything.
    fn lift(&mut self, node: usize) -> bool {
        let both = self.held[2 * node].min(self.held[2 * node + 1]);
        self.held[2 * node] -= both;
        self.held[2 * node + 1] -= both;
        self.held[node] += both;
        both != 0
    }
}

/// Who waits for any gap of a stretch.
#[derive(Debug)]
pub struct Waiting {
    /// By the first gap of the stretch: who, and for each node the end, exclusive, of the farthest stretch beneath it.
    who: Vec<u32>,
    ends: Vec<u32>,
    row: usize,
    /// For each gap how many stretches begin there or before.
    begun: Vec<u32>,
}

impl Waiting {
    /// Each with the first gap of its stretch, the last, and who. There are no gaps from `end` on.
    pub fn of(end: usize, waits: impl Iterator<Item = (usize, usize, usize)> + Clone) -> Waiting {
        let mut begun = vec![0; end];
        waits.clone().for_each(|(first, ..)| begun[first] += 1);
        let mut sum = 0;
        for begun in &mut begun {
            sum += *begun;
            *begun = sum;
        }
        // One place more, so that never all of the row has begun.
        let row = (sum as usize + 1).next_power_of_two();
        let (mut who, mut ends) = (vec![0; sum as usize], vec![0; 2 * row]);
        // How many of those that begin at a gap have their place.
        let mut placed = vec![0; end];
        for (first, last, waits) in waits {
            placed[first] += 1;
            let place = (begun[first] - placed[first]) as usize;
            // Places of a history, and so its operations, are counted in 32 bits.
            (who[place], ends[row + place]) = (waits as u32, last as u32 + 1);
        }
        let mut waiting = Waiting { who, ends, row, begun };
        (1..row).rev().for_each(|node| waiting.ends[node] = waiting.farthest(node));
        waiting
    }

    /// Lets all go who waited for this gap.
    pub fn let_go(&mut self, gap: usize, gone: &mut Vec<u32>) {
        // The nodes beneath which all have begun, the last first.
        let (mut from, mut to) = (self.row, self.row + self.begun[gap] as usize);
        while from < to {
            if to % 2 == 1 {
                to -= 1;
                if self.ends[to] as usize > gap {
                    self.let_go_beneath(to, gap, gone);
                    self.mend_above(to);
                }
            }
            (from, to) = (from / 2, to / 2);
        }
    }

    fn let_go_beneath(&mut self, node: usize, gap: usize, gone: &mut Vec<u32>) {
        if self.ends[node] as usize <= gap {
            return;
        }
        if node >= self.row {
            gone.push(self.who[node - self.row]);
            self.ends[node] = 0;
            return;
        }
        self.let_go_beneath(2 * node, gap, gone);
        self.let_go_beneath(2 * node + 1, gap, gone);
        self.ends[node] = self.farthest(node);
    }

    fn mend_above(&mut self, mut node: usize) {
        while node > 1 {
            node /= 2;
            let farthest = self.farthest(node);
            if std::mem::replace(&mut self.ends[node], farthest) == farthest {
                return;
            }
        }
    }

    fn farthest(&self, node: usize) -> u32 {
        self.ends[2 * node].max(self.ends[2 * node + 1])
    }
}

#[cfg(test)]
mod tests {
    use breakit::rng::{RngExt, generator};

    use super::*;

    #[test]
    fn gaps_come_free_when_the_last_that_covered_them_goes() {
        let mut rng = generator(7, "coverage");
        for _ in 0..300 {
            let end = rng.random_range(1..40);
            let count = rng.random_range(0..12);
            let mut things: Vec<(usize, usize)> = (0..count)
                .map(|_| {
                    let first = rng.random_range(0..end);
                    (first, rng.random_range(first..end))
                })
                .collect();
            let mut coverage = Coverage::of(end, things.iter().copied());
            let mut told = Vec::new();
            loop {
                coverage.freed(&mut told);
                let is_free =
                    |gap: &usize| !things.iter().any(|&(first, last)| (first..=last).contains(gap));
                let mut sorted = told.clone();
                sorted.sort_unstable();
                assert_eq!(sorted, (0..end).filter(is_free).collect::<Vec<_>>(), "{things:?}");
                let Some((first, last)) = things.pop() else { break };
                coverage.remove(first, last);
            }
        }
    }

    #[test]
    fn who_waits_for_a_stretch_is_let_go_by_its_first_gap_that_comes() {
        let mut rng = generator(7, "waiting");
        for _ in 0..300 {
            let count = rng.random_range(0..20);
            let mut waits: Vec<(usize, usize, usize)> = (0..count)
                .map(|who| {
                    let first = rng.random_range(0..30);
                    (first, rng.random_range(first..30), who)
                })
                .collect();
            let mut waiting = Waiting::of(30, waits.iter().copied());
            for _ in 0..20 {
                let gap = rng.random_range(0..30);
                let mut gone = Vec::new();
                waiting.let_go(gap, &mut gone);
                gone.sort_unstable();
                let here =
                    |&&(first, last, _): &&(usize, usize, usize)| (first..=last).contains(&gap);
                let expected: Vec<u32> =
                    waits.iter().filter(here).map(|&(.., who)| who as u32).collect();
                assert_eq!(gone, expected);
                waits.retain(|&(first, last, _)| !(first..=last).contains(&gap));
            }
        }
    }
}
