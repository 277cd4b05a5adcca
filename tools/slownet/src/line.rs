//! The delay line: our own netem, for kernels that have none, and for packets that come in.
//!
//! A thread in the node's network is given packets, draws their fate, and lets them go on when their time has come.
//! When it dies the kernel lets packets pass by it.
//!
//! What comes in stays in the kernel meanwhile and is held by its number, see [`arriving`]. What goes out cannot stay
//! there, charged to the socket that sent it; it is led to us as frames, where they would leave, see [`leaving`].
//! Either way a packet goes on exactly as it would have without us.

pub mod arriving;
pub mod cpu_affinity;
pub mod hold;
pub mod leaving;
pub mod memory;
pub mod nfqueue;
pub mod order;
pub mod packet_outcome;
pub mod redirect;
pub mod release_queue;
pub mod tap;
pub mod verdicts;
pub mod watchdog;

use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::Duration;

use breakit::clock;
use breakit::exit::{Error, Result};
use breakit::messages;
use breakit::reach::Network;
use breakit::rng::Pcg64;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use serde::{Deserialize, Serialize};

use crate::fault_id::FaultId;
use crate::impairments::Parts;
use arriving::Arriving;
use leaving::Leaving;
use tap::At;

/// How long packets that are held may stay after the end.
const DRAIN: u64 = 500_000_000;

/// Below this a packet is not held: the way through us takes as long.
const AT_ONCE: u64 = 20_000;

/// Where a line stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// Where packets come in, by whatever interface.
    Arriving,
    /// Where they leave these interfaces.
    Leaving(Vec<String>),
}

/// A delay line at work in one network.
#[derive(Debug)]
pub struct Line {
    stopped: Arc<AtomicBool>,
    bell: Bell,
    at: Vec<At>,
    thread: Option<JoinHandle<()>>,
}

/// What wakes a line.
#[derive(Debug)]
enum Bell {
    Queue(nfqueue::Bell),
    Socket(Option<UnixDatagram>),
}

impl Bell {
    fn ring(&self) {
        match self {
            Bell::Queue(bell) => bell.ring(),
            // Where it has no room for another it is awake.
            Bell::Socket(socket) => drop(socket.as_ref().map(|socket| socket.send(&[0]))),
        }
    }
}

/// What a thread does.
enum Worker {
    Arriving(Arriving),
    Leaving(Leaving),
}

impl Worker {
    fn open(id: FaultId, place: &Place, parts: Parts, rng: Pcg64) -> Result<Worker> {
        match place {
            Place::Arriving => Arriving::open(id, parts, rng).map(Worker::Arriving),
            Place::Leaving(at) => Leaving::open(id, at, parts, rng).map(Worker::Leaving),
        }
    }

    fn interfaces(&self) -> Vec<At> {
        match self {
            Worker::Arriving(_) => Vec::new(),
            Worker::Leaving(line) => line.interfaces(),
        }
    }

    fn bell(&mut self) -> Bell {
        match self {
            Worker::Arriving(line) => Bell::Queue(line.bell()),
            Worker::Leaving(line) => Bell::Socket(line.bell()),
        }
    }

    fn work(self, stopped: &AtomicBool) -> Result<()> {
        match self {
            Worker::Arriving(line) => line.work(stopped),
            Worker::Leaving(line) => line.work(stopped),
        }
    }
}

impl Line {
    /// Opens the line of fault `id` at `place` in `network`. No packet comes before a rule sends it.
    ///
    /// # Errors
    /// 64 for another host, and as [`Arriving::open`] and [`Leaving::open`].
    pub fn open(
        network: Network,
        id: FaultId,
        place: Place,
        parts: Parts,
        rng: Pcg64,
    ) -> Result<Line> {
        let stopped = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stopped);
        let (tell, told) = channel();
        let thread = std::thread::spawn(move || {
            let failed = tell.clone();
            let worked = network.inside(|| {
                let mut line = Worker::open(id, &place, parts, rng)?;
                // Nobody listens where the opener is gone; then we are stopped, too.
                let _ = tell.send(Ok((line.interfaces(), line.bell())));
                line.work(&seen)
            });
            if let Err(error) = worked
                && let Err(unheard) = failed.send(Err(error))
                && let Err(error) = unheard.0
            {
                messages::error(format!("the delay line ended: {error}"));
            }
        });
        match told.recv() {
            Ok(Ok((at, bell))) => Ok(Line { stopped, bell, at, thread: Some(thread) }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(Error::system("the delay line died before it began")),
        }
    }

    /// Whether it is still at work in `network`, and its interfaces are those where it began.
    pub fn works(&self, network: &Network) -> bool {
        let replaced = || network.inside(|| Ok(self.at.iter().any(At::is_replaced)));
        let runs = self.thread.as_ref().is_some_and(|thread| !thread.is_finished());
        runs && (self.at.is_empty() || !replaced().unwrap_or(false))
    }
}

impl Drop for Line {
    /// Lets out what is held, when its time comes, after half a second all that is left; and ends.
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.bell.ring();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Whether `parts` hold packets at all.
fn holds(parts: &Parts) -> bool {
    !parts.are_at_once(Duration::from_nanos(AT_ONCE))
}

/// A copy whose IP packet, from `begin` on, has a bit turned over.
fn damaged(bytes: &[u8], begin: usize, bit: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Some(packet) = bytes.get_mut(begin..) {
        damage(packet, bit);
    }
    bytes
}

/// Turns a bit over behind the IP header, whose own checksum the kernel would only repair.
fn damage(bytes: &mut [u8], bit: usize) {
    let header = if bytes.first().is_some_and(|first| first >> 4 == 6) { 40 } else { 20 };
    let Some(payload) = bytes.get_mut(header..).filter(|payload| !payload.is_empty()) else {
        return;
    };
    let bit = bit % (payload.len() * 8);
    payload[bit / 8] ^= 1 << (bit % 8);
}

/// Waits for packets, and `until` then at the most.
fn wait(sources: &[BorrowedFd<'_>], until: Option<u64>) -> Result<()> {
    let mut fds: Vec<PollFd<'_>> =
        sources.iter().map(|source| PollFd::new(*source, PollFlags::POLLIN)).collect();
    let left = until.map(|until| {
        TimeSpec::from_duration(Duration::from_nanos(until.saturating_sub(clock::now())))
    });
    match ppoll(&mut fds, left, None) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(Error::io("wait for packets", &errno.into())),
    }
}

/// Asks to be run when a packet is due and not a time slice later. Where that is not allowed delays are a
/// millisecond less exact. A line that holds nothing does better without: packets gather while others run,
/// and go on together, at half the cost.
fn be_punctual() {
    let _ = nix::sys::prctl::set_timerslack(1);
    run_ahead();
}

/// Lets this thread run ahead of all that does not ask so, too, where that is allowed.
pub fn run_ahead() {
    let param = nix::libc::sched_param { sched_priority: 1 };
    // SAFETY: the call reads `param` and changes only how this thread is scheduled.
    let _ = unsafe { nix::libc::sched_setscheduler(0, nix::libc::SCHED_FIFO, &param) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_spares_the_ip_header() {
        for (first, header) in [(0x45, 20), (0x60, 40)] {
            for bit in [0, 1, 159, 160, 479, 480, 1000] {
                let bytes = damaged(&[[0; 24], [0; 24], [0; 24]].concat(), 72, bit);
                assert_eq!(bytes, [0; 72], "there is no packet");
                let mut bytes = vec![first; 60];
                damage(&mut bytes, bit);
                let changed: Vec<usize> = (0..60).filter(|i| bytes[*i] != first).collect();
                assert_eq!(changed.len(), 1);
                assert!(changed[0] >= header);
            }
        }
        damage(&mut [0x45; 20], 3);
    }
}
