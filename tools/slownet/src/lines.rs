//! The delay lines of one fault at one node: in this process, or in its copy on another host.

use breakit::exit::{Error, Result};
use breakit::lease::Lease;
use breakit::node::Node;
use breakit::reach::Network;
use breakit::rng;

use crate::agent::{self, Agents};
use crate::line::order::Order;
use crate::line::{Line, Place};

/// Lines at work. They end when this is dropped.
#[derive(Debug)]
pub enum Lines {
    /// In this process.
    Here(Vec<Line>),
    /// In a copy of this program.
    There(agent::Lines),
}

impl Lines {
    /// Opens them at `node`. No packet comes before a rule sends it.
    ///
    /// # Errors
    /// As [`Line::open`] and [`Agents::open`]; 69 on another host if no copy of this program may work there.
    pub fn open(node: &Node, agents: Option<&Agents>, order: &Order<'_>) -> Result<Lines> {
        if let Network::Ssh(host) = Network::of(node)? {
            let agents = agents.ok_or_else(|| Error::missing(agent::not_allowed(&host)))?;
            return agents.open(&host, order).map(Lines::There);
        }
        let open = |(place, purpose): &(Place, String)| {
            let rng = rng::generator(order.seed, purpose);
            Line::open(Network::of(node)?, order.id, place.clone(), order.parts.clone(), rng)
        };
        order.places.iter().map(open).collect::<Result<_>>().map(Lines::Here)
    }

    /// Whether all of them are at work still in `network`. Those on another host go on for another lease then.
    pub fn work(&self, network: &Network, lease: Lease) -> bool {
        match self {
            Lines::Here(lines) => lines.iter().all(|line| line.works(network)),
            Lines::There(lines) => lines.work(lease),
        }
    }
}
