//! On which side of a link a delay line stands.
//!
//! A packet that the firewall's queue holds at its sender stays charged to the socket that sent it, which TCP
//! does not bear (see [`crate::line::inject`]); where it is received it is charged to nobody. So where the nodes
//! at the other end were named, and nobody said `--direction`, a line stands there: the same packets, struck where
//! they come in and not where they go out. What that would change stays at the sender.

use breakit::exit::Result;
use breakit::node::Node;
use breakit::reach::Network;
use breakit::talk;

use crate::backend::{Backend, Choices};
use crate::interface;
use crate::link::Link;
use crate::parts::Parts;
use crate::traffic::{Direction, Prefix, Traffic, Whom};

/// The links, each on its better side; where it would meet another there it stays.
///
/// # Errors
/// As [`Network::of`] and [`interface::on_link`].
pub fn better(links: Vec<Link>, choices: &mut Choices) -> Result<Vec<Link>> {
    let moved: Vec<Option<Link>> =
        links.iter().map(|link| at_the_receivers(link, choices)).collect::<Result<_>>()?;
    let meets = |number: usize, link: &Link| {
        let others = links.iter().zip(&moved).enumerate().filter(|(other, _)| *other != number);
        let mut others = others.flat_map(|(_, (as_said, moved))| moved.iter().chain([as_said]));
        others.any(|other| other.meets(link))
    };
    let settled = links.iter().zip(&moved).enumerate().map(|(number, (as_said, moved))| {
        let moved = moved.as_ref().filter(|moved| !meets(number, moved))?.clone();
        talk::detail(format!("what {} is sent is struck where it is received", names(as_said)));
        Some(moved)
    });
    let settled: Vec<Option<Link>> = settled.collect();
    Ok(settled.into_iter().zip(links).map(|(moved, as_said)| moved.unwrap_or(as_said)).collect())
}

fn names(link: &Link) -> String {
    link.receivers.iter().map(|node| node.name.as_str()).collect::<Vec<_>>().join(",")
}

/// The same link seen from its other end, where a delay line does better there.
fn at_the_receivers(link: &Link, choices: &mut Choices) -> Result<Option<Link>> {
    if link.receivers.is_empty() || !does_the_same_there(link) {
        return Ok(None);
    }
    for (nodes, direction) in [(&link.nodes, Direction::Out), (&link.receivers, Direction::In)] {
        for node in nodes {
            // A host of its own has logins, which are spared where they leave it.
            let network @ Network::Namespace(_) = Network::of(node)? else { return Ok(None) };
            // What stands in the way is told where it is chosen to be used.
            match choices.choose(&link.parts, direction, &network) {
                Ok(Backend::Nfqueue(_)) => {}
                _ => return Ok(None),
            }
        }
    }
    let mut senders = Whom::default();
    senders.add(&link.nodes)?;
    for receiver in &link.receivers {
        if !sees(receiver, &senders)? {
            return Ok(None);
        }
    }
    let Whom { blocks, named, .. } = senders;
    let traffic = Traffic::new(blocks, link.traffic.protocol, link.traffic.ports.clone());
    Ok(Some(Link {
        nodes: link.receivers.clone(),
        parts: link.parts.clone(),
        traffic: traffic.going(Direction::In),
        named,
        receivers: Vec::new(),
    }))
}

/// Whether it makes no difference to packets: nothing doubles what came in; and what one packet does to the next
/// (a rate, a burst of losses) would be of a receiver's and no more of a sender's, unless there is one of each.
fn does_the_same_there(link: &Link) -> bool {
    let Parts { duplicate, .. } = link.parts;
    let is_pair = link.nodes.len() == 1 && link.receivers.len() == 1;
    duplicate.is_none() && (is_pair || link.parts.strike_each_alone())
}

/// Whether packets of all `senders` come to `receiver` under their own addresses: over one link, for what routes
/// may translate addresses.
fn sees(receiver: &Node, senders: &Whom) -> Result<bool> {
    let on_link = interface::on_link(&Network::of(receiver)?)?;
    let seen = |address: &Prefix| on_link.iter().any(|block| block.covers(*address));
    Ok(senders.named.values().all(|addresses| {
        [true, false].into_iter().all(|v4| {
            let mut of_family = addresses.iter().filter(|a| a.is_v4() == v4).peekable();
            of_family.peek().is_none()
                || !on_link.iter().any(|block| block.is_v4() == v4)
                || of_family.any(seen)
        })
    }))
}
