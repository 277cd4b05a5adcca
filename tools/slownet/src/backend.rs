//! The ways to make a network slow, and which of them a node can go.

use breakit::exit::{Error, Result};
use breakit::reach::Network;
use clap::ValueEnum;
use serde_json::{Value, json};

use crate::feed::{Feeder, Order};
use crate::parts::Parts;
use crate::probe::{Kernel, Need};
use crate::qdisc::{self, Queue, Tree};
use crate::quantity::Percent;
use crate::step::Step;

/// What `--backend` may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Wanted {
    /// The first that works and can do all parts
    Auto,
    /// The kernel's network emulator: all parts
    Netem,
    /// A class of htb: a rate and nothing else
    Htb,
    /// A queue that swallows what is sent into it: random loss and nothing else
    Blackhole,
}

/// A way to make a network slow, with all that it needs found working.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backend {
    /// netem behind a class that a timed set feeds.
    Netem(Feeder),
    /// A slow class of htb that a timed set feeds.
    Htb(Feeder),
    /// A queue that swallows packets, into which a timed set sends some at random.
    ///
    /// Not a `drop` of nftables: that one the sender sees (TCP sends again at once, sockets with
    /// IP_RECVERR get ENOBUFS), so it would be no loss.
    Blackhole(Feeder),
}

impl Backend {
    /// The backend for `parts` on the kernel under `network`.
    ///
    /// # Errors
    /// 64 where the wanted one cannot do the parts; 69 where nothing here can, with what is missing and
    /// what to do; 77 where nothing may be tried.
    pub fn choose(wanted: Wanted, parts: &Parts, network: &Network) -> Result<Backend> {
        let kernel = Kernel::of(network);
        match wanted {
            Wanted::Netem => Backend::netem(kernel)?.map_err(Error::missing),
            Wanted::Htb => {
                parts.only_rate().ok_or_else(|| {
                    Error::usage("the backend htb limits the rate and does nothing else; leave the other parts out or take --backend netem")
                })?;
                Backend::htb(kernel)?.map_err(Error::missing)
            }
            Wanted::Blackhole => {
                parts.only_loss().ok_or_else(|| {
                    Error::usage("the backend blackhole loses packets at random, without correlation, and does nothing else; leave the other parts out or take --backend netem")
                })?;
                Backend::blackhole(kernel)?.map_err(Error::missing)
            }
            Wanted::Auto => Backend::first(kernel, parts),
        }
    }

    fn first(kernel: Kernel<'_>, parts: &Parts) -> Result<Backend> {
        let mut reasons = match Backend::netem(kernel)? {
            Ok(backend) => return Ok(backend),
            Err(why) => vec![why],
        };
        if parts.only_rate().is_some() {
            match Backend::htb(kernel)? {
                Ok(backend) => return Ok(backend),
                Err(why) => reasons.push(why),
            }
        } else if parts.only_loss().is_some() {
            match Backend::blackhole(kernel)? {
                Ok(backend) => return Ok(backend),
                Err(why) => reasons.push(why),
            }
        } else {
            reasons.push(
                "--rate alone and --loss alone may work without it (slownet probe says)".into(),
            );
        }
        Err(Error::missing(reasons.join("; ")))
    }

    fn netem(kernel: Kernel<'_>) -> Result<std::result::Result<Backend, String>> {
        if let Err(why) = kernel.meets(Need::Netem)? {
            return Ok(Err(format!("netem does not work here: {why}")));
        }
        if let Err(why) = kernel.meets(Need::Htb)? {
            return Ok(Err(format!("netem needs htb beside it, which does not work here: {why}")));
        }
        Ok(kernel.feeder()?.map(Backend::Netem))
    }

    fn htb(kernel: Kernel<'_>) -> Result<std::result::Result<Backend, String>> {
        if let Err(why) = kernel.meets(Need::Htb)? {
            return Ok(Err(format!("htb does not work here: {why}")));
        }
        Ok(kernel.feeder()?.map(Backend::Htb))
    }

    fn blackhole(kernel: Kernel<'_>) -> Result<std::result::Result<Backend, String>> {
        for need in [Need::Htb, Need::Blackhole] {
            if let Err(why) = kernel.meets(need)? {
                return Ok(Err(format!("{} does not work here: {why}", need.word())));
            }
        }
        Ok(kernel.feeder()?.map(Backend::Blackhole))
    }

    /// The word on lines and for `--backend`.
    pub fn word(&self) -> &'static str {
        match self {
            Backend::Netem(_) => "netem",
            Backend::Htb(_) => "htb",
            Backend::Blackhole(_) => "blackhole",
        }
    }

    /// What sends packets into its queue.
    pub fn feeder(&self) -> &Feeder {
        match self {
            Backend::Netem(feeder) | Backend::Htb(feeder) | Backend::Blackhole(feeder) => feeder,
        }
    }

    /// The fields of a line: which, and what feeds it.
    pub fn json(&self) -> Value {
        json!({ "backend": self.word(), "feeder": self.feeder().word() })
    }

    /// The class and the queue below it that do what `parts` say.
    fn queue(&self, parts: &Parts) -> Queue {
        match self {
            Backend::Netem(_) => Queue::netem(parts),
            Backend::Htb(_) => Queue::limited(parts),
            Backend::Blackhole(_) => Queue::blackhole(),
        }
    }

    /// What its queue is called in the kernel.
    pub fn kind(&self) -> &'static str {
        match self {
            Backend::Netem(_) => "netem",
            Backend::Htb(_) => "pfifo",
            Backend::Blackhole(_) => "blackhole",
        }
    }

    /// How many of the packets go into the queue, where not all.
    pub fn share(&self, parts: &Parts) -> Option<Percent> {
        match self {
            Backend::Blackhole(_) => parts.only_loss().filter(|percent| percent.fraction() < 1.0),
            Backend::Netem(_) | Backend::Htb(_) => None,
        }
    }

    /// What makes its queues on the interfaces. Until something is sent into them they do nothing.
    ///
    /// # Errors
    /// 71 where somebody else's queue stands on an interface.
    pub fn queues(&self, order: Order<'_>, parts: &Parts, trees: &[Tree]) -> Result<Vec<Step>> {
        let queue = self.queue(parts);
        let mut steps = Vec::new();
        for tree in trees.iter().filter(|tree| concerns(order, tree)) {
            steps.extend(qdisc::add(tree, order.id, &queue)?);
        }
        Ok(steps)
    }
}

fn concerns(order: Order<'_>, tree: &Tree) -> bool {
    order.interfaces.iter().any(|interface| interface.name == tree.interface)
}
