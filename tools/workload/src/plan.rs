//! What a run is going to do: everything looked up that can be wrong before it starts, nothing touched yet.

use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use breakit::clock;
use breakit::exit::{Error, Result};
use breakit::jsonl;
use breakit::node::Node;
use breakit::{output, rng};
use serde_json::{Value, json};

use crate::action::Capability;
use crate::child::CommandLine;
use crate::cli::{Chosen, CommonArgs};
use crate::clients::{self, ClientKind, Database, RunOptions};
use crate::nemesis;
use crate::phases::Shared;
use crate::phases::final_reads;
use crate::phases::load::Limits;
use crate::record::argv::argv;
use crate::record::commands::Record;
use crate::record::history::{History, own_line};
use crate::stop::Stop;
use crate::workloads::{FinalPhase, Workload, WorkloadKind};

/// What a run does, by its command line.
pub struct Plan {
    /// The programs that cause faults during the load.
    pub nemeses: Vec<CommandLine>,
    /// When the load ends, and how many processes carry it.
    pub limits: Limits,
    /// Operations a second.
    pub rate: f64,
    /// Of all random choices.
    pub seed: u64,
    /// How long reading everything at the end may take; `None` if it is left out.
    pub final_reads: Option<final_reads::Limits>,
    kind: &'static WorkloadKind,
    workload: Box<dyn Workload>,
    client: &'static ClientKind,
    database: Arc<dyn Database>,
    nodes: Vec<Node>,
    node_files: Vec<PathBuf>,
    prefix: String,
    record: Record,
    ready: Duration,
    timeout: Duration,
    output: Option<PathBuf>,
}

impl Plan {
    /// The plan of a command line.
    ///
    /// # Errors
    /// 64, 66 or 69 for what cannot be as the command line says.
    pub fn of(chosen: Chosen) -> Result<Plan> {
        let Chosen { kind, workload, common } = chosen;
        let seed = rng::seed(common.seed)?;
        let record = if common.record_commands { Record::All } else { Record::Known };
        let (client, given) = clients::named(&common.client)?;
        supports(client, kind, workload.needs())?;
        let options = RunOptions {
            ready: common.ready,
            start_timeout: common.start_timeout,
            seed,
            first_read: workload.first_read(),
            record,
        };
        let database = (client.database)(given, &options)?;
        let nodes = nodes(client, &*database, &common)?;
        let nemeses = common
            .nemesis
            .iter()
            .map(|text| CommandLine::of(text, "--nemesis", record))
            .collect::<Result<Vec<CommandLine>>>()?;
        let limits_of_answers = [
            ("--timeout", common.timeout),
            ("--start-timeout", common.start_timeout),
            ("--final-timeout", common.final_timeout),
        ];
        if let Some((flag, _)) = limits_of_answers.iter().find(|(_, time)| time.is_zero()) {
            return Err(Error::usage(format!(
                "{flag} 0s leaves no time for an answer; give it some"
            )));
        }
        if common.time_limit.is_some_and(|time| time.is_zero()) {
            return Err(Error::usage(
                "--time-limit 0s leaves no time for an operation; give it some",
            ));
        }
        let limits = Limits {
            concurrency: common.concurrency,
            process_base: common.process_base,
            time: common.time_limit.or_else(|| common.ops.is_none().then(|| database.time_limit())),
            ops: common.ops,
        };
        let plan = Plan {
            nemeses,
            limits,
            rate: common.rate,
            seed,
            final_reads: reads_everything(&*workload, &common).then(|| final_reads::Limits {
                recovery: common.recovery.unwrap_or_else(|| database.recovery()),
                read: common.final_timeout,
            }),
            kind,
            workload,
            client,
            database,
            nodes,
            node_files: common.nodes.files().map(PathBuf::from).collect(),
            prefix: prefix(&common)?,
            record,
            ready: common.ready,
            timeout: common.timeout,
            output: common.output.clone(),
        };
        plan.keep_inputs().map(|()| plan)
    }

    /// Opens the history, and gives it with all else that the phases of the run share.
    ///
    /// # Errors
    /// 66, 77 or 71 if it cannot be made.
    pub fn begin(&self) -> Result<Arc<Shared>> {
        let stop = Stop::default();
        Ok(Arc::new(Shared {
            database: Arc::clone(&self.database),
            nodes: self.nodes.clone(),
            prefix: self.prefix.clone(),
            timeout: self.timeout,
            history: History::open(self.output.as_deref(), stop.clone())?,
            generator: Mutex::new(self.workload.generator(rng::generator(self.seed, "operations"))),
            stop,
        }))
    }

    /// Refuses to write the history over what the run reads, or twice into one file.
    fn keep_inputs(&self) -> Result<()> {
        let Some(output) = &self.output else { return Ok(()) };
        let replayed = self.nemeses.iter().flat_map(CommandLine::replayed);
        let inputs = self.node_files.iter().map(PathBuf::as_path).chain(replayed);
        output::not_over("-o", output, inputs)?;
        output::not_twice("-o", output)?;
        holds_nobody_up(output)
    }

    /// Prints the plan: the first line of the history without its times, then the phases, one a line.
    ///
    /// # Errors
    /// If the reader left, and 71 if stdout takes nothing.
    pub fn print(&self) -> Result<()> {
        let mut first = own_line("start", self.first_line());
        first.time = None;
        jsonl::print(&first.line())?;
        self.phases().iter().try_for_each(|phase| jsonl::print(&phase.to_string()))
    }

    /// What the first line of the history says, but for the wall clock.
    pub fn first_line(&self) -> Value {
        let nodes: Vec<&str> = self.nodes.iter().map(|node| node.name.as_str()).collect();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "workload": self.kind.name,
            "client": self.client.name,
            "check": self.workload.promise(),
            "seed": self.seed,
            "prefix": self.prefix,
            "process_base": self.limits.process_base,
            "concurrency": self.limits.concurrency,
            "nodes": nodes,
            "faults_asked": !self.nemeses.is_empty(),
            "argv": argv(self.record),
        })
    }

    fn phases(&self) -> Vec<Value> {
        let mut phases = vec![
            json!({
                "phase": "setup",
                "at_most": clock::show(self.ready.saturating_add(self.database.start_limit())),
                "output": self.output,
            }),
            json!({
                "phase": "load",
                "lasts": self.limits.time.map(clock::show),
                "ops": self.limits.ops,
                "rate": self.rate,
                "timeout": clock::show(self.timeout),
                "clients": self.clients(),
                "nemeses": self.nemeses.iter().map(CommandLine::argv).collect::<Vec<_>>(),
            }),
            json!({
                "phase": "healing",
                "at_most": clock::show(self.last_answer().max(self.patience())),
            }),
        ];
        if let Some(limits) = self.final_reads {
            phases.push(json!({ "phase": "recovery", "at_most": clock::show(limits.recovery) }));
            phases.push(json!({
                "phase": "final reads",
                "nodes": self.nodes.len(),
                "timeout": clock::show(limits.read),
            }));
        }
        phases
    }

    /// How long after the load its last operation may be open.
    fn last_answer(&self) -> Duration {
        self.timeout.saturating_add(self.database.start_limit())
    }

    fn patience(&self) -> Duration {
        if self.nemeses.is_empty() { Duration::ZERO } else { nemesis::PATIENCE }
    }

    /// Each node with the first processes that talk to it.
    fn clients(&self) -> Vec<Value> {
        let base = self.limits.process_base;
        let numbers = base..base + u64::from(self.limits.concurrency);
        self.nodes
            .iter()
            .enumerate()
            .map(|(place, node)| {
                let processes: Vec<u64> =
                    numbers.clone().skip(place).step_by(self.nodes.len()).collect();
                json!({ "node": node.name.as_str(), "addrs": node.addrs, "processes": processes })
            })
            .collect()
    }
}

/// Refuses a file whose reader could delay a write: no request and no healing would go on meanwhile.
fn holds_nobody_up(output: &Path) -> Result<()> {
    let Ok(kind) = output.metadata().map(|data| data.file_type()) else { return Ok(()) };
    if kind.is_file() || kind.is_char_device() || kind.is_dir() {
        return Ok(());
    }
    Err(Error::usage(format!(
        "-o {} is no file but a pipe, a socket or a disk; name a file, and send stdout to the pipe",
        output.display()
    )))
}

fn reads_everything(workload: &dyn Workload, common: &CommonArgs) -> bool {
    match workload.final_phase() {
        FinalPhase::ReadEverything => !common.no_final,
        FinalPhase::Nothing => false,
    }
}

fn supports(client: &ClientKind, workload: &WorkloadKind, needs: &[Capability]) -> Result<()> {
    match needs.iter().find(|need| !client.supports.contains(need)) {
        None => Ok(()),
        Some(need) => Err(Error::usage(format!(
            "{} needs {}, which the client {} does not support; it supports {}",
            workload.name,
            need.name(),
            client.name,
            Capability::list(client.supports)
        ))),
    }
}

fn nodes(client: &ClientKind, database: &dyn Database, common: &CommonArgs) -> Result<Vec<Node>> {
    let (own, named) = (database.own_nodes(), common.nodes.resolve()?);
    match (own.is_empty(), named.is_empty()) {
        (true, false) => Ok(named),
        (false, true) => Ok(own),
        (true, true) => Err(Error::usage(format!(
            "the client {} needs to know where its database runs; name the nodes with -n n1..n5",
            client.name
        ))),
        (false, false) => Err(Error::usage(format!(
            "the client {} brings its own nodes; leave out -n",
            client.name
        ))),
    }
}

/// The place of this run on the database. Without a flag it is new each time, and holds no data of earlier runs.
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
