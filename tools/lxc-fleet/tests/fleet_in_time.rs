//! How soon a fleet is there. Alone in its program, which cargo runs by itself: the other tests' fleets, dozens at
//! once, would be measured with it.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::time::{Duration, Instant};

use breakit_tests::{Fleet, skip};

#[test]
fn five_nodes_are_up_within_three_seconds_and_know_one_another() {
    if let Some(why) = Fleet::impossible() {
        skip!("{why}");
    }
    let fleet = Fleet::new("five");
    let begun = Instant::now();
    fleet.sh("lxc-fleet up n1..n5").expect(0);
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}");

    let nodes = fleet.sh("lxc-fleet nodes").expect(0);
    let lines = nodes.lines();
    assert_eq!(lines.len(), 5);
    assert_eq!(lines[4]["node"], "n5");
    assert!(lines[4]["addrs"][0].as_str().unwrap().ends_with(".15"));
    assert_eq!(lines[4]["via"], format!("lxc:breakit-{}-n5", fleet.name));
    let kept = fs::read_to_string(format!("/run/breakit/{}/nodes.jsonl", fleet.name)).unwrap();
    assert_eq!(kept, nodes.stdout, "the file for the other tools");

    for node in ["n1", "n5"] {
        let said = fleet.sh(&format!(
            "lxc-fleet exec {node} -- sh -c \
             'hostname; for n in n1 n2 n3 n4 n5; do ping -n -q -c1 -W1 $n >/dev/null && echo $n; done'"
        ));
        assert_eq!(said.stdout, format!("{node}\nn1\nn2\nn3\nn4\nn5\n"));
    }
}
