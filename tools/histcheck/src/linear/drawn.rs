//! Small histories by chance, for the tests of the engines.

use std::ops::Range;

use breakit::rng::RngExt;

use super::op::{Act, Fate, Op};
use crate::values::Id;

/// As many operations as `counts` allows on a register: three values and the initial one, `Id(0)`, of which reads and
/// cas may see any. One operation in `one_info_in` has no outcome.
pub fn register(rng: &mut impl RngExt, counts: Range<u32>, one_info_in: u32) -> Vec<Op> {
    let count = rng.random_range(counts);
    let mut places: Vec<u32> = (1..=2 * count).collect();
    let mut ops = Vec::new();
    for source in 0..count as usize {
        let inv = places.remove(0);
        let res = places.remove(rng.random_range(0..places.len().min(6)));
        let (one, other) = (Id(rng.random_range(0..4)), Id(rng.random_range(1..4)));
        let act = match rng.random_range(0..5) {
            0 | 1 => Act::Read(one),
            2 | 3 => Act::Write(other),
            _ => Act::Cas(one, other),
        };
        let fate = if rng.random_range(0..one_info_in) == 0 { Fate::Info } else { Fate::Ok };
        ops.extend(Op::new(act, fate, inv, res, source));
    }
    ops
}
