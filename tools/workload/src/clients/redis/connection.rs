//! One connection to one Redis process, and what each of its errors proves.
//!
//! The `redis` crate packs and reads RESP; the socket is ours. `MultiplexedConnection` neither reconnects nor
//! sends anything twice (that is `ConnectionManager`, which is not even compiled in), and its own time limit
//! of 500 ms on answers is taken away: the operation's `--timeout` is the only one.
//!
//! # What an error proves
//!
//! Redis executes one command at a time, and checks all that could refuse it before it starts
//! (`processCommand` in server.c). A refusal therefore proves that nothing happened:
//!
//! | answer | outcome | why |
//! |---|---|---|
//! | connection refused, connect timed out, connection seen closed before | fail | never sent |
//! | `READONLY`, `NOREPLICAS`, `MASTERDOWN`, `LOADING`, `MISCONF`, `OOM`, `BUSY` | fail | refused before it was executed |
//! | `MOVED`, `ASK`, `TRYAGAIN`, `CLUSTERDOWN`, `CROSSSLOT` | fail | refused by a cluster before it was executed |
//! | `NOAUTH`, `WRONGPASS`, `NOPERM` | fail | refused before it was executed |
//! | `WRONGTYPE` | fail | the command looks at the key's type first and changes nothing |
//! | `ERR` unknown command, wrong number of arguments, max number of clients, unknown script error of a refusal | fail | refused before it was executed |
//! | any other `ERR`, any other code | info | a proxy says `ERR` for an answer that it lost |
//! | connection broken, or no answer in time, after the request left | info | it may still be on its way |
//! | an answer of another shape than the command has | info | it is not known what answered |
//!
//! Two of these need care:
//!
//! - `NOREPLICAS` is a promise about the past: `min-replicas-to-write` counts the replicas that were heard of
//!   within `min-replicas-max-lag`. Refused is refused, but an *accepted* write may still have no replica.
//!   Before Redis 7 a script escapes the check altogether (redis/redis#9993): the write happens and answers ok.
//! - `READONLY`, `OOM` and their like may come out of the middle of a script. Ours (see `operation`) writes
//!   once, as its last step, so the refusal still means that nothing was written. Redis 6 wraps it as
//!   `ERR Error running script ... -READONLY`.
//!
//! An `ok` means what Redis means by it: executed in the memory of a process that believed to be the primary.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, FromRedisValue, RedisConnectionInfo, RedisError};
use tokio::task::JoinHandle;

use crate::clients::client_error::ClientError;
use crate::clients::endpoint;

/// How long a fresh connection may take to be let in (the password's check).
const GREETING_LIMIT: Duration = Duration::from_secs(1);

/// A password, which `Debug` does not show.
#[derive(Clone, Default)]
pub struct Login(Option<Arc<str>>);

impl Login {
    /// The password in the environment variable `name`; none if it is unset or empty.
    pub fn from_environment(name: &str) -> Login {
        let password = std::env::var(name).ok().filter(|password| !password.is_empty());
        Login(password.map(Arc::from))
    }

    fn settings(&self) -> RedisConnectionInfo {
        let settings = RedisConnectionInfo::default().set_skip_set_lib_name();
        match &self.0 {
            Some(password) => settings.set_password(password),
            None => settings,
        }
    }
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Login(hidden)" } else { "Login(none)" })
    }
}

/// A connection, which lives as long as this value and no longer.
pub struct Connection {
    requests: MultiplexedConnection,
    /// The task that reads and writes the socket; it ends with the connection.
    driver: JoinHandle<()>,
}

impl Connection {
    /// Connects and logs in, once.
    ///
    /// # Errors
    /// A clause with the address. No command was sent.
    pub async fn open(address: SocketAddr, login: &Login) -> Result<Connection, String> {
        let stream = endpoint::connect(address).await?;
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let settings = login.settings();
        let greeting = MultiplexedConnection::new_with_config(&settings, stream, config);
        let (requests, driver) = match tokio::time::timeout(GREETING_LIMIT, greeting).await {
            Ok(Ok(made)) => made,
            Ok(Err(error)) => return Err(format!("{address} let nobody in: {}", words(&error))),
            Err(_) => return Err(format!("{address} is silent")),
        };
        Ok(Connection { requests, driver: tokio::spawn(driver) })
    }

    /// Whether the other side was still there when last seen.
    pub fn is_open(&self) -> bool {
        !self.driver.is_finished()
    }

    /// Sends `command` and waits for its answer without a limit: the caller drops the future when the
    /// time is over.
    ///
    /// # Errors
    /// By what is proved, see the module's table.
    pub async fn ask<T: FromRedisValue>(&mut self, command: &Cmd) -> Result<T, ClientError> {
        if !self.is_open() {
            return Err(ClientError::NotDone("the connection was closed before".into()));
        }
        command.query_async(&mut self.requests).await.map_err(|error| client_error(&error))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Whatever it has not sent by now is not to be sent any more.
        self.driver.abort();
    }
}

fn client_error(error: &RedisError) -> ClientError {
    let said = words(error);
    match error.code() {
        Some(code) if refused(code, error.detail().unwrap_or_default()) => {
            ClientError::NotDone(said)
        }
        _ => ClientError::Unknown(said),
    }
}

/// Whether this answer proves that the command was not executed.
fn refused(code: &str, detail: &str) -> bool {
    match code {
        "READONLY" | "NOREPLICAS" | "MASTERDOWN" | "LOADING" | "MISCONF" | "OOM" | "BUSY" => true,
        "MOVED" | "ASK" | "TRYAGAIN" | "CLUSTERDOWN" | "CROSSSLOT" => true,
        "NOAUTH" | "WRONGPASS" | "NOPERM" | "WRONGTYPE" => true,
        "ERR" => refused_in_words(detail),
        _ => false,
    }
}

/// The refusals for which Redis has no code of their own.
fn refused_in_words(detail: &str) -> bool {
    let detail = detail.to_ascii_lowercase();
    let by_redis_6_script = detail.starts_with("error running script")
        && ["-readonly", "-oom", "-noreplicas", "-misconf"]
            .iter()
            .any(|code| detail.contains(code));
    by_redis_6_script
        || ["unknown command", "wrong number of arguments", "max number of clients reached"]
            .iter()
            .any(|refusal| detail.starts_with(refusal))
}

/// The server's own words if it answered, else the system's.
fn words(error: &RedisError) -> String {
    match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        (Some(code), None) => code.to_string(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// What comes of a command to a server that reads it and answers `answer`, or closes where there is none.
    async fn answered(answer: Option<&'static str>) -> Result<i64, ClientError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0_u8; 1024];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            if let Some(answer) = answer {
                stream.write_all(answer.as_bytes()).await.unwrap();
                // Stays until the client has gone.
                while stream.read(&mut request).await.is_ok_and(|read| read > 0) {}
            }
        });
        let mut connection = Connection::open(address, &Login::default()).await.unwrap();
        let outcome = connection.ask(redis::cmd("SADD").arg("k").arg(1)).await;
        drop(connection);
        server.await.unwrap();
        outcome
    }

    #[tokio::test]
    async fn a_refusal_proves_that_nothing_happened() {
        for refusal in [
            "-READONLY You can't write against a read only replica.\r\n",
            "-NOREPLICAS Not enough good replicas to write.\r\n",
            "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.\r\n",
            "-LOADING Redis is loading the dataset in memory\r\n",
            "-MISCONF Redis is configured to save RDB snapshots, but it's currently unable to\r\n",
            "-OOM command not allowed when used memory > 'maxmemory'.\r\n",
            "-BUSY Redis is busy running a script.\r\n",
            "-MOVED 3999 127.0.0.1:6381\r\n",
            "-ASK 3999 127.0.0.1:6381\r\n",
            "-CLUSTERDOWN The cluster is down\r\n",
            "-NOAUTH Authentication required.\r\n",
            "-NOPERM this user has no permissions to run the 'sadd' command\r\n",
            "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
            "-ERR unknown command 'SADD'\r\n",
            "-ERR wrong number of arguments for 'sadd' command\r\n",
            "-ERR max number of clients reached\r\n",
            "-ERR Error running script (call to f_1): @user_script:1: -READONLY You can't write\r\n",
        ] {
            let said = answered(Some(refusal)).await.unwrap_err();
            let ClientError::NotDone(words) = said else { panic!("{refusal} gave {said:?}") };
            let code = refusal[1..].split([' ', '\r']).next().unwrap();
            assert!(words.starts_with(code), "{words}");
        }
    }

    #[tokio::test]
    async fn whatever_is_no_known_refusal_proves_nothing() {
        for answer in [
            Some("-ERR upstream failure\r\n"),
            Some("-ERR Error running script (call to f_1): timeout\r\n"),
            Some("-UNBLOCKED force unblock from blocking operation\r\n"),
            Some("-WHATEVER\r\n"),
            Some("$3\r\nabc\r\n"),
            Some("this is no RESP\r\n"),
            None,
        ] {
            let said = answered(answer).await.unwrap_err();
            assert!(matches!(said, ClientError::Unknown(_)), "{answer:?} gave {said:?}");
        }
    }

    #[tokio::test]
    async fn an_answer_is_an_answer() {
        assert_eq!(answered(Some(":1\r\n")).await, Ok(1));
    }

    #[tokio::test]
    async fn a_command_on_a_connection_seen_closed_was_never_sent() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut connection = Connection::open(address, &Login::default()).await.unwrap();
        drop(listener.accept().await.unwrap());
        while connection.is_open() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let said = connection.ask::<i64>(redis::cmd("SADD").arg("k").arg(1)).await.unwrap_err();
        assert!(matches!(said, ClientError::NotDone(_)), "{said:?}");
    }

    #[test]
    fn a_password_is_never_shown() {
        let login = Login(Some("s3cret".into()));
        assert!(!format!("{login:?}").contains("s3cret"));
    }
}
