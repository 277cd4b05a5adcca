//! Delay lines on hosts behind a real sshd, by a copy of `slownet` there.

#![allow(clippy::unwrap_used)]

#[macro_use]
mod bed;

use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use breakit_tests::process::run;
use breakit_tests::{Namespaces, Running, Sshd, skip};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use bed::*;

/// The line, also where the kernel has netem.
const LINE: &str = "set --agent --backend nfqueue";

/// Two hosts on which a line works, and their sshd.
macro_rules! hosts {
    () => {{
        if let Some(why) = Sshd::impossible() {
            skip!("{why}");
        }
        let bed = bed!(3, "all");
        let sshd = Sshd::start(&bed, 2);
        (bed, sshd)
    }};
}

/// The copies in the network of node `i`.
fn copies(bed: &Namespaces, i: usize) -> Vec<Pid> {
    let network = std::fs::metadata(format!("/run/netns/{}", bed.name(i))).unwrap().ino();
    let is_copy = |pid: i32| {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let there = std::fs::metadata(format!("/proc/{pid}/ns/net")).map(|found| found.ino());
        words.ends_with(b"/fd/3\0agent\0") && there.is_ok_and(|there| there == network)
    };
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| is_copy(*pid)).map(Pid::from_raw).collect()
}

/// The files that a copy may lie in. Its name is there for a moment only.
fn files() -> Vec<String> {
    let folders = ["/run", "/dev/shm", "/tmp", "/var/tmp"];
    let entries = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap().flatten());
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("breakit-agent-")).collect()
}

fn delayed(bed: &Namespaces, millis: f64) {
    for (a, b) in [(0, 2), (1, 2)] {
        delayed_by(&rtts(bed, a, &bed.v4(b), 20), 20, millis);
    }
}

fn is_quick(bed: &Namespaces) -> bool {
    [(0, 2), (1, 2)].iter().all(|(a, b)| {
        let rtts = rtts(bed, *a, &bed.v4(*b), 3);
        rtts.len() == 3 && rtts[0] < 20.0
    })
}

/// A fault of 40 ms on both hosts.
fn hold(bed: &Namespaces, sshd: &Sshd, flags: &str) -> Running {
    let args = format!("{LINE} --delay 40ms {flags}");
    let mut held = Running::start(&mut sshd.tool(bed, "slownet", args.trim()));
    let start = held.line(SOON);
    assert_eq!(start["f"], "start-slow");
    assert_eq!(
        (&start["value"]["backend"], &start["value"]["agent"]),
        (&"nfqueue".into(), &true.into())
    );
    held
}

#[test]
fn hosts_without_netem_are_delayed_by_a_copy_that_ends_with_the_fault() {
    let (bed, sshd) = hosts!();
    let before: Vec<String> = (0..2).map(|i| state(&bed, i)).collect();
    let is_before = || (0..2).all(|i| state(&bed, i) == before[i] && copies(&bed, i).is_empty());
    let held = hold(&bed, &sshd, "--lease 6s");
    for i in 0..2 {
        assert_eq!(copies(&bed, i).len(), 1);
        let exe = std::fs::read_link(format!("/proc/{}/exe", copies(&bed, i)[0])).unwrap();
        assert!(exe.to_string_lossy().ends_with(" (deleted)"), "{exe:?}");
    }
    assert!(within(SOON, || files().is_empty()), "{:?}", files());
    delayed(&bed, 40.0);
    let listed = run(&mut sshd.tool(&bed, "slownet", "list")).expect(0).lines();
    assert_eq!(listed.len(), 2);
    for line in &listed {
        assert_eq!((&line["backend"], &line["in_force"]), (&"nfqueue".into(), &true.into()));
    }
    // Renewed beyond its lease, by the same copies.
    let copied: Vec<_> = (0..2).map(|i| copies(&bed, i)).collect();
    std::thread::sleep(Duration::from_secs(9));
    delayed(&bed, 40.0);
    assert_eq!((0..2).map(|i| copies(&bed, i)).collect::<Vec<_>>(), copied);
    end(held);
    assert!(is_before() && is_quick(&bed));
}
