//! The set check: every acknowledged element is in the final reads, and nothing else is.
//!
//! Which reads are final: those that are marked, of each node the last that is ok. A history in which none is marked,
//! whatever became of it, and that no `workload` wrote, has the last ok read for it, as Jepsen does.
//!
//! An element is *known* from the moment at which its add was acknowledged or an ok read had returned it. A
//! final read that began later and lacks it is a violation:
//!
//! - *lost*: acknowledged, and no final read has it;
//! - *vanished*: never acknowledged, but read once, and no final read has it;
//! - *missing*: some node's final read has it, and another's, begun when it was known, lacks it.
//!
//! Besides, in any ok read: *unexpected* is what nobody tried to add, *early* what was read before its first add
//! began, *aborted* what was read when every add of it that had begun was one that failed. An element whose add nobody knows the outcome of
//! and that was read is *recovered*, which is well. An element that stands twice in one read is told, and is
//! no violation: many a set is kept in a list.

mod element;
mod findings;
mod kind;

use std::sync::Arc;

use breakit::exit::Result;
use clap::Args;
use rustc_hash::FxHashSet;

use super::{Arguments, Asked, Check, Chosen, Kind};
use crate::budget::{Budget, Exhausted, Watch};
use crate::cli::Files;
use crate::history::keys::Rows;
use crate::history::{Ending, History, Operation, Outcome};
use crate::plural::many;
use crate::values::Id;
use crate::verdict::{Answer, Verdict};
use findings::Findings;

/// The check.
pub const KIND: Kind = Kind {
    name: "set",
    doc: "Check that no acknowledged element is lost, and that every element read was added",
    promised: Some(&[]),
    ..Kind::of::<SetArgs>()
};

/// The arguments.
#[derive(Args, Clone, Debug)]
pub struct SetArgs {
    /// Which histories
    #[command(flatten)]
    files: Files,
}

/// The check with its options: it has none.
#[derive(Debug)]
struct Set;

impl Arguments for SetArgs {
    fn chosen(self) -> Result<Chosen> {
        Ok((Arc::new(Set), self.files.files))
    }
}

impl Check for Set {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn judge(&self, history: &mut History, asked: Asked<'_>) -> Result<Verdict> {
        check(history, asked.each_key, asked.budget)
    }
}

/// Checks the set of each key.
///
/// # Errors
/// 65 for an operation that a set does not have, or a read that is no list.
pub fn check(history: &History, each_key: bool, budget: &Budget) -> Result<Verdict> {
    let cut_off = history.ending() == Ending::CutOff;
    let keys = history.by_key();
    let run = Run::of(history);
    let mut watch = budget.watch();
    let mut all = Vec::new();
    for (key, rows) in keys.iter() {
        let found = match operations(history, rows, &mut watch)? {
            Ok(ops) => findings::find(history, &ops, run.ends, &mut watch),
            Err(limit) => Err(limit),
        };
        match found {
            Ok(found) => all.push((key, if cut_off { found.without_the_end() } else { found })),
            Err(limit) => return Ok(undecided(history, key, (all.len(), keys.len()), limit)),
        }
    }
    Ok(verdict(&run, each_key, &all))
}

fn undecided(
    history: &History,
    key: Option<Id>,
    (done, of): (usize, usize),
    limit: Exhausted,
) -> Verdict {
    let at = key.map_or(String::new(), |key| {
        let of = many(of as u64, "set");
        format!(", at key {}, after {done} of {of}", history.values.show(key))
    });
    let operations = many(history.ops.len() as u64, "operation");
    let because = format!("{limit} before its {operations} were judged{at}");
    Verdict::new(Answer::Unknown, because)
}

/// Which reads end a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// Those that are marked.
    Marked,
    /// The last one: nobody marked any.
    LastRead,
}

impl Ends {
    /// A read that is marked and did not succeed says all the same that the others are no final ones; and a
    /// `workload` marks them, so where it marked none it made none.
    fn of(history: &History) -> Ends {
        let is_marked = |op: Operation| op.is_final && history.word(op.f) == "read";
        match history.start.is_some() || history.ops.iter().any(is_marked) {
            true => Ends::Marked,
            false => Ends::LastRead,
        }
    }
}

/// What all sets of a history share.
struct Run<'h> {
    history: &'h History,
    ends: Ends,
    /// Its nodes: those of the first line, and those that operations name.
    nodes: Vec<String>,
}

impl Run<'_> {
    fn of(history: &History) -> Run<'_> {
        let mut nodes = history.start.as_ref().map_or(Vec::new(), |start| start.nodes.clone());
        let mut seen = FxHashSet::default();
        for node in history.ops.iter().filter_map(|op| op.node).filter(|&id| seen.insert(id)) {
            let name = history.node(node);
            if !nodes.contains(&name) {
                nodes.push(name);
            }
        }
        Run { history, ends: Ends::of(history), nodes }
    }
}

/// The adds and reads of one set.
#[derive(Debug, Default)]
struct Ops {
    adds: Vec<(Id, Operation)>,
    /// The ok reads, in the order of their returns.
    reads: Vec<Operation>,
}

fn operations(
    history: &History,
    rows: Rows<'_>,
    watch: &mut Watch<'_>,
) -> Result<std::result::Result<Ops, Exhausted>> {
    let mut ops = Ops::default();
    for index in rows.iter() {
        if let Err(limit) = watch.step() {
            return Ok(Err(limit));
        }
        let op = history.ops.get(index);
        let wrong = |field: &str, clause: String| history.error(index, field, &clause);
        match (history.word(op.f), op.outcome) {
            ("add", _) => {
                let element =
                    op.value.ok_or_else(|| wrong("value", "an add has no value".into()))?;
                ops.adds.push((element, op));
            }
            ("read", Outcome::Ok) => match op.value.map(|value| history.values.list(value)) {
                Some(Some(_)) => ops.reads.push(op),
                _ => {
                    let what =
                        op.value.map_or("missing".into(), |value| history.values.show(value));
                    return Err(wrong(
                        "value",
                        format!("the result of an ok read of a set must be a list, not {what}"),
                    ));
                }
            },
            ("read", Outcome::Fail | Outcome::Info) => {}
            (other, _) => {
                return Err(wrong(
                    "f",
                    format!("a set has add and read, and no operation {other:?}"),
                ));
            }
        }
    }
    ops.reads.sort_by_key(|op| op.res);
    Ok(Ok(ops))
}

fn verdict(run: &Run<'_>, each_key: bool, all: &[(Option<Id>, Findings)]) -> Verdict {
    let history = run.history;
    let mut total = Findings::default();
    for (_, findings) in all {
        total.absorb(findings);
    }
    let (answer, because) = judge(run, all, &total);
    let mut verdict = Verdict::new(answer, because);
    if answer == Answer::Valid {
        verdict = verdict.resting_on_little(thin(run, all));
    }
    verdict.invalid =
        all.iter().filter(|(_, found)| found.is_invalid()).map(|(key, _)| *key).collect();
    total.facts(history, &mut verdict);
    if let [(None, findings)] = all {
        findings.tell(history, &run.nodes, (None, ""), &mut verdict);
    } else {
        keyed(run, each_key, all, &mut verdict);
    }
    verdict
}

/// One sentence for the whole history.
fn judge(run: &Run<'_>, all: &[(Option<Id>, Findings)], total: &Findings) -> (Answer, String) {
    let &Run { history, ends, .. } = run;
    let cut_off = history.ending() == Ending::CutOff;
    if total.is_invalid() {
        return (Answer::Invalid, total.sentence());
    }
    if cut_off {
        return (
            Answer::Unknown,
            "the history is cut off before its last line: what the final reads hold is not known"
                .into(),
        );
    }
    if total.acknowledged == 0 {
        return (Answer::Unchecked, "nothing was checked: no add was acknowledged".into());
    }
    let unread = all.iter().filter(|(_, findings)| findings.judged == 0).count();
    if unread == all.len() {
        let why = match ends {
            _ if !total.finals.is_empty() => {
                "there is no final read after an acknowledged element was known"
            }
            Ends::Marked => "there is no final read that succeeded",
            Ends::LastRead => "there is no ok read",
        };
        return (Answer::Unchecked, format!("nothing was checked: {why}"));
    }
    if unread > 0 {
        return (
            Answer::Unknown,
            format!("{unread} of {} sets were not checked: no final read ends them", all.len()),
        );
    }
    (Answer::Valid, total.kept(&run.nodes))
}

/// Why it rests on little that all sets kept everything, a clause each.
fn thin(run: &Run<'_>, all: &[(Option<Id>, Findings)]) -> Vec<String> {
    if let [(_, findings)] = all {
        return findings.thin(&run.nodes, run.history);
    }
    let mut few = all.iter().filter_map(|(key, findings)| {
        let clause = findings.thin(&run.nodes, run.history).into_iter().next()?;
        Some((key, clause))
    });
    let Some((key, clause)) = few.next() else { return Vec::new() };
    let name = key.map_or("none".into(), |key| run.history.values.show(key));
    vec![format!("{} of {} sets do; of key {name}, {clause}", 1 + few.count(), all.len())]
}

/// One verdict a key; the good ones are counted, the others told.
fn keyed(run: &Run<'_>, each_key: bool, all: &[(Option<Id>, Findings)], verdict: &mut Verdict) {
    let history = run.history;
    let cut_off = history.ending() == Ending::CutOff;
    let mut keys = String::from("[");
    for one @ (key, findings) in all {
        let (answer, because) = judge(run, std::slice::from_ref(one), findings);
        let name = key.map_or("no key".into(), |key| format!("key {}", history.values.show(key)));
        if answer != Answer::Valid && !(cut_off && answer == Answer::Unknown) {
            verdict.say(format!("{name}: {}: {because}", answer.word()));
            findings.tell(history, &run.nodes, (*key, "  "), verdict);
        }
        if each_key {
            let row = serde_json::json!({
                "key": key.map(|key| history.values.json(key)),
                "valid": answer.json(),
                "because": because,
            });
            keys += if keys.len() > 1 { "," } else { "" };
            keys += &row.to_string();
        }
    }
    keys.push(']');
    verdict.keys = each_key.then_some(keys);
}
