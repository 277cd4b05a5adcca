//! What somebody does first: no root, no machines, nothing set up.

#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use breakit_tests::Folder;
use breakit_tests::process::{Run, built, run, shell};

#[test]
fn the_store_as_it_is_is_valid_and_with_stale_reads_invalid_within_five_seconds() {
    let began = Instant::now();
    let valid = run(&mut shell("workload register --client mem -q | histcheck")).expect(0);
    assert!(valid.stdout.contains("valid"), "{valid:?}");
    let invalid = run(&mut shell("workload register --client mem:stale -q | histcheck")).expect(1);
    assert!(invalid.stdout.contains("invalid"), "{invalid:?}");
    assert!(began.elapsed() < Duration::from_secs(5), "took {:?}", began.elapsed());
}

/// A copy of what `make demo` needs, in a place that another user may read and write.
fn copy_for_everybody(dir: &Path) {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let copy = format!(
        "mkdir -p {0}/bin {0}/scripts && cp {1}/scripts/demo {0}/scripts/ && cp {2}/workload {2}/histcheck {0}/bin/ && chmod -R a+rwX {0}",
        dir.display(),
        root.display(),
        built().display()
    );
    run(&mut shell(&copy)).expect(0);
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o777)).unwrap();
}

fn demo_without_root(dir: &Path) -> Run {
    let demo = format!("{0}/scripts/demo {0}/bin", dir.display());
    // The root of a user namespace of ours is no other user; it has nobody to become.
    let line = if nix::unistd::Uid::effective().is_root() && nix::unistd::setgroups(&[]).is_ok() {
        format!("setpriv --reuid 65534 --regid 65534 --clear-groups {demo}")
    } else {
        demo
    };
    run(&mut shell(&line))
}

#[test]
fn the_demo_without_root_says_what_is_missing_and_runs_the_first_step() {
    if breakit_tests::is_root()
        && std::fs::read_to_string("/proc/self/uid_map").unwrap().split_whitespace().nth(2)
            == Some("1")
    {
        breakit_tests::skip!("in a user namespace with one user nobody but root can be played");
    }
    let folder = Folder::new("first");
    copy_for_everybody(folder.path());
    let began = Instant::now();
    let demo = demo_without_root(folder.path());
    let took = began.elapsed();
    let demo = demo.expect(0);
    assert!(demo.stderr.contains("needs root"), "{demo:?}");
    assert!(demo.stdout.contains("mem-stale") && demo.stdout.contains("invalid"), "{demo:?}");
    assert!(took < Duration::from_secs(5), "took {took:?}");
}
