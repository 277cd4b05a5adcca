//! What is done to nodes: pauses and kills, and that none outlives its lease.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use breakit_tests::wait::{more_than, short_lease, throughout};
use breakit_tests::{Running, skip};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::bed::{Fleet, SOON, fleet, sh, strike, until};

#[test]
fn a_pause_that_is_held_ends_in_order() {
    let fleet = fleet!();
    fleet.run(&["up", "n1..n2"]).expect(0);
    let mut command =
        fleet.command(&["pause", "n1", "--every", "6s", "--for", "3s", "--time-limit", "17s"]);
    let mut running = Running::start(&mut command);
    for _ in 0..2 {
        let start = running.line(SOON);
        assert_eq!(
            (start["f"].as_str(), start["process"].as_str()),
            (Some("start-pause"), Some("nemesis"))
        );
        assert_eq!(start["value"]["nodes"], serde_json::json!(["n1"]));
        assert_eq!(start["value"]["backend"], "freezer");
        assert!(start["value"]["began"].as_u64() < start["time"].as_u64());
        let stop = running.line(SOON);
        assert_eq!(stop["f"], "stop-pause");
        // From where it began: on a busy machine the freezer may take most of its time.
        let length = stop["time"].as_u64().unwrap() - start["value"]["began"].as_u64().unwrap();
        assert!((2_000_000_000..5_800_000_000).contains(&length), "{length} ns");
    }
    running.end(SOON).expect(0);
    assert_eq!(fleet.state("n1"), "running");

    let mut running = Running::start(&mut fleet.command(&["pause", "n1", "--hold"]));
    running.line(SOON);
    assert_eq!((fleet.state("n1"), fleet.state("n2")), ("paused".into(), "running".into()));
    let said = fleet.run(&["pause", "n1", "--for", "1s"]).expect(71).stderr;
    assert!(said.contains("is paused"), "two holders of one fault: {said}");
    assert_eq!(fleet.state("n1"), "paused", "the second holder did not undo the first one's work");
    running.signal(Signal::SIGINT);
    assert_eq!(running.line(SOON)["f"], "stop-pause");
    assert_eq!(running.end(SOON).status, 128 + 2);
    assert_eq!(fleet.state("n1"), "running");
}

#[test]
fn a_pause_does_not_outlive_its_holder_whether_killed_or_stopped() {
    let fleet = fleet!();
    fleet.run(&["up", "n1"]).expect(0);
    let begin = Instant::now();
    let mut killed =
        Running::start(&mut fleet.command(&["pause", "n1", "--hold", "--lease", "120s"]));
    killed.line(SOON);
    let lease = short_lease(begin.elapsed());
    killed.signal(Signal::SIGKILL);
    until("n1 goes on after its holder's death", SOON, || fleet.state("n1") == "running");

    let length = format!("{}ms", lease.as_millis());
    let mut stopped =
        Running::start(&mut fleet.command(&["pause", "n1", "--hold", "--lease", &length]));
    stopped.line(SOON);
    throughout(more_than(lease), "the lease is renewed", || fleet.state("n1") == "paused");
    stopped.signal(Signal::SIGSTOP);
    let begin = Instant::now();
    until("n1 goes on when the lease is over", SOON, || fleet.state("n1") == "running");
    // It was renewed a third of itself before, or a little more.
    assert!(begin.elapsed() > lease / 2, "{:?} of {lease:?}", begin.elapsed());
    std::thread::sleep(Duration::from_millis(200));
    stopped.signal(Signal::SIGCONT);
    let stop = stopped.line(SOON);
    assert_eq!(stop["f"], "stop-pause");
    stopped.end(SOON);
    assert_eq!(watchdogs(&fleet), "");
}

/// The watchdogs of a fleet's faults that are still there.
fn watchdogs(fleet: &Fleet) -> String {
    let find = "pgrep -f '[w]atchdog --kind' | xargs -I% grep -sl";
    sh(&format!("{find} {} /proc/%/environ", fleet.name)).stdout
}

#[test]
fn every_kind_of_harm_is_undone_at_whatever_moment_its_holder_is_killed() {
    let fleet = fleet!();
    fleet.run(&["up", "n1"]).expect(0);
    for kind in lxc_fleet::harm::HARMS {
        // The harm itself is done some 30 ms after the start.
        for delay in [10, 20, 25, 30, 35, 40, 45, 50, 60, 80, 120, 200] {
            let args = [kind.word, "n1", "--hold", "--lease", "120s"];
            strike(&mut fleet.command(&args), delay);
            until("the watchdog has done its work", SOON, || watchdogs(&fleet).is_empty());
            let state = fleet.state("n1");
            assert_eq!(state, "running", "{} whose holder was killed after {delay} ms", kind.word);
        }
    }
}

#[test]
fn a_kill_that_is_still_going_on_when_its_holder_dies_is_undone_after_it() {
    let fleet = fleet!();
    fleet.run(&["up", "n1"]).expect(0);
    let folder = std::env::temp_dir().join(format!("breakit-slow-stop-{}", fleet.name));
    fs::create_dir_all(&folder).unwrap();
    let (program, begun) = (folder.join("lxc-stop"), folder.join("begun"));
    let script =
        format!("#!/bin/sh\ntouch {}\nsleep 1\nexec /usr/bin/lxc-stop \"$@\"\n", begun.display());
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let path = folder.to_str().unwrap();
    let holder = Running::start(&mut fleet.command(&["--path", path, "kill", "n1", "--hold"]));
    until("the node is being killed", SOON, || begun.exists());
    holder.signal(Signal::SIGKILL);
    until("the watchdog has done its work", SOON, || watchdogs(&fleet).is_empty());
    let stops = || sh(&format!("pgrep -f '[l]xc-stop.*{}-n1'", fleet.name)).stdout;
    until("the node is killed", SOON, || stops().is_empty());
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(fleet.state("n1"), "running");
}

/// A program that waits for a disk which does not answer: nothing stops it, so that no freezer can finish.
struct Stuck {
    folder: PathBuf,
    device: Option<String>,
    writer: Option<Child>,
}

impl Stuck {
    /// `None` where this host gives no loop devices that can be frozen.
    fn make(name: &str) -> Option<Stuck> {
        let folder = std::env::temp_dir().join(format!("breakit-stuck-{name}"));
        fs::create_dir_all(folder.join("m")).unwrap();
        let mut stuck = Stuck { folder, device: None, writer: None };
        let at = stuck.folder.display();
        let made = sh(&format!(
            "cd {at} && truncate -s 32M disk && mkfs.ext4 -q -F disk && mount -o loop disk m && \
             truncate -s 8M m/inner && losetup -f --show m/inner && fsfreeze -f m"
        ));
        stuck.device = made.stdout.lines().next().map(str::to_string);
        if made.status != 0 {
            return None;
        }
        let device = stuck.device.clone()?;
        let mut writer = Command::new("dd");
        writer.args(["if=/dev/zero", &format!("of={device}"), "bs=4k", "count=1", "oflag=direct"]);
        stuck.writer = writer.stdin(Stdio::null()).stderr(Stdio::null()).spawn().ok();
        let stat = format!("/proc/{}/stat", stuck.pid());
        until("dd waits for the disk", SOON, || {
            fs::read_to_string(&stat).is_ok_and(|text| text.contains(") D "))
        });
        Some(stuck)
    }

    fn pid(&self) -> u32 {
        self.writer.as_ref().unwrap().id()
    }

    /// Lets the disk answer; the program ends by itself.
    fn let_go(&mut self) {
        sh(&format!("fsfreeze -u {}/m", self.folder.display()));
        if let Some(mut writer) = self.writer.take() {
            let _ = writer.wait();
        }
    }
}

impl Drop for Stuck {
    fn drop(&mut self) {
        sh(&format!("fsfreeze -u {}/m", self.folder.display()));
        if let Some(mut writer) = self.writer.take() {
            let _ = writer.kill();
            // Where a test failed it may be frozen with its node, which thaws after us: it is not waited for then.
            for _ in 0..100 {
                if !matches!(writer.try_wait(), Ok(None)) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        }
        if let Some(device) = &self.device {
            sh(&format!("losetup -d {device}"));
        }
        sh(&format!("umount {}/m", self.folder.display()));
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn a_pause_that_the_kernel_has_not_finished_does_not_come_true_after_its_holder() {
    let fleet = fleet!();
    fleet.run(&["up", "n1"]).expect(0);
    let Some(mut stuck) = Stuck::make(&fleet.name) else {
        skip!("no loop device with a filesystem on it that fsfreeze stops");
    };
    // The folder whose freezer stops the node: of version 1 where there is one.
    let found = sh(&format!(
        "find /sys/fs/cgroup -type d -path '*/breakit-{}/n1' > /tmp/{0}; \
         grep /freezer/ /tmp/{0} || head -n 1 /tmp/{0}; rm /tmp/{0}",
        fleet.name
    ))
    .stdout;
    let group = Path::new(found.lines().next().unwrap());
    fs::write(group.join("cgroup.procs"), stuck.pid().to_string()).unwrap();

    // Somebody ordered the freeze and left.
    if group.join("freezer.state").exists() {
        fs::write(group.join("freezer.state"), "FROZEN").unwrap();
    } else {
        fs::write(group.join("cgroup.freeze"), "1").unwrap();
    }
    assert_eq!(fleet.state("n1"), "pausing");
    let said = fleet.run(&["exec", "n1", "--", "true"]).expect(71).stderr;
    assert!(said.contains("node n1 is being paused"), "{said}");
    fleet.run(&["resume", "n1"]).expect(0);
    assert_eq!(fleet.state("n1"), "running", "resume took the order back");

    // A holder dies in the middle of it.
    let args = ["pause", "n1", "--for", "60s", "--lease", "2s"];
    let holder = Running::start(&mut fleet.command(&args));
    until("the kernel is at it", SOON, || fleet.state("n1") == "pausing");
    holder.signal(Signal::SIGKILL);
    until("the watchdog takes it back", SOON, || fleet.state("n1") == "running");

    // Nobody dies, and it takes too long.
    let said = fleet.run(&["pause", "n1"]).expect(75).stderr;
    assert!(said.contains("node n1 did not pause within 10s"), "{said}");
    assert_eq!(fleet.state("n1"), "running");

    stuck.let_go();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(fleet.state("n1"), "running", "it came true when nobody held it any more");
    assert_eq!(fleet.sh("n1", "echo lives"), "lives\n");
}

#[test]
fn a_fault_that_is_kept_ends_with_its_lease() {
    let fleet = fleet!();
    fleet.run(&["up", "n1"]).expect(0);
    let line = fleet.run(&["pause", "n1", "--keep", "--lease", "5s"]).expect(0).lines()[0].clone();
    assert_eq!(line["value"]["lease"], "5s");
    assert_eq!(fleet.state("n1"), "paused");
    until("the lease ends the pause", SOON, || fleet.state("n1") == "running");
}

#[test]
fn a_killed_node_comes_back_with_its_files_and_boots_its_program() {
    let fleet = fleet!();
    fleet.run(&["up", "n1..n2"]).expect(0);
    fleet.sh(
        "n1",
        "mkdir -p /etc/breakit; printf '#!/bin/sh\\necho booted\\ndate +%%s%%N > /srv/boot\\n' > /etc/breakit/boot; \
         chmod +x /etc/breakit/boot; echo kept > /srv/mark",
    );
    let before = fleet.init("n1");
    let mut running = Running::start(&mut fleet.command(&["kill", "n1", "--for", "5s"]));
    assert_eq!(running.line(SOON)["f"], "start-kill");
    assert_eq!(fleet.state("n1"), "stopped");
    assert_eq!(running.line(SOON)["f"], "stop-kill");
    running.end(SOON).expect(0);
    assert_ne!(fleet.init("n1"), before);
    until("the boot program ran", SOON, || fleet.sh("n1", "cat /srv/boot").len() > 10);
    assert_eq!(fleet.sh("n1", "cat /srv/mark"), "kept\n");
    assert!(fleet.run(&["logs", "n1"]).expect(0).stdout.contains("booted"));

    // Without a length it is one stroke, and kill -9 of a holder brings the node back.
    fleet.run(&["kill", "n2"]).expect(0);
    assert_eq!(fleet.state("n2"), "stopped");
    let mut killed =
        Running::start(&mut fleet.command(&["kill", "n1", "--hold", "--lease", "120s"]));
    killed.line(SOON);
    killed.signal(Signal::SIGKILL);
    until("n1 is started again", SOON, || fleet.state("n1") == "running");
    assert_eq!(fleet.state("n2"), "stopped", "what was killed for good stays so");
}

#[test]
fn another_who_resumes_the_node_ends_the_holders_work() {
    let fleet = fleet!();
    fleet.run(&["up", "n1"]).expect(0);
    let mut running =
        Running::start(&mut fleet.command(&["pause", "n1", "--for", "60s", "--lease", "6s"]));
    running.line(SOON);
    fleet.run(&["resume", "n1"]).expect(0);
    let stop = running.line(SOON);
    assert_eq!(stop["value"]["healed"], "by another");
    running.end(SOON).expect(3);
}

#[test]
fn a_holder_that_was_stopped_skips_what_it_missed_instead_of_making_up_for_it() {
    let fleet = fleet!();
    fleet.run(&["up", "n1"]).expect(0);
    let mut holder = Running::start(
        &mut fleet.command(&["pause", "n1", "--every", "2s", "--for", "600ms", "--first", "0s"]),
    );
    let next = |holder: &mut Running, f: &str| {
        let line = holder.line(SOON);
        assert_eq!(line["f"], f, "{line}");
        line["time"].as_u64().unwrap()
    };
    next(&mut holder, "start-pause");
    let healed = next(&mut holder, "stop-pause");
    holder.signal(Signal::SIGSTOP);
    let still = "nobody pauses the node while the holder is stopped";
    throughout(Duration::from_millis(6500), still, || fleet.state("n1") == "running");
    holder.signal(Signal::SIGCONT);
    // It goes on in the beat: what comes after the first one comes two whole seconds later.
    let first = next(&mut holder, "start-pause");
    next(&mut holder, "stop-pause");
    let second = next(&mut holder, "start-pause");
    assert!(first > healed + 6_000_000_000, "{} ns", first - healed);
    assert!(second > first + 1_000_000_000, "a burst: {} ns", second - first);
    holder.signal(Signal::SIGTERM);
    let end = holder.end(SOON);
    assert!(end.stderr.contains("faults were skipped"), "{end:?}");
}

#[test]
fn a_stagger_is_repeated_by_the_seed_on_the_start_line() {
    let fleet = fleet!();
    fleet.run(&["up", "n1"]).expect(0);
    // Faults of three seconds: on a busy machine a holder that wakes up late skips those whose time is over.
    let flags = |more: &[&'static str]| {
        let pause = ["pause", "n1", "--every", "5s", "--for", "3s", "--first", "0s"];
        [&pause[..], &["--stagger", "1900ms", "--time-limit", "10s"], more].concat()
    };
    let plan = |seed: &str| {
        let run = fleet.run(&[&flags(&["--dry-run", "--seed"])[..], &[seed]].concat());
        let plan = run.expect(0).stdout;
        let times: Vec<String> =
            plan.lines().filter(|l| l.contains(" at ")).map(str::to_string).collect();
        assert!(times.iter().any(|line| line.contains("the same again")), "{plan}");
        times
    };
    assert_eq!(plan("7"), plan("7"));
    assert_ne!(plan("7"), plan("8"));

    let lines = fleet.run(&flags(&[])).expect(0).lines();
    assert_eq!(lines.len(), 4, "{lines:?}");
    let drawn = lines[0]["value"]["seed"].as_u64().unwrap();
    assert!(lines.iter().all(|line| line["value"]["seed"] == drawn), "{lines:?}");
    let drawn = drawn.to_string();
    let again = fleet.run(&[&flags(&["--seed"])[..], &[&drawn]].concat()).expect(0).lines();
    assert_ne!(fleet.run(&flags(&["--dry-run"])).stdout, fleet.run(&flags(&["--dry-run"])).stdout);
    // When each began, and not when the freezer of a busy machine was done with it.
    let began = |line: &Value| line["value"]["began"].as_u64().unwrap();
    let gap = |lines: &[Value]| began(&lines[2]) - began(&lines[0]);
    assert!(gap(&lines).abs_diff(gap(&again)) < 900_000_000, "{lines:?}\n{again:?}");
}
