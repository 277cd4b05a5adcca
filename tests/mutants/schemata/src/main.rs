//! `schemata TREE LIST [LEFT-OUT]`: writes every change of `cargo mutants --list --json` into the files of TREE at
//! once, each chosen at run time by its number: `mutant::chosen`. What cannot be chosen at run time is told as
//! JSON lines with the reason. LEFT-OUT holds the numbers of changes that do not compile.
//!
//! A change of an operator is one of the tree, not of the text: `a - b * c` becomes `a - (b + c)`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::path::Path;

use proc_macro2::Span;
use serde_json::{Value, json};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// One change of the list.
struct Change {
    number: usize,
    genre: String,
    replacement: String,
    /// Where it stands, in bytes.
    at: Range<usize>,
}

/// What a place of the source becomes.
enum How {
    /// Another text for the whole: of each change, its number and the text.
    Instead(Vec<(usize, String)>),
    /// Another value of a function's body.
    Early(Vec<(usize, String)>),
    /// Another iterator in place of the one that a body makes, whose type has no name.
    Iterator(Vec<(usize, String)>),
    /// An arm that may be passed over.
    Arm { number: usize, guarded: bool },
}

struct Site {
    at: Range<usize>,
    how: How,
}

struct Finder<'s> {
    source: &'s str,
    changes: HashMap<(usize, usize), Vec<&'s Change>>,
    sites: Vec<Site>,
    constant: usize,
    /// Numbers that were met, and why they were left out.
    met: BTreeMap<usize, Option<&'static str>>,
}

fn range(span: Span) -> Range<usize> {
    span.byte_range()
}

fn whole(node: &impl Spanned) -> Range<usize> {
    range(node.span())
}

fn has_let(expr: &syn::Expr) -> bool {
    match expr {
        syn::Expr::Let(_) => true,
        syn::Expr::Binary(b) => has_let(&b.left) || has_let(&b.right),
        _ => false,
    }
}

impl<'s> Finder<'s> {
    /// The changes that stand exactly there; where they cannot be chosen they are left out.
    fn take(
        &mut self,
        at: Range<usize>,
        genre: &str,
        refuse: Option<&'static str>,
    ) -> Vec<&'s Change> {
        let all = self.changes.get(&(at.start, at.end)).cloned().unwrap_or_default();
        let refuse = refuse.or((self.constant > 0).then_some("constant"));
        let mine: Vec<&Change> = all.into_iter().filter(|c| c.genre == genre).collect();
        for change in &mine {
            self.met.insert(change.number, refuse);
        }
        if refuse.is_some() { Vec::new() } else { mine }
    }

    fn text(&self, at: &Range<usize>) -> &'s str {
        &self.source[at.clone()]
    }

    fn instead(&mut self, at: Range<usize>, texts: Vec<(usize, String)>) {
        if !texts.is_empty() {
            self.sites.push(Site { at, how: How::Instead(texts) });
        }
    }

    fn body(&mut self, block: &syn::Block) {
        let (Some(first), Some(last)) = (block.stmts.first(), block.stmts.last()) else { return };
        let at = whole(first).start..whole(last).end;
        let taken = self.take(at.clone(), "FnValue", None);
        let texts: Vec<_> = taken.iter().map(|c| (c.number, c.replacement.clone())).collect();
        if !texts.is_empty() {
            let open = range(block.brace_token.span.open()).end;
            let close = range(block.brace_token.span.close()).start;
            let is_iterator = texts.iter().all(|(_, text)| text.starts_with("::std::iter::"));
            let how = if is_iterator { How::Iterator(texts) } else { How::Early(texts) };
            self.sites.push(Site { at: open..close, how });
        }
    }

    fn constant(&mut self, visit: impl FnOnce(&mut Self)) {
        self.constant += 1;
        visit(self);
        self.constant -= 1;
    }

    fn function(&mut self, sig: &syn::Signature, visit: impl FnOnce(&mut Self)) {
        if sig.constness.is_some() { self.constant(visit) } else { visit(self) }
    }
}

impl<'a> Visit<'a> for Finder<'_> {
    fn visit_item_const(&mut self, node: &'a syn::ItemConst) {
        self.constant(|this| visit::visit_item_const(this, node));
    }
    fn visit_item_static(&mut self, node: &'a syn::ItemStatic) {
        self.constant(|this| visit::visit_item_static(this, node));
    }
    fn visit_impl_item_const(&mut self, node: &'a syn::ImplItemConst) {
        self.constant(|this| visit::visit_impl_item_const(this, node));
    }
    fn visit_trait_item_const(&mut self, node: &'a syn::TraitItemConst) {
        self.constant(|this| visit::visit_trait_item_const(this, node));
    }
    fn visit_type_array(&mut self, node: &'a syn::TypeArray) {
        self.constant(|this| visit::visit_type_array(this, node));
    }
    fn visit_pat(&mut self, node: &'a syn::Pat) {
        self.constant(|this| visit::visit_pat(this, node));
    }
    fn visit_item_fn(&mut self, node: &'a syn::ItemFn) {
        self.function(&node.sig, |this| {
            this.body(&node.block);
            visit::visit_item_fn(this, node);
        });
    }
    fn visit_impl_item_fn(&mut self, node: &'a syn::ImplItemFn) {
        self.function(&node.sig, |this| {
            this.body(&node.block);
            visit::visit_impl_item_fn(this, node);
        });
    }
    fn visit_trait_item_fn(&mut self, node: &'a syn::TraitItemFn) {
        self.function(&node.sig, |this| {
            node.default.iter().for_each(|block| this.body(block));
            visit::visit_trait_item_fn(this, node);
        });
    }
    fn visit_expr_binary(&mut self, node: &'a syn::ExprBinary) {
        let refuse =
            (has_let(&node.left) || has_let(&node.right)).then_some("a let in the condition");
        let taken = self.take(whole(&node.op), "BinaryOperator", refuse);
        let (left, right) = (self.text(&whole(&node.left)), self.text(&whole(&node.right)));
        let texts =
            taken.iter().map(|c| (c.number, format!("({left}) {} ({right})", c.replacement)));
        self.instead(whole(node), texts.collect());
        visit::visit_expr_binary(self, node);
    }
    fn visit_expr_unary(&mut self, node: &'a syn::ExprUnary) {
        let taken = self.take(whole(&node.op), "UnaryOperator", None);
        let inner = self.text(&whole(&node.expr));
        self.instead(whole(node), taken.iter().map(|c| (c.number, inner.to_string())).collect());
        visit::visit_expr_unary(self, node);
    }
    fn visit_arm(&mut self, node: &'a syn::Arm) {
        if let Some((_, guard)) = &node.guard {
            let at = whole(&**guard);
            let taken = self.take(at.clone(), "MatchArmGuard", None);
            let texts = taken.iter().map(|c| (c.number, c.replacement.clone()));
            self.instead(at, texts.collect());
        }
        if let Some(change) = self.take(whole(node), "MatchArm", None).first() {
            let guarded = node.guard.is_some();
            let at = match &node.guard {
                Some((_, guard)) => whole(&**guard),
                None => whole(&node.pat).end..whole(&node.pat).end,
            };
            self.sites.push(Site { at, how: How::Arm { number: change.number, guarded } });
        }
        visit::visit_arm(self, node);
    }
    fn visit_expr_struct(&mut self, node: &'a syn::ExprStruct) {
        let mut texts = Vec::new();
        for (i, field) in node.fields.iter().enumerate() {
            // The span may take in the comma.
            let at = whole(field);
            let starts: Vec<(usize, usize)> =
                self.changes.keys().filter(|k| k.0 == at.start).copied().collect();
            for key in starts {
                for change in self.take(key.0..key.1, "StructField", None) {
                    let others = node.fields.iter().enumerate().filter(|(j, _)| *j != i);
                    let fields: String =
                        others.map(|(_, f)| format!("{}, ", self.text(&whole(f)))).collect();
                    let rest = node.rest.as_ref().map_or("", |r| self.text(&whole(&**r)));
                    let path = self.text(&whole(&node.path));
                    texts.push((change.number, format!("{path} {{ {fields} ..{rest} }}")));
                }
            }
        }
        self.instead(whole(node), texts);
        visit::visit_expr_struct(self, node);
    }
}

/// The text of a range with all sites in it written out; `sites` from the outermost in.
fn render(source: &str, at: Range<usize>, sites: &[Site], out: &mut String) {
    let mut place = at.start;
    let mut next = 0;
    while let Some(site) = sites.get(next) {
        let inner = sites[next + 1..]
            .iter()
            .take_while(|s| s.at.end <= site.at.end && s.at.start >= site.at.start);
        let count = inner.count();
        let within = &sites[next + 1..next + 1 + count];
        out.push_str(&source[place..site.at.start]);
        place = site.at.end;
        next += 1 + count;
        match &site.how {
            How::Instead(texts) => {
                out.push_str(&format!(
                    "(match crate::mutant::chosen({}, {}) {{ ",
                    texts[0].0,
                    texts.len()
                ));
                for (number, text) in texts {
                    out.push_str(&format!("{number} => {{ /*<{number}*/ {text} /*{number}>*/ }} "));
                }
                out.push_str("_ => ");
                render(source, site.at.clone(), within, out);
                out.push_str(" })");
            }
            How::Early(texts) => {
                out.push_str(&format!(
                    " match crate::mutant::chosen({}, {}) {{ ",
                    texts[0].0,
                    texts.len()
                ));
                for (number, text) in texts {
                    out.push_str(&format!(
                        "{number} => {{ /*<{number}*/ return {text} /*{number}>*/ }} "
                    ));
                }
                out.push_str("_ => {} } ");
                render(source, site.at.clone(), within, out);
            }
            How::Iterator(texts) => {
                out.push_str(&format!(
                    " let chosen = crate::mutant::chosen({}, {}); let all = {{ ",
                    texts[0].0,
                    texts.len()
                ));
                render(source, site.at.clone(), within, out);
                let numbers: Vec<String> =
                    texts.iter().map(|(n, _)| format!("chosen != {n}")).collect();
                out.push_str(&format!(
                    " }}; let all = all.filter(move |_| {});",
                    numbers.join(" && ")
                ));
                for (number, text) in texts.iter().filter(|(_, text)| !text.contains("empty()")) {
                    out.push_str(&format!("let all = all.chain((chosen == {number}).then(|| /*<{number}*/ {text} /*{number}>*/ ).into_iter().flatten());"));
                }
                out.push_str(" all ");
            }
            How::Arm { number, guarded } => {
                let chosen = format!(
                    "/*<{number}*/ crate::mutant::chosen({number}, 1) != {number} /*{number}>*/"
                );
                if *guarded {
                    out.push_str(&format!("({chosen}) && ("));
                    render(source, site.at.clone(), within, out);
                    out.push(')');
                } else {
                    out.push_str(&format!(" if {chosen}"));
                }
            }
        }
    }
    out.push_str(&source[place..at.end]);
}

/// The byte of a line and a column, both from one.
fn byte(lines: &[usize], source: &str, place: &Value) -> usize {
    let line = lines[place["line"].as_u64().unwrap() as usize - 1];
    let column = place["column"].as_u64().unwrap() as usize - 1;
    source[line..].char_indices().nth(column).map_or(source.len(), |(at, _)| line + at)
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let list: Vec<Value> =
        serde_json::from_str(&std::fs::read_to_string(&args[2]).unwrap()).unwrap();
    let left_out: HashSet<usize> = args.get(3).map_or(HashSet::new(), |file| {
        std::fs::read_to_string(file)
            .unwrap()
            .lines()
            .filter_map(|l| l.split_whitespace().next()?.parse().ok())
            .collect()
    });
    let mut files: BTreeMap<String, Vec<(usize, &Value)>> = BTreeMap::new();
    for (number, change) in list.iter().enumerate() {
        files
            .entry(change["file"].as_str().unwrap().into())
            .or_default()
            .push((number + 1, change));
    }
    for (file, all) in files {
        let path = Path::new(&args[1]).join(&file);
        let source = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<usize> =
            std::iter::once(0).chain(source.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let changes: Vec<Change> = all
            .iter()
            .map(|(number, change)| Change {
                number: *number,
                genre: change["genre"].as_str().unwrap().into(),
                replacement: change["replacement"].as_str().unwrap().into(),
                at: byte(&lines, &source, &change["span"]["start"])
                    ..byte(&lines, &source, &change["span"]["end"]),
            })
            .collect();
        let mut by_place: HashMap<(usize, usize), Vec<&Change>> = HashMap::new();
        for change in changes.iter().filter(|c| !left_out.contains(&c.number)) {
            by_place.entry((change.at.start, change.at.end)).or_default().push(change);
        }
        let mut finder = Finder {
            source: &source,
            changes: by_place,
            sites: Vec::new(),
            constant: 0,
            met: BTreeMap::new(),
        };
        finder.visit_file(&syn::parse_file(&source).unwrap());
        for change in changes.iter().filter(|c| !left_out.contains(&c.number)) {
            let why = match finder.met.get(&change.number) {
                None => Some("not met"),
                Some(why) => *why,
            };
            if let Some(why) = why {
                println!(
                    "{}",
                    json!({"number": change.number, "name": list[change.number - 1]["name"], "why": why})
                );
            }
        }
        let mut sites = finder.sites;
        // From the outermost in; an arm's own condition lies around its guard's changes.
        sites.sort_by_key(|s| {
            (s.at.start, usize::MAX - s.at.end, !matches!(s.how, How::Arm { .. }))
        });
        let mut out = String::new();
        render(&source, 0..source.len(), &sites, &mut out);
        std::fs::write(&path, out).unwrap();
    }
}
