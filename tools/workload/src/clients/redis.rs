//! `redis`: every node's own Redis, asked directly.
//!
//! Without replication each node is a database of its own, and a run against several shows that: n2 does not have
//! what was written to n1. With replicas, writes to them are refused (`READONLY`, a fail). An application's way
//! through the sentinels is the client `redis-sentinel`.
//!
//! The password is taken from `$REDISCLI_AUTH`, as redis-cli does.

pub mod connection;
pub mod operation;

use std::sync::Arc;
use std::time::Duration;

use breakit::exit::{Error, Result};
use breakit::node::Node;
use redis::cmd;

use self::connection::{Connection, Login};
use super::client_error::{ClientError, outcome};
use super::endpoint::{Endpoints, Patience, within_a_look};
use super::options::{ClientOption, Options};
use super::{Answer, Client, ClientKind, Database, Opened, Purpose, RunOptions, Takes};
use crate::action::{Action, Outcome};

/// The port on which Redis answers.
pub const PORT: u16 = 6379;

/// The environment variable with the password.
pub const PASSWORD: &str = "REDISCLI_AUTH";

/// The client.
pub const KIND: ClientKind = ClientKind {
    name: "redis",
    about: "The Redis of each node",
    takes: Takes::Options(&[ClientOption::with("port", "N")]),
    supports: operation::SUPPORTED,
    database,
};

fn database(option: Option<&str>, options: &RunOptions) -> Result<Arc<dyn Database>> {
    let given = Options::read(&KIND, option)?;
    Ok(Arc::new(Redis::new(given.port("port", PORT)?, options.ready)))
}

/// The Redis processes of the nodes.
#[derive(Debug)]
pub struct Redis {
    endpoints: Endpoints,
    login: Login,
    ready: Duration,
}

impl Redis {
    /// Redis on `port` of every node; `ready` is how long it may take to answer.
    pub fn new(port: u16, ready: Duration) -> Redis {
        Redis { endpoints: Endpoints::new(port), login: Login::from_environment(PASSWORD), ready }
    }

    /// Where the nodes' Redis processes are.
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// The password for them.
    pub fn login(&self) -> &Login {
        &self.login
    }

    /// How long a database that is still starting is waited for.
    pub fn ready(&self) -> Duration {
        self.ready
    }

    /// A connection to the Redis of `node`.
    ///
    /// # Errors
    /// A clause; no command was sent.
    pub async fn connect(&self, node: &Node) -> std::result::Result<Connection, String> {
        let address = self.endpoints.of(node).await.map_err(|error| error.to_string())?;
        Connection::open(address, &self.login).await
    }

    /// Proves that no node holds anything under `prefix`.
    ///
    /// # Errors
    /// 71 with the node and the first key that is there; 75 if a node does not answer.
    pub async fn prove_empty(&self, nodes: &[Node], prefix: &str) -> Result<()> {
        for node in nodes {
            let place = |said: String| {
                Error::waited(format!("cannot look for {prefix} on {}: {said}", node.name))
            };
            let mut connection = self.connect(node).await.map_err(place)?;
            let found =
                anything_under(prefix, &mut connection).await.map_err(|t| place(t.message()))?;
            if let Some(key) = found {
                return Err(Error::system(format!(
                    "{} already holds the key {key}; take another --prefix, what a run before left is not this run's finding",
                    node.name
                )));
            }
        }
        Ok(())
    }

    async fn answers(&self, node: &Node) -> std::result::Result<(), String> {
        let at = |said: String| format!("{}: {said}", node.name);
        let look = async {
            let mut connection = self.connect(node).await?;
            connection.ask::<String>(&cmd("PING")).await.map_err(ClientError::message)
        };
        within_a_look(look).await.map(|_: String| ()).map_err(at)
    }
}

/// A key of the run named `prefix`, if there is one.
async fn anything_under(
    prefix: &str,
    connection: &mut Connection,
) -> std::result::Result<Option<String>, ClientError> {
    if connection.ask::<bool>(cmd("EXISTS").arg(prefix)).await? {
        return Ok(Some(prefix.to_string()));
    }
    let pattern = format!("{}/*", literally(prefix));
    let mut cursor = "0".to_string();
    loop {
        let mut scan = cmd("SCAN");
        scan.arg(&cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(1000);
        let (next, keys) = connection.ask::<(String, Vec<String>)>(&scan).await?;
        if let Some(key) = keys.into_iter().next() {
            return Ok(Some(key));
        }
        if next == "0" {
            return Ok(None);
        }
        cursor = next;
    }
}

/// `text` as a glob pattern that matches nothing else.
fn literally(text: &str) -> String {
    text.chars()
        .flat_map(|c| "*?[]\\^".contains(c).then_some('\\').into_iter().chain([c]))
        .collect()
}

impl Database for Redis {
    fn set_up<'a>(&'a self, nodes: &'a [Node], prefix: &'a str) -> Answer<'a, Result<()>> {
        Box::pin(async move {
            let patience = Patience::new(self.ready);
            for node in nodes {
                while let Err(said) = self.answers(node).await {
                    patience.after(&said).await?;
                }
            }
            self.prove_empty(nodes, prefix).await
        })
    }

    fn open<'a>(&'a self, node: &'a Node, prefix: &'a str, _purpose: Purpose) -> Opened<'a> {
        Box::pin(async move {
            let address = self.endpoints.of(node).await.map_err(|error| error.to_string())?;
            let connection = Connection::open(address, &self.login).await?;
            let client: Box<dyn Client> = Box::new(Direct {
                address,
                login: self.login.clone(),
                prefix: prefix.to_string(),
                connection: Some(connection),
            });
            Ok(client)
        })
    }
}

/// A client of one Redis process.
struct Direct {
    address: std::net::SocketAddr,
    login: Login,
    prefix: String,
    connection: Option<Connection>,
}

impl Direct {
    async fn perform(&mut self, action: &Action) -> std::result::Result<Outcome, ClientError> {
        let connection = match self.connection.take().filter(Connection::is_open) {
            Some(open) => open,
            None => {
                Connection::open(self.address, &self.login).await.map_err(ClientError::NotDone)?
            }
        };
        operation::perform(self.connection.insert(connection), &self.prefix, action).await
    }
}

impl Client for Direct {
    fn invoke<'a>(&'a mut self, action: &'a Action) -> Answer<'a, Outcome> {
        Box::pin(async move { outcome(self.perform(action).await) })
    }
}

/// The value of the line `name:value` in the answer to INFO.
pub fn info_line<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_looked_for_literally() {
        assert_eq!(literally("a*b[c]?"), "a\\*b\\[c\\]\\?");
        assert_eq!(literally("run-1_x"), "run-1_x");
    }

    #[test]
    fn a_line_of_info_is_found_by_its_whole_name() {
        let info = "# Replication\r\nrole:master\r\nconnected_slaves:4\r\n";
        assert_eq!(info_line(info, "connected_slaves"), Some("4"));
        assert_eq!(info_line(info, "role"), Some("master"));
        assert_eq!(info_line(info, "rol"), None);
    }
}
