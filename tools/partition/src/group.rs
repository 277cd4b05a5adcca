//! Multicast and broadcast between nodes, measured: what a heartbeat of many clusters is.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::time::Duration;

use breakit::exit::{Error, Result};
use breakit::node::Node;
use breakit::reach::Network;

use crate::check::network_here;
use crate::datagrams::{Ear, Way, exchange};

/// Groups that are nobody's: of an organization's own range, and of transient ones in a site.
const GROUP4: Ipv4Addr = Ipv4Addr::new(239, 255, 98, 107);
const GROUP6: Ipv6Addr = Ipv6Addr::new(0xff15, 0, 0, 0, 0, 0, 0x6272, 0x6b);

/// An address of a node, as something can be sent from it.
struct Source {
    address: IpAddr,
    /// The interface that has it, and its network's broadcast address.
    index: u32,
    broadcast: Option<Ipv4Addr>,
    socket: UdpSocket,
}

/// What is opened at a node.
struct Opened {
    ears: Vec<(SocketAddr, UdpSocket)>,
    sources: Vec<Source>,
}

/// Between which of these pairs, sender first, multicast or broadcast passes.
///
/// Nodes that are no network of this host or do not run are left out: nobody can measure there.
///
/// # Errors
/// 77 and 71 from the system.
pub fn heard(
    nodes: &[Node],
    addresses: &[Vec<IpAddr>],
    pairs: &[(usize, usize)],
    limit: Duration,
) -> Result<BTreeSet<(usize, usize)>> {
    let all: Vec<Option<Opened>> = breakit::node::at_once(nodes, |node| {
        let own = nodes.iter().position(|n| n.name == node.name).map(|i| addresses[i].as_slice());
        match network_here(node)? {
            None => Ok(None),
            Some(network) => open(&network, own.unwrap_or_default()).map(Some),
        }
    })
    .into_iter()
    .collect::<Result<_>>()?;
    let (mut ears, mut sources) = (Vec::new(), Vec::new());
    for (node, opened) in all.into_iter().enumerate() {
        let opened = opened.unwrap_or(Opened { ears: Vec::new(), sources: Vec::new() });
        ears.extend(opened.ears.into_iter().map(|(at, socket)| Ear { node, at, socket }));
        sources.push(opened.sources);
    }
    let mut ways: Vec<Way<'_>> = pairs
        .iter()
        .flat_map(|&(src, dst)| {
            let of = ears.iter().enumerate().filter(move |(_, ear)| ear.node == dst);
            of.map(move |(number, ear)| (src, number, ear))
        })
        .map(|(src, ear, hears)| {
            let by = sources[src].iter().flat_map(|source| source.sends_to(hears.at)).collect();
            Way { src, ear, by, arrived: false }
        })
        .collect();
    exchange(&ears, &mut ways, limit)?;
    Ok(ways.iter().filter(|way| way.arrived).map(|way| (way.src, ears[way.ear].node)).collect())
}

impl Source {
    /// By what and to where it sends for an ear at `at`.
    fn sends_to(&self, at: SocketAddr) -> Vec<(&UdpSocket, SocketAddr)> {
        let port = at.port();
        match (self.address, at.ip()) {
            (IpAddr::V4(_), IpAddr::V4(group)) if group.is_multicast() => {
                vec![(&self.socket, at)]
            }
            (IpAddr::V4(_), IpAddr::V4(all)) => {
                let each = [Some(all), self.broadcast].into_iter().flatten();
                each.map(|to| (&self.socket, (to, port).into())).collect()
            }
            (IpAddr::V6(_), IpAddr::V6(group)) => {
                vec![(&self.socket, SocketAddrV6::new(group, port, 0, self.index).into())]
            }
            _ => Vec::new(),
        }
    }
}

/// In a network of this host: an ear for each group and for broadcast, and a socket for each of these addresses.
fn open(network: &Network, addresses: &[IpAddr]) -> Result<Opened> {
    network.inside(|| {
        let wrong = |e: std::io::Error| Error::io("open a socket for multicast", &e);
        let interfaces =
            nix::ifaddrs::getifaddrs().map_err(|e| Error::io("list addresses", &e.into()))?;
        let mut sources = Vec::new();
        for interface in interfaces {
            let address = |of: Option<nix::sys::socket::SockaddrStorage>| {
                let of = of?;
                let v4 = of.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
                v4.or_else(|| of.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip())))
            };
            let Some(own) = address(interface.address) else { continue };
            if !addresses.contains(&own) {
                continue;
            }
            let index = nix::net::if_::if_nametoindex(interface.interface_name.as_str())
                .map_err(std::io::Error::from);
            let broadcast = match address(interface.broadcast) {
                Some(IpAddr::V4(all)) => Some(all),
                _ => None,
            };
            // What cannot send sends nothing that could pass.
            let bound = index.and_then(|index| Ok((index, UdpSocket::bind(place(own, index))?)));
            if let Ok((index, socket)) = bound {
                socket.set_nonblocking(true).map_err(wrong)?;
                socket.set_broadcast(own.is_ipv4()).map_err(wrong)?;
                sources.push(Source { address: own, index, broadcast, socket });
            }
        }
        let ears = ears(&sources).map_err(wrong)?;
        Ok(Opened { ears, sources })
    })
}

/// Any port of an address of ours: one that is known on its link alone needs the interface.
fn place(own: IpAddr, index: u32) -> SocketAddr {
    match own {
        IpAddr::V6(own) if own.is_unicast_link_local() => {
            SocketAddrV6::new(own, 0, 0, index).into()
        }
        own => (own, 0).into(),
    }
}

fn ears(sources: &[Source]) -> std::io::Result<Vec<(SocketAddr, UdpSocket)>> {
    let (mut group4, mut group6) = (None, None);
    for source in sources {
        // A second membership by the same interface is refused, and needless.
        match source.address {
            IpAddr::V4(own) => {
                let _ = made(&mut group4, "0.0.0.0:0")?.join_multicast_v4(&GROUP4, &own);
            }
            IpAddr::V6(_) => {
                let _ = made(&mut group6, "[::]:0")?.join_multicast_v6(&GROUP6, source.index);
            }
        }
    }
    let all = group4.is_some().then(|| UdpSocket::bind("0.0.0.0:0")).transpose()?;
    let each: [(IpAddr, Option<UdpSocket>); 3] =
        [(GROUP4.into(), group4), (GROUP6.into(), group6), (Ipv4Addr::BROADCAST.into(), all)];
    let mut ears = Vec::new();
    for (to, socket) in each {
        if let Some(socket) = socket {
            socket.set_nonblocking(true)?;
            ears.push(((to, socket.local_addr()?.port()).into(), socket));
        }
    }
    Ok(ears)
}

fn made<'a>(socket: &'a mut Option<UdpSocket>, any: &str) -> std::io::Result<&'a UdpSocket> {
    if socket.is_none() {
        *socket = Some(UdpSocket::bind(any)?);
    }
    socket.as_ref().ok_or_else(|| std::io::ErrorKind::NotFound.into())
}
