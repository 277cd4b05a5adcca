//! How impairments strike a packet in our own delay line: one after the other, in the order of netem's own code.

use std::fmt::Debug;

use breakit::rng::Pcg64;

/// When an impairment strikes. Those of one stage strike in the order of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Makes copies.
    Double,
    /// Takes copies away. Up to here a packet is struck once; after this each of its copies is struck by itself.
    Lose,
    /// Changes what is in it.
    Damage,
    /// Lets it go ahead of those that are held.
    Overtake,
    /// Holds it.
    Hold,
    /// Sends it over the link, after those before it.
    Link,
    /// Gathers it with others.
    Gather,
    /// Puts it behind those that must not be overtaken.
    Order,
}

/// A packet, or from [`Stage::Damage`] on one copy of it, as the stages so far have left it.
#[derive(Clone, Copy, Debug)]
pub struct Passing {
    /// How long it is.
    pub bytes: usize,
    /// When it came, in nanoseconds.
    pub came: u64,
    /// How many copies of it there are.
    pub copies: usize,
    /// Which bit of it is turned over.
    pub corrupt: Option<usize>,
    /// Whether it is not held.
    pub overtakes: bool,
    /// When it leaves, in nanoseconds of the same clock.
    pub leaves: u64,
}

impl Passing {
    /// A packet that comes `now`.
    pub fn new(bytes: usize, now: u64) -> Passing {
        Passing { bytes, came: now, copies: 1, corrupt: None, overtakes: false, leaves: now }
    }

    /// Takes one copy away. As in netem, a packet that is both lost and doubled leaves once.
    pub fn lose(&mut self) {
        self.copies = self.copies.saturating_sub(1);
    }
}

/// What one impairment does to packets in one stage, with all that it remembers of the packets before.
pub trait Strike: Debug + Send {
    /// Strikes the next packet.
    fn strike(&mut self, packet: &mut Passing, rng: &mut Pcg64);
}
