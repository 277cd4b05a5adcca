//! The clients: each reaches one kind of database, and says what its answers prove.
//!
//! A client is one file or folder in `clients/` and its name in [`CLIENTS`]. `--client`, its help and its messages are
//! derived from that. Its parts are a [`Database`], of which a run has one, and the [`Client`]s that this opens: one
//! connection each, to one node, for one process.
//!
//! # Rules
//!
//! Only an answer that *proves* that the operation did not happen, and never will, is [`Outcome::Fail`]. A timeout, a
//! broken connection after the request left, an error whose meaning is not known: [`Outcome::Info`]. An idempotent read
//! changes nothing, so any failure of one may be a fail; the attempt of an operation turns the info of a read into one.
//!
//! A client tries nothing twice and leaves its node for no other. It needs no time limit of its own: the whole client
//! is dropped when the time of its operation is over.

use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use breakit::exit::{Error, Result};
use breakit::node::Node;

use crate::action::{Action, Capability, Outcome};
use crate::record::commands::Record;
use crate::table::table;

pub mod client_error;
pub mod encoding;
pub mod endpoint;
pub mod options;

use self::options::ClientOption;

table! {
    /// All clients, in the order of the help.
    CLIENTS: ClientKind =
        mem,
        redis,
        redis_sentinel,
        etcd,
        exec,
}

/// A client as `--client` names it.
#[derive(Debug)]
pub struct ClientKind {
    /// Its name in `--client` and on the first line.
    pub name: &'static str,
    /// What it reaches, in one line.
    pub about: &'static str,
    /// What may come after its name and a colon.
    pub takes: Takes,
    /// What its database can hold and do.
    pub supports: &'static [Capability],
    /// Makes its database.
    pub database: MakeDatabase,
}

/// Makes the database for what came after the colon.
///
/// Its errors: 64 for what the client does not take, 69 if a program is missing.
pub type MakeDatabase = fn(Option<&str>, &RunOptions) -> Result<Arc<dyn Database>>;

/// What comes after the colon of `--client NAME:...`.
#[derive(Debug)]
pub enum Takes {
    /// One of the client's own words, or nothing.
    Word(&'static str),
    /// Options with commas between them, or nothing.
    Options(&'static [ClientOption]),
    /// A command, which must be there.
    Command(&'static str),
}

impl ClientKind {
    /// How it is written after `--client`, with all that it takes.
    pub fn usage(&self) -> String {
        match self.takes {
            Takes::Word(word) => format!("{}[:{word}]", self.name),
            Takes::Command(command) => format!("{}:{command}", self.name),
            Takes::Options(options) => format!("{}[:{}]", self.name, options::listed(options, ",")),
        }
    }

    /// How it is written after `--client` in its shortest form.
    fn shortest(&self) -> String {
        match self.takes {
            Takes::Command(command) => format!("{}:{command}", self.name),
            Takes::Word(_) | Takes::Options(_) => self.name.to_string(),
        }
    }
}

/// The help of `--client`.
pub fn help() -> String {
    let names: Vec<String> = CLIENTS.iter().map(ClientKind::shortest).collect();
    match names.split_last() {
        Some((last, others)) if !others.is_empty() => {
            format!("The database's client: {}, or {last}", others.join(", "))
        }
        _ => format!("The database's client: {}", names.concat()),
    }
}

/// The clients for the help of the tool, with all that they take.
pub fn list() -> String {
    let lines =
        CLIENTS.iter().map(|kind| format!("\n  {}\n          {}", kind.usage(), kind.about));
    format!("Clients:{}", lines.collect::<String>())
}

/// The client that `--client SPEC` names, and what comes after the colon.
///
/// # Errors
/// 64 for a name that is not known.
pub fn named(spec: &str) -> Result<(&'static ClientKind, Option<&str>)> {
    let (name, option) = match spec.split_once(':') {
        Some((name, option)) => (name, Some(option)),
        None => (spec, None),
    };
    CLIENTS.iter().find(|kind| kind.name == name).map(|kind| (kind, option)).ok_or_else(|| {
        let known: Vec<String> = CLIENTS.iter().map(ClientKind::shortest).collect();
        Error::usage(format!("no client {name:?}; there are {}", known.join(", ")))
    })
}

/// A future that a client or a database returns.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A client that was opened, or in words why it could not be.
pub type Opened<'a> = Answer<'a, std::result::Result<Box<dyn Client>, String>>;

/// What the command line says about the run that a database may want to know.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// How long a database that is still starting is waited for, in [`Database::set_up`].
    pub ready: Duration,
    /// How long a program may take from its start until it reads its first request.
    pub start_timeout: Duration,
    /// The run's seed, for a database that makes random choices of its own.
    pub seed: u64,
    /// A read that finds nothing in a place where nothing was written, if the workload has one.
    pub first_read: Option<Action>,
    /// How much of the commands that it runs is recorded.
    pub record: Record,
}

/// A database as a whole: it opens clients.
pub trait Database: Send + Sync {
    /// The nodes of a database that brings its own; empty if `-n` must name them.
    fn own_nodes(&self) -> Vec<Node> {
        Vec::new()
    }

    /// How long the load lasts if the command line does not say.
    fn time_limit(&self) -> Duration {
        Duration::from_secs(30)
    }

    /// How long its nodes may take to agree again, if the command line does not say.
    fn recovery(&self) -> Duration {
        Duration::from_secs(15)
    }

    /// The longest time that [`Client::hand_over`] may take.
    fn start_limit(&self) -> Duration {
        Duration::ZERO
    }

    /// Makes the place that `prefix` names ready on the database, once a run, and proves it empty.
    ///
    /// Waits for a database that is still starting, up to its own time to be ready.
    ///
    /// # Errors
    /// 75 if the database is never ready, 71 if it refuses; the sentence names node and remedy.
    fn set_up<'a>(&'a self, nodes: &'a [Node], prefix: &'a str) -> Answer<'a, Result<()>>;

    /// Connects to `node`.
    ///
    /// # Errors
    /// Why not: the operation that wanted the connection fails, as it was never sent.
    fn open<'a>(&'a self, node: &'a Node, prefix: &'a str, purpose: Purpose) -> Opened<'a>;
}

/// What a new client is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The run's operations: asks the database as an application would (through a sentinel, a proxy).
    Load,
    /// A final read: asks this very node what it holds.
    FinalRead,
}

/// A connection to one node, used by one process at a time.
pub trait Client: Send {
    /// Waits until the other side takes the request, for a client whose other side may first have to start. The time
    /// limit of the operation is counted without it.
    ///
    /// # Errors
    /// The outcome of an action that was not taken.
    fn hand_over<'a>(
        &'a mut self,
        _action: &'a Action,
    ) -> Answer<'a, std::result::Result<(), Outcome>> {
        Box::pin(ready(Ok(())))
    }

    /// Sends the request and waits for the answer. The future, and the client with it, is dropped when the operation's
    /// time is over: then it is not known what became of it.
    fn invoke<'a>(&'a mut self, action: &'a Action) -> Answer<'a, Outcome>;

    /// Whether it can take another request after one that was answered. One that cannot is dropped, and
    /// the request goes to a new one: it has not been sent.
    fn can_take_another(&mut self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_and_the_messages_name_every_client() {
        let unknown = named("nosuch").unwrap_err().to_string();
        for kind in CLIENTS {
            assert!(help().contains(&kind.shortest()), "{}", help());
            assert!(unknown.contains(&kind.shortest()), "{unknown}");
            assert!(list().contains(&kind.usage()) && list().contains(kind.about), "{}", list());
            assert!(!kind.supports.is_empty(), "{}", kind.name);
        }
    }

    #[test]
    fn a_client_is_named_with_what_it_takes() {
        let (kind, option) = named("redis:port=1").unwrap();
        assert_eq!(
            (kind.name, option, kind.usage().as_str()),
            ("redis", Some("port=1"), "redis[:port=N]")
        );
        assert_eq!(named("exec:a:b").unwrap().1, Some("a:b"));
    }
}
