//! All backends mean the same: one table of kinds of traffic, held against each of them.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{
    Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener, TcpStream, ToSocketAddrs, UdpSocket,
};
use std::time::Duration;

use breakit_tests::process::run;
use breakit_tests::{Namespaces, Running};

use crate::bed::*;
use crate::sctp;

/// n1 and n2 are the nodes of the cut; n3 hangs on the same bridge and is none of them.
const NODES: usize = 3;

/// Long enough for what passes to arrive, also on a machine that does much else.
const SILENCE: Duration = Duration::from_millis(600);

/// A kind of traffic, from one node to another.
type Kind = &'static str;

/// What goes one way only.
const DATAGRAMS: [Kind; 14] = [
    "UDP over IPv4",
    "UDP over IPv6",
    "fragments over IPv4",
    "fragments over IPv6",
    "multicast over IPv4",
    "multicast over IPv6",
    "broadcast to the network",
    "broadcast to all",
    "UDP to an address that nobody named",
    "link-local UDP over IPv4",
    "link-local UDP over IPv6",
    "link-local multicast over IPv6",
    "SCTP over IPv4",
    "SCTP over IPv6",
];

/// What needs both ways.
const ROUND_TRIPS: [Kind; 8] = [
    "TCP over IPv4",
    "TCP over IPv6",
    "an established connection over IPv4",
    "an established connection over IPv6",
    "ICMP over IPv4",
    "ICMP over IPv6",
    "UDP to itself",
    "TCP to itself",
];

/// What a cut of IP packets lets pass.
const DISCOVERY: [Kind; 2] = ["ARP", "neighbour discovery"];

type Passed = BTreeSet<(Kind, usize, usize)>;

/// All kinds between all nodes, but for those that a cut of these pairs drops.
fn expected(cut: &[(usize, usize)]) -> Passed {
    let lost = |a, b| cut.contains(&(a, b));
    let pairs: Vec<(usize, usize)> =
        (0..NODES).flat_map(|a| (0..NODES).map(move |b| (a, b))).filter(|(a, b)| a != b).collect();
    let of = |kinds: &[Kind], passes: &dyn Fn(usize, usize) -> bool| -> Passed {
        let all = kinds.iter().flat_map(|kind| pairs.iter().map(|(a, b)| (*kind, *a, *b)));
        all.filter(|(_, a, b)| passes(*a, *b)).collect()
    };
    let mut passed = of(&DATAGRAMS, &|a, b| !lost(a, b));
    passed.append(&mut of(&ROUND_TRIPS[..6], &|a, b| !lost(a, b) && !lost(b, a)));
    passed.append(&mut of(&DISCOVERY, &|_, _| true));
    passed.extend(ROUND_TRIPS[6..].iter().flat_map(|kind| (0..NODES).map(|a| (*kind, a, a))));
    passed
}

fn other(i: usize) -> String {
    format!("10.77.0.{}", i + 111)
}

/// An address of node `i` that is known on its own link only.
fn link_local(kind: Kind, i: usize) -> String {
    if kind.ends_with("IPv6") {
        format!("fe80::77:{}", i + 11)
    } else {
        format!("169.254.77.{}", i + 11)
    }
}

/// The address that packets of a kind come from.
fn source(bed: &Namespaces, kind: Kind, i: usize) -> String {
    match kind {
        kind if kind.starts_with("link-local") => link_local(kind, i),
        kind if kind.ends_with("IPv6") => bed.v6(i),
        _ => bed.v4(i),
    }
}

/// A socket at a node where datagrams of one kind are to arrive.
fn ear(bed: &Namespaces, kind: Kind, i: usize) -> UdpSocket {
    let address = match kind {
        "UDP to an address that nobody named" => other(i),
        kind if kind.contains("cast") && kind.ends_with("IPv6") => "::".into(),
        kind if kind.contains("cast") => "0.0.0.0".into(),
        _ => source(bed, kind, i),
    };
    let socket = match kind.starts_with("SCTP") {
        true => sctp::raw(bed, i, &address),
        false => inside(bed, i, || {
            let socket = UdpSocket::bind(place(&address, 0))?;
            match kind {
                "multicast over IPv4" => {
                    socket.join_multicast_v4(&GROUP4, &bed.v4(i).parse().unwrap())
                }
                "multicast over IPv6" => socket.join_multicast_v6(&GROUP6, interface()),
                "link-local multicast over IPv6" => socket.join_multicast_v6(&VRRP, interface()),
                _ => Ok(()),
            }?;
            Ok(socket)
        }),
    };
    socket.set_nonblocking(true).unwrap();
    socket
}

const GROUP4: Ipv4Addr = Ipv4Addr::new(239, 255, 7, 7);
const GROUP6: Ipv6Addr = Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 7, 7);
/// The group of VRRP, whose packets come from link-local addresses.
const VRRP: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);

/// The index of eth0 in the namespace that we are in.
fn interface() -> u32 {
    nix::net::if_::if_nametoindex("eth0").unwrap()
}

/// Sends one datagram of a kind from node `a` to the ear of node `b` at `port`: its text says from whom it is.
fn send(bed: &Namespaces, kind: Kind, a: usize, b: usize, port: u16) {
    let (own, byte) = (source(bed, kind, a), b'0' + a as u8);
    let length = if kind.starts_with("fragments") { 4000 } else { 1 };
    if kind.starts_with("SCTP") {
        return sctp::send(&sctp::raw(bed, a, &own), &source(bed, kind, b), (5000, 5000), byte);
    }
    inside(bed, a, || {
        let socket = UdpSocket::bind(place(&own, 0))?;
        socket.set_broadcast(kind.starts_with("broadcast"))?;
        let to: SocketAddr = match kind {
            "multicast over IPv4" => (GROUP4, port).into(),
            "multicast over IPv6" => SocketAddrV6::new(GROUP6, port, 0, interface()).into(),
            "broadcast to the network" => (Ipv4Addr::new(10, 77, 0, 255), port).into(),
            "broadcast to all" => (Ipv4Addr::BROADCAST, port).into(),
            "UDP to an address that nobody named" => place(&other(b), port),
            "link-local multicast over IPv6" => {
                SocketAddrV6::new(VRRP, port, 0, interface()).into()
            }
            _ => place(&source(bed, kind, b), port),
        };
        socket.send_to(&vec![byte; length], to).map(|_| ())
    });
}

/// In the namespace that we are in: a link-local address needs its interface.
fn place(address: &str, port: u16) -> SocketAddr {
    let mut place = (address, port).to_socket_addrs().unwrap().next().unwrap();
    if let SocketAddr::V6(v6) = &mut place
        && v6.ip().is_unicast_link_local()
    {
        v6.set_scope_id(interface());
    }
    place
}

/// From which nodes something of a kind has come.
fn heard(kind: Kind, ear: &UdpSocket) -> Vec<usize> {
    let mut datagram = [0; 5000];
    let next = || match kind.starts_with("SCTP") {
        true => sctp::receive(ear).map(|(_, byte)| byte),
        false => ear.recv(&mut datagram).ok().map(|length| {
            assert_eq!(length, if kind.starts_with("fragments") { 4000 } else { 1 });
            datagram[0]
        }),
    };
    std::iter::from_fn(next).map(|byte| usize::from(byte - b'0')).collect()
}

/// Which datagrams arrive. The last of three attempts is waited for longest.
fn datagrams(bed: &Namespaces) -> Passed {
    let ears: Vec<(Kind, usize, UdpSocket)> = DATAGRAMS
        .iter()
        .flat_map(|kind| (0..NODES).map(|i| (*kind, i, ear(bed, kind, i))))
        .collect();
    let mut passed = Passed::new();
    for _ in 0..3 {
        for (kind, to, ear) in &ears {
            let port = ear.local_addr().unwrap().port();
            for from in (0..NODES).filter(|from| from != to) {
                if !passed.contains(&(*kind, from, *to)) {
                    send(bed, kind, from, *to, port);
                }
            }
        }
        std::thread::sleep(SILENCE / 3);
        for (kind, to, ear) in &ears {
            // A node hears what it sends to all, too.
            let others = heard(kind, ear).into_iter().filter(|from| from != to);
            passed.extend(others.map(|from| (*kind, from, *to)));
        }
    }
    passed
}

/// Connections between all nodes that were made before the cut, each by its kind and its ends.
fn connections(bed: &Namespaces) -> Vec<((Kind, usize, usize), TcpStream)> {
    let mut made = Vec::new();
    for (kind, v6) in ROUND_TRIPS[2..4].iter().zip([false, true]) {
        for (a, b) in (0..NODES).flat_map(|a| (0..NODES).map(move |b| (a, b))) {
            if a != b {
                let port = server(bed, b, if v6 { bed.v6(b) } else { bed.v4(b) });
                let to = place(&if v6 { bed.v6(b) } else { bed.v4(b) }, port);
                let stream = inside(bed, a, || TcpStream::connect_timeout(&to, SOON));
                stream.set_read_timeout(Some(SILENCE)).unwrap();
                made.push(((*kind, a, b), stream));
            }
        }
    }
    made
}

/// As [`echo`], at any node.
fn server(bed: &Namespaces, i: usize, address: String) -> u16 {
    let server = inside(bed, i, || TcpListener::bind((address.as_str(), 0)));
    let port = server.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut peer in server.incoming().flatten() {
            std::thread::spawn(move || {
                let mut byte = [0];
                while peer.read_exact(&mut byte).is_ok() && peer.write_all(&byte).is_ok() {}
            });
        }
    });
    port
}

/// Which round trips come back, each in a thread of its own.
fn round_trips(bed: &Namespaces, ports: &[(u16, u16)]) -> Passed {
    let connects = |a: usize, address: &str, port: u16| {
        let to = place(address, port);
        inside(bed, a, || Ok(TcpStream::connect_timeout(&to, SILENCE).is_ok()))
    };
    let alone = |a: usize| {
        inside(bed, a, || {
            let ear = UdpSocket::bind((bed.v4(a).as_str(), 0))?;
            ear.set_read_timeout(Some(SILENCE))?;
            ear.send_to(b"x", ear.local_addr()?)?;
            Ok(ear.recv(&mut [0]).is_ok())
        })
    };
    let trip = |kind: Kind, a: usize, b: usize| match kind {
        "TCP over IPv4" => a != b && connects(a, &bed.v4(b), ports[b].0),
        "TCP over IPv6" => a != b && connects(a, &bed.v6(b), ports[b].1),
        "ICMP over IPv4" => a != b && bed.reaches(a, &bed.v4(b)),
        "ICMP over IPv6" => a != b && bed.reaches(a, &bed.v6(b)),
        "UDP to itself" => a == b && alone(a),
        "TCP to itself" => a == b && connects(a, &bed.v4(a), ports[a].0),
        _ => false,
    };
    let all = ROUND_TRIPS
        .iter()
        .flat_map(|kind| (0..NODES).flat_map(move |a| (0..NODES).map(move |b| (*kind, a, b))));
    std::thread::scope(|scope| {
        let threads: Vec<_> = all
            .map(|(kind, a, b)| scope.spawn(move || trip(kind, a, b).then_some((kind, a, b))))
            .collect();
        threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
    })
}

/// Whom each finds on the wire with an empty table of neighbours.
fn discovery(bed: &Namespaces) -> Passed {
    for i in 0..NODES {
        text(bed.at(i, "ip").args(["neigh", "flush", "all"]).output().unwrap());
    }
    let found = |a: usize, address: &str| {
        inside(bed, a, || {
            let any = if address.contains(':') { "[::]:0" } else { "0.0.0.0:0" };
            UdpSocket::bind(any)?.send_to(b"x", place(address, 9))
        });
        let entry = || text(bed.at(a, "ip").args(["neigh", "show", address]).output().unwrap());
        let begin = std::time::Instant::now();
        while !entry().contains("lladdr") && begin.elapsed() < SILENCE {
            std::thread::sleep(Duration::from_millis(20));
        }
        entry().contains("lladdr")
    };
    let mut passed = Passed::new();
    for (a, b) in (0..NODES).flat_map(|a| (0..NODES).map(move |b| (a, b))) {
        for (kind, address) in DISCOVERY.iter().zip([bed.v4(b), bed.v6(b)]) {
            if a != b && found(a, &address) {
                passed.insert((kind, a, b));
            }
        }
    }
    passed
}

#[test]
fn every_backend_drops_the_same_kinds_of_traffic_and_lets_the_same_pass() {
    let bed = bed!(NODES);
    for i in 0..NODES {
        for (address, bits) in
            [(other(i), "24"), (link_local("IPv4", i), "16"), (link_local("IPv6", i), "64")]
        {
            let address = format!("{address}/{bits}");
            let add = ["addr", "add", &address, "dev", "eth0", "nodad"];
            text(bed.at(i, "ip").args(add).output().unwrap());
        }
    }
    let ports: Vec<(u16, u16)> =
        (0..NODES).map(|i| (server(&bed, i, bed.v4(i)), server(&bed, i, bed.v6(i)))).collect();
    let found = |streams: &mut Vec<((Kind, usize, usize), TcpStream)>| {
        let mut passed = discovery(&bed);
        passed.append(&mut datagrams(&bed));
        passed.append(&mut round_trips(&bed, &ports));
        passed.extend(streams.iter_mut().filter_map(|(what, s)| echoes(s).then_some(*what)));
        passed
    };
    // Their addresses are said: those that are added to a node beside them are nobody's.
    let line = |i: usize| {
        let addrs = [bed.v4(i), bed.v6(i)];
        let via = format!("netns:{}", bed.name(i));
        serde_json::json!({ "node": format!("n{}", i + 1), "addrs": addrs, "via": via }).to_string()
    };
    let file = std::env::temp_dir().join(format!("breakit-kinds-{}", std::process::id()));
    std::fs::write(&file, format!("{}\n{}\n", line(0), line(1))).unwrap();
    for (shape, lost) in [("halves", vec![(0, 1), (1, 0)]), ("one-way n1 n2", vec![(0, 1)])] {
        for backend in backends() {
            let mut streams = connections(&bed);
            let mut command = bed.tool("partition");
            let args = format!("cut {shape} --backend {backend} -n @{}", file.display());
            let mut running = Running::start(command.args(args.split(' ')));
            let line = running.line(SOON);
            assert_eq!(line["f"], "start-partition", "{backend}: {line}");
            let (found, wanted) = (found(&mut streams), expected(&lost));
            let through: Vec<_> = found.difference(&wanted).collect();
            let missing: Vec<_> = wanted.difference(&found).collect();
            assert!(
                through.is_empty() && missing.is_empty(),
                "{shape}, {backend}: passed {through:?}, did not pass {missing:?}"
            );
            healed(running);
        }
        let whole = found(&mut connections(&bed));
        assert_eq!(whole, expected(&[]), "what passes when all is healed");
    }
    std::fs::remove_file(&file).unwrap();
    run(bed.tool("partition").args(["list", "--all"])).expect(0);
    assert_eq!(rules(&bed, NODES), "");
}
