//! TCP connections from some networks to addresses of others, many at once; which of them are made.

use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use breakit::exit::{Error, Result};
use breakit::reach::Network;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, connect, getsockopt, socket, sockopt,
};

/// How many are under way at once: a process may often hold 1,024 descriptors.
const AT_ONCE: usize = 400;

/// For each of `calls`, by the network at that place in `networks` to that address, whether it was made within `limit`.
///
/// # Errors
/// 77 and 71 from the system.
pub fn dial(
    networks: &[Option<Network>],
    calls: &[(usize, SocketAddr)],
    limit: Duration,
) -> Result<Vec<bool>> {
    let mut made = Vec::new();
    for some in calls.chunks(AT_ONCE) {
        let mut open = Vec::new();
        for of_one in some.chunk_by(|a, b| a.0 == b.0) {
            let begin = || of_one.iter().map(|(_, to)| begin(*to)).collect::<Result<Vec<_>>>();
            match of_one.first().and_then(|(src, _)| networks[*src].as_ref()) {
                Some(network) => open.extend(network.inside(begin)?),
                None => open.extend(of_one.iter().map(|_| None)),
            }
        }
        made.extend(await_all(open, Instant::now() + limit)?);
    }
    Ok(made)
}

/// A connection that is being made; `None` where the system refuses at once (no route, say).
fn begin(to: SocketAddr) -> Result<Option<OwnedFd>> {
    let family = if to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let made = match socket(family, SockType::Stream, flags, None) {
        Ok(made) => made,
        // No IPv6 here.
        Err(Errno::EAFNOSUPPORT) => return Ok(None),
        Err(errno) => return Err(Error::io("open a socket", &errno.into())),
    };
    match connect(made.as_raw_fd(), &SockaddrStorage::from(to)) {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(Some(made)),
        Err(_) => Ok(None),
    }
}

fn await_all(open: Vec<Option<OwnedFd>>, end: Instant) -> Result<Vec<bool>> {
    let mut made = vec![false; open.len()];
    let mut waiting: Vec<usize> = (0..open.len()).filter(|i| open[*i].is_some()).collect();
    while !waiting.is_empty() && Instant::now() < end {
        let ends: Vec<&OwnedFd> = waiting.iter().filter_map(|i| open[*i].as_ref()).collect();
        let mut fds: Vec<PollFd<'_>> =
            ends.iter().map(|end| PollFd::new(end.as_fd(), PollFlags::POLLOUT)).collect();
        let left = end.saturating_duration_since(Instant::now()).as_millis() + 1;
        match poll(&mut fds, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(Error::io("wait for connections", &errno.into())),
        }
        let over: Vec<bool> = fds.iter().map(|fd| fd.any() == Some(true)).collect();
        for (at, end) in
            waiting.iter().zip(&ends).zip(&over).filter(|(_, over)| **over).map(|(x, _)| x)
        {
            made[*at] = getsockopt(end, sockopt::SocketError) == Ok(0);
        }
        let mut over = over.into_iter();
        waiting.retain(|_| !over.next().unwrap_or(false));
    }
    Ok(made)
}
