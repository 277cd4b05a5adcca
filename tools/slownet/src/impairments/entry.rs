//! What an impairment is: its flags, how it is shown, how netem and our own delay line do it, what it needs of a backend.

use std::fmt::Debug;
use std::time::Duration;

use breakit::exit::Result;
use clap::Args;
use serde_json::Value;

use super::Parts;
use super::strike::{Stage, Strike};
use super::tc::{Netem, Unable};
use crate::traffic::Direction;

/// Something that a bad network does to packets.
pub trait Impairment: Debug {
    /// Its flags; on a link's line they are fields.
    type Flags: Args
    where
        Self: Sized;

    /// What the flags ask for, each on top of what a preset has.
    ///
    /// # Errors
    /// 64 if a flag needs another one of these.
    fn read(flags: &Self::Flags, preset: Option<Self>) -> Result<Option<Self>>
    where
        Self: Sized;

    /// Refuses what cannot be had together with the other impairments of `all`.
    ///
    /// # Errors
    /// 64 with the flags that need or contradict each other.
    fn check(&self, _all: &Parts) -> Result<()> {
        Ok(())
    }

    /// Its flags with their values, as `set` takes them.
    fn shown(&self) -> Vec<Shown>;

    /// How netem does it beside the other impairments of `all`.
    ///
    /// # Errors
    /// Why netem does not do it, whatever tc takes.
    fn netem(&self, all: &Parts) -> std::result::Result<Netem, Unable>;

    /// What our own delay line does to each packet, and in which stage.
    fn strikes(&self) -> Vec<(Stage, Box<dyn Strike>)>;

    /// How much of packets our own line must see.
    fn needs(&self) -> Shows {
        Shows::Lengths
    }

    /// How long it holds packets.
    fn holds(&self) -> Held {
        Held::UpTo(Duration::ZERO)
    }

    /// Why our own line does not do it in that direction, and what to do.
    fn line_cannot(&self, _direction: Direction) -> Option<&'static str> {
        None
    }
}

/// A flag without its dashes, and its value; a switch is `true`.
pub type Shown = (&'static str, Value);

/// A flag that has a value.
pub fn shown(name: &'static str, value: impl ToString) -> Shown {
    (name, Value::String(value.to_string()))
}

/// A flag that has a value, if it was given.
pub fn shown_if(name: &'static str, value: Option<impl ToString>) -> Option<Shown> {
    value.map(|value| shown(name, value))
}

/// How long packets are held on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// At most so long, but for the rare tail of a distribution.
    UpTo(Duration),
    /// As long as the packets before them take.
    WithLoad,
}

/// How much of each packet is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shows {
    /// Next to nothing but its length, of as many segments as the kernel has put into one: what is done to
    /// one of them is done to all.
    Bursts,
    /// Next to nothing but its length, of each packet as it is on the wire.
    Lengths,
    /// All of it, as it is on the wire, checksums filled in.
    Bytes,
}
