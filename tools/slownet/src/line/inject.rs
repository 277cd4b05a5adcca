//! Sending a packet that was held, as it is, by a raw socket.
//!
//! Held in the kernel it would stay charged to the socket that sent it, and TCP sends no more than two packets
//! beyond those (TCP Small Queues): a flow would stall. So the kernel drops it, and we send our copy, with a mark
//! by which our own rule lets it pass.

use std::io::IoSlice;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, OwnedFd};

use breakit::exit::{Error, Result};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, MultiHeaders, SockFlag, SockProtocol, SockType, SockaddrIn,
    SockaddrIn6, SockaddrLike, sendmmsg, setsockopt, socket, sockopt,
};

use super::memory::Bytes;

/// How many packets one system call sends at the most.
const AT_ONCE: usize = 64;

/// Raw sockets for both families, in the network of the thread that made them.
#[derive(Debug)]
pub struct Injector {
    v4: OwnedFd,
    v6: Option<OwnedFd>,
    due4: Vec<Due<SockaddrIn>>,
    due6: Vec<Due<SockaddrIn6>>,
}

/// A packet, from its IP header on, and where it goes.
#[derive(Debug)]
struct Due<S> {
    to: S,
    bytes: Bytes,
}

impl Injector {
    /// Opens the sockets; what they send carries `mark`.
    ///
    /// # Errors
    /// 77 and 71 as the system says. Without IPv6 in the kernel there is none to send.
    pub fn open(mark: u32) -> Result<Injector> {
        let v6 = match raw(AddressFamily::Inet6, mark) {
            Ok(socket) => Some(socket),
            Err(Errno::EAFNOSUPPORT) => None,
            Err(errno) => return Err(Error::io("open a raw socket", &errno.into())),
        };
        let v4 = raw(AddressFamily::Inet, mark);
        let v4 = v4.map_err(|errno| Error::io("open a raw socket", &errno.into()))?;
        Ok(Injector { v4, v6, due4: Vec::new(), due6: Vec::new() })
    }

    /// Takes a packet, from its IP header on, for the next [`Injector::send`]; `interface` is where a
    /// link-local destination lies.
    pub fn take(&mut self, bytes: Bytes, interface: u32) {
        if let Some(to) = destination_v4(&bytes) {
            self.due4.push(Due { to: to.into(), bytes });
        } else if let Some(to) = destination_v6(&bytes, interface) {
            self.due6.push(Due { to: to.into(), bytes });
        }
    }

    /// Sends what was taken, in its order, many packets in one system call.
    ///
    /// What the network refuses is lost, as any packet may be.
    pub fn send(&mut self) {
        send(&self.v4, &self.due4);
        self.due4.clear();
        if let Some(socket) = &self.v6 {
            send(socket, &self.due6);
        }
        self.due6.clear();
    }
}

fn send<S: SockaddrLike + Copy>(socket: &OwnedFd, mut due: &[Due<S>]) {
    while !due.is_empty() {
        let slices: Vec<[IoSlice<'_>; 1]> =
            due.iter().take(AT_ONCE).map(|due| [IoSlice::new(&due.bytes)]).collect();
        let to: Vec<Option<S>> = due.iter().take(AT_ONCE).map(|due| Some(due.to)).collect();
        let mut headers = MultiHeaders::<S>::preallocate(slices.len(), None);
        let flags = MsgFlags::MSG_DONTWAIT;
        let sent = sendmmsg(socket.as_raw_fd(), &mut headers, &slices, to, [], flags);
        // It ends before the first packet that is refused; that one is passed over.
        let done = sent.map_or(1, |sent| sent.count().max(1));
        due = due.get(done..).unwrap_or_default();
    }
}

/// The protocol IPPROTO_RAW: the header is ours.
fn raw(family: AddressFamily, mark: u32) -> nix::Result<OwnedFd> {
    let socket = socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::Raw)?;
    setsockopt(&socket, sockopt::Mark, &mark)?;
    let _ = setsockopt(&socket, sockopt::SndBufForce, &(16 << 20));
    Ok(socket)
}

fn destination_v4(packet: &[u8]) -> Option<SocketAddrV4> {
    let address: [u8; 4] = packet.get(16..20)?.try_into().ok()?;
    (packet[0] >> 4 == 4).then(|| SocketAddrV4::new(Ipv4Addr::from(address), 0))
}

fn destination_v6(packet: &[u8], interface: u32) -> Option<SocketAddrV6> {
    let address: [u8; 16] = packet.get(24..40)?.try_into().ok()?;
    let address = Ipv6Addr::from(address);
    let scope =
        if address.is_unicast_link_local() || address.is_multicast() { interface } else { 0 };
    (packet[0] >> 4 == 6).then(|| SocketAddrV6::new(address, 0, 0, scope))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_destination_stands_in_the_header() {
        let mut packet = vec![0x45; 40];
        packet[16..20].copy_from_slice(&[10, 0, 0, 2]);
        assert_eq!(destination_v4(&packet).unwrap().to_string(), "10.0.0.2:0");
        assert_eq!(destination_v6(&packet, 3), None);
        packet[0] = 0x60;
        packet[24..40].copy_from_slice(&Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2).octets());
        assert_eq!(destination_v6(&packet, 3).unwrap().scope_id(), 3);
        assert_eq!(destination_v4(&packet), None);
        assert_eq!(destination_v4(&packet[..10]), None);
    }
}
