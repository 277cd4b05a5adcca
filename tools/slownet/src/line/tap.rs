//! A device of ours at an interface: the frames that are led into it come to us, and leave by the interface when we
//! say so, as they are.
//!
//! Behind it a packet is charged to no socket any more (`tun_net_xmit`), so that TCP, which sends no more than two
//! packets beyond those that are charged to it (TCP Small Queues), goes on as it does behind netem.

use std::fs::{self, OpenOptions};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::rc::Rc;

use breakit::exit::{Error, Result};
use nix::errno::Errno;
use nix::libc;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{MsgFlags, MultiHeaders, sendmmsg, setsockopt, sockopt};
use nix::sys::uio::readv;

use super::memory::{Bytes, PIECE, Pool};
use crate::fault_id::FaultId;

/// Checksums, segments of TCP over IPv4 and IPv6, with or without ECN.
const OFFLOADS: libc::c_uint =
    libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6 | libc::TUN_F_TSO_ECN;

/// Segments of UDP (Linux 6.2).
const OFFLOADS_OF_UDP: libc::c_uint = libc::TUN_F_USO4 | libc::TUN_F_USO6;

/// How the names of our devices begin: the fault's number and the device's follow.
const NAME: &str = "breakit";

/// What the kernel puts before each frame: checksums and segments that are still to be made.
const VNET_HEADER: usize = 10;

/// The header of Ethernet.
const ETHERNET: usize = 14;

/// A tag of a VLAN in it.
const TAG: usize = 4;

/// The longest frame with its headers is no longer than this.
const LONGEST: usize = 1 << 17;

/// How many frames may wait for us while we do not run.
const WAITING: libc::c_int = 1 << 13;

/// How many frames one system call sends at the most.
const AT_ONCE: usize = 64;

/// How many bytes may be on their way out of an interface.
const SEND_BUFFER: usize = 16 << 20;

/// An interface, and which one of that name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At {
    /// Its name.
    pub name: String,
    /// Its index; one of the same name that comes later has another.
    pub index: u32,
}

impl At {
    /// Whether the interface of that name, in the network that this thread is in, is another one.
    pub fn is_replaced(&self) -> bool {
        if_nametoindex(&*self.name).is_ok_and(|index| index != self.index)
    }
}

/// A device at an interface.
#[derive(Debug)]
pub struct Tap {
    interface: At,
    name: String,
    index: u32,
    device: OwnedFd,
    out: OwnedFd,
    header: usize,
    due: Vec<Bytes>,
}

impl Tap {
    /// Makes the device number `number` of fault `id` for `interface`, in the network that this thread is in. Frames
    /// come `whole` as they are on the wire, or of as many segments as the kernel has put into one.
    ///
    /// # Errors
    /// 69 where the kernel has no such devices, or the interface carries what we do not know; 77 and 71 as the
    /// system says.
    pub fn make(id: FaultId, number: usize, interface: &str, whole: bool) -> Result<Tap> {
        let name = format!("{NAME}{id}-{number}");
        let (index, header) = looked_up(interface)?;
        let at = At { name: interface.to_string(), index };
        let device = made(&name, if header > 0 { libc::IFF_TAP } else { libc::IFF_TUN })?;
        if !whole {
            // What the kernel does not know it does itself before we see it.
            let _ = offload(&device, OFFLOADS | OFFLOADS_OF_UDP)
                .or_else(|_| offload(&device, OFFLOADS));
        }
        // Without IPv6 in the kernel there is nothing to keep from it.
        let _ = fs::write(format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6"), "1");
        let place = |e: io::Error| Error::io(format!("send frames out of {interface}"), &e);
        let out = out_of(index).map_err(place)?;
        let index = if_nametoindex(&*name).map_err(|e| place(e.into()))?;
        Ok(Tap { interface: at, name, index, device, out, header, due: Vec::new() })
    }

    /// The interface that it is at.
    pub fn interface(&self) -> &At {
        &self.interface
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its index.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Lets frames in. Whatever the network does with new devices, none of it must leave by the interface: so this
    /// comes after [`super::redirect::Redirect::start`].
    ///
    /// # Errors
    /// 71 as the system says.
    pub fn open(&self) -> Result<()> {
        let place = |e: io::Error| Error::io(format!("open the device {}", self.name), &e);
        let mut request = request(&self.name);
        request.ifr_ifru.ifru_metric = WAITING;
        control(libc::SIOCSIFTXQLEN, &mut request).map_err(place)?;
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_NOARP) as i16;
        control(libc::SIOCSIFFLAGS, &mut request).map_err(place)
    }

    /// What to wait on for frames.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }

    /// The next frame that is there; none where none is.
    ///
    /// # Errors
    /// Whatever the device says, such as that somebody deleted it.
    pub fn next(&self, pool: &mut Pool, rest: &mut Vec<u8>) -> io::Result<Option<Bytes>> {
        rest.resize(LONGEST - PIECE, 0);
        let mut piece = pool.piece();
        let got = {
            // Nobody else has the piece: it is not copied.
            let into = Rc::make_mut(&mut piece).as_mut_slice();
            readv(&self.device, &mut [IoSliceMut::new(into), IoSliceMut::new(rest)])
        };
        let length = match got {
            Ok(length) => length,
            Err(errno) => {
                pool.give_back(piece);
                return match errno {
                    Errno::EAGAIN | Errno::EINTR => Ok(None),
                    other => Err(other.into()),
                };
            }
        };
        let bytes = match length.checked_sub(PIECE) {
            Some(more) if more > 0 => {
                [&piece[..], rest.get(..more).unwrap_or_default()].concat().into()
            }
            _ => Bytes::of(&piece, 0..length),
        };
        pool.take(piece);
        Ok(Some(bytes))
    }

    /// How long a frame is on the wire, as queueing disciplines count it.
    pub fn length(bytes: &Bytes) -> usize {
        bytes.len().saturating_sub(VNET_HEADER)
    }

    /// Where the IP header of a frame begins.
    pub fn ip_header(&self, bytes: &[u8]) -> usize {
        let begin = VNET_HEADER + self.header;
        let is_tagged = self.header > 0 && bytes.get(begin - 2..begin) == Some(&[0x81, 0]);
        begin + if is_tagged { TAG } else { 0 }
    }

    /// Takes a frame for the next [`Tap::send`].
    pub fn take(&mut self, bytes: Bytes) {
        self.due.push(bytes);
    }

    /// Sends what was taken out of the interface, in its order, many frames in one system call.
    ///
    /// What the interface refuses is lost, as any packet may be.
    pub fn send(&mut self) {
        let mut due = &self.due[..];
        while !due.is_empty() {
            let slices: Vec<[IoSlice<'_>; 1]> =
                due.iter().take(AT_ONCE).map(|bytes| [IoSlice::new(bytes)]).collect();
            let mut headers = MultiHeaders::<()>::preallocate(slices.len(), None);
            let nowhere = vec![None; slices.len()];
            let flags = MsgFlags::MSG_DONTWAIT;
            let sent = sendmmsg(self.out.as_raw_fd(), &mut headers, &slices, nowhere, [], flags);
            // It ends before the first frame that is refused; that one is passed over.
            let done = sent.map_or(1, |sent| sent.count().max(1));
            due = due.get(done..).unwrap_or_default();
        }
        self.due.clear();
    }
}

/// The fault whose device has that name, if it is one of ours.
pub fn fault(name: &str) -> Option<FaultId> {
    let (id, _) = name.strip_prefix(NAME)?.split_once('-')?;
    FaultId::parse(id).ok()
}

/// The index of an interface, and how long the header is that it puts before IP.
fn looked_up(interface: &str) -> Result<(u32, usize)> {
    let place = |e: io::Error| Error::io(format!("look at the interface {interface}"), &e);
    let mut request = request(interface);
    control(libc::SIOCGIFHWADDR, &mut request).map_err(place)?;
    // SAFETY: the call has filled in this field.
    let kind = unsafe { request.ifr_ifru.ifru_hwaddr.sa_family };
    let header = match kind {
        libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK => ETHERNET,
        libc::ARPHRD_NONE
        | libc::ARPHRD_TUNNEL
        | libc::ARPHRD_TUNNEL6
        | libc::ARPHRD_SIT
        | libc::ARPHRD_PPP => 0,
        other => {
            return Err(Error::missing(format!(
                "the delay line knows no frames of the interface {interface} (of kind {other}, see linux/if_arp.h); name others with --to or --interface, or take --backend netem"
            )));
        }
    };
    let index = if_nametoindex(interface).map_err(|e| place(e.into()))?;
    Ok((index, header))
}

fn made(name: &str, kind: libc::c_int) -> Result<OwnedFd> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(libc::O_NONBLOCK);
    let device = options.open("/dev/net/tun").map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => Error::missing(
            "the kernel makes no devices for programs: /dev/net/tun is missing; try modprobe tun",
        ),
        _ if e.raw_os_error() == Some(libc::ENODEV) => {
            Error::missing("the kernel makes no devices for programs; try modprobe tun")
        }
        _ => Error::io("open /dev/net/tun", &e),
    })?;
    let mut request = request(name);
    let kind = kind | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
    request.ifr_ifru.ifru_flags = kind as libc::c_short;
    // SAFETY: the call reads `request`, which lives until it returns.
    let made = unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF, &mut request) };
    Errno::result(made).map_err(|e| Error::io(format!("make the device {name}"), &e.into()))?;
    Ok(device.into())
}

fn offload(device: &OwnedFd, what: libc::c_uint) -> nix::Result<()> {
    // SAFETY: the call takes a number.
    Errno::result(unsafe {
        libc::ioctl(device.as_raw_fd(), libc::TUNSETOFFLOAD, libc::c_ulong::from(what))
    })
    .map(drop)
}

/// A socket whose frames leave by the interface with that index, each with a header that says what the kernel is still
/// to do to it. It receives nothing.
fn out_of(index: u32) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
    // SAFETY: the call takes three numbers and gives a descriptor, which is then ours alone.
    let socket = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
    let socket = Errno::result(socket)?;
    // SAFETY: see above.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    let yes: libc::c_int = 1;
    let size = mem::size_of_val(&yes) as libc::socklen_t;
    // SAFETY: the call reads `yes`, of that size.
    Errno::result(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_VNET_HDR,
            (&raw const yes).cast(),
            size,
        )
    })?;
    // Without the privilege to exceed the system's limit a smaller buffer has to do.
    let _ = setsockopt(&socket, sockopt::SndBufForce, &SEND_BUFFER);
    // SAFETY: all fields of the address may be zero.
    let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_ifindex = index as i32;
    let size = mem::size_of_val(&address) as libc::socklen_t;
    // SAFETY: the call reads `address`, of that size.
    Errno::result(unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), size) })?;
    Ok(socket)
}

/// A request about the interface of that name, which the kernel cuts off as we do.
fn request(name: &str) -> libc::ifreq {
    // SAFETY: all fields of a request may be zero.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    let room = request.ifr_name.len() - 1;
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes().take(room)) {
        *to = from as libc::c_char;
    }
    request
}

fn control(what: libc::c_ulong, request: &mut libc::ifreq) -> io::Result<()> {
    // Any socket does: it knows the network that it was made in.
    let socket = std::os::unix::net::UnixDatagram::unbound()?;
    // SAFETY: the call reads and writes `request`, which lives until it returns.
    Errno::result(unsafe { libc::ioctl(socket.as_raw_fd(), what as _, request) })?;
    Ok(())
}
