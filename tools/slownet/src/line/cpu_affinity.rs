//! Where a thread runs: while it is busy, on one processor.
//!
//! The kernel wakes a thread near whom woke it. A line is woken by the sender of the packets, who fills a processor:
//! a line that is moved after it takes turns with it there, and each waits for the other while another processor
//! idles. One that stays where it is leaves the sender, who may run anywhere, to find a processor of its own.
//!
//! Where it is it was put by the kernel, which knows who else runs there; so none is chosen here. Others may come
//! later, and be bound to it: so now and then the kernel chooses again.

use std::time::Duration;

use nix::sched::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use nix::unistd::Pid;

/// How long it stays before the kernel may choose again.
const STAYS: u64 = Duration::from_secs(1).as_nanos() as u64;

/// How long the kernel may choose: while many packets come it is woken some times meanwhile.
const FREE: u64 = Duration::from_millis(10).as_nanos() as u64;

/// This thread, as the calling one is named to the system.
const THIS: Pid = Pid::from_raw(0);

/// Where this thread may run.
#[derive(Debug, Default)]
pub struct Station {
    stay: Option<Stay>,
    /// When it is thought of again, at the earliest.
    again: u64,
}

/// A thread that stays, and where it was let run before.
#[derive(Debug)]
struct Stay {
    here: CpuSet,
    given: CpuSet,
}

impl Station {
    /// Stays for a while on the processor that it is on, where it is `busy`, and then is free again for a moment at
    /// least. To be called at each turn; `now` is by the clock.
    pub fn keep(&mut self, busy: bool, now: u64) {
        if now < self.again {
            return;
        }
        if let Some(stay) = self.stay.take() {
            stay.end();
            self.again = now + FREE;
        } else if busy {
            // Where there is no choice, or the system does not let us, it runs as it always did.
            self.stay = Stay::begin();
            self.again = now + STAYS;
        }
    }
}

impl Stay {
    fn begin() -> Option<Stay> {
        let given = sched_getaffinity(THIS).ok().filter(|given| processors(given) > 1)?;
        let mut here = CpuSet::new();
        here.set(sched_getcpu().ok()?).ok()?;
        sched_setaffinity(THIS, &here).ok()?;
        Some(Stay { here, given })
    }

    /// Gives back what was given, unless somebody has said otherwise meanwhile.
    fn end(self) {
        if sched_getaffinity(THIS) == Ok(self.here) {
            // What cannot be given back, because those processors are gone, is no longer ours to have.
            let _ = sched_setaffinity(THIS, &self.given);
        }
    }
}

fn processors(set: &CpuSet) -> usize {
    (0..CpuSet::count()).filter(|cpu| set.is_set(*cpu) == Ok(true)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed() -> CpuSet {
        sched_getaffinity(THIS).unwrap()
    }

    #[test]
    fn a_busy_thread_stays_for_a_while_and_is_let_go_where_it_was_let_run_before() {
        let (given, mut station) = (allowed(), Station::default());
        let stays = |allowed: CpuSet| processors(&allowed) == 1;
        station.keep(false, 1);
        assert_eq!(allowed(), given, "nothing to do");
        for begin in [2, 2 + STAYS + FREE] {
            station.keep(true, begin);
            assert!(stays(allowed()));
            station.keep(false, begin + STAYS - 1);
            assert!(stays(allowed()), "a pause is no end");
            station.keep(true, begin + STAYS);
            assert_eq!(allowed(), given);
            station.keep(true, begin + STAYS + FREE - 1);
            assert_eq!(allowed(), given, "the kernel chooses");
        }
    }

    #[test]
    fn where_somebody_else_has_said_where_it_runs_it_is_left_there() {
        let (given, mut station) = (allowed(), Station::default());
        station.keep(true, 0);
        // On a machine of one processor it is the same as before.
        let last = (0..CpuSet::count()).rfind(|cpu| given.is_set(*cpu) == Ok(true)).unwrap();
        for said in [last, (0..last).rfind(|cpu| given.is_set(*cpu) == Ok(true)).unwrap_or(last)] {
            let mut set = CpuSet::new();
            set.set(said).unwrap();
            // Where it stays by chance what was said cannot be told from what it did itself.
            if set != allowed() {
                sched_setaffinity(THIS, &set).unwrap();
                station.keep(true, STAYS);
                assert_eq!(allowed(), set);
                station.keep(true, STAYS + FREE);
                assert_eq!(allowed(), set, "no choice is left");
            }
        }
    }
}
