//! One bit of a packet is turned over.

use breakit::exit::Result;
use breakit::rng::{Pcg64, RngExt};
use clap::Args;
use serde::{Deserialize, Serialize};

use super::Parts;
use super::correlated::Correlated;
use super::entry::{Impairment, Shown, Shows, shown};
use super::strike::{Passing, Stage, Strike};
use super::tc::{self, Netem, Unable};
use crate::quantity::Chance;

/// How often a bit is turned over.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Corrupt(Chance);

/// The flag.
#[derive(Args, Debug)]
#[group(skip)]
pub struct CorruptArgs {
    /// Flip one bit of a packet: 0.1%, or 0.1%,25% with correlation
    #[arg(long, value_name = "PERCENT", value_parser = Chance::parse, allow_hyphen_values = true)]
    corrupt: Option<Chance>,
}

impl Impairment for Corrupt {
    type Flags = CorruptArgs;

    fn read(flags: &CorruptArgs, preset: Option<Corrupt>) -> Result<Option<Corrupt>> {
        Ok(flags.corrupt.map(Corrupt).or(preset))
    }

    fn shown(&self) -> Vec<Shown> {
        vec![shown("corrupt", self.0)]
    }

    fn netem(&self, _: &Parts) -> std::result::Result<Netem, Unable> {
        tc::chance("corrupt", self.0)
    }

    fn strikes(&self) -> Vec<(Stage, Box<dyn Strike>)> {
        vec![(Stage::Damage, Box::new(Damage(self.0, Correlated::default())))]
    }

    fn needs(&self) -> Shows {
        Shows::Bytes
    }
}

#[derive(Debug)]
struct Damage(Chance, Correlated);

impl Strike for Damage {
    fn strike(&mut self, packet: &mut Passing, rng: &mut Pcg64) {
        if self.1.happens(rng, self.0) {
            packet.corrupt = Some(rng.random_range(0..packet.bytes.max(1) * 8));
        }
    }
}
