//! The line of what comes in: packets are held in the kernel's packet queue, each by its number there.
//!
//! A packet that comes in is charged to no socket: held there it costs no copy, and goes on as the very same packet.

use std::sync::atomic::{AtomicBool, Ordering};

use breakit::clock;
use breakit::exit::{Error, Result};
use breakit::rng::Pcg64;

use super::cpu_affinity::Station;
use super::hold::Hold;
use super::nfqueue::{Bell, Came, Packet, Queue};
use super::packet_outcome::{Fate, Fates};
use super::verdicts::Verdict;
use super::{AT_ONCE, DRAIN, be_punctual, damaged, holds, wait};
use crate::fault_id::FaultId;
use crate::impairments::Parts;
use crate::netem;

/// A packet in the queue, with other bytes if it was damaged.
#[derive(Debug, PartialEq, Eq)]
struct Queued {
    id: u32,
    bytes: Option<Vec<u8>>,
}

/// What the thread of such a line has.
pub struct Arriving {
    queue: Queue,
    fates: Fates,
    hold: Hold<Queued>,
    /// None where packets are held: then it runs when one is due, wherever that is soonest.
    station: Option<Station>,
}

impl Arriving {
    /// The line of fault `id`, in the network that this thread is in.
    ///
    /// # Errors
    /// As [`Queue::bind`].
    pub fn open(id: FaultId, parts: Parts, rng: Pcg64) -> Result<Arriving> {
        let holds = holds(&parts);
        if holds {
            be_punctual();
        }
        Ok(Arriving {
            queue: Queue::bind(id.queue(), parts.needs(), netem::limit(&parts))?,
            fates: Fates::new(&parts, rng),
            hold: Hold::default(),
            station: (!holds).then(Station::default),
        })
    }

    /// What wakes it.
    pub fn bell(&self) -> Bell {
        self.queue.bell()
    }

    /// Runs until it is told to stop and nothing is held any more.
    ///
    /// # Errors
    /// Whatever the queue says.
    pub fn work(mut self, stopped: &AtomicBool) -> Result<()> {
        let (mut end, mut came) = (None, Came::Few);
        loop {
            let now = clock::now();
            self.let_out(now);
            if stopped.load(Ordering::SeqCst) {
                let end = *end.get_or_insert(now + DRAIN);
                if now >= end {
                    // Early is better than never: what is left in the queue would be dropped with it.
                    self.let_out(u64::MAX);
                }
                if self.hold.is_empty() {
                    return self.tell();
                }
            }
            self.tell()?;
            let until = self.hold.next().into_iter().chain(end).min();
            if let Some(station) = &mut self.station {
                station.keep(came != Came::Few, now);
            }
            // Where nothing has its time the packet itself wakes us: that is a system call less.
            let waits = until.is_none();
            if !waits && came != Came::More {
                wait(&[self.queue.as_fd()], until)?;
            }
            let Arriving { queue, fates, hold, .. } = &mut self;
            came = queue
                .receive(waits, |packet| judge(fates, hold, &packet))
                .map_err(|e| Error::io("receive from the packet queue", &e))?;
        }
    }

    fn let_out(&mut self, now: u64) {
        while let Some(Queued { id, bytes }) = self.hold.due(now) {
            self.queue.give(id, Verdict::Accept, bytes.as_deref());
        }
    }

    fn tell(&mut self) -> Result<()> {
        self.queue.tell().map_err(|e| Error::io("answer the packet queue", &e))
    }
}

/// What is told the kernel of a packet at once, and what is held of it. Nothing is doubled: one fate is all it has.
fn judge(fates: &mut Fates, hold: &mut Hold<Queued>, packet: &Packet<'_>) -> Option<Verdict> {
    let now = clock::now();
    match fates.of(packet.length, hold.packets(), now)[..] {
        [] => Some(Verdict::Drop),
        // Nothing happens to it: let the kernel carry on.
        [Fate { leaves, corrupt: None }, ..] if hold.lets_pass(leaves, now + AT_ONCE) => {
            Some(Verdict::Accept)
        }
        [Fate { leaves, corrupt }, ..] => {
            let bytes = corrupt.map(|bit| damaged(packet.bytes, 0, bit));
            hold.take(leaves, 1, Queued { id: packet.id, bytes });
            None
        }
    }
}
