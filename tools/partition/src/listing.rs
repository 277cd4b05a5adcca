//! Reads what ipset(8) and iptables(8) say stands: `ipset save` and `iptables-save`, one after the other.

use std::collections::{BTreeMap, BTreeSet};

use crate::iptables::{Flavour, long};
use crate::kernel_rules::{Element, KernelRules, Kind};

/// The cuts of ours in a listing.
pub fn read(listing: &str) -> Vec<KernelRules> {
    let mut found: BTreeMap<String, KernelRules> = BTreeMap::new();
    let (mut flavour, mut ipv4, mut leads) = (Flavour::Nft, true, Leads::default());
    for line in listing.lines() {
        if let Some(program) = line.strip_prefix("# ip") {
            // The programs say other things behind a # too.
            if program.ends_with("tables-nft") || program.ends_with("tables-legacy") {
                flavour = if program.ends_with("nft") { Flavour::Nft } else { Flavour::Legacy };
                ipv4 = !program.starts_with('6');
            }
            continue;
        }
        let words = words(line);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["create", set, ..] => {
                of(&mut found, set, flavour);
            }
            ["add", set, key, rest @ ..] => {
                if let Some(standing) = of(&mut found, set, flavour) {
                    standing.elements.push(element(key, rest));
                    leads.needed.insert((standing.name.clone(), set.to_string()));
                }
            }
            [chain, "-", ..] if chain.starts_with(':') => {
                chain.strip_prefix(':').map(|chain| of(&mut found, chain, flavour));
            }
            ["-A", chain, rest @ ..] => {
                rule(&mut found, chain, rest, flavour);
                leads.note(chain, rest, ipv4);
            }
            _ => {}
        }
    }
    let broken = |name: &str| {
        let mut needed = leads.needed.iter().filter(|(of, _)| of == name);
        needed.any(|(_, set)| !leads.lead_to(set))
    };
    for standing in found.values_mut() {
        standing.in_force = !broken(&standing.name);
    }
    found.into_values().collect()
}

/// By which rules packets come to sets of ours, each of which is for one chain and IP version.
#[derive(Default)]
struct Leads {
    /// The sets that hold something, with their cuts.
    needed: BTreeSet<(String, String)>,
    /// The sets that a rule in a chain of ours is about.
    named: BTreeSet<String>,
    /// The built-in chains that jump to a chain of ours, by the name of its set.
    hooks: BTreeMap<String, BTreeSet<String>>,
}

impl Leads {
    fn note(&mut self, chain: &str, rest: &[&str], ipv4: bool) {
        let version = if ipv4 { 4 } else { 6 };
        let after =
            |word: &str| rest.iter().position(|w| *w == word).and_then(|at| rest.get(at + 1));
        match (long(chain), after("--match-set"), after("-j")) {
            (None, _, Some(to)) if rest.len() == 2 => {
                self.hooks.entry(format!("{to}{version}")).or_default().insert(chain.into());
            }
            (Some(_), Some(set), Some(_)) => {
                self.named.insert(set.to_string());
            }
            _ => {}
        }
    }

    /// Whether packets come there: from the table raw by the only way, from the table filter by both that come in.
    fn lead_to(&self, set: &str) -> bool {
        let Some(hooks) = self.hooks.get(set) else { return false };
        let all = |names: &[&str]| names.iter().all(|name| hooks.contains(*name));
        self.named.contains(set)
            && (all(&["PREROUTING"]) || all(&["INPUT", "FORWARD"]) || all(&["OUTPUT"]))
    }
}

/// The cut that a chain or set is of, where it is ours.
fn of<'a>(
    found: &'a mut BTreeMap<String, KernelRules>,
    chain: &str,
    flavour: Flavour,
) -> Option<&'a mut KernelRules> {
    let name = long(chain)?;
    let empty = || KernelRules {
        kind: Kind::Iptables(flavour),
        name: name.clone(),
        elements: Vec::new(),
        packets: String::new(),
        in_force: true,
    };
    Some(found.entry(name.clone()).or_insert_with(empty))
}

fn element(key: &str, rest: &[&str]) -> Element {
    let after =
        |word: &str| rest.iter().position(|w| *w == word).and_then(|at| rest.get(at + 1)).copied();
    Element {
        who: after("comment").unwrap_or_default().into(),
        key: key.into(),
        expires: after("timeout").and_then(|seconds| seconds.parse().ok()).unwrap_or_default(),
    }
}

/// A rule of ours: about a set, which says what it drops; or one without a target, which says which packets.
fn rule(found: &mut BTreeMap<String, KernelRules>, chain: &str, rest: &[&str], flavour: Flavour) {
    let after =
        |word: &str| rest.iter().position(|w| *w == word).and_then(|at| rest.get(at + 1)).copied();
    let Some(standing) = of(found, chain, flavour) else { return };
    // Its sets, which come first, do not say which program made the rules.
    standing.kind = Kind::Iptables(flavour);
    if let (Some(words), None) = (after("--comment"), after("-j")) {
        standing.packets = words.into();
    }
}

/// The words of a line; quotes hold blanks together.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let (mut quoted, mut open) = (false, false);
    for c in line.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                open = true;
            }
            ' ' if !quoted => {
                if open || !words[words.len() - 1].is_empty() {
                    words.push(String::new());
                }
                open = false;
            }
            _ => {
                let last = words.len() - 1;
                words[last].push(c);
            }
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain_names::short;

    #[test]
    fn a_cut_is_put_together_from_its_sets_and_chains_and_others_are_left_alone() {
        let listing = r#"create bkp_7_9_i4 hash:net family inet hashsize 1024 maxelem 65536 timeout 3 comment
add bkp_7_9_i4 10.0.0.1 timeout 2 comment "n1 n2"
create others hash:ip family inet
add others 10.0.0.9
# iptables-legacy
# Generated by iptables-save v1.8.9 on Sun Nov 22 20:00:00 2026
*raw
:PREROUTING ACCEPT [5:420]
:bkp_7_9_i - [0:0]
-A PREROUTING -j bkp_7_9_i
-A bkp_7_9_i -m comment --comment "tcp port 80, 20%"
-A bkp_7_9_i -p tcp -m set --match-set bkp_7_9_i4 src -m multiport --ports 80 -j DROP
COMMIT
"#;
        let found = read(listing);
        assert_eq!(found.len(), 1);
        assert_eq!(short(&found[0].name), "bkp_7_9");
        assert_eq!(found[0].kind, Kind::Iptables(Flavour::Legacy));
        assert_eq!(found[0].packets, "tcp port 80, 20%");
        let element = &found[0].elements[0];
        assert_eq!((element.who.as_str(), element.expires), ("n1 n2", 2));
        assert!(found[0].in_force);
        for gone in ["-A PREROUTING -j bkp_7_9_i\n", "src -m multiport --ports 80 -j DROP\n"] {
            assert!(!read(&listing.replace(gone, "\n"))[0].in_force, "without {gone}");
        }
    }
}
