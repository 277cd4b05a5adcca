//! The workloads' operations as Redis commands.
//!
//! | workload | operation | command | answer |
//! |---|---|---|---|
//! | `set` | `add` | `SADD prefix value` | ok |
//! | `set` | `read` | `SMEMBERS prefix` | ok with the elements in their order |
//! | `register`, `cas-register` | `write` | `SET prefix/key value` | ok |
//! | | `read` | `GET prefix/key` | ok with the value, null if there is none |
//! | `cas-register` | `cas` | a script that compares and sets | 1: ok, 0: fail |
//!
//! Values are kept as [`crate::clients::encoding`] says. The script reads, compares,
//! and writes once at its end: refused in the middle, it has written nothing.

use redis::cmd;
use serde_json::Value;

use super::connection::Connection;
use crate::action::{Action, Capability, Outcome, RegisterAction, SetAction};
use crate::clients::client_error::ClientError;
use crate::clients::encoding::{list, text, value};

/// What Redis can hold and do of this.
pub const SUPPORTED: &[Capability] =
    &[Capability::Registers, Capability::CompareAndSet, Capability::Sets];

/// An absent key is JSON's null, as a read says it.
const COMPARE_AND_SET: &str = "\
if (redis.call('GET', KEYS[1]) or 'null') ~= ARGV[1] then return 0 end \
redis.call('SET', KEYS[1], ARGV[2]) \
return 1";

/// Carries out `action` on `connection`, below `prefix`.
///
/// # Errors
/// What the connection says; a compare that did not hold is no error but [`Outcome::Fail`].
pub async fn perform(
    connection: &mut Connection,
    prefix: &str,
    action: &Action,
) -> Result<Outcome, ClientError> {
    match action {
        Action::Register(key, register) => {
            on_register(connection, &place(prefix, *key), register, action).await
        }
        Action::Set(SetAction::Add(element)) => {
            connection.ask::<i64>(cmd("SADD").arg(prefix).arg(text(element))).await?;
            Ok(action.done())
        }
        Action::Set(SetAction::Read) => {
            let members = connection.ask::<Vec<String>>(cmd("SMEMBERS").arg(prefix)).await?;
            Ok(Outcome::Ok(list(members.iter().map(|member| value(member)).collect())))
        }
    }
}

async fn on_register(
    connection: &mut Connection,
    place: &str,
    register: &RegisterAction,
    action: &Action,
) -> Result<Outcome, ClientError> {
    match register {
        RegisterAction::Read => {
            let held = connection.ask::<Option<String>>(cmd("GET").arg(place)).await?;
            Ok(Outcome::Ok(held.as_deref().map_or(Value::Null, value)))
        }
        RegisterAction::Write(new) => {
            connection.ask::<String>(cmd("SET").arg(place).arg(text(new))).await?;
            Ok(action.done())
        }
        RegisterAction::CompareAndSet { expected, new } => {
            let mut command = cmd("EVAL");
            command.arg(COMPARE_AND_SET).arg(1).arg(place).arg(text(expected)).arg(text(new));
            match connection.ask::<i64>(&command).await? {
                1 => Ok(action.done()),
                0 => Ok(Outcome::Fail("precondition".into())),
                other => Err(ClientError::Unknown(format!("the script answered {other}"))),
            }
        }
    }
}

/// The name in Redis of the register `key` of a run.
fn place(prefix: &str, key: u64) -> String {
    format!("{prefix}/{key}")
}
