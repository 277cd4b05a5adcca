//! The table that iptables-nft makes when it is first used, and leaves behind when its rules are gone.
//!
//! A rule in our own chain remembers that the table was not there before us. So whoever takes the chain away,
//! and be it another process, can take the empty table away too.

use breakit::reach::Network;
use serde_json::Value;

use crate::step::{self, Step};

/// The comment that says so.
pub const MADE: &str = "breakit-made-the-table";

/// Whether nftables has no table mangle of this family now, so that iptables-nft will make it.
pub fn is_absent(network: &Network, v4: bool) -> bool {
    step::has(network, "nft")
        && Step::new(format!("nft list table {} mangle", family(v4)))
            .output(network)
            .is_ok_and(|output| !output.status.success())
}

/// Takes the table away where nothing is in it but the chain that ours hung from.
///
/// Somebody else may have begun to use it; then it stays, and that is no error.
pub fn remove_if_empty(network: &Network, v4: bool) {
    let family = family(v4);
    let listing = Step::new(format!("nft -j list table {family} mangle"));
    let Ok(text) = listing.run(network) else { return };
    if serde_json::from_str(&text).is_ok_and(|listing: Value| is_bare(&listing)) {
        // Deleting the chain fails where a rule has come in since, and the whole transaction with it.
        let script =
            format!("delete chain {family} mangle POSTROUTING\ndelete table {family} mangle\n");
        let _ = Step::new("nft -f -").fed(script).output(network);
    }
}

fn family(v4: bool) -> &'static str {
    if v4 { "ip" } else { "ip6" }
}

fn is_bare(listing: &Value) -> bool {
    let objects = || listing["nftables"].as_array().into_iter().flatten();
    let chains = objects().filter(|object| !object["chain"].is_null()).count();
    let others = ["rule", "set", "map"];
    let foreign = objects().any(|object| others.iter().any(|kind| !object[*kind].is_null()));
    let ours = objects().any(|object| {
        object["chain"]["name"] == "POSTROUTING" && object["chain"]["policy"] == "accept"
    });
    chains == 1 && ours && !foreign
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_table_that_somebody_uses_is_not_bare() {
        let chain = json!({"chain": {"name": "POSTROUTING", "policy": "accept"}});
        let bare = json!({"nftables": [{"table": {"name": "mangle"}}, chain]});
        assert!(is_bare(&bare));
        for more in [json!({"rule": {}}), json!({"chain": {"name": "OUTPUT"}}), json!({"set": {}})]
        {
            let mut used = bare.clone();
            used["nftables"].as_array_mut().unwrap().push(more);
            assert!(!is_bare(&used));
        }
    }
}
