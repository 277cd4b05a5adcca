//! Random cuts that end by random signals.

use std::time::Duration;

use breakit::rng::RngExt;
use breakit_tests::{Namespaces, Running, has, skip};
use nix::sys::signal::{Signal, kill};

use crate::bed::*;

/// How many random runs: `$BREAKIT_RUNS`, or a few.
fn runs() -> u64 {
    std::env::var("BREAKIT_RUNS").map_or(12, |runs| runs.parse().unwrap())
}

/// A cut of random shape, backend and schedule, ended by a random signal at a random time to its holder, and
/// sometimes one to its guard before. Gives what was done.
fn random_run(bed: &Namespaces, seed: u64) -> String {
    let mut rng = breakit::rng::generator(seed, "random runs");
    let mut one_of = |all: &[&str]| all[rng.random_range(0..all.len())].to_string();
    let shape = one_of(&["isolate", "random-halves", "bridge", "one-way n1 n2", "flapping 2"]);
    let backend = one_of(&["nft-bridge", "nft", "nft", "ipset-nft"]);
    let when = one_of(&["", " --every 300ms --for 100ms --first 0s", " --for 200ms", " --keep"]);
    let packets = one_of(&["", " --reject", " --port 80", " --loss 30%"]);
    let packets = if backend == "nft-bridge" { packets.replace(" --reject", "") } else { packets };
    let args = format!("cut {shape} --backend {backend}{when}{packets} --lease 1s --seed {seed}");
    let signals =
        [Signal::SIGKILL, Signal::SIGSTOP, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];
    let signal = signals[rng.random_range(0..signals.len())];
    let to_guard = [None, None, Some(Signal::SIGKILL), Some(Signal::SIGSTOP)];
    let to_guard = to_guard[rng.random_range(0..to_guard.len())];
    let wait = Duration::from_millis(rng.random_range(0..700));
    let what = format!("run {seed}: {args}; {signal} after {wait:?}, to its guard {to_guard:?}");
    let running = Running::start(&mut partition(bed, &args));
    std::thread::sleep(wait);
    let own = format!("breakit_partition_{}_", running.pid());
    let tell_guard = |signal: Signal| {
        for guard in guards(&own) {
            // It may be gone by now.
            let _ = kill(guard, signal);
        }
    };
    if let Some(signal) = to_guard {
        tell_guard(signal);
    }
    running.signal(signal);
    let trace = |rules: &str| rules.contains("breakit_partition") || rules.contains("bkp_");
    let whole = || is_whole(bed) && listed(bed).is_empty();
    let swept = || whole() && !trace(&rules(bed, 3)) && !trace(&iptables_rules(bed, 3));
    if signal == Signal::SIGSTOP {
        // The lease alone ends what it holds; then nothing is left of it but itself and its guard.
        within(SOON * 3, &what, || if to_guard.is_none() { swept() } else { whole() });
    }
    let killed = matches!(signal, Signal::SIGSTOP | Signal::SIGKILL);
    let signal = if signal == Signal::SIGSTOP { Signal::SIGKILL } else { signal };
    let pid = running.pid();
    // Whoever runs us in the background may have INT or HUP ignored, and so has the tool until it listens.
    within(SOON, &what, || {
        std::thread::sleep(Duration::from_millis(100));
        running.signal(signal);
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ")
    });
    // Who was stopped goes home when let go on.
    tell_guard(Signal::SIGCONT);
    if to_guard == Some(Signal::SIGKILL) && (killed || when == " --keep") {
        // Nobody is left to sweep: the lease alone ends the cut, and what drops nothing any more waits for whoever
        // comes.
        within(SOON, &what, || whole() && guards(&own).is_empty());
        done(bed, "heal").expect(0);
    }
    running.end(SOON);
    within(SOON, &what, || swept() && guards(&own).is_empty());
    what
}

#[test]
fn runs_that_are_ended_by_random_signals_leave_nothing_after_their_lease() {
    use std::sync::atomic::{AtomicU64, Ordering};

    if !has("ipset") || !has("iptables-nft") {
        skip!("ipset or iptables-nft is missing");
    }
    let beds = [bed!(3), bed!(3), bed!(3), bed!(3), bed!(3)];
    let (next, first) = (AtomicU64::new(0), u64::from(std::process::id()) << 16);
    std::thread::scope(|scope| {
        for bed in &beds {
            let next = &next;
            scope.spawn(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    if number >= runs() {
                        break;
                    }
                    let what = random_run(bed, first + number);
                    // Where it stays like this: no cut comes back by itself.
                    assert!(is_whole(bed) && listed(bed).is_empty(), "{what}");
                }
            });
        }
    });
}
