//! Who is cut off from whom, by name, as lines and lists tell it: nodes, and peers that are only addresses.

use std::collections::{BTreeMap, BTreeSet};

use breakit::node::Name;
use serde_json::Value;

use crate::grudge::Grudge;

/// What stands before a peer's name, so that it is told from a node's.
pub const PEER: char = '@';

/// Senders and receivers by name. What the first of a pair sends to the second is lost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs(BTreeSet<(String, String)>);

impl Pairs {
    /// Takes in `SRC DST`, as the kernel keeps it beside an element.
    pub fn insert(&mut self, who: &str) {
        let (src, dst) = who.split_once(' ').unwrap_or((who, ""));
        self.0.insert((src.to_string(), dst.to_string()));
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As a map from each receiver to its senders: a grudge.
    pub fn json(&self) -> Value {
        match self.grudge() {
            Some(grudge) => grudge.json(),
            None => {
                let mut map: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
                for (src, dst) in &self.0 {
                    map.entry(plain(dst)).or_default().push(plain(src));
                }
                map.into_iter()
                    .map(|(dst, sources)| (dst.to_string(), Value::from(sources)))
                    .collect()
            }
        }
    }

    /// For people: as [`Grudge::words`] where all are nodes, else `10.0.0.5 to here, here to 10.0.0.5`.
    pub fn words(&self) -> String {
        match self.grudge() {
            Some(grudge) => grudge.words(),
            None => {
                let pairs =
                    self.0.iter().map(|(src, dst)| format!("{} to {}", plain(src), plain(dst)));
                pairs.collect::<Vec<_>>().join(", ")
            }
        }
    }

    /// The grudge among those named, where all are nodes: those that it leaves alone are not known here.
    fn grudge(&self) -> Option<Grudge> {
        let names = self.0.iter().flat_map(|(src, dst)| [src, dst]);
        let mut names: Vec<Name> =
            names.map(|name| Name::new(name).ok()).collect::<Option<Vec<Name>>>()?;
        names.sort_by_cached_key(|name| natural(name.as_str()));
        names.dedup();
        let at = |name: &str| names.iter().position(|n| n.as_str() == name);
        let mut grudge = Grudge::none(&names);
        for (src, dst) in &self.0 {
            grudge.drop_from(at(src)?, at(dst)?);
        }
        Some(grudge)
    }
}

fn plain(name: &str) -> &str {
    name.strip_prefix(PEER).unwrap_or(name)
}

/// `n2` before `n10`.
fn natural(name: &str) -> (String, u64, String) {
    let digits = name.chars().rev().take_while(char::is_ascii_digit).count();
    let (word, number) = name.split_at(name.len() - digits);
    (word.to_string(), number.parse().unwrap_or(u64::MAX), name.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(who: &[&str]) -> Pairs {
        let mut pairs = Pairs::default();
        who.iter().for_each(|who| pairs.insert(who));
        pairs
    }

    #[test]
    fn nodes_are_told_as_a_grudge_and_peers_one_by_one() {
        assert_eq!(pairs(&["n10 n2", "n2 n10"]).words(), "n2 | n10");
        let peers = pairs(&["@10.0.0.0/8 here", "here @db.example", "@10.0.0.5 here"]);
        assert_eq!(peers.words(), "10.0.0.0/8 to here, 10.0.0.5 to here, here to db.example");
        assert_eq!(peers.json()["here"], serde_json::json!(["10.0.0.0/8", "10.0.0.5"]));
        assert_eq!(pairs(&["@db here"]).words(), "db to here");
    }
}
