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

/// As many ok operations as `counts` allows on a register of four values, `Id(0)` at first, half of them cas, most open at
/// once. Each sees what the register holds at some moment while it is open; in half of the histories one does not.
pub fn crowded(rng: &mut impl RngExt, counts: Range<u32>) -> Vec<Op> {
    let count = rng.random_range(counts) as usize;
    let length = 2 * count as u32;
    let mut places: Vec<u32> = (1..=length).collect();
    let mut spans = Vec::new();
    for _ in 0..count {
        let inv = places.remove(0);
        let res = places.remove(rng.random_range(0..places.len()));
        spans.push((inv, res, rng.random_range(inv..res)));
    }
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by_key(|&at| spans[at].2);
    let mut acts = vec![Act::Read(Id(0)); count];
    let mut holds = Id(0);
    for at in order {
        let to = Id(rng.random_range(0..4));
        acts[at] = match rng.random_range(0..4) {
            0 => Act::Read(holds),
            1 => Act::Write(to),
            _ if to == holds => Act::Read(holds),
            _ => Act::Cas(holds, to),
        };
        holds = acts[at].puts().unwrap_or(holds);
    }
    if rng.random_range(0..2) == 0 {
        let at = rng.random_range(0..count);
        let other = Id(rng.random_range(0..4));
        acts[at] = match acts[at] {
            Act::Cas(_, to) if to != other => Act::Cas(other, to),
            _ => Act::Read(other),
        };
    }
    let op = |(act, (inv, res, _)): (Act, (u32, u32, u32)), source| {
        Op::new(act, Fate::Ok, inv, res, source)
    };
    let ops = acts.into_iter().zip(spans).zip(0..).filter_map(|(op_of, source)| op(op_of, source));
    ops.collect()
}
