//! Sending a packet that was held, as it is, by a raw socket.
//!
//! Held in the kernel it would stay charged to the socket that sent it, and TCP sends no more than two packets
//! beyond those (TCP Small Queues): a flow would stall. So the kernel drops it, and we send our copy, with a mark
//! by which our own rule lets it pass.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, OwnedFd};

use breakit::exit::{Error, Result};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, SockaddrIn6, sendto,
    setsockopt, socket, sockopt,
};

/// Raw sockets for both families, in the network of the thread that made them.
#[derive(Debug)]
pub struct Injector {
    v4: OwnedFd,
    v6: Option<OwnedFd>,
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
        Ok(Injector { v4, v6 })
    }

    /// Sends `packet`, from its IP header on; `interface` is where a link-local destination lies.
    ///
    /// What the network refuses is lost, as any packet may be.
    pub fn send(&self, packet: &[u8], interface: u32) {
        let flags = MsgFlags::MSG_DONTWAIT;
        if let Some(to) = destination_v4(packet) {
            let _ = sendto(self.v4.as_raw_fd(), packet, &SockaddrIn::from(to), flags);
        } else if let (Some(socket), Some(to)) = (&self.v6, destination_v6(packet, interface)) {
            let _ = sendto(socket.as_raw_fd(), packet, &SockaddrIn6::from(to), flags);
        }
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
