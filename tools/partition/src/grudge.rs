//! A grudge: for each node, whose packets it drops. One-way cuts are therefore as natural as two-way ones.
//!
//! In JSON it is a map `{DST: [SRC, ...]}`, as Jepsen has it; who drops nothing may be left out.

use breakit::exit::{Error, Result};
use breakit::node::Name;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

/// Whose packets each of some nodes drops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grudge {
    nodes: Vec<Name>,
    /// `drops[dst][src]`, by positions in `nodes`; never `drops[i][i]`.
    drops: Vec<Vec<bool>>,
}

impl Grudge {
    /// Nobody drops anything.
    pub fn none(nodes: &[Name]) -> Grudge {
        Grudge { nodes: nodes.to_vec(), drops: vec![vec![false; nodes.len()]; nodes.len()] }
    }

    /// Each component talks within itself only; `component[i]` is the number of node `i`'s.
    pub fn between(nodes: &[Name], component: &[usize]) -> Grudge {
        Grudge::where_dropped(nodes, |src, dst| component[src] != component[dst])
    }

    /// Every pair for which `dropped(src, dst)` holds.
    pub fn where_dropped(nodes: &[Name], dropped: impl Fn(usize, usize) -> bool) -> Grudge {
        let mut grudge = Grudge::none(nodes);
        for (dst, row) in grudge.drops.iter_mut().enumerate() {
            for (src, drops) in row.iter_mut().enumerate() {
                *drops = src != dst && dropped(src, dst);
            }
        }
        grudge
    }

    /// Who dropped something passes it, and who passed it drops it: a map of wanted links becomes a grudge.
    #[must_use]
    pub fn inverted(&self) -> Grudge {
        Grudge::where_dropped(&self.nodes, |src, dst| !self.drops(src, dst))
    }

    /// Makes `dst` drop what comes from `src`.
    pub fn drop_from(&mut self, src: usize, dst: usize) {
        if src != dst {
            self.drops[dst][src] = true;
        }
    }

    /// Reads the JSON form; `place` is what errors call its source.
    ///
    /// # Errors
    /// 65 for what is no such map, a node twice in it or one that drops itself, or a name that is not among `nodes`.
    pub fn read(nodes: &[Name], text: &str, place: &str) -> Result<Grudge> {
        let wrong = |clause: String| Error::data(format!("{place}: {clause}"));
        let value: Value = serde_json::from_str(text)
            .map_err(|e| wrong(format!("line {}: {}", e.line(), breakit::op::json_clause(&e))))?;
        let Value::Object(map) = value else {
            return Err(wrong(
                r#"a grudge is a map like {"n1":["n2"]}: n1 drops what n2 sends"#.into(),
            ));
        };
        if let Some(twice) = key_given_twice(text) {
            return Err(wrong(format!(
                "{twice} is there twice; name it once, with everybody whom it drops"
            )));
        }
        let mut grudge = Grudge::none(nodes);
        for (dst, sources) in &map {
            let to = position(nodes, dst).map_err(wrong)?;
            let Value::Array(sources) = sources else {
                return Err(wrong(format!(
                    "what {dst} drops must be a list of nodes, not {sources}"
                )));
            };
            for src in sources {
                let src = src.as_str().ok_or_else(|| wrong(format!("{src} is no node's name")))?;
                let from = position(nodes, src).map_err(wrong)?;
                if from == to {
                    return Err(wrong(format!(
                        "{dst} cannot drop its own packets; remove it from its list"
                    )));
                }
                grudge.drop_from(from, to);
            }
        }
        Ok(grudge)
    }

    /// The nodes, in the order in which they were given.
    pub fn nodes(&self) -> &[Name] {
        &self.nodes
    }

    /// Whether `dst` drops what comes from `src`.
    pub fn drops(&self, src: usize, dst: usize) -> bool {
        self.drops[dst][src]
    }

    /// All pairs `(src, dst)` in which `dst` drops what comes from `src`, as positions.
    pub fn pairs(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        (0..self.nodes.len()).flat_map(|dst| self.sources(dst).map(move |src| (src, dst)))
    }

    /// Whose packets `dst` drops, as positions.
    pub fn sources(&self, dst: usize) -> impl Iterator<Item = usize> + '_ {
        self.drops[dst].iter().enumerate().filter(|(_, drops)| **drops).map(|(src, _)| src)
    }

    /// Whether nobody drops anything.
    pub fn is_empty(&self) -> bool {
        self.pairs().next().is_none()
    }

    /// The JSON form.
    pub fn json(&self) -> Value {
        let name = |i: usize| Value::from(self.nodes[i].as_str());
        let map: Map<String, Value> = self
            .droppers()
            .map(|dst| (self.nodes[dst].to_string(), self.sources(dst).map(name).collect()))
            .collect();
        Value::Object(map)
    }

    /// For people: `n1,n2 | n3,n4,n5` where it is a split, else `n1 drops n2,n3; n4 drops n1`.
    pub fn words(&self) -> String {
        match self.components() {
            Some(components) => {
                let sides = components.into_iter().map(|part| self.list(part));
                sides.collect::<Vec<_>>().join(" | ")
            }
            None => {
                let drops = |dst: usize| {
                    format!("{} drops {}", self.nodes[dst], self.list(self.sources(dst)))
                };
                self.droppers().map(drops).collect::<Vec<_>>().join("; ")
            }
        }
    }

    /// The nodes that drop anything, as positions.
    fn droppers(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.nodes.len()).filter(|&dst| self.sources(dst).next().is_some())
    }

    /// The components, where the grudge is exactly "nobody talks to another component".
    fn components(&self) -> Option<Vec<Vec<usize>>> {
        let mut component = vec![usize::MAX; self.nodes.len()];
        let mut parts: Vec<Vec<usize>> = Vec::new();
        for first in 0..self.nodes.len() {
            if component[first] == usize::MAX {
                let part: Vec<usize> = (0..self.nodes.len())
                    .filter(|&i| component[i] == usize::MAX && !self.drops(first, i))
                    .collect();
                part.iter().for_each(|&i| component[i] = parts.len());
                parts.push(part);
            }
        }
        let split = Grudge::between(&self.nodes, &component);
        (parts.len() > 1 && split.drops == self.drops).then_some(parts)
    }

    fn list(&self, of: impl IntoIterator<Item = usize>) -> String {
        of.into_iter().map(|i| self.nodes[i].as_str()).collect::<Vec<_>>().join(",")
    }
}

fn position(nodes: &[Name], name: &str) -> std::result::Result<usize, String> {
    nodes.iter().position(|node| node.as_str() == name).ok_or_else(|| {
        let known: Vec<&str> = nodes.iter().map(Name::as_str).collect();
        format!("{name:?} is none of the nodes {}; name it with -n or take it out", known.join(","))
    })
}

/// The first key that stands in a map twice: as a [`Value`] it would have its last meaning, without a word.
fn key_given_twice(text: &str) -> Option<String> {
    let Keys(keys) = serde_json::from_str(text).ok()?;
    let twice = keys.iter().enumerate().find(|(at, key)| keys[..*at].contains(key));
    twice.map(|(_, key)| key.clone())
}

/// The keys of a map, each as often as it stands there.
struct Keys(Vec<String>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Keys, D::Error> {
        from.deserialize_map(Keys(Vec::new()))
    }
}

impl<'de> Visitor<'de> for Keys {
    type Value = Keys;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<M: MapAccess<'de>>(mut self, mut map: M) -> std::result::Result<Keys, M::Error> {
        while let Some((key, IgnoredAny)) = map.next_entry()? {
            self.0.push(key);
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(n: usize) -> Vec<Name> {
        (1..=n).map(|i| Name::new(&format!("n{i}")).unwrap()).collect()
    }

    #[test]
    fn a_split_is_told_by_its_sides_and_anything_else_by_who_drops_whom() {
        assert_eq!(Grudge::between(&nodes(4), &[0, 0, 1, 1]).words(), "n1,n2 | n3,n4");
        let one_way = Grudge::read(&nodes(3), r#"{"n2":["n1","n3"]}"#, "g").unwrap();
        assert_eq!(one_way.words(), "n2 drops n1,n3");
        // n1 and n3 both talk to n2 but not to one another: no split.
        let bridge = Grudge::where_dropped(&nodes(3), |a, b| a != 1 && b != 1);
        assert_eq!(bridge.words(), "n1 drops n3; n3 drops n1");
    }

    #[test]
    fn a_grudge_inverted_twice_is_itself() {
        let grudge = Grudge::between(&nodes(5), &[0, 1, 0, 1, 2]);
        assert_eq!(grudge.inverted().inverted(), grudge);
        assert!((0..5).all(|i| !grudge.inverted().drops(i, i)));
        assert!(grudge.inverted().drops(0, 2) && !grudge.inverted().drops(0, 1));
    }

    #[test]
    fn a_grudge_is_read_as_it_was_written() {
        let grudge = Grudge::between(&nodes(5), &[0, 1, 0, 1, 2]);
        assert_eq!(Grudge::read(&nodes(5), &grudge.json().to_string(), "g").unwrap(), grudge);
    }

    #[test]
    fn what_is_no_grudge_is_refused_and_named() {
        for (text, clause) in [
            ("{", "g: line 1: column 1: not JSON"),
            ("[]", "a grudge is a map"),
            (r#"{"n9":["n1"]}"#, "\"n9\" is none of the nodes n1,n2"),
            (r#"{"n1":["n9"]}"#, "\"n9\" is none of the nodes"),
            (r#"{"n1":"n2"}"#, "must be a list"),
            (r#"{"n1":[2]}"#, "2 is no node's name"),
            (r#"{"n1":["n1"]}"#, "cannot drop its own"),
            (r#"{"n1":["n2"],"n2":["n1"],"n1":[]}"#, "g: n1 is there twice"),
        ] {
            let error = Grudge::read(&nodes(2), text, "g").unwrap_err();
            assert!(error.to_string().contains(clause), "{text}: {error}");
            assert_eq!(error.status(), breakit::exit::Status::Data);
        }
    }
}
