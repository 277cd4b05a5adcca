//! The delay line: our own netem, for kernels that have none.
//!
//! A thread in the node's network takes the packets that a rule sends into the kernel's packet queue, draws
//! their fate, and sends them on when their time has come. When it dies the queue is bypassed.

pub mod fate;
pub mod inject;
pub mod nfqueue;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use breakit::clock;
use breakit::exit::{Error, Result};
use breakit::reach::Network;
use breakit::rng::Pcg64;
use breakit::talk;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use crate::fault_id::FaultId;
use crate::parts::Parts;
use fate::Fates;
use inject::Injector;
use nfqueue::{Queue, Verdict};

/// How long packets that are held may take to leave after the end.
const DRAIN: u64 = 500_000_000;

/// Below this a packet is not held: the way through us takes as long.
const AT_ONCE: u64 = 20_000;

/// A delay line at work in one network.
#[derive(Debug)]
pub struct Line {
    stopped: Arc<AtomicBool>,
    bell: Option<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Line {
    /// Opens the line of fault `id` in `network`. No packet comes in before a rule sends it.
    ///
    /// # Errors
    /// 64 for another host, and as [`Queue::bind`] and [`Injector::open`].
    pub fn open(network: Network, id: FaultId, parts: Parts, rng: Pcg64) -> Result<Line> {
        let stopped = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stopped);
        let (hear, bell) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)
            .map_err(|errno| Error::io("make a pipe", &errno.into()))?;
        let (tell, told) = channel();
        let thread = std::thread::spawn(move || {
            let failed = tell.clone();
            let worked = network.inside(|| work(id, Fates::new(parts, rng), &hear, &seen, &tell));
            if let Err(error) = worked
                && let Err(unheard) = failed.send(Err(error))
                && let Err(error) = unheard.0
            {
                talk::error(format!("the delay line ended: {error}"));
            }
        });
        match told.recv() {
            Ok(Ok(())) => Ok(Line { stopped, bell: Some(bell), thread: Some(thread) }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(Error::system("the delay line died before it began")),
        }
    }

    /// Whether it is still at work.
    pub fn works(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }
}

impl Drop for Line {
    /// Lets out what is held, for half a second at the most, and ends.
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Closing the pipe wakes the thread.
        self.bell = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A packet that is held. The number keeps those of one instant in their order.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Held {
    leaves: u64,
    number: u64,
    interface: u32,
    bytes: Vec<u8>,
}

/// The packets that are held, the next to leave on top.
#[derive(Debug, Default)]
struct Hold {
    heap: BinaryHeap<Reverse<Held>>,
    taken: u64,
}

impl Hold {
    fn take(&mut self, leaves: u64, interface: u32, bytes: Vec<u8>) {
        self.taken += 1;
        self.heap.push(Reverse(Held { leaves, number: self.taken, interface, bytes }));
    }

    fn next(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse(held)| held.leaves)
    }

    fn due(&mut self, now: u64) -> Option<Held> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(held)| held)
    }
}

/// Runs in the node's network until it is told to stop and nothing is held any more.
fn work(
    id: FaultId,
    mut fates: Fates,
    hear: &OwnedFd,
    stopped: &AtomicBool,
    tell: &Sender<Result<()>>,
) -> Result<()> {
    be_punctual();
    let mut queue = Queue::bind(id.queue())?;
    let injector = Injector::open(id.mark())?;
    let mut hold = Hold::default();
    // Nobody listens where the opener is gone; then we are stopped, too.
    let _ = tell.send(Ok(()));
    let mut end = None;
    loop {
        let now = clock::now();
        while let Some(held) = hold.due(now) {
            injector.send(&held.bytes, held.interface);
        }
        if stopped.load(Ordering::SeqCst) {
            let end = *end.get_or_insert(now + DRAIN);
            if hold.heap.is_empty() || now >= end {
                return Ok(());
            }
        }
        let until = hold.next().into_iter().chain(end).min();
        wait(&queue, (!stopped.load(Ordering::SeqCst)).then_some(hear), until)?;
        queue
            .receive(|packet| judge(&mut fates, &mut hold, &packet))
            .map_err(|e| Error::io("receive from the packet queue", &e))?;
    }
}

/// What is told the kernel of a packet, and what we hold of it.
fn judge(fates: &mut Fates, hold: &mut Hold, packet: &nfqueue::Packet<'_>) -> Verdict {
    let now = clock::now();
    let drawn = fates.of(packet.bytes.len(), hold.heap.len(), now);
    // Nothing happens to it: let the kernel carry on, which costs no copy.
    if let [fate::Fate { leaves, corrupt: None }] = drawn[..]
        && leaves <= now + AT_ONCE
        && hold.next().is_none_or(|next| next > leaves)
    {
        return Verdict::Accept;
    }
    for fate in drawn {
        let mut bytes = packet.bytes.to_vec();
        if let Some(bit) = fate.corrupt {
            damage(&mut bytes, bit);
        }
        hold.take(fate.leaves, packet.interface, bytes);
    }
    Verdict::Drop
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

fn wait(queue: &Queue, hear: Option<&OwnedFd>, until: Option<u64>) -> Result<()> {
    let mut fds = vec![PollFd::new(queue.as_fd(), PollFlags::POLLIN)];
    fds.extend(hear.map(|hear| PollFd::new(hear.as_fd(), PollFlags::POLLIN)));
    let left = until.map(|until| {
        TimeSpec::from_duration(Duration::from_nanos(until.saturating_sub(clock::now())))
    });
    match ppoll(&mut fds, left, None) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(Error::io("wait for packets", &errno.into())),
    }
}

/// Asks to be run when a packet is due and not a time slice later. Where that is not allowed delays are a
/// millisecond less exact.
fn be_punctual() {
    let _ = nix::sys::prctl::set_timerslack(1);
    let param = nix::libc::sched_param { sched_priority: 1 };
    // SAFETY: the call reads `param` and changes only how this thread is scheduled.
    let _ = unsafe { nix::libc::sched_setscheduler(0, nix::libc::SCHED_FIFO, &param) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_leave_by_their_time_and_then_by_their_order() {
        let mut hold = Hold::default();
        for (leaves, name) in [(20, b'b'), (10, b'a'), (20, b'c')] {
            hold.take(leaves, 0, vec![name]);
        }
        assert_eq!(hold.due(9), None);
        let left: Vec<u8> = std::iter::from_fn(|| hold.due(20)).map(|held| held.bytes[0]).collect();
        assert_eq!(left, *b"abc");
    }

    #[test]
    fn damage_spares_the_ip_header() {
        for (first, header) in [(0x45, 20), (0x60, 40)] {
            for bit in [0, 1, 159, 160, 479, 480, 1000] {
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
