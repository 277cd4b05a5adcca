//! Leads the packets of a fault's class into devices of ours, where they would leave an interface.
//!
//! That place is netem's: routes, NAT, marks, fragments and the link's own header are behind them. Whatever leaves
//! there later is the frame that would have left.
//!
//! The rules lie in a table of nf_tables that its socket owns (Linux 5.12): when the holder dies, however it dies,
//! the kernel takes the table away, and packets leave as if there were no line. nft(8) cannot hold a socket open, so
//! the messages are ours.

use std::os::fd::{AsRawFd, OwnedFd};

use breakit::exit::{Error, Result};
use breakit::nf_tables::{BATCH_BEGIN, BATCH_END, NEW_CHAIN, NEW_RULE, NEW_TABLE, SUBSYSTEM};
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send,
    socket,
};

use crate::fault_id::FaultId;

// linux/netfilter/nf_tables.h.
const NESTED: u16 = 1 << 15;
const FAMILY_NETDEV: u8 = 5;
const TABLE_OWNER: u32 = 2;
const HOOK_EGRESS: u32 = 1;
const ACCEPT: u32 = 1;
const DROP: u32 = 0;
const REGISTER: u32 = 1;
const VERDICT_REGISTER: u32 = 0;
const META_PRIORITY: u32 = 2;
const EQUAL: u32 = 0;
const DIFFERENT: u32 = 1;

const REQUEST: u16 = 1;
const ACK: u16 = 4;
const CREATE: u16 = 0x400;
const APPEND: u16 = 0x800;
const NLMSG_ERROR: u16 = 2;

/// An interface whose packets are led away, and the device that they are led to.
#[derive(Clone, Copy, Debug)]
pub struct Lead<'a> {
    /// The interface by which they would leave.
    pub from: &'a str,
    /// The name of the device of ours.
    pub to: &'a str,
    /// Its index.
    pub index: u32,
}

/// Packets that are led away for as long as this value lives.
#[derive(Debug)]
pub struct Redirect {
    _socket: OwnedFd,
}

impl Redirect {
    /// Leads what is in the class of fault `id` away, in the network that this thread is in. What a device of ours
    /// is sent by anybody else is dropped: it would leave by the interface.
    ///
    /// # Errors
    /// 69 where the kernel has no such hook or no such rule, 77 where it does not let us.
    pub fn start(id: FaultId, leads: &[Lead<'_>]) -> Result<Redirect> {
        let place = |errno: Errno| match errno {
            Errno::EPROTONOSUPPORT | Errno::EOPNOTSUPP | Errno::EINVAL | Errno::ENOENT => {
                Error::missing(format!(
                    "the kernel leads no packets from an interface to a device by nf_tables ({errno}); it needs Linux 5.16, CONFIG_NETFILTER_EGRESS and nft_fwd_netdev"
                ))
            }
            other => Error::io("lead packets into the delay line", &other.into()),
        };
        let protocol = SockProtocol::NetlinkNetFilter;
        let socket =
            socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)
                .map_err(place)?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, 0)).map_err(place)?;
        send(socket.as_raw_fd(), &transaction(id, leads), MsgFlags::empty()).map_err(place)?;
        acknowledged(&socket).map_err(place)?;
        Ok(Redirect { _socket: socket })
    }
}

/// The kernel has dealt with the whole transaction when it was sent: all its answers are there.
fn acknowledged(socket: &OwnedFd) -> nix::Result<()> {
    let (mut answer, mut answers) = ([0_u8; 8192], 0);
    loop {
        let length = match recv(socket.as_raw_fd(), &mut answer, MsgFlags::MSG_DONTWAIT) {
            Err(Errno::EAGAIN) if answers > 0 => return Ok(()),
            Err(Errno::EAGAIN) => return Err(Errno::EPROTO),
            other => other?,
        };
        if let Some(code) = code(&answer[..length]) {
            answers += 1;
            if code != 0 {
                return Err(Errno::from_raw(code));
            }
        }
    }
}

/// The error number in an answer, 0 for success.
fn code(answer: &[u8]) -> Option<i32> {
    let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    let code = i32::from_ne_bytes(answer.get(16..20)?.try_into().ok()?);
    (kind == NLMSG_ERROR).then_some(-code)
}

fn transaction(id: FaultId, leads: &[Lead<'_>]) -> Vec<u8> {
    let table = format!("breakit_slow_{id}");
    let mut out = Vec::new();
    message(&mut out, BATCH_BEGIN, REQUEST, |_| {});
    message(&mut out, NEW_TABLE, REQUEST | ACK | CREATE, |body| {
        text(body, 1, &table);
        number(body, 2, TABLE_OWNER);
    });
    for lead in leads {
        let chains = [lead.from, lead.to].map(|device| format!("of_{device}"));
        for (chain, device) in chains.iter().zip([lead.from, lead.to]) {
            message(&mut out, NEW_CHAIN, REQUEST | ACK | CREATE, |body| {
                egress(body, &table, chain, device);
            });
        }
        for (chain, rule) in chains.iter().zip([leading(id, lead.index), dropping_others(id)]) {
            message(&mut out, NEW_RULE, REQUEST | ACK | CREATE | APPEND, |body| {
                text(body, 1, &table);
                text(body, 2, chain);
                attribute(body, 4 | NESTED, &rule);
            });
        }
    }
    message(&mut out, BATCH_END, REQUEST, |_| {});
    out
}

/// A chain at the egress of a device.
fn egress(body: &mut Vec<u8>, table: &str, chain: &str, device: &str) {
    text(body, 1, table);
    text(body, 3, chain);
    nested(body, 4, |hook| {
        number(hook, 1, HOOK_EGRESS);
        number(hook, 2, 0);
        text(hook, 3, device);
    });
    number(body, 5, ACCEPT);
    text(body, 7, "filter");
}

/// `meta priority CLASS fwd to DEVICE`.
fn leading(id: FaultId, index: u32) -> Vec<u8> {
    let mut rule = of_class(id, EQUAL);
    expression(&mut rule, "immediate", |data| {
        number(data, 1, REGISTER);
        nested(data, 2, |value| attribute(value, 1, &index.to_ne_bytes()));
    });
    expression(&mut rule, "fwd", |data| number(data, 1, REGISTER));
    rule
}

/// `meta priority != CLASS drop`.
fn dropping_others(id: FaultId) -> Vec<u8> {
    let mut rule = of_class(id, DIFFERENT);
    expression(&mut rule, "immediate", |data| {
        number(data, 1, VERDICT_REGISTER);
        nested(data, 2, |value| nested(value, 2, |verdict| number(verdict, 1, DROP)));
    });
    rule
}

fn of_class(id: FaultId, compared: u32) -> Vec<u8> {
    let mut rule = Vec::new();
    expression(&mut rule, "meta", |data| {
        number(data, 1, REGISTER);
        number(data, 2, META_PRIORITY);
    });
    expression(&mut rule, "cmp", |data| {
        number(data, 1, REGISTER);
        number(data, 2, compared);
        nested(data, 3, |value| attribute(value, 1, &id.class().to_ne_bytes()));
    });
    rule
}

fn expression(rule: &mut Vec<u8>, name: &str, fill: impl FnOnce(&mut Vec<u8>)) {
    nested(rule, 1, |element| {
        text(element, 1, name);
        nested(element, 2, fill);
    });
}

fn message(out: &mut Vec<u8>, kind: u16, flags: u16, fill: impl FnOnce(&mut Vec<u8>)) {
    let is_of_batch = kind == BATCH_BEGIN || kind == BATCH_END;
    let mut body = vec![if is_of_batch { libc::AF_UNSPEC as u8 } else { FAMILY_NETDEV }, 0];
    body.extend(if is_of_batch { SUBSYSTEM } else { 0 }.to_be_bytes());
    fill(&mut body);
    out.extend((16 + body.len() as u32).to_ne_bytes());
    out.extend(kind.to_ne_bytes());
    out.extend(flags.to_ne_bytes());
    out.extend([0; 8]);
    out.extend(body);
}

fn attribute(out: &mut Vec<u8>, kind: u16, data: &[u8]) {
    out.extend((4 + data.len() as u16).to_ne_bytes());
    out.extend(kind.to_ne_bytes());
    out.extend(data);
    out.resize(out.len().next_multiple_of(4), 0);
}

fn nested(out: &mut Vec<u8>, kind: u16, fill: impl FnOnce(&mut Vec<u8>)) {
    let mut data = Vec::new();
    fill(&mut data);
    attribute(out, kind | NESTED, &data);
}

fn number(out: &mut Vec<u8>, kind: u16, value: u32) {
    attribute(out, kind, &value.to_be_bytes());
}

fn text(out: &mut Vec<u8>, kind: u16, value: &str) {
    attribute(out, kind, format!("{value}\0").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_is_messages_that_fill_it_wholly() {
        let id = FaultId::parse("3f2a").unwrap();
        let lead = Lead { from: "eth0", to: "breakit3f2a-0", index: 7 };
        let bytes = transaction(id, &[lead, lead]);
        let (mut rest, mut kinds) = (&bytes[..], Vec::new());
        while let Some(length) = rest.get(..4) {
            let length = u32::from_ne_bytes(length.try_into().unwrap()) as usize;
            kinds.push(u16::from_ne_bytes(rest[4..6].try_into().unwrap()));
            rest = &rest[length..];
        }
        let lead = [NEW_CHAIN, NEW_CHAIN, NEW_RULE, NEW_RULE];
        let wanted = [&[BATCH_BEGIN, NEW_TABLE][..], &lead, &lead, &[BATCH_END]].concat();
        assert_eq!(kinds, wanted);
    }

    #[test]
    fn an_answer_is_read_with_its_error() {
        let mut answer = vec![36, 0, 0, 0];
        answer.extend(NLMSG_ERROR.to_ne_bytes());
        answer.extend([0; 10]);
        answer.extend((-95_i32).to_ne_bytes());
        assert_eq!(code(&answer), Some(95));
        assert_eq!(code(&answer[..18]), None);
        answer[4] = 3;
        assert_eq!(code(&answer), None);
    }
}
