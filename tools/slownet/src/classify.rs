//! What sends packets into a fault: sets of addresses whose elements the kernel itself lets expire.
//!
//! Here lies the lease. When the holder dies, the elements go, and packets pass our classes by.

pub mod chains;
pub mod ipset;
pub mod mangle;
pub mod nft;

use breakit::exit::Result;
use breakit::lease::Lease;
use breakit::reach::Network;
use serde_json::{Value, json};

use crate::fault_id::FaultId;
use crate::interface::Interface;
use crate::quantity::Percent;
use crate::set_comment;
use crate::step::Step;
use crate::traffic::{Traffic, Way};
use breakit::net::Net;

/// Where the struck packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Into the fault's class of traffic, and on.
    Class,
    /// To the fault's delay line: what goes out into the class, which is led to the line where it leaves; what comes in
    /// into a packet queue, and past it where nobody listens.
    Line,
}

impl Target {
    /// Whether packets that go that way are sent into a packet queue, and not into a class.
    pub fn is_queue(self, way: Way) -> bool {
        self == Target::Line && way == Way::In
    }
}

/// What a set on a node must know.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// Whose it is.
    pub id: FaultId,
    /// Where to.
    pub target: Target,
    /// Which packets.
    pub traffic: &'a Traffic,
    /// Only so many of them, drawn at random.
    pub share: Option<Percent>,
    /// Whether packets are known by the addresses and ports that they had before this network translated them, too.
    pub translated: bool,
    /// By which interfaces.
    pub interfaces: &'a [Interface],
    /// Whose sshd stays quick.
    pub seat: &'a [u16],
    /// What runs a command in the node's network, for who is to type it.
    pub enter: &'a str,
    /// For how long.
    pub lease: Lease,
}

/// A way to send packets into a class or a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Feeder {
    /// nftables: `meta priority set`, `queue`.
    Nft,
    /// ipset and the targets CLASSIFY and NFQUEUE of iptables.
    Ipset(ipset::Tables),
}

impl Feeder {
    /// The word on lines.
    pub fn word(&self) -> &'static str {
        match self {
            Feeder::Nft => "nft",
            Feeder::Ipset(_) => "ipset",
        }
    }

    /// What starts to feed the class of the fault.
    ///
    /// # Errors
    /// 69 where a family is needed that this way cannot feed.
    pub fn start(&self, order: Order<'_>, network: &Network) -> Result<Vec<Step>> {
        match self {
            Feeder::Nft => Ok(vec![nft::start(order)]),
            Feeder::Ipset(tables) => tables.start(order, network),
        }
    }

    /// Whether the fault is fed: its sets are there, and rules that lead what is in them to the target.
    ///
    /// # Errors
    /// As [`Step::output`].
    pub fn feeds(
        &self,
        network: &Network,
        id: FaultId,
        target: Target,
        traffic: &Traffic,
    ) -> Result<bool> {
        match self {
            Feeder::Nft => nft::feeds(network, id),
            Feeder::Ipset(tables) => {
                Ok(ipset::has_sets(network, id)? && tables.lead(network, id, target, traffic))
            }
        }
    }

    /// What ends the lease of the elements now: no packet is fed any more, but chains and hooks stay.
    pub fn starve(&self, id: FaultId) -> Vec<Step> {
        match self {
            Feeder::Nft => vec![nft::starve(id)],
            Feeder::Ipset(_) => ipset::starve(id),
        }
    }

    /// What gives the elements another lease. It fails where they are not there any more.
    pub fn renew(&self, id: FaultId, traffic: &Traffic, lease: Lease) -> Vec<Step> {
        match self {
            Feeder::Nft => vec![nft::renew(id, traffic, lease)],
            Feeder::Ipset(tables) => vec![tables.renew(id, traffic, lease)],
        }
    }
}

/// One of our sets with what is in it, as the kernel has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Fed {
    /// Whose it is.
    pub id: FaultId,
    /// How: `nft` or `ipset`.
    pub how: &'static str,
    /// Which packets; none where all elements have expired.
    pub traffic: Option<Traffic>,
    /// Seconds until the last element expires; 0 where all have.
    pub left: u64,
    /// How many in a hundred it takes, where not all.
    pub share: Option<f64>,
    /// Whether more is left alone than the traffic says.
    pub more_excepted: bool,
    /// Whether the table has rules, where they lie beside the sets.
    pub has_rules: bool,
}

impl Fed {
    /// Whether packets are sent to `target`: elements are left, and rules that lead them there.
    pub fn strikes(&self, network: &Network, target: Target) -> bool {
        self.traffic.as_ref().is_some_and(|traffic| match self.how {
            "ipset" => ipset::leads(network, self.id, target, traffic),
            _ => self.has_rules,
        })
    }

    /// The fields of a line.
    pub fn json(&self) -> Value {
        let left = format!("{}s", self.left);
        let mut fields = json!({ "feeder": self.how, "to": [], "left": left });
        if let (Value::Object(fields), Some(Value::Object(traffic))) =
            (&mut fields, self.traffic.as_ref().map(Traffic::json))
        {
            fields.extend(traffic);
        }
        if self.more_excepted
            && let Some(except) = fields["except"].as_array_mut()
        {
            except.push("...".into());
        }
        if let Some(share) = self.share {
            fields["share"] = format!("{share}%").into();
        }
        fields
    }
}

/// The traffic of elements that are still there.
fn fed_traffic(elements: &[Net], noted: &str) -> Option<Traffic> {
    (!elements.is_empty()).then(|| set_comment::read(elements, noted))
}

/// All that feeds the faults `wanted` in a network, by whatever means.
///
/// # Errors
/// 77 and 71 as the system says. A program that is missing has made nothing.
pub fn all(network: &Network, wanted: impl Fn(FaultId) -> bool) -> Result<Vec<Fed>> {
    let mut fed = nft::list(network, &wanted)?;
    fed.extend(ipset::list(network, &wanted)?);
    Ok(fed)
}

/// Stops feeding the faults `ours`: from here on they strike nobody. Gives whose it stopped.
///
/// # Errors
/// All that stood in the way.
pub fn stop(network: &Network, ours: impl Fn(FaultId) -> bool) -> (Vec<FaultId>, Result<()>) {
    let (mut stopped, mut errors) = (Vec::new(), Vec::new());
    for (ids, result) in [nft::stop(network, &ours), ipset::stop(network, &ours)] {
        stopped.extend(ids);
        errors.extend(result.err());
    }
    (stopped, breakit::exit::Error::all(errors))
}
