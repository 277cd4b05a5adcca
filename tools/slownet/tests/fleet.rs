//! `slownet` under a real fleet of LXC containers, which is taken down even where the test fails.

#![allow(clippy::unwrap_used)]

use std::process::Command;
use std::time::Duration;

use breakit_tests::process::{Run, built, run, tool};
use breakit_tests::{Running, has, is_root, skip};
use nix::sys::signal::Signal;

const SOON: Duration = Duration::from_secs(10);

/// A fleet of two nodes with a name of its own.
struct Fleet(String);

impl Fleet {
    fn up() -> Fleet {
        let fleet = Fleet(format!("slow{}", std::process::id()));
        fleet.run("lxc-fleet", "up n1..n2").expect(0);
        fleet
    }

    fn command(&self, name: &str, args: &str) -> Command {
        let mut command = tool(name);
        command.args(args.split(' ')).env("BREAKIT_FLEET", &self.0);
        command
    }

    fn run(&self, name: &str, args: &str) -> Run {
        run(&mut self.command(name, args))
    }

    /// The median of ten round trips from n1 to n2, in milliseconds, measured from within n1.
    fn rtt(&self) -> f64 {
        let said = self.run("lxc-fleet", "exec n1 -- ping -n -i 0.05 -c 10 n2").stdout;
        let rtt = |line: &str| line.split("time=").nth(1)?.split(' ').next()?.parse().ok();
        let mut rtts: Vec<f64> = said.lines().filter_map(rtt).collect();
        assert!(rtts.len() == 10, "{said}");
        rtts.sort_by(f64::total_cmp);
        rtts[5]
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let _ = self.command("lxc-fleet", "down").output();
    }
}

/// One test, so that one fleet serves for all of it.
#[test]
fn a_node_is_slow_and_again_when_it_was_killed_and_comes_back_until_its_holder_dies() {
    if !is_root() || !has("lxc-start") || !has("ping") {
        skip!("root, LXC and ping are needed for a fleet");
    }
    if !built().join("lxc-fleet").exists() {
        skip!("lxc-fleet is not built; cargo build --workspace --bins");
    }
    let probe = run(tool("slownet").arg("probe")).expect(0).lines().remove(0);
    if probe["chosen"]["all"].is_null() {
        skip!("this kernel can delay nothing: {}", probe["works"]);
    }
    let fleet = Fleet::up();
    assert!(fleet.rtt() < 10.0);
    let mut held = Running::start(
        &mut fleet
            .command("slownet", "set -n n1 --to n2 --direction out --delay 30ms --lease 1500ms"),
    );
    assert_eq!(held.line(SOON)["value"]["nodes"][0], "n1");
    assert!((30.0..=45.0).contains(&fleet.rtt()));

    fleet.run("lxc-fleet", "kill n1").expect(0);
    fleet.run("lxc-fleet", "start n1").expect(0);
    assert_eq!(held.line(SOON)["f"], "renew-slow");
    assert!((30.0..=45.0).contains(&fleet.rtt()));
    assert_eq!(fleet.run("slownet", "list").expect(0).lines().len(), 1);

    held.signal(Signal::SIGKILL);
    drop(held);
    std::thread::sleep(Duration::from_secs(1));
    assert!(fleet.rtt() < 10.0, "the guardian has cleared");
    assert_eq!(fleet.run("slownet", "list").expect(0).stdout, "");
}
