//! One slownet at a time changes the queues of a network.
//!
//! The root of an interface is shared by all faults there: whoever takes away the last one takes the root
//! away, too, and must not do so under another that is just coming.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

use breakit::exit::{Error, Result};
use breakit::reach::Network;

const NAME: &[u8] = b"breakit-slownet";
const LIMIT: Duration = Duration::from_secs(15);

/// Our turn, until it is dropped or we die.
#[derive(Debug)]
pub struct Turn {
    _held: Option<UnixDatagram>,
}

impl Turn {
    /// Waits for our turn in `network`.
    ///
    /// It is a name in the abstract namespace of sockets, which each network has of its own: no file is left
    /// behind, and death gives it back. On another host there is no such thing, and turns are not taken.
    ///
    /// # Errors
    /// 75 where another does not end its turn, and as [`Network::inside`].
    pub fn wait(network: &Network) -> Result<Turn> {
        if matches!(network, Network::Ssh(_)) {
            return Ok(Turn { _held: None });
        }
        let deadline = Instant::now() + LIMIT;
        loop {
            match network.inside(|| Ok(bind()))? {
                Ok(socket) => return Ok(Turn { _held: Some(socket) }),
                Err(e) if e.kind() != std::io::ErrorKind::AddrInUse => {
                    return Err(Error::io("take a turn at the queues", &e));
                }
                Err(_) if Instant::now() >= deadline => {
                    return Err(Error::waited(
                        "another slownet has been changing the queues there for 15 s; see ss -xa for breakit-slownet",
                    ));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(2)),
            }
        }
    }
}

fn bind() -> std::io::Result<UnixDatagram> {
    UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(NAME)?)
}
