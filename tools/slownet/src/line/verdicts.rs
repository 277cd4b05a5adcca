//! Verdicts on their way to the kernel: one message for each packet, or one for many.
//!
//! The kernel takes one verdict for all packets up to a number (`NFQNL_MSG_VERDICT_BATCH`). That is the same as
//! a message for each exactly if all packets that are still in the queue up to that number are meant, and if
//! they leave in the order of their numbers. Both are checked here.

use std::collections::BTreeSet;

/// What the kernel does with a packet that it queued to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is dropped: lost, or we send it ourselves later.
    Drop = 0,
    /// It goes on.
    Accept = 1,
}

/// What is told the kernel in one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Of one packet.
    Of(u32, Verdict),
    /// Of all in the queue up to this number.
    UpTo(u32, Verdict),
}

/// Verdicts that gather, and which packets stay in the queue meanwhile.
#[derive(Debug, Default)]
pub struct Verdicts {
    staying: Staying,
    run: Vec<u32>,
    verdict: Option<Verdict>,
}

impl Verdicts {
    /// A packet stays in the queue. They come in the order of their numbers.
    pub fn stays(&mut self, id: u32) {
        self.staying.add(id);
    }

    /// A verdict on a packet, whether it stayed or has just come. Gives to `tell` what it does not join.
    pub fn give(&mut self, id: u32, verdict: Verdict, tell: impl FnMut(Told)) {
        if self.verdict != Some(verdict) {
            self.flush(tell);
        }
        self.staying.remove(id);
        self.verdict = Some(verdict);
        self.run.push(id);
    }

    /// A packet that stayed got its verdict in some other message, after all that [`Verdicts::flush`] gave.
    pub fn left(&mut self, id: u32) {
        self.staying.remove(id);
    }

    /// Gives to `tell` all that have gathered.
    pub fn flush(&mut self, mut tell: impl FnMut(Told)) {
        if let Some(verdict) = self.verdict.take() {
            match self.run[..] {
                [_, .., last] if self.is_all_up_to(last) => tell(Told::UpTo(last, verdict)),
                _ => self.run.iter().for_each(|id| tell(Told::Of(*id, verdict))),
            }
        }
        self.run.clear();
    }

    fn is_all_up_to(&self, last: u32) -> bool {
        self.run.is_sorted_by(|a, b| is_before(*a, *b))
            && self.staying.oldest().is_none_or(|oldest| is_before(last, oldest))
    }
}

/// Numbers begin again after the last, as the kernel compares them.
fn is_before(a: u32, b: u32) -> bool {
    (b.wrapping_sub(a) as i32) > 0
}

/// Which packets are in the queue, by numbers that do not begin again.
#[derive(Debug, Default)]
struct Staying {
    long: BTreeSet<u64>,
    newest: u64,
}

impl Staying {
    fn add(&mut self, id: u32) {
        self.newest = self.long(id);
        self.long.insert(self.newest);
    }

    fn remove(&mut self, id: u32) {
        self.long.remove(&self.long(id));
    }

    fn oldest(&self) -> Option<u32> {
        self.long.first().map(|long| *long as u32)
    }

    /// The number that is nearest to the newest one and ends so.
    fn long(&self, id: u32) -> u64 {
        let from = i64::from(id.wrapping_sub(self.newest as u32) as i32);
        self.newest.wrapping_add_signed(from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use breakit::rng::{RngExt, generator};

    /// A queue as the kernel keeps it: what leaves, in which order, by which verdict.
    #[derive(Default)]
    struct Kernel {
        queue: BTreeSet<u32>,
        left: Vec<(u32, Verdict)>,
        messages: usize,
    }

    impl Kernel {
        fn hear(&mut self, told: Told) {
            self.messages += 1;
            let (ids, verdict): (Vec<u32>, Verdict) = match told {
                Told::Of(id, verdict) => (vec![id], verdict),
                Told::UpTo(id, verdict) => (self.queue.range(..=id).copied().collect(), verdict),
            };
            for id in ids {
                assert!(self.queue.remove(&id), "{id} was not there");
                self.left.push((id, verdict));
            }
        }
    }

    /// Packets come in rounds; each is decided at once or later, in order or not, by chance. More may wait
    /// in the kernel than we have seen. Whatever is told: each leaves once, by its verdict, when it should.
    #[test]
    fn the_kernel_does_with_each_packet_what_was_given_for_it() {
        let mut rng = generator(7, "verdicts");
        let mut fewer = 0;
        for chances in [[0, 0], [0, 100], [50, 50], [100, 0], [90, 10], [10, 90]].repeat(40) {
            let (mut kernel, mut verdicts) = (Kernel::default(), Verdicts::default());
            let (mut given, mut held, mut next) = (Vec::new(), Vec::new(), 1);
            for _ in 0..30 {
                let (seen, unseen) = (rng.random_range(0..20), rng.random_range(0..5));
                kernel.queue.extend(next..next + seen + unseen);
                for id in next..next + seen {
                    if rng.random_range(0..100) < chances[0] {
                        verdicts.stays(id);
                        held.push(id);
                    } else {
                        let verdict = if rng.random_range(0..4) == 0 {
                            Verdict::Drop
                        } else {
                            Verdict::Accept
                        };
                        given.push((id, verdict));
                        verdicts.give(id, verdict, |told| kernel.hear(told));
                    }
                }
                next += seen;
                for _ in 0..rng.random_range(0..=held.len()) {
                    let at = if rng.random_range(0..100) < chances[1] {
                        rng.random_range(0..held.len())
                    } else {
                        0
                    };
                    let id = held.remove(at);
                    given.push((id, Verdict::Accept));
                    verdicts.give(id, Verdict::Accept, |told| kernel.hear(told));
                }
                verdicts.flush(|told| kernel.hear(told));
                assert_eq!(kernel.left, given);
                let _unseen = kernel.queue.split_off(&next);
            }
            fewer += given.len() - kernel.messages;
        }
        assert!(fewer > 10_000, "many leave by one message: {fewer}");
    }

    #[test]
    fn numbers_begin_again_after_the_last() {
        let mut verdicts = Verdicts::default();
        let mut told = Vec::new();
        let ids = [u32::MAX - 1, u32::MAX, 0, 1];
        ids.iter().for_each(|id| verdicts.stays(*id));
        for id in &ids[..3] {
            verdicts.give(*id, Verdict::Accept, |one| told.push(one));
        }
        verdicts.flush(|one| told.push(one));
        assert_eq!(told, [Told::UpTo(0, Verdict::Accept)]);
        verdicts.left(1);
        assert_eq!(verdicts.staying.oldest(), None);
    }
}
