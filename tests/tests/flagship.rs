//! The whole run: five containers, Redis with Sentinel, a real cut, a verdict; and what is left of it where
//! somebody presses ^C or a tool is killed in the middle.

#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use breakit_tests::process::{Running, built, json_lines};
use breakit_tests::pty::Terminal;
use breakit_tests::wait::within;
use breakit_tests::{Fleet, Folder, has, skip};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const PACKAGES: &str = "redis-server,redis-sentinel";
const MINUTE: Duration = Duration::from_secs(60);

fn recipe(name: &str) -> String {
    format!("make -s -C {}/../recipes/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Redis with Sentinel on five nodes of a fleet of this test's own.
fn redis(tag: &str) -> Fleet {
    let fleet = Fleet::up(tag, 5, "redis", PACKAGES);
    fleet.sh(&format!("{} up", recipe("redis-sentinel"))).expect(0);
    fleet
}

/// The pipeline of the README, shorter, with a lease that a test can wait for.
fn pipeline(history: &str, judge: &str) -> String {
    format!(
        "workload set --client redis-sentinel -n n1..n5 --time-limit 20s --recovery 8s -o {history} \
         --nemesis 'partition cut isolate n1,n2 -n n1..n5 --first 1s --for 15s --lease 3s' | {judge}"
    )
}

/// The process called `name` below `ancestor`, where there is one.
fn below(ancestor: Pid, name: &str) -> Option<Pid> {
    let children = format!("/proc/{ancestor}/task/{ancestor}/children");
    let children = std::fs::read_to_string(children).ok()?;
    children.split_whitespace().find_map(|pid| {
        let comm = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        let pid = Pid::from_raw(pid.parse().ok()?);
        if comm.trim() == name { Some(pid) } else { below(pid, name) }
    })
}

/// Whether a client has begun and ended an operation since the cut began.
fn is_under_load(history: &std::path::Path) -> bool {
    let lines = json_lines_but_one(history);
    let mut since = lines.iter().skip_while(|line| line["f"] != "start-partition");
    let begins = |line: &&serde_json::Value| line["process"].is_u64() && line["type"] == "invoke";
    let Some(begun) = since.find(begins) else { return false };
    since.any(|line| line["process"] == begun["process"] && line["type"] != "invoke")
}

/// Waits until a cut is in force among the fleet's nodes, and gives its holder.
#[track_caller]
fn wait_for_cut(fleet: &Fleet) -> Pid {
    let deadline = Instant::now() + MINUTE;
    loop {
        if let Some(line) = fleet.cuts().lines().next() {
            let cut: serde_json::Value = serde_json::from_str(line).unwrap();
            return Pid::from_raw(cut["holder"].as_i64().unwrap() as i32);
        }
        assert!(Instant::now() < deadline, "no cut came into force");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn the_interrupt_key_in_the_middle_heals_reads_and_still_brings_a_verdict() {
    if let Some(why) = Fleet::impossible() {
        skip!("{why}");
    }
    let fleet = redis("ctrlc");
    let folder = Folder::new("ctrlc");
    let file = folder.file("history.jsonl");
    let line = pipeline(&file.display().to_string(), "histcheck");
    let mut terminal = Terminal::start(&format!("export BREAKIT_FLEET={}; {line}", fleet.name));
    let holder = wait_for_cut(&fleet);
    within(MINUTE, "an operation that begins and ends under the cut", || is_under_load(&file));
    terminal.press("\x03");
    let (_, screen) = terminal.end(MINUTE);
    assert!(screen.contains("valid") || screen.contains("unknown"), "no verdict:\n{screen}");
    let lines = json_lines(&file);
    let last = lines.last().unwrap();
    assert_eq!(
        (last["process"].as_str(), last["f"].as_str()),
        (Some("workload"), Some("end")),
        "{last}"
    );
    assert!(
        lines.iter().any(|line| line["f"] == "stop-partition"),
        "the cut's stop line is missing"
    );
    assert!(
        lines.iter().any(|line| line["final"] == true && line["type"] == "ok"),
        "no final read"
    );
    fleet.wait_until_healed(holder, Duration::ZERO);
}

#[test]
fn whoever_is_killed_in_the_middle_no_cut_outlives_its_lease_and_the_next_run_works() {
    if let Some(why) = Fleet::impossible() {
        skip!("{why}");
    }
    let fleet = redis("kill9");
    let subnet = subnet(&fleet);
    let mut holders = Vec::new();
    for victim in ["workload", "partition", "histcheck"] {
        let folder = Folder::new(victim);
        let file = folder.file("history.jsonl");
        let run =
            Running::start(&mut fleet.shell(&pipeline(&file.display().to_string(), "histcheck")));
        let holder = wait_for_cut(&fleet);
        holders.push(holder);
        let pid = below(run.pid(), victim).unwrap_or_else(|| panic!("{victim} is not at work"));
        kill(pid, Signal::SIGKILL).unwrap();
        // The lease is 3 s, and the cut itself 15; a busy machine is granted seven more.
        fleet.wait_until_healed(holder, Duration::from_secs(10));
        let done = run.end(MINUTE);
        assert!(!done.stderr.contains("panicked"), "{victim}: {done:?}");
        let cut_lines = json_lines_but_one(&file);
        assert!(!cut_lines.is_empty(), "{victim}: no history");
    }
    // And the next demo is as if nothing had happened.
    fleet.sh("lxc-fleet -q down").expect(0);
    the_demo_works_and_prints_what_the_readme_says(&fleet);
    nothing_is_left_of(&fleet, &subnet, &holders);
}

/// The fleet's subnet up to its last dot, as routes and rules name it.
#[track_caller]
fn subnet(fleet: &Fleet) -> String {
    let nodes = fleet.sh("lxc-fleet nodes").expect(0).lines();
    let address = nodes[0]["addrs"][0].as_str().unwrap();
    address[..=address.rfind('.').unwrap()].to_string()
}

/// No container, mount, bridge, route, rule or process: by the fleet's name, its subnet and who held its cuts.
#[track_caller]
fn nothing_is_left_of(fleet: &Fleet, subnet: &str, holders: &[Pid]) {
    let look = "ls /run/breakit /var/lib/breakit/lxc; ip -o link; mount; ip route show table all; nft list ruleset";
    let left = fleet.sh(look).stdout;
    let table = |holder: &Pid| format!("breakit_partition_{holder}_");
    for trace in [fleet.name.clone()].into_iter().chain(holders.iter().map(table)) {
        assert!(!left.contains(&trace), "{trace:?} is left behind:\n{left}");
    }
    // The fleet of a test beside this one may get the subnet as soon as it is free; else nobody has a route to it.
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let routes = fleet.sh("ip route show table all").stdout;
        if !routes.contains(subnet) || is_taken_again(&routes, subnet) {
            break;
        }
        assert!(Instant::now() < deadline, "{subnet} is left behind:\n{routes}");
        std::thread::sleep(Duration::from_millis(200));
    }
    let mine = format!("BREAKIT_FLEET={}\0", fleet.name);
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        let environment = std::fs::read(process.path().join("environ")).unwrap_or_default();
        let ours = String::from_utf8_lossy(&environment).contains(&mine);
        let command = std::fs::read_to_string(process.path().join("cmdline")).unwrap_or_default();
        assert!(!ours, "a process is left behind: {}", command.replace('\0', " "));
    }
}

/// Whether another fleet's bridge has the subnet now; ours is gone, or its name would have been found.
fn is_taken_again(routes: &str, subnet: &str) -> bool {
    routes.lines().any(|line| line.starts_with(subnet) && line.contains(" dev bk-"))
}

#[track_caller]
fn the_demo_works_and_prints_what_the_readme_says(fleet: &Fleet) {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let line = format!("DEMO_FLEET={} exec {root}/scripts/demo {}", fleet.name, built().display());
    let mut demo = fleet.shell(&line);
    let done = Running::start(&mut demo).end(3 * MINUTE).expect(0);
    let shape = |line: &str| {
        let words =
            line.split_whitespace().map(|word| word.trim_matches(|c: char| c.is_ascii_digit()));
        words.collect::<Vec<_>>().join(" ")
    };
    let readme = std::fs::read_to_string(format!("{root}/README.md")).unwrap();
    let promised: Vec<String> = readme.lines().map(shape).collect();
    let table: Vec<&str> =
        done.stdout.lines().filter(|line| line.contains("valid")).take(2).collect();
    assert_eq!(table.len(), 2, "{done:?}");
    for line in table {
        assert!(promised.contains(&shape(line)), "README.md has no line like {line:?}");
    }
}

/// The history's lines; the last one may have been cut.
#[track_caller]
fn json_lines_but_one(file: &std::path::Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(file).unwrap();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_slow_link_ends_with_its_lease_where_slownet_is_killed() {
    if let Some(why) = Fleet::impossible() {
        skip!("{why}");
    }
    if !has("tc") {
        skip!("no tc; install the package iproute2");
    }
    let fleet = Fleet::new("slow9");
    fleet.sh("lxc-fleet -q up n1..n2").expect(0);
    let mut slow = Running::start(
        fleet
            .shell("exec slownet set -n n1 --rate 1mbit --lease 2s")
            .env("BREAKIT_FLEET", &fleet.name),
    );
    assert_eq!(slow.line(MINUTE)["f"], "start-slow");
    assert!(!fleet.sh("slownet list -n n1").expect(0).stdout.is_empty());
    slow.signal(Signal::SIGKILL);
    let deadline = Instant::now() + Duration::from_secs(15);
    while !fleet.sh("slownet list -n n1").expect(0).stdout.is_empty() {
        assert!(Instant::now() < deadline, "{:?}", fleet.sh("slownet list -n n1"));
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn lxc_fleet_killed_at_any_moment_of_up_is_repaired_by_the_next_and_down_leaves_nothing() {
    if let Some(why) = Fleet::impossible() {
        skip!("{why}");
    }
    let fleet = Fleet::new("upk9");
    for after in [5, 40, 90, 160, 300] {
        let up = Running::start(&mut fleet.shell("exec lxc-fleet -q up n1..n5"));
        std::thread::sleep(Duration::from_millis(after));
        up.signal(Signal::SIGKILL);
        drop(up.end(MINUTE));
        fleet.sh("lxc-fleet -q up n1..n5").expect(0);
        let said = fleet.sh("lxc-fleet exec n1..n5 -- true").expect(0);
        assert!(said.stderr.is_empty(), "{said:?}");
        let down = Running::start(&mut fleet.shell("exec lxc-fleet -q down"));
        std::thread::sleep(Duration::from_millis(after));
        down.signal(Signal::SIGKILL);
        drop(down.end(MINUTE));
        fleet.sh("lxc-fleet -q down").expect(0);
        let left = fleet.sh("ls /var/lib/breakit/lxc; ip -o link; mount; ls /run/breakit").stdout;
        assert!(!left.contains(&fleet.name), "left behind:\n{left}");
    }
}
