//! Who can reach whom, measured: a datagram with a nonce from each node's network to every other's.
//!
//! Nothing runs on the nodes: the sockets are ours, opened inside their networks. One datagram goes one
//! way, so a one-way cut is seen as what it is, which no ping can.
//!
//! On hosts over ssh a ping is all that can be had. What is answered passes both ways; of what is not nobody can
//! say which way it was lost.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use breakit::exit::{Error, Result};
use breakit::node::{Node, Via};
use breakit::reach::Network;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::{Map, Value, json};

use crate::{parallel, ping};

/// How often what did not arrive is sent again: the first one may be lost to address resolution.
const AGAIN: Duration = Duration::from_millis(60);

/// Who reached whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matrix {
    names: Vec<String>,
    /// Datagrams sent and arrived, for each pair between which any could be sent.
    pairs: HashMap<(usize, usize), Counts>,
}

/// Ways between two nodes: one for each address of the receiver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    tried: usize,
    arrived: usize,
    /// Ways along which something was lost, or on the way back.
    unsure: usize,
}

impl Counts {
    fn any(self) -> Option<bool> {
        (self.arrived > 0 || self.unsure == 0).then_some(self.arrived > 0)
    }

    fn all(self) -> Option<bool> {
        (self.unsure == 0).then_some(self.arrived == self.tried)
    }
}

impl Matrix {
    /// Whether anything of `src` reached `dst`; `None` where nobody could measure it.
    pub fn any(&self, src: usize, dst: usize) -> Option<bool> {
        self.pairs.get(&(src, dst)).and_then(|counts| counts.any())
    }

    /// Whether `src` reached `dst` at every address; `None` where nobody could measure it.
    pub fn all(&self, src: usize, dst: usize) -> Option<bool> {
        self.pairs.get(&(src, dst)).and_then(|counts| counts.all())
    }

    /// The pairs between which not everything passed.
    pub fn unreached(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.ordered().filter(|&(src, dst)| self.all(src, dst) == Some(false))
    }

    /// The pairs that nobody could measure.
    pub fn unknown(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.ordered().filter(|&(src, dst)| self.all(src, dst).is_none())
    }

    fn ordered(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let n = self.names.len();
        (0..n)
            .flat_map(move |src| (0..n).map(move |dst| (src, dst)))
            .filter(|(src, dst)| src != dst)
    }

    /// As JSON: `reach[SRC][DST]` is true, false, null where nobody could measure it, or `"partly"`
    /// where some of the receiver's addresses are reached and others not.
    pub fn json(&self) -> Value {
        let cell = |src, dst| match (self.any(src, dst), self.all(src, dst)) {
            (Some(true), Some(false)) => Value::from("partly"),
            (_, all) => all.map_or(Value::Null, Value::from),
        };
        let mut rows = Map::new();
        for name in &self.names {
            rows.insert(name.clone(), json!({}));
        }
        for (src, dst) in self.ordered() {
            rows[&self.names[src]][&self.names[dst]] = cell(src, dst);
        }
        let pair = |(src, dst): (usize, usize)| json!([self.names[src], self.names[dst]]);
        json!({
            "reach": rows,
            "unreached": self.unreached().map(pair).collect::<Vec<_>>(),
            "unknown": self.unknown().map(pair).collect::<Vec<_>>(),
        })
    }

    /// As a table for people: a row for each sender, a column for each receiver.
    pub fn table(&self) -> String {
        let width = self.names.iter().map(String::len).max().unwrap_or(0).max(6);
        let mut text = format!("{:width$}", "");
        for name in &self.names {
            let _ = write!(text, "  {name:>width$}");
        }
        text.push('\n');
        for (src, name) in self.names.iter().enumerate() {
            let _ = write!(text, "{name:width$}");
            for dst in 0..self.names.len() {
                let _ = write!(text, "  {:>width$}", self.word(src, dst));
            }
            text.push('\n');
        }
        text
    }

    fn word(&self, src: usize, dst: usize) -> &'static str {
        match (self.any(src, dst), self.all(src, dst)) {
            _ if src == dst => "-",
            (Some(true), Some(false)) => "partly",
            (Some(true), _) => "yes",
            (Some(false), _) => "no",
            (None, _) => "?",
        }
    }
}

/// A socket that waits for datagrams at one address of a node.
struct Ear {
    node: usize,
    at: SocketAddr,
    socket: UdpSocket,
}

/// The sockets by which a node sends.
struct Mouth {
    v4: Option<UdpSocket>,
    v6: Option<UdpSocket>,
}

/// Measures it. What has not arrived after `limit` does not.
///
/// A node that does not run is unknown, and so is another host that no ping tells of.
///
/// # Errors
/// 77 and 71 from the system.
pub fn measure(nodes: &[Node], addresses: &[Vec<IpAddr>], limit: Duration) -> Result<Matrix> {
    let opened = breakit::node::at_once(nodes, |node| {
        let own = nodes.iter().position(|n| n.name == node.name).map(|i| addresses[i].as_slice());
        open(node, own.unwrap_or_default())
    });
    let (mut ears, mut mouths) = (Vec::new(), Vec::new());
    for (node, opened) in opened.into_iter().enumerate() {
        let (heard, mouth) =
            opened?.map_or((Vec::new(), None), |(ears, mouth)| (ears, Some(mouth)));
        ears.extend(heard.into_iter().map(|(at, socket)| Ear { node, at, socket }));
        mouths.push(mouth);
    }
    let mut pairs: HashMap<(usize, usize), Counts> = HashMap::new();
    for way in exchange(&ears, &mouths, limit)? {
        let counts = pairs.entry((way.src, ears[way.ear].node)).or_default();
        counts.tried += 1;
        counts.arrived += usize::from(way.arrived);
    }
    for (src, dst, answered) in round_trips(nodes, addresses, limit) {
        for way in [(src, dst), (dst, src)] {
            let counts = pairs.entry(way).or_default();
            counts.tried += usize::from(answered);
            counts.arrived += usize::from(answered);
            counts.unsure += usize::from(!answered);
        }
    }
    Ok(Matrix { names: nodes.iter().map(|node| node.name.to_string()).collect(), pairs })
}

/// The round trips from hosts over ssh to each address of other nodes, and whether they came back.
fn round_trips(
    nodes: &[Node],
    addresses: &[Vec<IpAddr>],
    limit: Duration,
) -> Vec<(usize, usize, bool)> {
    let others = |src: usize| -> Vec<(usize, IpAddr)> {
        let of = |version: bool| addresses[src].iter().any(|own| own.is_ipv4() == version);
        (0..nodes.len())
            .filter(|&dst| dst != src)
            .flat_map(|dst| addresses[dst].iter().map(move |address| (dst, *address)))
            .filter(|(_, address)| of(address.is_ipv4()))
            .collect()
    };
    let asked = parallel::all((0..nodes.len()).collect(), |src: usize| {
        let list: Vec<IpAddr> = others(src).into_iter().map(|(_, address)| address).collect();
        ping::answered(&nodes[src], &list, limit)
    });
    let told = |(src, answered): (usize, Option<BTreeSet<IpAddr>>)| {
        let trips = answered.map(|answered| {
            others(src).into_iter().map(move |(dst, at)| (src, dst, answered.contains(&at)))
        });
        trips.into_iter().flatten().collect::<Vec<_>>()
    };
    asked.into_iter().enumerate().flat_map(told).collect()
}

type Opened = Option<(Vec<(SocketAddr, UdpSocket)>, Mouth)>;

fn open(node: &Node, addresses: &[IpAddr]) -> Result<Opened> {
    if matches!(node.via, Via::Ssh(_) | Via::Address(_)) {
        return Ok(None);
    }
    let network = match Network::of(node) {
        Ok(network) => network,
        Err(error) if error.status() == breakit::exit::Status::NoInput => return Ok(None),
        Err(error) => return Err(error),
    };
    network.inside(|| {
        let ears = addresses.iter().map(|address| ear(*address)).collect::<Result<Vec<_>>>()?;
        let mouth = |any: &str| {
            let socket = UdpSocket::bind(any).ok()?;
            socket.set_nonblocking(true).ok()?;
            Some(socket)
        };
        Ok(Some((ears, Mouth { v4: mouth("0.0.0.0:0"), v6: mouth("[::]:0") })))
    })
}

fn ear(address: IpAddr) -> Result<(SocketAddr, UdpSocket)> {
    let place = |e: std::io::Error| Error::io(format!("listen at {address}"), &e);
    let socket = UdpSocket::bind((address, 0)).map_err(place)?;
    socket.set_nonblocking(true).map_err(place)?;
    let at = socket.local_addr().map_err(place)?;
    Ok((at, socket))
}

/// One way from a node to an ear, and whether a datagram came through.
struct Way {
    src: usize,
    ear: usize,
    arrived: bool,
}

/// Sends along every way until everything arrived or the time is over.
fn exchange(ears: &[Ear], mouths: &[Option<Mouth>], limit: Duration) -> Result<Vec<Way>> {
    let mut ways: Vec<Way> = (0..mouths.len())
        .filter(|&src| mouths[src].is_some())
        .flat_map(|src| (0..ears.len()).map(move |ear| Way { src, ear, arrived: false }))
        .filter(|way| ears[way.ear].node != way.src)
        .collect();
    // Tells our datagrams from those of another check at the same time.
    let nonce = breakit::clock::now() ^ (u64::from(std::process::id()) << 40);
    let (mut missing, end) = (ways.len(), Instant::now() + limit);
    while missing > 0 && Instant::now() < end {
        let round = (Instant::now() + AGAIN).min(end);
        for number in 0..ways.len() {
            let way = &ways[number];
            if let (false, Some(mouth)) = (way.arrived, &mouths[way.src]) {
                mouth.send(ears[way.ear].at, nonce, number as u64);
            }
            // A receive buffer holds some hundred datagrams only: it is emptied as we go.
            if number % 64 == 63 {
                missing -= hear(ears, &mut ways, nonce);
            }
        }
        while missing > 0 && Instant::now() < round {
            wait(ears, round)?;
            missing -= hear(ears, &mut ways, nonce);
        }
    }
    Ok(ways)
}

impl Mouth {
    /// A datagram that the system refuses (no route, a firewall's reject) has not arrived: that is all we ask.
    fn send(&self, to: SocketAddr, nonce: u64, number: u64) {
        let socket = if to.is_ipv4() { &self.v4 } else { &self.v6 };
        if let Some(socket) = socket {
            let words = [nonce.to_be_bytes(), number.to_be_bytes()].concat();
            let _ = socket.send_to(&words, to);
        }
    }
}

/// Takes in what has come; gives how many ways are new among it.
fn hear(ears: &[Ear], ways: &mut [Way], nonce: u64) -> usize {
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
