//! Delay lines on hosts behind a real sshd, by a copy of `slownet` there.

#![allow(clippy::unwrap_used)]

#[macro_use]
mod bed;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use breakit_tests::process::{built, run};
use breakit_tests::wait::{is_within, more_than, short_lease, throughout};
use breakit_tests::{Folder, Namespaces, Running, Sshd, skip};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use bed::*;

/// The line, also where the kernel has netem.
const LINE: &str = "set --agent --backend nfqueue";

/// Dozens of commands run over ssh before a fault is in force: on a busy machine each takes a second.
const START: Duration = Duration::from_secs(180);

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

fn is_slow(bed: &Namespaces) -> bool {
    [(0, 2), (1, 2)].iter().all(|(a, b)| {
        let rtts = rtts(bed, *a, &bed.v4(*b), 3);
        rtts.len() == 3 && rtts[0] >= 40.0
    })
}

/// A fault of 40 ms on both hosts.
fn hold(bed: &Namespaces, sshd: &Sshd, flags: &str) -> Running {
    let args = format!("{LINE} --delay 40ms {flags}");
    let mut held = Running::start(&mut sshd.tool(bed, "slownet", args.trim()));
    let start = held.line(START);
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
    let begin = Instant::now();
    let held = hold(&bed, &sshd, "--lease 10m");
    let lease = short_lease(begin.elapsed());
    for i in 0..2 {
        assert_eq!(copies(&bed, i).len(), 1);
        let exe = std::fs::read_link(format!("/proc/{}/exe", copies(&bed, i)[0])).unwrap();
        assert!(exe.to_string_lossy().ends_with(" (deleted)"), "{exe:?}");
    }
    assert!(is_within(SOON, || files().is_empty()), "{:?}", files());
    delayed(&bed, 40.0);
    let listed = run(&mut sshd.tool(&bed, "slownet", "list")).expect(0).lines();
    assert_eq!(listed.len(), 2);
    for line in &listed {
        assert_eq!((&line["backend"], &line["in_force"]), (&"nfqueue".into(), &true.into()));
    }
    end(held);
    assert!(is_before() && is_quick(&bed));

    // Renewed beyond its lease, by the same copies.
    let held = hold(&bed, &sshd, &format!("--lease {}ms", lease.as_millis()));
    let copied: Vec<_> = (0..2).map(|i| copies(&bed, i)).collect();
    throughout(more_than(lease), "renewed by the same copies", || {
        is_slow(&bed) && (0..2).all(|i| copies(&bed, i) == copied[i])
    });
    delayed(&bed, 40.0);
    end(held);
    assert!(is_before() && is_quick(&bed));
}

#[test]
fn a_copy_ends_whatever_ends_first_its_run_its_ssh_its_connection_or_its_lease() {
    let (bed, sshd) = hosts!();
    let before: Vec<String> = (0..2).map(|i| state(&bed, i)).collect();
    let gone = || (0..2).all(|i| copies(&bed, i).is_empty());
    let is_before = || gone() && (0..2).all(|i| state(&bed, i) == before[i]);

    // The run is killed: its guardian clears over a connection of its own.
    let held = hold(&bed, &sshd, "--lease 60s");
    held.signal(Signal::SIGKILL);
    held.end(SOON).expect(137);
    assert!(is_within(SOON, is_before), "{:?}", copies(&bed, 0));
    assert!(is_quick(&bed) && files().is_empty());

    // The run hangs: nobody hangs up, and the lease ends all.
    let held = hold(&bed, &sshd, "--lease 2s");
    held.signal(Signal::SIGSTOP);
    assert!(is_within(SOON, gone), "{:?}", copies(&bed, 0));
    assert!(is_quick(&bed));
    held.signal(Signal::SIGCONT);
    // It finds that out, and says so.
    assert_eq!(held.end(SOON).expect(3).lines().pop().unwrap()["f"], "stop-slow");
    assert!(is_within(SOON, is_before));

    // One ssh of the run is killed: the copy at its other end goes, and the next renewal makes another.
    let mut held = hold(&bed, &sshd, "--lease 30s");
    let first = copies(&bed, 0);
    let ssh = clients(&held);
    assert_eq!(ssh.len(), 2, "one for each copy");
    ssh.iter().for_each(|pid| kill(*pid, Signal::SIGKILL).unwrap());
    assert!(is_within(SOON, || copies(&bed, 0) != first));
    assert_eq!(held.line(SOON)["f"], "renew-slow");
    // One of the two may have been looked at before it was killed.
    assert!(is_within(SOON, || is_slow(&bed)));

    // A copy is killed: packets pass it by, and the next renewal makes another.
    let first = copies(&bed, 0);
    kill(first[0], Signal::SIGKILL).unwrap();
    assert!(is_within(SOON, || rtts(&bed, 0, &bed.v4(2), 1).first().is_some_and(|ms| *ms < 20.0)));
    assert_eq!(held.line(SOON)["f"], "renew-slow");
    assert!(is_within(SOON, || is_slow(&bed)));
    assert!(copies(&bed, 0) != first && copies(&bed, 0).len() == 1);
    end(held);
    assert!(is_within(SOON, is_before));

    // The way to the hosts is cut: neither end sees the other go.
    let held = hold(&bed, &sshd, "--lease 2s");
    way_to_hosts(&bed, "del");
    assert!(is_within(SOON, gone), "{:?}", copies(&bed, 0));
    assert!(is_quick(&bed) && files().is_empty());
    way_to_hosts(&bed, "add");
    held.signal(Signal::SIGKILL);
    held.end(SOON);
    assert!(is_within(SOON, || {
        run(&mut sshd.tool(&bed, "slownet", "clear")).expect(0);
        is_before()
    }));
}

/// The processes of ssh by which a run talks to its copies.
fn clients(held: &Running) -> Vec<Pid> {
    let children = format!("/proc/{0}/task/{0}/children", held.pid());
    let children = std::fs::read_to_string(children).unwrap();
    let pids = children.split_whitespace().map(|pid| pid.parse().unwrap());
    let words = |pid: i32| std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let is_one = |pid: &i32| String::from_utf8_lossy(&words(*pid)).contains("breakit-agent");
    pids.filter(is_one).map(Pid::from_raw).collect()
}

#[test]
fn what_comes_in_and_both_ways_and_windows_are_delayed_and_logins_stay_quick() {
    let (bed, sshd) = hosts!();
    let before: Vec<String> = (0..2).map(|i| state(&bed, i)).collect();
    let is_before = || (0..2).all(|i| state(&bed, i) == before[i] && copies(&bed, i).is_empty());
    for (direction, millis) in [("in", 40.0), ("both", 80.0)] {
        let held = hold(&bed, &sshd, &format!("--direction {direction} --lease 30s"));
        delayed(&bed, millis);
        assert_eq!(copies(&bed, 0).len(), 1, "one copy for both ways");
        let shown = state(&bed, 0);
        assert!(shown.contains("tcp dport 22 "), "{shown}");
        assert_eq!(shown.contains("tcp sport 22 "), direction == "both", "{shown}");
        end(held);
        assert!(is_before());
    }
    let args = format!("{LINE} --delay 40ms --every 20s --for 12s --first 0s --time-limit 33s");
    let (mut input, mut script) = std::io::pipe().unwrap();
    script.write_all(b"the rest of a script\n").unwrap();
    drop(script);
    let stdin = Stdio::from(input.try_clone().unwrap());
    let run = Running::start_with(&mut sshd.tool(&bed, "slownet", &args), stdin);
    let done = run.end(SOON).expect(0);
    let mut left = String::new();
    input.read_to_string(&mut left).unwrap();
    assert_eq!(left, "the rest of a script\n", "no ssh of ours takes it");
    let kinds: Vec<_> = done.lines().iter().map(|line| line["f"].clone()).collect();
    assert_eq!(kinds, ["start-slow", "stop-slow", "start-slow", "stop-slow"]);
    assert!(is_before() && is_quick(&bed));
}

#[test]
fn a_copy_is_made_only_where_it_is_allowed_and_shown_before() {
    let (bed, sshd) = hosts!();
    let set = |flags: &str| sshd.tool(&bed, "slownet", &format!("set --backend nfqueue {flags}"));
    let refused = run(&mut set("--delay 40ms --for 1s")).expect(69);
    assert!(refused.stderr.contains("--agent lets a copy"), "{}", refused.stderr);
    let shown = run(&mut set("--delay 40ms --agent --dry-run")).expect(0).lines();
    assert_eq!(shown.len(), 3, "the link, and both nodes");
    for line in &shown[1..] {
        assert_eq!((&line["agent"], &line["backend"]), (&true.into(), &"nfqueue".into()));
        let run = line["run"][0].as_str().unwrap();
        assert!(run.contains("mktemp") && run.ends_with("</proc/self/exe"), "{run}");
    }
    assert!((0..2).all(|i| copies(&bed, i).is_empty()));
    for (flags, works) in [("probe", false), ("probe --agent", true)] {
        for line in run(&mut sshd.tool(&bed, "slownet", flags)).expect(0).lines() {
            assert_eq!(line["works"]["tap"]["works"], works, "{line}");
            assert_eq!(line["works"]["queue"]["works"], works, "{line}");
        }
    }
    assert!((0..2).all(|i| copies(&bed, i).is_empty()));
}

#[test]
fn a_host_where_a_copy_cannot_run_says_why_and_keeps_nothing_of_it() {
    if let Some(why) = Sshd::impossible() {
        skip!("{why}");
    }
    let bed = bed!(2, "all");
    let before: Vec<String> = (0..2).map(|i| state(&bed, i)).collect();
    for (prepare, status, says) in [
        (
            "f=$(mktemp); printf '#!/bin/sh\\necho vax\\n' >$f; chmod 755 $f; mount --bind $f /usr/bin/uname; rm -f $f",
            69,
            &["another kind of machine (vax)"][..],
        ),
        (
            "for d in /run /dev/shm /var/tmp; do mount -t tmpfs -o size=1m none $d; done; mkdir /run/sshd
             mount --bind /tmp /tmp; mount -o remount,bind,noexec /tmp",
            71,
            &["cannot be copied to h", "/run: full, /dev/shm: full, /tmp: noexec, /var/tmp: full",],
        ),
        (
            "f=$(mktemp); mount --bind $f $(ldconfig -p | sed -n 's/.*libgcc_s.so.1 .*=> //p' | head -n 1); rm -f $f",
            69,
            &["slownet does not run on h", "libgcc_s.so.1: ", "+crt-static"],
        ),
        (
            "mount --bind /dev/null /usr/bin/sha256sum",
            69,
            &["the program sha256sum is missing on h"],
        ),
    ] {
        let sshd = Sshd::prepared(&bed, 2, prepare);
        let args = format!("{LINE} --delay 40ms --for 1s");
        let refused = run(&mut sshd.tool(&bed, "slownet", &args)).expect(status);
        for says in says {
            assert!(refused.stderr.contains(says), "{}", refused.stderr);
        }
        assert_eq!((refused.stdout.as_str(), refused.stderr.lines().count()), ("", 2));
        for line in refused.stderr.lines() {
            assert!(line.len() <= 200, "{line}");
        }
        assert!((0..2).all(|i| copies(&bed, i).is_empty() && state(&bed, i) == before[i]));
        assert!(is_within(SOON, || files().is_empty()), "{:?}", files());
    }
}

#[test]
fn a_host_that_runs_no_program_from_its_first_folder_takes_the_copy_into_the_next() {
    if let Some(why) = Sshd::impossible() {
        skip!("{why}");
    }
    let bed = bed!(3, "all");
    let prepare = "mount -t tmpfs -o noexec none /run; mkdir /run/sshd";
    let sshd = Sshd::prepared(&bed, 2, prepare);
    let held = hold(&bed, &sshd, "");
    let exe = std::fs::read_link(format!("/proc/{}/exe", copies(&bed, 0)[0])).unwrap();
    assert!(exe.starts_with("/dev/shm"), "{exe:?}");
    delayed(&bed, 40.0);
    end(held);
}

#[test]
fn logins_that_are_not_root_hold_lines_through_sudo() {
    if let Some(why) = Sshd::impossible_for_others() {
        skip!("{why}");
    }
    let bed = bed!(3, "all");
    let sshd = Sshd::for_admins(&bed, 2, "NOPASSWD: ALL", "");
    let held = hold(&bed, &sshd, "--sudo");
    delayed(&bed, 40.0);
    held.signal(Signal::SIGKILL);
    held.end(SOON);
    assert!(is_within(SOON, || (0..2).all(|i| copies(&bed, i).is_empty()) && is_quick(&bed)));
    drop(sshd);
    let sshd = Sshd::for_admins(&bed, 2, "ALL", "");
    let args = format!("{LINE} --sudo --delay 40ms");
    let refused = run(&mut sshd.tool(&bed, "slownet", &args)).expect(77);
    assert!(refused.stderr.contains("sudo on h2 refuses"), "{}", refused.stderr);
    assert!((0..2).all(|i| copies(&bed, i).is_empty()));
}

#[test]
fn links_of_one_host_share_a_copy_and_are_made_again_from_the_history() {
    let (bed, sshd) = hosts!();
    let link = |to, delay| format!(r#"{{"from":"n1","to":"{to}","delay":"{delay}"}}"#);
    let links = [link(bed.v4(1), "40ms"), link(bed.v4(2), "80ms")].join("\n");
    let file = Temporary::with("agent-links.jsonl", &links);
    let args = LINE.replace("set", &format!("set {}", file.spec()));
    let measure = |mut held: Running| {
        let start = held.line(SOON);
        let links = start["value"]["links"].as_array().unwrap();
        assert!(links.iter().all(|link| link["agent"] == true), "{start}");
        delayed_by(&rtts(&bed, 0, &bed.v4(1), 20), 20, 40.0);
        delayed_by(&rtts(&bed, 0, &bed.v4(2), 20), 20, 80.0);
        assert_eq!((copies(&bed, 0).len(), copies(&bed, 1).len()), (1, 0));
        held.signal(Signal::SIGINT);
        let history = held.end(SOON).stdout;
        assert!((0..2).all(|i| copies(&bed, i).is_empty()));
        history
    };
    let history = measure(Running::start(&mut sshd.tool(&bed, "slownet", &args)));
    let file = Temporary::with("agent-history.jsonl", &history);
    let args = LINE.replace("set", &format!("replay {}", file.0.display()));
    measure(Running::start(&mut sshd.tool(&bed, "slownet", &args)));
}

/// What receives a copy, waiting for it.
struct Receiver {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Receiver {
    fn start(program: &[u8], hash: &str) -> Receiver {
        let mut sh = Command::new("sh");
        sh.args(["-c", include_str!("../src/agent/receive.sh"), "slownet"]);
        sh.args([&program.len().to_string(), hash]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = sh.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.next().unwrap().unwrap().starts_with("room "));
        Receiver { child, lines }
    }

    fn send(&mut self, bytes: &[u8]) {
        self.child.stdin.as_mut().unwrap().write_all(bytes).unwrap();
    }

    fn hear(&mut self) -> String {
        self.lines.next().unwrap().unwrap()
    }

    fn end(mut self) -> Option<i32> {
        drop(self.child.stdin.take());
        self.child.wait().unwrap().code()
    }
}

#[test]
fn a_copy_that_is_cut_off_or_damaged_on_its_way_is_not_run_and_leaves_nothing() {
    let path = built().join("slownet");
    let program = std::fs::read(&path).unwrap();
    let sum = run(Command::new("sha256sum").arg(&path)).expect(0).stdout;
    let hash = sum.split(' ').next().unwrap();
    let half = program.len() / 2;

    let mut cut = Receiver::start(&program, hash);
    cut.send(&program[..half]);
    let file = std::fs::read_link(format!("/proc/{}/fd/3", cut.child.id())).unwrap();
    let file = file.to_string_lossy().into_owned();
    assert!(file.contains("/breakit-agent-") && file.ends_with(" (deleted)"), "{file}");
    drop(cut.child.stdin.take());
    assert_eq!((cut.hear().as_str(), cut.end()), ("no copy .", Some(1)));

    let mut killed = Receiver::start(&program, hash);
    killed.send(&program[..half]);
    killed.child.kill().unwrap();
    assert_eq!(killed.end(), None);

    let mut damaged = Receiver::start(&program, hash);
    let mut bytes = program.clone();
    bytes[half] ^= 1;
    damaged.send(&bytes);
    assert_eq!((damaged.hear().as_str(), damaged.end()), ("no copy .", Some(1)));

    let mut whole = Receiver::start(&program, hash);
    whole.send(&program);
    assert_eq!(whole.hear(), format!("{{\"Ready\":{{\"version\":\"{VERSION}\"}}}}"));
    assert_eq!(whole.end(), Some(0), "it ends with its input");

    let mut confused = Receiver::start(&program, hash);
    confused.send(&program);
    confused.hear();
    confused.send(b"{\"Open\":7}\n");
    assert_eq!(confused.end(), Some(71));
    assert!(is_within(SOON, || files().is_empty()), "{:?}", files());
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

#[test]
fn whatever_a_host_answers_is_one_short_sentence_without_a_byte_that_acts_on_a_terminal() {
    let bed = bed!(1, "all");
    let folder = Folder::new("hostile-agent");
    let ready = format!(r#"{{"Ready":{{"version":"{VERSION}"}}}}"#);
    let copied =
        format!("echo \"room $(uname -m)\"; exec 9<&0; cat <&9 >/dev/null & echo '{ready}'");
    let old = ready.replace("0.", "9.");
    let copied = |then: &str| format!("{copied}; {then}");
    let long = "x".repeat(3000);
    for (answer, status, says) in [
        (r"printf 'no run \033[2J\033]0;title\007\n'".to_string(), 69, r"\x1b[2J"),
        (format!("echo no place {long}"), 71, "cannot be copied to db1: xxx"),
        ("echo room vax".into(), 69, "(vax)"),
        ("yes | tr -d '\\n'".into(), 71, "no answer of slownet"),
        (r"printf '\377\376\n'".into(), 71, "no answer of slownet"),
        ("echo 'Welcome to db1'".into(), 71, "no answer of slownet"),
        ("echo; exec sleep 600".into(), 71, "no answer of slownet"),
        ("exec sleep 600".into(), 75, "did not answer within 20s"),
        ("echo 'Connection refused' >&2; exit 255".into(), 71, "ssh does not reach db1"),
        (
            format!(
                "echo \"room $(uname -m)\"; exec 9<&0; cat <&9 >/dev/null & echo '{old}'; wait"
            ),
            71,
            "no answer",
        ),
        (copied("yes '{}'"), 71, "no answer of slownet"),
        (copied(&format!("yes '{ready}'")), 71, "no answer of slownet"),
        (
            copied(&format!(r#"echo '{{"No":{{"status":0,"why":"\u001b[2J {long}"}}}}'"#)),
            71,
            "on db1: ",
        ),
        (copied(r#"echo '{"No":{"status":77,"why":"\u202e"}}'"#), 77, r"\u{202e}"),
        (copied("exit 9"), 71, "has ended (exit status: 9)"),
    ] {
        let ssh = folder.path().join("ssh");
        let script = format!(
            "#!/bin/sh\nwhile [ \"$1\" != -- ]; do shift; done; shift 2\n\
             case \"$*\" in *breakit-agent*) {answer}; exit;; esac\n\
             exec ip netns exec {} sh -c \"$*\"\n",
            bed.name(0)
        );
        std::fs::write(&ssh, script).unwrap();
        std::fs::set_permissions(&ssh, PermissionsExt::from_mode(0o755)).unwrap();
        let mut set = bed.tool("slownet");
        set.args(LINE.split(' ')).args(["--delay", "5ms", "--for", "1s", "-n", "n1=ssh:db1"]);
        let refused = run(set.arg("--path").arg(folder.path())).expect(status);
        let said = refused.stderr.trim_end();
        assert!(said.contains(says), "{answer}: {said}");
        assert!(said.len() <= 200 && !said.contains(char::is_control), "{answer}: {said:?}");
        assert_eq!(refused.stdout, "");
    }
}

#[test]
fn a_copy_that_hangs_where_nobody_reaches_it_is_cleared_by_a_watchdog_of_its_own() {
    let (bed, sshd) = hosts!();
    let before = state(&bed, 0);
    let held = hold(&bed, &sshd, "--direction in --lease 40s");
    let stopped = Stopped(copies(&bed, 0)[0]);
    way_to_hosts(&bed, "del");
    kill(stopped.0, Signal::SIGSTOP).unwrap();
    // The kernel queues to it what comes in until the lease ends.
    assert_eq!(answered(&bed, 2, &bed.v4(0), 3), 0);
    assert!(is_within(SOON, || state(&bed, 0) == before), "{}", state(&bed, 0));
    assert!(is_quick(&bed));
    held.signal(Signal::SIGKILL);
    held.end(SOON);
    way_to_hosts(&bed, "add");
    kill(stopped.0, Signal::SIGCONT).unwrap();
    assert!(is_within(SOON, || copies(&bed, 0).is_empty()), "its lease is over");
}

/// A copy that must not stay if its test fails.
struct Stopped(Pid);

impl Drop for Stopped {
    fn drop(&mut self) {
        let words = std::fs::read(format!("/proc/{}/cmdline", self.0)).unwrap_or_default();
        if words.ends_with(b"/fd/3\0agent\0") {
            let _ = kill(self.0, Signal::SIGKILL);
        }
    }
}

/// Makes or cuts the way from the run to its hosts; they reach one another all the same.
fn way_to_hosts(bed: &Namespaces, verb: &str) {
    let host = bed.host();
    let args = ["netns", "exec", &host, "ip", "addr", verb, "10.77.0.1/24", "dev", "br0"];
    run(Command::new("ip").args(args)).expect(0);
}
