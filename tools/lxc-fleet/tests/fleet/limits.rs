//! How much of the host a node may use, and what of the host's kernel it sees.

use std::fs;
use std::process::Command;

use breakit_tests::process::run;

use crate::bed::{Fleet, SOON, fleet, sh, until};

fn groups(fleet: &Fleet) -> String {
    sh(&format!("find /sys/fs/cgroup -type d -name 'breakit-{}'", fleet.name)).stdout
}

/// How many processes a node could make: each waits, and all are ended.
const FORKS: &str = "import os, signal\n\
     pids = []\n\
     try:\n    while len(pids) < 6000:\n        pid = os.fork()\n        if pid == 0: signal.pause(); os._exit(0)\n        pids.append(pid)\n\
     except OSError: pass\n\
     print(len(pids))\n\
     for pid in pids: os.kill(pid, 9)\n";

#[test]
fn a_node_has_so_many_processes_and_files_and_so_much_memory() {
    let fleet = fleet!();
    let options = ["--memory", "200M", "--processes", "100", "--nofile", "512"];
    fleet.run(&[&["up", "n1"], &options[..]].concat()).expect(0);
    let made = fleet.sh("n1", &format!("/usr/bin/python3 -c \"{FORKS}\""));
    let made: u32 = made.trim().parse().unwrap();
    assert!((80..100).contains(&made), "{made}");
    assert_eq!(fleet.sh("n1", "ulimit -n; ulimit -Hn").trim(), "512\n512");
    let files = fs::read_to_string(format!("/proc/{}/limits", fleet.init("n1"))).unwrap();
    let files = files.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(files.split_whitespace().nth(3), Some("512"));
    // Half of it is for files in memory; what is beyond the whole is killed.
    let full = fleet.sh("n1", "head -c 150M /dev/zero 2>&1 > /dev/shm/x; stat -c %s /dev/shm/x");
    assert!(full.contains(&(100u64 << 20).to_string()), "{full}");
    let greedy = "/usr/bin/python3 -c 'x = b\"x\" * (400 << 20)'; echo $?";
    assert_ne!(fleet.sh("n1", greedy).trim(), "0");
    assert_eq!(fleet.state("n1"), "running");

    let line = fleet.run(&["ls", "--json"]).lines()[0].clone();
    assert_eq!((&line["memory"], &line["processes"]), (&(200u64 << 20).into(), &100.into()));
    assert_eq!(line["nofile"], 512);
    fleet.run(&["up", "n1", "--memory", "200M"]).expect(0);
    let refused = fleet.run(&["up", "n1", "--memory", "300M"]).expect(64);
    assert!(refused.stderr.contains("--memory"), "{}", refused.stderr);
}

#[test]
fn more_open_files_than_the_tool_itself_may_have_are_refused() {
    let fleet = fleet!();
    let tool = env!("CARGO_BIN_EXE_lxc-fleet");
    let up = "ulimit -n 1000; exec setpriv --bounding-set -sys_resource --inh-caps -sys_resource";
    let with = |files: u32| {
        let script = format!("{up} {tool} up n1 --dry-run --nofile {files}");
        run(Command::new("sh").args(["-c", &script]).env("BREAKIT_FLEET", &fleet.name))
    };
    with(1000).expect(0);
    let said = with(1001).expect(77).stderr;
    assert!(said.contains("its hard limit is 1000"), "{said}");
}

#[test]
fn a_node_that_may_make_namespaces_raises_no_limit_of_its_own() {
    let fleet = fleet!();
    let limits = ["--memory", "200M", "--processes", "100"];
    fleet.run(&[&["up", "n1", "--allow", "userns"], &limits[..]].concat()).expect(0);
    let raise = r#"
        mkdir -p /tmp/groups; tried=0
        mount -t cgroup2 none /tmp/groups 2>/dev/null && set -- /tmp/groups || set --
        for name in memory pids; do
            mkdir -p /tmp/$name; mount -t cgroup -o $name none /tmp/$name 2>/dev/null && set -- "$@" /tmp/$name
        done
        for group; do
            for file in memory.max pids.max memory.limit_in_bytes; do
                [ -e $group/$file ] || continue
                tried=1; { echo 9999999999 > $group/$file; } 2>/dev/null && echo raised $file
            done
        done
        echo tried $tried"#;
    let run = ["exec", "n1", "--", "unshare", "-UrmC", "sh", "-c", raise];
    let said = fleet.run(&run).expect(0).stdout;
    assert!(!said.contains("raised"), "{said}");
    assert_eq!(said.trim(), "tried 1", "no group of a node's own to be seen");
}

#[test]
fn a_fork_bomb_ends_at_4096_processes_and_the_node_is_taken_down() {
    let fleet = fleet!();
    fleet.run(&["up", "n1"]).expect(0);
    let made = fleet.sh("n1", &format!("/usr/bin/python3 -c \"{FORKS}\""));
    let made: u32 = made.trim().parse().unwrap();
    assert!((4000..4096).contains(&made), "{made}");
    fleet.run(&["down"]).expect(0);
    assert_eq!(groups(&fleet), "");
}

#[test]
fn all_nodes_of_a_fleet_together_have_so_much_memory() {
    let fleet = fleet!();
    fleet.run(&["up", "n1..n2", "--fleet-memory", "160M"]).expect(0);
    let greedy = "/usr/bin/python3 -c 'x = b\"x\" * (200 << 20)'; echo $?";
    assert_ne!(fleet.sh("n1", greedy).trim(), "0");
    assert_eq!(fleet.state("n1"), "running");
    // It can be changed while they run.
    fleet.run(&["up", "n1..n2", "--fleet-memory", "600M"]).expect(0);
    assert_eq!(fleet.sh("n1", greedy).trim(), "0");
    fleet.run(&["down"]).expect(0);
    assert_eq!(groups(&fleet), "");
}

#[test]
fn the_groups_that_a_killed_monitor_leaves_go_at_the_next_up_or_down() {
    let fleet = fleet!();
    fleet.run(&["up", "n1"]).expect(0);
    let mut init = fleet.init("n1");
    for next in ["up", "down"] {
        let status = fs::read_to_string(format!("/proc/{init}/status")).unwrap();
        let monitor = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap().trim();
        sh(&format!("kill -9 {monitor}"));
        until("the node ends with its monitor", SOON, || {
            fleet.run(&["ls", "--json"]).stdout.contains("\"state\":\"stopped\"")
        });
        assert_ne!(groups(&fleet), "");
        fleet.run(&[next, "n1"]).expect(0);
        if next == "up" {
            init = fleet.init("n1");
        }
    }
    assert_eq!(groups(&fleet), "");
}

#[test]
fn of_the_hosts_kernel_a_node_can_change_nothing_and_sees_no_keys_and_no_devices() {
    let fleet = fleet!();
    for flags in [&["up", "n1"][..], &["up", "n1", "--privileged"]] {
        fleet.run(flags).expect(0);
        let seen = fleet.sh(
            "n1",
            "cat /proc/keys /proc/key-users /proc/kcore /proc/timer_list /proc/sched_debug 2>/dev/null | head -c 1; \
             ls /proc/irq /proc/bus /proc/fs /proc/scsi /proc/acpi /sys/firmware 2>/dev/null | grep -v : | grep .",
        );
        assert_eq!(seen, "", "{flags:?}");
        for attack in [
            "echo 1 > /proc/irq/default_smp_affinity",
            "echo h > /proc/sysrq-trigger && grep -q h /proc/sysrq-trigger",
            "echo 1 > /proc/sys/kernel/sysrq",
            "umount /proc/irq",
            "mount -o remount,rw /proc/irq",
            "touch /sys/firmware/x",
            "mkdir /sys/fs/cgroup/memory/x",
        ] {
            let code = fleet.run(&["exec", "n1", "--", "sh", "-c", attack]).status;
            assert_ne!(code, 0, "{flags:?}: {attack}");
        }
        fleet.run(&["down"]).expect(0);
    }
}
