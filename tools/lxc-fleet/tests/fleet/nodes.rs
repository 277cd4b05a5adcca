//! Nodes come up, go down, are repaired and leave nothing.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use breakit_tests::Running;
use breakit_tests::process::run;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::bed::{SOON, fleet, sh, strike, until};

#[test]
fn up_twice_changes_nothing_and_a_later_node_is_known_to_the_earlier() {
    let fleet = fleet!();
    fleet.run(&["up", "n1..n2"]).expect(0);
    let before = (fleet.init("n1"), fleet.init("n2"));
    fleet.sh("n1", "echo kept > /srv/mark");
    fleet.run(&["up", "n1..n3"]).expect(0);
    assert_eq!((fleet.init("n1"), fleet.init("n2")), before, "what ran goes on running");
    assert_eq!(fleet.sh("n1", "cat /srv/mark; getent hosts n3 | wc -l"), "kept\n1\n");

    let said = fleet.run(&["up", "n1", "--image", "busybox"]).expect(64).stderr;
    assert!(said.contains("is there with image host"), "{said}");
    fleet.run(&["down", "n2"]).expect(0);
    assert_eq!(fleet.run(&["nodes"]).lines().len(), 2);
    let said = fleet.run(&["start", "n2"]).expect(66).stderr;
    assert!(said.contains("no node n2") && said.contains("n1, n3"), "{said}");
}

#[test]
fn up_repairs_a_dead_node_and_a_missing_bridge() {
    let fleet = fleet!();
    fleet.run(&["up", "n1..n3"]).expect(0);
    fleet.sh("n1", "echo kept > /srv/mark");
    kill(Pid::from_raw(fleet.init("n1")), Signal::SIGKILL).unwrap();
    fleet.run(&["stop", "n2"]).expect(0);
    sh(&format!("ip link del {}", fleet.bridge())).expect(0);
    until("n1 is dead", SOON, || fleet.state("n1") == "stopped");

    let said = fleet.run(&["start", "n2"]).expect(71).stderr;
    assert!(said.contains("node n2 did not start"), "{said}");
    // A reboot empties /run.
    sh(&format!("rm -r /run/breakit/{}", fleet.name)).expect(0);
    fleet.run(&["up", "n1..n3"]).expect(0);
    assert_eq!(
        fleet.sh("n1", "cat /srv/mark; ping -n -q -c1 -W1 n3 >/dev/null && echo reached"),
        "kept\nreached\n"
    );
    assert_eq!(fleet.state("n2"), "running");
}

#[test]
fn down_leaves_nothing() {
    let fleet = fleet!();
    fleet.run(&["up", "n1..n3"]).expect(0);
    let net = fleet.address("n1").rsplit_once('.').unwrap().0.to_string();
    fleet.run(&["pause", "n2"]).expect(0);
    fleet.run(&["down"]).expect(0);
    let name = &fleet.name;
    let left = sh(&format!(
        "grep {name} /proc/self/mountinfo; ls -d /run/breakit/{name}* /var/lib/breakit/lxc/*{name}* \
         /var/lib/breakit/fleets/{name}* {} 2>/dev/null; ip -br link | grep {name}; \
         find /sys/fs/cgroup -name '*{name}*'; pgrep -af 'lxc.*{name}-n' | grep -v pgrep",
        fleet.files().display()
    ));
    assert_eq!(left.stdout, "", "left over");
    // Another test's fleet may have the subnet by now, and the bridge is the last thing that it makes.
    let route = format!("ip -br addr | grep -qF ' {net}.' || ! ip route | grep -qF '{net}.'");
    until("no route, or another fleet's", SOON, || sh(&route).status == 0);
    fleet.run(&["down"]).expect(0);
    assert!(fleet.run(&["ls"]).expect(0).stdout.is_empty());
    let others = || {
        let fleets = fs::read_dir("/var/lib/breakit/fleets").map_or(0, Iterator::count);
        fleets > 0 || Path::new("/var/lib/breakit/store/images").exists()
    };
    let device = || sh("losetup -j /var/lib/breakit/store.img").stdout;
    assert!(others() || device().is_empty() || others(), "the loop device is left");
}

#[test]
fn a_clean_stop_gives_programs_term_and_time() {
    let fleet = fleet!();
    fleet.run(&["up", "n1"]).expect(0);
    fleet.sh(
        "n1",
        "setsid sh -c 'trap \"sleep 0.3; echo bye > /srv/mark; exit\" TERM; while :; do sleep 0.1; done' >/dev/null 2>&1 &",
    );
    let begun = Instant::now();
    fleet.run(&["stop", "n1", "--timeout", "50s"]).expect(0);
    assert!(begun.elapsed() < SOON, "it waited for its limit");
    assert_eq!(fleet.state("n1"), "stopped");
    fleet.run(&["start", "n1"]).expect(0);
    assert_eq!(fleet.sh("n1", "cat /srv/mark"), "bye\n");

    // Who does not hear TERM gets KILL.
    fleet.sh("n1", "setsid sh -c 'trap \"\" TERM; while :; do sleep 0.1; done' >/dev/null 2>&1 &");
    fleet.run(&["stop", "n1", "--timeout", "1s"]).expect(0);
}

#[test]
fn a_dry_run_touches_nothing_and_what_it_prints_does_it() {
    let fleet = fleet!();
    let name = &fleet.name;
    let traces = || {
        // A bridge's state follows its ports', and a walk through other fleets' folders ends where they go.
        sh(&format!(
            "grep {name} /proc/self/mountinfo; ip -br link | grep -o '^[^ ]*{name}[^ ]*'; ip route | grep {name}; \
             find /var/lib/breakit/*/*{name}* /var/lib/breakit/store/*/*{name}* /run/breakit/{name}* \
             -not -path '*/rootfs/*' 2>/dev/null | sort -u"
        ))
        .stdout
    };
    let dry = |args: &[&str]| fleet.run(&[args, &["--dry-run"]].concat()).expect(0).stdout;

    let up = dry(&["up", "n1..n2"]);
    assert_eq!(traces(), "", "up --dry-run left something");
    for part in ["ip link add bk-", "mount -t overlay -o nodev,lowerdir=", "lxc-start", "/config"] {
        assert!(up.contains(part), "{part}: {up}");
    }
    assert_eq!(up.matches("lxc-start").count(), 2, "{up}");
    let image = dry(&["image", &format!("img-{name}"), "--packages", "hello,sl"]);
    assert!(image.contains("apt-get install") && image.contains(" -- hello sl\n"), "{image}");
    assert_eq!(traces(), "", "image --dry-run left something");
    fleet.run(&["up", "n1", "--image", "never-built", "--dry-run"]).expect(66);

    fleet.run(&["up", "n1..n2"]).expect(0);
    let made = traces();
    let again = dry(&["up", "n1..n2"]);
    assert!(!again.contains("lxc-start") && !again.contains("mount "), "{again}");
    let pause = dry(&["pause", "n1"]);
    let held = dry(&["pause", "n1", "--for", "2s", "--first", "1s"]);
    assert!(held.starts_with("# at 1s\n# post a watchdog over n1"), "{held}");
    assert!(held.contains(&pause) && held.contains("\n# at 3s\necho "), "{held}");
    let (kill, stop) = (dry(&["kill", "n2"]), dry(&["stop", "n2", "--timeout", "2s"]));
    assert_eq!(stop, kill.replace(" -k\n", " -t 2\n"));
    let down = dry(&["down"]);
    assert_eq!(
        (fleet.state("n1"), fleet.state("n2"), traces()),
        ("running".into(), "running".into(), made),
        "a dry run touched something"
    );

    // What was printed is what would have been done: a shell does the same with it.
    sh(&pause).expect(0);
    assert_eq!(fleet.state("n1"), "paused");
    assert_eq!(dry(&["pause", "n1"]), "");
    fleet.run(&["pause", "n1", "--hold", "--dry-run"]).expect(71);
    fleet.run(&["resume", "n1"]).expect(0);
    sh(&kill).expect(0);
    assert_eq!(fleet.state("n2"), "stopped");
    assert_eq!(dry(&["stop", "n2"]), "");
    // n2 is dead already, and other fleets need the store.
    let rest = |line: &&str| !line.contains("-n2 -k") && !line.ends_with("/breakit/store");
    let script: Vec<&str> = down.lines().filter(rest).collect();
    sh(&format!("set -e\n{}", script.join("\n"))).expect(0);
    assert_eq!(traces(), "", "what down --dry-run printed is not all of it");
    assert!(fleet.run(&["ls"]).expect(0).stdout.is_empty());
}

#[test]
fn two_fleets_live_side_by_side() {
    let (a, b) = (fleet!(), fleet!());
    a.run(&["up", "n1"]).expect(0);
    b.run(&["up", "n1"]).expect(0);
    assert_ne!(a.address("n1"), b.address("n1"));
    b.run(&["down"]).expect(0);
    assert_eq!(a.state("n1"), "running");
    assert_eq!(a.sh("n1", "hostname"), "n1\n");
}

#[test]
fn two_invocations_at_once_take_turns() {
    let fleet = fleet!();
    let ups =
        ["n1..n3", "n3..n5", "n2"].map(|nodes| Running::start(&mut fleet.command(&["up", nodes])));
    for up in ups {
        up.end(SOON).expect(0);
    }
    assert_eq!(fleet.run(&["nodes"]).expect(0).lines().len(), 5);
    assert_eq!(fleet.sh("n5", "getent hosts n1 n2 n3 n4 n5 | wc -l"), "5\n");
    let downs = [(); 2].map(|()| Running::start(&mut fleet.command(&["down"])));
    for down in downs {
        down.end(SOON).expect(0);
    }
}

#[test]
fn a_damaged_memory_is_named_and_nothing_is_made() {
    let fleet = fleet!();
    let memory = format!("/var/lib/breakit/fleets/{}.json", fleet.name);
    let tool = env!("CARGO_BIN_EXE_lxc-fleet");
    // In a mount namespace of its own: other tests' fleets need not meet it.
    let script = format!(
        "mkdir -p /var/lib/breakit/fleets; mount -t tmpfs fleets /var/lib/breakit/fleets; \
         echo '{{\"subnet\": nonsense' > {memory}; {tool} up n1"
    );
    let mut up = Command::new("unshare");
    up.args(["-m", "sh", "-c", &script]).env("BREAKIT_FLEET", &fleet.name);
    let said = run(&mut up).expect(65).stderr;
    assert!(said.contains(&memory) && said.contains("column 13"), "{said}");
}

#[test]
fn kill_9_at_any_moment_of_up_and_down_is_repaired_by_the_next() {
    let fleet = fleet!();
    for delay in [5, 20, 45, 80, 130, 200, 300] {
        strike(&mut fleet.command(&["up", "n1..n3"]), delay);
        fleet.run(&["up", "n1..n3"]).expect(0);
        assert_eq!(
            fleet.sh("n1", "ping -n -q -c1 -W1 n3 >/dev/null && echo reached"),
            "reached\n",
            "after {delay} ms"
        );
        strike(&mut fleet.command(&["down"]), delay / 3);
        fleet.run(&["down"]).expect(0);
        strike(&mut fleet.command(&["up", "n1..n3"]), delay);
        fleet.run(&["down"]).expect(0);
        let name = &fleet.name;
        let left = sh(&format!(
            "grep {name} /proc/self/mountinfo; ls -d /run/breakit/{name}* /var/lib/breakit/lxc/*{name}* \
             /var/lib/breakit/fleets/{name}* 2>/dev/null; ip -br link | grep {name}; pgrep -af 'lxc.*{name}-n' | grep -v pgrep"
        ));
        assert_eq!(left.stdout, "", "left over after {delay} ms");
    }
}
