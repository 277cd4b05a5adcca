//! Packets leave in batches, at moments that chance sets: what a modem or a radio does that waits for its slot.

use std::time::Duration;

use breakit::clock;
use breakit::exit::Result;
use breakit::rng::{Pcg64, RngExt};
use clap::Args;
use serde::{Deserialize, Serialize};

use super::Parts;
use super::entry::{Held, Impairment, Shown, shown, shown_if};
use super::strike::{Passing, Stage, Strike};
use super::tc::{self, Netem, Unable};
use crate::quantity::parse_holds;

/// When batches leave, and how large they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// The shortest time from slot to slot.
    least: Duration,
    /// The longest.
    most: Duration,
    /// How many packets leave in one, where that is bounded.
    packets: Option<u32>,
    /// How many bytes, where that is bounded.
    bytes: Option<u32>,
}

/// The flags.
#[derive(Args, Debug)]
#[group(skip)]
pub struct SlotArgs {
    /// Release packets in batches: every 20ms, or at random intervals of 10ms,40ms
    #[arg(long, value_name = "TIMES", value_parser = parse_holds, allow_hyphen_values = true)]
    slot: Option<(Duration, Duration)>,
    /// Let at most N packets out in one batch
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), requires = "slot")]
    slot_packets: Option<u32>,
    /// Let at most N bytes out in one batch
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), requires = "slot")]
    slot_bytes: Option<u32>,
}

impl Impairment for Slot {
    type Flags = SlotArgs;

    fn read(flags: &SlotArgs, preset: Option<Slot>) -> Result<Option<Slot>> {
        let SlotArgs { slot, slot_packets: packets, slot_bytes: bytes } = *flags;
        Ok(slot.map(|(least, most)| Slot { least, most, packets, bytes }).or(preset))
    }

    fn shown(&self) -> Vec<Shown> {
        let times = format!("{},{}", clock::show(self.least), clock::show(self.most));
        let mut flags = vec![shown("slot", times)];
        flags.extend(shown_if("slot-packets", self.packets));
        flags.extend(shown_if("slot-bytes", self.bytes));
        flags
    }

    fn netem(&self, _: &Parts) -> std::result::Result<Netem, Unable> {
        let mut words = vec!["slot".to_string(), tc::time(self.least), tc::time(self.most)];
        words.extend(self.packets.into_iter().flat_map(|n| ["packets".into(), n.to_string()]));
        words.extend(self.bytes.into_iter().flat_map(|n| ["bytes".into(), n.to_string()]));
        Ok(Netem::words(words))
    }

    fn strikes(&self) -> Vec<(Stage, Box<dyn Strike>)> {
        vec![(Stage::Gather, Box::new(Gather { slot: *self, now: Batch::default() }))]
    }

    fn holds(&self) -> Held {
        Held::UpTo(self.most)
    }
}

#[derive(Debug)]
struct Gather {
    slot: Slot,
    now: Batch,
}

/// The slot in which packets leave now, and what has left in it.
#[derive(Clone, Copy, Debug, Default)]
struct Batch {
    at: u64,
    packets: u32,
    bytes: u64,
}

impl Gather {
    fn is_full(&self) -> bool {
        self.slot.packets.is_some_and(|most| self.now.packets >= most)
            || self.slot.bytes.is_some_and(|most| self.now.bytes >= u64::from(most))
    }
}

impl Strike for Gather {
    fn strike(&mut self, packet: &mut Passing, rng: &mut Pcg64) {
        if packet.leaves > self.now.at || self.is_full() {
            let (least, most) =
                (self.slot.least.as_nanos() as u64, self.slot.most.as_nanos() as u64);
            let at = packet.leaves.max(self.now.at) + rng.random_range(least..=most);
            self.now = Batch { at, ..Batch::default() };
        }
        self.now.packets += 1;
        self.now.bytes += packet.bytes as u64;
        packet.leaves = self.now.at;
    }
}
