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

use crate::child::CommandLine;
use crate::cli::{CommonArgs, RegisterArgs, Workload};
use crate::clients::{self, Database, RunOptions};
use crate::generator::{Generator, Kind, Turns};
use crate::nemesis;
use crate::phases::final_reads;
use crate::phases::load::{Limits, Shared};
use crate::record::command_lines::Record;
use crate::record::history::{History, own_line};
use crate::stop::Stop;

/// A run as the command line says it.
pub struct Plan {
    /// What breaks things during the load.
    pub nemeses: Vec<CommandLine>,
    /// When the load ends, and how many processes carry it.
    pub limits: Limits,
    /// Operations a second.
    pub rate: f64,
    /// Of all random choices.
    pub seed: u64,
    /// How long reading everything at the end may take; `None` where it is left out.
    pub final_reads: Option<final_reads::Limits>,
    workload: &'static str,
    kind: Kind,
    turns: Turns,
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
    /// 64, 66 or 69, for whatever cannot be as it was asked.
    pub fn of(workload: &Workload) -> Result<Plan> {
        let common = workload.common();
        let (kind, turns) = generated(workload);
        let seed = rng::seed(common.seed)?;
        let record = if common.record_commands { Record::All } else { Record::Known };
        let options = RunOptions { ready: common.ready, seed, workload: workload.name(), record };
        let database = clients::database(&common.client, &options)?;
        supports(&*database, workload.name())?;
        let nodes = nodes(&*database, common)?;
        let nemeses = common
            .nemesis
            .iter()
            .map(|text| CommandLine::of(text, "--nemesis", record))
            .collect::<Result<Vec<CommandLine>>>()?;
        let limits_of_answers =
            [("--timeout", common.timeout), ("--final-timeout", common.final_timeout)];
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
            final_reads: (!common.no_final).then(|| final_reads::Limits {
                recovery: common.recovery.unwrap_or_else(|| database.recovery()),
                read: common.final_timeout,
            }),
            workload: workload.name(),
            kind,
            turns,
            database,
            nodes,
            node_files: common.nodes.files().map(PathBuf::from).collect(),
            prefix: prefix(common)?,
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
    /// 66, 77 or 71 where it cannot be made.
    pub fn begin(&self) -> Result<Arc<Shared>> {
        let stop = Stop::default();
        Ok(Arc::new(Shared {
            database: Arc::clone(&self.database),
            nodes: self.nodes.clone(),
            prefix: self.prefix.clone(),
            timeout: self.timeout,
            history: History::open(self.output.as_deref(), stop.clone())?,
            generator: Mutex::new(Generator::new(self.kind, self.turns, self.seed)),
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
    /// Where the reader left, and 71 where stdout takes nothing.
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
            "workload": self.workload,
            "client": self.database.name(),
            "check": self.kind.check(),
            "seed": self.seed,
            "prefix": self.prefix,
            "process_base": self.limits.process_base,
            "concurrency": self.limits.concurrency,
            "nodes": nodes,
            "faults_asked": !self.nemeses.is_empty(),
            "argv": self.record.argv(),
        })
    }

    fn phases(&self) -> Vec<Value> {
        let mut phases = vec![
            json!({
                "phase": "setup",
                "at_most": clock::show(self.ready),
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
                "at_most": clock::show(self.timeout.max(self.patience())),
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

/// Refuses a place where a write may wait for somebody else: no request and no healing would go on meanwhile.
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

fn generated(workload: &Workload) -> (Kind, Turns) {
    let turns = |args: &RegisterArgs| Turns { keys: args.keys, ops_per_key: args.ops_per_key };
    match workload {
        Workload::Register(args) => (Kind::Register, turns(args)),
        Workload::CasRegister(args) => (Kind::CasRegister, turns(args)),
        Workload::Set(_) => (Kind::Set, Turns { keys: 1, ops_per_key: u32::MAX }),
    }
}

fn supports(database: &dyn Database, workload: &str) -> Result<()> {
    if database.supports().contains(&workload) {
        return Ok(());
    }
    Err(Error::usage(format!(
        "the client {} cannot carry {workload}; it carries {}",
        database.name(),
        database.supports().join(", ")
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
