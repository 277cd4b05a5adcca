//! The delay line: our own netem, for kernels that have none, and for packets that come in.
//!
//! A thread in the node's network takes the packets that a rule sends into the kernel's packet queue, draws
//! their fate, and lets them go on when their time has come. When it dies the queue is bypassed.
//!
//! What comes in stays in the kernel meanwhile and is held by its number: that costs no copy. What goes out
//! cannot stay there, see [`inject`]; only what is not held at all goes on without a copy.

pub mod fate;
pub mod inject;
pub mod memory;
pub mod nfqueue;
pub mod station;
pub mod stuck;
pub mod verdicts;
pub mod watchdog;

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering as Order};
use std::sync::mpsc::channel;
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
use crate::netem;
use crate::parts::Parts;
use crate::traffic::Way;
use fate::Fates;
use inject::Injector;
use memory::Bytes;
use nfqueue::{Bell, Came, Packet, Queue, Shows};
use station::Station;
use verdicts::Verdict;

/// How long packets that are held may stay after the end.
const DRAIN: u64 = 500_000_000;

/// Below this a packet is not held: the way through us takes as long.
const AT_ONCE: u64 = 20_000;

/// A delay line at work in one network.
#[derive(Debug)]
pub struct Line {
    stopped: Arc<AtomicBool>,
    bell: Bell,
    thread: Option<JoinHandle<()>>,
}

impl Line {
    /// Opens the line of fault `id` in `network` for the packets that go that way. None comes before a rule
    /// sends it.
    ///
    /// # Errors
    /// 64 for another host, and as [`Queue::bind`] and [`Injector::open`].
    pub fn open(network: Network, id: FaultId, way: Way, parts: Parts, rng: Pcg64) -> Result<Line> {
        let stopped = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stopped);
        let (tell, told) = channel();
        let thread = std::thread::spawn(move || {
            let failed = tell.clone();
            let worked = network.inside(|| {
                let line = Worker::open(id, way, parts, rng)?;
                // Nobody listens where the opener is gone; then we are stopped, too.
                let _ = tell.send(Ok(line.queue.bell()));
                line.work(&seen)
            });
            if let Err(error) = worked
                && let Err(unheard) = failed.send(Err(error))
                && let Err(error) = unheard.0
            {
                talk::error(format!("the delay line ended: {error}"));
            }
        });
        match told.recv() {
            Ok(Ok(bell)) => Ok(Line { stopped, bell, thread: Some(thread) }),
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
    /// Lets out what is held, when its time comes, after half a second all that is left; and ends.
    fn drop(&mut self) {
        self.stopped.store(true, Order::SeqCst);
        self.bell.ring();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A packet that is held. The number keeps those of one instant in their order.
#[derive(Debug)]
struct Held {
    leaves: u64,
    number: u64,
    packet: Kept,
}

impl Ord for Held {
    fn cmp(&self, other: &Held) -> Ordering {
        (self.leaves, self.number).cmp(&(other.leaves, other.number))
    }
}

impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Held) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Held {
    fn eq(&self, other: &Held) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Held {}

/// How it is held.
#[derive(Debug, PartialEq, Eq)]
enum Kept {
    /// In the kernel, by its number in the queue; with other bytes where it was damaged.
    Queued { id: u32, bytes: Option<Vec<u8>> },
    /// By us, to be sent anew.
    Copied { interface: u32, bytes: Bytes },
}

/// The packets that are held, the next to leave on top.
#[derive(Debug, Default)]
struct Hold {
    heap: BinaryHeap<Reverse<Held>>,
    taken: u64,
}

impl Hold {
    fn take(&mut self, leaves: u64, packet: Kept) {
        self.taken += 1;
        self.heap.push(Reverse(Held { leaves, number: self.taken, packet }));
    }

    fn next(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse(held)| held.leaves)
    }

    fn due(&mut self, now: u64) -> Option<Kept> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(held)| held.packet)
    }
}

/// Whether `parts` hold packets at all.
fn holds(parts: &Parts) -> bool {
    !parts.are_at_once(Duration::from_nanos(AT_ONCE))
}

/// How much must be seen of packets to do `parts` to them.
fn shows(parts: &Parts, way: Way) -> Shows {
    let copied = way == Way::Out && (holds(parts) || parts.duplicate.is_some());
    match () {
        () if copied || parts.corrupt.is_some() => Shows::Bytes,
        () if parts.strike_all_alike() => Shows::Bursts,
        () => Shows::Lengths,
    }
}

/// What the thread of a line has.
struct Worker {
    queue: Queue,
    injector: Injector,
    way: Way,
    fates: Fates,
    hold: Hold,
    /// None where packets are held: then it runs when one is due, wherever that is soonest.
    station: Option<Station>,
}

impl Worker {
    fn open(id: FaultId, way: Way, parts: Parts, rng: Pcg64) -> Result<Worker> {
        let holds = holds(&parts);
        if holds {
            be_punctual();
        }
        Ok(Worker {
            queue: Queue::bind(id.queue(way), shows(&parts, way), netem::limit(&parts))?,
            injector: Injector::open(id.mark())?,
            way,
            fates: Fates::new(parts, rng),
            hold: Hold::default(),
            station: (!holds).then(Station::default),
        })
    }

    /// Runs in the node's network until it is told to stop and nothing is held any more.
    fn work(mut self, stopped: &AtomicBool) -> Result<()> {
        let (mut end, mut came) = (None, Came::Few);
        loop {
            let now = clock::now();
            self.let_out(now);
            if stopped.load(Order::SeqCst) {
                let end = *end.get_or_insert(now + DRAIN);
                if now >= end {
                    // Early is better than never: what is left in the queue would be dropped with it.
                    self.let_out(u64::MAX);
                }
                if self.hold.heap.is_empty() {
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
                wait(&self.queue, until)?;
            }
            let Worker { queue, way, fates, hold, .. } = &mut self;
            came = queue
                .receive(waits, |packet| judge(*way, fates, hold, &packet))
                .map_err(|e| Error::io("receive from the packet queue", &e))?;
        }
    }

    fn let_out(&mut self, now: u64) {
        while let Some(packet) = self.hold.due(now) {
            match packet {
                Kept::Queued { id, bytes } => {
                    self.queue.give(id, Verdict::Accept, bytes.as_deref());
                }
                Kept::Copied { interface, bytes } => self.injector.take(bytes, interface),
            }
        }
        self.injector.send();
    }

    fn tell(&mut self) -> Result<()> {
        self.queue.tell().map_err(|e| Error::io("answer the packet queue", &e))
    }
}

/// What is told the kernel of a packet at once, and what is held of it.
fn judge(way: Way, fates: &mut Fates, hold: &mut Hold, packet: &Packet<'_>) -> Option<Verdict> {
    let now = clock::now();
    let drawn = fates.of(packet.length, hold.heap.len(), now);
    // Nothing happens to it: let the kernel carry on, which costs no copy.
    if let [fate::Fate { leaves, corrupt: None }] = drawn[..]
        && leaves <= now + AT_ONCE
        && hold.next().is_none_or(|next| next > leaves)
    {
        return Some(Verdict::Accept);
    }
    match (way, &drawn[..]) {
        // Of what comes in nothing is doubled: one fate is all it has.
        (Way::In, [fate, ..]) => {
            let bytes = fate.corrupt.map(|bit| damaged(packet.bytes, bit));
            hold.take(fate.leaves, Kept::Queued { id: packet.id, bytes });
            None
        }
        (_, fates) => {
            for fate in fates {
                let bytes = match fate.corrupt {
                    Some(bit) => damaged(packet.bytes, bit).into(),
                    None => packet.keep(),
                };
                hold.take(fate.leaves, Kept::Copied { interface: packet.interface, bytes });
            }
            Some(Verdict::Drop)
        }
    }
}

fn damaged(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    damage(&mut bytes, bit);
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
fn wait(queue: &Queue, until: Option<u64>) -> Result<()> {
    let mut fds = [PollFd::new(queue.as_fd(), PollFlags::POLLIN)];
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
    use crate::parts::{Delay, Loss};

    #[test]
    fn packets_leave_by_their_time_and_then_by_their_order() {
        let mut hold = Hold::default();
        for (leaves, name) in [(20, 2), (10, 1), (20, 3)] {
            hold.take(leaves, Kept::Queued { id: name, bytes: None });
        }
        assert_eq!(hold.due(9), None);
        let left: Vec<Kept> = std::iter::from_fn(|| hold.due(20)).collect();
        assert_eq!(left, [1, 2, 3].map(|id| Kept::Queued { id, bytes: None }));
    }

    #[test]
    fn no_more_is_seen_of_packets_than_what_is_done_to_them_needs() {
        let chance = |text: &str| crate::quantity::Chance::parse(text).ok();
        let delay = |ms| Some(Delay { time: Duration::from_millis(ms), jitter: None });
        let (none, late) = (
            Parts { delay: delay(0), ..Parts::default() },
            Parts { delay: delay(5), ..Parts::default() },
        );
        let lossy = Parts { loss: chance("1%").map(Loss::Random), ..Parts::default() };
        let damaging = Parts { corrupt: chance("1%"), ..Parts::default() };
        for (parts, out, into) in [
            (none, Shows::Bursts, Shows::Bursts),
            (late, Shows::Bytes, Shows::Bursts),
            (lossy, Shows::Lengths, Shows::Lengths),
            (damaging, Shows::Bytes, Shows::Bytes),
        ] {
            assert_eq!(shows(&parts, Way::Out), out, "{parts:?}");
            assert_eq!(shows(&parts, Way::In), into, "{parts:?}");
        }
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
