//! What stands where packets come in by an interface, read from what tc shows.

use serde_json::Value;

/// The block of our filters, which all interfaces of a network share.
pub const BLOCK: u64 = 77;

/// What stands where packets come in by an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Nothing.
    Open,
    /// Our filters.
    Ours,
    /// Somebody else's, as tc shows it.
    Foreign(String),
}

/// The gate of the interface `dev`, among all that `tc -j qdisc show` tells.
pub fn of(qdiscs: &[Value], dev: &Value) -> Gate {
    let is_gate = |qdisc: &&Value| qdisc["dev"] == *dev && qdisc["parent"] == "ffff:fff1";
    match qdiscs.iter().find(is_gate) {
        None => Gate::Open,
        Some(qdisc) if qdisc["ingress_block"] == BLOCK => Gate::Ours,
        Some(qdisc) => Gate::Foreign(qdisc["kind"].as_str().unwrap_or("ingress").to_string()),
    }
}
