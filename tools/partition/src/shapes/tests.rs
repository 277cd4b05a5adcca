//! Shapes from the table, and what each of them promises.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use breakit::rng::generator;

fn nodes(n: usize) -> Vec<Name> {
    (1..=n).map(|i| Name::new(&format!("n{i}")).unwrap()).collect()
}

fn parse(words: &str) -> Chosen {
    let words: Vec<String> = words.split_whitespace().map(str::to_string).collect();
    Chosen::parse(&words).unwrap()
}

/// Every shape with arguments that four nodes allow.
fn examples() -> Vec<String> {
    let of = |entry: &'static Entry| {
        entry.examples.iter().map(|arguments| format!("{} {arguments}", entry.name))
    };
    SHAPES.iter().flat_map(of).collect()
}

fn draw(words: &str, n: usize, seed: u64) -> Grudge {
    parse(words).draw(&nodes(n), &mut generator(seed, "partition")).unwrap()
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
        assert!(sizes.iter().all(|s| *s == [1, n - 1] || *s == [1, 1, n - 2]), "{n}: {sizes:?}");
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
        for shape in examples() {
            let inverted = parse(&shape).inverted();
            let grudge = inverted.draw(&nodes(n), &mut generator(1, "partition")).unwrap();
            assert_eq!(grudge.inverted(), draw(&shape, n, 1), "{shape} {n}");
        }
    }
}

#[test]
fn the_same_seed_makes_the_same_grudge_and_another_seed_another() {
    for shape in examples() {
        assert_eq!(draw(&shape, 50, 7), draw(&shape, 50, 7), "{shape}");
    }
    for shape in [
        "isolate",
        "random-halves",
        "majority",
        "minority-third",
        "bridge",
        "majorities-ring",
        "flapping",
    ] {
        let different = (0..20).map(|seed| draw(shape, 50, seed).words()).collect::<BTreeSet<_>>();
        assert!(different.len() > 10, "{shape}");
    }
}

#[test]
fn every_shape_is_typed_as_it_says() {
    for shape in examples() {
        let words = parse(&shape).words();
        assert_eq!(parse(&words).words(), words);
        assert_eq!(draw(&words, 9, 3), draw(&shape, 9, 3), "{shape}");
    }
    for entry in SHAPES {
        assert!(list().contains(entry.name) && table().contains(entry.doc));
        assert!(table().lines().all(|line| line.chars().count() <= 100), "{}", table());
        assert_eq!(closest(&format!("{}s", entry.name)), Some(entry.name));
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
        let error = parse(words).draw(&nodes(n), &mut generator(0, "partition")).unwrap_err();
        assert!(error.to_string().contains(clause), "{words:?}: {error}");
    }
}
