//! Shapes: the ways to choose a grudge. Pure: the same shape, nodes and seed make the same grudge.

use std::collections::BTreeSet;
use std::path::Path;

use breakit::exit::{Error, Result};
use breakit::node::{self, Name};
use breakit::rng::{Pcg64, RngExt, SliceRandom};
use breakit::similar;
use breakit::{escape, input};

use crate::grudge::Grudge;

/// What a shape's words may be, for help and messages.
pub const SHAPES: &str = "isolate [GROUP..], halves, random-halves, majority, minority-third, bridge, \
                          majorities-ring, flapping [COUNT], primaries NODE.. (or - for their names on stdin), one-way FROM TO, grudge FILE, or - for a grudge on stdin";

/// A way to choose a grudge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Each group is a side of its own, and the rest is one more; without groups, one node drawn at random.
    Isolate(Vec<Vec<Name>>),
    /// The first half of the nodes against the second; of an odd number the first is the smaller.
    Halves,
    /// As `Halves`, of the nodes in random order.
    RandomHalves,
    /// A random minority of random size against the majority.
    Majority,
    /// Fewer than a third of the nodes, drawn at random, against the rest.
    MinorityThird,
    /// Random halves with one node in between that talks to both.
    Bridge,
    /// Every node sees a majority, no two the same one.
    MajoritiesRing,
    /// So many pairs of nodes, drawn at random: each is cut, and everybody still reaches all others.
    Flapping(usize),
    /// What the first nodes send is dropped by the second ones, and nothing else is.
    OneWay(Vec<Name>, Vec<Name>),
    /// Some of these, drawn at random, each alone; all other nodes together.
    Primaries(Vec<Name>),
    /// What another shape lets pass is dropped, and what it drops passes.
    Inverted(Box<Shape>),
    /// A grudge that was given: its JSON, and where that came from.
    Given {
        /// The JSON form.
        text: String,
        /// The file's name, or "stdin".
        place: String,
    },
}

impl Shape {
    /// The shape that these words name. Reads the grudge's file or stdin where there is one.
    ///
    /// # Errors
    /// 64 for what is no shape, 66 where a grudge's file is not there.
    pub fn parse(words: &[String]) -> Result<Shape> {
        let (word, rest) = words.split_first().ok_or_else(no_shape)?;
        let plain = |shape: Shape| match rest.first() {
            None => Ok(shape),
            Some(extra) => Err(Error::usage(format!("{word} takes nothing, not {extra:?}"))),
        };
        match (word.as_str(), rest) {
            ("isolate", groups) => {
                groups.iter().map(group).collect::<Result<_>>().map(Shape::Isolate)
            }
            ("halves", _) => plain(Shape::Halves),
            ("random-halves", _) => plain(Shape::RandomHalves),
            ("majority", _) => plain(Shape::Majority),
            ("minority-third", _) => plain(Shape::MinorityThird),
            ("bridge", _) => plain(Shape::Bridge),
            ("majorities-ring", _) => plain(Shape::MajoritiesRing),
            ("flapping", []) => Ok(Shape::Flapping(1)),
            ("flapping", [count]) => match count.parse() {
                Ok(count @ 1..) => Ok(Shape::Flapping(count)),
                _ => Err(Error::usage(format!(
                    "flapping takes how many pairs, 1 or more, not {count:?}"
                ))),
            },
            ("flapping", _) => Err(Error::usage("flapping takes one number: how many pairs")),
            ("one-way", [from, to]) => Ok(Shape::OneWay(group(from)?, group(to)?)),
            ("one-way", _) => Err(Error::usage(
                "one-way takes two groups: whose packets are dropped, and by whom; write one-way n1 n2,n3",
            )),
            ("primaries", [word]) if word == "-" => on_stdin().map(Shape::Primaries),
            ("primaries", names) => names
                .iter()
                .map(group)
                .collect::<Result<Vec<_>>>()
                .map(|names| Shape::Primaries(names.concat())),
            ("grudge", [file]) => read(file),
            ("grudge", _) => Err(Error::usage("grudge takes one file, or - for stdin")),
            ("-", []) => read("-"),
            _ => Err(no_such(word)),
        }
    }

    /// Chooses a grudge among `nodes`.
    ///
    /// # Errors
    /// 64 where the shape needs other or more nodes, 65 for a bad grudge.
    pub fn draw(&self, nodes: &[Name], rng: &mut Pcg64) -> Result<Grudge> {
        let n = nodes.len();
        if n < 2 {
            return Err(Error::usage(format!(
                "a cut needs two nodes at least, and there {}; name more with -n",
                if n == 1 { "is one" } else { "are none" }
            )));
        }
        let grudge = match self {
            Shape::Isolate(groups) if groups.is_empty() => side(nodes, &drawn(n, 1, rng)),
            Shape::Isolate(groups) => isolate(nodes, groups)?,
            Shape::Halves => side(nodes, &(0..n / 2).collect::<Vec<_>>()),
            Shape::RandomHalves => side(nodes, &drawn(n, n / 2, rng)),
            Shape::Majority => {
                at_least(3, "majority", n)?;
                let size = rng.random_range(1..=(n - 1) / 2);
                side(nodes, &drawn(n, size, rng))
            }
            Shape::MinorityThird => {
                at_least(4, "minority-third", n)?;
                side(nodes, &drawn(n, (n - 1) / 3, rng))
            }
            Shape::Bridge => {
                at_least(3, "bridge", n)?;
                bridge(nodes, rng)
            }
            Shape::MajoritiesRing => {
                at_least(3, "majorities-ring", n)?;
                majorities_ring(nodes, rng)
            }
            Shape::Flapping(count) => flapping(nodes, *count, rng)?,
            Shape::OneWay(from, to) => one_way(nodes, from, to)?,
            Shape::Primaries(names) => primaries(nodes, names, rng)?,
            Shape::Inverted(shape) => shape.draw(nodes, rng)?.inverted(),
            Shape::Given { text, place } => Grudge::read(nodes, text, place)?,
        };
        if grudge.is_empty() {
            let why = format!("{} cuts nobody; there must be somebody on each side", self.words());
            return Err(match self {
                Shape::Given { .. } => Error::data(why),
                _ => Error::usage(why),
            });
        }
        Ok(grudge)
    }

    /// The shape as it is typed.
    pub fn words(&self) -> String {
        let list = |names: &Vec<Name>| names.iter().map(Name::as_str).collect::<Vec<_>>().join(",");
        match self {
            Shape::Isolate(groups) => std::iter::once("isolate".to_string())
                .chain(groups.iter().map(list))
                .collect::<Vec<_>>()
                .join(" "),
            Shape::Halves => "halves".into(),
            Shape::RandomHalves => "random-halves".into(),
            Shape::Majority => "majority".into(),
            Shape::MinorityThird => "minority-third".into(),
            Shape::Bridge => "bridge".into(),
            Shape::MajoritiesRing => "majorities-ring".into(),
            Shape::Flapping(count) => format!("flapping {count}"),
            Shape::Primaries(names) => format!("primaries {}", list(names)),
            Shape::OneWay(from, to) => format!("one-way {} {}", list(from), list(to)),
            Shape::Inverted(shape) => format!("{} --invert", shape.words()),
            Shape::Given { place, .. } => format!("grudge {place}"),
        }
    }

    /// Whether the words make us read stdin to its end.
    pub fn reads_stdin(words: &[String]) -> bool {
        words.iter().any(|word| word == "-")
    }
}

/// The first words of all shapes.
pub const WORDS: [&str; 10] = [
    "isolate",
    "halves",
    "random-halves",
    "majority",
    "minority-third",
    "bridge",
    "majorities-ring",
    "flapping",
    "primaries",
    "one-way",
];

fn no_such(word: &str) -> Error {
    let cited = escape::cited(word);
    match similar::closest(word, WORDS) {
        Some(meant) => Error::usage(format!("{cited} is no shape; did you mean {meant}?")),
        None => Error::usage(format!("{cited} is no shape; take one of: {SHAPES}")),
    }
}

fn no_shape() -> Error {
    Error::usage(format!("which cut? take one of: {SHAPES}"))
}

fn group(word: impl AsRef<str>) -> Result<Vec<Name>> {
    node::names(&[word.as_ref().to_string()])
}

/// Names between blanks, commas or ends of lines.
fn on_stdin() -> Result<Vec<Name>> {
    let text = input::text("the primaries", Path::new("-"))?;
    let lines = (1..).zip(text.lines());
    let words = lines.flat_map(|(number, line)| {
        let words = line.split([' ', '\t', ',']).filter(|word| !word.is_empty());
        words.map(move |word| (number, word))
    });
    let named = |(number, word): (u32, &str)| {
        group(word).map_err(|error| Error::data(format!("stdin: line {number}: {error}")))
    };
    let names: Vec<Name> = words.map(named).collect::<Result<Vec<_>>>()?.concat();
    if names.is_empty() {
        return Err(Error::data("stdin: it names no primary; write their names, as n1 or n1,n2"));
    }
    Ok(names)
}

fn read(file: &str) -> Result<Shape> {
    let path = Path::new(file);
    Ok(Shape::Given { text: input::text("the grudge", path)?, place: input::name(path) })
}

fn at_least(least: usize, shape: &str, n: usize) -> Result<()> {
    if n >= least {
        return Ok(());
    }
    Err(Error::usage(format!(
        "{shape} needs {least} nodes at least, and there are {n}; name more with -n"
    )))
}

/// `size` of `n` positions, drawn at random.
fn drawn(n: usize, size: usize, rng: &mut Pcg64) -> Vec<usize> {
    let mut all: Vec<usize> = (0..n).collect();
    all.shuffle(rng);
    all.truncate(size);
    all
}

/// `one` side against all others.
fn side(nodes: &[Name], one: &[usize]) -> Grudge {
    let mut component = vec![0; nodes.len()];
    one.iter().for_each(|&i| component[i] = 1);
    Grudge::between(nodes, &component)
}

fn isolate(nodes: &[Name], groups: &[Vec<Name>]) -> Result<Grudge> {
    let mut component = vec![0; nodes.len()];
    for (number, group) in (1..).zip(groups) {
        for i in positions(nodes, group)? {
            if component[i] != 0 {
                return Err(Error::usage(format!(
                    "isolate names {} in two groups; name it in one",
                    nodes[i]
                )));
            }
            component[i] = number;
        }
    }
    if groups.len() == 1 && component.iter().all(|&c| c == 1) {
        return Err(Error::usage(
            "isolate names all nodes: there is nobody left to cut them off from; name fewer, or write groups: isolate n1,n2 n3",
        ));
    }
    Ok(Grudge::between(nodes, &component))
}

fn one_way(nodes: &[Name], from: &[Name], to: &[Name]) -> Result<Grudge> {
    let (from, to) = (positions(nodes, from)?, positions(nodes, to)?);
    if let Some(both) = from.iter().find(|i| to.contains(i)) {
        return Err(Error::usage(format!(
            "one-way names {} on both sides; name it on one",
            nodes[*both]
        )));
    }
    Ok(Grudge::where_dropped(nodes, |src, dst| from.contains(&src) && to.contains(&dst)))
}

/// `count` pairs, drawn at random.
fn flapping(nodes: &[Name], count: usize, rng: &mut Pcg64) -> Result<Grudge> {
    let n = nodes.len();
    let mut pairs: Vec<(usize, usize)> =
        (0..n).flat_map(|a| (a + 1..n).map(move |b| (a, b))).collect();
    if count > pairs.len() {
        return Err(Error::usage(format!(
            "flapping {count}: {n} nodes have {} pairs only; take fewer, or name more nodes with -n",
            pairs.len()
        )));
    }
    pairs.shuffle(rng);
    let mut grudge = Grudge::none(nodes);
    for &(a, b) in &pairs[..count] {
        grudge.drop_from(a, b);
        grudge.drop_from(b, a);
    }
    Ok(grudge)
}

/// A random choice of `names`, not none of them, each a side of its own.
fn primaries(nodes: &[Name], names: &[Name], rng: &mut Pcg64) -> Result<Grudge> {
    let mut chosen = positions(nodes, names)?;
    if chosen.is_empty() {
        return Err(Error::usage(
            "primaries names no node; write primaries n1, or give --primaries CMD",
        ));
    }
    chosen.sort_unstable();
    chosen.dedup();
    chosen.shuffle(rng);
    chosen.truncate(rng.random_range(1..=chosen.len()));
    let mut component = vec![0; nodes.len()];
    (1..).zip(&chosen).for_each(|(number, &node)| component[node] = number);
    Ok(Grudge::between(nodes, &component))
}

fn positions(nodes: &[Name], names: &[Name]) -> Result<Vec<usize>> {
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

/// Two random halves, and one node (of the larger half) that drops nobody and that nobody drops.
fn bridge(nodes: &[Name], rng: &mut Pcg64) -> Grudge {
    let order = drawn(nodes.len(), nodes.len(), rng);
    let middle = nodes.len() / 2;
    let mut place = vec![0; nodes.len()];
    order.iter().enumerate().for_each(|(at, &node)| place[node] = at);
    Grudge::where_dropped(nodes, |a, b| {
        let (a, b) = (place[a], place[b]);
        a != middle && b != middle && (a < middle) != (b < middle)
    })
}

/// Every node sees a majority, itself counted, and no two the same: perfect to five nodes, which stand in a ring,
/// each in the middle of those that it sees; beyond those by chance, as links happen to be drawn.
fn majorities_ring(nodes: &[Name], rng: &mut Pcg64) -> Grudge {
    let n = nodes.len();
    let draws = if n <= 5 { 0 } else { DRAWS };
    match (0..draws).find_map(|_| random_majorities(n, rng)) {
        Some(links) => Grudge::where_dropped(nodes, |a, b| !links[a][b]),
        None => ring(nodes, rng),
    }
}

/// How often links are drawn at the most. Nine draws of ten will do among 7 to 10 nodes, and more among others.
const DRAWS: usize = 100;

/// The nodes in a ring in random order; each sees its nearest neighbours on both sides, of three nodes only the one
/// before it. A window of nodes in a ring belongs to one centre only as long as it does not reach all around.
fn ring(nodes: &[Name], rng: &mut Pcg64) -> Grudge {
    let n = nodes.len();
    let order = drawn(n, n, rng);
    let mut place = vec![0; n];
    order.iter().enumerate().for_each(|(at, &node)| place[node] = at);
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use breakit::rng::generator;

    fn nodes(n: usize) -> Vec<Name> {
        (1..=n).map(|i| Name::new(&format!("n{i}")).unwrap()).collect()
    }

    fn draw(words: &str, n: usize, seed: u64) -> Grudge {
        let words: Vec<String> = words.split(' ').map(str::to_string).collect();
        Shape::parse(&words).unwrap().draw(&nodes(n), &mut generator(seed, "partition")).unwrap()
    }

    /// Who each node hears, itself counted.
    fn heard(grudge: &Grudge) -> Vec<Vec<usize>> {
        let n = grudge.nodes().len();
        (0..n).map(|dst| (0..n).filter(|&src| !grudge.drops(src, dst)).collect()).collect()
    }

    fn symmetric(grudge: &Grudge) -> bool {
        grudge.pairs().all(|(src, dst)| grudge.drops(dst, src))
    }

    /// The sizes of the sides, smallest first, where everybody hears exactly their own side.
    fn sides(grudge: &Grudge) -> Vec<usize> {
        let mut hearers: BTreeMap<Vec<usize>, Vec<usize>> = BTreeMap::new();
        for (node, side) in heard(grudge).into_iter().enumerate() {
            hearers.entry(side).or_default().push(node);
        }
        assert!(hearers.iter().all(|(side, hearers)| side == hearers), "{}", grudge.words());
        let mut sizes: Vec<usize> = hearers.keys().map(Vec::len).collect();
        sizes.sort_unstable();
        sizes
    }

    #[test]
    fn halves_are_two_sides_of_half_the_nodes_from_2_to_200() {
        for n in 2..=200 {
            for shape in ["halves", "random-halves"] {
                let grudge = draw(shape, n, n as u64);
                assert_eq!(sides(&grudge), [n / 2, n - n / 2]);
                assert!(symmetric(&grudge));
            }
            let halves = draw("halves", n, 0);
            assert!((0..n / 2).all(|i| halves.drops(n - 1, i)));
        }
    }

    #[test]
    fn isolate_cuts_each_group_off_from_all_others_from_3_to_200() {
        for n in 3..=200 {
            assert_eq!(sides(&draw("isolate", n, 7)), [1, n - 1]);
            let mut sizes = [1, n - 1];
            sizes.sort_unstable();
            assert_eq!(sides(&draw("isolate n2", n, 7)), sizes);
            let mut sizes = [2, n - 2];
            sizes.sort_unstable();
            assert_eq!(sides(&draw("isolate n1,n2", n, 7)), sizes);
            let grudge = draw("isolate n1 n2", n, 7);
            assert_eq!(sides(&grudge), [1, 1, n - 2]);
            assert!(grudge.drops(0, 1) && grudge.drops(1, 0));
        }
    }

    #[test]
    fn majority_keeps_one_and_minority_third_is_smaller_than_a_third_up_to_200() {
        for n in 4..=200 {
            for seed in 0..3 {
                let sizes = sides(&draw("majority", n, seed));
                assert!(sizes.len() == 2 && sizes[1] > n / 2, "{n}: {sizes:?}");
                let sizes = sides(&draw("minority-third", n, seed));
                assert!(sizes.len() == 2 && sizes[0] * 3 < n && sizes[0] > 0, "{n}: {sizes:?}");
            }
        }
    }

    #[test]
    fn a_bridge_is_one_node_that_hears_all_between_two_sides_up_to_200() {
        for n in 3..=200 {
            let grudge = draw("bridge", n, n as u64);
            assert!(symmetric(&grudge));
            let heard = heard(&grudge);
            let bridges: Vec<usize> = (0..n).filter(|&i| heard[i].len() == n).collect();
            assert_eq!(bridges.len(), 1, "{n}");
            let mut sizes: Vec<usize> =
                (0..n).filter(|i| !bridges.contains(i)).map(|i| heard[i].len() - 1).collect();
            sizes.sort_unstable();
            let (small, large) = (n / 2, n - n / 2 - 1);
            let mut wanted = [vec![small; small], vec![large; large]].concat();
            wanted.sort_unstable();
            assert_eq!(sizes, wanted, "{n}");
        }
    }

    #[test]
    fn in_a_ring_of_majorities_every_node_hears_a_majority_and_no_two_the_same_up_to_200() {
        for n in 3..=200 {
            for seed in 0..if n <= 20 { 50 } else { 1 } {
                let grudge = draw("majorities-ring", n, seed);
                assert!(n == 3 || symmetric(&grudge), "{n}");
                let heard = heard(&grudge);
                let most = if n <= 5 { n / 2 + 1 } else { n / 2 + 2 };
                assert!(heard.iter().all(|h| h.len() > n / 2 && h.len() <= most), "{n}");
                let different = heard.iter().collect::<BTreeSet<_>>().len();
                assert_eq!(different, n, "two see the same of {n}, seed {seed}");
            }
        }
    }

    #[test]
    fn beyond_5_nodes_chance_draws_who_hears_whom_in_a_ring_of_majorities() {
        // In a ring of neighbours there are always as many nodes that all hear one another.
        let threes = |seed| {
            let heard = heard(&draw("majorities-ring", 9, seed));
            let mutual = |a: usize, b: usize| a < b && heard[a].contains(&b);
            let all = (0..9).flat_map(|a| (0..9).flat_map(move |b| (0..9).map(move |c| (a, b, c))));
            all.filter(|&(a, b, c)| mutual(a, b) && mutual(b, c) && mutual(a, c)).count()
        };
        let different: BTreeSet<usize> = (0..50).map(threes).collect();
        assert!(different.len() > 3, "{different:?}");
    }

    #[test]
    fn primaries_are_each_alone_and_all_others_together_up_to_200() {
        for n in 4..=200 {
            assert_eq!(sides(&draw("primaries n2", n, 1)), [1, n - 1]);
            let both = (0..20).map(|seed| draw("primaries n1 n2", n, seed));
            let sizes: BTreeSet<Vec<usize>> =
                both.take(if n < 20 { 20 } else { 1 }).map(|g| sides(&g)).collect();
            assert!(
                sizes.iter().all(|s| *s == [1, n - 1] || *s == [1, 1, n - 2]),
                "{n}: {sizes:?}"
            );
            assert!(n >= 20 || sizes.len() == 2, "{n}: {sizes:?}");
        }
    }

    #[test]
    fn flapping_cuts_so_many_pairs_in_both_directions_up_to_200() {
        for n in 2..=200 {
            for count in [1, (n / 2).max(1), n * (n - 1) / 2] {
                let grudge = draw(&format!("flapping {count}"), n, n as u64);
                assert!(symmetric(&grudge), "{n}");
                assert_eq!(grudge.pairs().count(), 2 * count, "{n}");
            }
        }
        assert_eq!(draw("flapping", 9, 1), draw("flapping 1", 9, 1));
    }

    #[test]
    fn one_way_drops_in_one_direction_only() {
        let grudge = draw("one-way n1,n2 n3", 5, 0);
        assert_eq!(grudge.pairs().collect::<Vec<_>>(), [(0, 2), (1, 2)]);
    }

    #[test]
    fn inverted_every_shape_drops_what_it_let_pass_up_to_200() {
        for n in (4..=200).step_by(7) {
            for shape in ["halves", "bridge", "majorities-ring", "one-way n1 n2"] {
                let words: Vec<String> = shape.split(' ').map(str::to_string).collect();
                let inverted = Shape::Inverted(Box::new(Shape::parse(&words).unwrap()));
                let grudge = inverted.draw(&nodes(n), &mut generator(1, "partition")).unwrap();
                assert_eq!(grudge.inverted(), draw(shape, n, 1), "{shape} {n}");
            }
        }
    }

    #[test]
    fn the_same_seed_makes_the_same_grudge_and_another_seed_another() {
        for shape in [
            "isolate",
            "random-halves",
            "majority",
            "minority-third",
            "bridge",
            "majorities-ring",
            "flapping",
        ] {
            assert_eq!(draw(shape, 50, 7), draw(shape, 50, 7), "{shape}");
            let different =
                (0..20).map(|seed| draw(shape, 50, seed).words()).collect::<BTreeSet<_>>();
            assert!(different.len() > 10, "{shape}");
        }
    }

    #[test]
    fn what_makes_no_cut_is_refused() {
        for (words, n, clause) in [
            ("halves", 1, "two nodes at least"),
            ("halves", 0, "two nodes at least"),
            ("isolate n1,n2,n3", 3, "names all nodes"),
            ("isolate n1 n1", 3, "in two groups"),
            ("isolate n9", 3, "n9 is none of the nodes n1,n2,n3"),
            ("one-way n1 n1", 3, "on both sides"),
            ("primaries", 3, "names no node"),
            ("bridge", 2, "needs 3 nodes"),
            ("majorities-ring", 2, "needs 3 nodes"),
            ("flapping 4", 3, "3 nodes have 3 pairs only"),
        ] {
            let words: Vec<String> = words.split(' ').map(str::to_string).collect();
            let error = Shape::parse(&words)
                .unwrap()
                .draw(&nodes(n), &mut generator(0, "partition"))
                .unwrap_err();
            assert!(error.to_string().contains(clause), "{words:?}: {error}");
        }
    }
}
