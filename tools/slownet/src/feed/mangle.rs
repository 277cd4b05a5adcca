//! The table that iptables-nft makes when it is first used, and leaves behind when its rules are gone.
//!
//! A rule in our own chain remembers that the table was not there before us. So whoever takes the chain away,
//! and be it another process, can take the empty table away too.

use breakit::reach::Network;
use serde_json::Value;

use crate::step::{self, Step};

/// The comment that says so.
pub const MADE: &str = "breakit-made-the-table";

/// Whether nftables has no table mangle of this family but for faults of ours: none now, so that iptables-nft
/// will make it, or one that another of ours made. Whichever of them goes last takes it away.
pub fn is_ours(network: &Network, iptables: &str, v4: bool) -> bool {
    if !step::has(network, "nft") {
        return false;
    }
    let there = Step::new(format!("nft list table {} mangle", family(v4))).output(network);
    // nft does not show the comment; iptables does, but makes the table where it is not there.
    let rules = || Step::new(format!("{iptables} -w -t mangle -S")).output(network);
    there.is_ok_and(|there| !there.status.success())
        || rules().is_ok_and(|rules| String::from_utf8_lossy(&rules.stdout).contains(MADE))
}

/// Takes the table away where nothing is in it but the chain that ours hung from.
///
/// Somebody else may have begun to use it; then it stays, and that is no error.
pub fn remove_if_empty(network: &Network, v4: bool) {
    let family = family(v4);
    let listing = Step::new(format!("nft -j list table {family} mangle"));
    let Ok(text) = listing.run(network) else { return };
    let Ok(listing) = serde_json::from_str::<Value>(&text) else { return };
    if is_bare(&listing) {
        let mut script = String::new();
        // Deleting a chain fails where a rule has come in since, and the whole transaction with it.
        for chain in HUNG_FROM.iter().filter(|chain| has_chain(&listing, chain)) {
            script += &format!("delete chain {family} mangle {chain}\n");
        }
        script += &format!("delete table {family} mangle\n");
        let _ = Step::new("nft -f -").fed(script).output(network);
    }
}

/// The chains from which ours hang.
const HUNG_FROM: [&str; 2] = ["POSTROUTING", "PREROUTING"];

fn family(v4: bool) -> &'static str {
    if v4 { "ip" } else { "ip6" }
}

fn is_bare(listing: &Value) -> bool {
    let objects = || listing["nftables"].as_array().into_iter().flatten();
    let mut chains = objects().filter(|object| !object["chain"].is_null()).peekable();
    let some = chains.peek().is_some();
    let others = ["rule", "set", "map"];
    let foreign = objects().any(|object| others.iter().any(|kind| !object[*kind].is_null()));
    let ours = |object: &Value| {
        let name = object["chain"]["name"].as_str().unwrap_or_default();
        HUNG_FROM.contains(&name) && object["chain"]["policy"] == "accept"
    };
    some && chains.all(ours) && !foreign
}

fn has_chain(listing: &Value, name: &str) -> bool {
    let mut objects = listing["nftables"].as_array().into_iter().flatten();
    objects.any(|object| object["chain"]["name"] == name)
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
        assert!(!is_bare(&json!({"nftables": [{"table": {"name": "mangle"}}]})));
        for more in [json!({"rule": {}}), json!({"chain": {"name": "OUTPUT"}}), json!({"set": {}})]
        {
            let mut used = bare.clone();
            used["nftables"].as_array_mut().unwrap().push(more);
            assert!(!is_bare(&used));
        }
    }
}
