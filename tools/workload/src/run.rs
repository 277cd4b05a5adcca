//! A run from its first line to its last: setup, load with nemeses, recovery, final reads.

use std::sync::Arc;
use std::time::Duration;

use breakit::clock;
use breakit::exit::{Error, Result, Status};
use breakit::{messages, stdout};
use serde_json::{Value, json};

use crate::cli::Cli;
use crate::generator::pace::Pace;
use crate::nemesis::{Ends, Nemeses};
use crate::phases::Shared;
use crate::phases::final_reads::{self, Reading};
use crate::phases::load::{Ended, Load};
use crate::plan::Plan;
use crate::progress::Progress;
use crate::record::history::own_line;
use crate::stop::{self, Cause};

/// Runs the tool.
///
/// # Errors
/// One sentence that says what prevented the run.
pub fn run(cli: Cli) -> Result<Status> {
    cli.loudness.set();
    cli.path.set()?;
    stdout::must_be_open()?;
    let dry_run = cli.chosen.common.dry_run;
    let plan = Plan::of(cli.chosen)?;
    if dry_run {
        return plan.print().map(|()| Status::Done);
    }
    let run = Run { shared: plan.begin()?, plan };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| Error::io("start the clients' threads", &e))?;
    let outcome = runtime.block_on(run.carry_out());
    // A client that hangs in a system call must not keep us from ending.
    runtime.shutdown_timeout(Duration::from_millis(200));
    outcome
}

/// A plan that is being carried out.
struct Run {
    plan: Plan,
    shared: Arc<Shared>,
}

/// What the phases after setup found out for the last line.
#[derive(Default)]
struct Findings {
    unsent: u64,
    ends: Ends,
    /// `None` if nothing was read at the end.
    reading: Option<Reading>,
}

impl Run {
    async fn carry_out(self) -> Result<Status> {
        stop::watch(&self.shared.stop)?;
        let progress = Progress::begin(&self.shared);
        let mut findings = Findings::default();
        let phases = match self.begin().await {
            true => self.phases(&progress, &mut findings).await,
            false => Ok(()),
        };
        // From here on only the reader can delay the end; whether it does is part of how the run ended.
        self.shared.history.give_up_hanging_reader();
        self.shared.history.written().await;
        drop(progress);
        let (status, reason) = self.ending(&phases, &findings);
        let _ =
            self.shared.history.record(own_line("end", self.last_line(status, &reason, &findings)));
        self.shared.history.written().await;
        self.say(status, &reason);
        if let Some(reading) = &findings.reading {
            messages::say(reading.sentence());
        }
        phases?;
        self.status(findings)
    }

    /// Writes the first line, before anything is sent; `false` if it never will be, and the run is to end.
    async fn begin(&self) -> bool {
        let Ok(line) = self.shared.history.announce(own_line("start", self.first_line())) else {
            return false;
        };
        tokio::select! {
            written = line.written() => written.is_ok() && self.shared.stop.cause().is_none(),
            () = self.shared.stop.rung() => false,
        }
    }

    async fn phases(&self, progress: &Progress, findings: &mut Findings) -> Result<()> {
        let shared = &self.shared;
        let set_up = shared.database.set_up(&shared.nodes, &shared.prefix);
        tokio::select! {
            ready = set_up => ready?,
            () = shared.stop.rung() => return Ok(()),
        }
        progress.phase("load");
        let ended = self.load(progress, findings).await?;
        findings.unsent = ended.unsent;
        if let Some(limits) = self.plan.final_reads.filter(|_| self.continues()) {
            progress.phase("recovery and final reads");
            findings.reading = final_reads::read_all(shared, limits, ended.next_process).await;
        }
        Ok(())
    }

    /// The load with its nemeses; when it ends, open operations and healing are waited for together.
    async fn load(&self, progress: &Progress, findings: &mut Findings) -> Result<Ended> {
        let nemeses = Nemeses::start(&self.plan.nemeses, self.plan.seed, &self.shared)?;
        let load =
            Load::run(&self.shared, self.plan.limits, Pace::new(self.plan.rate, self.plan.seed))
                .await;
        progress.phase("healing");
        self.shared.history.give_up_hanging_reader();
        let (ended, ends) = tokio::join!(load.finish(), nemeses.end());
        findings.ends = ends;
        Ok(ended)
    }

    /// Whether the run continues: the history still takes lines.
    fn continues(&self) -> bool {
        match self.shared.stop.cause() {
            Some(Cause::Broken(_)) => false,
            None | Some(Cause::Signal(_) | Cause::ReaderGone) => self.shared.history.is_open(),
        }
    }

    fn first_line(&self) -> Value {
        let mut first = self.plan.first_line();
        first["wall"] = clock::wall().into();
        first
    }

    /// How the run ended, in a word and, unless it simply ended, a reason.
    fn ending(&self, phases: &Result<()>, findings: &Findings) -> (&'static str, Value) {
        if let Err(error) = phases {
            return ("failed", error.to_string().into());
        }
        match self.shared.stop.cause() {
            Some(Cause::Broken(error)) => return ("failed", error.to_string().into()),
            Some(Cause::Signal(number)) => {
                return ("interrupted", format!("signal {number}").into());
            }
            Some(Cause::ReaderGone) => return ("reader-gone", "the reader of stdout left".into()),
            None => {}
        }
        let mut reasons = [&findings.ends.failed[..], &findings.ends.early].concat();
        let status = match self.is_without_faults() {
            true => {
                reasons.insert(0, "faults were asked for, and none came into force".into());
                "unknown"
            }
            // Whatever failed later, the history has the faults that there were.
            false => "done",
        };
        match reasons.is_empty() {
            true => (status, Value::Null),
            false => (status, reasons.join("; ").into()),
        }
    }

    /// Whether there should have been faults, and were none.
    fn is_without_faults(&self) -> bool {
        !self.plan.nemeses.is_empty() && self.shared.history.tally().faults == 0
    }

    fn last_line(&self, status: &str, reason: &Value, findings: &Findings) -> Value {
        let tally = self.shared.history.tally();
        let mut line = json!({
            "status": status,
            "ops": tally.ops,
            "ok": tally.ok,
            "fail": tally.fail,
            "info": tally.info,
            "unsent": findings.unsent,
            "faults": tally.faults,
            "reason": reason,
        });
        if let Some(Reading { read, unread }) = &findings.reading {
            let unread = unread.iter().map(|(node, why)| json!({ "node": node, "why": why }));
            line["read"] = read.as_slice().into();
            line["unread"] = unread.collect::<Vec<Value>>().into();
        }
        line
    }

    fn say(&self, status: &str, reason: &Value) {
        let tally = self.shared.history.tally();
        let why = reason.as_str().map(|why| format!(" ({why})")).unwrap_or_default();
        messages::say(format!(
            "{status}{why}: {} operations, {} ok, {} fail, {} info, {} faults; seed {}",
            tally.ops, tally.ok, tally.fail, tally.info, tally.faults, self.plan.seed
        ));
    }

    /// What the shell sees of a run whose phases all came to their end.
    fn status(&self, findings: Findings) -> Result<Status> {
        match self.shared.stop.cause() {
            Some(Cause::Signal(number)) => return Err(Error::Signal(number)),
            Some(Cause::Broken(error)) => return Err(error),
            Some(Cause::ReaderGone) => return Err(Error::ReaderGone),
            None => {}
        }
        // The nemeses' own sentences were said when they failed.
        if !findings.ends.failed.is_empty() {
            return Ok(Status::System);
        }
        match (findings.ends.early.is_empty(), self.is_without_faults()) {
            (false, _) => Ok(Status::EndedEarly),
            (true, true) => Ok(Status::Unknown),
            (true, false) => Ok(Status::Done),
        }
    }
}
