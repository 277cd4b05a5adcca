//! The ways to make a network slow, and which of them a node can go.

use breakit::exit::{Error, Result};
use breakit::reach::Network;
use clap::ValueEnum;
use serde_json::{Value, json};

use crate::feed::{Feeder, Order, nft};
use crate::parts::Parts;
use crate::probe::{Kernel, Need};
use crate::qdisc::{self, Tree};
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
    /// nftables where packets leave: random loss and nothing else
    NftLoss,
}

/// A way to make a network slow, with all that it needs found working.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backend {
    /// netem behind a class that a timed set feeds.
    Netem(Feeder),
    /// A slow class of htb that a timed set feeds.
    Htb(Feeder),
    /// A timed set in nftables' egress hook that loses packets.
    NftLoss,
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
            Wanted::NftLoss => {
                parts.only_loss().ok_or_else(|| {
                    Error::usage("the backend nft-loss loses packets at random, without correlation, and does nothing else; leave the other parts out or take --backend netem")
                })?;
                Backend::nft_loss(kernel)?.map_err(Error::missing)
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
            match Backend::nft_loss(kernel)? {
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

    fn nft_loss(kernel: Kernel<'_>) -> Result<std::result::Result<Backend, String>> {
        let met = kernel.meets(Need::NftEgress)?;
        Ok(met
            .map(|()| Backend::NftLoss)
            .map_err(|why| format!("nft-loss does not work here: {why}")))
    }

    /// The word on lines and for `--backend`.
    pub fn word(&self) -> &'static str {
        match self {
            Backend::Netem(_) => "netem",
            Backend::Htb(_) => "htb",
            Backend::NftLoss => "nft-loss",
        }
    }

    /// The fields of a line: which, and what feeds it.
    pub fn json(&self) -> Value {
        match self {
            Backend::Netem(feeder) | Backend::Htb(feeder) => {
                json!({ "backend": self.word(), "feeder": feeder.word() })
            }
            Backend::NftLoss => json!({ "backend": self.word() }),
        }
    }

    /// What the queue of a fault is called in the kernel, where there is one.
    pub fn queue(&self) -> Option<&'static str> {
        match self {
            Backend::Netem(_) => Some("netem"),
            Backend::Htb(_) => Some("pfifo"),
            Backend::NftLoss => None,
        }
    }

    /// What puts the parts in force. The set comes last, so that the fault begins at one instant.
    ///
    /// # Errors
    /// 71 where somebody else's queue stands on an interface, 69 where a family cannot be fed.
    pub fn start(&self, order: Order<'_>, parts: &Parts, trees: &[Tree]) -> Result<Vec<Step>> {
        match self {
            Backend::Netem(feeder) | Backend::Htb(feeder) => {
                let with_netem = matches!(self, Backend::Netem(_));
                let feed = feeder.start(order)?;
                let mut steps = Vec::new();
                for tree in trees.iter().filter(|tree| concerns(order, tree)) {
                    steps.extend(qdisc::add(tree, order.id, parts, with_netem)?);
                }
                steps.extend(feed);
                Ok(steps)
            }
            Backend::NftLoss => Ok(vec![nft::start(order, lose(parts)?)]),
        }
    }

    /// What gives it another lease; fails where it is not in force any more.
    ///
    /// # Errors
    /// 64 where the parts are not this backend's.
    pub fn renew(&self, order: Order<'_>, parts: &Parts) -> Result<Vec<Step>> {
        match self {
            Backend::Netem(feeder) | Backend::Htb(feeder) => {
                Ok(feeder.renew(order.id, order.traffic, order.lease))
            }
            Backend::NftLoss => {
                Ok(vec![nft::renew(order.id, order.traffic, order.lease, lose(parts)?)])
            }
        }
    }
}

fn concerns(order: Order<'_>, tree: &Tree) -> bool {
    order.interfaces.iter().any(|interface| interface.name == tree.interface)
}

fn lose(parts: &Parts) -> Result<nft::Verdict> {
    let percent: Option<Percent> = parts.only_loss();
    percent
        .map(nft::Verdict::Lose)
        .ok_or_else(|| Error::usage("the backend nft-loss loses packets and does nothing else"))
}
