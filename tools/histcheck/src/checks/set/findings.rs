//! What was found about one set, or about several taken together.

use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::{Value, json};

use super::element::{Element, Sight};
use super::{Ends, Ops};
use crate::budget::{Exhausted, Watch};
use crate::history::{History, Operation, Outcome};
use crate::plural::many;
use crate::ranges;
use crate::values::Id;
use crate::verdict::Verdict;

/// How many runs of elements a line of text shows; JSON has them all.
const SHOWN: usize = 24;

/// Below one in so many, those of which something is known are few.
const FEW: usize = 2;

/// What a node's last final read lacks although another's has it.
#[derive(Debug, Clone)]
pub struct Missing {
    /// Whose read.
    node: Option<Id>,
    /// The line of its result.
    line: u32,
    elements: Vec<Id>,
}

/// A final read that counts: the last of its node.
#[derive(Debug, Clone)]
pub struct Final {
    node: Option<Id>,
    line: u32,
    size: usize,
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
    lost: Vec<Id>,
    vanished: Vec<Id>,
    missing: Vec<Missing>,
    unexpected: Vec<Id>,
    aborted: Vec<Id>,
    early: Vec<Id>,
    recovered: usize,
    duplicated: Vec<Id>,
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
                found.duplicated.push(pair[0]);
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
    match element.fate() {
        None => found.unexpected.push(id),
        Some(_) if element.was_read_before_any_add() => found.early.push(id),
        Some(_) if element.was_read_before_any_add_that_may_have_happened() => {
            found.aborted.push(id);
        }
        Some(Outcome::Info) => found.recovered += 1,
        Some(Outcome::Ok | Outcome::Fail) => {}
    }
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
                found.lost.push(id);
                found.blame(history, element);
            }
            // What nobody added, or only adds that failed, is wrong already by having been read.
            (false, false) if element.fate() == Some(Outcome::Info) => found.vanished.push(id),
            (false, false) => {}
        }
    }
    for (read, elements) in finals.iter().zip(missing) {
        if !elements.is_empty() {
            let line = history.line(read.res);
            found.missing.push(Missing { node: read.node, line, elements });
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
        self.missing.extend(other.missing.iter().cloned());
        for (mine, theirs) in [
            (&mut self.lost, &other.lost),
            (&mut self.vanished, &other.vanished),
            (&mut self.unexpected, &other.unexpected),
            (&mut self.aborted, &other.aborted),
            (&mut self.early, &other.early),
            (&mut self.duplicated, &other.duplicated),
        ] {
            mine.extend(theirs);
        }
    }

    /// Whether some read has what it must not have: no later read can excuse it.
    pub fn is_wrong_at_any_time(&self) -> bool {
        [&self.unexpected, &self.aborted, &self.early].iter().any(|list| !list.is_empty())
    }

    /// Whether the final reads lack what they should have.
    pub fn is_wrong_at_the_end(&self) -> bool {
        !(self.lost.is_empty() && self.vanished.is_empty() && self.missing.is_empty())
    }

    /// Without what only the end of a run can tell: for a history that was cut off before it.
    #[must_use]
    pub fn without_the_end(self) -> Findings {
        Findings {
            lost: Vec::new(),
            vanished: Vec::new(),
            missing: Vec::new(),
            lost_during: Vec::new(),
            lost_outside: 0,
            judged: 0,
            finals: Vec::new(),
            ..self
        }
    }

    /// What is wrong, the worst first.
    pub fn sentence(&self) -> String {
        let mut parts = Vec::new();
        if !self.lost.is_empty() {
            let (lost, of) = (self.lost.len(), self.judged);
            parts.push(format!("{lost} of {of} acknowledged writes were lost"));
        }
        if !self.vanished.is_empty() {
            let number = elements(self.vanished.len());
            parts.push(format!("{number} had been read and are gone"));
        }
        if !self.missing.is_empty() {
            parts.push("nodes differ in their final reads".into());
        }
        for (list, what) in [
            (&self.unexpected, "never added and yet read"),
            (&self.aborted, "read although every add of them failed until then"),
            (&self.early, "read before their add began"),
        ] {
            if !list.is_empty() {
                parts.push(format!("{} {what}", elements(list.len())));
            }
        }
        parts.join("; ")
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

    /// The details for people, each line after `indent`.
    pub fn tell(&self, history: &History, nodes: &[String], indent: &str, lines: &mut Vec<String>) {
        let mut say = |text: String| lines.push(format!("{indent}{text}"));
        for (list, what) in [
            (&self.lost, "lost"),
            (&self.vanished, "read once and gone"),
            (&self.unexpected, "never added and yet read"),
            (&self.aborted, "read although every add failed until then"),
            (&self.early, "read before their add began"),
            (&self.duplicated, "twice in one read"),
        ] {
            if !list.is_empty() {
                let shown = ranges::show(list, &history.values, SHOWN);
                say(format!("{what} ({}): {shown}", list.len()));
            }
        }
        for (index, count) in self.lost_during.iter().enumerate().filter(|(_, n)| **n > 0) {
            let fault = &history.faults.list()[index];
            say(format!(
                "{count} of the lost were added during {} of line {}",
                fault.kind, fault.line
            ));
        }
        if self.lost_outside > 0 {
            say(format!(
                "{} of the lost were added while no fault was in force",
                self.lost_outside
            ));
        }
        for missing in &self.missing {
            let who = missing.node.map_or("a node".into(), |id| history.node(id));
            let shown = ranges::show(&missing.elements, &history.values, SHOWN);
            say(format!(
                "{who} lacks {} that other nodes have (line {}): {shown}",
                elements(missing.elements.len()),
                missing.line
            ));
        }
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
            ("lost_count", self.lost.len()),
            ("vanished_count", self.vanished.len()),
            ("unexpected_count", self.unexpected.len()),
            ("aborted_count", self.aborted.len()),
            ("early_count", self.early.len()),
            ("duplicated_count", self.duplicated.len()),
        ] {
            verdict.fact(name, count);
        }
        for (name, list) in [
            ("lost", &self.lost),
            ("vanished", &self.vanished),
            ("unexpected", &self.unexpected),
            ("aborted", &self.aborted),
            ("early", &self.early),
            ("duplicated", &self.duplicated),
        ] {
            verdict.fact(name, json(list));
        }
        let missing: Value = self
            .missing
            .iter()
            .map(|m| json!({"node": node(m.node), "line": m.line, "elements": json(&m.elements)}))
            .collect();
        verdict.fact("missing", missing);
        let finals: Value = self
            .finals
            .iter()
            .map(|f| json!({"node": node(f.node), "line": f.line, "size": f.size}))
            .collect();
        verdict.fact("final_reads", finals);
    }
}

fn elements(number: usize) -> String {
    many(number as u64, "element")
}
