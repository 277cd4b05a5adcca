//! Rules of ours as the kernel has them, by whichever program they were made and listed.

use crate::iptables::Flavour;
use crate::rules::Family;

/// What makes rules: two of one cut in one network differ in this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// nft(8), and which packets its table sees.
    Nft(Family),
    /// ipset(8) and an iptables(8), and which.
    Iptables(Flavour),
}

/// An element of a set of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// Whose packets to whom: `n1 n2`.
    pub who: String,
    /// What the kernel matches, as it says it.
    pub key: String,
    /// Seconds until it expires.
    pub expires: u64,
}

/// Rules of ours as the kernel has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelRules {
    /// What made them.
    pub kind: Kind,
    /// The name that all rules of one cut share.
    pub name: String,
    /// What they drop at this moment.
    pub elements: Vec<Element>,
    /// Which packets of that, in words; empty for all.
    pub packets: String,
    /// Whether rules lead there: somebody may have taken them away beside their sets, which then drop nothing.
    pub in_force: bool,
}
