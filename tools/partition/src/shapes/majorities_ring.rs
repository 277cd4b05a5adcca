//! Every node sees a majority, itself counted, and no two the same.
//!
//! Perfect to five nodes, which are in a ring, each in the middle of those that it sees; beyond those by chance, as
//! links happen to be drawn.

use std::collections::BTreeSet;

use breakit::exit::Result;
use breakit::node::Name;
use breakit::rng::{Pcg64, RngExt};

use super::choice::places;
use super::{Entry, Shape};
use crate::grudge::Grudge;

/// The shape's entry.
pub const SHAPE: Entry = Entry {
    name: "majorities-ring",
    arguments: "",
    doc: "Every node hears a majority, and no two nodes the same one",
    least: 3,
    examples: &[""],
    read: |_| Ok(Box::new(MajoritiesRing)),
};

#[derive(Debug)]
struct MajoritiesRing;

impl Shape for MajoritiesRing {
    fn draw(&self, nodes: &[Name], rng: &mut Pcg64) -> Result<Grudge> {
        let n = nodes.len();
        let draws = if n <= 5 { 0 } else { DRAWS };
        Ok(match (0..draws).find_map(|_| random_majorities(n, rng)) {
            Some(links) => Grudge::where_dropped(nodes, |a, b| !links[a][b]),
            None => ring(nodes, rng),
        })
    }
}

/// How often links are drawn at the most. Nine draws of ten will do among 7 to 10 nodes, and more among others.
const DRAWS: usize = 100;

/// The nodes in a ring in random order; each sees its nearest neighbours on both sides, of three nodes only the one
/// before it. A window of nodes in a ring belongs to one centre only as long as it does not reach all around.
fn ring(nodes: &[Name], rng: &mut Pcg64) -> Grudge {
    let (n, place) = (nodes.len(), places(nodes.len(), rng));
    let reach = (n / 2).div_ceil(2);
    Grudge::where_dropped(nodes, |src, dst| match n {
        // Three cannot see two of themselves each, mutually: the third would be alone.
        3 => (place[src] + 1) % n != place[dst],
        _ => {
            let apart = place[src].abs_diff(place[dst]);
            apart.min(n - apart) > reach
        }
    })
}

/// Links, both ways, drawn one by one between nodes that have fewest, until every node sees a majority. `None` where
/// two nodes came to see the same one, or one of them more than a link too many.
fn random_majorities(n: usize, rng: &mut Pcg64) -> Option<Vec<Vec<bool>>> {
    let majority = n / 2 + 1;
    let mut links: Vec<Vec<bool>> = (0..n).map(|a| (0..n).map(|b| a == b).collect()).collect();
    let mut seen = vec![1; n];
    loop {
        let one = least(&seen, |_| true, rng)?;
        if seen[one] >= majority {
            break;
        }
        let other = least(&seen, |node| !links[one][node], rng)?;
        (links[one][other], links[other][one]) = (true, true);
        seen[one] += 1;
        seen[other] += 1;
    }
    let distinct = links.iter().collect::<BTreeSet<_>>().len() == n;
    (distinct && seen.iter().all(|&seen| seen <= majority + 1)).then_some(links)
}

/// One of the nodes that see fewest of those that `which` holds for, drawn at random.
fn least(seen: &[usize], which: impl Fn(usize) -> bool, rng: &mut Pcg64) -> Option<usize> {
    let (mut fewest, mut least) = (usize::MAX, Vec::with_capacity(seen.len()));
    for (node, &seen) in seen.iter().enumerate() {
        if seen <= fewest && which(node) {
            if seen < fewest {
                fewest = seen;
                least.clear();
            }
            least.push(node);
        }
    }
    let drawn = (!least.is_empty()).then(|| rng.random_range(0..least.len()))?;
    least.get(drawn).copied()
}
