//! What is in a history: operations by name and outcome, latencies, faults. It judges nothing.

use std::sync::Arc;

use breakit::exit::Result;
use clap::Args;
use serde_json::{Value, json};

use super::{Arguments, Asked, Check, Chosen, Kind};
use crate::budget::{Budget, Exhausted};
use crate::cli::Files;
use crate::faults::{Fault, FaultEnd};
use crate::history::{Ending, History, Outcome};
use crate::plural::many;
use crate::verdict::{Answer, Verdict};

/// The check.
pub const KIND: Kind = Kind {
    name: "stats",
    doc: "Count operations by name and outcome, with latencies and faults; decides nothing",
    promised: Some(&[]),
    judges: false,
    ..Kind::of::<StatsArgs>()
};

/// The arguments.
#[derive(Args, Clone, Debug)]
pub struct StatsArgs {
    /// Which histories
    #[command(flatten)]
    files: Files,
}

/// The check with its options: it has none.
#[derive(Debug)]
struct Stats;

impl Arguments for StatsArgs {
    fn chosen(self) -> Result<Chosen> {
        Ok((Arc::new(Stats), self.files.files))
    }
}

impl Check for Stats {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn judge(&self, history: &mut History, asked: Asked<'_>) -> Result<Verdict> {
        Ok(report(history, asked.budget))
    }
}

/// Counts everything.
pub fn report(history: &History, budget: &Budget) -> Verdict {
    let tallies = match tallies(history, budget) {
        Ok(tallies) => tallies,
        Err((done, limit)) => {
            let of = many(history.ops.len() as u64, "operation");
            return Verdict::new(Answer::Unknown, format!("{limit} after {done} of {of}"));
        }
    };
    let origin = origin(history);
    let because = format!(
        "{}, {}",
        many(history.ops.len() as u64, "operation"),
        many(history.faults.list().len() as u64, "fault")
    );
    let mut verdict = Verdict::new(Answer::Counted, because);
    let mut by_f = serde_json::Map::new();
    for tally in tallies {
        verdict.say(tally.line());
        by_f.insert(tally.word.clone(), tally.json());
    }
    verdict.fact("by_f", Value::Object(by_f));
    if let Some(seconds) = duration(history) {
        let rate = history.ops.len() as f64 / seconds;
        verdict.say(format!("over {seconds:.3} s: {rate:.1} operations a second"));
        verdict.fact("seconds", json!(seconds));
    }
    for fault in history.faults.list() {
        verdict.say(fault_line(fault, origin));
    }
    for (word, line) in history.faults.strays() {
        verdict.say(format!("line {line}: {word} ends nothing that began here"));
    }
    verdict.fact("faults", history.faults.list().iter().map(fault_json).collect::<Value>());
    verdict
}

/// How the history ends, for every report.
pub fn ending(history: &History) -> String {
    match history.ending() {
        Ending::Whole(status, None) => format!("the run ended: {status}"),
        Ending::Whole(status, Some(reason)) => format!("the run ended: {status}: {reason}"),
        Ending::CutOff => "cut off: the run's last line is missing".into(),
        Ending::Left => "the run went on; no more of it was read".into(),
        Ending::Unmarked => "no first and last line of a workload".into(),
    }
}

/// One operation's name with what became of its operations.
struct Tally {
    word: String,
    ok: u64,
    fail: u64,
    info: u64,
    /// Nanoseconds from invoke to ok, sorted.
    latencies: Vec<u64>,
}

/// # Errors
/// How many operations were counted before which limit was reached.
fn tallies(
    history: &History,
    budget: &Budget,
) -> std::result::Result<Vec<Tally>, (usize, Exhausted)> {
    let budget = budget.taking(history.bytes()).map_err(|limit| (0, limit))?;
    let mut watch = budget.watch();

    let mut tallies: Vec<Tally> = history
        .words
        .iter()
        .map(|word| Tally { word: word.clone(), ok: 0, fail: 0, info: 0, latencies: Vec::new() })
        .collect();
    for (done, op) in history.ops.iter().enumerate() {
        watch.step().map_err(|limit| (done, limit))?;
        let tally = &mut tallies[usize::from(op.f)];
        match op.outcome {
            Outcome::Ok => tally.ok += 1,
            Outcome::Fail => tally.fail += 1,
            Outcome::Info => tally.info += 1,
        }
        if let (Outcome::Ok, Some(from), Some(to)) = (op.outcome, op.invoked_at, op.completed_at) {
            tally.latencies.push(to.saturating_sub(from));
        }
    }
    tallies.iter_mut().for_each(|tally| tally.latencies.sort_unstable());
    Ok(tallies)
}

impl Tally {
    fn quantile(&self, q: f64) -> Option<f64> {
        let last = self.latencies.len().checked_sub(1)?;
        let at = (self.latencies.len() as f64 * q) as usize;
        Some(self.latencies[at.min(last)] as f64 / 1e6)
    }

    fn line(&self) -> String {
        let Tally { word, ok, fail, info, .. } = self;
        let mut text = format!("{word}: {ok} ok, {fail} fail, {info} info");
        if let (Some(half), Some(most), Some(all)) =
            (self.quantile(0.5), self.quantile(0.99), self.quantile(1.0))
        {
            text += &format!(
                "; ok in {half:.3} ms (median), {most:.3} ms (99 %), {all:.3} ms (longest)"
            );
        }
        text
    }

    fn json(&self) -> Value {
        json!({
            "count": self.ok + self.fail + self.info,
            "ok": self.ok,
            "fail": self.fail,
            "info": self.info,
            "ok_latency_ms": {
                "0.5": self.quantile(0.5),
                "0.95": self.quantile(0.95),
                "0.99": self.quantile(0.99),
                "1": self.quantile(1.0),
            },
        })
    }
}

/// The first time in the history: reports count from it.
fn origin(history: &History) -> Option<u64> {
    let ops = history.ops.iter().filter_map(|op| op.invoked_at);
    ops.chain(history.faults.list().iter().filter_map(|fault| fault.from)).min()
}

fn duration(history: &History) -> Option<f64> {
    let from = history.ops.iter().filter_map(|op| op.invoked_at).min()?;
    let to = history.ops.iter().filter_map(|op| op.completed_at.or(op.invoked_at)).max()?;
    (to > from).then(|| (to - from) as f64 / 1e9)
}

fn fault_line(fault: &Fault, origin: Option<u64>) -> String {
    let at = |time: Option<u64>| match (time, origin) {
        (Some(time), Some(origin)) => {
            format!("{:.3} s", (time as f64 - origin as f64) / 1e9)
        }
        _ => "?".into(),
    };
    let span = match fault.end {
        FaultEnd::Stopped(line) => {
            format!("{} to {} (lines {} and {line})", at(fault.from), at(fault.until), fault.line)
        }
        FaultEnd::Lease => format!(
            "from {} (line {}), ended by its lease: no line stops it",
            at(fault.from),
            fault.line
        ),
        FaultEnd::Never => {
            format!("from {} (line {}), and no line stops it", at(fault.from), fault.line)
        }
        FaultEnd::Instant => format!("at {} (line {})", at(fault.from), fault.line),
    };
    format!("{}: {span}", fault.kind)
}

/// A fault with all that is known of it.
pub(crate) fn fault_json(fault: &Fault) -> Value {
    let (end, stop_line) = match fault.end {
        FaultEnd::Stopped(line) => ("stopped", Some(line)),
        FaultEnd::Lease => ("lease", None),
        FaultEnd::Never => ("none", None),
        FaultEnd::Instant => ("instant", None),
    };
    json!({
        "kind": fault.kind,
        "from": fault.from,
        "until": fault.until,
        "end": end,
        "line": fault.line,
        "stop_line": stop_line,
        "value": fault.value,
    })
}
