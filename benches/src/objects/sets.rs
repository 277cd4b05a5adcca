//! A set of a thousand elements that come and go; a few of them only come.

use std::collections::HashSet;

use breakit::rng::{Pcg64, RngExt};

use super::{Call, Object};

const ELEMENTS: u64 = 1_000;
/// So many are never removed.
const LASTING: u64 = 10;

/// A set.
#[derive(Default)]
pub struct Set {
    there: HashSet<u64>,
    /// For each that lasts the line of its first ok add.
    added: [Option<u64>; LASTING as usize],
}

impl Object for Set {
    fn next(&mut self, slot: usize, inv: u64, rng: &mut Pcg64) -> Call {
        let number = rng.random_range(0..ELEMENTS);
        let f = match rng.random_range(0..3) {
            0 => "contains",
            1 if number >= LASTING => "remove",
            _ => "add",
        };
        Call { slot, f, key: None, number, argument: number.to_string(), inv }
    }

    fn take_effect(&mut self, call: &Call) -> Option<String> {
        match call.f {
            "contains" => {
                return Some(format!("[{},{}]", call.number, self.there.contains(&call.number)));
            }
            "add" => self.there.insert(call.number),
            _ => self.there.remove(&call.number),
        };
        Some(call.argument.clone())
    }

    fn returned(&mut self, call: &Call, line: u64) {
        if call.f == "add"
            && let Some(added) = self.added.get_mut(call.number as usize)
        {
            added.get_or_insert(line);
        }
    }

    /// That an element which was surely added is not there, and nobody ever removes it.
    fn lie(&mut self, call: &Call) -> Option<String> {
        let added = self.added.get(call.number as usize).copied().flatten();
        let is_sure = call.f == "contains" && added.is_some_and(|line| line < call.inv);
        is_sure.then(|| format!("[{},false]", call.number))
    }
}
