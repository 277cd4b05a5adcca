//! Peers whose addresses the host itself translates: a service of Kubernetes, a published port of Docker.

use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use breakit_tests::Namespaces;

use crate::bed::*;

const SERVICE4: &str = "10.96.0.10";
const SERVICE6: &str = "fd96::10";

/// Makes n1 send what is for the services to n2: their ports 443 and 80 are `port` there.
fn translate(bed: &Namespaces, port: [u16; 2]) {
    let [v4, v6] = port;
    let script = format!(
        "ip -6 route add default via fd77::1\n\
         nft 'add table inet kube; add chain inet kube out {{ type nat hook output priority -100; }};
              add rule inet kube out ip daddr {SERVICE4} tcp dport {{ 443, 80 }} dnat ip to {}:{v4};
              add rule inet kube out ip6 daddr {SERVICE6} tcp dport {{ 443, 80 }} dnat ip6 to [{}]:{v6};
              add rule inet kube out ip daddr {SERVICE4} udp dport 53 dnat ip to {}:53'",
        bed.v4(1),
        bed.v6(1),
        bed.v4(1)
    );
    text(bed.at(0, "sh").args(["-ec", &script]).output().unwrap());
}

fn connection(bed: &Namespaces, address: &str, port: u16) -> Option<TcpStream> {
    let to = std::net::SocketAddr::new(address.parse().unwrap(), port);
    let limit = Duration::from_millis(700);
    let made = inside(bed, 0, || Ok(TcpStream::connect_timeout(&to, limit).ok()))?;
    made.set_read_timeout(Some(limit)).unwrap();
    Some(made)
}

#[test]
fn an_address_that_the_host_translates_is_cut_off_as_any_other() {
    let bed = bed!(2);
    let ports = [bed.v4(1), bed.v6(1)].map(|address| echo(&bed, &address));
    translate(&bed, ports);
    for (service, own, port) in [(SERVICE4, bed.v4(1), ports[0]), (SERVICE6, bed.v6(1), ports[1])] {
        for args in [
            format!("--to {service}"),
            format!("--from {service}"),
            format!("--to {service} --port 443"),
            format!("--from {service} --port 443 --protocol tcp"),
            format!("--to {service} --new-only"),
            format!("--to {service} --reject"),
            format!("--from {service} --port 443 --reject"),
        ] {
            let mut old = connection(&bed, service, 443).unwrap();
            assert!(echoes(&mut old), "{args}");
            let (running, _) = cut_here(&bed, &args);
            assert!(connection(&bed, service, 443).is_none(), "{args}: a new connection");
            assert_eq!(echoes(&mut old), args.contains("new-only"), "{args}: an old one");
            assert!(
                connection(&bed, &own, port).is_some(),
                "{args}: the same peer by another name"
            );
            let other = connection(&bed, service, 80).is_some();
            assert_eq!(other, args.contains("--port"), "{args}: another port");
            healed(running);
            assert!(connection(&bed, service, 443).is_some(), "healed of {args}");
        }
    }
    let (running, _) = cut_here(&bed, &format!("--to {SERVICE4} --protocol udp"));
    let ear = inside(&bed, 1, || UdpSocket::bind("10.77.0.12:53"));
    ear.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let mouth = inside(&bed, 0, || UdpSocket::bind("10.77.0.11:0"));
    for _ in 0..5 {
        // The program that sends is not told.
        mouth.send_to(b"x", (SERVICE4, 53)).unwrap();
    }
    assert!(ear.recv(&mut [0]).is_err());
    healed(running);
    mouth.send_to(b"x", (SERVICE4, 53)).unwrap();
    ear.set_read_timeout(Some(SOON)).unwrap();
    ear.recv(&mut [0]).unwrap();
}

#[test]
fn a_share_of_what_is_translated_is_lost_once() {
    let bed = bed!(2);
    translate(&bed, [1, 1]);
    let ear = inside(&bed, 1, || UdpSocket::bind("10.77.0.12:53"));
    ear.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let mouth = inside(&bed, 0, || UdpSocket::bind("10.77.0.11:0"));
    for peers in [SERVICE4.to_string(), bed.v4(1), format!("{SERVICE4},{}", bed.v4(1))] {
        let (running, _) = cut_here(&bed, &format!("--to {peers} --loss 30%"));
        let to = peers.split(',').next().unwrap();
        let mut arrived = 0;
        for _ in 0..20 {
            for _ in 0..100 {
                mouth.send_to(b"x", (to, 53)).unwrap();
            }
            while ear.recv(&mut [0]).is_ok() {
                arrived += 1;
            }
        }
        // 1400 of 2000 are expected; five standard deviations are 102.
        assert!((1290..1510).contains(&arrived), "{peers}: {arrived}");
        healed(running);
    }
}

#[test]
fn a_backend_that_does_not_know_translated_addresses_says_so() {
    let bed = bed!(2);
    if !breakit_tests::has("iptables-nft") || !breakit_tests::has("ipset") {
        breakit_tests::skip!("ipset or iptables is missing");
    }
    let words = format!("--to {SERVICE4} --reject --backend ipset-nft");
    let said =
        "ipset-nft does not match addresses that here translates (NAT); take the backend nft";
    let (running, _) = cut_here(&bed, &words);
    assert!(!healed(running).stderr.contains("NAT"), "nothing is translated here");
    translate(&bed, [1, 1]);
    let (running, _) = cut_here(&bed, &words);
    let told = healed(running).stderr;
    assert!(told.contains(said), "{told}");
}

#[test]
fn verify_asks_peers_before_and_after_the_cut() {
    let bed = bed!(2);
    let ports = [bed.v4(1), bed.v6(1)].map(|address| echo(&bed, &address));
    translate(&bed, ports);
    let verified = |args: &str| {
        let mut command =
            bed.at(0, breakit_tests::process::tool("partition").get_program().to_str().unwrap());
        command.env("BREAKIT_FLEET", "no-such-fleet");
        let args = format!("cut {args} --for 100ms --verify");
        breakit_tests::process::run(command.args(args.split(' ')))
    };
    for args in [
        format!("--to {}", bed.v4(1)),
        format!("--from {},{}", bed.v4(1), bed.v6(1)),
        format!("--to {SERVICE4} --port 443 --protocol tcp"),
        format!("--to {} --protocol icmp", bed.v4(1)),
    ] {
        let told = verified(&args).expect(0).stderr;
        assert!(!told.contains("could not measure"), "{args}: {told}");
    }
    // Nobody answers there, or nothing there answers such packets.
    for args in
        ["--to 10.77.0.99", "--to 10.77.0.0/24", &format!("--from {} --protocol udp", bed.v4(1))]
    {
        let told = verified(args).expect(0).stderr;
        assert!(told.contains("--verify could not measure"), "{args}: {told}");
        assert!(told.lines().all(|line| line.len() <= 200), "{told}");
    }
    // Another program's NAT, which these rules cannot see: its connections are never tracked as such.
    let away = "add table ip away; add chain ip away c { type filter hook output priority -400; }; \
                add rule ip away c ip daddr 10.77.0.99 ip daddr set 10.77.0.12; \
                add chain ip away d { type filter hook prerouting priority -600; }; \
                add rule ip away d ip saddr 10.77.0.12 icmp type echo-reply ip saddr set 10.77.0.99";
    text(bed.at(0, "nft").arg(away).output().unwrap());
    let refused = verified("--to 10.77.0.99").expect(71);
    let said = "packets still pass between here and 10.77.0.99";
    assert!(refused.stderr.contains(said), "{}", refused.stderr);
    assert_eq!(refused.stdout, "");
    let refused = verified(&format!("--to {} --loss 50%", bed.v4(1))).expect(64);
    assert!(refused.stderr.contains("--loss"), "{}", refused.stderr);
}
