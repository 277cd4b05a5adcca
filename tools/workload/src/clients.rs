//! What a database client must do for `workload`, and how its answers map to the history.
//!
//! The mapping is the heart of every client: only an answer that *proves* that the operation did not happen,
//! and never will, is [`Outcome::Fail`]. A timeout, a broken connection after the request left, an error whose
//! meaning is not known: [`Outcome::Info`]. An idempotent read changes nothing, so whatever goes wrong with
//! one may be a fail; `workload` itself turns the info of a read into a fail.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use breakit::exit::{Error, Result};
use breakit::node::Node;
use serde_json::Value;

use crate::record::command_lines::Record;

pub mod client_error;
pub mod encoding;
pub mod endpoint;
pub mod etcd;
pub mod exec;
pub mod mem;
pub mod options;
pub mod redis;
pub mod redis_sentinel;

/// A future that a client or a database hands out.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One operation, as the generator drew it.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// `read`, `write`, `cas`, `add`.
    pub f: &'static str,
    /// Which of many independent objects; `None` where the workload has only one.
    pub key: Option<Value>,
    /// `write`, `add`: the value; `cas`: `[expected, new]`; `read`: null.
    pub value: Value,
}

/// What came of an operation.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It happened; the value goes onto the `ok` line (a read's result, else the request's value).
    Ok(Value),
    /// It did not happen and never will, for this reason.
    Fail(String),
    /// Nobody knows, for this reason. The client is thrown away and its process number with it.
    Info(String),
}

/// A connection to one node, used by one process at a time.
pub trait Client: Send {
    /// Sends the request and waits for the answer. `workload` drops the future, and the client with it, when
    /// the operation's timeout is over: then nobody knows what became of it.
    fn invoke<'a>(&'a mut self, request: &'a Request) -> Answer<'a, Outcome>;

    /// Whether it can take another request after one that was answered. One that cannot is thrown away, and
    /// the request goes to a new one: it has not been sent.
    fn can_take_another(&mut self) -> bool {
        true
    }
}

/// Whom a new client is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The run's operations: asks the database as an application would (through a sentinel, a proxy).
    Load,
    /// A final read: asks this very node what it holds.
    FinalRead,
}

/// What the command line says about the run that a database may want to know.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// How long a database that is still starting is waited for, in [`Database::set_up`].
    pub ready: Duration,
    /// The run's seed, for a database that makes random choices of its own.
    pub seed: u64,
    /// The workload: `register`, `cas-register`, `set`.
    pub workload: &'static str,
    /// How much of the commands that it runs is recorded.
    pub record: Record,
}

/// The clients as `--client` takes them, for messages.
const KNOWN: &str = "mem, mem:FAULT, redis, redis-sentinel, etcd, exec:CMD";

/// The database that `--client SPEC` names: a name, and after a colon whatever the client takes.
///
/// # Errors
/// 64 for a name that is not known or an option that the client does not have, 69 where a program is missing.
pub fn database(spec: &str, options: &RunOptions) -> Result<Arc<dyn Database>> {
    let (name, option) = match spec.split_once(':') {
        Some((name, option)) => (name, Some(option)),
        None => (spec, None),
    };
    match name {
        "mem" => mem::database(option, options),
        "exec" => exec::database(option, options),
        "redis" => redis::database(option, options),
        "redis-sentinel" => redis_sentinel::database(option, options),
        "etcd" => etcd::database(option, options),
        _ => Err(Error::usage(format!("no client {name:?}; there are {KNOWN}"))),
    }
}

/// A database as a whole: it makes clients.
pub trait Database: Send + Sync {
    /// Its name on the first line: `redis-sentinel`.
    fn name(&self) -> &'static str;

    /// The workloads that it can carry: `register`, `cas-register`, `set`.
    fn supports(&self) -> &'static [&'static str];

    /// The nodes of a database that brings its own; empty where `-n` must name them.
    fn own_nodes(&self) -> Vec<Node> {
        Vec::new()
    }

    /// How long the load lasts where the command line does not say.
    fn time_limit(&self) -> Duration {
        Duration::from_secs(30)
    }

    /// How long its nodes are given to agree again, where the command line does not say.
    fn recovery(&self) -> Duration {
        Duration::from_secs(15)
    }

    /// Makes the place that `prefix` names ready on the database, once a run, and proves it empty.
    ///
    /// Waits for a database that is still starting, up to its own time to be ready.
    ///
    /// # Errors
    /// 75 where the database is never ready, 71 where it refuses; the sentence names node and remedy.
    fn set_up<'a>(&'a self, nodes: &'a [Node], prefix: &'a str) -> Answer<'a, Result<()>>;

    /// Connects to `node`.
    ///
    /// # Errors
    /// Why not: the operation that wanted the connection fails, as it was never sent.
    fn open<'a>(
        &'a self,
        node: &'a Node,
        prefix: &'a str,
        purpose: Purpose,
    ) -> Answer<'a, std::result::Result<Box<dyn Client>, String>>;
}
