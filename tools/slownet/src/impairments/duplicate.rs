//! Packets are sent twice.

use breakit::exit::Result;
use breakit::rng::Pcg64;
use clap::Args;
use serde::{Deserialize, Serialize};

use super::Parts;
use super::correlated::Correlated;
use super::entry::{Impairment, Shown, shown};
use super::strike::{Passing, Stage, Strike};
use super::tc::{self, Netem, Unable};
use crate::quantity::Chance;
use crate::traffic::Direction;

/// How often a packet is sent twice.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Duplicate(Chance);

/// The flag.
#[derive(Args, Debug)]
#[group(skip)]
pub struct DuplicateArgs {
    /// Send packets twice: 1%, or 1%,25% with correlation
    #[arg(long, value_name = "PERCENT", value_parser = Chance::parse, allow_hyphen_values = true)]
    duplicate: Option<Chance>,
}

impl Impairment for Duplicate {
    type Flags = DuplicateArgs;

    fn read(flags: &DuplicateArgs, preset: Option<Duplicate>) -> Result<Option<Duplicate>> {
        Ok(flags.duplicate.map(Duplicate).or(preset))
    }

    fn shown(&self) -> Vec<Shown> {
        vec![shown("duplicate", self.0)]
    }

    fn netem(&self, _: &Parts) -> std::result::Result<Netem, Unable> {
        tc::chance("duplicate", self.0)
    }

    fn strikes(&self) -> Vec<(Stage, Box<dyn Strike>)> {
        vec![(Stage::Double, Box::new(Double(self.0, Correlated::default())))]
    }

    fn line_cannot(&self, direction: Direction) -> Option<&'static str> {
        (direction != Direction::Out).then_some(
            "nfqueue doubles only what a node sends; leave --direction out and name the senders with -n",
        )
    }
}

#[derive(Debug)]
struct Double(Chance, Correlated);

impl Strike for Double {
    fn strike(&mut self, packet: &mut Passing, rng: &mut Pcg64) {
        if self.1.happens(rng, self.0) {
            packet.copies += 1;
        }
    }
}
