//! What `check` and `--verify` measure, and what says nothing about cuts.

use std::net::{TcpListener, UdpSocket};

use breakit_tests::process::run;
use breakit_tests::{Namespaces, Sshd, skip};
use serde_json::{Value, json};

use crate::bed::*;

fn at(bed: &Namespaces, i: usize, script: &str) {
    text(bed.at(i, "sh").args(["-ec", script]).output().unwrap());
}

/// As on hosts with Docker and libvirt, one of which has a second network of its own.
fn with_docker(bed: &Namespaces, nodes: usize) {
    for i in 0..nodes {
        let script = "ip link add docker0 type bridge; ip addr add 172.17.0.1/16 dev docker0; ip link set docker0 up
                      ip link add virbr0 type bridge; ip addr add 192.168.122.1/24 dev virbr0; ip link set virbr0 up";
        at(bed, i, script);
    }
    at(
        bed,
        0,
        "ip link add own0 type bridge; ip addr add 10.9.0.1/24 dev own0; ip link set own0 up",
    );
}

const SHARED: &str =
    "left out, as several nodes have it: 172.17.0.1 (n1, n2), 192.168.122.1 (n1, n2)";

#[test]
fn hosts_with_dockers_bridge_are_cut_and_checked_by_the_addresses_that_are_their_own() {
    let bed = bed!(2);
    with_docker(&bed, 2);
    let whole = done(&bed, "check").expect(0);
    assert!(whole.stderr.contains(SHARED), "{}", whole.stderr);
    assert!(whole.stderr.contains("has a network with it: 10.9.0.1 (n1)"), "{}", whole.stderr);
    let (reach, left_out) = (&whole.lines()[0]["reach"], &whole.lines()[0]["left_out"]);
    assert_eq!((&reach["n2"]["n1"], left_out), (&json!(true), &json!({ "n1": ["10.9.0.1"] })));
    assert!(whole.stderr.lines().all(|line| line.len() <= 200), "{}", whole.stderr);

    let (running, _) = cut(&bed, "halves --verify --for 1h");
    let no = done(&bed, "check --timeout 3s").expect(1).lines();
    assert_eq!(no[0]["unreached"], json!([["n1", "n2"], ["n2", "n1"]]));
    let told = healed(running).stderr;
    assert_eq!(told.matches("left out").count(), 1, "said once: {told}");
    assert!(!told.contains("more is cut"), "{told}");
    assert_eq!(rules(&bed, 2), "");
}

#[test]
fn hosts_with_dockers_bridge_are_cut_and_checked_over_ssh() {
    if let Some(why) = Sshd::impossible() {
        skip!("{why}");
    }
    let bed = bed!(2);
    with_docker(&bed, 2);
    let sshd = Sshd::start(&bed, 2);
    let whole = run(&mut sshd.tool(&bed, "partition", "check")).expect(0);
    assert!(whole.stderr.contains(SHARED), "{}", whole.stderr);
    let cut = run(&mut sshd.tool(&bed, "partition", "cut halves --for 200ms")).expect(0);
    assert_eq!(cut.lines()[0]["value"]["backend"], "nft");
    assert!(cut.stderr.contains(SHARED), "{}", cut.stderr);
}

#[test]
fn a_node_without_ipv6_is_reached_if_its_other_addresses_are() {
    let bed = bed!(3);
    at(&bed, 2, "ip -6 addr flush dev eth0");
    let whole = done(&bed, "check").expect(0).lines();
    assert_eq!(whole[0]["unreached"], json!([]));
    // An address of a common network that nobody reaches is a cut, and not left out.
    let drop = "add table inet t; add chain inet t c { type filter hook prerouting priority 0; }; \
                add rule inet t c ip6 saddr fd77::12 udp dport >= 1024 drop";
    text(bed.at(0, "nft").arg(drop).output().unwrap());
    let partly = done(&bed, "check --timeout 3s").expect(1).lines();
    assert_eq!(partly[0]["reach"]["n2"]["n1"], "partly");
    assert_eq!(partly[0]["unreached"], json!([["n2", "n1"]]));
}

#[test]
fn cuts_by_port_and_protocol_and_of_new_connections_are_seen_by_a_check_that_asks_for_them() {
    let bed = bed!(2);
    // What passes is waited for as long as a loaded machine takes; what is cut never comes.
    let status = |limit: &str, args: &str| {
        done(&bed, format!("check --timeout {limit} {args}").trim_end()).status
    };
    for (packets, not_seen, seen) in [
        ("--port 5432", ["", "--port 5433"], ["--port 5432", "--port 5433,5432 --protocol udp"]),
        (
            "--port 5432 --protocol udp",
            ["--protocol udp", "--port 5432 --protocol tcp"],
            ["--port 5432", "--port 5432 --protocol udp"],
        ),
        ("--protocol tcp", ["", "--protocol icmp"], ["--protocol tcp", "--port 80"]),
        ("--new-only", ["", "--protocol icmp"], ["--protocol tcp", "--protocol tcp --port 80"]),
        ("--protocol icmp", ["", "--protocol tcp"], ["--protocol icmp", "--protocol icmp --table"]),
        (
            "--protocol tcp --reject",
            ["", "--protocol icmp"],
            ["--protocol tcp", "--protocol tcp --port 80"],
        ),
    ] {
        let (running, _) = cut(&bed, &format!("halves {packets}"));
        for args in not_seen {
            assert_eq!(status("10s", args), 0, "{packets}, check {args}");
        }
        for args in seen {
            assert_eq!(status("400ms", args), 1, "{packets}, check {args}");
        }
        healed(running);
        for args in seen {
            assert_eq!(status("10s", args), 0, "healed of {packets}, check {args}");
        }
    }
    let refused = done(&bed, "check --port 80-90").expect(64).stderr;
    assert!(refused.contains("single ports, not the range 80-90"), "{refused}");
    done(&bed, "check --port 80 --protocol icmp").expect(64);
}

#[test]
fn a_port_that_a_service_has_is_measured_by_that_service_or_from_the_other_end() {
    let bed = bed!(2);
    let of = |i: usize| inside(&bed, i, || UdpSocket::bind("[::]:5432"));
    let _tcp = inside(&bed, 1, || TcpListener::bind("[::]:5432"));
    let udp = of(1);
    let check =
        |args: &str| done(&bed, format!("check --timeout 3s --port 5432 {args}").trim_end());
    check("").expect(0);
    let (running, _) = cut(&bed, "one-way n1 n2 --port 5432");
    let lines = check("--protocol udp").expect(1).lines();
    assert_eq!(lines[0]["unreached"], json!([["n1", "n2"]]));
    // A connection needs both ways.
    assert_eq!(
        check("--protocol tcp").expect(1).lines()[0]["unreached"].as_array().unwrap().len(),
        2
    );
    healed(running);
    let _both = of(0);
    let lines = check("--protocol udp").expect(2).lines();
    assert_eq!(lines[0]["reach"]["n1"]["n2"], Value::Null, "{}", lines[0]);
    drop(udp);
}

#[test]
fn verify_finds_multicast_that_passes() {
    let bed = bed!(2);
    let masquerade = "add table ip nat; add chain ip nat out { type nat hook postrouting priority 100; }; \
                      add rule ip nat out ip daddr 224.0.0.0/4 snat to 10.77.0.99";
    at(&bed, 0, "ip addr add 10.77.0.99/24 dev eth0");
    text(bed.at(0, "nft").arg(masquerade).output().unwrap());
    let line = |i: usize| {
        format!(
            "{{\"node\":\"n{}\",\"addrs\":[\"{}\"],\"via\":\"netns:{}\"}}\n",
            i + 1,
            bed.v4(i),
            bed.name(i)
        )
    };
    for backend in BACKENDS {
        let mut command = bed.tool("partition");
        let args = format!("cut halves --verify --for 1s --backend {backend} -n -");
        command.args(args.split(' '));
        let nodes = line(0) + &line(1);
        let found = breakit_tests::process::run_with(&mut command, &nodes).expect(71);
        let said = "multicast or broadcast still passes from n1 to n2";
        assert!(found.stderr.contains(said), "{backend}: {}", found.stderr);
        assert_eq!(found.stdout, "");
    }
    assert!(is_whole(&bed));
}
