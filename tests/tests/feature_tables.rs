//! The tables of features in docs/ promise nothing that no test shows.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The names of all tests of the workspace.
fn tests() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for folder in ["tools", "tests"] {
        collect(&root().join(folder), &mut found);
    }
    found
}

fn collect(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let after = text.split("#[test]").skip(1);
            let name = |text: &str| Some(text.split_once("fn ")?.1.split_once('(')?.0.to_string());
            found.extend(after.filter_map(name));
        }
    }
}

/// What stands in backquotes and is spelled as a test's name is.
fn named(text: &str) -> Vec<&str> {
    let quoted = text.split('`').skip(1).step_by(2);
    let spelled = |word: &&str| {
        word.matches('_').count() > 2
            && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    quoted.filter(spelled).collect()
}

/// `yes ¹²` as 12.
fn mark(cell: &str) -> Option<usize> {
    let digit = |c| "⁰¹²³⁴⁵⁶⁷⁸⁹".chars().position(|digit| digit == c);
    let digits: Vec<usize> = cell.chars().filter_map(digit).collect();
    (!digits.is_empty()).then(|| digits.iter().fold(0, |number, digit| number * 10 + digit))
}

/// `3. text` as both.
fn note(line: &str) -> Option<(usize, &str)> {
    let (number, text) = line.split_once(". ")?;
    Some((number.parse().ok()?, text))
}

/// What each yes of ours in a page rests upon, by the feature's words.
fn promises(page: &str) -> Vec<(String, Vec<String>)> {
    let mut promises = Vec::new();
    for section in page.split("\n## ") {
        let notes: BTreeMap<usize, &str> = section.lines().filter_map(note).collect();
        for line in section.lines().filter(|line| line.starts_with('|')) {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [feature, ours, ..] = cells.as_slice() else { continue };
            if ours.starts_with("yes") {
                let below = mark(ours).and_then(|number| notes.get(&number)).copied();
                let tests = named(line).into_iter().chain(named(below.unwrap_or_default()));
                promises.push((feature.to_string(), tests.map(str::to_string).collect()));
            }
        }
    }
    promises
}

#[test]
fn every_yes_of_the_tables_of_network_faults_names_a_test_that_exists() {
    let tests = tests();
    let pages = fs::read_dir(root().join("docs")).unwrap().flatten().map(|entry| entry.path());
    let pages: Vec<PathBuf> =
        pages.filter(|path| path.display().to_string().contains("/network-faults")).collect();
    assert!(!pages.is_empty(), "docs/ has no table of network faults");
    for path in pages {
        let page = fs::read_to_string(&path).unwrap();
        let promises = promises(&page);
        assert!(promises.len() > 5, "{}: no table was found", path.display());
        for (feature, shown) in promises {
            assert!(!shown.is_empty(), "{}: no test shows {feature:?}", path.display());
            for name in shown {
                assert!(tests.contains(&name), "{}: no test is called {name}", path.display());
            }
        }
        for name in named(&page) {
            assert!(tests.contains(name), "{}: no test is called {name}", path.display());
        }
    }
}
