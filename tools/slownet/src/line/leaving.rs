//! The line of what goes out: frames are led to us where they would leave an interface, and leave it when they are
//! due, as they are.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, Ordering};

use breakit::clock;
use breakit::exit::{Error, Result};
use breakit::rng::Pcg64;

use super::cpu_affinity::Station;
use super::hold::Hold;
use super::memory::{Bytes, Pool};
use super::packet_outcome::Fates;
use super::redirect::{Lead, Redirect};
use super::tap::{At, Tap};
use super::{AT_ONCE, DRAIN, be_punctual, damaged, holds, wait};
use crate::fault_id::FaultId;
use crate::impairments::Parts;
use crate::impairments::entry::Shows;

/// How many frames are taken from a device before those that are due leave.
const ROUND: usize = 64;

/// The longest frame of an ordinary link.
const ETHERNET_FRAME: usize = 1514;

/// A frame, and at which of the interfaces it leaves.
struct Frame {
    tap: usize,
    bytes: Bytes,
}

/// What the thread of such a line has.
pub struct Leaving {
    taps: Vec<Tap>,
    /// Ends before the devices do: what is led to none is dropped.
    redirect: Option<Redirect>,
    heard: UnixDatagram,
    bell: Option<UnixDatagram>,
    fates: Fates,
    hold: Hold<Frame>,
    pool: Pool,
    rest: Vec<u8>,
    /// None where packets are held: then it runs when one is due, wherever that is soonest.
    station: Option<Station>,
}

impl Leaving {
    /// The line of fault `id` at `interfaces` of the network that this thread is in.
    ///
    /// # Errors
    /// As [`Tap::make`] and [`Redirect::start`].
    pub fn open(id: FaultId, interfaces: &[String], parts: Parts, rng: Pcg64) -> Result<Leaving> {
        let holds = holds(&parts);
        if holds {
            be_punctual();
        }
        // What is done to one segment only needs it as it is on the wire, with its checksum where it is damaged.
        let whole = parts.needs() != Shows::Bursts;
        let made = interfaces.iter().enumerate().map(|(n, name)| Tap::make(id, n, name, whole));
        let taps: Vec<Tap> = made.collect::<Result<_>>()?;
        let leads: Vec<Lead<'_>> = taps
            .iter()
            .map(|tap| Lead { from: &tap.interface().name, to: tap.name(), index: tap.index() })
            .collect();
        let redirect = Redirect::start(id, &leads)?;
        taps.iter().try_for_each(Tap::open)?;
        let (bell, heard) =
            UnixDatagram::pair().map_err(|e| Error::io("make a pair of sockets", &e))?;
        let _ = bell.set_nonblocking(true);
        Ok(Leaving {
            taps,
            redirect: Some(redirect),
            heard,
            bell: Some(bell),
            fates: Fates::new(&parts, rng),
            hold: Hold::default(),
            pool: Pool::default(),
            rest: Vec::new(),
            station: (!holds).then(Station::default),
        })
    }

    /// Where it stands.
    pub fn interfaces(&self) -> Vec<At> {
        self.taps.iter().map(|tap| tap.interface().clone()).collect()
    }

    /// What wakes it: a datagram. It is given once.
    pub fn bell(&mut self) -> Option<UnixDatagram> {
        self.bell.take()
    }

    /// Runs until it is told to stop and nothing is held any more.
    ///
    /// # Errors
    /// Whatever a device says.
    pub fn work(mut self, stopped: &AtomicBool) -> Result<()> {
        let mut end = None;
        loop {
            let stops = stopped.load(Ordering::SeqCst);
            if stops {
                self.redirect = None;
            }
            // Whatever was led to us before is there now.
            let came = self.receive()?;
            let now = clock::now();
            self.let_out(now);
            if stops {
                let end = *end.get_or_insert(now + DRAIN);
                if now >= end {
                    self.let_out(u64::MAX);
                }
                if self.hold.is_empty() && came == 0 {
                    return Ok(());
                }
            }
            if let Some(station) = &mut self.station {
                station.keep(came > 1, now);
            }
            if came == 0 {
                let until = self.hold.next().into_iter().chain(end).min();
                let mut fds: Vec<BorrowedFd<'_>> = self.taps.iter().map(Tap::as_fd).collect();
                if !stops {
                    fds.push(self.heard.as_fd());
                }
                wait(&fds, until)?;
            }
        }
    }

    /// Takes what is there, a round of each device at the most, and says how many that were.
    fn receive(&mut self) -> Result<usize> {
        let mut came = 0;
        for number in 0..self.taps.len() {
            for _ in 0..ROUND {
                let Some(tap) = self.taps.get(number) else { break };
                let got = tap.next(&mut self.pool, &mut self.rest);
                let place = |e| Error::io(format!("read from the device {}", tap.name()), &e);
                let Some(bytes) = got.map_err(place)? else { break };
                came += 1;
                self.judge(number, &bytes);
            }
        }
        Ok(came)
    }

    /// Draws what becomes of a frame.
    fn judge(&mut self, number: usize, bytes: &Bytes) {
        let Leaving { taps, fates, hold, .. } = self;
        let Some(tap) = taps.get_mut(number) else { return };
        let now = clock::now();
        // A burst that TCP made takes the memory of the packets that it is.
        let packets = Tap::length(bytes).div_ceil(ETHERNET_FRAME).max(1);
        for fate in fates.of(Tap::length(bytes), hold.packets(), now).iter() {
            let bytes = match fate.corrupt {
                Some(bit) => damaged(bytes, tap.ip_header(bytes), bit).into(),
                None => bytes.clone(),
            };
            match hold.lets_pass(fate.leaves, now + AT_ONCE) {
                true => tap.take(bytes),
                false => hold.take(fate.leaves, packets, Frame { tap: number, bytes }),
            }
        }
    }

    fn let_out(&mut self, now: u64) {
        while let Some(Frame { tap, bytes }) = self.hold.due(now) {
            if let Some(tap) = self.taps.get_mut(tap) {
                tap.take(bytes);
            }
        }
        self.taps.iter_mut().for_each(Tap::send);
    }
}
