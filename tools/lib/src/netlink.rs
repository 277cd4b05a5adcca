//! Questions to the kernel over netlink(7): requests, answers, attributes.

use std::os::fd::AsRawFd;

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_DUMP: u16 = 0x300;
/// The size of struct nlmsghdr.
const HEADER: usize = 16;

/// Whether one answer is asked for, or a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// One message.
    One,
    /// Messages until the kernel says that it is done.
    All,
}

/// Sends a request and gives every answer's type and body to `each`.
///
/// Each request has a socket of its own: two threads never read each other's answers.
///
/// # Errors
/// What the kernel says.
pub fn ask(
    protocol: SockProtocol,
    kind: u16,
    ask: Ask,
    body: &[u8],
    mut each: impl FnMut(u16, &[u8]),
) -> nix::Result<()> {
    let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
    let flags = NLM_F_REQUEST | if ask == Ask::All { NLM_F_DUMP } else { 0 };
    let request = request(kind, flags, body);
    sendto(socket.as_raw_fd(), &request, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let length = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
        let mut rest = &buffer[..length];
        while let Some((kind, body, after)) = message(rest) {
            match kind {
                NLMSG_DONE => return Ok(()),
                NLMSG_ERROR => {
                    let errno = body.get(..4).and_then(as_number).unwrap_or_default();
                    return Err(nix::errno::Errno::from_raw(-errno));
                }
                _ => each(kind, body),
            }
            rest = after;
        }
        if ask == Ask::One {
            return Ok(());
        }
    }
}

/// To remove only what nothing else uses.
pub const NLM_F_NONREC: u16 = 0x100;

/// A message of several that are sent as one.
pub struct Order {
    /// Its type.
    pub kind: u16,
    /// Flags besides the usual.
    pub flags: u16,
    /// Its body.
    pub body: Vec<u8>,
}

/// Sends messages as one: the `acknowledged` one is answered when all are done, or the one that is refused.
///
/// # Errors
/// What the kernel says.
pub fn order(protocol: SockProtocol, messages: &[Order], acknowledged: usize) -> nix::Result<()> {
    let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
    let whole = messages.iter().enumerate().flat_map(|(number, order)| {
        let ack = if number == acknowledged { NLM_F_ACK } else { 0 };
        request(order.kind, NLM_F_REQUEST | order.flags | ack, &order.body)
    });
    let whole: Vec<u8> = whole.collect();
    sendto(socket.as_raw_fd(), &whole, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let length = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
        if let Some((NLMSG_ERROR, body, _)) = message(&buffer[..length]) {
            return match body.get(..4).and_then(as_number).unwrap_or_default() {
                0 => Ok(()),
                errno => Err(nix::errno::Errno::from_raw(-errno)),
            };
        }
    }
}

fn request(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    let mut request = Vec::with_capacity(HEADER + body.len());
    request.extend(((HEADER + body.len()) as u32).to_ne_bytes());
    request.extend(kind.to_ne_bytes());
    request.extend(flags.to_ne_bytes());
    request.extend([0; 8]);
    request.extend(body);
    request
}

/// The first message of a buffer: its type, its body, and what follows.
fn message(buffer: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = u32::from_ne_bytes(buffer.get(..4)?.try_into().ok()?) as usize;
    let kind = u16::from_ne_bytes(buffer.get(4..6)?.try_into().ok()?);
    let body = buffer.get(HEADER..length)?;
    let after = buffer.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some((kind, body, after))
}

/// The attributes that a buffer holds, by type.
pub fn attributes(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(rest.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(rest.get(2..4)?.try_into().ok()?) & 0x3fff;
        let value = rest.get(4..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The value of the first attribute of a type.
pub fn find<'a>(mut of: impl Iterator<Item = (u16, &'a [u8])>, wanted: u16) -> Option<&'a [u8]> {
    of.find(|(kind, _)| *kind == wanted).map(|(_, value)| value)
}

/// An attribute, padded, to put into a request.
pub fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = 4 + value.len();
    let mut bytes = Vec::with_capacity(length.next_multiple_of(4));
    bytes.extend((length as u16).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(length.next_multiple_of(4), 0);
    bytes
}

/// A number in the machine's own order.
pub fn as_number(value: &[u8]) -> Option<i32> {
    Some(i32::from_ne_bytes(value.get(..4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_read_as_they_were_put_together() {
        let bytes = [attribute(1, b"abcde"), attribute(0x8003, &7_i32.to_ne_bytes())].concat();
        assert_eq!(bytes.len(), 12 + 8);
        let read: Vec<(u16, &[u8])> = attributes(&bytes).collect();
        assert_eq!(read[0], (1, b"abcde".as_slice()));
        assert_eq!(find(attributes(&bytes), 3).and_then(as_number), Some(7));
        assert_eq!(attributes(&bytes[..6]).count(), 0, "a cut one is none");
    }
}
