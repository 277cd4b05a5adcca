//! Where on its nodes a database listens as seen from this host, and how a connection to it is made.
//!
//! A connection is made once, and never again without the caller: a client that reconnected and
//! sent a request a second time would make an operation happen twice whose outcome is not known.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use breakit::clock;
use breakit::exit::{Error, Result};
use breakit::node::{Name, Node};
use breakit::reach;
use tokio::net::TcpStream;

/// How long a connection may take to come about. A node that is cut off answers no SYN at all.
const CONNECT_LIMIT: Duration = Duration::from_secs(1);

/// How long one look at a database that may not be ready takes at the most.
const LOOK_LIMIT: Duration = Duration::from_secs(2);

/// How long to wait between two looks at a database that is not ready.
const PAUSE: Duration = Duration::from_millis(100);

/// The nodes' addresses, found once, with the port on which the database listens.
#[derive(Debug)]
pub struct Endpoints {
    port: u16,
    known: Mutex<BTreeMap<Name, Vec<IpAddr>>>,
}

impl Endpoints {
    /// Endpoints on `port` of nodes that are not known yet.
    pub fn new(port: u16) -> Endpoints {
        Endpoints { port, known: Mutex::new(BTreeMap::new()) }
    }

    /// The address at which `node` is reached.
    ///
    /// # Errors
    /// If it has no address, or its network cannot be looked into: as [`reach::addresses`].
    pub async fn of(&self, node: &Node) -> Result<SocketAddr> {
        if let Some(found) = self.first_of(&node.name) {
            return Ok(SocketAddr::new(found, self.port));
        }
        // It forks or enters a namespace: not on a thread that drives the clients.
        let asked = node.clone();
        let addresses = tokio::task::spawn_blocking(move || reach::addresses(&asked))
            .await
            .unwrap_or_else(|_| Err(Error::system("the search for its address died")))
            .map_err(|error| error.at(format!("node {}", node.name)))?;
        self.known().insert(node.name.clone(), addresses);
        self.first_of(&node.name).map(|found| SocketAddr::new(found, self.port)).ok_or_else(|| {
            Error::no_input(format!(
                "node {} has no address; write it into its node line",
                node.name
            ))
        })
    }

    /// What the database calls `host`, as reached from here: a node may have addresses that only nodes see.
    ///
    /// `None` if it is neither a node that was looked up nor an address.
    pub fn as_seen_here(&self, host: &str) -> Option<IpAddr> {
        let address: Option<IpAddr> = host.parse().ok();
        let known = self.known();
        let node = known.iter().find(|(name, addresses)| {
            name.as_str() == host || address.is_some_and(|address| addresses.contains(&address))
        });
        node.and_then(|(_, addresses)| addresses.first().copied()).or(address)
    }

    fn first_of(&self, name: &Name) -> Option<IpAddr> {
        self.known().get(name).and_then(|addresses| addresses.first().copied())
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeMap<Name, Vec<IpAddr>>> {
        // Every change is one insert: a thread that died left the map whole.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A TCP connection to `address`, tried once.
///
/// # Errors
/// A clause that names the address. Nothing was sent.
pub async fn connect(address: SocketAddr) -> std::result::Result<TcpStream, String> {
    let stream = match tokio::time::timeout(CONNECT_LIMIT, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            return Err(format!("cannot connect to {address}: {}", breakit::exit::reason(&error)));
        }
        Err(_) => {
            return Err(format!(
                "cannot connect to {address}: no answer within {}",
                clock::show(CONNECT_LIMIT)
            ));
        }
    };
    // A request is one small packet: if the kernel waited for more to send with it, the database would look slow.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// `look`, or that it took too long.
///
/// # Errors
/// Whatever the look says, or that the node is silent.
pub async fn within_a_look<T>(
    look: impl Future<Output = std::result::Result<T, String>>,
) -> std::result::Result<T, String> {
    tokio::time::timeout(LOOK_LIMIT, look).await.unwrap_or_else(|_| Err("it is silent".into()))
}

/// Patience with a database that is still starting.
#[derive(Debug)]
pub struct Patience {
    limit: Duration,
    began: Instant,
}

impl Patience {
    /// Patience for `limit` from now on.
    pub fn new(limit: Duration) -> Patience {
        Patience { limit, began: Instant::now() }
    }

    /// Waits a moment before the next look; `said` is what the last look found, node first.
    ///
    /// # Errors
    /// 75 with `said` once the patience is at its end.
    pub async fn after(&self, said: &str) -> Result<()> {
        if self.began.elapsed() + PAUSE > self.limit {
            return Err(Error::waited(format!(
                "the database was not ready after {}: {said}; look at its log on that node, or give it longer with --ready",
                clock::show(self.limit)
            )));
        }
        tokio::time::sleep(PAUSE).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, addresses: &str) -> Node {
        Node::parse(&format!(r#"{{"node":"{name}","addrs":[{addresses}]}}"#)).unwrap()
    }

    #[tokio::test]
    async fn what_the_database_calls_a_node_is_found_by_name_and_by_any_of_its_addresses() {
        let endpoints = Endpoints::new(6379);
        let n1 = node("n1", r#""192.0.2.1","10.0.0.1""#);
        assert_eq!(endpoints.of(&n1).await.unwrap(), "192.0.2.1:6379".parse().unwrap());
        let here = Some("192.0.2.1".parse().unwrap());
        assert_eq!(endpoints.as_seen_here("10.0.0.1"), here);
        assert_eq!(endpoints.as_seen_here("n1"), here);
        assert_eq!(endpoints.as_seen_here("198.51.100.7"), Some("198.51.100.7".parse().unwrap()));
        assert_eq!(endpoints.as_seen_here("n2"), None);
    }

    #[tokio::test]
    async fn a_port_where_nobody_listens_is_said_at_once() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let said = connect(free).await.unwrap_err();
        assert_eq!(said, format!("cannot connect to {free}: connection refused"));
    }

    #[tokio::test]
    async fn patience_ends_with_what_was_seen_last() {
        let patience = Patience::new(Duration::from_millis(150));
        patience.after("n1: it loads its data").await.unwrap();
        let error = patience.after("n2: it is silent").await.unwrap_err();
        assert_eq!(error.status(), breakit::exit::Status::Waited);
        assert!(error.to_string().contains("n2: it is silent"), "{error}");
    }
}
