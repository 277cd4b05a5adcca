//! What somebody else does to a cut: heals it, or takes its rules away; and that it is noticed.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use breakit_tests::has;
use breakit_tests::process::run;
use nix::sys::signal::Signal;

use crate::bed::*;

/// A lease whose first renewal nobody waits for here.
const LONG: &str = "--lease 10m";

/// Does `script` in each network where something of the cut may stand.
fn everywhere(bed: &breakit_tests::Namespaces, nodes: usize, script: &str) {
    host(bed, "sh", &["-c", script]);
    (0..nodes).for_each(|i| drop(bed.at(i, "sh").args(["-c", script]).output().unwrap()));
}

/// Takes the rules of nftables away, and lets sets and chains stand.
const FLUSH: &str = "nft list tables | while read -r _ f t; do nft flush table $f $t; done";

#[test]
fn a_cut_that_somebody_else_healed_ends_long_before_its_next_renewal() {
    let bed = bed!(2);
    let ipset = if has("ipset") && has("iptables-nft") { &["ipset-nft"][..] } else { &[] };
    for backend in BACKENDS.iter().chain(ipset) {
        let (running, _) = cut(&bed, &format!("halves {LONG} --backend {backend}"));
        done(&bed, "heal").expect(0);
        let ended = running.end(SOON).expect(3);
        assert_eq!(ended.lines()[1]["value"]["healed"], "by another", "{backend}");
        assert!(ended.stderr.contains("somebody else healed"), "{}", ended.stderr);
        assert_eq!(rules(&bed, 2), "", "{backend}");
    }
}

#[test]
fn a_cut_that_ends_says_so_where_somebody_else_had_healed_it_just_before() {
    let bed = bed!(2);
    for backend in BACKENDS {
        let (running, _) = cut(&bed, &format!("halves {LONG} --backend {backend}"));
        let (intact, _) = cut(&bed, &format!("halves {LONG} --backend {backend}"));
        everywhere(
            &bed,
            2,
            &format!(
                "nft list tables | while read -r _ f t; do case $t in *_{}_*) nft delete table $f $t ;; esac; done",
                running.pid()
            ),
        );
        running.signal(Signal::SIGTERM);
        let ended = running.end(SOON);
        assert!([3, 143].contains(&ended.status), "it may have ended before the signal");
        assert_eq!(ended.lines()[1]["value"]["healed"], "by another", "{backend}");
        assert!(healed(intact).lines()[1]["value"]["healed"].is_null(), "{backend}");
        assert_eq!(rules(&bed, 2), "", "{backend}");
    }
}

#[test]
fn where_somebody_took_the_rules_away_nothing_is_listed_as_in_force_and_its_holder_ends() {
    let bed = bed!(2);
    let all: [(&str, &str); 3] = [
        ("nft-bridge", FLUSH),
        ("nft", FLUSH),
        ("ipset-nft", "for t in iptables ip6tables; do $t-nft -t raw -F; done"),
    ];
    let ipset = has("ipset") && has("iptables-nft");
    for (backend, flush) in
        all.into_iter().filter(|(backend, _)| ipset || BACKENDS.contains(backend))
    {
        done(&bed, &format!("cut halves --keep --for 10m --backend {backend}")).expect(0);
        assert_eq!(listed(&bed)[0]["in_force"], true, "{backend}");
        everywhere(&bed, 2, flush);
        assert!(is_whole(&bed), "{backend}");
        assert_eq!(listed(&bed)[0]["in_force"], false, "{backend}");
        done(&bed, "heal").expect(0);
        assert!(listed(&bed).is_empty(), "{backend}");

        let (running, _) = cut(&bed, &format!("halves {LONG} --backend {backend}"));
        everywhere(&bed, 2, flush);
        let ended = running.end(SOON).expect(3);
        assert_eq!(ended.lines()[1]["value"]["healed"], "by another", "{backend}");
        assert_eq!(rules(&bed, 2), "", "{backend}");
    }
}

#[test]
fn what_the_kernel_does_not_hold_after_all_is_taken_away_again() {
    let bed = bed!(2);
    // An nft beside which somebody flushes the sets at once.
    let folder = std::env::temp_dir().join(format!("breakit-flushing-{}", bed.host()));
    std::fs::create_dir_all(&folder).unwrap();
    let nft = String::from_utf8(
        Command::new("sh").args(["-c", "command -v nft"]).output().unwrap().stdout,
    )
    .unwrap();
    let script = format!(
        "#!/bin/sh\nnft={}\n$nft \"$@\" || exit\n[ \"$1\" = -f ] || exit 0\n\
         $nft list tables | while read -r _ f t; do $nft flush set $f $t cut4; done\n",
        nft.trim()
    );
    std::fs::write(folder.join("nft"), script).unwrap();
    std::fs::set_permissions(folder.join("nft"), PermissionsExt::from_mode(0o755)).unwrap();
    for backend in BACKENDS {
        let mut command = partition(&bed, &format!("cut halves {LONG} --backend {backend}"));
        let refused = run(command.arg("--path").arg(&folder)).expect(71);
        assert!(refused.stderr.contains("the kernel holds"), "{}", refused.stderr);
        assert_eq!(refused.stdout, "");
        assert_eq!(rules(&bed, 2), "", "{backend}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_rehearsed_heal_prints_what_would_be_removed_and_removes_nothing() {
    let bed = bed!(2);
    for backend in BACKENDS {
        let (running, line) = cut(&bed, &format!("halves {LONG} --backend {backend}"));
        let table = line["value"]["table"].as_str().unwrap();
        let before = rules(&bed, 2);
        let said = done(&bed, "heal --dry-run").expect(0).stdout;
        assert!(said.starts_with("# in "), "{said}");
        assert!(said.contains("delete table") && said.contains(table), "{said}");
        let names = |text: &str| text.matches(table).count();
        assert_eq!(names(&rules(&bed, 2)), names(&before), "{backend}");
        assert!(!is_whole(&bed), "{backend}");
        assert!(healed(running).lines()[1]["value"]["healed"].is_null(), "{backend}");
        assert_eq!(done(&bed, "heal --dry-run").expect(0).stdout, "", "{backend}");
    }
}
