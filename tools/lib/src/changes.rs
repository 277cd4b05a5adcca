//! What changes in the networks of nodes while a fault is held: a node comes back with a new network, an interface
//! comes up, an address is added. The kernel tells us of links and addresses over netlink(7); whether a node's network
//! is another one is looked at a few times a second.
//!
//! Of a host over ssh we learn nothing here: its fault is put right with the next renewal.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket,
};

use crate::clock;
use crate::exit::{Error, Result};
use crate::node::{Node, Via};
use crate::reach::{self, Network};

/// How often it is looked whether a node's network is another one.
const EVERY: Duration = Duration::from_millis(200);

/// RTMGRP_LINK, RTMGRP_IPV4_IFADDR and RTMGRP_IPV6_IFADDR.
const GROUPS: u32 = 0x1 | 0x10 | 0x100;
const RTM_NEWLINK: u16 = 16;
const RTM_NEWADDR: u16 = 20;
/// The sizes of struct nlmsghdr, and where the flags of struct ifinfomsg stand behind it.
const HEADER: usize = 16;
const FLAGS: usize = HEADER + 8;
const IFF_UP: u32 = 1;

/// The changes that nobody has taken yet: for each node's name the last moment at which it was as before.
type Seen = Arc<Mutex<BTreeMap<String, u64>>>;

/// Watches the nodes of this host until it is dropped.
#[derive(Debug)]
pub struct Changes {
    seen: Seen,
    bell: UnixStream,
}

impl Changes {
    /// Starts to watch; what changes from now on is noticed. `None` where none of the nodes is on this host.
    ///
    /// # Errors
    /// 71 where the system gives no thread.
    pub fn watch(nodes: &[Node]) -> Result<Option<Changes>> {
        let here = |node: &&Node| !matches!(node.via, Via::Ssh(_) | Via::Address(_));
        let nodes: Vec<Node> = nodes.iter().filter(here).cloned().collect();
        if nodes.is_empty() {
            return Ok(None);
        }
        let place = |e: std::io::Error| Error::io("watch the networks of nodes", &e);
        let (bell, hammer) = UnixStream::pair().map_err(place)?;
        for end in [&bell, &hammer] {
            end.set_nonblocking(true).map_err(place)?;
        }
        let seen = Seen::default();
        let eyes = Eyes {
            nodes: nodes.into_iter().map(Eye::new).collect(),
            seen: Arc::clone(&seen),
            hammer,
        };
        let (ready, waiting) = channel();
        std::thread::Builder::new().spawn(move || eyes.watch(&ready)).map_err(place)?;
        // A thread that died has said so, and the renewals remain.
        let _ = waiting.recv();
        Ok(Some(Changes { seen, bell }))
    }

    /// Readable while there are changes that nobody has taken.
    pub fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    /// The nodes that have changed since it was last asked, each with the last moment at which it was as before.
    pub fn take(&self) -> BTreeMap<String, u64> {
        let _ = (&self.bell).read(&mut [0; 4096]);
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The thread's own.
struct Eyes {
    nodes: Vec<Eye>,
    seen: Seen,
    hammer: UnixStream,
}

/// One node, as it was last seen.
struct Eye {
    node: Node,
    /// Where its namespace is found; known anew for each start of a container.
    path: Option<PathBuf>,
    /// Device and inode of the namespace. The socket keeps the namespace, so that no other one has that number.
    identity: Option<(u64, u64)>,
    /// Where the kernel tells of links and addresses there.
    events: Option<OwnedFd>,
    /// Whether it was seen, or looked for, before.
    is_known: bool,
    /// When it was last seen to be as before.
    quiet: u64,
}

impl Eyes {
    fn watch(mut self, ready: &Sender<()>) {
        for eye in &mut self.nodes {
            eye.is_another();
        }
        let _ = ready.send(());
        loop {
            self.wait();
            let now = clock::now();
            for eye in &mut self.nodes {
                // Both are asked: an event of the old network must not hide that there is a new one.
                let (told, another) = (eye.is_told(), eye.is_another());
                if told || another {
                    let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
                    seen.entry(eye.node.name.to_string()).or_insert(eye.quiet);
                    drop(seen);
                    match self.hammer.write(b"!") {
                        // A bell that is full rings already.
                        Err(e) if e.kind() != std::io::ErrorKind::WouldBlock => return,
                        _ => {}
                    }
                }
                eye.quiet = now;
            }
        }
    }

    /// Until the kernel tells something, or it is time to look.
    fn wait(&self) {
        let sockets = self.nodes.iter().filter_map(|eye| eye.events.as_ref());
        let mut fds: Vec<PollFd<'_>> =
            sockets.map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN)).collect();
        // The holder's end: it is gone when we are not needed any more.
        fds.push(PollFd::new(self.hammer.as_fd(), PollFlags::empty()));
        let _ = poll(&mut fds, PollTimeout::try_from(EVERY).unwrap_or(PollTimeout::MAX));
        let told = fds.iter().any(|fd| fd.any() == Some(true));
        if told {
            // Changes come in swarms, and one renewal does for all of them.
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Eye {
    fn new(node: Node) -> Eye {
        Eye { node, path: None, identity: None, events: None, is_known: false, quiet: clock::now() }
    }

    /// Whether the node has another network than when it was last seen; one that does not run has none.
    fn is_another(&mut self) -> bool {
        let found = self.look();
        let was_known = std::mem::replace(&mut self.is_known, true);
        if found.is_none() {
            // What is kept of a network that is gone would keep its interfaces, too.
            (self.path, self.identity, self.events) = (None, None, None);
            return false;
        }
        if found == self.identity {
            return false;
        }
        self.identity = found;
        self.events = self.path.as_deref().and_then(subscribe);
        was_known
    }

    fn look(&mut self) -> Option<(u64, u64)> {
        if self.path.is_none() {
            self.path = path(&self.node);
        }
        let found = fs::metadata(self.path.as_ref()?).ok()?;
        Some((found.dev(), found.ino()))
    }

    /// Whether the kernel told of a new address or of a link that is up.
    fn is_told(&self) -> bool {
        let Some(socket) = &self.events else { return false };
        let mut told = false;
        let mut buffer = vec![0; 1 << 16];
        loop {
            match recv(socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(0) | Err(Errno::EAGAIN) => return told,
                Ok(length) => told |= buffer.get(..length).is_some_and(concerns),
                Err(Errno::EINTR) => {}
                // So many that some are lost.
                Err(Errno::ENOBUFS) => told = true,
                Err(_) => return told,
            }
        }
    }
}

/// Whether one of the messages tells of a new address or of a link that is up.
fn concerns(mut messages: &[u8]) -> bool {
    while let Some(length) = number(messages, 0) {
        let kind =
            messages.get(4..6).and_then(|kind| Some(u16::from_ne_bytes(kind.try_into().ok()?)));
        let is_up = || number(messages, FLAGS).is_some_and(|flags| flags & IFF_UP != 0);
        if kind == Some(RTM_NEWADDR) || (kind == Some(RTM_NEWLINK) && is_up()) {
            return true;
        }
        let after = (length as usize).next_multiple_of(4).max(HEADER);
        messages = messages.get(after..).unwrap_or_default();
    }
    false
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// Where the namespace of a node is found now.
fn path(node: &Node) -> Option<PathBuf> {
    match &node.via {
        Via::Local => Some("/proc/self/ns/net".into()),
        Via::Netns(name) => Some(PathBuf::from("/run/netns").join(name)),
        Via::Pid(pid) => Some(format!("/proc/{pid}/ns/net").into()),
        Via::Lxc(container) => {
            Some(format!("/proc/{}/ns/net", reach::init_of(container).ok()??).into())
        }
        Via::Ssh(_) | Via::Address(_) => None,
    }
}

/// A socket to which the kernel tells of links and addresses of the namespace.
fn subscribe(path: &Path) -> Option<OwnedFd> {
    let namespace = fs::File::open(path).ok()?;
    let open = || {
        let place = |errno: Errno| Error::io("watch a node's network", &errno.into());
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let kind = SockProtocol::NetlinkRoute;
        let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, kind).map_err(place)?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, GROUPS)).map_err(place)?;
        Ok(socket)
    };
    Network::Namespace(namespace.into()).inside(open).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_links_that_are_up_concern_us_and_nothing_else_does() {
        let message = |kind: u16, flags: u32| {
            let mut bytes = 32_u32.to_ne_bytes().to_vec();
            bytes.extend(kind.to_ne_bytes());
            bytes.resize(FLAGS, 0);
            bytes.extend(flags.to_ne_bytes());
            bytes.resize(32, 0);
            bytes
        };
        assert!(concerns(&message(RTM_NEWADDR, 0)));
        assert!(concerns(&[message(21, 0), message(RTM_NEWLINK, IFF_UP)].concat()));
        for other in [message(RTM_NEWLINK, 0), message(21, IFF_UP), vec![0; 40], vec![1; 3]] {
            assert!(!concerns(&other), "{other:?}");
        }
    }
}
