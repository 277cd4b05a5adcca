//! `slownet` on hosts behind a real sshd.

#![allow(clippy::unwrap_used)]

#[macro_use]
mod bed;

use std::io::Write;
use std::time::{Duration, Instant};

use breakit_tests::process::run;
use breakit_tests::wait::{is_within, more_than, short_lease, throughout};
use breakit_tests::{Running, Sshd, skip};
use nix::sys::signal::Signal;

use bed::*;

#[test]
fn hosts_behind_a_real_sshd_are_slow_over_one_connection_each_and_quick_when_that_is_lost() {
    if let Some(why) = Sshd::impossible() {
        skip!("{why}");
    }
    let bed = bed!(2, "rate");
    let before: Vec<String> = (0..2).map(|i| state(&bed, i)).collect();
    let is_before = || (0..2).all(|i| state(&bed, i) == before[i]);
    let sshd = Sshd::start(&bed, 2);
    let slow = |lease: Duration| {
        let lease = lease.as_millis();
        let args = format!("set --rate 100kbit --limit 20 --lease {lease}ms");
        let mut held = Running::start(&mut sshd.tool(&bed, "slownet", &args));
        assert_eq!(held.line(SOON)["f"], "start-slow");
        held
    };
    let second = Duration::from_secs(1);

    // kill -9: the guardian clears over a connection of its own.
    let begin = Instant::now();
    let held = slow(Duration::from_secs(60));
    let lease = short_lease(begin.elapsed());
    held.signal(Signal::SIGKILL);
    held.end(SOON).expect(137);
    assert!(is_within(SOON, is_before), "cleared by the guardian");

    // Renewed over ssh, and taken back in order; the login stays quick.
    let held = slow(lease);
    assert_eq!(sshd.sockets(held.pid()), 2, "one connection to each host");
    throughout(more_than(lease), "renewed", || {
        let rate = throughput(&bed, 0, 1, second);
        if rate > 5.0 {
            let listed = run(&mut sshd.tool(&bed, "slownet", "list")).stdout;
            writeln!(std::io::stderr(), "{rate} Mbit/s, {listed}").unwrap();
        }
        rate <= 5.0
    });
    assert!(state(&bed, 0).contains("tcp sport 22 "), "{}", state(&bed, 0));
    assert_eq!(run(&mut sshd.tool(&bed, "slownet", "list")).expect(0).lines().len(), 2);
    let pid = held.pid();
    end(held);
    assert!(is_before());
    assert!(is_within(SOON, || sshd.sockets(pid) == 0), "the connections end");

    // The way to the hosts is lost, and nobody can clear: their kernels end it.
    let held = slow(2 * second);
    let address = |verb: &str| {
        let host = bed.host();
        let args = ["netns", "exec", &host, "ip", "addr", verb, "10.77.0.1/24", "dev", "br0"];
        run(std::process::Command::new("ip").args(args)).expect(0);
    };
    address("del");
    let quick = || throughput(&bed, 0, 1, second) > 50.0;
    assert!(is_within(SOON, quick), "ended with its lease");
    address("add");
    held.signal(Signal::SIGKILL);
    held.end(SOON);
    assert!(is_within(SOON, || {
        run(&mut sshd.tool(&bed, "slownet", "clear")).expect(0);
        is_before()
    }));
}

#[test]
fn logins_that_are_not_root_slow_through_sudo_or_are_told_what_stands_in_the_way() {
    if let Some(why) = Sshd::impossible_for_others() {
        skip!("{why}");
    }
    let bed = bed!(2, "rate");
    let before: Vec<String> = (0..2).map(|i| state(&bed, i)).collect();
    let is_before = || (0..2).all(|i| state(&bed, i) == before[i]);
    let sshd = Sshd::for_admins(&bed, 2, "NOPASSWD: ALL", "");
    let slow = "set --sudo --rate 100kbit --limit 20";
    let mut held = Running::start(&mut sshd.tool(&bed, "slownet", slow));
    held.line(SOON);
    assert!(throughput(&bed, 0, 1, Duration::from_secs(1)) < 5.0);
    assert!(state(&bed, 0).contains("tcp sport 22 "), "{}", state(&bed, 0));
    assert_eq!(run(&mut sshd.tool(&bed, "slownet", "list --sudo")).expect(0).lines().len(), 2);
    held.signal(Signal::SIGKILL);
    held.end(SOON);
    assert!(is_within(SOON, is_before), "cleared by the guardian, through sudo as well");
    let refused = run(&mut sshd.tool(&bed, "slownet", "set --rate 100kbit")).expect(77);
    assert_eq!((refused.stdout.as_str(), refused.stderr.lines().count()), ("", 1));
    drop(sshd);
    for (rule, without, status, says) in [
        ("ALL", "", 77, "sudo on h2 refuses"),
        ("NOPASSWD: ALL", "sudo", 69, "the program sudo is missing on h2"),
    ] {
        let sshd = Sshd::for_admins(&bed, 2, rule, without);
        let refused = run(&mut sshd.tool(&bed, "slownet", slow)).expect(status);
        assert!(refused.stderr.contains(says), "{}", refused.stderr);
        assert_eq!((refused.stdout.as_str(), refused.stderr.lines().count()), ("", 1));
        assert!(is_before(), "what the other did is taken back");
    }
}
