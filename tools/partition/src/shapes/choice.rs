//! Choosing nodes: by chance, by their names, and one side against the rest.

use breakit::exit::{Error, Result};
use breakit::node::{self, Name};
use breakit::rng::{Pcg64, SliceRandom};

use crate::grudge::Grudge;

/// `size` of `n` positions, drawn at random.
pub fn drawn(n: usize, size: usize, rng: &mut Pcg64) -> Vec<usize> {
    let mut all: Vec<usize> = (0..n).collect();
    all.shuffle(rng);
    all.truncate(size);
    all
}

/// For each of `n` positions, its place in a random order.
pub fn places(n: usize, rng: &mut Pcg64) -> Vec<usize> {
    let mut place = vec![0; n];
    drawn(n, n, rng).iter().enumerate().for_each(|(at, &node)| place[node] = at);
    place
}

/// `one` side against all others.
pub fn side(nodes: &[Name], one: &[usize]) -> Grudge {
    let mut component = vec![0; nodes.len()];
    one.iter().for_each(|&i| component[i] = 1);
    Grudge::between(nodes, &component)
}

/// The positions of the nodes with these names.
///
/// # Errors
/// 66 for a name that none has.
pub fn positions(nodes: &[Name], names: &[Name]) -> Result<Vec<usize>> {
    let of = |name: &Name| {
        nodes.iter().position(|node| node == name).ok_or_else(|| {
            let known: Vec<&str> = nodes.iter().map(Name::as_str).collect();
            Error::no_input(format!(
                "{name} is none of the nodes {}; name it with -n too",
                known.join(",")
            ))
        })
    };
    names.iter().map(of).collect()
}

/// The names of a group: `n1`, `n1,n2` or `n1..n3`.
///
/// # Errors
/// 64 for what is no group.
pub fn group(word: impl AsRef<str>) -> Result<Vec<Name>> {
    node::names(&[word.as_ref().to_string()])
}

/// A group as it is typed.
pub fn words(names: &[Name]) -> String {
    names.iter().map(Name::as_str).collect::<Vec<_>>().join(",")
}
