//! Which key is decided when, and for how long, so that one that takes a long search leaves time to the others.
//!
//! Keys are decided in rounds. What takes no search is decided in the first. A search may take a slice of time, and
//! one that did not end by then begins anew in the next round, with a slice four times as long. So a search takes at
//! most a third more than it would alone, plus what is left over at the end, and it holds memory for no longer than
//! its slice. When less than two slices are left for each key, the time that is left is dealt out evenly.
//!
//! One invalid key settles a history: the keys that are open then get one more short slice each, and are set aside.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustc_hash::FxHashMap;

use super::Decision;
use crate::budget::{Budget, Exhausted};

/// The first slice of a search: what nearly all need.
const FIRST_SLICE: Duration = Duration::from_millis(10);
/// Which part of the time all first slices together may take, so that what needs no search is decided soon.
const FIRST_PART: u32 = 16;
/// How many times as long each slice is as the one before.
const GROWTH: u32 = 4;
/// What the search of a key may take where another key is invalid.
const LAST_SLICE: Duration = Duration::from_secs(1);
/// What the searches of all keys together may take from then on.
const LAST_ROUND: Duration = Duration::from_secs(5);

/// Where a key stands after a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The slice ended before the search; what was found is the answer if no other round follows.
    Open,
    /// It is decided, or no more time would decide it.
    Done,
    /// It is decided, and settles the history.
    Invalid,
    /// The history has an error there: nothing else is decided.
    Wrong,
}

impl Standing {
    /// Where a decision leaves its key.
    pub fn of(decision: &Decision, budget: &Budget) -> Standing {
        match decision {
            Decision::Invalid(_) => Standing::Invalid,
            Decision::Unknown { limit: Some(Exhausted::Time(_)), .. }
                if budget.spend(0).is_ok() =>
            {
                Standing::Open
            }
            Decision::Valid | Decision::Unknown { .. } => Standing::Done,
        }
    }
}

/// What is known of one key after the last round.
#[derive(Debug)]
pub struct Found<T> {
    /// The key's place.
    pub at: usize,
    /// What was found.
    pub found: T,
    /// Whether its search was given up because another key is invalid.
    pub is_set_aside: bool,
}

/// Decides the keys at these places over so many threads; what was found is in the order of the places, and is not of
/// all of them where one is [`Standing::Wrong`]. `worker` makes what each thread decides a key with, within a slice of
/// time.
pub fn all<T, W, D>(keys: &[usize], threads: usize, budget: &Budget, worker: W) -> Vec<Found<T>>
where
    T: Send,
    W: Fn() -> D + Sync,
    D: FnMut(usize, Duration) -> (T, Standing),
{
    let (is_settled, is_wrong) = (AtomicBool::new(false), AtomicBool::new(false));
    let done = Mutex::new(Vec::with_capacity(keys.len()));
    // What the last round said of each key that is open.
    let open = Mutex::new(FxHashMap::default());
    let mut left = keys.to_vec();
    let fair = |count: usize| share(budget.time_left(), threads, count);
    let mut slice = match keys.len() {
        1 => Duration::MAX,
        count => FIRST_SLICE.min(fair(count) / FIRST_PART),
    };
    let mut is_last = false;
    loop {
        let decide = |decide: &mut D, at: usize| {
            if is_wrong.load(Ordering::Relaxed) {
                return;
            }
            // A search that was long enough gives way to the verdict.
            if slice > LAST_SLICE
                && is_settled.load(Ordering::Relaxed)
                && lock(&open).contains_key(&at)
            {
                return;
            }
            let (found, standing) = decide(at, slice);
            if standing == Standing::Open {
                lock(&open).insert(at, found);
                return;
            }
            if standing == Standing::Wrong {
                is_wrong.store(true, Ordering::Relaxed);
            }
            if standing == Standing::Invalid {
                is_settled.store(true, Ordering::Relaxed);
            }
            lock(&open).remove(&at);
            lock(&done).push(Found { at, found, is_set_aside: false });
        };
        in_parallel(&left, threads, &worker, decide);
        left.retain(|at| lock(&open).contains_key(at));
        let is_wrong = is_wrong.load(Ordering::Relaxed);
        if is_wrong || left.is_empty() || budget.spend(0).is_err() || is_last {
            break;
        }
        is_last = is_settled.load(Ordering::Relaxed);
        if is_last && slice >= LAST_SLICE {
            break;
        }
        let rest = fair(left.len());
        slice = slice.saturating_mul(GROWTH);
        if is_last {
            slice = LAST_SLICE.min(rest).min(share(LAST_ROUND, threads, left.len()));
        } else if left.len() == 1 || rest < slice.saturating_mul(2) {
            slice = rest;
        }
    }
    let is_set_aside = budget.spend(0).is_ok();
    let mut all = unlock(done);
    let open = unlock(open).into_iter();
    all.extend(open.map(|(at, found)| Found { at, found, is_set_aside }));
    all.sort_unstable_by_key(|found| found.at);
    all
}

/// What each of `count` keys gets of the time that `threads` have.
fn share(time: Duration, threads: usize, count: usize) -> Duration {
    // There are fewer keys than lines, which are counted in 31 bits.
    let (busy, count) = (threads.min(count) as u32, count.max(1) as u32);
    time.checked_mul(busy).map_or(time, |time| time / count)
}

/// Hands the keys to threads, one after the other; `worker` makes what each thread has for itself.
pub fn in_parallel<D>(
    keys: &[usize],
    threads: usize,
    worker: &(impl Fn() -> D + Sync),
    each: impl Fn(&mut D, usize) + Sync,
) {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut own = worker();
        while let Some(&at) = keys.get(next.fetch_add(1, Ordering::Relaxed)) {
            each(&mut own, at);
        }
    };
    std::thread::scope(|scope| {
        (1..threads.min(keys.len())).for_each(|_| {
            // Without another thread this one decides all.
            let _ = std::thread::Builder::new().spawn_scoped(scope, work);
        });
        work();
    });
}

/// Takes the lock; no thread panics while it holds one of these.
pub fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is in it, once no thread holds it any more.
pub fn unlock<T>(shared: Mutex<T>) -> T {
    shared.into_inner().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    /// A search that takes so long, and what it then finds.
    #[derive(Clone, Copy)]
    struct Job(Duration, bool);

    fn run(jobs: &[Job], time: Duration) -> (Vec<Found<bool>>, Duration) {
        let began = Instant::now();
        let budget = Budget::start(time, usize::MAX);
        let keys: Vec<usize> = (0..jobs.len()).collect();
        let found = all(&keys, 1, &budget, || {
            |at: usize, slice: Duration| {
                let Job(takes, is_invalid) = jobs[at];
                let time = takes.min(slice).min(budget.time_left());
                std::thread::sleep(time);
                match (time < takes, is_invalid) {
                    (true, _) if budget.spend(0).is_ok() => (false, Standing::Open),
                    (true, _) => (false, Standing::Done),
                    (false, true) => (true, Standing::Invalid),
                    (false, false) => (true, Standing::Done),
                }
            }
        });
        (found, began.elapsed())
    }

    const ENDLESS: Job = Job(Duration::from_secs(3600), false);

    fn soon(is_invalid: bool) -> Job {
        Job(Duration::from_millis(1), is_invalid)
    }

    #[test]
    fn what_takes_long_leaves_time_to_what_does_not_and_every_key_has_an_answer_in_its_place() {
        let jobs = [ENDLESS, soon(false), ENDLESS, Job(Duration::from_millis(30), false)];
        // Long enough for a busy machine to give each its slices.
        let (found, took) = run(&jobs, Duration::from_secs(2));
        let answers: Vec<_> = found.iter().map(|found| (found.at, found.found)).collect();
        assert_eq!(answers, [(0, false), (1, true), (2, false), (3, true)]);
        assert!(
            found.iter().all(|found| !found.is_set_aside) && took >= Duration::from_millis(1990)
        );
    }

    #[test]
    fn an_invalid_key_ends_the_others_long_before_the_time_is_over() {
        let (found, took) = run(&[ENDLESS, soon(true), ENDLESS], Duration::from_secs(3600));
        let aside: Vec<bool> = found.iter().map(|found| found.is_set_aside).collect();
        assert_eq!(aside, [true, false, true]);
        assert!(took < Duration::from_secs(60), "{took:?}");
    }

    #[test]
    fn a_key_alone_is_decided_in_one_go_however_long_it_takes() {
        let (found, _) = run(&[Job(Duration::from_millis(300), false)], Duration::from_secs(60));
        assert!(found[0].found);
    }

    #[test]
    fn no_time_at_all_leaves_an_answer_for_every_key() {
        let (found, _) = run(&[ENDLESS; 5], Duration::ZERO);
        assert_eq!(found.len(), 5);
    }
}
