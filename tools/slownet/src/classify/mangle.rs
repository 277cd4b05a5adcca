//! The table that iptables-nft makes when it is first used, and leaves behind when its rules are gone.
//!
//! A rule in our own chain remembers that the table was not there before us. So whoever takes the chain away,
//! and be it another process, can take the empty table away too.

use std::process::Output;

use breakit::reach::Network;
use serde_json::Value;

use super::nft::lacks_nf_tables;
use crate::kernel::{self, Family};
use crate::step::{self, Step};

/// The table's name.
pub const NAME: &str = "mangle";

/// The comment that says so.
pub const MADE: &str = "breakit-made-the-table";

/// Whether nftables has no table mangle of this family but for faults of ours: none now, so that iptables-nft
/// will make it, or one that another of ours made. Whichever of them goes last takes it away.
pub fn is_ours(network: &Network, iptables: &str, v4: bool) -> bool {
    if !step::has(network, "nft") {
        return false;
    }
    // nft does not show the comment; iptables does, but makes the table where it is not there.
    let rules = || Step::new(format!("{iptables} -w -t mangle -S")).output(network);
    let made = || rules().is_ok_and(|rules| String::from_utf8_lossy(&rules.stdout).contains(MADE));
    if let Some(Ok(tables)) = kernel::tables(network, of_version(v4)) {
        return tables.is_some_and(|tables| !tables.contains(&NAME.to_string())) || made();
    }
    let there = Step::new(format!("nft list table {} mangle", family(v4))).output(network);
    let is_missing = |there: Output| {
        !there.status.success() && !lacks_nf_tables(&String::from_utf8_lossy(&there.stderr))
    };
    there.is_ok_and(is_missing) || made()
}

/// Whether nftables has the table, as far as nft can tell.
pub fn may_be_there(network: &Network, v4: bool) -> bool {
    if !step::has(network, "nft") {
        return true;
    }
    if let Some(Ok(tables)) = kernel::tables(network, of_version(v4)) {
        return tables.is_some_and(|tables| tables.contains(&NAME.to_string()));
    }
    let listing = Step::new(format!("nft list table {} mangle", family(v4))).output(network);
    listing.is_ok_and(|listing| listing.status.success())
}

/// Takes the table away with our chains `ours`, the last there are, where nothing else is in it: in one transaction,
/// so that whoever is killed meanwhile leaves no table of which nobody knows any more whose it is.
///
/// Somebody else may have begun to use it; then it stays, our chains too, and that is no error.
pub fn remove_with(network: &Network, v4: bool, ours: &[String]) -> bool {
    let listing = Step::new(format!("nft -j list table {} mangle", family(v4)));
    let Ok(text) = listing.run(network) else { return false };
    let Ok(listing) = serde_json::from_str::<Value>(&text) else { return false };
    let Some(script) = removal(&listing, family(v4), ours) else { return false };
    Step::new("nft -f -").fed(script).output(network).is_ok_and(|output| output.status.success())
}

/// The chains from which ours hang.
const HUNG_FROM: [&str; 2] = ["POSTROUTING", "PREROUTING"];

/// The family of nftables where iptables-nft has what is for that version of IP.
pub fn of_version(v4: bool) -> Family {
    if v4 { Family::Ipv4 } else { Family::Ipv6 }
}

fn family(v4: bool) -> &'static str {
    if v4 { "ip" } else { "ip6" }
}

/// What removes the table; `None` where something of others is in it. Deleting a chain fails where a rule has
/// come in since, and the whole transaction with it.
fn removal(listing: &Value, family: &str, ours: &[String]) -> Option<String> {
    let (mut rules, mut flushes, mut chains) = (String::new(), String::new(), String::new());
    for object in listing["nftables"].as_array()? {
        let is_ours = |name: &Value| ours.iter().any(|chain| name == chain.as_str());
        let hung_from = |name: &Value| HUNG_FROM.iter().any(|chain| name == chain);
        if let Some(chain) = object.get("chain") {
            let name = &chain["name"];
            let delete = format!("delete chain {family} mangle {}\n", name.as_str()?);
            if is_ours(name) {
                flushes += &format!("flush chain {family} mangle {}\n", name.as_str()?);
                chains.insert_str(0, &delete);
            } else if hung_from(name) && chain["policy"] == "accept" {
                chains += &delete;
            } else {
                return None;
            }
        } else if let Some(rule) = object.get("rule") {
            if is_ours(&rule["chain"]) {
                continue;
            }
            let mut verdicts = rule["expr"].as_array()?.iter();
            verdicts.find(|verdict| is_ours(&verdict["jump"]["target"]))?;
            let (chain, handle) = (rule["chain"].as_str()?, rule["handle"].as_u64()?);
            rules += &format!("delete rule {family} mangle {chain} handle {handle}\n");
        } else if object.get("metainfo").is_none() && object.get("table").is_none() {
            return None;
        }
    }
    Some(rules + &flushes + &chains + &format!("delete table {family} mangle\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_table_that_somebody_uses_stays() {
        let ours = ["breakit-slow-3f2a".to_string()];
        let listing = |more: &[Value]| {
            let mut objects = vec![
                json!({"metainfo": {}}),
                json!({"table": {"name": "mangle"}}),
                json!({"chain": {"name": "POSTROUTING", "policy": "accept"}}),
                json!({"chain": {"name": "breakit-slow-3f2a"}}),
                json!({"rule": {"chain": "POSTROUTING", "handle": 7, "expr": [{"counter": {}}, {"jump": {"target": "breakit-slow-3f2a"}}]}}),
                json!({"rule": {"chain": "breakit-slow-3f2a", "handle": 8, "expr": []}}),
            ];
            objects.extend(more.to_vec());
            removal(&json!({ "nftables": objects }), "ip", &ours)
        };
        assert_eq!(
            listing(&[]).unwrap(),
            "delete rule ip mangle POSTROUTING handle 7\nflush chain ip mangle breakit-slow-3f2a\n\
             delete chain ip mangle breakit-slow-3f2a\ndelete chain ip mangle POSTROUTING\ndelete table ip mangle\n"
        );
        for foreign in [
            json!({"rule": {"chain": "POSTROUTING", "handle": 9, "expr": [{"drop": null}]}}),
            json!({"chain": {"name": "OUTPUT", "policy": "accept"}}),
            json!({"chain": {"name": "PREROUTING", "policy": "drop"}}),
            json!({"set": {}}),
        ] {
            assert_eq!(listing(&[foreign]), None);
        }
    }
}
