//! The workloads' operations as Redis commands.
//!
//! | workload | operation | command | answer |
//! |---|---|---|---|
//! | `set` | `add` | `SADD prefix value` | ok |
//! | `set` | `read` | `SMEMBERS prefix` | ok with the elements in their order |
//! | `register`, `cas-register` | `write` | `SET prefix/key value` | ok |
//! | | `read` | `GET prefix/key` | ok with the value, null where there is none |
//! | `cas-register` | `cas` | a script that compares and sets | 1: ok, 0: fail |
//!
//! Values are kept as [`crate::clients::encoding`] says. The script reads, compares,
//! and writes once at its end: refused in the middle, it has written nothing.

use redis::cmd;
use serde_json::Value;

use super::connection::Connection;
use crate::clients::client_error::ClientError;
use crate::clients::encoding::{list, text, value};
use crate::clients::{Outcome, Request};

/// An absent key is JSON's null, as a read says it.
const COMPARE_AND_SET: &str = "\
if (redis.call('GET', KEYS[1]) or 'null') ~= ARGV[1] then return 0 end \
redis.call('SET', KEYS[1], ARGV[2]) \
return 1";

/// Does `request` on `connection`, below `prefix`.
///
/// # Errors
/// What the connection says; a compare that did not hold is no error but [`Outcome::Fail`].
pub async fn perform(
    connection: &mut Connection,
    prefix: &str,
    request: &Request,
) -> Result<Outcome, ClientError> {
    let done = || Outcome::Ok(request.value.clone());
    match (request.f, &request.key) {
        ("add", _) => {
            connection.ask::<i64>(cmd("SADD").arg(prefix).arg(text(&request.value))).await?;
            Ok(done())
        }
        ("read", None) => {
            let members = connection.ask::<Vec<String>>(cmd("SMEMBERS").arg(prefix)).await?;
            Ok(Outcome::Ok(list(members.iter().map(|member| value(member)).collect())))
        }
        ("read", Some(key)) => {
            let held = connection.ask::<Option<String>>(cmd("GET").arg(place(prefix, key))).await?;
            Ok(Outcome::Ok(held.as_deref().map_or(Value::Null, value)))
        }
        ("write", Some(key)) => {
            let command = (place(prefix, key), text(&request.value));
            connection.ask::<String>(cmd("SET").arg(command)).await?;
            Ok(done())
        }
        ("cas", Some(key)) => compare_and_set(connection, &place(prefix, key), request).await,
        (f, key) => Err(ClientError::NotDone(format!(
            "redis knows no {f} {} a key; nothing was sent",
            if key.is_some() { "with" } else { "without" }
        ))),
    }
}

async fn compare_and_set(
    connection: &mut Connection,
    place: &str,
    request: &Request,
) -> Result<Outcome, ClientError> {
    let Some([expected, new]) = request.value.as_array().map(Vec::as_slice) else {
        return Err(ClientError::NotDone(format!(
            "{} is no [expected, new]; nothing was sent",
            request.value
        )));
    };
    let mut command = cmd("EVAL");
    command.arg(COMPARE_AND_SET).arg(1).arg(place).arg(text(expected)).arg(text(new));
    match connection.ask::<i64>(&command).await? {
        1 => Ok(Outcome::Ok(request.value.clone())),
        0 => Ok(Outcome::Fail("precondition".into())),
        other => Err(ClientError::Unknown(format!("the script answered {other}"))),
    }
}

/// The name in Redis of the object `key` of a run.
pub fn place(prefix: &str, key: &Value) -> String {
    format!("{prefix}/{}", text(key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_object_has_a_place_of_its_own() {
        assert_eq!(place("run", &json!(7)), "run/7");
        assert_ne!(place("run", &json!(7)), place("run", &json!("7")));
    }
}
