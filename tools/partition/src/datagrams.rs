//! Datagrams with a nonce, sent from sockets in some networks to sockets in others, until they have arrived.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use breakit::exit::{Error, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// How often what did not arrive is sent again: the first one may be lost to address resolution.
const AGAIN: Duration = Duration::from_millis(60);

/// A socket that waits for datagrams at a node.
pub struct Ear {
    /// Whose.
    pub node: usize,
    /// Where datagrams are sent that it is to hear.
    pub at: SocketAddr,
    /// The socket, which does not block.
    pub socket: UdpSocket,
}

/// A way from a socket to an ear, and whether a datagram came through.
pub struct Way<'a> {
    /// Who sends.
    pub src: usize,
    /// Which ear is to hear it.
    pub ear: usize,
    /// By which sockets it is sent, and to where.
    pub by: Vec<(&'a UdpSocket, SocketAddr)>,
    /// Whether it came through.
    pub arrived: bool,
}

/// Sends along every way until everything arrived or the time is over.
///
/// # Errors
/// 71 where the system does not let us wait.
pub fn exchange(ears: &[Ear], ways: &mut [Way<'_>], limit: Duration) -> Result<()> {
    // Tells our datagrams from those of another check at the same time.
    let nonce = breakit::clock::now() ^ (u64::from(std::process::id()) << 40);
    let (mut missing, end) = (ways.len(), Instant::now() + limit);
    while missing > 0 && Instant::now() < end {
        let round = (Instant::now() + AGAIN).min(end);
        for number in 0..ways.len() {
            if !ways[number].arrived {
                ways[number].send(nonce, number as u64);
            }
            // A receive buffer holds some hundred datagrams only: it is emptied as we go.
            if number % 64 == 63 {
                missing -= hear(ears, ways, nonce);
            }
        }
        while missing > 0 && Instant::now() < round {
            wait(ears, round)?;
            missing -= hear(ears, ways, nonce);
        }
    }
    Ok(())
}

impl Way<'_> {
    /// A datagram that the system refuses (no route, a firewall's reject) has not arrived: that is all we ask.
    fn send(&self, nonce: u64, number: u64) {
        let words = [nonce.to_be_bytes(), number.to_be_bytes()].concat();
        for (socket, to) in &self.by {
            let _ = socket.send_to(&words, to);
        }
    }
}

/// Takes in what has come; gives how many ways are new among it.
fn hear(ears: &[Ear], ways: &mut [Way<'_>], nonce: u64) -> usize {
    let mut new = 0;
    for (number, ear) in ears.iter().enumerate() {
        let mut words = [0; 16];
        while let Ok(length) = ear.socket.recv(&mut words) {
            let (of, way) = words.split_at(8);
            if length == 16
                && of == nonce.to_be_bytes()
                && let Ok(bytes) = <[u8; 8]>::try_from(way)
                && let Some(way) = ways.get_mut(u64::from_be_bytes(bytes) as usize)
                && way.ear == number
                && !way.arrived
            {
                way.arrived = true;
                new += 1;
            }
        }
    }
    new
}

/// Waits until something has come, or it is `until`.
fn wait(ears: &[Ear], until: Instant) -> Result<()> {
    let mut fds: Vec<PollFd<'_>> =
        ears.iter().map(|ear| PollFd::new(ear.socket.as_fd(), PollFlags::POLLIN)).collect();
    let left = until.saturating_duration_since(Instant::now()).as_millis() + 1;
    let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
    match poll(&mut fds, left) {
        Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
        Err(errno) => Err(Error::io("wait for datagrams", &errno.into())),
    }
}
