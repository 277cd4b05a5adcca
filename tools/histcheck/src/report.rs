//! Tells verdicts: as text for people, as JSON lines for programs.

use breakit::escape;
use breakit::exit::{Error, Result, Status};
use breakit::jsonl;
use serde_json::{Map, Value, json};

use crate::checks::stats::ending;
use crate::contradictions::warnings;
use crate::history::{Counts, History};
use crate::read::count_sentence;
use crate::verdict::{Answer, Verdict};

/// How verdicts are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A sentence and indented details.
    Text,
    /// Print each verdict as a JSON object on one line.
    Json,
}

impl Form {
    /// Tells what `check` found in `history`.
    ///
    /// # Errors
    /// Where stdout takes nothing more.
    pub fn verdict(self, history: &History, check: &str, verdict: &Verdict) -> Result<()> {
        match self {
            Form::Json => jsonl::print(&json_verdict(history, check, verdict)),
            Form::Text => jsonl::print_for_people(&text_verdict(history, check, verdict)),
        }
    }

    /// Tells that there is no verdict on `file`, as an error stood in the way. `check` is its name, where one
    /// was chosen.
    ///
    /// # Errors
    /// Where stdout takes nothing more.
    pub fn no_verdict(self, file: &str, check: Option<&str>, error: &Error) -> Result<()> {
        jsonl::print_text(&self.no_verdict_line(file, check, error))
    }

    /// What [`Form::no_verdict`] prints.
    pub fn no_verdict_line(self, file: &str, check: Option<&str>, error: &Error) -> String {
        if self == Form::Json {
            let object = json!({
                "file": file,
                "check": check,
                "valid": "unknown",
                "status": error.status().code(),
                "error": error.to_string(),
            });
            return format!("{object}\n");
        }
        let file = escape::line(file);
        let named = check.is_some();
        let check = check.map(|check| format!(" {check}:")).unwrap_or_default();
        match error.status() {
            Status::Unknown => {
                format!("{file}:{check} unknown: a limit was reached while it was read\n")
            }
            status => format!("{file}:{check} no verdict: {}\n", word(status, named)),
        }
    }
}

fn word(status: Status, named: bool) -> &'static str {
    match status {
        Status::Usage if named => "wrong usage",
        Status::Usage => "no check was named",
        Status::Data => "bad input",
        Status::NoInput => "not there",
        Status::NotPermitted => "not permitted",
        _ => "the system refused",
    }
}

fn text_verdict(history: &History, check: &str, verdict: &Verdict) -> String {
    // A newline in a name or a value must not look like a line of ours.
    let mut text = format!(
        "{}: {check}: {}: {}\n",
        escape::line(&history.name),
        verdict.answer.word(),
        escape::line(&verdict.because)
    );
    for line in &verdict.details {
        text += &format!("    {}\n", escape::line(line));
    }
    for warning in warnings(history) {
        text += &format!("    warning: {}\n", escape::line(&warning));
    }
    if history.only_line.is_some() {
        text += "    all of it stands on one line: what is called line N is its event N\n";
    }
    let counted = count_sentence(history);
    text += &format!("    {counted}\n    {}\n", escape::line(&ending(history)));
    text
}

fn json_verdict(history: &History, check: &str, verdict: &Verdict) -> String {
    let mut fields = Map::new();
    fields.insert("file".into(), history.name.as_str().into());
    fields.insert("check".into(), check.into());
    fields.insert("valid".into(), verdict.answer.json());
    fields.insert("because".into(), verdict.because.as_str().into());
    if verdict.answer == Answer::Unchecked {
        fields.insert("nothing_checked".into(), true.into());
    }
    fields.extend(verdict.facts.clone());
    let mut more = Map::new();
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
