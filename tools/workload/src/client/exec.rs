//! `--client exec:CMD`: a client in any language.
//!
//! Each process of the load has a child of its own, which is given one JSON object a line on its stdin and
//! answers each with one on its stdout: `{"type":"ok","value":3}`, `{"type":"fail","error":"..."}`,
//! `{"type":"info","error":"..."}`. A child that dies in the middle, or answers what is no answer, leaves
//! its operation unknown. One that has said more than it was asked for is replaced before the next request:
//! what it said would pass for that one's answer, and shift all that follow.

use std::os::fd::AsFd;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use breakit::exit::{Error, Result};
use breakit::node::Node;
use breakit::op::json_clause;
use breakit::talk;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::time::{Instant, sleep, timeout};

use super::{Answer, Asked, Client, Database, Outcome, Purpose, Request};
use crate::child::{Group, Words};

/// How long a single answer is waited for while the database is being made ready.
const TRY: Duration = Duration::from_secs(5);

/// The database that `exec:CMD` reaches.
///
/// # Errors
/// 64 where there is no CMD, 69 where its program is missing.
pub fn database(option: Option<&str>, asked: &Asked) -> Result<Arc<dyn Database>> {
    let words = Words::of(option.unwrap_or_default(), "--client exec:", asked.record)?;
    Ok(Arc::new(Exec {
        words,
        ready: asked.ready,
        first_read: first_read(asked.workload),
        said: Arc::default(),
    }))
}

/// The read that proves the place empty.
fn first_read(workload: &str) -> Request {
    let key = (workload != "set").then(|| Value::from(1));
    Request { f: "read", key, value: Value::Null }
}

struct Exec {
    words: Words,
    ready: Duration,
    first_read: Request,
    said: Arc<Said>,
}

/// What was said of the clients of a run; each of them would say it again.
#[derive(Default)]
struct Said {
    garbage: AtomicBool,
    leftover: AtomicBool,
}

impl Said {
    fn once(said: &AtomicBool, sentence: impl FnOnce() -> String) {
        if !said.swap(true, Ordering::Relaxed) {
            talk::error(sentence());
        }
    }
}

impl Exec {
    fn start(&self, node: &Node, prefix: &str, purpose: Purpose) -> Result<Program> {
        let mut command = self.words.command(Signal::SIGKILL);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child =
            command.spawn().map_err(|e| Error::io(format!("run {:?}", self.words.text), &e))?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::system(format!("{:?} has no pipes", self.words.text)));
        };
        Ok(Program {
            group: Group::of(&child),
            child,
            stdin,
            stdout: BufReader::new(stdout),
            node: node.clone(),
            prefix: prefix.to_string(),
            purpose,
            said: Arc::clone(&self.said),
        })
    }

    /// One read by a child of its own: what stands in the way of a run, if anything does.
    async fn try_read(
        &self,
        node: &Node,
        prefix: &str,
        limit: Duration,
    ) -> std::result::Result<Value, String> {
        let mut program =
            self.start(node, prefix, Purpose::Load).map_err(|error| error.to_string())?;
        match timeout(limit, program.invoke(&self.first_read)).await {
            Ok(Outcome::Ok(value)) => Ok(value),
            Ok(Outcome::Fail(why) | Outcome::Info(why)) => Err(why),
            Err(_) => Err(format!("no answer within {}", breakit::clock::show(limit))),
        }
    }
}

impl Database for Exec {
    fn name(&self) -> &'static str {
        "exec"
    }

    fn carries(&self) -> &'static [&'static str] {
        &["register", "cas-register", "set"]
    }

    fn set_up<'a>(&'a self, nodes: &'a [Node], prefix: &'a str) -> Answer<'a, Result<()>> {
        Box::pin(async move {
            let deadline = Instant::now() + self.ready;
            for node in nodes {
                loop {
                    match self.try_read(node, prefix, TRY.min(self.ready)).await {
                        Ok(found) if is_empty(&found) => break,
                        Ok(found) => return Err(not_empty(node, prefix, &found)),
                        Err(why) if Instant::now() >= deadline => {
                            return Err(Error::waited(format!(
                                "node {}: {:?} gave no first read within {}: {why}",
                                node.name,
                                self.words.text,
                                breakit::clock::show(self.ready)
                            )));
                        }
                        Err(_) => sleep(Duration::from_millis(200)).await,
                    }
                }
            }
            Ok(())
        })
    }

    fn open<'a>(
        &'a self,
        node: &'a Node,
        prefix: &'a str,
        purpose: Purpose,
    ) -> Answer<'a, std::result::Result<Box<dyn Client>, String>> {
        Box::pin(async move {
            let program = self.start(node, prefix, purpose).map_err(|error| error.to_string())?;
            let client: Box<dyn Client> = Box::new(program);
            Ok(client)
        })
    }
}

fn is_empty(found: &Value) -> bool {
    match found {
        Value::Null => true,
        Value::Array(elements) => elements.is_empty(),
        _ => false,
    }
}

fn not_empty(node: &Node, prefix: &str, found: &Value) -> Error {
    Error::system(format!(
        "node {}: there is something at the prefix {prefix} before the run ({found}); give another --prefix",
        node.name
    ))
}

/// A child, with one operation at a time.
struct Program {
    group: Option<Group>,
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    node: Node,
    prefix: String,
    purpose: Purpose,
    said: Arc<Said>,
}

impl Client for Program {
    fn invoke<'a>(&'a mut self, request: &'a Request) -> Answer<'a, Outcome> {
        Box::pin(async move {
            let mut line = self.question(request).to_string();
            line.push('\n');
            if let Err(error) = self.stdin.write_all(line.as_bytes()).await {
                return Outcome::Info(format!("the client took no request: {error}"));
            }
            let mut answer = String::new();
            match self.stdout.read_line(&mut answer).await {
                Ok(_) if answer.ends_with('\n') => self.judge(request, &answer),
                Ok(_) => Outcome::Info(self.last_words().await),
                Err(error) => Outcome::Info(format!("the client's answer is unreadable: {error}")),
            }
        })
    }

    fn is_fit(&mut self) -> bool {
        let Some(leftover) = self.leftover() else { return true };
        if !leftover.is_empty() {
            Said::once(&self.said.leftover, || {
                format!(
                    "the client on node {} printed more than one line for a request, and is started anew; \
                     earlier answers may be amiss too: {:?}",
                    self.node.name,
                    leftover.trim_end()
                )
            });
        }
        false
    }
}

impl Program {
    fn question(&self, request: &Request) -> Value {
        let addrs: Vec<String> = self.node.addrs.iter().map(ToString::to_string).collect();
        let mut question = json!({ "f": request.f, "value": request.value });
        if let Some(key) = &request.key {
            question["key"] = key.clone();
        }
        question["node"] = self.node.name.as_str().into();
        question["addrs"] = addrs.into();
        question["prefix"] = self.prefix.as_str().into();
        if self.purpose == Purpose::FinalRead {
            question["final"] = true.into();
        }
        question
    }

    /// What stands on its stdout though nothing was asked for; empty where it is that it closed it. `None`:
    /// there is nothing, as there should be.
    fn leftover(&mut self) -> Option<String> {
        if !self.stdout.buffer().is_empty() {
            return Some(String::from_utf8_lossy(self.stdout.buffer()).into_owned());
        }
        let stdout = self.stdout.get_ref();
        // Asked of the kernel itself: the runtime hears of new bytes only at its next turn.
        let mut fds = [PollFd::new(stdout.as_fd(), PollFlags::POLLIN)];
        if poll(&mut fds, PollTimeout::ZERO) == Ok(0) {
            return None;
        }
        let mut bytes = [0_u8; 4096];
        let read = nix::unistd::read(stdout, &mut bytes).unwrap_or(0);
        Some(String::from_utf8_lossy(&bytes[..read]).into_owned())
    }

    fn judge(&self, request: &Request, answer: &str) -> Outcome {
        outcome(request, answer).unwrap_or_else(|why| {
            Said::once(&self.said.garbage, || {
                format!("the client's answer is none ({why}): {}", answer.trim_end())
            });
            Outcome::Info(format!("the client's answer is none: {why}"))
        })
    }

    /// Why there was no answer: the child's end.
    async fn last_words(&mut self) -> String {
        match timeout(Duration::from_millis(100), self.child.wait()).await {
            Ok(Ok(status)) => format!("the client died ({status})"),
            _ => "the client closed its output".into(),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Before the child itself is reaped: until then its number cannot belong to anybody else.
        self.group = None;
    }
}

fn outcome(request: &Request, answer: &str) -> std::result::Result<Outcome, String> {
    let answer: Value = serde_json::from_str(answer).map_err(|error| json_clause(&error))?;
    let why = match answer.get("error") {
        None | Some(Value::Null) => "the client gave no reason".to_string(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    match answer.get("type").and_then(Value::as_str) {
        Some("ok") => match answer.get("value") {
            Some(value) if request.f == "read" || *value == request.value => {
                Ok(Outcome::Ok(value.clone()))
            }
            Some(value) => Err(format!(
                "the ok is for {value}, and the {} was of {}",
                request.f, request.value
            )),
            None if request.f == "read" => Err("an ok read needs a \"value\"".into()),
            None => Ok(Outcome::Ok(request.value.clone())),
        },
        Some("fail") => Ok(Outcome::Fail(why)),
        Some("info") => Ok(Outcome::Info(why)),
        _ => Err("\"type\" must be ok, fail or info".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write() -> Request {
        Request { f: "write", key: Some(1.into()), value: 7.into() }
    }

    #[test]
    fn an_ok_without_a_value_has_that_of_the_request() {
        assert_eq!(outcome(&write(), r#"{"type":"ok"}"#), Ok(Outcome::Ok(7.into())));
    }

    #[test]
    fn a_read_must_say_what_it_read() {
        assert!(outcome(&first_read("register"), r#"{"type":"ok"}"#).is_err());
        let read = outcome(&first_read("set"), r#"{"type":"ok","value":[]}"#);
        assert_eq!(read, Ok(Outcome::Ok(Value::Array(Vec::new()))));
    }

    #[test]
    fn an_ok_with_the_value_of_another_request_is_no_answer() {
        let cas = Request { f: "cas", key: Some(1.into()), value: json!([3, 4]) };
        let same = r#"{"type":"ok","value":[3,4]}"#;
        assert_eq!(outcome(&cas, same), Ok(Outcome::Ok(json!([3, 4]))));
        for (request, value) in [
            (write(), "6"),
            (write(), "null"),
            (write(), "[7]"),
            (cas.clone(), "4"),
            (cas, "[3,5]"),
        ] {
            let answer = format!(r#"{{"type":"ok","value":{value}}}"#);
            assert!(outcome(&request, &answer).unwrap_err().contains("the ok is for"), "{answer}");
        }
    }

    #[test]
    fn what_is_no_answer_is_never_a_fail() {
        for answer in ["", "nope", "[]", "{}", r#"{"type":"done"}"#, r#"{"type":3}"#] {
            assert!(outcome(&write(), answer).is_err(), "{answer}");
        }
    }
}
