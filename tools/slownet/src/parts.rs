//! What a bad network does to packets: the parts of a fault, checked against one another.

use std::time::Duration;

use breakit::clock;
use breakit::exit::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::distribution::Distribution;
use crate::quantity::{Chance, Percent, Rate};

/// How long packets are held.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delay {
    /// The mean.
    pub time: Duration,
    /// How far single packets stray from it, and how.
    pub jitter: Option<Jitter>,
}

/// How delays vary.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Jitter {
    /// Half the width, or the standard deviation, as the distribution has it.
    pub time: Duration,
    /// How it is spread.
    pub distribution: Distribution,
    /// How much a packet's delay resembles the last one's.
    pub correlation: Option<Percent>,
}

/// Which packets are lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Loss {
    /// Each with a probability.
    Random(Chance),
    /// The four-state Markov chain of netem: p13, and if given p31, p32, p23, p14.
    State(Vec<Percent>),
    /// Gilbert-Elliott: p, and if given r, 1-h, 1-k.
    Gemodel(Vec<Percent>),
}

/// Packets that overtake those held by the delay.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reorder {
    /// How many.
    pub chance: Chance,
    /// Only each gap-th packet is a candidate.
    pub gap: Option<u32>,
}

/// Packets leave in batches, at moments that chance sets: what a modem or a radio does that waits for its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// The shortest time from slot to slot.
    pub least: Duration,
    /// The longest.
    pub most: Duration,
    /// How many packets leave in one, where that is bounded.
    pub packets: Option<u32>,
    /// How many bytes, where that is bounded.
    pub bytes: Option<u32>,
}

/// All that is done to packets. At least one part is there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Parts {
    /// Held for a while.
    pub delay: Option<Delay>,
    /// Held so that none overtakes another, however the delay strays.
    pub keep_order: bool,
    /// Lost.
    pub loss: Option<Loss>,
    /// Sent twice.
    pub duplicate: Option<Chance>,
    /// Sent ahead of those before them.
    pub reorder: Option<Reorder>,
    /// With one bit turned over.
    pub corrupt: Option<Chance>,
    /// Not more than so many bits a second.
    pub rate: Option<Rate>,
    /// How many bytes may pass at once before the rate is felt.
    pub burst: Option<u32>,
    /// In batches.
    pub slot: Option<Slot>,
    /// How many packets may be held at once; [`crate::netem::limit`] computes it where it is not said.
    pub limit: Option<u32>,
}

impl Parts {
    /// Checks the parts against one another.
    ///
    /// # Errors
    /// 64 where there is none, or one needs another.
    pub fn checked(self) -> Result<Parts> {
        if !self.has_a_fault() {
            return Err(Error::usage(
                "nothing is asked for; give --delay, --loss, --rate or another fault, or a --preset",
            ));
        }
        if self.reorder.is_some() && self.delay.is_none_or(|delay| delay.time.is_zero()) {
            return Err(Error::usage(
                "--reorder needs --delay: packets overtake only those that are held",
            ));
        }
        if self.keep_order && self.delay.is_none_or(|delay| delay.jitter.is_none()) {
            return Err(Error::usage(
                "--keep-order needs --jitter: packets whose delay does not stray keep their order",
            ));
        }
        if self.keep_order && self.reorder.is_some() {
            return Err(Error::usage(
                "--keep-order and --reorder contradict each other; leave one of them out",
            ));
        }
        if self.burst.is_some() && self.rate.is_none() {
            return Err(Error::usage(
                "--burst needs --rate: it is what may pass before that is felt",
            ));
        }
        Ok(self)
    }

    fn has_a_fault(&self) -> bool {
        Parts { limit: None, ..self.clone() } != Parts::default()
    }

    /// Whether the rate is all there is.
    pub fn only_rate(&self) -> Option<Rate> {
        let Parts { rate, burst, limit, .. } = *self;
        let alone = Parts { rate, burst, limit, ..Parts::default() };
        self.rate.filter(|_| *self == alone)
    }

    /// Whether plain random loss is all there is.
    pub fn only_loss(&self) -> Option<Percent> {
        let Some(Loss::Random(Chance { percent, correlation: None })) = self.loss else {
            return None;
        };
        let alone = Parts { loss: self.loss.clone(), ..Parts::default() };
        (*self == alone).then_some(percent)
    }

    /// Whether the same happens to every packet: then segments may stay together.
    pub fn strike_all_alike(&self) -> bool {
        let same = self.delay.filter(|delay| delay.jitter.is_none());
        *self == Parts { delay: same, limit: self.limit, ..Parts::default() }
    }

    /// Whether what happens to a packet does not hang on those before it.
    pub fn strike_each_alone(&self) -> bool {
        let alone = |chance: Option<Chance>| chance.is_none_or(|c| c.correlation.is_none());
        let jitter = self.delay.and_then(|delay| delay.jitter);
        let loss = match &self.loss {
            Some(Loss::Random(chance)) => alone(Some(*chance)),
            Some(Loss::State(_) | Loss::Gemodel(_)) => false,
            None => true,
        };
        let reorder = self.reorder.is_none_or(|r| r.gap.is_none() && alone(Some(r.chance)));
        let shared = self.rate.is_some() || self.slot.is_some() || self.limit.is_some();
        jitter.is_none_or(|jitter| jitter.correlation.is_none() && !self.keep_order)
            && loss
            && reorder
            && alone(self.duplicate)
            && alone(self.corrupt)
            && !shared
    }

    /// Whether no packet is held for longer than `moment`.
    pub fn are_at_once(&self, moment: Duration) -> bool {
        self.rate.is_none() && self.longest() <= moment
    }

    /// The longest that a packet is held on purpose, but for the rare tail of a distribution.
    pub fn longest(&self) -> Duration {
        let delay = self.delay.map_or(Duration::ZERO, |delay| {
            // Four deviations hold all but one in 16,000 of a normal spread.
            delay.time + delay.jitter.map_or(Duration::ZERO, |jitter| jitter.time * 4)
        });
        delay + self.slot.map_or(Duration::ZERO, |slot| slot.most)
    }

    /// The parts by name, written as their flags take them.
    pub fn flags(&self) -> Vec<(&'static str, String)> {
        let mut flags = Vec::new();
        let mut put = |name, value: Option<String>| flags.extend(value.map(|value| (name, value)));
        let jitter = self.delay.and_then(|delay| delay.jitter);
        put("delay", self.delay.map(|delay| clock::show(delay.time)));
        put("jitter", jitter.map(|jitter| clock::show(jitter.time)));
        put("distribution", jitter.map(|jitter| jitter.distribution.word().into()));
        put("correlation", jitter.and_then(|jitter| jitter.correlation).map(|c| c.to_string()));
        match &self.loss {
            Some(Loss::Random(chance)) => put("loss", Some(chance.to_string())),
            Some(Loss::State(p)) => put("loss-state", Some(join(p))),
            Some(Loss::Gemodel(p)) => put("loss-gemodel", Some(join(p))),
            None => {}
        }
        put("duplicate", self.duplicate.map(|chance| chance.to_string()));
        put("reorder", self.reorder.map(|reorder| reorder.chance.to_string()));
        put("gap", self.reorder.and_then(|reorder| reorder.gap).map(|gap| gap.to_string()));
        put("corrupt", self.corrupt.map(|chance| chance.to_string()));
        put("rate", self.rate.map(|rate| rate.to_string()));
        put("burst", self.burst.map(|bytes| bytes.to_string()));
        put("slot", self.slot.map(|s| format!("{},{}", clock::show(s.least), clock::show(s.most))));
        put("slot-packets", self.slot.and_then(|slot| slot.packets).map(|n| n.to_string()));
        put("slot-bytes", self.slot.and_then(|slot| slot.bytes).map(|n| n.to_string()));
        put("limit", self.limit.map(|limit| limit.to_string()));
        flags
    }

    /// The parts as an object, for lines.
    pub fn json(&self) -> Value {
        let fields: Map<String, Value> =
            self.flags().into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        let mut value = Value::Object(fields);
        if self.keep_order {
            value["keep-order"] = true.into();
        }
        value
    }
}

fn join(percents: &[Percent]) -> String {
    percents.iter().map(Percent::to_string).collect::<Vec<_>>().join(",")
}
