//! Which packets: of peers, ports, protocols, shares, and what their senders hear.

use std::io::{Read, Write};
use std::net::UdpSocket;
use std::time::Duration;

use breakit_tests::Running;
use breakit_tests::process::{run, tool};

use crate::bed::*;

#[test]
fn one_host_alone_is_cut_off_from_a_peers_port_and_from_nothing_else() {
    let bed = bed!(2);
    for address in [bed.v4(1), bed.v6(1)] {
        let (one, other) = (echo(&bed, &address), echo(&bed, &address));
        let mut to_one = connect(&bed, &address, one).unwrap();
        let mut to_other = connect(&bed, &address, other).unwrap();
        assert!(echoes(&mut to_one) && echoes(&mut to_other));
        for flag in ["--from", "--to"] {
            let (running, line) = cut_here(&bed, &format!("{flag} {address} --port {one}"));
            assert_eq!(line["value"]["packets"], format!("port {one}"));
            let words = line["value"]["cut"].as_str().unwrap().to_string();
            let said = match flag {
                "--from" => format!("{address} to here"),
                _ => format!("here to {address}"),
            };
            assert_eq!(words, said);
            assert!(!echoes(&mut to_one), "{flag}");
            assert!(echoes(&mut to_other), "{flag}");
            assert!(bed.reaches(0, &address), "{flag}: a ping has no port");
            let mut list = bed.at(0, tool("partition").get_program().to_str().unwrap());
            let listed = run(list.env("BREAKIT_FLEET", "no-such-fleet").arg("list")).expect(0);
            let listed = listed.lines();
            assert_eq!(
                (&listed[0]["cut"], &listed[0]["packets"]),
                (&said.into(), &line["value"]["packets"])
            );
            healed(running);
            // What was sent while cut comes now: TCP has kept it.
            to_one.set_read_timeout(Some(SOON)).unwrap();
            to_one.read_exact(&mut [0]).unwrap();
            to_one.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
            assert_eq!(rules(&bed, 2), "");
        }
    }
}

#[test]
fn what_is_sent_to_a_cut_off_peer_vanishes_without_a_word_to_the_sender() {
    let bed = bed!(2);
    let (running, _) = cut_here(&bed, &format!("--to {} --protocol udp", bed.v4(1)));
    let ear = inside(&bed, 1, || UdpSocket::bind("10.77.0.12:0"));
    ear.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let mouth = inside(&bed, 0, || UdpSocket::bind("10.77.0.11:0"));
    for _ in 0..20 {
        mouth.send_to(b"x", ear.local_addr().unwrap()).unwrap();
    }
    assert!(ear.recv(&mut [0]).is_err());
    assert!(bed.reaches(0, &bed.v4(1)), "a ping is no UDP");
    healed(running);
    ear.set_read_timeout(Some(SOON)).unwrap();
    mouth.send_to(b"x", ear.local_addr().unwrap()).unwrap();
    ear.recv(&mut [0]).unwrap();
}

#[test]
fn a_network_and_everything_are_peers_and_loopback_is_let_alone() {
    let bed = bed!(2);
    let talks_to_itself = || {
        let ear = inside(&bed, 0, || UdpSocket::bind("127.0.0.1:0"));
        ear.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        inside(&bed, 0, || UdpSocket::bind("127.0.0.1:0")?.send_to(b"x", ear.local_addr()?));
        ear.recv(&mut [0]).is_ok()
    };
    for (peers, v4, v6, itself) in [
        ("--from 10.77.0.8/29", false, true, true),
        ("--from 10.77.0.64/26", true, true, true),
        ("--from fd77::/64", true, false, true),
        ("--from 0.0.0.0/0,::/0", false, false, true),
        ("--to 0.0.0.0/0 --to ::/0", false, false, true),
        ("--from 127.0.0.1", true, true, false),
    ] {
        let (running, _) = cut_here(&bed, peers);
        let found = (bed.reaches(0, &bed.v4(1)), bed.reaches(0, &bed.v6(1)), talks_to_itself());
        assert_eq!(found, (v4, v6, itself), "{peers}");
        healed(running);
    }
    assert_eq!(rules(&bed, 2), "");
}

#[test]
fn a_name_is_all_of_its_addresses() {
    let bed = bed!(2);
    let hosts = format!("{} db.example\n{} db.example\n", bed.v4(1), bed.v6(1));
    let file = std::env::temp_dir().join(format!("breakit-hosts-{}", std::process::id()));
    std::fs::write(&file, hosts).unwrap();
    let script = "mount --bind \"$1\" /etc/hosts && shift && exec \"$@\"";
    let mut command = bed.at(0, "unshare");
    command.args(["-m", "sh", "-c", script, "sh"]).arg(&file).arg(tool("partition").get_program());
    command.args(["cut", "--from", "db.example"]).env("BREAKIT_FLEET", "no-such-fleet");
    let mut running = Running::start(&mut command);
    let line = running.line(SOON);
    assert_eq!(line["value"]["cut"], "db.example to here");
    assert!(!bed.reaches(0, &bed.v4(1)) && !bed.reaches(0, &bed.v6(1)));
    healed(running);
    assert!(bed.reaches(0, &bed.v4(1)) && bed.reaches(0, &bed.v6(1)));
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn new_only_refuses_new_connections_and_keeps_the_established() {
    let bed = bed!(2);
    for backend in BACKENDS {
        let port = echo(&bed, &bed.v4(1));
        let mut old = connect(&bed, &bed.v4(1), port).unwrap();
        assert!(echoes(&mut old));
        let (running, _) = cut(&bed, &format!("halves --new-only --backend {backend}"));
        assert!(echoes(&mut old), "{backend}");
        assert!(connect(&bed, &bed.v4(1), port).is_err(), "{backend}");
        assert!(bed.reaches(0, &bed.v4(1)), "{backend}");
        healed(running);
        assert!(echoes(&mut connect(&bed, &bed.v4(1), port).unwrap()), "{backend}");
    }
}

#[test]
fn reject_answers_at_once_with_a_reset() {
    let bed = bed!(2);
    let port = echo(&bed, &bed.v4(1));
    let mut old = connect(&bed, &bed.v4(1), port).unwrap();
    assert!(echoes(&mut old));
    let refused = |running: Running, address: &str, port: u16| {
        let kind = connect(&bed, address, port).unwrap_err().kind();
        assert_eq!(kind, std::io::ErrorKind::ConnectionRefused);
        healed(running);
    };
    let (running, line) = cut(&bed, "halves --reject");
    assert_eq!(line["value"]["packets"], "rejected");
    // Not every kernel can reject on a bridge; one that cannot is told of where the cut is.
    if line["value"]["backend"] != "nft-bridge" {
        let why = line["value"]["refused"]["nft-bridge"].as_str().unwrap();
        assert!(why.contains("it lacks the module nft_reject_bridge"), "{why}");
        let refused = done(&bed, "cut halves --reject --backend nft-bridge").expect(69);
        assert!(refused.stderr.contains(why), "{}", refused.stderr);
    }
    let _ = old.write_all(b"x");
    let end = old.read_exact(&mut [0]).unwrap_err().kind();
    assert_eq!(end, std::io::ErrorKind::ConnectionReset);
    refused(running, &bed.v4(1), port);
    // Whoever sends is told: a peer that sends to us, or our own program that sends to a peer.
    let (running, _) = cut_here(&bed, &format!("--from {} --reject", bed.v4(1)));
    refused(running, &bed.v4(0), echo(&bed, &bed.v4(0)));
    let (running, _) = cut_here(&bed, &format!("--to {} --reject", bed.v4(1)));
    refused(running, &bed.v4(1), port);
    assert!(echoes(&mut connect(&bed, &bed.v4(1), port).unwrap()));
    assert_eq!(rules(&bed, 2), "");
}

#[test]
fn a_partial_cut_loses_the_share_that_was_asked_for() {
    let bed = bed!(2);
    for args in BACKENDS.map(|backend| format!("cut one-way n1 n2 --loss 30% --backend {backend}"))
    {
        let mut running = Running::start(&mut partition(&bed, &args));
        running.line(SOON);
        let ear = inside(&bed, 1, || UdpSocket::bind("10.77.0.12:0"));
        ear.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let mouth = inside(&bed, 0, || UdpSocket::bind("10.77.0.11:0"));
        let mut arrived = 0;
        for _ in 0..20 {
            for _ in 0..100 {
                mouth.send_to(b"x", ear.local_addr().unwrap()).unwrap();
            }
            while ear.recv(&mut [0]).is_ok() {
                arrived += 1;
            }
        }
        // 1400 of 2000 are expected; five standard deviations are 102.
        assert!((1290..1510).contains(&arrived), "{args}: {arrived}");
        healed(running);
    }
}

#[test]
fn a_node_of_which_only_the_address_is_known_is_cut_off_at_the_others() {
    let bed = bed!(3);
    let nodes = format!("n1=netns:{},n2=addr:{},n3=netns:{}", bed.name(0), bed.v4(1), bed.name(2));
    let mut command = bed.tool("partition");
    command.args(["cut", "isolate", "n2", "-n", &nodes]);
    let mut running = Running::start(&mut command);
    let line = running.line(SOON);
    assert_eq!(
        (&line["value"]["backend"], &line["value"]["cut"]),
        (&"nft".into(), &"n1,n3 | n2".into())
    );
    for i in [0, 2] {
        let ear = inside(&bed, 1, || UdpSocket::bind("10.77.0.12:0"));
        ear.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        inside(&bed, i, || UdpSocket::bind("0.0.0.0:0")?.send_to(b"x", ear.local_addr()?));
        assert!(ear.recv(&mut [0]).is_err(), "what node {i} sends does not arrive");
    }
    assert!(bed.reaches(0, &bed.v4(2)));
    healed(running);
    assert!(bed.reaches(0, &bed.v4(1)));
    assert_eq!(rules(&bed, 3), "");
}
