//! Remarks on an invalid history whose evidence may rest on how values were written down.
//!
//! A verdict is right by the values as they are; but a client that writes 83 and is given "83" back, or that says null
//! where it saw nothing, has another trouble than its database. The remarks name it, and what to do.

use serde_json::Value;

use super::models;
use super::{Decision, KeyVerdict, Proof, Question};
use crate::history::{History, Outcome};
use crate::read::edn::keyword;
use crate::values::{Id, NULL};

/// How many pairs of values are named.
const SHOWN: usize = 3;

/// The remarks, a line each; none where no key is invalid.
pub fn lines(history: &History, question: &Question, keys: &[KeyVerdict]) -> Vec<String> {
    let Some(proof) = keys.iter().find_map(|key| match &key.decision {
        Decision::Invalid(proof) => Some(proof),
        Decision::Valid | Decision::Unknown { .. } => None,
    }) else {
        return Vec::new();
    };
    let shown = sources(proof);
    let mut lines: Vec<String> = null_read(history, &shown).into_iter().collect();
    lines.extend(twins(history, &shown));
    lines.extend(unknown_names(history, question));
    lines
}

/// The operations of the evidence, as the history has them.
fn sources(proof: &Proof) -> Vec<usize> {
    match proof {
        Proof::Register(evidence) => evidence.ops.iter().map(|op| op.source).collect(),
        Proof::Other(refutation) => refutation.ops.iter().map(|op| op.source).collect(),
    }
}

fn null_read(history: &History, shown: &[usize]) -> Option<String> {
    let is_null = |&&index: &&usize| {
        let op = history.ops.get(index);
        let is_read = models::is_read(history.word(op.f));
        is_read && op.outcome == Outcome::Ok && op.value == Some(NULL)
    };
    let op = history.ops.get(*shown.iter().find(is_null)?);
    Some(format!(
        "{} null (line {}) says that null was there; if its client means that it saw nothing, take \
         --ignore-null-reads",
        history.word(op.f),
        history.line(op.res)
    ))
}

/// Values of the evidence that another operation has as a value of another type.
fn twins(history: &History, shown: &[usize]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for &index in shown {
        let op = history.ops.get(index);
        for value in parts(history, op.value) {
            let twin = others(&history.values.json(value)).into_iter().find_map(|other| {
                let id = history.values.find(&other)?;
                let has = |op: &usize| parts(history, history.ops.value(*op)).contains(&id);
                Some((id, (0..history.ops.len()).find(has)?))
            });
            let Some((twin, other)) = twin else { continue };
            let (this, that) = (history.values.show(value), history.values.show(twin));
            let (here, there) = (history.line(op.inv), history.line(history.ops.inv(other)));
            // Each pair is told once, from one side.
            if lines.len() < SHOWN && !lines.iter().any(|line| line.contains(&this)) {
                lines.push(format!(
                    "{this} (operation of line {here}) and {that} (of line {there}) are two values, of two types"
                ));
            }
        }
    }
    lines
}

/// A value, or the elements of a list.
fn parts(history: &History, value: Option<Id>) -> Vec<Id> {
    let Some(value) = value else { return Vec::new() };
    history.values.list(value).map_or(vec![value], <[Id]>::to_vec)
}

/// The same text as values of other types.
fn others(value: &Value) -> Vec<Value> {
    let as_keyword = |word: &str| serde_json::json!({ "#keyword": word });
    match value {
        Value::String(word) => {
            let literal = serde_json::from_str(word)
                .ok()
                .filter(|other: &Value| matches!(other, Value::Number(_) | Value::Bool(_)));
            literal.into_iter().chain([as_keyword(word)]).collect()
        }
        Value::Number(_) | Value::Bool(_) => vec![Value::String(value.to_string())],
        other => keyword(other).map(|word| vec![Value::from(word)]).unwrap_or_default(),
    }
}

/// Names in `--initial` that no operation has.
fn unknown_names(history: &History, question: &Question) -> Option<String> {
    let names = question.model.specification()?.names?;
    let Value::Object(fields) = &question.initial else { return None };
    let values = history.ops.iter().filter_map(|op| op.value);
    let used: std::collections::HashSet<String> =
        values.flat_map(|value| names(&history.values.json(value))).collect();
    let unused: Vec<String> = fields
        .keys()
        .filter(|name| !used.contains(*name))
        .map(|name| format!("{name:?}"))
        .collect();
    (!unused.is_empty())
        .then(|| format!("--initial names {}, which no operation does", unused.join(", ")))
}
