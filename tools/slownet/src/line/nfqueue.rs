//! The kernel's packet queue (nfnetlink_queue): bind one, receive packets, give verdicts.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::{Arc, Weak};

use breakit::exit::{Error, Result};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, MultiHeaders, NetlinkAddr, SockFlag, SockProtocol, SockType, bind,
    recv, recvmmsg, send, setsockopt, socket, sockopt,
};

use super::memory::{Bytes, PIECE, Pool};
use super::verdicts::{Told, Verdict, Verdicts};
use crate::impairments::entry::Shows;

// linux/netfilter/nfnetlink.h and nfnetlink_queue.h.
const SUBSYSTEM: u16 = 3 << 8;
const PACKET: u16 = SUBSYSTEM;
const VERDICT: u16 = SUBSYSTEM | 1;
const CONFIG: u16 = SUBSYSTEM | 2;
const VERDICT_BATCH: u16 = SUBSYSTEM | 3;
const CFG_CMD: u16 = 1;
const CFG_PARAMS: u16 = 2;
const CFG_MAXLEN: u16 = 3;
const CFG_MASK: u16 = 4;
const CFG_FLAGS: u16 = 5;
const FLAG_GSO: u32 = 1 << 2;
const CMD_BIND: u8 = 1;
const COPY_PACKET: u8 = 2;
const NFQA_PACKET_HDR: u16 = 1;
const NFQA_VERDICT_HDR: u16 = 2;
const NFQA_IFINDEX_OUTDEV: u16 = 6;
const NFQA_PAYLOAD: u16 = 10;
const NFQA_CAP_LEN: u16 = 13;
const NOOP: u16 = 1;
const REQUEST: u16 = 1;
const ACK: u16 = 4;
const NLMSG_ERROR: u16 = 2;

/// How many bytes the kernel shows where only the length is asked for; none would mean all to it.
const GLIMPSE: u32 = 20;

/// The longest packet with its attributes is no longer than this.
const LONGEST: usize = 1 << 17;

/// How many bytes of packets may wait for us while we do not run.
const RECEIVE_BUFFER: usize = 16 << 20;

/// How many packets may wait for us in the kernel beyond those that we hold there.
const WAITING: u32 = 1 << 16;

/// How many packets are taken before they get their verdicts: one system call for all, and not so many that
/// the first waits for the last.
const ROUND: usize = 64;

/// How many are made ready for where few come.
const FEW: usize = 8;

/// How many packets were there to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// One, or none.
    Few,
    /// Several, and those were all.
    Many,
    /// As many as are taken in one round; there may be more.
    More,
}

/// A packet.
#[derive(Debug)]
pub struct Packet<'a> {
    /// Its number in the queue, for the verdict.
    pub id: u32,
    /// The index of the interface by which it leaves.
    pub interface: u32,
    /// How long it is, from its IP header on.
    pub length: usize,
    /// What is shown of it.
    pub bytes: &'a [u8],
    piece: &'a Rc<Vec<u8>>,
}

impl Packet<'_> {
    /// What is shown of it, to have and to hold.
    pub fn keep(&self) -> Bytes {
        let begin = self.bytes.as_ptr().addr() - self.piece.as_ptr().addr();
        Bytes::of(self.piece, begin..begin + self.bytes.len())
    }
}

/// Wakes who receives from a queue: without a packet there is something to receive.
#[derive(Debug)]
pub struct Bell(Weak<OwnedFd>);

impl Bell {
    /// Rings, where the queue is still there; it keeps none open.
    pub fn ring(&self) {
        let Some(socket) = self.0.upgrade() else { return };
        let mut nothing = 16_u32.to_ne_bytes().to_vec();
        [NOOP, REQUEST | ACK].iter().for_each(|word| nothing.extend(word.to_ne_bytes()));
        nothing.extend([0; 8]);
        // The kernel acknowledges it, or says that it may not; either wakes. Where neither has room there are packets.
        let _ = send(socket.as_raw_fd(), &nothing, MsgFlags::MSG_DONTWAIT);
    }
}

/// A queue bound to us. When it is closed, or its process dies, the rule's `bypass` lets packets through.
#[derive(Debug)]
pub struct Queue {
    socket: Arc<OwnedFd>,
    number: u16,
    pool: Pool,
    /// The rest of each packet of a round that is longer than a piece; the system gives memory only to those
    /// that are used.
    rests: Vec<Vec<u8>>,
    verdicts: Verdicts,
    answer: Vec<u8>,
    /// How many packets are made ready for in the next round.
    round: usize,
}

impl Queue {
    /// Binds queue `number` of the network that this thread is in, for `held` packets to be held there.
    ///
    /// # Errors
    /// 69 where the kernel has no nfnetlink_queue, 77 where it does not let us, 71 where the number is taken.
    pub fn bind(number: u16, shows: Shows, held: u32) -> Result<Queue> {
        let place = |errno: Errno| match errno {
            Errno::EPROTONOSUPPORT | Errno::EOPNOTSUPP | Errno::EINVAL => Error::missing(format!(
                "the kernel has no packet queue ({errno}); try modprobe nfnetlink_queue"
            )),
            other => Error::io(format!("bind packet queue {number}"), &other.into()),
        };
        let flags = SockFlag::SOCK_CLOEXEC;
        let protocol = SockProtocol::NetlinkNetFilter;
        let socket =
            socket(AddressFamily::Netlink, SockType::Raw, flags, protocol).map_err(place)?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, 0)).map_err(place)?;
        // Without the privilege to exceed the system's limit a smaller buffer has to do.
        let _ = setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER);
        let (range, rest) = match shows {
            Shows::Bytes => (u32::MAX, LONGEST - PIECE),
            Shows::Bursts | Shows::Lengths => (GLIMPSE, 0),
        };
        let rests = (0..ROUND).map(|_| vec![0; rest]).collect();
        let (pool, verdicts, answer) = (Pool::default(), Verdicts::default(), Vec::new());
        let socket = Arc::new(socket);
        let queue = Queue { socket, number, pool, rests, verdicts, answer, round: FEW };
        let mut params = range.to_be_bytes().to_vec();
        params.push(COPY_PACKET);
        let most = held.saturating_add(WAITING).to_be_bytes();
        queue
            .configure(&[(CFG_CMD, &[CMD_BIND, 0, 0, nix::libc::AF_INET as u8])])
            .map_err(place)?;
        queue.configure(&[(CFG_PARAMS, &params)]).map_err(place)?;
        queue.configure(&[(CFG_MAXLEN, &most)]).map_err(place)?;
        if shows == Shows::Bursts {
            let gso = FLAG_GSO.to_be_bytes();
            queue.configure(&[(CFG_MASK, &gso), (CFG_FLAGS, &gso)]).map_err(place)?;
        }
        Ok(queue)
    }

    /// What wakes us without a packet.
    pub fn bell(&self) -> Bell {
        Bell(Arc::downgrade(&self.socket))
    }

    /// What to wait on for packets.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn configure(&self, attributes: &[(u16, &[u8])]) -> nix::Result<()> {
        let mut message = Vec::new();
        put_message(&mut message, CONFIG, REQUEST | ACK, self.number, attributes);
        send(self.socket.as_raw_fd(), &message, MsgFlags::empty())?;
        let mut answer = [0_u8; 4096];
        loop {
            let length = recv(self.socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
            // Packets may already come in before the answer to a later configuration; they wait in the
            // kernel for a verdict that we do not give, which is why the rule comes last.
            if let Some(code) = acknowledged(&answer[..length]) {
                return if code == 0 { Ok(()) } else { Err(Errno::from_raw(code)) };
            }
        }
    }

    /// Hands packets that are there to `judge`, and says whether those were many; where there are none it `waits` for
    /// the first, or for the bell. Where `judge` gives no verdict a packet stays in the kernel until [`Queue::give`].
    ///
    /// # Errors
    /// Whatever the socket says; packets that did not fit into it were lost in the kernel, which is none.
    pub fn receive(
        &mut self,
        waits: bool,
        mut judge: impl FnMut(Packet<'_>) -> Option<Verdict>,
    ) -> io::Result<Came> {
        let pieces = match self.fill(waits) {
            Ok(pieces) => pieces,
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ENOBUFS) => return Ok(Came::Few),
            Err(errno) => return Err(errno.into()),
        };
        let came = match pieces.len() {
            0 | 1 => Came::Few,
            taken if taken < self.round => Came::Many,
            _ => Came::More,
        };
        // As many again, and as many more: what is made ready for packets that do not come costs time.
        self.round = (2 * pieces.len()).clamp(FEW, ROUND);
        let Queue { pool, verdicts, answer, number, .. } = self;
        for (piece, length) in pieces {
            for packet in packets(&piece, length) {
                let id = packet.id;
                match judge(packet) {
                    Some(verdict) => verdicts.give(id, verdict, |told| put(answer, *number, told)),
                    None => verdicts.stays(id),
                }
            }
            pool.take(piece);
        }
        Ok(came)
    }

    /// Takes what is there, a round at the most, in one system call: so those held leave in time. Gives the
    /// pieces and how much of each is used.
    fn fill(&mut self, waits: bool) -> nix::Result<Vec<(Rc<Vec<u8>>, usize)>> {
        let mut pieces: Vec<Rc<Vec<u8>>> = (0..self.round).map(|_| self.pool.piece()).collect();
        let got = receive_into(&self.socket, waits, &mut pieces, &mut self.rests);
        let lengths = got.as_deref().unwrap_or_default();
        for piece in pieces.split_off(lengths.len()) {
            self.pool.give_back(piece);
        }
        let filled = pieces.into_iter().zip(lengths).zip(&self.rests);
        let filled = filled.map(|((piece, length), rest)| match length.checked_sub(PIECE) {
            // Longer than packets of ordinary links: put together with its rest.
            Some(more) if more > 0 => (Rc::new([&piece[..], &rest[..more]].concat()), *length),
            _ => (piece, *length),
        });
        let filled = filled.collect();
        got.map(|_| filled)
    }

    /// Decides on a packet that stayed in the kernel; with other bytes where some are given. The kernel
    /// hears of it with [`Queue::tell`].
    pub fn give(&mut self, id: u32, verdict: Verdict, bytes: Option<&[u8]>) {
        let Queue { verdicts, answer, number, .. } = self;
        match bytes {
            None => verdicts.give(id, verdict, |told| put(answer, *number, told)),
            Some(bytes) => {
                verdicts.flush(|told| put(answer, *number, told));
                verdicts.left(id);
                let header = header(id, verdict);
                let attributes = [(NFQA_VERDICT_HDR, &header[..]), (NFQA_PAYLOAD, bytes)];
                put_message(answer, VERDICT, REQUEST, *number, &attributes);
            }
        }
    }

    /// Tells the kernel all verdicts since the last time, in one system call.
    ///
    /// # Errors
    /// Whatever the socket says.
    pub fn tell(&mut self) -> io::Result<()> {
        let Queue { verdicts, answer, number, .. } = self;
        verdicts.flush(|told| put(answer, *number, told));
        if self.answer.is_empty() {
            return Ok(());
        }
        let sent = send(self.socket.as_raw_fd(), &self.answer, MsgFlags::empty());
        self.answer.clear();
        sent.map(drop).map_err(io::Error::from)
    }
}

/// Lets all packets of queue `number` up to `last` go on, by a socket that is bound to it.
///
/// # Errors
/// Whatever the socket says.
pub fn let_all_go(socket: &OwnedFd, number: u16, last: u32) -> io::Result<()> {
    let mut message = Vec::new();
    put(&mut message, number, Told::UpTo(last, Verdict::Accept));
    send(socket.as_raw_fd(), &message, MsgFlags::MSG_DONTWAIT)?;
    Ok(())
}

fn put(out: &mut Vec<u8>, queue: u16, told: Told) {
    let (kind, header) = match told {
        Told::Of(id, verdict) => (VERDICT, header(id, verdict)),
        Told::UpTo(id, verdict) => (VERDICT_BATCH, header(id, verdict)),
    };
    put_message(out, kind, REQUEST, queue, &[(NFQA_VERDICT_HDR, &header)]);
}

fn header(id: u32, verdict: Verdict) -> [u8; 8] {
    let mut header = [0; 8];
    header[..4].copy_from_slice(&(verdict as u32).to_be_bytes());
    header[4..].copy_from_slice(&id.to_be_bytes());
    header
}

/// Receives messages, each into a piece and its rest, and gives how long each is.
fn receive_into(
    socket: &OwnedFd,
    waits: bool,
    pieces: &mut [Rc<Vec<u8>>],
    rests: &mut [Vec<u8>],
) -> nix::Result<Vec<usize>> {
    let mut headers = MultiHeaders::<()>::preallocate(pieces.len(), None);
    let pairs = pieces.iter_mut().zip(rests);
    let mut slices: Vec<[IoSliceMut<'_>; 2]> = pairs
        // Nobody else has the piece: it is not copied.
        .map(|(piece, rest)| {
            [IoSliceMut::new(Rc::make_mut(piece).as_mut_slice()), IoSliceMut::new(rest)]
        })
        .collect();
    let flags = if waits { MsgFlags::MSG_WAITFORONE } else { MsgFlags::MSG_DONTWAIT };
    let got = recvmmsg(socket.as_raw_fd(), &mut headers, slices.iter_mut(), flags, None)?;
    Ok(got.map(|message| message.bytes).collect())
}

/// A netlink message; each attribute is padded to four bytes.
fn put_message(out: &mut Vec<u8>, kind: u16, flags: u16, queue: u16, attributes: &[(u16, &[u8])]) {
    let padded = |data: &[u8]| data.len().next_multiple_of(4);
    let length: usize = attributes.iter().map(|(_, data)| 4 + padded(data)).sum();
    out.extend((16 + 4 + length as u32).to_ne_bytes());
    out.extend(kind.to_ne_bytes());
    out.extend(flags.to_ne_bytes());
    out.extend([0; 8]);
    out.extend([nix::libc::AF_UNSPEC as u8, 0]);
    out.extend(queue.to_be_bytes());
    for (attribute, data) in attributes {
        out.extend((4 + data.len() as u16).to_ne_bytes());
        out.extend(attribute.to_ne_bytes());
        out.extend(*data);
        out.resize(out.len() + padded(data) - data.len(), 0);
    }
}

/// The messages of a datagram: kind and body.
fn messages(mut datagram: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = u32::from_ne_bytes(datagram.get(..4)?.try_into().ok()?) as usize;
        let kind = u16::from_ne_bytes(datagram.get(4..6)?.try_into().ok()?);
        let body = datagram.get(16..length)?;
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, body))
    })
}

/// The error number in an acknowledgement, 0 for success.
fn acknowledged(datagram: &[u8]) -> Option<i32> {
    let (_, body) = messages(datagram).find(|(kind, _)| *kind == NLMSG_ERROR)?;
    Some(-i32::from_ne_bytes(body.get(..4)?.try_into().ok()?))
}

/// The packets in the first `length` bytes of `piece`.
fn packets(piece: &Rc<Vec<u8>>, length: usize) -> impl Iterator<Item = Packet<'_>> {
    let datagram = piece.get(..length).unwrap_or_default();
    let packets = messages(datagram).filter(|(kind, _)| *kind == PACKET);
    packets.filter_map(move |(_, body)| packet(piece, body))
}

fn packet<'a>(piece: &'a Rc<Vec<u8>>, body: &'a [u8]) -> Option<Packet<'a>> {
    let mut rest = body.get(4..)?;
    // Where nothing is shown of it, that lies in the piece, too.
    let (mut id, mut interface, mut bytes, mut whole) = (None, 0, &rest[..0], None);
    while rest.len() >= 4 {
        let length = usize::from(u16::from_ne_bytes(rest[..2].try_into().ok()?));
        let kind = u16::from_ne_bytes(rest[2..4].try_into().ok()?) & 0x3fff;
        let data = rest.get(4..length)?;
        let word = || Some(u32::from_be_bytes(data.get(..4)?.try_into().ok()?));
        match kind {
            NFQA_PACKET_HDR => id = word(),
            NFQA_IFINDEX_OUTDEV => interface = word()?,
            NFQA_PAYLOAD => bytes = data,
            NFQA_CAP_LEN => whole = word().map(|length| length as usize),
            _ => {}
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    // The kernel says the length where it shows less.
    let length = whole.unwrap_or(bytes.len());
    Some(Packet { id: id?, interface, length, bytes, piece })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_read_from_its_message() {
        let mut datagram = Vec::new();
        let header = (NFQA_PACKET_HDR, &[0, 0, 1, 2, 8, 0, 3][..]);
        put_message(&mut datagram, PACKET, 0, 7, &[header]);
        put_message(&mut datagram, VERDICT, 0, 7, &[(NFQA_PAYLOAD, b"not a packet")]);
        let glimpse = [header, (NFQA_CAP_LEN, &[0, 0, 5, 220]), (NFQA_PAYLOAD, &[0x45; 20])];
        put_message(&mut datagram, PACKET, 0, 7, &glimpse);
        let (piece, length) = (Rc::new(datagram.clone()), datagram.len());
        let found = packets(&piece, length).map(|p| (p.id, p.length, p.bytes, p.keep()));
        let found: Vec<(u32, usize, &[u8], Bytes)> = found.collect();
        let glimpse = vec![0x45; 20];
        assert!(found.iter().all(|(_, _, bytes, kept)| **bytes == **kept));
        let found: Vec<(u32, usize, &[u8])> = found.iter().map(|f| (f.0, f.1, f.2)).collect();
        assert_eq!(found, [(258, 0, &[][..]), (258, 1500, &glimpse)]);
    }

    #[test]
    fn a_cut_datagram_is_no_packet_and_no_panic() {
        let mut datagram = Vec::new();
        put_message(&mut datagram, PACKET, 0, 7, &[(NFQA_PACKET_HDR, &[0, 0, 1, 2, 8, 0, 3])]);
        for length in 0..datagram.len() - 1 {
            assert!(packets(&Rc::new(datagram.clone()), length).next().is_none(), "{length}");
        }
    }
}
