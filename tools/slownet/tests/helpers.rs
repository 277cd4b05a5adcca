//! Programs that somebody put first in `PATH`: never run, whatever slownet does.

#![allow(clippy::unwrap_used)]

#[macro_use]
mod bed;

use std::process::Command;

use breakit_tests::process::{Run, built, run};
use breakit_tests::wait::is_within;
use breakit_tests::{Fakes, Namespaces, Running, skip};
use nix::sys::signal::Signal;

use bed::*;

/// slownet in the host's namespace, as one whose `PATH` is somebody else's would run it.
fn with(fakes: &Fakes, bed: &Namespaces, args: &str) -> Command {
    let tool = built().join("slownet").display().to_string();
    let line = format!("{} exec {tool} {args} -n {}", fakes.assignments(), node(bed, 0));
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &bed.host(), "bash", "-c", &line]);
    command
}

fn done(fakes: &Fakes, bed: &Namespaces, args: &str) -> Run {
    run(&mut with(fakes, bed, args))
}

#[test]
fn slownet_runs_from_cron_whose_path_lacks_the_folders_of_administration() {
    let bed = bed!(1, "rate");
    let tool = built().join("slownet").display().to_string();
    let set = ["set", "-n", &node(&bed, 0), "--rate", "5mbit", "--for", "100ms"];
    for path in ["PATH=/usr/bin:/bin", "PATH=", "HOME=/"] {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &bed.host(), "env", "-i", path, &tool]).args(set);
        assert_eq!(run(&mut command).expect(0).lines().len(), 2, "{path}");
    }
}

#[test]
fn no_program_of_somebodys_path_is_run_not_by_a_guardian_either() {
    let bed = bed!(1, "rate");
    let before = state(&bed, 0);
    let helpers = [
        "tc",
        "nft",
        "ip",
        "ipset",
        "iptables",
        "iptables-nft",
        "iptables-legacy",
        "unshare",
        "sh",
        "sleep",
        "timeout",
        "which",
        "env",
        "ssh",
    ];
    let fakes = Fakes::new(&helpers);
    done(&fakes, &bed, "set --rate 5mbit --for 100ms").expect(0);
    done(&fakes, &bed, "set --delay 5ms --for 100ms --backend nfqueue").expect(0);
    done(&fakes, &bed, "probe").expect(0);
    let mut held = Running::start(&mut with(&fakes, &bed, "set --rate 5mbit --lease 3s"));
    assert_eq!(held.line(SOON)["f"], "start-slow");
    done(&fakes, &bed, "list").expect(0);
    held.signal(Signal::SIGKILL);
    held.end(SOON).expect(137);
    assert!(is_within(SOON, || state(&bed, 0) == before), "its guardian cleared it");
    done(&fakes, &bed, "set --rate 5mbit --keep --for 1s").expect(0);
    assert!(is_within(SOON, || state(&bed, 0) == before), "its sweeper cleared it");
    done(&fakes, &bed, "clear").expect(0);
    fakes.are_left_alone();
}
