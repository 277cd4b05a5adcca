//! Questions to the kernel over netlink(7): requests, answers, attributes.

use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_DUMP: u16 = 0x300;
/// On an answer: the list changed while it was told.
const NLM_F_DUMP_INTR: u16 = 0x10;
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

/// How often a list is asked for that changes while the kernel tells it.
const TRIES: usize = 20;

/// Sends a request and gives every answer's type and body to `each`. A list that changed while the kernel told it, in
/// which something may be missing, is asked for again.
///
/// Each request has a socket of its own: two threads never read each other's answers.
///
/// # Errors
/// What the kernel says; EAGAIN if the list never holds still.
pub fn ask(
    protocol: SockProtocol,
    kind: u16,
    ask: Ask,
    body: &[u8],
    mut each: impl FnMut(u16, &[u8]),
) -> nix::Result<()> {
    for _ in 0..TRIES {
        let answers = once(protocol, kind, ask, body)?;
        if !answers.interrupted {
            answers.all.iter().for_each(|(kind, body)| each(*kind, body));
            return Ok(());
        }
    }
    Err(Errno::EAGAIN)
}

/// What the kernel answers to one request.
#[derive(Debug, Default, PartialEq, Eq)]
struct Answers {
    all: Vec<(u16, Vec<u8>)>,
    /// Whether the list changed meanwhile.
    interrupted: bool,
    done: bool,
}

fn once(protocol: SockProtocol, kind: u16, ask: Ask, body: &[u8]) -> nix::Result<Answers> {
    let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
    let flags = NLM_F_REQUEST | if ask == Ask::All { NLM_F_DUMP } else { 0 };
    let request = request(kind, flags, body);
    sendto(socket.as_raw_fd(), &request, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
    let mut buffer = vec![0; 1 << 16];
    let mut answers = Answers::default();
    loop {
        let length = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
        answers.take(&buffer[..length])?;
        if answers.done || ask == Ask::One {
            return Ok(answers);
        }
    }
}

impl Answers {
    /// Takes the messages of one datagram.
    fn take(&mut self, mut rest: &[u8]) -> nix::Result<()> {
        while let Some((head, body, after)) = message(rest) {
            self.interrupted |= head.flags & NLM_F_DUMP_INTR != 0;
            match head.kind {
                NLMSG_DONE => {
                    self.done = true;
                    return Ok(());
                }
                NLMSG_ERROR => {
                    let errno = body.get(..4).and_then(as_number).unwrap_or_default();
                    return Err(Errno::from_raw(-errno));
                }
                kind => self.all.push((kind, body.to_vec())),
            }
            rest = after;
        }
        Ok(())
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
        if let Some((Head { kind: NLMSG_ERROR, .. }, body, _)) = message(&buffer[..length]) {
            return match body.get(..4).and_then(as_number).unwrap_or_default() {
                0 => Ok(()),
                errno => Err(Errno::from_raw(-errno)),
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

/// What the head of a message says.
struct Head {
    kind: u16,
    flags: u16,
}

/// The first message of a buffer: its head, its body, and what follows.
fn message(buffer: &[u8]) -> Option<(Head, &[u8], &[u8])> {
    let length = u32::from_ne_bytes(buffer.get(..4)?.try_into().ok()?) as usize;
    let half = |at: usize| Some(u16::from_ne_bytes(buffer.get(at..at + 2)?.try_into().ok()?));
    let head = Head { kind: half(4)?, flags: half(6)? };
    let body = buffer.get(HEADER..length)?;
    let after = buffer.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some((head, body, after))
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
    fn a_list_that_changed_while_it_was_told_is_known_by_any_of_its_messages() {
        let list = |flags: [u16; 3]| {
            let mut answers = Answers::default();
            for (kind, flags) in [16, 16, NLMSG_DONE].into_iter().zip(flags) {
                answers.take(&request(kind, flags, &[7; 4])).unwrap();
            }
            assert!(answers.done);
            assert_eq!(answers.all, [(16, vec![7; 4]), (16, vec![7; 4])]);
            answers.interrupted
        };
        assert!(!list([2, 2, 2]));
        for at in 0..3 {
            let mut flags = [2; 3];
            flags[at] |= NLM_F_DUMP_INTR;
            assert!(list(flags), "{at}");
        }
    }

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
