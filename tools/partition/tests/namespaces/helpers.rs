//! Programs that somebody put first in `PATH`: never run, whatever partition does.

use std::process::Command;

use breakit_tests::process::{Run, built, run};
use breakit_tests::{Fakes, Namespaces};

/// partition in the host's namespace, as one whose `PATH` is somebody else's would run it.
fn with(fakes: &Fakes, bed: &Namespaces, args: &str) -> Run {
    let tool = built().join("partition").display().to_string();
    let line = format!("{} exec {tool} {args} -n {}", fakes.assignments(), bed.spec());
    run(Command::new("ip").args(["netns", "exec", &bed.host(), "bash", "-c", &line]))
}

#[test]
fn no_program_of_somebodys_path_is_run_whatever_the_backend() {
    let bed = bed!(2);
    let helpers = [
        "nft",
        "ip",
        "sh",
        "ipset",
        "iptables",
        "iptables-nft",
        "iptables-legacy",
        "ip6tables-nft",
        "ip6tables-legacy",
        "iptables-nft-restore",
        "ping",
        "cat",
        "env",
        "hostname",
        "ssh",
    ];
    let fakes = Fakes::new(&helpers);
    for backend in ["nft-bridge", "nft", "ipset-nft"] {
        let cut = with(&fakes, &bed, &format!("cut halves --backend {backend} --for 100ms"));
        // ipset may be missing here; nothing of PATH stands in for it.
        assert!(cut.status == 0 || backend == "ipset-nft", "{cut:?}");
    }
    with(&fakes, &bed, "probe").expect(0);
    with(&fakes, &bed, "check").expect(0);
    with(&fakes, &bed, "list").expect(0);
    with(&fakes, &bed, "heal").expect(0);
    fakes.are_left_alone();
    let folder = fakes.path().display();
    let refused = with(&fakes, &bed, &format!("cut halves --for 100ms --path {folder}"));
    assert_ne!(refused.status, 0, "its nft fails");
    fakes.were_run_with_a_clean_environment();
}
