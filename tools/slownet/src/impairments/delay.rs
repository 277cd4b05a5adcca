//! Packets are held for a while, which may vary.

use std::time::Duration;

use breakit::clock;
use breakit::exit::{Error, Result};
use breakit::rng::Pcg64;
use clap::Args;
use serde::{Deserialize, Serialize};

use super::Parts;
use super::correlated::{Correlated, below};
use super::entry::{Held, Impairment, Shown, Shows, shown, shown_if};
use super::strike::{Passing, Stage, Strike};
use super::tc::{self, Netem, Unable};
use crate::distribution::Distribution;
use crate::quantity::{Percent, Rate, parse_hold};

/// How long packets are held.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delay {
    /// The mean.
    pub time: Duration,
    /// By how much the delay of single packets varies, and how.
    pub jitter: Option<Jitter>,
}

/// How delays vary.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Jitter {
    /// Half the width, or the standard deviation, as the distribution has it.
    pub time: Duration,
    /// The distribution.
    pub distribution: Distribution,
    /// How much a packet's delay resembles the one before.
    pub correlation: Option<Percent>,
    /// Whether packets keep their order, however the delay varies.
    pub keep_order: bool,
}

/// The flags.
#[derive(Args, Debug)]
#[group(skip)]
pub struct DelayArgs {
    /// Hold each packet for TIME
    #[arg(long, value_name = "TIME", value_parser = parse_hold, allow_hyphen_values = true)]
    delay: Option<Duration>,
    /// Vary the delay by up to TIME
    #[arg(long, value_name = "TIME", value_parser = parse_hold, allow_hyphen_values = true)]
    jitter: Option<Duration>,
    /// How the delay varies: uniform, normal, pareto, paretonormal, or the table in a file NAME.dist [default: uniform]
    #[arg(long, value_name = "NAME", value_parser = Distribution::parse)]
    distribution: Option<Distribution>,
    /// How much a packet's delay resembles the one before
    #[arg(long, value_name = "PERCENT", value_parser = Percent::parse, allow_hyphen_values = true)]
    correlation: Option<Percent>,
    /// Keep packets in order, however the delay varies
    #[arg(long)]
    keep_order: bool,
}

impl DelayArgs {
    fn need_no_jitter(&self, needed: &str) -> Result<()> {
        if self.distribution.is_some() || self.correlation.is_some() {
            return Err(Error::usage(format!("--distribution and --correlation need {needed}")));
        }
        if self.keep_order {
            return Err(Error::usage(
                "--keep-order needs --jitter: packets whose delay does not stray keep their order",
            ));
        }
        Ok(())
    }
}

impl Impairment for Delay {
    type Flags = DelayArgs;

    fn read(flags: &DelayArgs, preset: Option<Delay>) -> Result<Option<Delay>> {
        let before = preset.and_then(|delay| delay.jitter);
        let Some(time) = flags.delay.or(preset.map(|delay| delay.time)) else {
            return match flags.jitter {
                Some(_) => Err(Error::usage("--jitter needs --delay: it is how the delay strays")),
                None => flags.need_no_jitter("--delay and --jitter").map(|()| None),
            };
        };
        let stray = flags.jitter.or(before.map(|jitter| jitter.time));
        let Some(stray) = stray.filter(|time| !time.is_zero()) else {
            return flags.need_no_jitter("--jitter").map(|()| Some(Delay { time, jitter: None }));
        };
        let distribution = flags.distribution.or(before.map(|jitter| jitter.distribution));
        let jitter = Jitter {
            time: stray,
            distribution: distribution.unwrap_or(Distribution::Uniform),
            correlation: flags.correlation.or(before.and_then(|jitter| jitter.correlation)),
            keep_order: flags.keep_order,
        };
        Ok(Some(Delay { time, jitter: Some(jitter) }))
    }

    fn shown(&self) -> Vec<Shown> {
        let jitter = self.jitter;
        let mut flags = vec![shown("delay", clock::show(self.time))];
        flags.extend(shown_if("jitter", jitter.map(|jitter| clock::show(jitter.time))));
        flags.extend(shown_if("distribution", jitter.map(|jitter| jitter.distribution.word())));
        flags.extend(shown_if("correlation", jitter.and_then(|jitter| jitter.correlation)));
        flags.extend(self.keeps_order().then_some(("keep-order", true.into())));
        flags
    }

    fn netem(&self, all: &Parts) -> std::result::Result<Netem, Unable> {
        let mut words = vec!["delay".into(), tc::time(self.time)];
        let Some(jitter) = self.jitter else { return Ok(Netem::words(words)) };
        if jitter.correlation.is_some() {
            return Err(Unable {
                why: "netem takes a correlation of delays, but its delays do not correlate",
                leave_out: "the correlation",
            });
        }
        words.push(tc::time(jitter.time));
        // Uniform is what netem does without a table; it has none of that name on older systems.
        if jitter.distribution != Distribution::Uniform {
            words.extend(["distribution".into(), jitter.distribution.stem().into()]);
        }
        // Behind a rate netem lets no packet overtake another; one that takes no time does nothing else.
        if jitter.keep_order && !all.rate.is_some_and(|rate| rate.is_netems()) {
            words.extend(tc::rate(Rate::FASTEST));
        }
        Ok(Netem { tables: jitter.distribution.folder(), ..Netem::words(words) })
    }

    fn strikes(&self) -> Vec<(Stage, Box<dyn Strike>)> {
        let mut strikes: Vec<(Stage, Box<dyn Strike>)> =
            vec![(Stage::Hold, Box::new(Hold { delay: *self, chance: Correlated::default() }))];
        if self.keeps_order() {
            strikes.push((Stage::Order, Box::<InOrder>::default()));
        }
        strikes
    }

    fn needs(&self) -> Shows {
        if self.jitter.is_none() { Shows::Bursts } else { Shows::Lengths }
    }

    fn holds(&self) -> Held {
        // Four deviations hold all but one in 16,000 of a normal spread.
        Held::UpTo(self.time + self.jitter.map_or(Duration::ZERO, |jitter| jitter.time * 4))
    }
}

impl Delay {
    /// Whether no packet overtakes another, however the delay strays.
    pub fn keeps_order(&self) -> bool {
        self.jitter.is_some_and(|jitter| jitter.keep_order)
    }
}

#[derive(Debug)]
struct Hold {
    delay: Delay,
    chance: Correlated,
}

impl Strike for Hold {
    fn strike(&mut self, packet: &mut Passing, rng: &mut Pcg64) {
        if packet.overtakes {
            return;
        }
        let mean = self.delay.time.as_nanos() as f64;
        let held = self.delay.jitter.map_or(mean, |jitter| {
            let drawn = self.chance.draw(rng, jitter.correlation);
            mean + spread(jitter.distribution, drawn) * jitter.time.as_nanos() as f64
        });
        // A packet cannot leave before it came.
        packet.leaves += held.max(0.0) as u64;
    }
}

/// Not before the packet that came before it: as netem does behind a rate.
#[derive(Debug, Default)]
struct InOrder {
    last: u64,
}

impl Strike for InOrder {
    fn strike(&mut self, packet: &mut Passing, _: &mut Pcg64) {
        self.last = self.last.max(packet.leaves);
        packet.leaves = self.last;
    }
}

/// How many jitters a delay strays, from a standard normal.
fn spread(distribution: Distribution, drawn: f64) -> f64 {
    // netem's tables end at four deviations, and so do we.
    let normal = drawn.clamp(-4.0, 4.0);
    match distribution {
        Distribution::Uniform => 2.0 * below(drawn) - 1.0,
        Distribution::Normal => normal,
        Distribution::Pareto => pareto(below(drawn)),
        Distribution::Table(table) => table.stray(below(drawn)),
        Distribution::Paretonormal => 0.25 * normal + 0.75 * pareto(below(drawn)),
    }
}

/// iproute2's table: a Pareto with exponent 3, its mean moved to 0, cut off at four.
fn pareto(drawn: f64) -> f64 {
    let value = 1.0 / (1.0 - drawn).max(f64::MIN_POSITIVE).powf(1.0 / 3.0);
    ((value - 1.5) * (4.0 / 3.0)).min(4.0)
}
