//! The verdict on all keys in words, with the evidence of each invalid one.

use serde_json::{Value, json};

use super::diagram::{self, Row};
use super::evidence::Evidence;
use super::fault_bands;
use super::op::{Act, Fate, Op};
use super::refutation::Refutation;
use super::replay::Fault;
use super::thin;
use super::zones::{INITIAL, Reason};
use super::{Decision, KeyVerdict, Model, Proof, Question};
use crate::checks::stats::fault_json;
use crate::history::{Ending, History, OPEN, Outcome};
use crate::plural::many;
use crate::report::finding::{Evidence as Shown, Finding};
use crate::values::Id;
use crate::verdict::{Answer, Verdict};

/// How many invalid keys text shows with their evidence; JSON has them all.
const SHOWN_KEYS: usize = 5;
/// How many JSON has among its findings; its list of keys has all.
const JSON_KEYS: usize = 1000;
/// How many operations of one piece of evidence text shows.
const SHOWN_OPS: usize = 24;
/// How many JSON shows; minimal evidence has never so many.
const JSON_OPS: usize = 1000;

pub(super) fn verdict(history: &History, question: &Question, keys: &[KeyVerdict]) -> Verdict {
    let (answer, because) = judge(history, &question.model, keys);
    let mut verdict = Verdict::new(answer, because);
    verdict.fact("model", question.model.name());
    if answer == Answer::Valid {
        verdict = verdict.resting_on_little(thin::clauses(history, keys));
    }
    verdict.invalid = invalid(keys).map(|(key, _)| key.key).collect();
    let most = if question.each_key { JSON_KEYS } else { SHOWN_KEYS };
    for (key, proof) in invalid(keys).take(most) {
        verdict.found(refutation(history, question, keys, (key, proof)));
    }
    let hidden = verdict.invalid.len().saturating_sub(SHOWN_KEYS);
    if hidden > 0 {
        verdict.say(format!("and {hidden} more invalid keys (--json shows all)"));
    }
    let is_open = |key: &&KeyVerdict| matches!(key.decision, Decision::Unknown { .. });
    for key in keys.iter().filter(is_open).take(most) {
        verdict.found(open_finding(history, key));
    }
    let hidden = keys.iter().filter(is_open).count().saturating_sub(SHOWN_KEYS);
    if hidden > 0 {
        verdict.say(format!("and {hidden} more undecided keys (--json shows all)"));
    }
    searched(keys).into_iter().for_each(|line| verdict.say(line));
    if history.ending() == Ending::CutOff {
        verdict.say("the history is cut off: this is of the part that is there");
    }
    verdict
}

fn invalid(keys: &[KeyVerdict]) -> impl Iterator<Item = (&KeyVerdict, &Proof)> {
    keys.iter().filter_map(|key| match &key.decision {
        Decision::Invalid(proof) => Some((key, proof)),
        _ => None,
    })
}

/// The finding that a key is not linearizable.
fn refutation(
    history: &History,
    question: &Question,
    keys: &[KeyVerdict],
    (key, proof): (&KeyVerdict, &Proof),
) -> Finding {
    let explanation = because(history, proof);
    let title = match keys {
        // The sentence of the verdict says it.
        [_] => String::new(),
        _ => format!("{}invalid: {explanation}", prefix(history, key)),
    };
    // JSON has the operations themselves.
    let rows = if question.each_key { Vec::new() } else { evidence(history, proof) };
    Finding {
        kind: "not-linearizable",
        key: key.key,
        lines: lines(history, proof),
        explanation,
        title,
        evidence: Shown::Rows(rows),
    }
}

/// The lines of the operations of a proof: of each its invocation.
fn lines(history: &History, proof: &Proof) -> Vec<u32> {
    let line = |source: usize| history.line(history.ops.get(source).inv);
    match proof {
        Proof::Register(proof) => {
            last(&proof.ops, JSON_OPS).1.iter().map(|op| line(op.source)).collect()
        }
        Proof::Other(proof) => {
            last(&proof.ops, JSON_OPS).1.iter().map(|op| line(op.source)).collect()
        }
    }
}

/// The finding that a key is undecided.
fn open_finding(history: &History, key: &KeyVerdict) -> Finding {
    let at = match key.decision {
        Decision::Unknown { at, .. } => at,
        _ => None,
    };
    let explanation = open_question(history, key).unwrap_or_default();
    Finding {
        kind: "undecided",
        key: key.key,
        lines: at.map(|at| history.line(history.ops.get(at).inv)).into_iter().collect(),
        title: format!("{}unknown: {explanation}", prefix(history, key)),
        explanation,
        evidence: Shown::Nothing,
    }
}

/// How many keys took a search, for each reason.
fn searched(keys: &[KeyVerdict]) -> Vec<String> {
    let mut reasons: Vec<(&str, u64)> = Vec::new();
    for key in keys {
        let Some(why) = key.engine.searched() else { continue };
        match reasons.iter_mut().find(|(known, _)| *known == why) {
            Some((_, count)) => *count += 1,
            None => reasons.push((why, 1)),
        }
    }
    let line = |(why, count)| format!("{} decided by search, as {why}", many(count, "key"));
    reasons.into_iter().map(line).collect()
}

fn judge(history: &History, model: &Model, keys: &[KeyVerdict]) -> (Answer, String) {
    let invalid: Vec<&KeyVerdict> =
        keys.iter().filter(|key| matches!(key.decision, Decision::Invalid(_))).collect();
    let unknown: Vec<&KeyVerdict> =
        keys.iter().filter(|key| matches!(key.decision, Decision::Unknown { .. })).collect();
    match (invalid.as_slice(), unknown.as_slice()) {
        (&[only], _) if keys.len() == 1 => {
            let who =
                only.key.map_or(String::new(), |_| format!("key {} is ", key_name(history, only)));
            (Answer::Invalid, format!("{who}not linearizable: {}", explanation(history, only)))
        }
        ([_, ..], _) => {
            let mut names: Vec<String> =
                invalid.iter().take(SHOWN_KEYS).map(|key| key_name(history, key)).collect();
            names.extend((invalid.len() > SHOWN_KEYS).then(|| "...".into()));
            let (bad, all) = (invalid.len(), keys.len());
            (
                Answer::Invalid,
                format!("{bad} of {all} keys are not linearizable: {}", names.join(", ")),
            )
        }
        ([], &[first, ..]) => {
            (Answer::Unknown, undecided(history, keys.len(), unknown.len(), first))
        }
        ([], []) => {
            let observations: usize = keys.iter().map(|key| key.observations).sum();
            let operations: usize = keys.iter().map(|key| key.operations).sum();
            if observations == 0 {
                return (
                    Answer::Unchecked,
                    "nothing was checked: no ok operation says what the object held".into(),
                );
            }
            let on = match keys {
                [only] if only.key.is_none() => String::new(),
                _ => format!(" on {}", many(keys.len() as u64, "key")),
            };
            let what = many(operations as u64, "operation");
            let are = if operations == 1 { "is" } else { "are" };
            (Answer::Valid, format!("{what}{on} {are} linearizable as a {}", model.name()))
        }
    }
}

fn undecided(history: &History, keys: usize, unknown: usize, first: &KeyVerdict) -> String {
    let why = open_question(history, first).unwrap_or_default();
    match (keys, first.key) {
        (1, None) => why,
        _ => format!(
            "{unknown} of {keys} keys are undecided; the first is key {}: {why}",
            key_name(history, first)
        ),
    }
}

/// Why a key is undecided, and where the search stood.
fn open_question(history: &History, key: &KeyVerdict) -> Option<String> {
    let Decision::Unknown { why, at, .. } = &key.decision else { return None };
    let place = at.map(|index| {
        let op = history.ops.get(index);
        format!(", at the {} of line {}", history.word(op.f), history.line(op.inv))
    });
    Some(format!("{why}{}", place.unwrap_or_default()))
}

fn key_name(history: &History, key: &KeyVerdict) -> String {
    key.key.map_or("none".into(), |key| history.values.show(key))
}

fn prefix(history: &History, key: &KeyVerdict) -> String {
    key.key.map_or(String::new(), |_| format!("key {}: ", key_name(history, key)))
}

fn explanation(history: &History, key: &KeyVerdict) -> String {
    match &key.decision {
        Decision::Invalid(proof) => because(history, proof),
        _ => String::new(),
    }
}

/// Why, in one sentence.
pub(super) fn because(history: &History, proof: &Proof) -> String {
    match proof {
        Proof::Register(evidence) => explain(history, evidence),
        Proof::Other(refutation) => refuted(history, refutation),
    }
}

/// The reason with its operations in place of the braces.
fn refuted(history: &History, refutation: &Refutation) -> String {
    let name = |op: &Op<()>| {
        let pos = if op.res == OPEN { op.inv } else { op.res };
        format!("{} (line {})", words(history, op), history.line(pos))
    };
    let Some(reason) = &refutation.reason else { return unexplained(history, &refutation.ops) };
    let mut named = reason.ops.iter().filter_map(|&at| refutation.ops.get(at)).map(name);
    let mut parts = reason.text.split("{}");
    let mut sentence = parts.next().unwrap_or_default().to_string();
    for part in parts {
        sentence += &named.next().unwrap_or_default();
        sentence += part;
    }
    sentence
}

fn unexplained<A>(history: &History, ops: &[Op<A>]) -> String {
    let last = ops.iter().filter(|op| op.res != OPEN).max_by_key(|op| op.res);
    let what = last.map_or("them".into(), |op| {
        format!("{} (line {})", words(history, op), history.line(op.res))
    });
    format!("no order of the operations explains {what}")
}

/// What the register may hold: `1`, `1 or 2`.
fn values(history: &History, ids: &[Id]) -> String {
    let shown: Vec<String> = ids.iter().map(|&id| history.values.show(id)).collect();
    shown.join(" or ")
}

/// Why, in one sentence.
fn explain(history: &History, evidence: &Evidence) -> String {
    let name = |index: usize| match evidence.ops.get(index) {
        Some(op) => words(history, op),
        None => format!("the initial value {}", values(history, &evidence.initial)),
    };
    let began = |index: usize| history.line(evidence.ops[index].inv);
    let ended = |index: usize| match evidence.ops[index].res {
        OPEN => began(index),
        res => history.line(res),
    };
    let seen = |index: usize| {
        evidence.ops[index].act.observes().map_or(String::new(), |id| history.values.show(id))
    };
    match evidence.reason {
        Some(Reason::NeverWritten(at)) => match evidence.after {
            None => {
                format!("{} (line {}) saw {}, which nobody wrote", name(at), ended(at), seen(at))
            }
            Some(pos) => format!(
                "{} (line {}) saw {}, which nobody put since line {}, when the register held {}",
                name(at),
                ended(at),
                seen(at),
                history.line(pos),
                values(history, &evidence.initial)
            ),
        },
        Some(Reason::Aborted(at, writer)) => {
            let since = evidence.after.map(|pos| {
                format!(
                    " since line {}, when the register held {},",
                    history.line(pos),
                    values(history, &evidence.initial)
                )
            });
            format!(
                "{} (line {}) saw {}, which{} only {} of line {} wrote, and that failed",
                name(at),
                ended(at),
                seen(at),
                since.unwrap_or_default(),
                name(writer),
                began(writer)
            )
        }
        Some(Reason::ReplacedTwice(a, b)) => format!(
            "{} (line {}) and {} (line {}) both replaced {}, which had been written only once",
            name(a),
            began(a),
            name(b),
            began(b),
            seen(a)
        ),
        Some(Reason::Circle(_)) => {
            "cas operations rest on one another in a circle: each found what only another one put"
                .into()
        }
        Some(Reason::Backwards(later, earlier)) => format!(
            "{} had ended (line {}) before {}, on which it rests, began (line {})",
            name(later),
            ended(later),
            name(earlier),
            began(earlier)
        ),
        Some(Reason::Torn([_, b, c, d])) if b == c && evidence.ops[d].act.puts().is_none() => {
            let replaced = match evidence.ops[b].act {
                Act::Read(_) | Act::Differs(_) => "had seen it replaced",
                Act::Write(_) | Act::Cas(..) => "had replaced that value",
            };
            let (stale, other) = (name(d), name(b));
            format!(
                "{stale} (line {}) is stale: {other} {replaced} (line {}) before it began",
                ended(d),
                ended(b)
            )
        }
        Some(Reason::Torn([a, b, c, d])) => {
            let before = |x: usize, y: usize| match x {
                INITIAL => format!("{} comes before {} (line {})", name(x), name(y), began(y)),
                _ => format!(
                    "{} ended (line {}) before {} began (line {})",
                    name(x),
                    ended(x),
                    name(y),
                    began(y)
                ),
            };
            format!("{}, and {}: no order of them is legal", before(a, b), before(c, d))
        }
        None => unexplained(history, &evidence.ops),
    }
}

/// The evidence as a picture, row by row.
fn evidence(history: &History, proof: &Proof) -> Vec<String> {
    let (minimal, checked) = match proof {
        Proof::Register(evidence) => (evidence.minimal, evidence.checked),
        Proof::Other(refutation) => (refutation.minimal, refutation.checked),
    };
    let few = match (minimal, checked) {
        (true, _) => "operations that show it, none of which can be left out",
        (false, true) => "operations that show it",
        (false, false) => "operations that show it (too many to be checked once more in time)",
    };
    let rows = picture(history, proof);
    let mut details = vec![match proof {
        Proof::Register(evidence) => {
            let from = match evidence.after {
                Some(pos) => format!("from line {} on, when it held", history.line(pos)),
                None => "beginning with".into(),
            };
            format!("{few}, {from} {}:", values(history, &evidence.initial))
        }
        Proof::Other(_) => format!("{few}:"),
    }];
    let (left_out, shown) = last(&rows, SHOWN_OPS);
    if left_out > 0 {
        details.push(format!("  the last {SHOWN_OPS}, after {left_out} others:"));
    }
    let (ops, rows): (Vec<Op<()>>, Vec<Row>) = shown.iter().cloned().unzip();
    let (bands, more) = fault_bands::bands(history, &ops);
    let lines = diagram::draw(&ops, &rows, &bands);
    details.extend(lines.into_iter().map(|line| format!("  {line}")));
    if more > 0 {
        details.push(format!("  and {} (stats lists them)", many(more as u64, "more fault")));
    }
    details
}

/// What is wrong with an order, in words.
pub(super) fn fault(history: &History, fault: Fault) -> String {
    let name = |index: usize| {
        let op = history.ops.get(index);
        let value =
            op.value.map_or(String::new(), |value| format!(" {}", history.values.show(value)));
        format!("{}{value} (line {})", history.word(op.f), history.line(op.inv))
    };
    match fault {
        Fault::Foreign(at) => format!("{} stands in the order, and did not happen", name(at)),
        Fault::Twice(at) => format!("{} stands in the order twice", name(at)),
        Fault::Missing(at) => format!("{} happened, and the order lacks it", name(at)),
        Fault::Late(at, other) => {
            format!("{} stands after {}, and had ended before that began", name(at), name(other))
        }
        Fault::Illegal(at) => format!("{} cannot happen at its place in the order", name(at)),
        Fault::Unknown(done, limit) => {
            format!("{limit} after {} of the order", many(done as u64, "operation"))
        }
    }
}

/// The operations of a proof, each with its words.
pub(super) fn picture(history: &History, proof: &Proof) -> Vec<(Op<()>, Row)> {
    match proof {
        Proof::Register(evidence) => evidence
            .ops
            .iter()
            .map(|op| (op.doing(()), row(history, op, matches!(op.act, Act::Write(_)))))
            .collect(),
        Proof::Other(refutation) => {
            refutation.ops.iter().map(|op| (*op, row(history, op, false))).collect()
        }
    }
}

/// The last `most` operations, and how many come before them.
fn last<T>(ops: &[T], most: usize) -> (usize, &[T]) {
    let left_out = ops.len().saturating_sub(most);
    (left_out, &ops[left_out..])
}

/// `read 3`, `cas 1 2`, as the history has it.
fn words<A>(history: &History, op: &Op<A>) -> String {
    let source = history.ops.get(op.source);
    let show = |id| history.values.show(id);
    if source.value.is_none() {
        return history.word(source.f).to_string();
    }
    let values = match source.value.and_then(|value| history.values.list(value)) {
        Some(&[from, to]) if history.word(source.f) == "cas" => {
            format!("{} -> {}", show(from), show(to))
        }
        _ => source.value.map_or(String::new(), show),
    };
    format!("{} {values}", history.word(source.f))
}

fn row<A>(history: &History, op: &Op<A>, as_write: bool) -> Row {
    let source = history.ops.get(op.source);
    let label =
        format!("process {}: {}", history.clients.process(source.process), words(history, op));
    let lines = match source.res {
        OPEN => format!("line {}", history.line(source.inv)),
        // One that is a whole operation.
        res if history.line(res) == history.line(source.inv) => {
            format!("line {}", history.line(res))
        }
        res => format!("lines {} and {}", history.line(source.inv), history.line(res)),
    };
    let mut remark = format!("{} {lines}", outcome(source.outcome));
    if op.res == OPEN && source.outcome == Outcome::Ok {
        remark += match op.fate {
            Fate::Ok => ", whenever it ended",
            Fate::Info | Fate::Fail => ", whether or not it had happened",
        };
    }
    if as_write && history.word(source.f) == "cas" {
        remark += ", whatever it found";
    }
    Row { label, remark }
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "ok",
        Outcome::Fail => "fail",
        Outcome::Info => "info",
    }
}

/// Each key with its verdict, as a JSON list: as text, which for a million keys takes a tenth of what values would.
pub(super) fn rows(history: &History, keys: &[KeyVerdict]) -> String {
    let mut text = String::from("[");
    for key in keys {
        if text.len() > 1 {
            text.push(',');
        }
        text += &json_of(history, key).to_string();
    }
    text.push(']');
    text
}

fn json_of(history: &History, key: &KeyVerdict) -> Value {
    let (answer, more) = match &key.decision {
        Decision::Valid if key.observations == 0 => {
            (Answer::Unknown, json!({"because": "nothing was checked"}))
        }
        Decision::Valid => (Answer::Valid, json!({})),
        Decision::Unknown { .. } => {
            (Answer::Unknown, json!({"because": open_question(history, key)}))
        }
        Decision::Invalid(proof) => (Answer::Invalid, json_proof(history, proof)),
    };
    let mut object = json!({
        "key": key.key.map(|id| history.values.json(id)),
        "valid": answer.json(),
        "engine": key.engine.name(),
        "searched_because": key.engine.searched(),
        "operations": key.operations,
    });
    if let (Value::Object(object), Value::Object(more)) = (&mut object, more) {
        object.extend(more);
    }
    object
}

fn json_proof(history: &History, proof: &Proof) -> Value {
    let refutation = match proof {
        Proof::Register(evidence) => return json_evidence(history, evidence),
        Proof::Other(refutation) => refutation,
    };
    let (left_out, shown) = last(&refutation.ops, JSON_OPS);
    let ops: Vec<Value> = shown.iter().map(|op| json_op(history, op, true)).collect();
    json!({
        "because": refuted(history, refutation),
        "witness": {
            "minimal": refutation.minimal,
            "checked": refutation.checked,
            "left_out": left_out,
            "operations": ops,
            "faults": json_faults(history, shown),
        },
    })
}

/// The faults in force around the operations.
fn json_faults<A>(history: &History, ops: &[Op<A>]) -> Value {
    fault_bands::around(history, ops).into_iter().map(fault_json).collect()
}

fn json_evidence(history: &History, evidence: &Evidence) -> Value {
    let (left_out, shown) = last(&evidence.ops, JSON_OPS);
    // A cas that would change nothing stands here as a read, one that compared nothing as a write.
    let compares = |op: &Op| {
        let is_cas = history.word(history.ops.get(op.source).f) == "cas";
        is_cas && !matches!(op.act, Act::Write(_))
    };
    let ops: Vec<Value> = shown.iter().map(|op| json_op(history, op, compares(op))).collect();
    let initial: Vec<Value> = evidence.initial.iter().map(|&id| history.values.json(id)).collect();
    json!({
        "because": explain(history, evidence),
        "witness": {
            "initial": initial,
            "after_line": evidence.after.map(|pos| history.line(pos)),
            "minimal": evidence.minimal,
            "checked": evidence.checked,
            "left_out": left_out,
            "operations": ops,
            "faults": json_faults(history, shown),
        },
    })
}

fn json_op<A>(history: &History, op: &Op<A>, compares: bool) -> Value {
    let source = history.ops.get(op.source);
    json!({
        "line": history.line(source.inv),
        "return_line": (source.res != OPEN).then(|| history.line(source.res)),
        "process": history.clients.json(source.process),
        "node": source.node.map(|id| history.node(id)),
        "type": outcome(source.outcome),
        "f": history.word(source.f),
        "value": source.value.map(|id| history.values.json(id)),
        "end_matters": op.fate == Fate::Ok && op.res != OPEN,
        "surely_happened": op.fate == Fate::Ok,
        "comparison_matters": compares,
    })
}
