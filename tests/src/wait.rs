//! Waiting for what is to come, with a deadline, and watching that something lasts: no test sleeps through either.

use std::fs::OpenOptions;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

const PAUSE: Duration = Duration::from_millis(20);

/// Waits until `holds`, `limit` at the most; gives how long it took.
///
/// # Panics
/// Where it does not come in time.
#[track_caller]
pub fn within(limit: Duration, what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let begin = Instant::now();
    assert!(is_within(limit, &mut holds), "{what}: not within {limit:?}");
    begin.elapsed()
}

/// Whether it comes to hold within `limit`.
pub fn is_within(limit: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let begin = Instant::now();
    while !holds() {
        if begin.elapsed() >= limit {
            return false;
        }
        std::thread::sleep(PAUSE);
    }
    true
}

/// Watches that `holds` from now on for the whole of `length`: the last look begins when that is over.
///
/// # Panics
/// Where it holds no more.
#[track_caller]
pub fn throughout(length: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    loop {
        let at = begin.elapsed();
        assert!(holds(), "{what}: no more after {at:?} of {length:?}");
        if at >= length {
            return;
        }
        std::thread::sleep(PAUSE);
    }
}

/// A lease that a test can wait for, and that this machine renews in time at its present load: to put a fault in
/// force took `start`, and counts as part of the first lease. A renewal takes less.
pub fn short_lease(start: Duration) -> Duration {
    (start * 3).clamp(Duration::from_secs(3), Duration::from_secs(30))
}

/// Longer than `lease`: a fault that is still in force then was renewed.
pub fn more_than(lease: Duration) -> Duration {
    lease + Duration::from_secs(1)
}

/// Waits until a pipe is full whose reader does not read.
///
/// # Panics
/// Where `reader` is no pipe, or there is still room after a minute.
#[track_caller]
pub fn wait_until_full(reader: &impl AsRawFd) {
    let path = format!("/proc/self/fd/{}", reader.as_raw_fd());
    let writer = OpenOptions::new().write(true).open(&path);
    let writer = writer.unwrap_or_else(|e| panic!("{path} is no pipe: {e}"));
    within(Duration::from_secs(60), "the pipe is full", || {
        let mut room = [PollFd::new(writer.as_fd(), PollFlags::POLLOUT)];
        poll(&mut room, PollTimeout::ZERO) == Ok(0)
    });
}
