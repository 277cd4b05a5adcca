//! How faults end: in order, by any signal to any of their processes, and beside other faults.

#![allow(clippy::unwrap_used)]

#[macro_use]
mod bed;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use breakit::rng::{self, RngExt};
use breakit_tests::process::run;
use breakit_tests::wait::is_within;
use breakit_tests::{Namespaces, Running, skip};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use bed::*;

/// The processes that name a node of `bed`: holders and their guardians.
fn processes(bed: &Namespaces) -> Vec<(Pid, String)> {
    let names: Vec<String> = bed.spec().split(',').map(|node| node.to_string()).collect();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse() else { continue };
        let words = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).replace('\0', " ");
        if names.iter().any(|name| words.contains(name)) {
            found.push((Pid::from_raw(pid), words));
        }
    }
    found
}

/// The guardian of the faults on `bed`, which must have one holder.
fn guardian(bed: &Namespaces) -> Option<Pid> {
    called(bed, " guardian ")
}

/// The process with that word.
fn called(bed: &Namespaces, word: &str) -> Option<Pid> {
    processes(bed).into_iter().find(|(_, words)| words.contains(word)).map(|(pid, _)| pid)
}

/// Whether nodes 0 and 1 reach each other at once, both ways.
fn is_quick(bed: &Namespaces) -> bool {
    [(0, 1), (1, 0)].iter().all(|(a, b)| {
        let rtts = rtts(bed, *a, &bed.v4(*b), 3);
        rtts.len() == 3 && rtts[0] < 100.0
    })
}

fn in_force(bed: &Namespaces) -> usize {
    list(bed).iter().filter(|line| line["in_force"] == true).count()
}

#[test]
fn a_packet_is_never_of_two_faults_and_the_second_is_told_of_the_first() {
    let bed = bed!(3, "all");
    let one = node(&bed, 0);
    for backend in ["auto", "nfqueue"] {
        let first = ["--rate", "5mbit", "--to", &bed.v4(1), "--port", "7000-7003"];
        let first = [&first[..], &["--protocol", "tcp", "--backend", backend]].concat();
        let mut held = Running::start(&mut set(&bed, &one, &first));
        let id = held.line(SOON)["value"]["id"].as_str().unwrap().to_string();
        let before = state(&bed, 0);
        for flags in [
            &["--delay", "5ms"][..],
            &["--rate", "1mbit", "--to", "10.77.0.0/24"],
            &["--loss", "5%", "--port", "7003", "--direction", "both"],
            &["--delay", "5ms", "--port", "7000", "--dry-run"],
        ] {
            let refused = run(&mut set(&bed, &one, flags)).expect(71);
            for says in [&id, "10.77.0.12 over tcp on port 7000-7003", "slownet clear --all --id"] {
                assert!(refused.stderr.contains(says), "{flags:?}: {}", refused.stderr);
            }
            assert_eq!(refused.stderr.lines().count(), 1, "{}", refused.stderr);
            // Times run on.
            assert_eq!(state(&bed, 0).lines().count(), before.lines().count());
        }
        for flags in [
            &["--delay", "5ms", "--to", "10.77.0.13"][..],
            &["--delay", "5ms", "--to", "10.77.0.12", "--port", "7004"],
            &["--delay", "5ms", "--protocol", "udp"],
            &["--loss", "5%", "--direction", "in", "--port", "7000"],
        ] {
            let flags = [flags, &["--for", "100ms"]].concat();
            run(&mut set(&bed, &one, &flags)).expect(0);
        }
        end(held);
        run(&mut set(&bed, &one, &["--delay", "5ms", "--for", "100ms"])).expect(0);
    }
}

#[test]
fn a_fault_whose_lease_has_lapsed_stands_in_nobodys_way() {
    let bed = bed!(2, "loss");
    let one = node(&bed, 0);
    run(&mut set(&bed, &one, &["--loss", "100%", "--keep", "--for", "1s"])).expect(0);
    assert!(is_within(SOON, || in_force(&bed) == 0));
    let mut held = Running::start(&mut set(&bed, &one, &["--loss", "100%"]));
    held.line(SOON);
    assert!(!bed.reaches(0, &bed.v4(1)));
    end(held);
    run(bed.tool("slownet").args(["clear", "-n", &bed.spec()])).expect(0);
    assert!(list(&bed).is_empty());
}

#[test]
fn a_guardian_that_is_killed_is_replaced_and_one_that_is_stopped_keeps_nobody_waiting() {
    let bed = bed!(2, "loss");
    let before = state(&bed, 0);
    let start = || {
        let flags = ["--loss", "100%", "--lease", "1s"];
        let mut held = Running::start(&mut set(&bed, &node(&bed, 0), &flags));
        held.line(SOON);
        held
    };
    let held = start();
    let first = guardian(&bed).unwrap();
    kill(first, Signal::SIGKILL).unwrap();
    assert!(is_within(SOON, || guardian(&bed).is_some_and(|pid| pid != first)), "another comes");
    held.signal(Signal::SIGKILL);
    drop(held);
    assert!(is_within(SOON, || state(&bed, 0) == before && processes(&bed).is_empty()));
    let held = start();
    kill(guardian(&bed).unwrap(), Signal::SIGSTOP).unwrap();
    end(held);
    assert!(is_within(SOON, || processes(&bed).is_empty()), "{:?}", processes(&bed));
    assert_eq!(state(&bed, 0), before);
}

/// How many random runs: `$BREAKIT_RUNS`, or a few.
fn runs() -> u64 {
    std::env::var("BREAKIT_RUNS").map_or(12, |runs| runs.parse().unwrap())
}

/// Whom a signal strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Holder,
    Guardian,
    /// Holder and guardian.
    Both,
    /// Holder and watchdog, where there is one.
    Hung,
}

/// A fault of random parts, backend and schedule, one of whose processes gets a random signal at a random time.
/// Gives what was done.
fn random_run(bed: &Namespaces, before: &[String], seed: u64) -> String {
    let mut rng = rng::generator(seed, "random runs");
    let mut one_of = |all: &[&str]| all[rng.random_range(0..all.len())].to_string();
    let parts = one_of(&[
        "--rate 20kbit --backend htb",
        "--loss 100% --backend blackhole",
        "--delay 300ms --backend nfqueue",
        "--delay 300ms --loss 50% --backend nfqueue --direction in",
        "--delay 300ms --jitter 50ms --backend nfqueue --direction both",
    ]);
    let when = one_of(&["", " --every 300ms --for 100ms --first 0s", " --for 200ms", " --keep"]);
    let when = if parts.contains("nfqueue") { when.replace(" --keep", "") } else { when };
    let packets = one_of(&["", " --to 10.77.0.11,10.77.0.12,10.77.0.13", " --protocol udp"]);
    let flags = format!("{parts}{when}{packets} --lease 1s");
    let signals =
        [Signal::SIGKILL, Signal::SIGSTOP, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];
    let signal = signals[rng.random_range(0..signals.len())];
    let victims = [Victim::Holder, Victim::Holder, Victim::Guardian, Victim::Both, Victim::Hung];
    let victim = victims[rng.random_range(0..victims.len())];
    let wait = Duration::from_millis(rng.random_range(0..900));
    let what = format!("run {seed}: {flags}; {signal} to {victim:?} after {wait:?}");

    let flags: Vec<&str> = flags.split(' ').collect();
    let held = Running::start(&mut set(bed, &bed.spec(), &flags));
    std::thread::sleep(wait);
    let beside = match victim {
        Victim::Holder => None,
        Victim::Guardian | Victim::Both => guardian(bed),
        Victim::Hung => called(bed, " watchdog "),
    };
    if let Some(beside) = beside {
        let _ = kill(beside, signal);
    }
    if victim != Victim::Guardian {
        held.signal(signal);
    }
    if victim != Victim::Guardian && matches!(signal, Signal::SIGSTOP | Signal::SIGKILL) {
        // The lease alone, or a guardian that lives, ends what is left.
        assert!(is_within(SOON, || in_force(bed) == 0 && is_quick(bed)), "{what}");
    }
    let pid = held.pid();
    // Whoever runs us in the background may have INT or HUP ignored, and so has the tool until it listens.
    let last = match (victim, signal) {
        (Victim::Guardian, _) => Signal::SIGTERM,
        (_, Signal::SIGSTOP) => Signal::SIGKILL,
        _ => signal,
    };
    let ended = || {
        held.signal(last);
        std::thread::sleep(Duration::from_millis(100));
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ")
    };
    assert!(is_within(SOON, ended), "{what}");
    held.end(SOON);
    if let Some(guardian) = guardian(bed).filter(|_| victim == Victim::Both) {
        let _ = kill(guardian, Signal::SIGKILL);
    }
    // Where nobody is left to sweep, what remains strikes nobody.
    let alone = victim == Victim::Both || (victim == Victim::Guardian && when == " --keep");
    assert!(is_within(SOON, || in_force(bed) == 0 && is_quick(bed)), "{what}");
    assert!(is_within(SOON, || processes(bed).is_empty()), "{what}: {:?}", processes(bed));
    if alone {
        run(bed.tool("slownet").args(["clear", "-n", &bed.spec()])).expect(0);
    }
    let clean = || list(bed).is_empty() && (0..2).all(|i| state(bed, i) == before[i]);
    assert!(is_within(SOON, clean), "{what}: {:?} {}", list(bed), state(bed, 0));
    what
}

#[test]
fn runs_whose_processes_get_random_signals_leave_nothing_after_their_lease() {
    let beds = [bed!(2, "all"), bed!(2, "all"), bed!(2, "all")];
    let (next, first) = (AtomicU64::new(0), u64::from(std::process::id()) << 16);
    let done = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for bed in &beds {
            let (next, done) = (&next, &done);
            scope.spawn(move || {
                let before: Vec<String> = (0..2).map(|i| state(bed, i)).collect();
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    if number >= runs() {
                        break;
                    }
                    let what = random_run(bed, &before, first + number);
                    // Where it stays like this: no fault comes back by itself.
                    assert!(is_quick(bed) && list(bed).is_empty(), "{what}");
                    let kind = what.split("; ").nth(1).unwrap().split(" after").next().unwrap();
                    *done.lock().unwrap().entry(kind.to_string()).or_insert(0) += 1;
                }
            });
        }
    });
    writeln!(std::io::stderr(), "{:#?}", done.lock().unwrap()).unwrap();
    assert_eq!(done.lock().unwrap().values().sum::<u64>(), runs());
}

#[test]
fn a_node_that_dies_between_plan_and_start_leaves_no_other_half_done() {
    let bed = bed!(2, "all");
    let before = state(&bed, 0);
    for backend in ["htb", "nfqueue"] {
        let flags = ["--rate", "5mbit", "--first", "2s", "--backend", backend];
        let gone = format!("gone{}", std::process::id());
        let ip = |line: &str| {
            let line = line.replace("NAME", &gone);
            run(std::process::Command::new("ip").args(line.split(' '))).expect(0)
        };
        ip("netns add NAME");
        ip("-n NAME link add eth0 type bridge");
        ip("-n NAME link set eth0 up");
        ip("-n NAME addr add 192.0.2.1/24 dev eth0");
        let nodes = format!("{},gone=netns:{gone}", node(&bed, 0));
        let held = Running::start(&mut set(&bed, &nodes, &flags));
        // It listens for signals as soon as it has planned.
        held.wait_until_it_catches(Signal::SIGTERM);
        ip("netns del NAME");
        let end = held.end(SOON).expect(66);
        assert!(end.stderr.contains(&format!("netns:{gone} is not running")), "{}", end.stderr);
        assert_eq!((end.stdout.as_str(), end.stderr.lines().count()), ("", 1), "{}", end.stderr);
        assert!(is_within(SOON, || state(&bed, 0) == before), "{}", state(&bed, 0));
    }
}

#[test]
fn a_kernel_with_nothing_that_slows_is_told_apart_from_one_that_lacks_a_program() {
    use std::os::unix::fs::PermissionsExt;

    let bed = bed!(1, "all");
    let before = state(&bed, 0);
    let folder = std::env::temp_dir().join(format!("slownet-poor-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let poor = |flags: &[&str]| {
        let mut command = set(&bed, &node(&bed, 0), flags);
        command.arg("--path").arg(&folder);
        run(command.args(["--for", "1s"])).expect(69)
    };
    // What the programs say where the kernel has none of it.
    for (program, says) in [
        ("tc", "Error: Specified qdisc kind is unknown."),
        ("nft", "Error: Could not process rule: Operation not supported"),
        ("ipset", "ipset v7.17: Cannot open session to kernel."),
    ] {
        let path = folder.join(program);
        std::fs::write(&path, format!("#!/bin/sh\necho '{says}' >&2\nexit 2\n")).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    }
    for (flags, says) in [
        (&["--delay", "5ms"][..], &["netem does not work here", "no timed set"][..]),
        (&["--rate", "5mbit"], &["netem does not work here", "htb does not work here"]),
        (&["--delay", "5ms", "--backend", "netem"], &["modprobe sch_netem"]),
        (&["--delay", "5ms", "--backend", "nfqueue"], &["no timed set", "ipset: "]),
        (&["--rate", "5mbit", "--direction", "in"], &["netem does not work", "htb does not work"]),
    ] {
        let refused = poor(flags);
        for says in says {
            assert!(refused.stderr.contains(says), "{flags:?}: {}", refused.stderr);
        }
        assert_eq!((refused.stdout.as_str(), refused.stderr.lines().count()), ("", 1));
    }
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(state(&bed, 0), before);
}
