//! What was found about one set, or about several taken together.

use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::{Value, json};

use super::element::{Element, Sight};
use super::kind::{Kind, Weight, elements};
use super::{Ends, Ops};
use crate::budget::{Exhausted, Watch};
use crate::history::{History, Operation, Outcome, Pos};
use crate::plural::many;
use crate::report::finding::{Evidence, Finding};
use crate::values::Id;
use crate::verdict::Verdict;

/// How many operations a finding names; JSON has all elements.
const NAMED: usize = 24;

/// Below one in so many, those of which something is known are few.
const FEW: usize = 2;

/// A final read that counts: the last of its node.
#[derive(Debug, Clone)]
pub struct Final {
    node: Option<Id>,
    line: u32,
    size: usize,
}

/// What is wrong with some elements.
#[derive(Debug, Clone)]
struct Wrong {
    kind: Kind,
    elements: Vec<Id>,
    /// Where operations that show it returned, the first [`NAMED`].
    shown_at: Vec<Pos>,
    /// Whose final read it is about, if it is about one.
    node: Option<Id>,
}

/// All that was found. Counts are of elements.
#[derive(Debug, Default, Clone)]
pub struct Findings {
    /// Elements that some add tried.
    pub attempted: usize,
    /// Elements that some add was told to have succeeded with.
    pub acknowledged: usize,
    /// Acknowledged elements that some final read should have.
    pub judged: usize,
    /// The final reads that count.
    pub finals: Vec<Final>,
    recovered: usize,
    /// Of one set one of each kind, but of [`Kind::Missing`] one for each final read that lacks something.
    wrong: Vec<Wrong>,
    /// For each fault, by its index, how many lost elements were acknowledged during it; and how many during none.
    lost_during: Vec<usize>,
    lost_outside: usize,
}

/// Looks at the adds and reads of one set.
///
/// # Errors
/// The limit that was reached.
pub(super) fn find(
    history: &History,
    ops: &Ops,
    ends: Ends,
    watch: &mut Watch<'_>,
) -> Result<Findings, Exhausted> {
    let mut found = Findings::default();
    let mut elements = attempted(ops, watch)?;
    let order = seen(history, ops, &mut elements, &mut found, watch)?;
    let finals = finals(ops, ends);
    for read in &finals {
        found.finals.push(Final {
            node: read.node,
            line: history.line(read.res),
            size: list(history, read).len(),
        });
    }
    for &id in &order {
        judge_seen(id, &elements[&id], &mut found);
    }
    found.attempted = elements.values().filter(|element| element.fate().is_some()).count();
    let tried = ops.adds.iter().map(|(id, _)| *id);
    let candidates = tried.chain(order.iter().copied());
    judge_finals(history, candidates, &elements, &finals, &mut found, watch)?;
    Ok(found)
}

fn attempted(ops: &Ops, watch: &mut Watch<'_>) -> Result<FxHashMap<Id, Element>, Exhausted> {
    let mut elements = FxHashMap::default();
    for (id, op) in &ops.adds {
        watch.step()?;
        elements.entry(*id).or_insert(Element::UNHEARD).add(op);
    }
    Ok(elements)
}

/// Marks what the ok reads have; returns each element once, in the order in which it was first read.
fn seen(
    history: &History,
    ops: &Ops,
    elements: &mut FxHashMap<Id, Element>,
    found: &mut Findings,
    watch: &mut Watch<'_>,
) -> Result<Vec<Id>, Exhausted> {
    let mut order = Vec::new();
    let mut twice = FxHashSet::default();
    for read in &ops.reads {
        let items = list(history, read);
        for &id in items {
            watch.step()?;
            let element = elements.entry(id).or_insert(Element::UNHEARD);
            if element.see(read.res) == Sight::First {
                order.push(id);
            }
        }
        let mut sorted = items.to_vec();
        sorted.sort_unstable();
        for pair in sorted.windows(2).filter(|pair| pair[0] == pair[1]) {
            if twice.insert(pair[0]) {
                found.add(Kind::Duplicated, pair[0], read.res);
            }
        }
    }
    Ok(order)
}

fn list<'a>(history: &'a History, read: &Operation) -> &'a [Id] {
    read.value.and_then(|value| history.values.list(value)).unwrap_or_default()
}

/// The last ok read of each node that is marked, or the last one of all.
fn finals(ops: &Ops, ends: Ends) -> Vec<Operation> {
    if ends == Ends::LastRead {
        return ops.reads.last().copied().into_iter().collect();
    }
    let mut last: Vec<Operation> = Vec::new();
    let mut place: FxHashMap<Option<Id>, usize> = FxHashMap::default();
    for read in ops.reads.iter().filter(|read| read.is_final) {
        match place.get(&read.node) {
            Some(&at) => last[at] = *read,
            None => {
                place.insert(read.node, last.len());
                last.push(*read);
            }
        }
    }
    last
}

/// What is wrong with an element's having been read at all.
fn judge_seen(id: Id, element: &Element, found: &mut Findings) {
    let kind = match element.fate() {
        None => Kind::Unexpected,
        Some(_) if element.was_read_before_any_add() => Kind::Early,
        Some(_) if element.was_read_before_any_add_that_may_have_happened() => Kind::Aborted,
        Some(Outcome::Info) => {
            found.recovered += 1;
            return;
        }
        Some(Outcome::Ok | Outcome::Fail) => return,
    };
    found.add(kind, id, element.seen_at());
}

fn judge_finals(
    history: &History,
    candidates: impl Iterator<Item = Id>,
    elements: &FxHashMap<Id, Element>,
    finals: &[Operation],
    found: &mut Findings,
    watch: &mut Watch<'_>,
) -> Result<(), Exhausted> {
    let mut held: Vec<FxHashSet<Id>> = Vec::with_capacity(finals.len());
    for read in finals {
        let items = list(history, read);
        watch.steps(items.len())?;
        held.push(items.iter().copied().collect());
    }
    let mut missing: Vec<Vec<Id>> = vec![Vec::new(); finals.len()];
    found.lost_during = vec![0; history.faults.list().len()];
    let mut done = FxHashSet::default();
    for id in candidates.filter(|&id| done.insert(id)) {
        watch.steps(1 + finals.len())?;
        let element = &elements[&id];
        let acknowledged = element.fate() == Some(Outcome::Ok);
        found.acknowledged += usize::from(acknowledged);
        let due = |read: &Operation| element.known_at() < read.inv;
        if !finals.iter().any(due) {
            continue;
        }
        found.judged += usize::from(acknowledged);
        let lacking: Vec<usize> =
            (0..finals.len()).filter(|&i| due(&finals[i]) && !held[i].contains(&id)).collect();
        let anywhere = held.iter().any(|set| set.contains(&id));
        match (anywhere, acknowledged) {
            (true, _) => lacking.iter().for_each(|&i| missing[i].push(id)),
            (false, true) => {
                found.add(Kind::Lost, id, element.known_at());
                found.blame(history, element);
            }
            // What nobody added, or only adds that failed, is wrong already by having been read.
            (false, false) if element.fate() == Some(Outcome::Info) => {
                found.add(Kind::Vanished, id, element.seen_at());
            }
            (false, false) => {}
        }
    }
    for (read, elements) in finals.iter().zip(missing) {
        if !elements.is_empty() {
            let (kind, shown_at, node) = (Kind::Missing, vec![read.res], read.node);
            found.wrong.push(Wrong { kind, elements, shown_at, node });
        }
    }
    Ok(())
}

impl Findings {
    fn blame(&mut self, history: &History, element: &Element) {
        let (Some(from), Some(until)) = element.span() else { return };
        match history.faults.during(from, until) {
            Some(index) => self.lost_during[index] += 1,
            None => self.lost_outside += 1,
        }
    }

    /// Adds the findings of another set, but for the faults that are to blame: each set tells its own.
    pub fn absorb(&mut self, other: &Findings) {
        self.attempted += other.attempted;
        self.acknowledged += other.acknowledged;
        self.judged += other.judged;
        self.recovered += other.recovered;
        self.finals.extend(other.finals.iter().cloned());
        self.wrong.extend(other.wrong.iter().cloned());
    }

    /// Adds an element to those of a kind. An operation that shows it returned at `pos`.
    fn add(&mut self, kind: Kind, element: Id, pos: Pos) {
        let at = self.wrong.iter().position(|wrong| wrong.kind == kind).unwrap_or_else(|| {
            let (elements, shown_at) = (Vec::new(), Vec::new());
            self.wrong.push(Wrong { kind, elements, shown_at, node: None });
            self.wrong.len() - 1
        });
        let wrong = &mut self.wrong[at];
        wrong.elements.push(element);
        if wrong.shown_at.len() < NAMED && !wrong.shown_at.contains(&pos) {
            wrong.shown_at.push(pos);
        }
    }

    fn of(&self, kind: Kind) -> impl Iterator<Item = &Wrong> {
        self.wrong.iter().filter(move |wrong| wrong.kind == kind)
    }

    fn count(&self, kind: Kind) -> usize {
        self.of(kind).map(|wrong| wrong.elements.len()).sum()
    }

    /// Whether it has anything of that weight.
    fn has(&self, weight: Weight) -> bool {
        self.wrong.iter().any(|wrong| wrong.kind.weight() == weight)
    }

    /// Whether some read has what it must not have, or the final reads lack what they should have.
    pub fn is_invalid(&self) -> bool {
        self.has(Weight::AtAnyTime) || self.has(Weight::AtTheEnd)
    }

    /// Without what only the end of a run can tell: for a history that was cut off before it.
    #[must_use]
    pub fn without_the_end(mut self) -> Findings {
        self.wrong.retain(|wrong| wrong.kind.weight() != Weight::AtTheEnd);
        let (lost_during, finals) = (Vec::new(), Vec::new());
        Findings { lost_during, lost_outside: 0, judged: 0, finals, ..self }
    }

    /// What is wrong, the worst first.
    pub fn sentence(&self) -> String {
        let kinds = [Weight::AtTheEnd, Weight::AtAnyTime]
            .into_iter()
            .flat_map(|weight| Kind::ALL.into_iter().filter(move |kind| kind.weight() == weight));
        let counts = kinds.map(|kind| (kind, self.count(kind))).filter(|(_, count)| *count > 0);
        let clauses: Vec<String> =
            counts.map(|(kind, count)| kind.sentence(count, self.judged)).collect();
        clauses.join("; ")
    }

    /// The sentence for a set that kept everything, with on whose word it rests.
    pub fn kept(&self, nodes: &[String]) -> String {
        let named = self.finals.iter().filter_map(|read| read.node).collect::<FxHashSet<_>>().len();
        let reads = match named {
            0 => many(self.finals.len() as u64, "final read"),
            _ => format!("the final reads of {named} of {}", many(nodes.len() as u64, "node")),
        };
        let judged = self.judged;
        format!("all {judged} acknowledged writes that a final read had to have are in {reads}")
    }

    /// Why it rests on little that everything was kept, a clause each; nothing where it does not.
    pub fn thin(&self, nodes: &[String], history: &History) -> Vec<String> {
        let mut clauses = Vec::new();
        let unread = self.unread_nodes(nodes, history);
        let is_nameless = self.finals.iter().all(|read| read.node.is_none());
        if is_nameless && nodes.len() > self.finals.len() {
            let reads = many(self.finals.len() as u64, "final read");
            clauses.push(format!("{reads} of {} names no node", many(nodes.len() as u64, "node")));
        } else if !is_nameless && !unread.is_empty() {
            clauses.push(format!("{} had none", unread.join(", ")));
        }
        let (tried, acknowledged) = (self.attempted, self.acknowledged);
        if acknowledged * FEW < tried {
            clauses.push(format!("only {acknowledged} of {} were acknowledged", elements(tried)));
        }
        if self.judged * FEW < acknowledged {
            clauses.push(format!(
                "only {} of {acknowledged} acknowledged elements were known before the final reads",
                self.judged
            ));
        }
        clauses
    }

    /// Nodes that no final read came from. Where none names its node there is nothing to tell.
    fn unread_nodes(&self, nodes: &[String], history: &History) -> Vec<String> {
        let read: Vec<String> =
            self.finals.iter().filter_map(|read| read.node.map(|id| history.node(id))).collect();
        if read.is_empty() {
            return Vec::new();
        }
        nodes.iter().filter(|node| !read.contains(node)).cloned().collect()
    }

    /// Adds them to the verdict as those of the set at `key`, with their figures, each line after `indent`.
    pub fn tell(
        &self,
        history: &History,
        nodes: &[String],
        (key, indent): (Option<Id>, &str),
        verdict: &mut Verdict,
    ) {
        let of_kind = |kind| self.of(kind).map(move |wrong| (kind, wrong));
        for (kind, wrong) in Kind::of_all_nodes().flat_map(of_kind) {
            let title = format!("{indent}{} ({})", kind.label(), wrong.elements.len());
            let explanation = kind.sentence(wrong.elements.len(), self.judged);
            verdict.found(wrong.finding(history, key, title, explanation));
        }
        for line in self.blamed(history) {
            verdict.say(format!("{indent}{line}"));
        }
        for wrong in self.of(Kind::Missing) {
            let explanation = wrong.lack(history);
            let line = wrong.shown_at.first().map_or(0, |&pos| history.line(pos));
            let title = format!("{indent}{explanation} (line {line})");
            verdict.found(wrong.finding(history, key, title, explanation));
        }
        for line in self.figures(history, nodes) {
            verdict.say(format!("{indent}{line}"));
        }
    }

    /// During which faults the lost elements were added.
    fn blamed(&self, history: &History) -> Vec<String> {
        let during = self.lost_during.iter().enumerate().filter(|(_, count)| **count > 0);
        let mut lines: Vec<String> = during
            .map(|(index, count)| {
                let fault = &history.faults.list()[index];
                let (kind, line) = (&fault.kind, fault.line);
                format!("{count} of the lost were added during {kind} of line {line}")
            })
            .collect();
        if self.lost_outside > 0 {
            let count = self.lost_outside;
            lines.push(format!("{count} of the lost were added while no fault was in force"));
        }
        lines
    }

    /// How much was tried, and how much of it was read at the end.
    fn figures(&self, history: &History, nodes: &[String]) -> Vec<String> {
        let mut lines = Vec::new();
        let mut say = |line: String| lines.push(line);
        say(format!(
            "{} tried: {} acknowledged, {} recovered of those that nobody knew about",
            elements(self.attempted),
            self.acknowledged,
            self.recovered
        ));
        if self.judged < self.acknowledged && !self.finals.is_empty() {
            let late = self.acknowledged - self.judged;
            say(format!("{late} acknowledged only after the final reads had begun: not judged"));
        }
        let reads: Vec<String> = self
            .finals
            .iter()
            .map(|read| {
                let who = read.node.map(|id| format!("{}: ", history.node(id))).unwrap_or_default();
                format!("{who}{} on line {}", elements(read.size), read.line)
            })
            .collect();
        if !reads.is_empty() {
            say(format!("final reads: {}", reads.join(", ")));
        }
        let unread = self.unread_nodes(nodes, history);
        if !unread.is_empty() && !self.finals.is_empty() {
            say(format!("no final read of {}", unread.join(", ")));
        }
        lines
    }

    /// The same for programs.
    pub fn facts(&self, history: &History, verdict: &mut Verdict) {
        let json =
            |list: &[Id]| -> Value { list.iter().map(|&id| history.values.json(id)).collect() };
        let node = |id: Option<Id>| id.map(|id| history.node(id));
        for (name, count) in [
            ("attempt_count", self.attempted),
            ("acknowledged_count", self.acknowledged),
            ("judged_count", self.judged),
            ("recovered_count", self.recovered),
        ] {
            verdict.fact(name, count);
        }
        for kind in Kind::of_all_nodes() {
            verdict.fact(&format!("{}_count", kind.name()), self.count(kind));
        }
        for kind in Kind::of_all_nodes() {
            let ids = self.of(kind).flat_map(|wrong| &wrong.elements);
            verdict.fact(kind.name(), ids.map(|&id| history.values.json(id)).collect::<Value>());
        }
        let missing: Value = self
            .of(Kind::Missing)
            .map(|wrong| {
                let line = wrong.shown_at.first().map(|&pos| history.line(pos));
                json!({"node": node(wrong.node), "line": line, "elements": json(&wrong.elements)})
            })
            .collect();
        verdict.fact(Kind::Missing.name(), missing);
        let finals: Value = self
            .finals
            .iter()
            .map(|f| json!({"node": node(f.node), "line": f.line, "size": f.size}))
            .collect();
        verdict.fact("final_reads", finals);
    }
}

impl Wrong {
    fn finding(
        &self,
        history: &History,
        key: Option<Id>,
        title: String,
        explanation: String,
    ) -> Finding {
        Finding {
            kind: self.kind.name(),
            key,
            lines: self.shown_at.iter().map(|&pos| history.line(pos)).collect(),
            explanation,
            title,
            evidence: Evidence::Values(self.elements.clone()),
        }
    }

    /// What a node's final read lacks.
    fn lack(&self, history: &History) -> String {
        let who = self.node.map_or("a node".into(), |id| history.node(id));
        format!("{who} lacks {} that other nodes have", elements(self.elements.len()))
    }
}
