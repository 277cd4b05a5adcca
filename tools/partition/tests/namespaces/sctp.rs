//! SCTP packets as the wire has them, sent and received by raw sockets: not every kernel has SCTP itself.

use std::net::{SocketAddr, UdpSocket};

use nix::sys::socket::{
    AddressFamily, SockFlag, SockProtocol, SockType, SockaddrStorage, bind, socket,
};

use breakit_tests::Namespaces;

use crate::bed::*;

/// The common header: two ports, the verification tag and the checksum.
const HEADER: usize = 12;
/// The head of a DATA chunk.
const CHUNK: usize = 16;

/// A raw socket at node `i` for SCTP packets to and from its address.
pub fn raw(bed: &Namespaces, i: usize, address: &str) -> UdpSocket {
    let at: SocketAddr = (address.parse::<std::net::IpAddr>().unwrap(), 0).into();
    let family = if at.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    inside(bed, i, || {
        let raw = socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::Sctp)?;
        bind(std::os::fd::AsRawFd::as_raw_fd(&raw), &SockaddrStorage::from(at))?;
        // The standard library's type for sockets that send datagrams; the kernel's is what it is.
        Ok(UdpSocket::from(raw))
    })
}

/// Sends one packet with these ports and a DATA chunk of one byte.
pub fn send(from: &UdpSocket, to: &str, (source, destination): (u16, u16), byte: u8) {
    let mut packet = Vec::new();
    packet.extend(source.to_be_bytes());
    packet.extend(destination.to_be_bytes());
    packet.extend(7_u32.to_be_bytes());
    packet.extend([0; 4]);
    // DATA, whole in one chunk; its length; TSN, stream, sequence and protocol; one byte, padded.
    packet.extend([0, 3]);
    packet.extend((CHUNK as u16 + 1).to_be_bytes());
    packet.extend([0; CHUNK - 4]);
    packet.extend([byte, 0, 0, 0]);
    let sum = crc32c(&packet).to_le_bytes();
    packet[HEADER - 4..HEADER].copy_from_slice(&sum);
    // A raw socket of IPv6 takes no port.
    let to: SocketAddr = (to.parse::<std::net::IpAddr>().unwrap(), 0).into();
    from.send_to(&packet, to).unwrap();
}

/// The destination port and the byte of the next packet that has come; `None` if none comes.
pub fn receive(socket: &UdpSocket) -> Option<(u16, u8)> {
    let mut packet = [0; 100];
    let length = socket.recv(&mut packet).ok()?;
    // IPv4 gives its own header too.
    let ip = if socket.local_addr().unwrap().is_ipv4() { 20 } else { 0 };
    let sctp = &packet[ip..length];
    assert_eq!(sctp.len(), HEADER + CHUNK + 4);
    Some((u16::from_be_bytes([sctp[2], sctp[3]]), sctp[HEADER + CHUNK]))
}

/// The checksum of RFC 9260, appendix A.
fn crc32c(packet: &[u8]) -> u32 {
    let bit = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
    !packet.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), bit))
}

#[test]
fn the_checksum_is_that_of_the_standard() {
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
}

/// Which of these ports of node 1 a packet from node 0 comes to.
fn arrived(bed: &Namespaces, of: fn(&Namespaces, usize) -> String, ports: &[u16]) -> Vec<u16> {
    let (ear, mouth) = (raw(bed, 1, &of(bed, 1)), raw(bed, 0, &of(bed, 0)));
    ear.set_read_timeout(Some(std::time::Duration::from_millis(300))).unwrap();
    for port in ports {
        send(&mouth, &of(bed, 1), (7, *port), b'x');
    }
    std::iter::from_fn(|| receive(&ear)).map(|(port, _)| port).collect()
}

#[test]
fn sctp_is_chosen_by_protocol_and_by_port_with_every_backend() {
    let bed = bed!(2);
    // An entry of the table of neighbours, so that no packet waits for one.
    assert!(bed.reaches(0, &bed.v4(1)) && bed.reaches(0, &bed.v6(1)));
    for backend in backends() {
        for (packets, passes) in [
            ("--protocol sctp", &[][..]),
            ("--port 38412/sctp", &[80, 81]),
            ("--port 80 --protocol sctp", &[38412, 81]),
            ("--port 80", &[38412, 80, 81]),
            ("--protocol udp", &[38412, 80, 81]),
            ("--except port:38412/sctp", &[38412]),
            ("--except port:81", &[81]),
            ("--except port:80/tcp", &[]),
        ] {
            let (running, _) = cut(&bed, &format!("one-way n1 n2 {packets} --backend {backend}"));
            for of in [Namespaces::v4, Namespaces::v6] {
                assert_eq!(arrived(&bed, of, &[38412, 80, 81]), passes, "{backend} {packets}");
            }
            healed(running);
        }
    }
    assert_eq!(arrived(&bed, Namespaces::v4, &[38412, 80]), [38412, 80]);
}
