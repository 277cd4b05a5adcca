//! Programs run in nodes.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use breakit_tests::Running;
use breakit_tests::process::{run, run_with};
use breakit_tests::wait::{throughout, wait_until_full};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::bed::{SOON, fleet, until};

#[test]
fn exec_keeps_the_exit_status_and_the_streams_apart() {
    let fleet = fleet!();
    fleet.run(&["up", "n1..n2"]).expect(0);
    let exec = |args: &[&str]| fleet.run(&[&["exec"], args].concat());
    assert_eq!(exec(&["n1", "--", "printf", "a\\nb"]).expect(0).stdout.trim_end(), "a\nb");
    exec(&["-n", "n1", "--", "sh", "-c", "exit 7"]).expect(7);
    exec(&["n1", "--", "sh", "-c", "kill -9 $$"]).expect(137);
    exec(&["n1", "--", "no-such-program"]).expect(127);
    let both = exec(&["--", "sh", "-c", "echo out; echo err >&2; [ $(hostname) = n1 ] || exit 9"])
        .expect(9);
    let mut lines: Vec<&str> = both.stdout.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["n1: out", "n2: out"]);
    assert!(both.stderr.contains("n1: err") && both.stderr.contains("n2: err"), "{}", both.stderr);
    assert_eq!(exec(&["n1", "--prefix", "--", "hostname"]).stdout, "n1: n1\n");
    assert_eq!(exec(&["n1,n2", "--", "true"]).expect(0).stdout, "");
}

#[test]
fn exec_leaves_stdin_to_whoever_else_reads_it() {
    let fleet = fleet!();
    fleet.run(&["up", "n1"]).expect(0);
    let tool = env!("CARGO_BIN_EXE_lxc-fleet");
    let script = format!(
        "printf '1\\n2\\n3\\n' | while read x; do {tool} exec n1 -- sh -c \"cat; echo $x\"; done"
    );
    let looped = run(Command::new("sh").args(["-c", &script]).env("BREAKIT_FLEET", &fleet.name));
    assert_eq!(looped.expect(0).stdout, "1\n2\n3\n");
    let given = run_with(&mut fleet.command(&["exec", "-i", "n1", "--", "wc", "-l"]), "a\nb\n");
    assert_eq!(given.expect(0).stdout.trim(), "2");
}

#[test]
fn exec_never_hangs_on_a_paused_node_a_slow_program_or_a_daemon_it_left() {
    let fleet = fleet!();
    fleet.run(&["up", "n1..n2"]).expect(0);
    fleet.run(&["pause", "n1"]).expect(0);
    let said = fleet.run(&["exec", "--", "true"]).expect(71).stderr;
    assert!(said.contains("node n1 is paused") && said.contains("lxc-fleet resume"), "{said}");
    let said = fleet.run(&["push", "/etc/hostname", "n1:/tmp/x"]).expect(71).stderr;
    assert!(said.contains("is paused"), "{said}");
    fleet.run(&["resume"]).expect(0);

    let said = fleet.run(&[
        "exec",
        "n1",
        "--timeout",
        "300ms",
        "--",
        "sh",
        "-c",
        "sleep 4711 & sleep 4712",
    ]);
    assert!(said.expect(75).stderr.contains("did not end within 300ms"));
    assert_eq!(fleet.sh("n1", "pgrep -x sleep -a | grep 471"), "", "what was limited is dead");
    // Longer than we wait for any run.
    fleet.run(&["exec", "--", "sh", "-c", "setsid sleep 600 & echo started"]).expect(0);
}

#[test]
fn a_slow_reader_of_exec_loses_nothing_and_may_leave_or_be_interrupted() {
    let fleet = fleet!();
    fleet.run(&["up", "n1..n2"]).expect(0);
    let line_of = |program: &str, reader: &str| {
        let tool = env!("CARGO_BIN_EXE_lxc-fleet");
        let script =
            format!("{{ {tool} exec n1,n2 -- {program}; echo $? >&2; }} | {{ {reader}; }}");
        run(Command::new("sh").args(["-c", &script]).env("BREAKIT_FLEET", &fleet.name))
    };
    let line = |reader: &str| line_of("seq 20000", reader);
    // The programs end long before: what they wrote last lies in the pipes until the reader wakes.
    let slow = line("sleep 2; wc -l");
    assert_eq!((slow.stdout.trim(), slow.stderr.trim()), ("40000", "0"));
    let gone = line("sleep 1; head -n 1 >/dev/null");
    assert_eq!(gone.stderr.trim(), "0", "{gone:?}");
    // They ended by themselves, and so keep their status although their last words are not read.
    let failed = line_of("sh -c 'seq 9000; exit 3'", "sleep 1; head -n 1 >/dev/null");
    assert_eq!(failed.stderr.trim(), "3", "{failed:?}");
    // One that still writes when its reader leaves does not end by itself.
    let endless = line_of("yes", "head -n 1 >/dev/null");
    assert_eq!(endless.stderr.trim(), "0", "{endless:?}");

    // Nobody reads at all, and then a signal comes.
    let mut exec = fleet.command(&["exec", "n1,n2", "--", "seq", "20000"]);
    let (reader, writer) = std::io::pipe().unwrap();
    let mut waiting = exec.stdin(Stdio::null()).stdout(writer).spawn().unwrap();
    drop(exec);
    wait_until_full(&reader);
    throughout(Duration::from_secs(1), "it keeps what nobody has read yet", || {
        waiting.try_wait().unwrap().is_none()
    });
    kill(Pid::from_raw(waiting.id() as i32), Signal::SIGTERM).unwrap();
    let mut left = None;
    until("the signal ends it", SOON, || {
        left = waiting.try_wait().unwrap();
        left.is_some()
    });
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&left.unwrap()), Some(15));
    drop(reader);
}

#[test]
fn a_signal_to_exec_ends_the_program_in_the_node() {
    let fleet = fleet!();
    fleet.run(&["up", "n1"]).expect(0);
    let mut running =
        Running::start(&mut fleet.command(&["exec", "n1", "--", "sh", "-c", "echo 1; sleep 4711"]));
    assert_eq!(running.line(SOON), 1);
    running.signal(Signal::SIGTERM);
    assert_eq!(running.end(SOON).status, 128 + 15);
    assert_eq!(fleet.sh("n1", "pgrep -x sleep -a | grep 4711"), "");
}

/// Ignores TERM and INT, and so does its child, which has left its session.
const STUBBORN: &str = "trap '' TERM INT; echo 1; \
     setsid sh -c 'while :; do sleep 4711; done' & while :; do sleep 4711; done";

#[test]
fn what_ignores_term_and_has_left_its_session_is_dead_when_exec_says_so() {
    let fleet = fleet!();
    fleet.run(&["up", "n1"]).expect(0);
    let said = fleet.run(&["exec", "n1", "--timeout", "300ms", "--", "sh", "-c", STUBBORN]);
    assert!(said.expect(75).stderr.contains("was killed"));
    assert_eq!(fleet.sh("n1", "pgrep -x sleep -a | grep 4711"), "");

    let mut running =
        Running::start(&mut fleet.command(&["exec", "n1", "--", "sh", "-c", STUBBORN]));
    assert_eq!(running.line(SOON), 1);
    running.signal(Signal::SIGINT);
    assert_eq!(running.end(SOON).status, 128 + 2);
    assert_eq!(fleet.sh("n1", "pgrep -x sleep -a | grep 4711"), "");
    assert_eq!(fleet.program_groups(), "", "the groups of programs are gone with them");
}

#[test]
fn a_program_in_a_node_that_is_paused_dies_when_the_node_goes_on() {
    let fleet = fleet!();
    fleet.run(&["up", "n1"]).expect(0);
    let mut running = Running::start(&mut fleet.command(&[
        "exec",
        "n1",
        "--timeout",
        "2s",
        "--",
        "sh",
        "-c",
        "echo 1; sleep 4711",
    ]));
    assert_eq!(running.line(SOON), 1);
    fleet.run(&["pause", "n1"]).expect(0);
    let said = running.end(SOON).expect(75).stderr;
    // Version 2 of cgroups kills what stands still.
    assert!(said.contains("is killed as soon as") || said.contains("was killed"), "{said}");
    fleet.run(&["resume", "n1"]).expect(0);
    until("it dies", SOON, || fleet.sh("n1", "pgrep -x sleep -a | grep 4711").is_empty());
}

#[test]
fn a_node_that_is_killed_under_a_program_leaves_no_group_behind() {
    let fleet = fleet!();
    fleet.run(&["up", "n1"]).expect(0);
    let groups = || fs::read_to_string(format!("/proc/{}/cgroup", fleet.init("n1"))).unwrap();
    let before = groups();
    // A daemon that keeps the group of a program that has ended, and a program that runs.
    fleet.run(&["exec", "n1", "--", "sh", "-c", "setsid sleep 4711 >/dev/null 2>&1 &"]).expect(0);
    assert!(!fleet.program_groups().is_empty());
    let mut running =
        Running::start(&mut fleet.command(&["exec", "n1", "--", "sh", "-c", "echo 1; sleep 4712"]));
    assert_eq!(running.line(SOON), 1);
    fleet.run(&["kill", "n1"]).expect(0);
    assert_eq!(running.end(SOON).status, 128 + 9);
    let group = before.lines().last().unwrap().rsplit_once(':').unwrap().1;
    let script = format!("find /sys/fs/cgroup -type d -path '*{group}'");
    let left = || run(Command::new("sh").args(["-c", &script])).stdout;
    until("the groups are removed", SOON, || left().is_empty());
    fleet.run(&["start", "n1"]).expect(0);
    assert_eq!(groups(), before, "not beside what was left");
}

#[test]
fn a_gigabyte_goes_in_and_out_whole() {
    let fleet = fleet!();
    fleet.run(&["up", "n1"]).expect(0);
    let tool = env!("CARGO_BIN_EXE_lxc-fleet");
    let count = |line: &str| {
        let line = format!("set -o pipefail; {}", line.replace("TOOL", tool));
        run(Command::new("bash").args(["-c", &line]).env("BREAKIT_FLEET", &fleet.name)).expect(0)
    };
    let there = count("head -c 1G /dev/zero | TOOL exec -i n1 -- wc -c");
    assert_eq!(there.stdout.trim(), "1073741824");
    let back = count("TOOL exec n1 -- head -c 1G /dev/zero | wc -c");
    assert_eq!(back.stdout.trim(), "1073741824");
    let both =
        count("head -c 100M /dev/urandom | tee >(cksum >&2) | TOOL exec -i n1 -- cat | cksum");
    assert_eq!(both.stdout, both.stderr);
}

#[test]
fn the_end_of_stdin_ends_the_programs_input_and_a_child_in_the_background_keeps_nobody_waiting() {
    let fleet = fleet!();
    fleet.run(&["up", "n1"]).expect(0);
    let mut running = Running::start(&mut fleet.command(&[
        "exec",
        "-i",
        "n1",
        "--",
        "sh",
        "-c",
        "echo 1; cat; echo 2; sleep 1; echo 3",
    ]));
    assert_eq!(running.line(SOON), 1);
    drop(running.stdin.take());
    assert_eq!(running.line(SOON), 2, "only half of the pipe is closed");
    assert_eq!(running.end(SOON).expect(0).stdout, "1\n2\n3\n");

    // One that says nothing, and one that never falls silent.
    let out = fleet.run(&["exec", "n1", "--", "sh", "-c", "sleep 600 & echo started"]).expect(0);
    assert_eq!(out.stdout, "started\n");
    fleet.run(&["exec", "n1", "--", "sh", "-c", "yes & echo started"]).expect(0);
    // The program ends before its input does: nobody waits for more of it.
    let mut early = Running::start(&mut fleet.command(&["exec", "-i", "n1", "--", "true"]));
    let input = early.stdin.take();
    early.end(SOON).expect(0);
    drop(input);
}

#[test]
fn a_full_disk_under_the_output_is_said_and_the_program_ended() {
    let fleet = fleet!();
    fleet.run(&["up", "n1"]).expect(0);
    let tool = env!("CARGO_BIN_EXE_lxc-fleet");
    let script = format!("{tool} exec n1 -- sh -c 'echo a; sleep 4711' > /dev/full");
    let full = run(Command::new("sh").args(["-c", &script]).env("BREAKIT_FLEET", &fleet.name));
    assert!(full.expect(71).stderr.contains("cannot write to stdout: no space left on device"));
    assert_eq!(fleet.sh("n1", "pgrep -x sleep -a | grep 4711"), "");
}
