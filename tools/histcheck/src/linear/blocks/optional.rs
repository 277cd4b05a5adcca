//! Cas that nothing saw, and that may be taken back.
//!
//! When a write takes effect, what the register held is lost, and an open cas that expects just that may as well have
//! taken effect right before. So it is where a block ends before the last write. Whether it did need not be known: such
//! a cas is **optional**. It counts as done, so that nothing is wanted of it when it returns; and where a
//! cas of its kind is wanted elsewhere it is taken back and used there, as one that is covered. Without this a
//! configuration comes up with each set of these cas, done or covered: with fifty processes hundreds of them.
//!
//! A configuration with optional cas stands for all that come of it if any of them are taken back.
//!
//! *No order is made up.* Each optional cas is the last effect before some write, it alone at that place, and
//! it was open there: it was invoked before that write took effect. So with it and without it the order is legal,
//! whatever becomes of the others. A cas that follows on another one makes that one settled. Taken back it is covered:
//! the last write is that one or a later one. Where it returns, it is let be done, or taken back and tried in all
//! ways like any that is not done.
//!
//! *None is lost.* Wherever the plain search leaves such a cas undone, or lets it take effect at the end of a block or
//! right before a write, the configuration with it optional stands for both. Where several could be the one, each
//! is tried; of those with the same effect the one that returns first, by the exchange in
//! [`general`](crate::linear::general). While a cas is due none with its effect is made optional by a write: it
//! would be that one, which is the first of them to return, and once it took effect no write is wanted.
//!
//! With info operations there is no need: there the ways to use those are the many. And an order is put together from
//! what each return made done, so that a walk that writes down its way has none either.

use super::config::Config;
use super::state::{Slots, Value};
use super::transitions::Return;

impl Config {
    /// Operations that took effect and cannot be taken back.
    #[inline]
    pub fn settled(&self) -> Slots {
        self.done & !self.optional
    }

    /// Open operations that may be put before the last write.
    #[inline]
    pub fn movable(&self) -> Slots {
        self.covered | self.optional
    }

    /// The same where the cas in `slot` took effect, unless it is wanted for more.
    #[inline]
    pub fn optionally(self, slot: u32) -> Config {
        let config = self.effect(slot);
        Config { optional: config.optional | 1 << slot, ..config }
    }

    /// The same with the optional cas in `slot` taken back.
    #[inline]
    pub fn without(mut self, slot: u32) -> Config {
        self.done &= !(1 << slot);
        self.optional &= !(1 << slot);
        self.covered |= 1 << slot;
        self
    }
}

impl<'r> Return<'r> {
    /// The best that can be made of a value that the register is to hold until right before a write: one more of the
    /// cas among `slots` takes effect there, if it is wanted for nothing else.
    pub fn overwritten(
        &self,
        config: Config,
        value: Value,
        slots: Slots,
    ) -> impl Iterator<Item = Config> + use<'r> {
        let board = self.board;
        let left = match self.defers {
            true => board.cas_from(value) & slots & !config.done,
            false => 0,
        };
        let cas = board.by_deed(left).map(move |same| board.first_to_return(same));
        cas.map(move |slot| config.optionally(slot)).chain((left == 0).then_some(config))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{Blocks, Count, Found, Walk};
    use crate::budget::Budget;
    use crate::linear::drawn;
    use crate::linear::general::{self, Search};
    use crate::linear::register::Register;
    use crate::values::Id;
    use breakit::rng::generator;

    #[test]
    fn with_optional_cas_the_answer_and_what_the_register_may_hold_are_those_of_the_plain_search() {
        let mut rng = generator(23, "optional");
        let budget = Budget::start(Duration::from_secs(300), 1 << 30);
        let (mut valid, mut invalid, mut fewer) = (0, 0, 0);
        for _ in 0..30_000 {
            let ops = drawn::crowded(&mut rng, 4..14);
            let blocks = Blocks::new(&ops, &[Id(0)], &budget);
            let walk = |defers| {
                let mut walk = Walk { defers, ..blocks.walk(Count::Exact, usize::MAX) };
                let search = walk.through();
                (search, walk.moments(), walk.steps)
            };
            let (plain, states, many) = walk(false);
            let (search, with_optional, few) = walk(true);
            let expected = general::decide(&Register::default(), &ops, &[Id(0)], &budget);
            assert_eq!(search == Search::Valid, expected == Search::Valid, "{ops:?}");
            assert_eq!(search, plain, "{ops:?}");
            for moment in states {
                let same = with_optional.iter().find(|other| other.pos == moment.pos);
                let has = |id| same.is_none_or(|same| same.states.contains(id));
                assert!(moment.states.iter().all(has), "at {}: {ops:?}", moment.pos);
            }
            fewer += u32::from(few < many);
            for width in [1, 2] {
                let (Found { search, .. }, is_narrowed) = blocks.run(Count::Exact, width);
                assert!(search == expected || is_narrowed && search != Search::Valid, "{ops:?}");
            }
            match search {
                Search::Valid => valid += 1,
                _ => invalid += 1,
            }
        }
        assert!(valid > 3_000 && invalid > 3_000, "{valid} valid, {invalid} invalid");
        assert!(fewer > 5_000, "{fewer} histories with fewer configurations");
    }
}
