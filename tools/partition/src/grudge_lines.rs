//! Whom a cut is about, where that is too long for its start line: told on lines before it.
//!
//! A line of more than 4,096 bytes may be torn in a pipe that several write to. So a start line says `lines`, and
//! as many `grudge-partition` lines of the same table come before it: nodes `at` which packets are dropped, with
//! the nodes that send them (`drop`), or the peers that they come `from` or go `to`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::grudge::Grudge;
use crate::peer::Peers;

/// What such a line's `f` is.
pub const F: &str = "grudge-partition";

/// A list that is longer as JSON is told on several lines. Two lists make a line.
const LIST: usize = 1500;

/// The lines of a grudge.
pub fn of_grudge(table: &str, grudge: &Grudge) -> Vec<Value> {
    let mut alike: BTreeMap<Vec<usize>, Vec<usize>> = BTreeMap::new();
    for dst in 0..grudge.nodes().len() {
        alike.entry(grudge.sources(dst).collect()).or_default().push(dst);
    }
    let names = |which: &[usize]| -> Vec<String> {
        which.iter().map(|i| grudge.nodes()[*i].to_string()).collect()
    };
    let alike = alike.iter().filter(|(sources, _)| !sources.is_empty());
    alike.flat_map(|(sources, at)| lines(table, &names(at), "drop", &names(sources))).collect()
}

/// The lines of nodes that are cut off from peers.
pub fn of_peers(table: &str, at: &[String], peers: &Peers) -> Vec<Value> {
    let said = |peers: &[crate::peer::Peer]| -> Vec<String> {
        peers.iter().map(|peer| peer.said.clone()).collect()
    };
    let (from, to) = (said(&peers.from), said(&peers.to));
    [lines(table, at, "from", &from), lines(table, at, "to", &to)].concat()
}

fn lines(table: &str, at: &[String], word: &str, whom: &[String]) -> Vec<Value> {
    let whom = pieces(whom);
    let line = |at: &&[String], whom: &&[String]| json!({ "table": table, "at": at, word: whom });
    pieces(at)
        .iter()
        .flat_map(|at| whom.iter().map(|whom| line(at, whom)).collect::<Vec<_>>())
        .collect()
}

/// A list in pieces that are each short enough.
fn pieces(list: &[String]) -> Vec<&[String]> {
    let (mut pieces, mut start, mut length) = (Vec::new(), 0, 0);
    for (i, word) in list.iter().enumerate() {
        // Quotes and a comma.
        length += word.len() + 3;
        if length > LIST && i > start {
            pieces.push(&list[start..i]);
            (start, length) = (i, word.len() + 3);
        }
    }
    if start < list.len() {
        pieces.push(&list[start..]);
    }
    pieces
}

/// What the lines before a start line have told so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// How many they were.
    pub lines: u64,
    /// The nodes at which packets are dropped.
    pub at: BTreeSet<String>,
    /// Whose packets each node drops.
    drops: BTreeMap<String, BTreeSet<String>>,
    /// The peers from which packets are dropped.
    pub from: Vec<String>,
    /// The peers to which packets are dropped.
    pub to: Vec<String>,
}

impl Told {
    /// Takes in the value of one more line.
    ///
    /// # Errors
    /// A clause that says what it lacks.
    pub fn take(&mut self, value: &Value) -> Result<(), String> {
        let list = |name: &str| -> Option<Vec<String>> {
            let list = value.get(name)?.as_array()?;
            list.iter().map(|word| word.as_str().map(str::to_string)).collect()
        };
        let at = list("at").ok_or("a grudge-partition line needs \"at\": a list of nodes")?;
        match (list("drop"), list("from"), list("to")) {
            (Some(drop), None, None) => {
                for node in &at {
                    self.drops.entry(node.clone()).or_default().extend(drop.iter().cloned());
                }
            }
            (None, Some(from), None) => extend(&mut self.from, from),
            (None, None, Some(to)) => extend(&mut self.to, to),
            _ => {
                return Err(
                    "a grudge-partition line needs one of \"drop\", \"from\", \"to\"".into()
                );
            }
        }
        self.at.extend(at);
        self.lines += 1;
        Ok(())
    }

    /// The grudge, if they told one.
    pub fn grudge(&self) -> Option<Map<String, Value>> {
        let list = |sources: &BTreeSet<String>| sources.iter().cloned().collect::<Value>();
        let map = self.drops.iter().map(|(dst, sources)| (dst.clone(), list(sources))).collect();
        (!self.drops.is_empty()).then_some(map)
    }
}

/// Each once: a long list of nodes has a line for each of its pieces, and each names the same peers.
fn extend(all: &mut Vec<String>, more: Vec<String>) {
    let known: BTreeSet<&String> = all.iter().collect();
    let new: Vec<String> = more.iter().filter(|word| !known.contains(word)).cloned().collect();
    all.extend(new);
}

#[cfg(test)]
mod tests {
    use super::*;
    use breakit::node;
    use breakit::rng;

    use crate::shapes::{Chosen, SHAPES};

    #[test]
    fn the_longest_grudges_are_told_in_short_lines_and_understood() {
        let names = node::names(&["node-with-a-long-name-1..200".into()]).unwrap();
        let plain = SHAPES.iter().filter(|entry| entry.arguments.is_empty());
        for words in plain.map(|entry| entry.name).chain(["flapping 90"]) {
            let words: Vec<String> = words.split(' ').map(str::to_string).collect();
            let shape = Chosen::parse(&words).unwrap();
            let grudge = shape.draw(&names, &mut rng::generator(7, "told")).unwrap();
            let mut told = Told::default();
            for line in of_grudge("breakit_partition_1_2", &grudge) {
                assert!(line.to_string().len() < 3900, "{line}");
                told.take(&line).unwrap();
            }
            let text = Value::Object(told.grudge().unwrap()).to_string();
            assert_eq!(Grudge::read(&names, &text, "told").unwrap(), grudge);
        }
    }

    #[test]
    fn peers_are_told_whole_and_in_their_order() {
        let all: Vec<String> = (0..1000).map(|i| format!("10.0.{}.{}", i / 250, i % 250)).collect();
        let peers = Peers::find(&all, &["10.9.0.1".into()]).unwrap();
        let mut told = Told::default();
        for line in of_peers("t", &["here".into()], &peers) {
            told.take(&line).unwrap();
        }
        assert_eq!((told.from, told.to), (all, vec!["10.9.0.1".to_string()]));
        assert_eq!(told.at.into_iter().collect::<Vec<_>>(), ["here"]);
        assert!(Told::default().take(&json!({"at": ["n1"]})).is_err());
    }
}
