//! Which nodes hang on a bridge of this host: asked of the kernel over rtnetlink(7).
//!
//! A node's interface does when its peer is a bridge port in our network. The kernel knows peers by index,
//! and indices repeat from one namespace to another; so the peer's namespace is compared too, by the
//! number that our own namespace has given the node's.

use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use breakit::exit::{Error, Result, Status};
use breakit::node::Node;
use breakit::reach::Network;
use nix::sys::socket::SockProtocol;

use breakit::netlink::{Ask, as_number, ask, attribute, attributes, find};

const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_GETNSID: u16 = 90;
const IFLA_LINK: u16 = 5;
const IFLA_LINKINFO: u16 = 18;
const IFLA_LINK_NETNSID: u16 = 37;
const IFLA_INFO_SLAVE_KIND: u16 = 4;
const NETNSA_NSID: u16 = 1;
const NETNSA_FD: u16 = 3;
/// The size of struct ifinfomsg.
const IFINFO: usize = 16;
/// Where it has the link's index.
const INDEX: usize = 4;
/// The size of struct rtgenmsg, padded.
const RTGEN: usize = 4;

/// A bridge port of our network whose other end lies in another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Port {
    /// Its own index.
    index: u32,
    /// The other end's index in its own network.
    peer: u32,
    /// The number that our network has given the other one.
    network: i32,
}

/// Bridge ports of our network, as they were when it was asked.
pub struct Bridges {
    ports: Vec<Port>,
}

impl Bridges {
    /// Asks the kernel.
    ///
    /// # Errors
    /// 71 where it does not answer.
    pub fn here() -> Result<Bridges> {
        let mut ports = Vec::new();
        ask(SockProtocol::NetlinkRoute, RTM_GETLINK, Ask::All, &[0; IFINFO], |kind, body| {
            if kind == RTM_NEWLINK {
                ports.extend(port(body));
            }
        })
        .map_err(|e| Error::io("ask the kernel for its links", &e.into()))?;
        Ok(Bridges { ports })
    }

    /// Why not every packet from and to `node` passes a bridge of this host; `None` where it does.
    ///
    /// # Errors
    /// 66 where the node does not run, 77 and 71 from the system.
    pub fn why_not(&self, node: &Node, addresses: &[IpAddr]) -> Result<Option<String>> {
        let network = match Network::of(node)? {
            Network::Ssh(host) => {
                return Ok(Some(format!("{} is another host, {host}", node.name)));
            }
            Network::Here => return Ok(Some(format!("{} is this host itself", node.name))),
            Network::Namespace(network) => network,
        };
        let Some(number) = number_of(network.as_fd())? else {
            return Ok(Some(format!("{} hangs on no bridge of this host", node.name)));
        };
        let interfaces = Network::Namespace(network).inside(interfaces)?;
        for address in addresses {
            let on_bridge = interfaces.iter().any(|(index, has)| {
                let leads = |port: &Port| (port.peer, port.network) == (*index, number);
                has == address && self.ports.iter().any(leads)
            });
            if !on_bridge {
                return Ok(Some(format!(
                    "{}'s address {address} is on no interface that hangs on a bridge of this host",
                    node.name
                )));
            }
        }
        Ok(None)
    }

    /// The indices of all bridge ports that lead to `node`; none where it does not run.
    ///
    /// # Errors
    /// 77 and 71 from the system.
    pub fn ports_of(&self, node: &Node) -> Result<Vec<u32>> {
        let network = match Network::of(node) {
            Ok(Network::Namespace(network)) => network,
            Ok(Network::Here | Network::Ssh(_)) => return Ok(Vec::new()),
            Err(error) if error.status() == Status::NoInput => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let number = number_of(network.as_fd())?;
        let leads = |port: &&Port| Some(port.network) == number;
        Ok(self.ports.iter().filter(leads).map(|port| port.index).collect())
    }
}

/// The number that our network has given another, if it has.
fn number_of(network: BorrowedFd<'_>) -> Result<Option<i32>> {
    let body = [vec![0; RTGEN], attribute(NETNSA_FD, &network.as_raw_fd().to_ne_bytes())].concat();
    let mut number = None;
    ask(SockProtocol::NetlinkRoute, RTM_GETNSID, Ask::One, &body, |_, answer| {
        let attributes = attributes(answer.get(RTGEN..).unwrap_or_default());
        number = find(attributes, NETNSA_NSID).and_then(as_number).filter(|n| *n >= 0);
    })
    .map_err(|e| Error::io("ask the kernel for a network's number", &e.into()))?;
    Ok(number)
}

/// The interfaces of the network that we are in, by index, with their addresses.
fn interfaces() -> Result<Vec<(u32, IpAddr)>> {
    let all = nix::ifaddrs::getifaddrs().map_err(|e| Error::io("list addresses", &e.into()))?;
    let of = |interface: nix::ifaddrs::InterfaceAddress| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
        let address = v4.or_else(|| address.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip())))?;
        let index = nix::net::if_::if_nametoindex(interface.interface_name.as_str()).ok()?;
        Some((index, address))
    };
    Ok(all.filter_map(of).collect())
}

/// A link's message as a bridge port with its other end elsewhere, where it is one.
fn port(message: &[u8]) -> Option<Port> {
    let (head, link) = (message.get(..IFINFO)?, message.get(IFINFO..)?);
    let index = head.get(INDEX..).and_then(as_number)?;
    let info = find(attributes(link), IFLA_LINKINFO)?;
    let master = find(attributes(info), IFLA_INFO_SLAVE_KIND)?;
    if master.strip_suffix(b"\0").unwrap_or(master) != b"bridge" {
        return None;
    }
    let peer = find(attributes(link), IFLA_LINK).and_then(as_number)?;
    let network = find(attributes(link), IFLA_LINK_NETNSID).and_then(as_number)?;
    Some(Port { index: u32::try_from(index).ok()?, peer: u32::try_from(peer).ok()?, network })
}
