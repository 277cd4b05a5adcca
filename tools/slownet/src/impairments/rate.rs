//! No more than so many bits a second pass.

use breakit::exit::{Error, Result};
use breakit::rng::Pcg64;
use clap::Args;
use serde::{Deserialize, Serialize};

use super::Parts;
use super::entry::{Held, Impairment, Shown, shown, shown_if};
use super::strike::{Passing, Stage, Strike};
use super::tc::{self, Bucket, Netem, Unable};
use crate::quantity::Rate;

/// A link that is slower than those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bottleneck {
    /// How many bits a second it lets pass.
    pub rate: Rate,
    /// How many bytes may pass at once before the rate applies.
    pub burst: Option<u32>,
}

/// The flags.
#[derive(Args, Debug)]
#[group(skip)]
pub struct RateArgs {
    /// Limit the rate to RATE: 56kbit, 1mbit, 1.5gbit (bits a second)
    #[arg(long, value_name = "RATE", value_parser = Rate::parse, allow_hyphen_values = true)]
    rate: Option<Rate>,
    /// With a rate: let N bytes pass at once before the rate applies [default: what accrues in 2 ms, or a packet]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1600..))]
    burst: Option<u32>,
}

impl Impairment for Bottleneck {
    type Flags = RateArgs;

    fn read(flags: &RateArgs, preset: Option<Bottleneck>) -> Result<Option<Bottleneck>> {
        let rate = flags.rate.or(preset.map(|preset| preset.rate));
        if rate.is_none() && flags.burst.is_some() {
            return Err(Error::usage(
                "--burst needs --rate: it is what may pass before that is felt",
            ));
        }
        Ok(rate.map(|rate| Bottleneck { rate, burst: flags.burst }))
    }

    fn shown(&self) -> Vec<Shown> {
        std::iter::once(shown("rate", self.rate)).chain(shown_if("burst", self.burst)).collect()
    }

    fn netem(&self, _: &Parts) -> std::result::Result<Netem, Unable> {
        let Bottleneck { rate, burst } = *self;
        let bucket = burst.map(|burst| Bucket { rate, burst: burst.into() });
        Ok(match bucket {
            None => Netem::words(tc::rate(rate)),
            class => Netem { class, ..Netem::default() },
        })
    }

    fn strikes(&self) -> Vec<(Stage, Box<dyn Strike>)> {
        vec![(Stage::Link, Box::new(Link { link: *self, free: 0 }))]
    }

    fn holds(&self) -> Held {
        Held::WithLoad
    }
}

impl Bottleneck {
    /// Whether netem itself can keep the rate: it knows no bursts.
    pub fn is_netems(&self) -> bool {
        self.burst.is_none()
    }
}

impl Parts {
    /// Whether the rate is all there is.
    pub fn only_rate(&self) -> Option<Bottleneck> {
        let alone = Parts { rate: self.rate, limit: self.limit, ..Parts::default() };
        self.rate.filter(|_| *self == alone)
    }
}

/// How long the link itself takes: one packet after the other at the rate. A link that was idle has time to
/// spare for a burst.
#[derive(Debug)]
struct Link {
    link: Bottleneck,
    /// When all packets so far are over it.
    free: u64,
}

impl Strike for Link {
    fn strike(&mut self, packet: &mut Passing, _: &mut Pcg64) {
        let Bottleneck { rate, burst } = self.link;
        let time = |bytes: f64| (bytes * 8e9 / rate.bits() as f64) as u64;
        let spare = burst.map_or(0, |burst| time(f64::from(burst)));
        self.free = self.free.max(packet.came.saturating_sub(spare)) + time(packet.bytes as f64);
        packet.leaves += self.free.saturating_sub(packet.came);
    }
}
