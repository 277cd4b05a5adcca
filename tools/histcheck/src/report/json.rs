//! Verdicts as JSON for programs: one object, on one line.

use breakit::exit::Error;
use serde_json::{Map, Value, json};

use super::finding::Finding;
use crate::checks::stats::ending;
use crate::contradictions::warnings;
use crate::history::{Counts, History};
use crate::values::Values;
use crate::verdict::{Answer, Verdict};

/// What `check` found in `history`.
pub fn verdict(history: &History, check: &str, verdict: &Verdict) -> String {
    let mut fields = head(&history.name, check, verdict);
    let mut more = Map::new();
    let findings = verdict.findings().map(|finding| found(&history.values, finding));
    more.insert("findings".into(), findings.collect());
    let warnings = warnings(history);
    if !warnings.is_empty() {
        more.insert("warnings".into(), warnings.into());
    }
    if history.only_line.is_some() {
        more.insert("lines_are_events".into(), true.into());
    }
    more.insert("ending".into(), ending(history).into());
    if let Some(shard) = &history.shard {
        more.insert("shard".into(), shard.clone());
    }
    more.insert("counts".into(), counts(&history.counts));
    match &verdict.keys {
        Some(keys) => with_keys(&Value::Object(fields), keys, &Value::Object(more)),
        None => {
            fields.extend(more);
            Value::Object(fields).to_string()
        }
    }
}

/// What `merge` found in the verdicts on the parts of a history.
pub fn merged(check: &str, verdict: &Verdict) -> String {
    format!("{}\n", Value::Object(head("merged", check, verdict)))
}

/// That there is no verdict on `file`.
pub fn no_verdict(file: &str, check: Option<&str>, error: &Error) -> String {
    let object = json!({
        "file": file,
        "check": check,
        "valid": "unknown",
        "status": error.status().code(),
        "error": error.to_string(),
    });
    format!("{object}\n")
}

/// The fields that every verdict begins with, and what its check adds.
fn head(file: &str, check: &str, verdict: &Verdict) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("file".into(), file.into());
    fields.insert("check".into(), check.into());
    fields.insert("valid".into(), verdict.answer.json());
    fields.insert("because".into(), verdict.because.as_str().into());
    if verdict.answer == Answer::Unchecked {
        fields.insert("nothing_checked".into(), true.into());
    }
    fields.extend(verdict.facts.clone());
    fields
}

fn found(values: &Values, finding: &Finding) -> Value {
    json!({
        "kind": finding.kind,
        "key": finding.key.map(|key| values.json(key)),
        "lines": finding.lines,
        "explanation": finding.explanation,
    })
}

/// One object of the fields before, `keys` and the fields after; the list of keys is JSON already.
fn with_keys(before: &Value, keys: &str, after: &Value) -> String {
    let (mut text, after) = (before.to_string(), after.to_string());
    text.reserve(keys.len() + after.len() + 16);
    text.pop();
    text += ",\"keys\":";
    text += keys;
    text.push(',');
    text += &after[1..];
    text
}

fn counts(counts: &Counts) -> Value {
    let operations = counts.invokes;
    json!({
        "lines": counts.lines,
        "operations": operations,
        "ok": counts.ok,
        "fail": counts.fail,
        "info": operations - counts.ok - counts.fail,
        "fault_lines": counts.faults,
        "workload_lines": counts.workload,
        "other_lines": counts.others,
        "blank_lines": counts.blank,
        "separator_lines": counts.rules,
        "dropped_lines": counts.dropped,
        "missing_brackets": counts.unclosed,
    })
}
