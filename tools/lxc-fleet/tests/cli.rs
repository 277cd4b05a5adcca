//! What the command line of `lxc-fleet` says without root and without a fleet.

#![allow(clippy::unwrap_used)]

use std::os::unix::process::CommandExt;
use std::process::Command;

use breakit_tests::process::{Run, run};
use breakit_tests::{Fakes, hostile, is_root, skip};

fn lxc_fleet(args: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lxc-fleet"));
    command.args(args).env("BREAKIT_FLEET", "no-such-fleet");
    run(&mut command)
}

/// The subcommands of all kinds of harm.
fn kinds_of_harm() -> impl Iterator<Item = &'static str> {
    lxc_fleet::harm::HARMS.iter().map(|kind| kind.word)
}

#[test]
fn help_names_every_subcommand_on_stdout() {
    let help = lxc_fleet(&["--help"]).expect(0);
    for word in [
        "image", "up", "down", "ls", "nodes", "exec", "push", "pull", "start", "stop", "resume",
        "logs",
    ]
    .into_iter()
    .chain(kinds_of_harm())
    {
        assert!(help.stdout.lines().any(|l| l.trim_start().starts_with(word)), "{word}");
    }
    assert!(!help.stdout.contains("watchdog"), "the watchdog is not for people");
}

#[test]
fn a_name_that_is_no_name_is_refused_in_one_sentence() {
    let long = "x".repeat(300);
    for bad in ["../x", "n1;rm", "n5..n1", "n1,n1", "a b", "", &long, "n_1"] {
        let said = lxc_fleet(&["up", bad]).expect(64).stderr;
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.starts_with("lxc-fleet: "), "{said}");
        assert!(said.len() < 260, "{said}");
    }
    let others = ["start", "stop", "resume", "logs", "ls", "nodes", "down"];
    for command in others.into_iter().chain(kinds_of_harm()) {
        lxc_fleet(&[command, "../x"]).expect(64);
        lxc_fleet(&[command, "-n", "n5..n1"]).expect(64);
    }
    lxc_fleet(&["exec", "../x", "--", "true"]).expect(64);
}

#[test]
fn a_fleet_with_a_bad_name_is_refused() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lxc-fleet"));
    let said = run(command.args(["nodes"]).env("BREAKIT_FLEET", "../etc")).expect(64).stderr;
    assert!(said.contains("BREAKIT_FLEET"), "{said}");
}

#[test]
fn a_fleet_that_is_not_there_is_named_with_the_remedy() {
    let said = lxc_fleet(&["nodes"]).expect(66).stderr;
    assert!(said.contains("no fleet no-such-fleet") && said.contains("lxc-fleet up"), "{said}");
}

#[test]
fn a_missing_or_wrong_argument_is_usage_and_not_claps_two() {
    lxc_fleet(&[]).expect(64);
    lxc_fleet(&["up"]).expect(64);
    lxc_fleet(&["exec", "n1"]).expect(64);
    lxc_fleet(&["image", "x"]).expect(64);
    lxc_fleet(&["image", "rm"]).expect(64);
    lxc_fleet(&["teleport"]).expect(64);
    lxc_fleet(&["push", "/etc/hostname", "n1"]).expect(64);
    lxc_fleet(&["push", "/etc/hostname", "n1:relative"]).expect(64);
    lxc_fleet(&["pull", "../x:/etc/hostname", "here"]).expect(64);
}

#[test]
fn what_apt_could_take_for_an_option_or_a_wish_is_no_package() {
    for bad in ["--packages=-y", "--packages=a,redis-", "--packages=a;b", "--packages="] {
        let said = lxc_fleet(&["image", "x", bad]).expect(64).stderr;
        assert!(said.contains("is no package name"), "{said}");
    }
    lxc_fleet(&["image", "host", "--packages", "redis"]).expect(64);
    lxc_fleet(&["image", "../x", "--packages", "redis"]).expect(64);
}

#[test]
fn a_fault_that_would_never_end_before_the_next_is_refused() {
    for kind in kinds_of_harm() {
        let said = lxc_fleet(&[kind, "n1", "--every", "5s", "--for", "5s"]).expect(64).stderr;
        assert!(said.contains("not shorter than --every"), "{said}");
        lxc_fleet(&[kind, "n1", "--every", "5s"]).expect(64);
        lxc_fleet(&[kind, "n1", "--for", "5s", "--lease", "1ms"]).expect(64);
        lxc_fleet(&[kind, "n1", "--keep", "--hold"]).expect(64);
    }
}

#[test]
fn a_fault_that_is_kept_longer_than_any_lease_is_refused_as_the_other_tools_do() {
    for kind in kinds_of_harm() {
        let said = lxc_fleet(&[kind, "n1", "--keep", "--for", "48h"]).expect(64).stderr;
        let words =
            "--keep --for 2days: what is kept ends with its lease, and a lease takes 1s to 24h";
        assert_eq!(said, format!("lxc-fleet: {words}\n"));
        lxc_fleet(&[kind, "n1", "--keep", "--for", "500ms"]).expect(64);
        // What is in range is refused for want of a fleet, or of root.
        let status = lxc_fleet(&[kind, "n1", "--keep", "--for", "24h"]).status;
        assert!([66, 77].contains(&status), "{status}");
        let status = lxc_fleet(&[kind, "n1", "--for", "48h"]).status;
        assert!([66, 77].contains(&status), "what is held may last longer than a lease: {status}");
    }
}

#[test]
fn a_time_that_no_clock_can_hold_is_refused_before_anything_is_harmed() {
    for kind in kinds_of_harm() {
        for flag in ["--for", "--first", "--time-limit", "--lease", "--every"] {
            let said = lxc_fleet(&[kind, "n1", flag, "18446744073709551615s"]).expect(64).stderr;
            assert!(said.contains("10 years"), "{said}");
            assert_eq!(said.lines().count(), 1, "{said}");
        }
    }
    lxc_fleet(&["stop", "n1", "--timeout", "18446744073709551615s"]).expect(64);
    lxc_fleet(&["exec", "n1", "--timeout", "11years", "--", "true"]).expect(64);
}

#[test]
fn the_former_name_of_timeout_is_still_known_and_not_shown() {
    for command in
        [&["stop", "n1", "--limit", "1s"][..], &["exec", "n1", "--limit=1s", "--", "true"]]
    {
        let status = lxc_fleet(command).status;
        assert!([66, 77].contains(&status), "{status}");
        let help = lxc_fleet(&[command[0], "--help"]).expect(0).stdout;
        assert!(help.contains("--timeout <TIME>") && !help.contains("--limit"), "{help}");
    }
}

#[test]
fn a_mistyped_command_is_answered_with_the_one_that_is_most_like_it() {
    for (typed, meant) in [("puase", "pause"), ("kil", "kill"), ("strat", "start")] {
        let said = lxc_fleet(&[typed, "n1"]).expect(64).stderr;
        assert!(said.contains(&format!("; did you mean {meant}?")), "{said}");
    }
    assert!(!lxc_fleet(&["teleport"]).expect(64).stderr.contains("did you mean"));
    let said = lxc_fleet(&["watchdo"]).expect(64).stderr;
    assert!(!said.contains("did you mean"), "what is not for people is not offered: {said}");
}

#[test]
fn a_seed_that_is_no_number_is_refused() {
    lxc_fleet(&["pause", "n1", "--seed", "x"]).expect(64);
    let mut command = Command::new(env!("CARGO_BIN_EXE_lxc-fleet"));
    command.args(["pause", "n1"]).env("BREAKIT_FLEET", "no-such-fleet").env("BREAKIT_SEED", "x");
    let said = run(&mut command).expect(64).stderr;
    assert!(said.contains("BREAKIT_SEED=\"x\" is no seed"), "{said}");
}

#[test]
fn without_root_it_says_so() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lxc-fleet"));
    command.args(["up", "n1"]).env("BREAKIT_FLEET", "no-such-fleet");
    if is_root() {
        // As nobody, where nobody may run what cargo built.
        command.uid(65534).gid(65534);
        if command.output().is_err() {
            skip!("nobody may not run {}", env!("CARGO_BIN_EXE_lxc-fleet"));
        }
    }
    let said = run(&mut command).expect(77).stderr;
    assert!(said.contains("run it with sudo"), "{said}");
}

#[test]
fn what_others_wrote_steers_no_terminal() {
    lxc_fleet(&[&format!("--{}", hostile::TEXT)]).expect(64).shows(r"\u{202e}");
    lxc_fleet(&["up", &format!("{}\n", hostile::TEXT)]).expect(64).shows(r"\u{202e}");
    let missing = format!("/nowhere/{}", hostile::TEXT);
    let said = lxc_fleet(&["--path", &missing, "nodes"]).expect(66);
    said.shows(hostile::SHOWN);
}

#[test]
fn a_name_that_means_another_host_is_no_nodes() {
    for name in ["localhost", "LOCALHOST", "ip6-localhost", "ip6-loopback", "n1,localhost", "1..3"]
    {
        let said = lxc_fleet(&["up", name]).expect(64).stderr;
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn helpers_come_from_the_systems_folders_or_from_those_of_path() {
    if !is_root() {
        skip!("not root");
    }
    let fakes = Fakes::new(&["ip", "nft", "mount", "lxc-start", "lxc-info"]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_lxc-fleet"));
    command.args(["up", "--dry-run", "n1"]).env("BREAKIT_FLEET", "no-such-fleet");
    fakes.first_in_path(&mut command);
    let planned = run(&mut command);
    if planned.status == 69 {
        skip!("{}", planned.stderr);
    }
    let fake = fakes.path().display().to_string();
    assert!(!planned.expect(0).stdout.contains(&fake));
    fakes.are_left_alone();
    let planned = run(command.arg("--path").arg(fakes.path()));
    assert!(planned.stdout.contains(&fake) || fakes.ran().is_some(), "{planned:?}");
    if fakes.ran().is_some() {
        fakes.were_run_with_a_clean_environment();
    }
}

#[test]
fn an_empty_variable_is_as_one_that_is_not_set() {
    let mut unset = Command::new(env!("CARGO_BIN_EXE_lxc-fleet"));
    let unset = run(unset.arg("nodes").env_remove("BREAKIT_FLEET").env_remove("BREAKIT_SEED"));
    let mut empty = Command::new(env!("CARGO_BIN_EXE_lxc-fleet"));
    let empty = run(empty.arg("nodes").env("BREAKIT_FLEET", "").env("BREAKIT_SEED", ""));
    assert!([0, 66].contains(&unset.status), "{unset:?}");
    assert_eq!(
        (empty.status, empty.stdout, empty.stderr),
        (unset.status, unset.stdout, unset.stderr)
    );
}
