//! The backends of iptables and ipset.

use std::time::Duration;

use breakit_tests::process::{run, tool};
use breakit_tests::{has, skip};
use nix::sys::signal::{Signal, kill};

use crate::bed::*;

#[test]
fn iptables_of_both_flavours_cuts_and_heals_as_nft_does() {
    let bed = bed!(2);
    if !has("ipset") || !has("iptables-nft") || !has("iptables-legacy") {
        skip!("ipset or iptables is missing");
    }
    // The tables and their built-in chains are there before, as on any host that uses them.
    let _ = iptables_rules(&bed, 2);
    let before = iptables_rules(&bed, 2);
    for backend in IPTABLES {
        let (running, line) = cut(&bed, &format!("one-way n1 n2 --backend {backend} --verify"));
        assert_eq!(line["value"]["backend"], backend);
        for address in [bed.v4(1), bed.v6(1)] {
            assert!(!bed.reaches(0, &address), "{backend}");
        }
        let stands = listed(&bed);
        assert_eq!(stands[0]["cut"], "n2 drops n1", "{backend}");
        assert_eq!(stands[0]["backend"], backend);
        let expires: u64 =
            stands[0]["expires"].as_str().unwrap().trim_end_matches('s').parse().unwrap();
        assert!((1..=30).contains(&expires), "{backend}: {expires}");
        healed(running);
        assert!(is_whole(&bed), "{backend}");
        assert_eq!(iptables_rules(&bed, 2), before, "{backend}");

        // Everything that selects packets, in one cut.
        let port = echo(&bed, &bed.v4(1));
        let args = format!("halves --port {port} --new-only --reject --backend {backend}");
        let mut old = connect(&bed, &bed.v4(1), port).unwrap();
        let (running, line) = cut(&bed, &args);
        assert!(echoes(&mut old), "{backend}");
        let refused = connect(&bed, &bed.v4(1), port).unwrap_err().kind();
        assert_eq!(refused, std::io::ErrorKind::ConnectionRefused, "{backend}");
        assert_eq!(listed(&bed)[0]["packets"], line["value"]["packets"]);
        // heal needs nothing of the run that cut.
        done(&bed, "heal").expect(0);
        assert!(echoes(&mut connect(&bed, &bed.v4(1), port).unwrap()), "{backend}");
        assert_eq!(iptables_rules(&bed, 2), before, "{backend}");
        drop(running);
    }
    let mut outward = bed.at(0, tool("partition").get_program().to_str().unwrap());
    let refused =
        run(outward.args(["cut", "--to", "10.0.0.5", "--backend", "ipset-nft"])).expect(69);
    assert!(refused.stderr.contains("take --reject"), "{}", refused.stderr);
}

#[test]
fn ipset_ends_a_cut_with_its_lease_and_a_held_one_is_renewed() {
    let bed = bed!(2);
    if !has("ipset") || !has("iptables-nft") || !has("iptables-legacy") {
        skip!("ipset or iptables is missing");
    }
    for backend in IPTABLES {
        let (running, _) = cut(&bed, &format!("halves --lease 6s --backend {backend}"));
        std::thread::sleep(Duration::from_secs(8));
        assert!(!is_whole(&bed), "{backend}: renewed");
        kill(guard_of(running.pid()), Signal::SIGKILL).unwrap();
        running.signal(Signal::SIGKILL);
        running.end(SOON).expect(137);
        assert!(!is_whole(&bed), "{backend}: the lease has not ended yet");
        within(SOON, "the lease ends", || is_whole(&bed));
        assert!(listed(&bed).is_empty(), "{backend}");
        done(&bed, "heal").expect(0);
        assert!(!iptables_rules(&bed, 2).contains("bkp_"), "{backend}");
    }
}

#[test]
fn tables_that_iptables_makes_for_a_cut_go_with_it_unless_somebody_else_uses_them() {
    let bed = bed!(2);
    if !has("ipset") || !has("iptables-nft") {
        skip!("ipset or iptables-nft is missing");
    }
    for backend in ["ipset-nft", "ipset-nft --reject"] {
        let (running, _) = cut(&bed, &format!("halves --backend {backend}"));
        assert!(rules(&bed, 2).contains("table ip6 "), "{backend}");
        healed(running);
        assert_eq!(rules(&bed, 2), "", "{backend}");
        // By somebody else; and by the guard.
        let (running, _) = cut(&bed, &format!("halves --backend {backend}"));
        done(&bed, "heal").expect(0);
        assert_eq!(rules(&bed, 2), "", "{backend}");
        drop(running);
        let (running, _) = cut(&bed, &format!("halves --backend {backend}"));
        running.signal(Signal::SIGKILL);
        within(SOON, "healed by the guard", || rules(&bed, 2).is_empty());
        running.end(SOON);
        // Two at once: the last takes them away.
        let (first, _) = cut(&bed, &format!("one-way n1 n2 --backend {backend}"));
        let (second, _) = cut(&bed, &format!("one-way n1 n2 --backend {backend}"));
        healed(first);
        assert!(!is_whole(&bed), "{backend}");
        healed(second);
        assert_eq!(rules(&bed, 2), "", "{backend}");
    }
    // What is there before, and what somebody puts there meanwhile, stays, to the byte.
    text(bed.at(1, "nft").arg("add table ip raw").output().unwrap());
    let policy = "add table ip6 raw; \
                  add chain ip6 raw PREROUTING { type filter hook prerouting priority -300; policy drop; }";
    text(bed.at(1, "nft").arg(policy).output().unwrap());
    let before = rules(&bed, 2);
    let (running, _) = cut(&bed, "one-way n1 n2 --backend ipset-nft");
    healed(running);
    assert_eq!(rules(&bed, 2), before);
    let (running, _) = cut(&bed, "one-way n2 n1 --backend ipset-nft");
    let drop = ["-t", "raw", "-A", "PREROUTING", "-s", "192.0.2.1", "-j", "DROP"];
    text(bed.at(0, "iptables-nft").args(drop).output().unwrap());
    healed(running);
    let left = rules(&bed, 2);
    assert!(left.contains("192.0.2.1") && !left.contains("bkp_"), "{left}");
}
