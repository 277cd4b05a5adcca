//! `partition` under a real fleet of LXC containers, which is taken down even where the test fails.

use std::time::{Duration, Instant};

use breakit_tests::process::built;
use breakit_tests::{Fleet, Running, has, skip};
use nix::sys::signal::Signal;

const SOON: Duration = Duration::from_secs(40);

/// The pairs of nodes between which nothing passes, or nobody can say.
fn apart(fleet: &Fleet) -> (usize, usize) {
    let check = fleet.sh("partition check --timeout 1s").lines();
    let count = |name: &str| check[0][name].as_array().map_or(0, Vec::len);
    (count("unreached"), count("unknown"))
}

/// One test, so that one fleet serves for all of it.
#[test]
fn a_fleet_is_cut_on_its_bridge_and_stays_cut_when_a_node_is_killed_and_comes_back() {
    if let Some(why) = Fleet::impossible() {
        skip!("{why}");
    }
    if !has("nft") {
        skip!("no nft; install the package nftables");
    }
    if !built().join("lxc-fleet").exists() {
        skip!("lxc-fleet is not built; cargo build --workspace --bins");
    }
    let fleet = Fleet::new("cut");
    fleet.sh("lxc-fleet up n1..n3").expect(0);
    assert_eq!(fleet.sh("partition probe").expect(0).lines()[0]["chosen"], "nft-bridge");
    assert_eq!(apart(&fleet), (0, 0));

    for (backend, again) in [("nft-bridge", false), ("nft", true)] {
        let line = format!("exec partition cut isolate n2 --verify --lease 6s --backend {backend}");
        let mut cut = Running::start(&mut fleet.shell(&line));
        let value = cut.line(SOON)["value"].clone();
        assert_eq!(value["cut"], "n1,n3 | n2");
        assert_eq!(apart(&fleet), (4, 0), "{backend}");

        fleet.sh("lxc-fleet kill n2").expect(0);
        assert_eq!(apart(&fleet), (0, 4), "{backend}: nobody can say of a dead node");
        fleet.sh("lxc-fleet start n2").expect(0);
        if again {
            assert_eq!(cut.line(SOON)["value"]["nodes"][0], "n2");
        }
        assert_eq!(apart(&fleet), (4, 0), "{backend}");

        cut.signal(Signal::SIGKILL);
        drop(cut);
        let end = Instant::now() + SOON;
        while apart(&fleet) != (0, 0) {
            assert!(Instant::now() < end, "{backend}: the guard has not healed");
        }
        assert_eq!(fleet.cuts(), "", "{backend}");
    }
}
