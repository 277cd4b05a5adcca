//! `slownet` under a real fleet of LXC containers, which is taken down even where the test fails.

use std::time::{Duration, Instant};

use breakit_tests::process::{built, run, tool};
use breakit_tests::{Fleet, Running, has, skip};
use nix::sys::signal::Signal;

const SOON: Duration = Duration::from_secs(40);

/// The median of ten round trips from n1 to n2, in milliseconds, measured from within n1.
fn rtt(fleet: &Fleet) -> f64 {
    let said = fleet.sh("lxc-fleet exec n1 -- ping -n -i 0.05 -c 10 n2").stdout;
    let rtt = |line: &str| line.split("time=").nth(1)?.split(' ').next()?.parse().ok();
    let mut rtts: Vec<f64> = said.lines().filter_map(rtt).collect();
    assert!(rtts.len() == 10, "{said}");
    rtts.sort_by(f64::total_cmp);
    rtts[5]
}

/// What the fault asks for, or a little more where the machine is busy.
fn is_slow(fleet: &Fleet) -> bool {
    (30.0..=80.0).contains(&rtt(fleet))
}

fn is_quick(fleet: &Fleet) -> bool {
    rtt(fleet) < 30.0
}

/// One test, so that one fleet serves for all of it.
#[test]
fn a_node_is_slow_and_again_when_it_was_killed_and_comes_back_until_its_holder_dies() {
    if let Some(why) = Fleet::impossible() {
        skip!("{why}");
    }
    if !has("ping") {
        skip!("no ping; install the package iputils-ping");
    }
    if !built().join("lxc-fleet").exists() {
        skip!("lxc-fleet is not built; cargo build --workspace --bins");
    }
    let probe = run(tool("slownet").arg("probe")).expect(0).lines().remove(0);
    if probe["chosen"]["all"].is_null() {
        skip!("this kernel can delay nothing: {}", probe["works"]);
    }
    let fleet = Fleet::new("slow");
    fleet.sh("lxc-fleet up n1..n2").expect(0);
    assert!(is_quick(&fleet));
    let line = "exec slownet set -n n1 --to n2 --direction out --delay 30ms --lease 6s";
    let mut held = Running::start(&mut fleet.shell(line));
    assert_eq!(held.line(SOON)["value"]["nodes"][0], "n1");
    assert!(is_slow(&fleet));

    fleet.sh("lxc-fleet kill n1").expect(0);
    fleet.sh("lxc-fleet start n1").expect(0);
    assert_eq!(held.line(SOON)["f"], "renew-slow");
    assert!(is_slow(&fleet));
    let list = || fleet.sh("slownet list -n n1,n2").expect(0);
    assert_eq!(list().lines().len(), 1);

    held.signal(Signal::SIGKILL);
    drop(held);
    let deadline = Instant::now() + SOON;
    while !list().stdout.is_empty() {
        assert!(Instant::now() < deadline, "the guardian has not cleared: {}", list().stdout);
    }
    assert!(is_quick(&fleet));
}
