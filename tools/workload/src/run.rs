//! A run from its first line to its last: setup, load with nemeses, recovery, final reads.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use breakit::clock;
use breakit::exit::{Error, Result, Status};
use breakit::node::Node;
use breakit::rng;
use breakit::talk;
use serde_json::{Value, json};

use crate::child::Words;
use crate::cli::{Cli, CommonArgs, RegisterArgs, Workload};
use crate::client::{self, Asked, Database};
use crate::final_reads;
use crate::generator::{Generator, Kind, Turns};
use crate::history::{History, remark};
use crate::load::{Ended, Limits, Load, Shared};
use crate::nemesis::Nemeses;
use crate::pace::Pace;
use crate::progress::Progress;
use crate::redact::redact_all;
use crate::stop::{self, Cause, Stop};

/// Runs the tool.
///
/// # Errors
/// One sentence for whatever stood in the way.
pub fn run(cli: Cli) -> Result<Status> {
    cli.loudness.set();
    let plan = Plan::of(&cli.workload)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| Error::io("start the clients' threads", &e))?;
    let outcome = runtime.block_on(plan.carry_out());
    // A client that hangs in a system call must not keep us from ending.
    runtime.shutdown_timeout(Duration::from_millis(200));
    outcome
}

/// A run as the command line says it, with everything looked up that can be wrong before it starts.
struct Plan {
    workload: &'static str,
    kind: Kind,
    nemeses: Vec<Words>,
    limits: Limits,
    rate: f64,
    seed: u64,
    recovery: Duration,
    final_reads: bool,
    shared: Arc<Shared>,
}

/// What the phases after setup leave to be said on the last line.
#[derive(Default)]
struct Findings {
    unsent: u64,
    failures: Vec<String>,
}

impl Plan {
    fn of(workload: &Workload) -> Result<Plan> {
        let common = workload.common();
        let (kind, turns) = generated(workload);
        let seed = rng::seed(common.seed)?;
        let asked = Asked { ready: common.ready, seed, workload: workload.name() };
        let database = client::database(&common.client, &asked)?;
        carries(&*database, workload.name())?;
        let nodes = nodes(&*database, common)?;
        let nemeses = common
            .nemesis
            .iter()
            .map(|text| Words::of(text, "--nemesis"))
            .collect::<Result<Vec<Words>>>()?;
        if common.timeout.is_zero() {
            return Err(Error::usage("--timeout 0s leaves no time for an answer; give it some"));
        }
        let limits = Limits {
            concurrency: common.concurrency,
            process_base: common.process_base,
            time: common.time_limit.or_else(|| common.ops.is_none().then(|| database.time_limit())),
            ops: common.ops,
        };
        let recovery = common.recovery.unwrap_or_else(|| database.recovery());
        let prefix = prefix(common)?;
        let stop = Stop::default();
        let shared = Arc::new(Shared {
            database,
            nodes,
            prefix,
            timeout: common.timeout,
            history: History::open(common.output.as_deref(), stop.clone())?,
            generator: Mutex::new(Generator::new(kind, turns, seed)),
            stop,
        });
        Ok(Plan {
            workload: workload.name(),
            kind,
            nemeses,
            limits,
            rate: common.rate,
            seed,
            recovery,
            final_reads: !common.no_final,
            shared,
        })
    }

    async fn carry_out(self) -> Result<Status> {
        stop::watch(&self.shared.stop)?;
        let progress = Progress::begin(&self.shared);
        // A line that finds no reader has rung the bell, which every phase hears.
        let _ = self.shared.history.record(remark("start", self.first_line()));
        let mut findings = Findings::default();
        let phases = self.phases(&progress, &mut findings).await;
        // From here on it is the reader alone that could keep us; how it did is part of how the run ended.
        self.shared.history.hurry();
        self.shared.history.written().await;
        drop(progress);
        let (status, reason) = self.ending(&phases, &findings);
        let _ =
            self.shared.history.record(remark("end", self.last_line(status, &reason, &findings)));
        self.shared.history.written().await;
        self.say(status, &reason);
        phases?;
        self.status(findings)
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
        if self.final_reads && self.goes_on() {
            progress.phase("recovery and final reads");
            final_reads::read_all(shared, self.recovery, ended.next_process).await;
        }
        Ok(())
    }

    /// The load with its nemeses; when it ends, open operations and healing are waited for together.
    async fn load(&self, progress: &Progress, findings: &mut Findings) -> Result<Ended> {
        let nemeses = Nemeses::start(&self.nemeses, self.seed, &self.shared)?;
        let load = Load::run(&self.shared, self.limits, Pace::new(self.rate, self.seed)).await;
        progress.phase("healing");
        self.shared.history.hurry();
        let (ended, failures) = tokio::join!(load.finish(), nemeses.end());
        findings.failures = failures;
        Ok(ended)
    }

    /// Whether there is somebody left to write for.
    fn goes_on(&self) -> bool {
        match self.shared.stop.cause() {
            Some(Cause::Broken(_)) => false,
            None | Some(Cause::Signal(_) | Cause::ReaderGone) => self.shared.history.is_open(),
        }
    }

    fn first_line(&self) -> Value {
        let nodes: Vec<&str> = self.shared.nodes.iter().map(|node| node.name.as_str()).collect();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "workload": self.workload,
            "client": self.shared.database.name(),
            "check": self.kind.check(),
            "seed": self.seed,
            "prefix": self.shared.prefix,
            "process_base": self.limits.process_base,
            "concurrency": self.limits.concurrency,
            "nodes": nodes,
            "wall": clock::wall(),
            "argv": redact_all(std::env::args()),
        })
    }

    /// How the run ended, in a word and, where it did not simply end, a reason.
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
        if !self.nemeses.is_empty() && self.shared.history.tally().faults == 0 {
            return ("unknown", "faults were asked for, and none came into force".into());
        }
        match findings.failures.is_empty() {
            true => ("done", Value::Null),
            false => ("done", findings.failures.join("; ").into()),
        }
    }

    fn last_line(&self, status: &str, reason: &Value, findings: &Findings) -> Value {
        let tally = self.shared.history.tally();
        json!({
            "status": status,
            "ops": tally.ops,
            "ok": tally.ok,
            "fail": tally.fail,
            "info": tally.info,
            "unsent": findings.unsent,
            "faults": tally.faults,
            "reason": reason,
        })
    }

    fn say(&self, status: &str, reason: &Value) {
        let tally = self.shared.history.tally();
        let why = reason.as_str().map(|why| format!(" ({why})")).unwrap_or_default();
        talk::say(format!(
            "{status}{why}: {} operations, {} ok, {} fail, {} info, {} faults; seed {}",
            tally.ops, tally.ok, tally.fail, tally.info, tally.faults, self.seed
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
        match (findings.failures.is_empty(), self.nemeses.is_empty()) {
            (false, _) => Ok(Status::System),
            (true, false) if self.shared.history.tally().faults == 0 => Ok(Status::Unknown),
            _ => Ok(Status::Done),
        }
    }
}

fn generated(workload: &Workload) -> (Kind, Turns) {
    let turns = |args: &RegisterArgs| Turns { keys: args.keys, ops_per_key: args.ops_per_key };
    match workload {
        Workload::Register(args) => (Kind::Register, turns(args)),
        Workload::CasRegister(args) => (Kind::CasRegister, turns(args)),
        Workload::Set(_) => (Kind::Set, Turns { keys: 1, ops_per_key: u32::MAX }),
    }
}

fn carries(database: &dyn Database, workload: &str) -> Result<()> {
    if database.carries().contains(&workload) {
        return Ok(());
    }
    Err(Error::usage(format!(
        "the client {} cannot carry {workload}; it carries {}",
        database.name(),
        database.carries().join(", ")
    )))
}

fn nodes(database: &dyn Database, common: &CommonArgs) -> Result<Vec<Node>> {
    let (own, named) = (database.own_nodes(), common.nodes.resolve()?);
    match (own.is_empty(), named.is_empty()) {
        (true, false) => Ok(named),
        (false, true) => Ok(own),
        (true, true) => Err(Error::usage(format!(
            "the client {} needs to know where its database runs; name the nodes with -n n1..n5",
            database.name()
        ))),
        (false, false) => Err(Error::usage(format!(
            "the client {} brings its own nodes; leave out -n",
            database.name()
        ))),
    }
}

/// The place of this run on the database. Without a flag it is new each time: yesterday's data is not ours.
fn prefix(common: &CommonArgs) -> Result<String> {
    let Some(prefix) = &common.prefix else {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        return Ok(format!("breakit-{:x}", since.as_nanos()));
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if (1..=100).contains(&prefix.len()) && prefix.chars().all(fits) && !prefix.starts_with('-') {
        return Ok(prefix.clone());
    }
    Err(Error::usage(format!(
        "--prefix {prefix:?} is no prefix; take up to 100 letters, digits, '-', '_' or '.'"
    )))
}
