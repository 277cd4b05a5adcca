//! Verdicts as text for people: a sentence and indented details.

use breakit::escape;
use breakit::exit::{Error, Status};

use super::finding::{Detail, Evidence, Finding};
use crate::checks::stats::ending;
use crate::contradictions::warnings;
use crate::history::History;
use crate::ranges;
use crate::read::count_sentence;
use crate::values::Values;
use crate::verdict::Verdict;

/// How many runs of values a line shows; JSON has them all.
const SHOWN: usize = 24;

/// What `check` found in `history`.
pub fn verdict(history: &History, check: &str, verdict: &Verdict) -> String {
    let mut text = sentence(&history.name, check, verdict);
    text += &details(&history.values, verdict);
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

/// What `merge` found in the verdicts on the parts of a history.
pub fn merged(check: &str, verdict: &Verdict) -> String {
    sentence("merged", &escape::line(check), verdict) + &details(&Values::default(), verdict)
}

/// The first line. A newline in a name or a value must not look like a line of ours.
fn sentence(name: &str, check: &str, verdict: &Verdict) -> String {
    let (name, because) = (escape::line(name), escape::line(&verdict.because));
    format!("{name}: {check}: {}: {because}\n", verdict.answer.word())
}

fn details(values: &Values, verdict: &Verdict) -> String {
    let mut text = String::new();
    let mut say = |line: &str| text += &format!("    {}\n", escape::line(line));
    for detail in &verdict.details {
        match detail {
            Detail::Said(line) => say(line),
            Detail::Found(finding) => found(values, finding, &mut say),
        }
    }
    text
}

fn found(values: &Values, finding: &Finding, say: &mut dyn FnMut(&str)) {
    let title = &finding.title;
    match &finding.evidence {
        Evidence::Values(ids) => say(&format!("{title}: {}", ranges::show(ids, values, SHOWN))),
        Evidence::Nothing => say(title),
        Evidence::Rows(rows) => {
            let title = Some(title).filter(|title| !title.is_empty());
            title.into_iter().chain(rows).for_each(|line| say(line));
        }
    }
}

/// That there is no verdict on `file`.
pub fn no_verdict(file: &str, check: Option<&str>, error: &Error) -> String {
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
