//! What the dequeues of unknown outcome in an order of a bag took.

use rustc_hash::FxHashMap;

use super::Act;
use crate::values::Id;

/// The order with each take of anything as one of a value that is there and that no later one names. To take another
/// in its stead helps nobody: only a take of unknown outcome could have any use for the one that is left, and to that
/// any is as good. Where there is none, that take and those after it stay as they are: what a value is good for that
/// was put again later is not said here.
pub(super) fn settled(order: &[&Act]) -> Vec<Act> {
    let mut named: FxHashMap<Id, usize> = FxHashMap::default();
    for act in order {
        if let Act::Take(value) = act {
            *named.entry(*value).or_default() += 1;
        }
    }
    let (mut there, mut is_open) = (0_usize, false);
    let mut spare: Vec<Id> = Vec::new();
    let mut settle = |act: Act| {
        match act {
            Act::Put(value) => {
                there += 1;
                match named.get_mut(&value).filter(|named| **named > 0) {
                    Some(named) => *named -= 1,
                    None => spare.push(value),
                }
            }
            Act::TakeAny if there == 0 || is_open => {}
            Act::TakeAny => {
                there -= 1;
                match spare.pop() {
                    Some(value) => return Act::Take(value),
                    None => is_open = true,
                }
            }
            Act::Take(_) => there = there.saturating_sub(1),
            Act::Empty => {}
        }
        act
    };
    order.iter().map(|&&act| settle(act)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_later_take_names_is_taken() {
        let (a, b) = (Id(1), Id(2));
        let of = |acts: &[Act]| settled(&acts.iter().collect::<Vec<_>>());
        let acts = [Act::TakeAny, Act::Put(a), Act::Put(b), Act::TakeAny, Act::Take(a)];
        assert_eq!(of(&acts), [Act::TakeAny, Act::Put(a), Act::Put(b), Act::Take(b), Act::Take(a)]);
    }

    #[test]
    fn a_value_that_comes_again_leaves_it_open_what_was_taken() {
        let (a, b) = (Id(1), Id(2));
        // The first took a; the second must take b.
        let puts = [Act::Put(a), Act::TakeAny, Act::Put(b), Act::Put(a), Act::TakeAny];
        let acts: Vec<Act> = puts.into_iter().chain([Act::Take(a)]).collect();
        assert_eq!(settled(&acts.iter().collect::<Vec<_>>()), acts);
    }
}
