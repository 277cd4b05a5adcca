//! Who can reach whom, measured: a datagram with a nonce from each node's network to every other's, or whatever
//! else is asked for.
//!
//! Nothing runs on the nodes: the sockets are ours, opened inside their networks. One datagram goes one
//! way, so a one-way cut is seen as what it is, which no ping and no TCP connection can.
//!
//! On hosts over ssh a ping is all that can be had. What is answered passes both ways; of what is not nobody can
//! say which way it was lost.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use breakit::exit::{Error, Result, Status};
use breakit::messages;
use breakit::node::{Node, Via};
use breakit::ports::Ports;
use breakit::reach::Network;
use nix::sys::socket::{Backlog, listen};

use crate::datagrams::{Ear, Way, exchange};
use crate::matrix::{Matrix, Outcome, Trip};
use crate::packets::{Packets, Protocol};
use crate::peer::Net;
use crate::{dial, neighbours, parallel, ping};

/// What is measured: by which protocols, and at which ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question(Packets);

impl Default for Question {
    fn default() -> Question {
        Question(Packets::ALL)
    }
}

impl Question {
    /// The question about packets of this protocol with these ports.
    ///
    /// # Errors
    /// 64 for a range of ports, for SCTP, and as [`Packets::checked`].
    pub fn about(protocol: Option<Protocol>, ports: &[Ports]) -> Result<Question> {
        if let Some(range) = ports.iter().find(|ports| ports.is_range()) {
            return Err(Error::usage(format!(
                "check takes single ports, not the range {range}; name those that matter"
            )));
        }
        let packets = Packets { protocol, ports: ports.to_vec(), ..Packets::ALL }.checked()?;
        if packets.protocols().is_some_and(|all| all.contains(&Protocol::Sctp)) {
            return Err(Error::usage("check measures tcp, udp and icmp; it cannot measure sctp"));
        }
        Ok(Question(packets))
    }

    /// The ports to measure at by a protocol, 0 for any; none where it is not asked for.
    fn ports(&self, protocol: Protocol) -> Vec<u16> {
        let asked = self.0.protocols().unwrap_or(vec![Protocol::Udp]).contains(&protocol);
        let ports: Vec<u16> = self.0.ports_of(protocol).iter().map(|ports| ports.first).collect();
        match asked {
            true if ports.is_empty() => vec![0],
            true => ports,
            false => Vec::new(),
        }
    }

    /// Whether any packet will do, of whatever protocol.
    fn is_open(&self) -> bool {
        self.0.is_all()
    }
}

/// Measures it. What has not arrived after `limit` does not.
///
/// A node that does not run is unknown, and so is another host that no ping tells of.
///
/// # Errors
/// 77 and 71 from the system.
pub fn measure(
    nodes: &[Node],
    addresses: &[Vec<IpAddr>],
    question: &Question,
    limit: Duration,
) -> Result<Matrix> {
    let networks: Vec<Option<Network>> =
        breakit::node::at_once(nodes, network_here).into_iter().collect::<Result<_>>()?;
    let bed = Bed { nodes, addresses, networks, limit };
    let before = neighbours::overflows();
    let mut trips = Vec::new();
    trips.extend(bed.datagrams(&question.ports(Protocol::Udp))?);
    trips.extend(bed.connections(&question.ports(Protocol::Tcp))?);
    if neighbours::overflows() > before {
        trips.iter_mut().for_each(Trip::doubt);
        messages::error(
            "the kernel's table of neighbours was full, so what did not arrive is unknown; raise net.ipv4.neigh.default.gc_thresh3 (and net.ipv6...)",
        );
    }
    if !question.ports(Protocol::Icmp).is_empty() {
        trips.extend(bed.pings());
    }
    if question.is_open() {
        trips.extend(bed.round_trips());
    }
    Ok(Matrix::of(nodes, &trips, &bed.nets()?))
}

impl Trip {
    fn doubt(&mut self) {
        if self.outcome == Outcome::Lost {
            self.outcome = Outcome::Unsure;
        }
    }
}

/// The network of a node in which we can open sockets; `None` where it is another host's, or does not run.
///
/// # Errors
/// 77 and 71 from the system.
pub fn network_here(node: &Node) -> Result<Option<Network>> {
    if matches!(node.via, Via::Ssh(_) | Via::Address(_)) {
        return Ok(None);
    }
    match Network::of(node) {
        Ok(network) => Ok(Some(network)),
        Err(error) if error.status() == Status::NoInput => Ok(None),
        Err(error) => Err(error),
    }
}

/// Among whom is measured.
struct Bed<'a> {
    nodes: &'a [Node],
    addresses: &'a [Vec<IpAddr>],
    networks: Vec<Option<Network>>,
    limit: Duration,
}

/// What is opened at a node for one port.
struct Opened {
    ears: Vec<(SocketAddr, UdpSocket)>,
    /// By which it sends: one for each IP version, as far as it has an address of it.
    mouths: Vec<UdpSocket>,
}

impl Bed<'_> {
    /// Does `work` in the network of each node where we can, with its addresses.
    fn inside<T: Send>(
        &self,
        work: impl Fn(&[IpAddr]) -> Result<T> + Sync,
    ) -> Result<Vec<Option<T>>> {
        let numbers: Vec<usize> = (0..self.nodes.len()).collect();
        let done = parallel::all(numbers, |node| {
            let of = |network: &Network| network.inside(|| work(&self.addresses[node]));
            let done = self.networks[node].as_ref().map(of).transpose();
            done.map_err(|error| error.at(format!("node {}", self.nodes[node].name)))
        });
        done.into_iter().collect()
    }

    /// The addresses of other nodes that `src` can send to, as it has one of the same IP version.
    fn others(&self, src: usize) -> Vec<(usize, IpAddr)> {
        let has = |ipv4: bool| self.addresses[src].iter().any(|own| own.is_ipv4() == ipv4);
        (0..self.nodes.len())
            .filter(|&dst| dst != src)
            .flat_map(|dst| self.addresses[dst].iter().map(move |address| (dst, *address)))
            .filter(|(_, address)| has(address.is_ipv4()))
            .collect()
    }

    /// The networks that each node has an interface in: of other hosts we know only how large they mostly are.
    fn nets(&self) -> Result<Vec<Vec<Net>>> {
        let own = self.inside(own_networks)?;
        let guess =
            |address: &IpAddr| Net::around(*address, if address.is_ipv4() { 24 } else { 64 });
        let guesses = self.addresses.iter().map(|list| list.iter().map(guess).collect());
        Ok(own.into_iter().zip(guesses).map(|(own, guess)| own.unwrap_or(guess)).collect())
    }

    /// A datagram along every way, for each of `ports` at one of its ends.
    fn datagrams(&self, ports: &[u16]) -> Result<Vec<Trip>> {
        let mut trips = Vec::new();
        for &port in ports {
            let (mut ears, mut mouths) = (Vec::new(), Vec::new());
            for (node, opened) in self.inside(|own| open(own, port))?.into_iter().enumerate() {
                let opened = opened.unwrap_or(Opened { ears: Vec::new(), mouths: Vec::new() });
                ears.extend(opened.ears.into_iter().map(|(at, socket)| Ear { node, at, socket }));
                mouths.push(opened.mouths);
            }
            let mut ways = Vec::new();
            for (src, mouths) in mouths.iter().enumerate().filter(|(_, all)| !all.is_empty()) {
                for (number, ear) in ears.iter().enumerate().filter(|(_, ear)| ear.node != src) {
                    let alike = |of: SocketAddr| of.is_ipv4() == ear.at.is_ipv4();
                    let has = self.addresses[src].iter().any(|a| a.is_ipv4() == ear.at.is_ipv4());
                    // Where another program has the port, the sender's end must be the one with it.
                    let by: Vec<_> = match port == 0 || ear.at.port() == port {
                        true => mouths.iter().filter(|m| m.local_addr().is_ok_and(alike)).collect(),
                        false => ears
                            .iter()
                            .filter(|own| own.node == src && own.at.port() == port && alike(own.at))
                            .map(|own| &own.socket)
                            .collect(),
                    };
                    let by: Vec<_> = by.into_iter().map(|socket| (socket, ear.at)).collect();
                    match by.is_empty() {
                        _ if !has => {}
                        true => trips.push(Trip {
                            src,
                            dst: ear.node,
                            of: ear.node,
                            at: ear.at.ip(),
                            outcome: Outcome::Unsure,
                        }),
                        false => ways.push(Way { src, ear: number, by, arrived: false }),
                    }
                }
            }
            exchange(&ears, &mut ways, self.limit)?;
            trips.extend(ways.iter().map(|way| {
                let ear = &ears[way.ear];
                let outcome = came(way.arrived);
                Trip { src: way.src, dst: ear.node, of: ear.node, at: ear.at.ip(), outcome }
            }));
        }
        Ok(trips)
    }

    /// A connection along every way to each of `ports`: to a listener of ours, or to whatever has the port. On other
    /// hosts nobody knows whether anything has it.
    fn connections(&self, ports: &[u16]) -> Result<Vec<Trip>> {
        let (mut trips, mut calls, mut listeners) = (Vec::new(), Vec::new(), Vec::new());
        for &port in ports {
            let opened = self.inside(|own| own.iter().map(|a| wait_at(*a, port)).collect())?;
            let opened: Vec<Vec<(SocketAddr, Option<TcpListener>)>> =
                opened.into_iter().map(Option::unwrap_or_default).collect();
            for src in (0..self.nodes.len()).filter(|&src| self.networks[src].is_some()) {
                for (dst, at) in self.others(src) {
                    let ours = opened[dst].iter().find(|(place, _)| place.ip() == at);
                    let to = ours.map_or(SocketAddr::new(at, port), |(place, _)| *place);
                    if to.port() != 0 {
                        let outcome = if ours.is_some() { Outcome::Lost } else { Outcome::Unsure };
                        trips.push(Trip { src, dst, of: dst, at, outcome });
                        calls.push((src, to));
                    }
                }
            }
            listeners.extend(opened);
        }
        for (trip, made) in trips.iter_mut().zip(dial::dial(&self.networks, &calls, self.limit)?) {
            if made {
                trip.outcome = Outcome::Arrived;
            }
        }
        Ok(trips)
    }

    /// Which addresses of other nodes answer each node that has a ping(8); `None` for those where nobody can tell.
    fn answers(&self, nodes: Vec<usize>) -> Vec<(usize, Option<BTreeSet<IpAddr>>)> {
        parallel::all(nodes, |src| {
            let list: Vec<IpAddr> =
                self.others(src).into_iter().map(|(_, address)| address).collect();
            (src, ping::answered(&self.nodes[src], &list, self.limit))
        })
    }

    /// A ping along every way.
    fn pings(&self) -> Vec<Trip> {
        let nodes =
            (0..self.nodes.len()).filter(|i| !matches!(self.nodes[*i].via, Via::Address(_)));
        let told = |(src, answered): (usize, Option<BTreeSet<IpAddr>>)| {
            let trips = answered.map(|answered| {
                let trip = move |(dst, at)| Trip {
                    src,
                    dst,
                    of: dst,
                    at,
                    outcome: came(answered.contains(&at)),
                };
                self.others(src).into_iter().map(trip)
            });
            trips.into_iter().flatten().collect::<Vec<_>>()
        };
        self.answers(nodes.collect()).into_iter().flat_map(told).collect()
    }

    /// The round trips from hosts over ssh to each address of other nodes: what is answered came through both ways,
    /// and of what is not nobody can say which way it was lost.
    fn round_trips(&self) -> Vec<Trip> {
        let nodes = (0..self.nodes.len()).filter(|i| matches!(self.nodes[*i].via, Via::Ssh(_)));
        let mut trips = Vec::new();
        for (src, answered) in self.answers(nodes.collect()) {
            let Some(answered) = answered else { continue };
            for (dst, at) in self.others(src) {
                let came = answered.contains(&at);
                let outcome = if came { Outcome::Arrived } else { Outcome::Unsure };
                trips.push(Trip { src, dst, of: dst, at, outcome });
                trips.push(Trip { src: dst, dst: src, of: dst, at, outcome });
            }
        }
        trips
    }
}

fn came(through: bool) -> Outcome {
    if through { Outcome::Arrived } else { Outcome::Lost }
}

/// The networks that these addresses have in the network that we are in.
fn own_networks(addresses: &[IpAddr]) -> Result<Vec<Net>> {
    let all = nix::ifaddrs::getifaddrs().map_err(|e| Error::io("list addresses", &e.into()))?;
    let of = |interface: nix::ifaddrs::InterfaceAddress| {
        let (address, mask) = (interface.address?, interface.netmask?);
        if let (Some(own), Some(mask)) = (address.as_sockaddr_in(), mask.as_sockaddr_in()) {
            return Some((IpAddr::V4(own.ip()), mask.ip().to_bits().count_ones()));
        }
        let (own, mask) = (address.as_sockaddr_in6()?, mask.as_sockaddr_in6()?);
        Some((IpAddr::V6(own.ip()), mask.ip().to_bits().count_ones()))
    };
    let own = all.filter_map(of).filter(|(address, _)| addresses.contains(address));
    Ok(own.map(|(address, bits)| Net::around(address, bits as u8)).collect())
}

fn open(addresses: &[IpAddr], port: u16) -> Result<Opened> {
    let ears = addresses.iter().map(|address| ear(*address, port)).collect::<Result<Vec<_>>>()?;
    let mouth = |any: &str| {
        let socket = UdpSocket::bind(any).ok()?;
        socket.set_nonblocking(true).ok()?;
        Some(socket)
    };
    Ok(Opened { ears, mouths: ["0.0.0.0:0", "[::]:0"].into_iter().filter_map(mouth).collect() })
}

/// A socket at `port` of an address, or at another one where that is taken.
fn ear(address: IpAddr, port: u16) -> Result<(SocketAddr, UdpSocket)> {
    let place = |e: std::io::Error| Error::io(format!("listen at {address}"), &e);
    let socket = match UdpSocket::bind((address, port)) {
        Err(e) if e.kind() == std::io::ErrorKind::AddrInUse => UdpSocket::bind((address, 0)),
        other => other,
    };
    let socket = socket.map_err(place)?;
    socket.set_nonblocking(true).map_err(place)?;
    let at = socket.local_addr().map_err(place)?;
    Ok((at, socket))
}

/// Where an address takes connections at `port`: by a listener of ours, or by whatever has the port already.
fn wait_at(address: IpAddr, port: u16) -> Result<(SocketAddr, Option<TcpListener>)> {
    let place = |e: std::io::Error| Error::io(format!("listen at {address}"), &e);
    match TcpListener::bind((address, port)) {
        Ok(listener) => {
            // Nobody accepts: all that come must find room in the queue.
            listen(&listener, Backlog::MAXCONN).map_err(|errno| place(errno.into()))?;
            let at = listener.local_addr().map_err(place)?;
            Ok((at, Some(listener)))
        }
        Err(e) if e.kind() == std::io::ErrorKind::AddrInUse => {
            Ok((SocketAddr::new(address, port), None))
        }
        Err(e) => Err(place(e)),
    }
}
