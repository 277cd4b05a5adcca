//! `etcd`: every node's own member, over etcd's JSON gateway.
//!
//! | workload | operation | request | answer |
//! |---|---|---|---|
//! | `set` | `add` | put `prefix/value` | ok |
//! | `set` | `read` | range over `prefix/` | ok with the elements in their order |
//! | `register`, `cas-register` | `write` | put `prefix/key` | ok |
//! | | `read` | range `prefix/key` | ok with the value, null if there is none |
//! | `cas-register` | `cas` | txn: compare the value (or that there is no key), put | succeeded: ok, else fail |
//!
//! Reads are linearizable, as etcd's own default is: the member asks the leader how far the log has come
//! before it answers. With `etcd:serializable` it answers at once from what it has, which may be long
//! outdated: that is what the option is for.
//!
//! The JSON gateway, and not gRPC: the gRPC crates compile etcd's protocol with `protoc`, which a machine
//! with a Rust toolchain does not have.
//!
//! The user is taken from `$ETCDCTL_USER` and `$ETCDCTL_PASSWORD`, as etcdctl does.

pub mod gateway;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use breakit::exit::{Error, Result};
use breakit::node::Node;
use serde_json::{Map, Value, json};

use self::gateway::{Gateway, Login, decoded, encoded};
use super::client_error::{ClientError, outcome};
use super::encoding::{list, text, value};
use super::endpoint::{Endpoints, Patience, within_a_look};
use super::options::{ClientOption, Options};
use super::{Answer, Client, ClientKind, Database, Opened, Purpose, RunOptions, Takes};
use crate::action::{Action, Capability, Outcome, RegisterAction, SetAction};

/// The port on which etcd answers clients.
const PORT: u16 = 2379;

/// The client.
pub const KIND: ClientKind = ClientKind {
    name: "etcd",
    about: "The etcd of each node, with linearizable or serializable reads",
    takes: Takes::Options(&[ClientOption::word("serializable"), ClientOption::with("port", "N")]),
    supports: &[Capability::Registers, Capability::CompareAndSet, Capability::Sets],
    database,
};

fn database(option: Option<&str>, options: &RunOptions) -> Result<Arc<dyn Database>> {
    let given = Options::read(&KIND, option)?;
    Ok(Arc::new(Etcd {
        endpoints: Endpoints::new(given.port("port", PORT)?),
        access: Access {
            login: Login::from_environment(),
            serializable: given.has("serializable"),
        },
        ready: options.ready,
    }))
}

/// The members on the nodes.
#[derive(Debug)]
pub struct Etcd {
    endpoints: Endpoints,
    access: Access,
    ready: Duration,
}

/// As which user, and how, a client asks.
#[derive(Clone, Debug)]
struct Access {
    login: Option<Login>,
    serializable: bool,
}

impl Etcd {
    async fn connect(&self, node: &Node) -> std::result::Result<Gateway, String> {
        let address = self.endpoints.of(node).await.map_err(|error| error.to_string())?;
        Gateway::open(address, self.access.login.as_ref()).await
    }

    /// How many keys there are under `prefix`, by a linearizable read through `node`: it proves at once that
    /// the member is up, is in touch with a leader, and holds nothing of ours.
    async fn count(&self, node: &Node, prefix: &str) -> std::result::Result<u64, String> {
        let look = async {
            let mut request = under(prefix);
            request.insert("count_only".into(), true.into());
            let mut gateway = self.connect(node).await?;
            let answer = gateway
                .post("/v3/kv/range", &request.into())
                .await
                .map_err(ClientError::message)?;
            counted(&answer)
        };
        within_a_look(look).await.map_err(|said| format!("{}: {said}", node.name))
    }
}

/// The gateway leaves out a count of 0, and writes any other as a string.
fn counted(answer: &Value) -> std::result::Result<u64, String> {
    match &answer["count"] {
        Value::Null if answer["header"].is_object() => Ok(0),
        Value::String(count) => count.parse().map_err(|_| format!("its count is {count:?}")),
        _ => Err(format!("it gave no count: {answer}")),
    }
}

/// The request for all keys under `prefix`: up to where `/` becomes the byte after it.
fn under(prefix: &str) -> Map<String, Value> {
    Map::from_iter([
        ("key".into(), encoded(&format!("{prefix}/")).into()),
        ("range_end".into(), encoded(&format!("{prefix}0")).into()),
    ])
}

impl Database for Etcd {
    fn set_up<'a>(&'a self, nodes: &'a [Node], prefix: &'a str) -> Answer<'a, Result<()>> {
        Box::pin(async move {
            let patience = Patience::new(self.ready);
            for node in nodes {
                let count = loop {
                    match self.count(node, prefix).await {
                        Ok(count) => break count,
                        Err(said) => patience.after(&said).await?,
                    }
                };
                if count > 0 {
                    return Err(Error::system(format!(
                        "{} already holds {count} keys under {prefix}/; take another --prefix, what a run before left is not this run's finding",
                        node.name
                    )));
                }
            }
            Ok(())
        })
    }

    fn open<'a>(&'a self, node: &'a Node, prefix: &'a str, _purpose: Purpose) -> Opened<'a> {
        Box::pin(async move {
            let address = self.endpoints.of(node).await.map_err(|error| error.to_string())?;
            let gateway = Gateway::open(address, self.access.login.as_ref()).await?;
            let client: Box<dyn Client> = Box::new(Member {
                address,
                access: self.access.clone(),
                prefix: prefix.to_string(),
                gateway: Some(gateway),
            });
            Ok(client)
        })
    }
}

/// A client of one member.
struct Member {
    address: SocketAddr,
    access: Access,
    prefix: String,
    gateway: Option<Gateway>,
}

impl Member {
    async fn post(
        &mut self,
        path: &str,
        request: Value,
    ) -> std::result::Result<Value, ClientError> {
        let gateway = match self.gateway.take().filter(Gateway::is_open) {
            Some(open) => open,
            None => Gateway::open(self.address, self.access.login.as_ref())
                .await
                .map_err(ClientError::NotDone)?,
        };
        self.gateway.insert(gateway).post(path, &request).await
    }

    async fn perform(&mut self, action: &Action) -> std::result::Result<Outcome, ClientError> {
        match action {
            Action::Register(key, register) => {
                let place = format!("{}/{key}", self.prefix);
                self.on_register(&place, register, action).await
            }
            Action::Set(SetAction::Add(element)) => {
                let place = format!("{}/{element}", self.prefix);
                self.put(&place, element).await?;
                Ok(action.done())
            }
            Action::Set(SetAction::Read) => {
                let request = self.read(under(&self.prefix));
                let answer = self.post("/v3/kv/range", request).await?;
                elements(&self.prefix, &answer).map(Outcome::Ok)
            }
        }
    }

    async fn on_register(
        &mut self,
        place: &str,
        register: &RegisterAction,
        action: &Action,
    ) -> std::result::Result<Outcome, ClientError> {
        match register {
            RegisterAction::Read => {
                let key = Map::from_iter([("key".into(), encoded(place).into())]);
                let answer = self.post("/v3/kv/range", self.read(key)).await?;
                held(&answer).map(Outcome::Ok)
            }
            RegisterAction::Write(new) => {
                self.put(place, new).await?;
                Ok(action.done())
            }
            RegisterAction::CompareAndSet { expected, new } => {
                let txn = json!({
                    "compare": [holds(place, expected)],
                    "success": [{ "request_put": put(place, new) }],
                });
                let answer = self.post("/v3/kv/txn", txn).await?;
                acknowledged(&answer)?;
                // What did not succeed is left out of the answer.
                Ok(match answer["succeeded"].as_bool() {
                    Some(true) => action.done(),
                    _ => Outcome::Fail("precondition".into()),
                })
            }
        }
    }

    async fn put(&mut self, place: &str, value: &Value) -> std::result::Result<(), ClientError> {
        let answer = self.post("/v3/kv/put", put(place, value)).await?;
        acknowledged(&answer)
    }

    fn read(&self, mut request: Map<String, Value>) -> Value {
        if self.access.serializable {
            request.insert("serializable".into(), true.into());
        }
        request.into()
    }
}

fn put(place: &str, value: &Value) -> Value {
    json!({ "key": encoded(place), "value": encoded(&text(value)) })
}

/// The comparison that `place` holds `expected`; null is that there is no such key.
fn holds(place: &str, expected: &Value) -> Value {
    match expected {
        Value::Null => {
            json!({ "key": encoded(place), "result": "EQUAL", "target": "CREATE", "create_revision": "0" })
        }
        expected => {
            json!({ "key": encoded(place), "result": "EQUAL", "target": "VALUE", "value": encoded(&text(expected)) })
        }
    }
}

/// Whether it is etcd that answered: each of its answers has a header.
fn acknowledged(answer: &Value) -> std::result::Result<(), ClientError> {
    if answer["header"].is_object() {
        return Ok(());
    }
    Err(ClientError::Unknown(format!("an answer that is not etcd's: {answer}")))
}

/// The one value in a range's answer; null if there is none.
fn held(answer: &Value) -> std::result::Result<Value, ClientError> {
    acknowledged(answer)?;
    let Some(found) = answer["kvs"].as_array().and_then(|kvs| kvs.first()) else {
        return Ok(Value::Null);
    };
    let text = decoded(&found["value"]);
    text.map(|text| value(&text))
        .ok_or_else(|| ClientError::Unknown(format!("a value that is no text: {found}")))
}

/// The elements that are the keys of a range's answer, numbers in their order.
fn elements(prefix: &str, answer: &Value) -> std::result::Result<Value, ClientError> {
    acknowledged(answer)?;
    let mut elements = Vec::new();
    for found in answer["kvs"].as_array().into_iter().flatten() {
        let key = decoded(&found["key"]);
        let element = key.as_deref().and_then(|key| key.strip_prefix(prefix)?.strip_prefix('/'));
        let element = element
            .ok_or_else(|| ClientError::Unknown(format!("a key that is not ours: {found}")))?;
        elements.push(value(element));
    }
    Ok(list(elements))
}

impl Client for Member {
    fn invoke<'a>(&'a mut self, action: &'a Action) -> Answer<'a, Outcome> {
        Box::pin(async move { outcome(self.perform(action).await) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(pairs: &[(&str, &str)]) -> Value {
        let kvs: Vec<Value> = pairs
            .iter()
            .map(|(key, value)| json!({ "key": encoded(key), "value": encoded(value) }))
            .collect();
        json!({ "header": {}, "kvs": kvs })
    }

    #[test]
    fn a_register_holds_its_one_value_or_null() {
        assert_eq!(held(&range(&[("run/1", "42")])), Ok(json!(42)));
        assert_eq!(held(&json!({ "header": {} })), Ok(Value::Null));
        assert!(held(&json!({})).is_err());
    }

    #[test]
    fn a_sets_elements_are_its_keys_in_their_order() {
        let answer = range(&[("run/10", "10"), ("run/9", "9")]);
        assert_eq!(elements("run", &answer), Ok(json!([9, 10])));
        assert_eq!(elements("run", &json!({ "header": {} })), Ok(json!([])));
        assert!(elements("run", &range(&[("running/1", "1")])).is_err());
    }

    #[test]
    fn a_count_of_nought_is_left_out_by_the_gateway() {
        assert_eq!(counted(&json!({ "header": {} })), Ok(0));
        assert_eq!(counted(&json!({ "header": {}, "count": "7" })), Ok(7));
        assert!(counted(&json!({})).is_err());
    }

    #[test]
    fn an_absent_key_is_compared_by_its_revision() {
        assert_eq!(holds("run/1", &Value::Null)["target"], "CREATE");
        assert_eq!(holds("run/1", &json!(1))["value"], encoded("1"));
    }
}
