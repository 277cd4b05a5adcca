//! Modules import one another in one direction: no module of a tool reaches itself through others. Edges between a module
//! and those below it are left out, as a folder and its parts are one thing.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, ItemMod, ItemUse, UseTree};

type Name = Vec<String>;

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.extension() {
            _ if path.is_dir() => found.extend(sources(&path)),
            Some(ending) if ending == "rs" => found.push(path),
            _ => {}
        }
    }
    found
}

/// The name of a file's module; nothing for the root of a crate.
fn module(src: &Path, file: &Path) -> Name {
    let inside = file.strip_prefix(src).unwrap().with_extension("");
    let parts = inside.iter().map(|part| part.to_str().unwrap().to_string());
    parts.filter(|part| !["lib", "main", "mod"].contains(&part.as_str())).collect()
}

/// The paths that a file names, as its own module resolves them.
#[derive(Default)]
struct Named {
    paths: Vec<Name>,
}

fn is_of_tests(attributes: &[Attribute]) -> bool {
    let is_test = |attribute: &Attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|what| what.is_ident("test"))
    };
    attributes.iter().any(is_test)
}

fn leaves(tree: &UseTree, before: &Name, all: &mut Vec<Name>) {
    let with = |name: &syn::Ident| [before.clone(), vec![name.to_string()]].concat();
    match tree {
        UseTree::Path(path) => leaves(&path.tree, &with(&path.ident), all),
        UseTree::Name(name) => all.push(with(&name.ident)),
        UseTree::Rename(name) => all.push(with(&name.ident)),
        UseTree::Glob(_) => all.push(before.clone()),
        UseTree::Group(group) => group.items.iter().for_each(|tree| leaves(tree, before, all)),
    }
}

impl<'ast> Visit<'ast> for Named {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if !is_of_tests(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if !is_of_tests(&item.attrs) {
            leaves(&item.tree, &Vec::new(), &mut self.paths);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let named = path.segments.iter().map(|segment| segment.ident.to_string());
        self.paths.push(named.collect());
        visit::visit_path(self, path);
    }
}

/// The module that a path names from within `here`, if it is one of `modules`.
fn resolved(path: &[String], here: &Name, modules: &BTreeMap<Name, PathBuf>) -> Option<Name> {
    let (base, rest) = match path.split_first()? {
        (first, rest) if first == "crate" => (Vec::new(), rest),
        (first, rest) if first == "self" => (here.clone(), rest),
        (first, _) if first == "super" => {
            let ups = path.iter().take_while(|part| *part == "super").count();
            (here[..here.len().checked_sub(ups)?].to_vec(), &path[ups..])
        }
        _ => (here.clone(), path),
    };
    let whole = [base.clone(), rest.to_vec()].concat();
    let names_one = |&length: &usize| modules.contains_key(&whole[..length].to_vec());
    let length = (base.len() + 1..=whole.len()).rev().find(names_one)?;
    Some(whole[..length].to_vec())
}

/// Which modules each module of a crate imports.
fn imports(src: &Path) -> BTreeMap<Name, BTreeSet<Name>> {
    let files = sources(src).into_iter().map(|file| (module(src, &file), file));
    let modules: BTreeMap<Name, PathBuf> = files.filter(|(name, _)| !name.is_empty()).collect();
    let of = |(here, file): (&Name, &PathBuf)| {
        let mut named = Named::default();
        named.visit_file(&syn::parse_file(&fs::read_to_string(file).unwrap()).unwrap());
        let all = named.paths.iter().filter_map(|path| resolved(path, here, &modules));
        let is_apart = |other: &Name| !other.starts_with(here) && !here.starts_with(other);
        (here.clone(), all.filter(is_apart).collect())
    };
    modules.iter().map(of).collect()
}

/// A way from a module through its imports back to it, the shortest.
fn circle(from: &Name, imports: &BTreeMap<Name, BTreeSet<Name>>) -> Option<Vec<Name>> {
    let mut ways = vec![vec![from.clone()]];
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            for next in &imports[way.last().unwrap()] {
                let whole = [way.clone(), vec![next.clone()]].concat();
                if next == from {
                    return Some(whole);
                }
                if seen.insert(next.clone()) {
                    longer.push(whole);
                }
            }
        }
        ways = longer;
    }
    None
}

#[test]
fn no_module_imports_itself_through_others() {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tools");
    let mut circles = Vec::new();
    for tool in fs::read_dir(tools).unwrap() {
        let imports = imports(&tool.unwrap().path().join("src"));
        assert!(imports.len() > 5, "{imports:?}");
        for way in imports.keys().filter_map(|module| circle(module, &imports)) {
            // A circle is reported once, from the first of its modules.
            if way.iter().min() == way.first() {
                let names: Vec<String> = way.iter().map(|name| name.join("::")).collect();
                circles.push(names.join(" -> "));
            }
        }
    }
    assert!(circles.is_empty(), "import circles:\n{}", circles.join("\n"));
}
