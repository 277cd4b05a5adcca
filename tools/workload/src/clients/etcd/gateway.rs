//! etcd's JSON gateway (`/v3/...`) over one plain HTTP/1.1 connection, and what each of its errors proves.
//!
//! `hyper` sends each request once; a checker must not have the retries and pools of bigger HTTP clients. A request
//! that hyper hands back was never sent.
//!
//! # What an error proves
//!
//! Read from etcd 3.4's `etcdserver/v3_server.go`: `processInternalRaftRequestOnce` refuses a request before
//! it is proposed, or proposes it and waits.
//!
//! | answer | outcome | why |
//! |---|---|---|
//! | connection refused, connect timed out, request handed back | fail | never sent |
//! | `etcdserver: too many requests`, `request is too large` | fail | refused before the proposal |
//! | `etcdserver: no leader` | fail | the gRPC interceptor's, before the request is looked at; a request that waits for a leader in vain times out in other words (`parseProposeCtxErr`) |
//! | `raft proposal dropped` | fail | this member's raft refused to take the proposal: it knew no leader, or was handing the lead over; it was never in a log (etcd-io/etcd#9067) |
//! | `permission denied`, `user name is empty`, `invalid auth token`, `authentication failed`, `revision of auth store is old` | fail | refused before the proposal, or applied without effect |
//! | `etcdserver: key is not provided`, `duplicate key`, `too many operations` | fail | refused by the request's form |
//! | `etcdserver: mvcc: database space exceeded` | info | the quota is looked at before the proposal, and again when it is applied: `quotaApplierV3` carries a put or transaction out first and answers this afterwards, so that what is refused in these words may be stored (`etcdserver/apply.go`) |
//! | `etcdserver: request timed out` with whatever comes after it | info | it was proposed, and may be committed yet |
//! | `etcdserver: leader changed` | info | for a read it proves that nothing was answered; a proxy gives it for writes too |
//! | `etcdserver: server stopped`, `raft: stopped`, `context canceled`, `context deadline exceeded` | info | it may have been proposed before |
//! | any other words | info | it is not known what they prove |
//! | connection broken, or no answer in time, after the request left | info | it may be committed yet |

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::clients::client_error::ClientError;
use crate::clients::endpoint;

/// CommandLine that begin an error which proves that the request was not carried out.
const REFUSALS: [&str; 11] = [
    "etcdserver: too many requests",
    "etcdserver: request is too large",
    "etcdserver: no leader",
    "raft proposal dropped",
    "etcdserver: permission denied",
    "etcdserver: user name is empty",
    "etcdserver: invalid auth token",
    "etcdserver: authentication failed",
    "etcdserver: revision of auth store is old",
    "etcdserver: key is not provided",
    "etcdserver: too many operations in txn request",
];

/// A user of etcd, whose password `Debug` does not show.
#[derive(Clone)]
pub struct Login {
    name: String,
    password: String,
}

impl Login {
    /// The user that etcdctl's own variables name: `$ETCDCTL_USER` as `name` or `name:password`, and
    /// `$ETCDCTL_PASSWORD`; none if the first is unset or empty.
    pub fn from_environment() -> Option<Login> {
        let set = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        Some(Login::of(&set("ETCDCTL_USER")?, set("ETCDCTL_PASSWORD")))
    }

    fn of(user: &str, password: Option<String>) -> Login {
        match (user.split_once(':'), password) {
            (Some((name, password)), None) => {
                Login { name: name.to_string(), password: password.to_string() }
            }
            (_, password) => {
                Login { name: user.to_string(), password: password.unwrap_or_default() }
            }
        }
    }
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Login({}, hidden)", self.name)
    }
}

/// A connection to one member, which lives as long as this value and no longer.
pub struct Gateway {
    address: SocketAddr,
    requests: SendRequest<Full<Bytes>>,
    /// The task that reads and writes the socket; it ends with the connection.
    driver: JoinHandle<()>,
    token: Option<String>,
}

impl Gateway {
    /// Connects once, and logs in if there is a user.
    ///
    /// # Errors
    /// A clause with the address; no operation was sent.
    pub async fn open(address: SocketAddr, login: Option<&Login>) -> Result<Gateway, String> {
        let stream = endpoint::connect(address).await?;
        let (requests, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| format!("{address} speaks no HTTP: {error}"))?;
        let driver = tokio::spawn(async move {
            // The request that waits for an answer, or the next one, sees its end.
            let _ = connection.await;
        });
        let mut gateway = Gateway { address, requests, driver, token: None };
        if let Some(login) = login {
            gateway.log_in(login).await?;
        }
        Ok(gateway)
    }

    async fn log_in(&mut self, login: &Login) -> Result<(), String> {
        let request = json!({ "name": login.name, "password": login.password });
        let answer = self
            .post("/v3/auth/authenticate", &request)
            .await
            .map_err(|error| format!("{} let nobody in: {}", self.address, error.message()))?;
        let token = answer["token"].as_str();
        self.token = Some(token.ok_or("the login's answer has no token")?.to_string());
        Ok(())
    }

    /// Whether the other side was still there when last seen.
    pub fn is_open(&self) -> bool {
        !self.requests.is_closed()
    }

    /// Sends `request` to `path` and waits for its answer without a limit: the caller drops the future when the
    /// time is over.
    ///
    /// # Errors
    /// By what is proved, see the module's table.
    pub async fn post(&mut self, path: &str, request: &Value) -> Result<Value, ClientError> {
        let mut http = hyper::Request::post(path)
            .header(HOST, self.address.to_string())
            .header(CONTENT_TYPE, "application/json");
        if let Some(token) = &self.token {
            http = http.header(AUTHORIZATION, token);
        }
        let http = http
            .body(Full::new(Bytes::from(request.to_string())))
            .map_err(|error| ClientError::NotDone(format!("no request was made: {error}")))?;
        let sent = match self.requests.ready().await {
            Ok(()) => self.requests.try_send_request(http).await,
            Err(error) => return Err(ClientError::NotDone(format!("never sent: {error}"))),
        };
        let answer = match sent {
            Ok(answer) => answer,
            Err(error) if error.message().is_some() => {
                return Err(ClientError::NotDone(format!("never sent: {}", error.error())));
            }
            Err(error) => return Err(ClientError::Unknown(error.error().to_string())),
        };
        let good = answer.status().is_success();
        let body = answer
            .into_body()
            .collect()
            .await
            .map_err(|error| ClientError::Unknown(format!("the answer broke off: {error}")))?;
        let said: Value = serde_json::from_slice(&body.to_bytes())
            .map_err(|_| ClientError::Unknown("the answer is no JSON".into()))?;
        if good { Ok(said) } else { Err(client_error(&said)) }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // Whatever it has not sent by now is not to be sent any more.
        self.driver.abort();
    }
}

fn client_error(said: &Value) -> ClientError {
    // 3.4 says it in both, later versions in "message" alone.
    let words = said["message"].as_str().or_else(|| said["error"].as_str()).unwrap_or_default();
    // The gateway may put the gRPC status before it: "rpc error: code = Unavailable desc = etcdserver: ...".
    let bare = words.rsplit_once("desc = ").map_or(words, |(_, bare)| bare);
    if REFUSALS.iter().any(|refusal| bare.starts_with(refusal)) {
        ClientError::NotDone(bare.to_string())
    } else {
        ClientError::Unknown(if bare.is_empty() { said.to_string() } else { bare.to_string() })
    }
}

/// `text` as the gateway wants bytes.
pub fn encoded(text: &str) -> String {
    BASE64.encode(text)
}

/// The text that the gateway gave as bytes; `None` for what is no text of ours.
pub fn decoded(bytes: &Value) -> Option<String> {
    // An empty value is left out of the answer altogether.
    let bytes = BASE64.decode(bytes.as_str().unwrap_or_default()).ok()?;
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    fn error(words: &str) -> ClientError {
        client_error(&json!({ "error": words, "message": words, "code": 14 }))
    }

    #[test]
    fn a_refusal_before_the_proposal_proves_that_nothing_happened() {
        for words in REFUSALS {
            assert_eq!(error(words), ClientError::NotDone(words.into()));
            let wrapped = format!("rpc error: code = Unavailable desc = {words}");
            assert_eq!(error(&wrapped), ClientError::NotDone(words.into()));
        }
    }

    #[test]
    fn what_may_have_been_proposed_proves_nothing() {
        for words in [
            "etcdserver: request timed out",
            "etcdserver: request timed out, possibly due to previous leader failure",
            "etcdserver: request timed out, possibly due to connection lost",
            "etcdserver: leader changed",
            // Said after the write was applied, too.
            "etcdserver: mvcc: database space exceeded",
            "etcdserver: server stopped",
            "raft: stopped",
            "context canceled",
            "something new",
        ] {
            assert_eq!(error(words), ClientError::Unknown(words.into()));
        }
        assert_eq!(client_error(&json!({})), ClientError::Unknown("{}".into()));
    }

    /// What comes of a request to a server that reads it and answers `answer`.
    async fn answered(answer: &'static str) -> Result<Value, ClientError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0_u8; 4096];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        let mut gateway = Gateway::open(address, None).await.unwrap();
        let outcome = gateway.post("/v3/kv/put", &json!({})).await;
        server.await.unwrap();
        outcome
    }

    #[tokio::test]
    async fn an_answer_that_never_came_or_broke_off_proves_nothing() {
        for answer in [
            "",
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"hea",
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
            "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 2\r\n\r\n{}",
            "this is no HTTP\r\n\r\n",
        ] {
            let said = answered(answer).await.unwrap_err();
            assert!(matches!(said, ClientError::Unknown(_)), "{answer:?} gave {said:?}");
        }
    }

    #[tokio::test]
    async fn an_answer_is_an_answer() {
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{\"count\":1}";
        assert_eq!(answered(answer).await, Ok(json!({ "count": 1 })));
    }

    #[tokio::test]
    async fn a_request_on_a_closed_connection_was_never_sent() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut gateway = Gateway::open(address, None).await.unwrap();
        drop(listener.accept().await.unwrap());
        while gateway.is_open() {
            tokio::task::yield_now().await;
        }
        let said = gateway.post("/v3/kv/put", &json!({})).await.unwrap_err();
        assert!(matches!(said, ClientError::NotDone(_)), "{said:?}");
    }

    #[test]
    fn a_user_is_read_as_etcdctl_reads_it_and_the_password_is_never_shown() {
        let both = Login::of("root:s3cret", None);
        assert_eq!((both.name.as_str(), both.password.as_str()), ("root", "s3cret"));
        let apart = Login::of("root", Some("s3:cret".into()));
        assert_eq!((apart.name.as_str(), apart.password.as_str()), ("root", "s3:cret"));
        assert!(!format!("{apart:?}").contains("cret"));
    }
}
