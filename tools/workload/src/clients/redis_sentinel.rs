//! `redis-sentinel`: Redis as an application uses it that trusts its sentinels.
//!
//! # What the client asks
//!
//! A client for node n acts like an application beside n. It follows the published guidelines for Sentinel
//! clients (redis.io/docs/latest/develop/reference/sentinel-clients): ask a sentinel for the primary's
//! address, connect, have the process itself confirm by `ROLE` that it is a primary, and start over after
//! any error. Two choices are ours:
//!
//! - **The sentinel asked is that of its own node.** The guidelines' list of sentinels is for finding one
//!   that answers; this host reaches all of them through every partition, an application beside n does not.
//! - **It is asked before every operation**, where the guidelines ask on connecting and recommend to listen
//!   for `+switch-master`. So the client leaves the old primary as soon as its sentinel knows better, and
//!   never writes to a primary that its sentinel has given up: no loss is the client's fault. (A client that
//!   keeps its connection for as long as it works was seen to lose about 80 % of a run's acknowledged writes,
//!   against the 20 to 25 % that this one shows.)
//!
//! Until the request itself has left, whatever goes wrong is a fail: the sentinel is silent or knows no
//! primary, the process it names is not there or says that it is a replica. From then on the table in
//! [`super::redis::connection`] decides.
//!
//! A final read goes to the node's own Redis, primary or replica.
//!
//! Passwords: `$REDISCLI_AUTH` for Redis, `$SENTINEL_AUTH` for the sentinels if they ask for one.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use breakit::exit::{Error, Result};
use breakit::node::Node;
use redis::cmd;

use super::client_error::{ClientError, outcome};
use super::endpoint::{Endpoints, Patience, within_a_look};
use super::options::{ClientOption, Options};
use super::redis::connection::{Connection, Login};
use super::redis::{self as direct, Redis, info_line, operation};
use super::{Answer, Client, ClientKind, Database, Opened, Purpose, RunOptions, Takes};
use crate::action::{Action, Outcome};

/// The port on which a sentinel answers.
const PORT: u16 = 26379;

/// The name of the primary in Redis's own example configuration.
const SERVICE: &str = "mymaster";

/// The environment variable with the sentinels' password.
pub const PASSWORD: &str = "SENTINEL_AUTH";

/// How long a sentinel, or a process asked for its role, may take. The guidelines say a few hundred ms.
const ASK_LIMIT: Duration = Duration::from_millis(500);

/// The client.
pub const KIND: ClientKind = ClientKind {
    name: "redis-sentinel",
    about: "The primary that each node's own Sentinel names",
    takes: Takes::Options(&[
        ClientOption::with("master", "NAME"),
        ClientOption::with("port", "N"),
        ClientOption::with("redis-port", "N"),
    ]),
    supports: operation::SUPPORTED,
    database,
};

fn database(option: Option<&str>, options: &RunOptions) -> Result<Arc<dyn Database>> {
    let given = Options::read(&KIND, option)?;
    let redis = Redis::new(given.port("redis-port", direct::PORT)?, options.ready);
    let service = service(given.value("master").unwrap_or(SERVICE))?;
    Ok(Arc::new(Sentinel::new(service, given.port("port", PORT)?, redis)))
}

/// The nodes' sentinels and the Redis processes they watch.
#[derive(Debug)]
pub struct Sentinel {
    inquiry: Arc<Inquiry>,
    redis: Redis,
}

/// Which sentinels a client asks, about what, and as which user.
#[derive(Debug)]
struct Inquiry {
    endpoints: Endpoints,
    login: Login,
    redis_login: Login,
    service: String,
}

/// What one sentinel believes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Belief {
    primary: String,
    port: u16,
    /// Why it is not ready to watch over this many nodes, if it is not.
    lacks: Option<String>,
}

impl Sentinel {
    /// Sentinels on `port` of every node, watching the primary they call `service`; `redis` are the
    /// processes for which final reads ask.
    pub fn new(service: &str, port: u16, redis: Redis) -> Sentinel {
        let inquiry = Inquiry {
            endpoints: Endpoints::new(port),
            login: Login::from_environment(PASSWORD),
            redis_login: redis.login().clone(),
            service: service.to_string(),
        };
        Sentinel { inquiry: Arc::new(inquiry), redis }
    }

    /// One look at everything: all sentinels agree on the primary, and all replicas follow it.
    async fn agreed(&self, nodes: &[Node]) -> std::result::Result<(), String> {
        let mut agreed: Option<(&Node, Belief)> = None;
        for node in nodes {
            let at = |said: String| format!("{}: {said}", node.name);
            let belief = within_a_look(self.inquiry.belief(node, nodes.len())).await.map_err(at)?;
            if let Some(lack) = belief.lacks {
                return Err(at(lack));
            }
            match &agreed {
                Some((other, first)) if *first != belief => {
                    return Err(at(format!(
                        "its sentinel takes {} for the primary, that of {} takes {}",
                        belief.primary, other.name, first.primary
                    )));
                }
                Some(_) => {}
                None => agreed = Some((node, belief)),
            }
        }
        for node in nodes {
            let look = self.follows(node, nodes.len());
            within_a_look(look).await.map_err(|said| format!("{}: {said}", node.name))?;
        }
        Ok(())
    }

    /// Whether the Redis of `node` is a primary with all its replicas, or a replica in step with one.
    async fn follows(&self, node: &Node, nodes: usize) -> std::result::Result<(), String> {
        let mut connection = self.redis.connect(node).await?;
        let info = connection
            .ask::<String>(cmd("INFO").arg("replication"))
            .await
            .map_err(ClientError::message)?;
        let line = |name| info_line(&info, name).unwrap_or_default();
        match line("role") {
            "master" => {
                let online = info.lines().filter(|line| line.contains("state=online")).count();
                if online + 1 < nodes {
                    return Err(format!("{online} of {} replicas are online", nodes - 1));
                }
            }
            _ if line("master_link_status") != "up" => {
                return Err(format!("its link to {} is down", line("master_host")));
            }
            _ => {}
        }
        Ok(())
    }
}

impl Inquiry {
    async fn connect(&self, node: &Node) -> std::result::Result<Connection, String> {
        let address = self.endpoints.of(node).await.map_err(|error| error.to_string())?;
        Connection::open(address, &self.login).await
    }

    /// What the sentinel of `node` believes of the service, seen as one of `nodes`.
    async fn belief(&self, node: &Node, nodes: usize) -> std::result::Result<Belief, String> {
        let mut connection = self.connect(node).await?;
        let mut command = cmd("SENTINEL");
        command.arg("MASTER").arg(&self.service);
        let reply = connection
            .ask::<HashMap<String, String>>(&command)
            .await
            .map_err(|error| format!("its sentinel says {}", error.message()))?;
        believed(&reply, nodes)
    }

    /// Where the sentinel behind `connection` says that the primary is, as reached from here.
    async fn primary(
        &self,
        connection: &mut Connection,
    ) -> std::result::Result<SocketAddr, String> {
        let mut command = cmd("SENTINEL");
        command.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.service);
        let reply = in_time(connection.ask::<Option<(String, u16)>>(&command))
            .await
            .map_err(|said| format!("the sentinel: {said}"))?;
        let (host, port) =
            reply.ok_or_else(|| format!("the sentinel knows no primary {}", self.service))?;
        let address = self.endpoints.as_seen_here(&host).ok_or_else(|| {
            format!("the sentinel calls the primary {host}, which is neither an address nor a node of this run")
        })?;
        Ok(SocketAddr::new(address, port))
    }

    /// A connection to `address`, which has to say itself that it is a primary.
    async fn confirmed(&self, address: SocketAddr) -> std::result::Result<Connection, String> {
        let mut connection = Connection::open(address, &self.redis_login).await?;
        let reply = in_time(connection.ask::<Vec<redis::Value>>(&cmd("ROLE")))
            .await
            .map_err(|said| format!("{address}, asked for its role: {said}"))?;
        match reply.first().map(redis::from_redis_value_ref::<String>) {
            Some(Ok(role)) if role == "master" => Ok(connection),
            Some(Ok(role)) => Err(format!(
                "the sentinel names {address} as the primary, which says it is a {role}"
            )),
            _ => Err(format!("{address} does not tell its role")),
        }
    }
}

fn believed(reply: &HashMap<String, String>, nodes: usize) -> std::result::Result<Belief, String> {
    let text = |name: &str| reply.get(name).map(String::as_str).unwrap_or_default();
    let count = |name: &str| text(name).parse::<usize>().unwrap_or(0);
    let others = nodes.saturating_sub(1);
    let port = text("port").parse().map_err(|_| "its sentinel names no port".to_string())?;
    let lacks = if text("flags") != "master" {
        Some(format!("its sentinel sees the primary as {}", text("flags")))
    } else if count("num-slaves") < others {
        Some(format!("its sentinel knows {} of {others} replicas", count("num-slaves")))
    } else if count("num-other-sentinels") < others {
        Some(format!(
            "its sentinel knows {} of {others} other sentinels",
            count("num-other-sentinels")
        ))
    } else {
        None
    };
    Ok(Belief { primary: text("ip").to_string(), port, lacks })
}

/// An answer within [`ASK_LIMIT`], or a clause.
async fn in_time<T>(
    asked: impl Future<Output = std::result::Result<T, ClientError>>,
) -> std::result::Result<T, String> {
    match tokio::time::timeout(ASK_LIMIT, asked).await {
        Ok(reply) => reply.map_err(ClientError::message),
        Err(_) => Err(format!("no answer within {}", breakit::clock::show(ASK_LIMIT))),
    }
}

impl Database for Sentinel {
    fn set_up<'a>(&'a self, nodes: &'a [Node], prefix: &'a str) -> Answer<'a, Result<()>> {
        Box::pin(async move {
            let patience = Patience::new(self.redis.ready());
            while let Err(said) = self.agreed(nodes).await {
                patience.after(&said).await?;
            }
            self.redis.prove_empty(nodes, prefix).await
        })
    }

    fn open<'a>(&'a self, node: &'a Node, prefix: &'a str, purpose: Purpose) -> Opened<'a> {
        if purpose == Purpose::FinalRead {
            return self.redis.open(node, prefix, purpose);
        }
        Box::pin(async move {
            let mut client = Application {
                inquiry: Arc::clone(&self.inquiry),
                node: node.clone(),
                prefix: prefix.to_string(),
                sentinel: None,
                primary: None,
            };
            client.find_primary().await?;
            let client: Box<dyn Client> = Box::new(client);
            Ok(client)
        })
    }
}

/// An application beside one node.
struct Application {
    inquiry: Arc<Inquiry>,
    node: Node,
    prefix: String,
    sentinel: Option<Connection>,
    primary: Option<(SocketAddr, Connection)>,
}

impl Application {
    /// Asks the sentinel, and holds a connection to the primary that it names.
    async fn find_primary(&mut self) -> std::result::Result<&mut Connection, String> {
        let mut sentinel = match self.sentinel.take().filter(Connection::is_open) {
            Some(open) => open,
            None => self.inquiry.connect(&self.node).await?,
        };
        let address = self.inquiry.primary(&mut sentinel).await?;
        self.sentinel = Some(sentinel);
        let held = self.primary.take().filter(|(at, held)| *at == address && held.is_open());
        let primary = match held {
            Some((_, held)) => held,
            None => self.inquiry.confirmed(address).await?,
        };
        Ok(&mut self.primary.insert((address, primary)).1)
    }

    async fn perform(&mut self, action: &Action) -> std::result::Result<Outcome, ClientError> {
        let prefix = self.prefix.clone();
        let primary = self.find_primary().await.map_err(ClientError::NotDone)?;
        let result = operation::perform(primary, &prefix, action).await;
        if result.is_err() {
            // A primary that refuses may no longer be one: connect again, and ask for its role.
            self.primary = None;
        }
        result
    }
}

impl Client for Application {
    fn invoke<'a>(&'a mut self, action: &'a Action) -> Answer<'a, Outcome> {
        Box::pin(async move { outcome(self.perform(action).await) })
    }
}

/// Checks the name by which sentinels know a primary.
///
/// # Errors
/// 64 if it is none: Sentinel itself takes letters, digits, '.', '-' and '_'.
fn service(name: &str) -> Result<&str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    if name.is_empty() || !name.chars().all(fits) {
        return Err(Error::usage(format!(
            "{name:?} is no name of a primary; take the one after \"sentinel monitor\" in sentinel.conf"
        )));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(flags: &str, replicas: &str, sentinels: &str) -> HashMap<String, String> {
        [
            ("ip", "10.0.0.1"),
            ("port", "6379"),
            ("flags", flags),
            ("num-slaves", replicas),
            ("num-other-sentinels", sentinels),
        ]
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .into()
    }

    #[test]
    fn a_sentinel_is_ready_once_it_knows_every_replica_and_every_other_sentinel() {
        let lacks = |reply| believed(&reply, 5).unwrap().lacks;
        assert_eq!(lacks(reply("master", "4", "4")), None);
        assert_eq!(lacks(reply("master", "3", "4")).unwrap(), "its sentinel knows 3 of 4 replicas");
        assert_eq!(
            lacks(reply("master", "4", "0")).unwrap(),
            "its sentinel knows 0 of 4 other sentinels"
        );
        assert_eq!(
            lacks(reply("s_down,master", "4", "4")).unwrap(),
            "its sentinel sees the primary as s_down,master"
        );
    }

    #[test]
    fn what_is_no_name_of_a_primary_is_wrong_usage() {
        assert_eq!(service("mymaster").unwrap(), "mymaster");
        for bad in ["", "my master", "a;b"] {
            assert_eq!(service(bad).unwrap_err().status(), breakit::exit::Status::Usage);
        }
    }
}
