//! What the recipes and the demo refuse, and say about it.

#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt;

use breakit_tests::process::{built, run, shell};
use breakit_tests::{Fleet, Folder, skip};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

#[test]
fn the_demo_does_not_touch_a_fleet_that_is_up_already() {
    if let Some(why) = Fleet::impossible() {
        skip!("{why}");
    }
    let fleet = Fleet::new("dm");
    fleet.sh("lxc-fleet -q up n1 --image busybox").expect(0);
    let demo = format!("DEMO_FLEET={} {ROOT}/scripts/demo {}", fleet.name, built().display());
    let refused = fleet.sh(&demo).expect(75);
    assert!(refused.stderr.contains("is up already"), "{refused:?}");
    assert!(refused.stderr.contains("DEMO_FLEET="), "{refused:?}");
    fleet.sh("lxc-fleet exec n1 -- true").expect(0);
}

#[test]
fn an_etcd_older_than_the_recipe_can_drive_is_refused_before_anything_starts() {
    let folder = Folder::new("old-etcd");
    for (version, status) in [("2.3.8", 69), ("3.3.25", 69)] {
        // What an old etcd answers to --version; whatever else is asked of it is a failure of this test.
        let says = format!("#!/bin/sh\n[ \"$*\" = --version ] && echo 'etcd Version: {version}'\n");
        let etcd = folder.write("etcd", says);
        std::fs::set_permissions(&etcd, std::fs::Permissions::from_mode(0o755)).unwrap();
        let start =
            format!("PATH={}:$PATH sh {ROOT}/recipes/etcd/node start n1", folder.path().display());
        let refused = run(&mut shell(&start)).expect(status);
        assert!(refused.stderr.contains(&format!("etcd is {version}")), "{refused:?}");
        assert!(refused.stderr.contains("needs 3.4 or later"), "{refused:?}");
    }
}
