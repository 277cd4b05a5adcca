//! Whether peers that are no nodes are cut off: asked before the cut and after it, for of a peer only its answers are
//! known.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use breakit::exit::{Error, Result};
use breakit::messages;
use breakit::node::{Node, Via};
use breakit::reach::Network;

use crate::check::network_here;
use crate::packets::{Packets, Protocol};
use crate::peer::Peers;
use crate::{dial, parallel, ping};

/// Peers that answered nodes before they were cut off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answered(BTreeSet<(usize, IpAddr)>);

/// What can be asked of a peer such that the packets of the cut carry it.
enum Question {
    /// A ping.
    Ping,
    /// A connection to one of these ports.
    Connection(Vec<u16>),
    /// Nothing that is known to be answered.
    None,
}

impl Question {
    fn about(packets: &Packets) -> Question {
        let has = |protocol| packets.protocols().is_none_or(|all| all.contains(&protocol));
        let ports: Vec<u16> =
            packets.ports_of(Protocol::Tcp).iter().map(|ports| ports.first).collect();
        match (has(Protocol::Tcp) && !ports.is_empty(), has(Protocol::Icmp)) {
            (true, _) => Question::Connection(ports),
            (false, true) => Question::Ping,
            (false, false) => Question::None,
        }
    }
}

/// The peers that are single addresses, each once.
fn addresses(peers: &Peers) -> BTreeSet<IpAddr> {
    let nets = peers.from.iter().chain(&peers.to).flat_map(|peer| &peer.nets);
    nets.filter_map(|net| net.single()).collect()
}

/// Which peers answer which of `nodes` within `limit`.
///
/// # Errors
/// 77 and 71 from the system.
pub fn ask(nodes: &[Node], peers: &Peers, packets: &Packets, limit: Duration) -> Result<Answered> {
    let addresses: Vec<IpAddr> = addresses(peers).into_iter().collect();
    let found = match Question::about(packets) {
        Question::None => BTreeSet::new(),
        Question::Ping => {
            let asked = parallel::all((0..nodes.len()).collect(), |node: usize| {
                let is_known = matches!(nodes[node].via, Via::Address(_));
                let answered =
                    if is_known { None } else { ping::answered(&nodes[node], &addresses, limit) };
                answered.into_iter().flatten().map(|address| (node, address)).collect::<Vec<_>>()
            });
            asked.into_iter().flatten().collect()
        }
        Question::Connection(ports) => {
            let networks: Vec<Option<Network>> =
                nodes.iter().map(network_here).collect::<Result<_>>()?;
            let mut calls = Vec::new();
            for node in 0..nodes.len() {
                let to = addresses
                    .iter()
                    .flat_map(|at| ports.iter().map(|port| SocketAddr::new(*at, *port)));
                calls.extend(to.map(|to| (node, to)));
            }
            let made = dial::dial(&networks, &calls, limit)?;
            let made = calls.into_iter().zip(made).filter(|(_, made)| *made);
            made.map(|((node, to), _)| (node, to.ip())).collect()
        }
    };
    Ok(Answered(found))
}

/// Compares what answers now with what `before` did, and says what could not be measured.
///
/// # Errors
/// 71 where a peer answers still.
pub fn compare(nodes: &[Node], peers: &Peers, before: &Answered, now: &Answered) -> Result<()> {
    if let Some((node, address)) = now.0.first() {
        return Err(Error::system(format!(
            "the cut is not in force: packets still pass between {} and {address}; another way than this address leads there",
            nodes[*node].name
        )));
    }
    let silent =
        |address: &IpAddr| !(0..nodes.len()).any(|node| before.0.contains(&(node, *address)));
    let silent: Vec<String> =
        addresses(peers).iter().filter(|address| silent(address)).map(IpAddr::to_string).collect();
    if let [first, rest @ ..] = silent.as_slice() {
        let more =
            if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
        messages::error(format!(
            "--verify could not measure {first}{more}: no answer to such packets came before the cut either"
        ));
    }
    let nets = peers.from.iter().chain(&peers.to).filter(|p| p.nets.iter().any(|n| !n.is_single()));
    if let Some(peer) = nets.into_iter().next() {
        messages::error(format!(
            "--verify could not measure the network {}: it asks single addresses; name some",
            peer.said
        ));
    }
    Ok(())
}
