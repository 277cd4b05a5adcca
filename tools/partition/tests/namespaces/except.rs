//! Ports by name and by protocol, and what a cut lets pass all the same.

use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};
use std::time::Duration;

use breakit_tests::{Namespaces, skip};

use crate::bed::*;

fn place(address: &str, port: u16) -> SocketAddr {
    (address, port).to_socket_addrs().unwrap().next().unwrap()
}

/// Whether a datagram of 4,000 bytes, in fragments, gets from node 0 to node 1.
fn passes(bed: &Namespaces, ear: &UdpSocket, source: &str) -> bool {
    let to = ear.local_addr().unwrap();
    inside(bed, 0, || UdpSocket::bind((source, 0))?.send_to(&[7; 4000], to));
    ear.recv(&mut [0; 5000]).is_ok_and(|length| length == 4000)
}

fn ear(bed: &Namespaces, address: &str, port: u16) -> UdpSocket {
    let ear = inside(bed, 1, || UdpSocket::bind((address, port)));
    ear.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    ear
}

#[test]
fn excepted_ports_and_addresses_pass_a_cut_of_every_backend() {
    let bed = bed!(2);
    text(bed.at(1, "ip").args(["addr", "add", "10.77.0.99/24", "dev", "eth0"]).output().unwrap());
    let nodes: String = (0..2)
        .map(|i| {
            let (v4, v6, name) = (bed.v4(i), bed.v6(i), bed.name(i));
            format!(
                "{{\"node\":\"n{}\",\"addrs\":[\"{v4}\",\"{v6}\"],\"via\":\"netns:{name}\"}}\n",
                i + 1
            )
        })
        .collect();
    let file = std::env::temp_dir().join(format!("breakit-except-{}", std::process::id()));
    std::fs::write(&file, nodes).unwrap();
    for backend in backends() {
        let (one, other) = (echo(&bed, &bed.v4(1)), echo(&bed, &bed.v4(1)));
        let (six, udp) = (echo(&bed, &bed.v6(1)), ear(&bed, &bed.v4(1), 0));
        let port = udp.local_addr().unwrap().port();
        let (udp6, else4) = (ear(&bed, &bed.v6(1), port), ear(&bed, &bed.v4(1), 0));
        let mut old = connect(&bed, &bed.v4(1), one).unwrap();
        let mut command = bed.tool("partition");
        let args = format!(
            "cut halves --backend {backend} --except port:{one}/tcp,port:{six},port:{port},10.77.0.99 -n @{}",
            file.display()
        );
        let mut running = breakit_tests::Running::start(command.args(args.split(' ')));
        let line = running.line(SOON);
        let words = format!("except port:{one}/tcp,port:{six},port:{port},10.77.0.99");
        assert_eq!(line["value"]["packets"], words.as_str(), "{backend}: {line}");
        assert_eq!(listed(&bed)[0]["packets"], words.as_str(), "{backend}");

        assert!(echoes(&mut old), "{backend}: established");
        assert!(connect(&bed, &bed.v6(1), six).is_ok(), "{backend}: IPv6");
        assert!(connect(&bed, &bed.v4(1), other).is_err(), "{backend}: another port");
        assert!(passes(&bed, &udp, &bed.v4(0)), "{backend}: fragments");
        // iptables does not tell later fragments of IPv6 from others.
        let sees = !IPTABLES.contains(&backend);
        assert!(passes(&bed, &udp6, &bed.v6(0)) || !sees, "{backend}: fragments of IPv6");
        assert!(!passes(&bed, &else4, &bed.v4(0)), "{backend}: fragments to another port");
        assert!(bed.reaches(0, "10.77.0.99"), "{backend}: the address");
        assert!(!bed.reaches(0, &bed.v4(1)), "{backend}: another address");
        healed(running);
    }
    std::fs::remove_file(&file).unwrap();
    assert_eq!(rules(&bed, 2), "");
}

#[test]
fn a_host_alone_keeps_excepted_ports_of_its_peers() {
    let bed = bed!(2);
    let (one, other) = (echo(&bed, &bed.v4(1)), echo(&bed, &bed.v4(1)));
    for peers in ["--to 0.0.0.0/0", "--from 10.77.0.0/24", "--to 10.77.0.12 --reject"] {
        let mut old = connect(&bed, &bed.v4(1), one).unwrap();
        let (running, _) = cut_here(&bed, &format!("{peers} --except port:{one}"));
        assert!(echoes(&mut old), "{peers}");
        assert!(connect(&bed, &bed.v4(1), other).is_err(), "{peers}");
        healed(running);
    }
    let (running, _) = cut_here(&bed, "--from 10.77.0.0/24,fd77::/64 --except 10.77.0.12");
    assert!(bed.reaches(0, &bed.v4(1)) && !bed.reaches(0, &bed.v6(1)));
    healed(running);
}

#[test]
fn ports_are_named_as_the_system_names_them_and_each_may_have_its_protocol() {
    let bed = bed!(2);
    let services = std::fs::read_to_string("/etc/services").unwrap_or_default();
    if !services.lines().any(|line| line.starts_with("postgresql")) {
        skip!("/etc/services has no postgresql");
    }
    let at = |address: String, port: u16| {
        let server = inside(&bed, 1, || std::net::TcpListener::bind(place(&address, port)));
        std::thread::spawn(move || server.incoming().flatten().for_each(drop));
    };
    at(bed.v4(1), 5432);
    at(bed.v4(1), 53);
    let udp = ear(&bed, &bed.v4(1), 53);
    let tcp = |port| connect(&bed, &bed.v4(1), port).is_ok();
    for backend in BACKENDS {
        let (running, line) =
            cut(&bed, &format!("halves --port postgresql,domain/udp --backend {backend}"));
        assert_eq!(line["value"]["packets"], "port 5432,53/udp");
        assert!(!tcp(5432) && tcp(53), "{backend}");
        assert!(!passes(&bed, &udp, &bed.v4(0)), "{backend}");
        healed(running);
        assert!(tcp(5432) && passes(&bed, &udp, &bed.v4(0)), "{backend}");
    }
    // Few kernels have SCTP itself; all know its packets.
    for backend in backends() {
        let (running, line) =
            cut(&bed, &format!("halves --port 38412/sctp,80 --backend {backend}"));
        assert_eq!(line["value"]["packets"], "port 38412/sctp,80");
        assert!(tcp(53), "{backend}");
        healed(running);
    }
    let refused = done(&bed, "cut halves --port no-such-service").expect(64).stderr;
    assert!(refused.contains("\"no-such-service\" is no port"), "{refused}");
}
