//! Packets overtake those that a delay holds.

use breakit::exit::{Error, Result};
use breakit::rng::Pcg64;
use clap::Args;
use serde::{Deserialize, Serialize};

use super::Parts;
use super::correlated::Correlated;
use super::entry::{Impairment, Shown, shown, shown_if};
use super::strike::{Passing, Stage, Strike};
use super::tc::{self, Netem, Unable};
use crate::quantity::Chance;

/// Packets that overtake those held by the delay.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reorder {
    /// How many.
    chance: Chance,
    /// Let only each Nth packet overtake
    gap: Option<u32>,
}

/// The flags.
#[derive(Args, Debug)]
#[group(skip)]
pub struct ReorderArgs {
    /// Let packets overtake those that are held: 25%, or 25%,50% with correlation
    #[arg(long, value_name = "PERCENT", value_parser = Chance::parse, allow_hyphen_values = true)]
    reorder: Option<Chance>,
    /// Let only each Nth packet overtake
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), requires = "reorder")]
    gap: Option<u32>,
}

impl Impairment for Reorder {
    type Flags = ReorderArgs;

    fn read(flags: &ReorderArgs, preset: Option<Reorder>) -> Result<Option<Reorder>> {
        Ok(flags.reorder.map(|chance| Reorder { chance, gap: flags.gap }).or(preset))
    }

    fn check(&self, all: &Parts) -> Result<()> {
        let Some(delay) = all.delay.filter(|delay| !delay.time.is_zero()) else {
            return Err(Error::usage(
                "--reorder needs --delay: packets overtake only those that are held",
            ));
        };
        if delay.keeps_order() {
            return Err(Error::usage(
                "--keep-order and --reorder contradict each other; leave one of them out",
            ));
        }
        Ok(())
    }

    fn shown(&self) -> Vec<Shown> {
        std::iter::once(shown("reorder", self.chance)).chain(shown_if("gap", self.gap)).collect()
    }

    fn netem(&self, _: &Parts) -> std::result::Result<Netem, Unable> {
        let mut netem = tc::chance("reorder", self.chance)?;
        netem.words.extend(self.gap.into_iter().flat_map(|gap| ["gap".into(), gap.to_string()]));
        Ok(netem)
    }

    fn strikes(&self) -> Vec<(Stage, Box<dyn Strike>)> {
        let chance = Correlated::default();
        vec![(Stage::Overtake, Box::new(Overtake { reorder: *self, chance, since: 0 }))]
    }
}

#[derive(Debug)]
struct Overtake {
    reorder: Reorder,
    chance: Correlated,
    /// How many have not overtaken since one has.
    since: u32,
}

impl Strike for Overtake {
    fn strike(&mut self, packet: &mut Passing, rng: &mut Pcg64) {
        self.since += 1;
        if self.since >= self.reorder.gap.unwrap_or(1)
            && self.chance.happens(rng, self.reorder.chance)
        {
            self.since = 0;
            packet.overtakes = true;
        }
    }
}
