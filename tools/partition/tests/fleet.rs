//! `partition` under a real fleet of LXC containers, which is taken down even where the test fails.

use std::process::Command;
use std::time::{Duration, Instant};

use breakit_tests::process::{Run, built, run, tool};
use breakit_tests::{Running, has, is_root, skip};
use nix::sys::signal::Signal;

const SOON: Duration = Duration::from_secs(40);

/// A fleet of three nodes with a name of its own.
struct Fleet(String);

impl Fleet {
    fn up() -> Fleet {
        let fleet = Fleet(format!("cut{}", std::process::id()));
        fleet.run("lxc-fleet", "up n1..n3").expect(0);
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

    /// The pairs of nodes between which nothing passes, or nobody can say.
    fn apart(&self) -> (usize, usize) {
        let check = self.run("partition", "check --timeout 1s").lines();
        let count = |name: &str| check[0][name].as_array().map_or(0, Vec::len);
        (count("unreached"), count("unknown"))
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let _ = self.command("lxc-fleet", "down").output();
    }
}

/// One test, so that one fleet serves for all of it.
#[test]
fn a_fleet_is_cut_on_its_bridge_and_stays_cut_when_a_node_is_killed_and_comes_back() {
    if !is_root() || !has("lxc-start") || !has("nft") {
        skip!("root, LXC and nft are needed for a fleet");
    }
    if !built().join("lxc-fleet").exists() {
        skip!("lxc-fleet is not built; cargo build --workspace --bins");
    }
    let fleet = Fleet::up();
    assert_eq!(fleet.run("partition", "probe").expect(0).lines()[0]["chosen"], "nft-bridge");
    assert_eq!(fleet.apart(), (0, 0));

    for (backend, again) in [("nft-bridge", false), ("nft", true)] {
        let args = format!("cut isolate n2 --verify --lease 6s --backend {backend}");
        let mut cut = Running::start(&mut fleet.command("partition", &args));
        let value = cut.line(SOON)["value"].clone();
        assert_eq!(value["cut"], "n1,n3 | n2");
        let table = value["table"].as_str().unwrap_or_default().to_string();
        assert!(!table.is_empty());
        assert_eq!(fleet.apart(), (4, 0), "{backend}");

        fleet.run("lxc-fleet", "kill n2").expect(0);
        assert_eq!(fleet.apart(), (0, 4), "{backend}: nobody can say of a dead node");
        fleet.run("lxc-fleet", "start n2").expect(0);
        if again {
            assert_eq!(cut.line(SOON)["value"]["nodes"][0], "n2");
        }
        assert_eq!(fleet.apart(), (4, 0), "{backend}");

        cut.signal(Signal::SIGKILL);
        drop(cut);
        let end = Instant::now() + SOON;
        while fleet.apart() != (0, 0) {
            assert!(Instant::now() < end, "{backend}: the guard has not healed");
        }
        // On the host's own bridges others may cut their own fleets.
        let left = fleet.run("partition", "list").expect(0).stdout;
        assert!(!left.contains(&table), "{backend}: {left}");
    }
}
