//! What stands there of others stays as it was.

use breakit_tests::{has, skip};

use crate::bed::*;

#[test]
fn foreign_rules_are_byte_for_byte_the_same_before_and_after() {
    let bed = bed!(2);
    let foreign = "add table inet fw; add chain inet fw c { type filter hook input priority 0; }; \
                   add rule inet fw c counter packets 0 bytes 0 tcp dport 9 drop; add table bridge other; \
                   add set bridge other s { type ipv4_addr; flags timeout; }";
    text(host(&bed, "nft", &[foreign]));
    for i in 0..2 {
        text(bed.at(i, "nft").arg(foreign).output().unwrap());
    }
    let before = rules(&bed, 2);
    for backend in BACKENDS {
        let (running, _) = cut(&bed, &format!("halves --for 100ms --backend {backend}"));
        running.end(SOON).expect(0);
        let (running, _) = cut(&bed, &format!("halves --backend {backend}"));
        done(&bed, "heal").expect(0);
        drop(running);
        within(SOON, "the guard ends", || rules(&bed, 2) == before);
    }
}

/// Chains as Docker makes them with iptables.
const DOCKER: &str = "*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-USER - [0:0]
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o br0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o br0 -j DOCKER
-A DOCKER -d 10.77.0.12/32 ! -i br0 -o br0 -p tcp -m tcp --dport 80 -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-USER -j RETURN
COMMIT
*raw
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A PREROUTING -d 10.77.0.99/32 ! -i br0 -j DROP
COMMIT
";

/// A table as firewalld makes it with nft.
const FIREWALLD: &str = "table inet firewalld {
  ct helper helper-netbios-ns-udp { type \"netbios-ns\" protocol udp; l3proto ip; }
  chain raw_PREROUTING { type filter hook prerouting priority -290; policy accept; icmpv6 type { nd-router-advert, nd-neighbor-solicit } accept; }
  chain filter_INPUT { type filter hook input priority 10; policy accept;
    ct state { established, related } accept
    ct state invalid drop
    iifname \"lo\" accept
    jump filter_INPUT_POLICIES
  }
  chain filter_INPUT_POLICIES { accept; }
}
";

#[test]
fn chains_like_dockers_and_firewallds_neither_stop_a_cut_nor_are_they_touched() {
    let bed = bed!(2);
    if !has("ipset") || !has("iptables-nft") || !has("iptables-legacy") {
        skip!("ipset or iptables is missing");
    }
    let load = |program: &str, input: &str| {
        for i in 0..2 {
            let mut command = bed.at(i, "sh");
            let script = format!("{program} <<'END'\n{input}END\n");
            text(command.args(["-c", &script]).output().unwrap());
        }
    };
    load("iptables-nft-restore", DOCKER);
    load("iptables-legacy-restore", DOCKER);
    let helper = "  ct helper helper-netbios-ns-udp";
    let without_helper: String = FIREWALLD
        .lines()
        .filter(|line| !line.starts_with(helper))
        .map(|line| format!("{line}\n"))
        .collect();
    load("nft -f -", &without_helper);
    // A set of somebody else's, and the tables that the backends would load.
    load("ipset restore", "create others hash:ip family inet timeout 0\nadd others 10.77.0.99\n");
    // Tables that iptables makes at its first use stay, empty, as after any use of it.
    for table in ["raw", "filter"] {
        let chain = if table == "raw" { "PREROUTING" } else { "FORWARD" };
        let rule = format!("{chain} -s ::1 -j ACCEPT");
        let both = format!(
            "ip6tables-nft -t {table} -A {rule} && ip6tables-nft -t {table} -D {rule}; cat"
        );
        load(&both, "");
    }
    // Counters count on, whoever cuts.
    let foreign = || {
        let tables = |i| text(bed.at(i, "nft").args(["-s", "list", "ruleset"]).output().unwrap());
        iptables_rules(&bed, 2) + &tables(0) + &tables(1)
    };
    let _ = foreign();
    let before = foreign();
    assert!(before.contains("DOCKER-USER") && before.contains("firewalld"), "{before}");
    let port = echo(&bed, &bed.v4(1));
    for backend in BACKENDS.iter().chain(&IPTABLES) {
        let mut old = connect(&bed, &bed.v4(1), port).unwrap();
        assert!(echoes(&mut old));
        let (running, _) = cut(&bed, &format!("halves --backend {backend}"));
        assert!(!echoes(&mut old), "{backend}: an established connection");
        assert!(!bed.reaches(0, &bed.v4(1)) && !bed.reaches(1, &bed.v4(0)), "{backend}");
        healed(running);
        assert!(foreign() == before, "{backend}: {}\n--- before\n{before}", foreign());
        // And healed by somebody else.
        let (running, _) = cut(&bed, &format!("halves --backend {backend}"));
        done(&bed, "heal").expect(0);
        assert!(foreign() == before, "{backend}: {}\n--- before\n{before}", foreign());
        drop(running);
    }
}
