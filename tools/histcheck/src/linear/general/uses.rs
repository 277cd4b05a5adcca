//! How many info operations of each class took effect, as one small number.

use std::collections::HashMap;

/// Counts for all classes; meaningful only together with its [`Uses`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::linear) struct Used(u32);

impl Used {
    /// None of any class.
    pub const NONE: Used = Used(0);
}

/// All counts that came up in a search: for each the classes of which any was used, in their order.
#[derive(Debug)]
pub(in crate::linear) struct Uses {
    counts: Vec<Box<[(u32, u32)]>>,
    ids: HashMap<Box<[(u32, u32)]>, Used>,
    bytes: usize,
}

impl Default for Uses {
    fn default() -> Uses {
        let none: Box<[(u32, u32)]> = Box::default();
        Uses { counts: vec![none.clone()], ids: HashMap::from([(none, Used::NONE)]), bytes: 0 }
    }
}

impl Uses {
    /// How many of `class` were used.
    pub fn count(&self, used: Used, class: u32) -> u32 {
        let counts = &self.counts[used.0 as usize];
        match counts.binary_search_by_key(&class, |&(c, _)| c) {
            Ok(at) => counts[at].1,
            Err(_) => 0,
        }
    }

    /// The same with one more of `class`.
    pub fn one_more(&mut self, used: Used, class: u32) -> Used {
        let mut counts = self.counts[used.0 as usize].to_vec();
        match counts.binary_search_by_key(&class, |&(c, _)| c) {
            Ok(at) => counts[at].1 += 1,
            Err(at) => counts.insert(at, (class, 1)),
        }
        if let Some(&known) = self.ids.get(counts.as_slice()) {
            return known;
        }
        let counts = counts.into_boxed_slice();
        let id = Used(self.counts.len() as u32);
        self.bytes += 2 * (counts.len() * 8 + 40);
        self.counts.push(counts.clone());
        self.ids.insert(counts, id);
        id
    }

    /// The classes of which more were used in `many`, each as often as that, in their order.
    pub fn more(&self, few: Used, many: Used) -> Vec<u32> {
        let counts = &self.counts[many.0 as usize];
        let more = |&(class, count): &(u32, u32)| {
            let times = count.saturating_sub(self.count(few, class));
            std::iter::repeat_n(class, times as usize)
        };
        counts.iter().flat_map(more).collect()
    }

    /// Whether `few` uses of no class more than `many`: whoever has used less can do all that the other can.
    pub fn within(&self, few: Used, many: Used) -> bool {
        let counts = &self.counts[few.0 as usize];
        counts.iter().all(|&(class, count)| count <= self.count(many, class))
    }

    /// The memory that it takes, roughly.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_uses_of_each_class_are_within_more_and_of_another_class_they_are_not() {
        let mut uses = Uses::default();
        let one = uses.one_more(Used::NONE, 3);
        let two = uses.one_more(one, 3);
        let other = uses.one_more(Used::NONE, 5);
        let both = uses.one_more(one, 5);
        for (few, many) in [(Used::NONE, one), (one, one), (one, two), (one, both), (other, both)] {
            assert!(uses.within(few, many), "{few:?} and {many:?}");
        }
        for (few, many) in [(one, Used::NONE), (two, one), (one, other), (two, both), (both, two)] {
            assert!(!uses.within(few, many), "{few:?} and {many:?}");
        }
    }
}
