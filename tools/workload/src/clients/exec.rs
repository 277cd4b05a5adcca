//! `--client exec:CMD`: a client in any language.
//!
//! Each process of the load has a child of its own, which is given one JSON object a line on its stdin and
//! answers each with one on its stdout: `{"type":"ok","value":3}`, `{"type":"fail","error":"..."}`,
//! `{"type":"info","error":"..."}`. If a child dies during an operation, or prints something that is no answer, the
//! outcome of the operation is unknown. A child that printed more than one line for a request is replaced before the
//! next one: the line would be taken for the next answer, and all that follow would be shifted. An answer that repeats
//! the `id` of its request is never taken for another one's.
//!
//! The time of an operation begins when the child has read the first byte of its first request: a child that is still
//! starting costs its operation nothing. The operation is only open for longer, which is never wrong.

mod answer;
mod notices;
mod stderr;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use breakit::escape;
use breakit::exit::{Error, Result};
use breakit::jsonl::LONGEST_LINE;
use breakit::node::{Name, Node};
use breakit::reach;
use breakit::size::show_size;
use nix::libc::c_int;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::time::{Instant, sleep, timeout};

use self::answer::Numbered;
use self::notices::Notices;
use self::stderr::Stderr;
use super::{Answer, Client, ClientKind, Database, Opened, Purpose, RunOptions, Takes};
use crate::action::{Action, Capability, Outcome};
use crate::child::{CommandLine, Group, cited};

/// How long a single answer is waited for while the database is being made ready.
const TRY: Duration = Duration::from_secs(5);

/// How long the pipes of a program that has ended are read on: what it printed is there at once, but a child of its own
/// may keep them open.
const GRACE: Duration = Duration::from_millis(100);

/// The pause after the first look at a new program; it doubles up to [`LOOK`].
const FIRST_LOOK: Duration = Duration::from_millis(1);

/// How often a program that does not answer is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// The client.
pub const KIND: ClientKind = ClientKind {
    name: "exec",
    about: "A program in any language, which reads one request a line",
    takes: Takes::Command("CMD"),
    supports: Capability::ALL,
    database,
};

fn database(option: Option<&str>, options: &RunOptions) -> Result<Arc<dyn Database>> {
    let words = CommandLine::of(option.unwrap_or_default(), "--client exec:", options.record)?;
    Ok(Arc::new(Exec {
        words,
        ready: options.ready,
        start_timeout: options.start_timeout,
        first_read: options.first_read.clone(),
        addresses: Mutex::default(),
        run: Arc::default(),
    }))
}

struct Exec {
    words: CommandLine,
    ready: Duration,
    start_timeout: Duration,
    /// The read that proves the place empty.
    first_read: Option<Action>,
    /// Of the nodes, as they were found in setup.
    addresses: Mutex<BTreeMap<Name, Vec<IpAddr>>>,
    run: Arc<InRun>,
}

/// What all programs of a run share.
#[derive(Debug, Default)]
struct InRun {
    requests: AtomicU64,
    notices: Notices,
}

impl Exec {
    fn start(&self, node: &Node, prefix: &str, purpose: Purpose) -> Result<Program> {
        let mut command = self.words.command(Signal::SIGKILL);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let place = |e| Error::io(format!("run {:?}", self.words.text), &e);
        let mut child = command.spawn().map_err(place)?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err(Error::system(format!("{:?} has no pipes", self.words.text)));
        };
        Ok(Program {
            group: Group::of(&child),
            child,
            stdin,
            stdout: BufReader::new(stdout),
            stderr: Stderr::read(stderr, format!("a client on {}", node.name)).map_err(place)?,
            start_timeout: self.start_timeout,
            stage: Stage::New,
            asked: None,
            before: None,
            node: node.clone(),
            addresses: self.addresses().get(&node.name).cloned().unwrap_or_default(),
            prefix: prefix.to_string(),
            purpose,
            run: Arc::clone(&self.run),
        })
    }

    /// Looks for the addresses of a node, unless they are known. A program that reaches it in another way needs none.
    async fn find(&self, node: &Node) {
        if self.addresses().contains_key(&node.name) {
            return;
        }
        let asked = node.clone();
        // It forks, enters a namespace or calls ssh: not on a thread that drives the clients.
        let found = tokio::task::spawn_blocking(move || reach::addresses(&asked))
            .await
            .unwrap_or_else(|_| Err(Error::system("the search for them died")));
        match found {
            Ok(found) => drop(self.addresses().insert(node.name.clone(), found)),
            Err(error) => self.run.notices.once(node.name.as_str(), "addresses", || {
                format!("the clients on {} are given no addresses: {error}", node.name)
            }),
        }
    }

    fn addresses(&self) -> MutexGuard<'_, BTreeMap<Name, Vec<IpAddr>>> {
        // Every change is one insert: a thread that died left the map whole.
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads once with a new program: whether the run can begin, or why it cannot.
    async fn try_read(
        &self,
        node: &Node,
        prefix: &str,
        read: &Action,
    ) -> std::result::Result<Value, String> {
        let mut program =
            self.start(node, prefix, Purpose::Load).map_err(|error| error.to_string())?;
        let limit = TRY.min(self.ready);
        let outcome = match program.hand_over(read).await {
            Ok(()) => timeout(limit, program.invoke(read)).await,
            Err(outcome) => Ok(outcome),
        };
        match outcome {
            Ok(Outcome::Ok(value)) => Ok(value),
            Ok(Outcome::Fail(why) | Outcome::Info(why)) => Err(why),
            Err(_) => Err(format!(
                "no answer within {}; a program must flush its stdout after each answer",
                breakit::clock::show(limit)
            )),
        }
    }
}

impl Database for Exec {
    fn start_limit(&self) -> Duration {
        self.start_timeout
    }

    fn set_up<'a>(&'a self, nodes: &'a [Node], prefix: &'a str) -> Answer<'a, Result<()>> {
        Box::pin(async move {
            let deadline = Instant::now() + self.ready;
            for node in nodes {
                loop {
                    self.find(node).await;
                    let Some(read) = &self.first_read else { break };
                    match self.try_read(node, prefix, read).await {
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

    fn open<'a>(&'a self, node: &'a Node, prefix: &'a str, purpose: Purpose) -> Opened<'a> {
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
    stderr: Stderr,
    node: Node,
    addresses: Vec<IpAddr>,
    prefix: String,
    purpose: Purpose,
    /// How long it may take until it reads its first request.
    start_timeout: Duration,
    stage: Stage,
    /// What it was asked last.
    asked: Option<Numbered>,
    /// What it was asked before that.
    before: Option<Numbered>,
    run: Arc<InRun>,
}

/// How far a program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It may still be starting.
    New,
    /// It has read its first request and has not answered it.
    HasFirstRequest,
    /// It has answered a request.
    AtWork,
}

impl Client for Program {
    fn hand_over<'a>(
        &'a mut self,
        action: &'a Action,
    ) -> Answer<'a, std::result::Result<(), Outcome>> {
        Box::pin(async move {
            if self.stage != Stage::New {
                return Ok(());
            }
            let limit = self.start_timeout;
            // It may read the request while it is killed: what becomes of it is not known.
            match timeout(limit, self.hand_over_first(action)).await {
                Ok(handed_over) => handed_over.map_err(Outcome::Info),
                Err(_) => Err(Outcome::Info(format!(
                    "the client did not read its first request within {}; see --start-timeout",
                    breakit::clock::show(limit)
                ))),
            }
        })
    }

    fn invoke<'a>(&'a mut self, action: &'a Action) -> Answer<'a, Outcome> {
        Box::pin(async move {
            if self.stage != Stage::HasFirstRequest
                && let Err(why) = self.send(action).await
            {
                return Outcome::Info(why);
            }
            self.stage = Stage::AtWork;
            match self.answer().await {
                Ok(answer) => self.judge(&answer),
                Err(why) => Outcome::Info(why),
            }
        })
    }

    fn can_take_another(&mut self) -> bool {
        // A program that has ended answers nothing, even if a child of its own keeps its pipes open.
        let Some(unasked_output) = self.unasked_output() else { return !has_ended(&self.child) };
        if !unasked_output.is_empty() {
            let node = self.node.name.as_str();
            let again = answer::id(&unasked_output)
                .map(|id| format!(" (this one is for request {id})"))
                .unwrap_or_default();
            self.run.notices.once(node, "unasked_output", || {
                format!(
                    "a client on {node} printed more than one line for a request{again}, and is started anew; \
                     earlier answers may be amiss too: {:?}",
                    cited(unasked_output.trim_end())
                )
            });
        }
        false
    }
}

impl Program {
    /// Writes the line of a request; gives its length in bytes, or why it was not written.
    async fn send(&mut self, action: &Action) -> std::result::Result<usize, String> {
        let id = self.run.requests.fetch_add(1, Ordering::Relaxed) + 1;
        self.before = self.asked.replace(Numbered { id, action: action.clone() });
        let mut line = self.request_line(id, action).to_string();
        line.push('\n');
        match self.stdin.write_all(line.as_bytes()).await {
            Ok(()) => Ok(line.len()),
            Err(error) => {
                Err(format!("the client took no request: {}", breakit::exit::reason(&error)))
            }
        }
    }

    /// Sends the first request and waits until the program reads it. That it ended or printed something ends the
    /// waiting too.
    async fn hand_over_first(&mut self, action: &Action) -> std::result::Result<(), String> {
        let length = self.send(action).await?;
        tokio::select! {
            () = is_read(&self.stdin, length) => {}
            () = ended(&self.child) => {}
            _ = self.stdout.fill_buf() => {}
        }
        let printed = !self.stdout.buffer().is_empty();
        if printed && unread(&self.stdin) >= length {
            return Err("the client printed a line before it read its first request".into());
        }
        self.stage = Stage::HasFirstRequest;
        Ok(())
    }

    fn request_line(&self, id: u64, action: &Action) -> Value {
        let addrs: Vec<String> = self.addresses.iter().map(ToString::to_string).collect();
        let mut request_line = json!({ "f": action.f(), "value": action.value() });
        if let Some(key) = action.key() {
            request_line["key"] = key;
        }
        request_line["node"] = self.node.name.as_str().into();
        request_line["addrs"] = addrs.into();
        request_line["prefix"] = self.prefix.as_str().into();
        if self.purpose == Purpose::FinalRead {
            request_line["final"] = true.into();
        }
        // Last, as a client that was written before there were numbers may look at the text.
        request_line["id"] = id.into();
        request_line
    }

    /// The next line of its stdout, its newline included; or why there is none.
    async fn answer(&mut self) -> std::result::Result<Vec<u8>, String> {
        let mut line = Vec::new();
        let read = {
            // One more than is taken, to see that there is more.
            let mut stdout = (&mut self.stdout).take(LONGEST_LINE + 1);
            let reading = stdout.read_until(b'\n', &mut line);
            tokio::pin!(reading);
            tokio::select! {
                biased;
                read = &mut reading => read.map(drop),
                // What it left in the pipe comes at once; what a child of its own prints later is not its answer.
                () = ended(&self.child) => match timeout(GRACE, reading).await {
                    Ok(read) => read.map(drop),
                    Err(_) => Ok(()),
                }
            }
        };
        match read {
            Err(error) => Err(format!("the client's answer is unreadable: {error}")),
            Ok(()) if line.len() as u64 > LONGEST_LINE => {
                Err(format!("the client's answer is longer than {}", show_size(LONGEST_LINE)))
            }
            Ok(()) if line.ends_with(b"\n") => Ok(line),
            Ok(()) => Err(self.why_it_ended().await),
        }
    }

    /// What it printed without a request; empty if it closed its stdout. `None` if there is nothing, as it should be.
    fn unasked_output(&mut self) -> Option<String> {
        if !self.stdout.buffer().is_empty() {
            return Some(String::from_utf8_lossy(self.stdout.buffer()).into_owned());
        }
        let stdout = self.stdout.get_ref();
        // The kernel itself is asked: the runtime learns of new bytes only at its next turn.
        let mut fds = [PollFd::new(stdout.as_fd(), PollFlags::POLLIN)];
        if poll(&mut fds, PollTimeout::ZERO) == Ok(0) {
            return None;
        }
        let mut bytes = [0_u8; 4096];
        let read = nix::unistd::read(stdout, &mut bytes).unwrap_or(0);
        Some(String::from_utf8_lossy(&bytes[..read]).into_owned())
    }

    fn judge(&self, answer: &[u8]) -> Outcome {
        let Some(asked) = &self.asked else {
            return Outcome::Info("the client answered though nothing was asked".into());
        };
        answer::outcome(asked, self.before.as_ref(), answer).unwrap_or_else(|why| {
            let node = self.node.name.as_str();
            self.run.notices.once(node, "no answer", || {
                let text = escape::bytes(answer.trim_ascii_end());
                format!("the answer of a client on {node} is none ({why}): {}", cited(&text))
            });
            Outcome::Info(format!("the client's answer is none: {why}"))
        })
    }

    /// Why there was no answer: the child's end.
    async fn why_it_ended(&mut self) -> String {
        if timeout(GRACE, ended(&self.child)).await.is_err() {
            return "the client closed its output".into();
        }
        // Before the child itself is reaped: until then no other process can have its number.
        self.group = None;
        match self.child.wait().await {
            Ok(status) => format!("the client died ({status})"),
            Err(error) => format!("the client died ({error})"),
        }
    }
}

/// Waits until fewer than `length` bytes are in the pipe that a child reads.
async fn is_read(stdin: &ChildStdin, length: usize) {
    let mut pause = FIRST_LOOK;
    while unread(stdin) >= length {
        sleep(pause).await;
        pause = (pause * 2).min(LOOK);
    }
}

/// How many bytes are in the pipe that a child reads.
fn unread(stdin: &ChildStdin) -> usize {
    let mut bytes: c_int = 0;
    // SAFETY: the descriptor is open as long as `stdin`, and the kernel writes one int to `bytes`.
    let asked = unsafe { fionread(stdin.as_raw_fd(), &raw mut bytes) };
    asked.ok().and_then(|_| usize::try_from(bytes).ok()).unwrap_or(0)
}

nix::ioctl_read_bad!(
    /// Asks a pipe how many bytes are in it.
    fionread,
    nix::libc::FIONREAD,
    c_int
);

/// Waits until a child has ended, and does not reap it.
async fn ended(child: &Child) {
    while !has_ended(child) {
        sleep(LOOK).await;
    }
}

fn has_ended(child: &Child) -> bool {
    let Some(pid) = child.id().and_then(|id| i32::try_from(id).ok()) else { return true };
    let peek = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    !matches!(waitid(Id::Pid(Pid::from_raw(pid)), peek), Ok(WaitStatus::StillAlive))
}

impl Drop for Program {
    fn drop(&mut self) {
        // Before the child itself is reaped: until then no other process can have its number.
        self.group = None;
        let (lines, before) = self.stderr.end();
        if !breakit::messages::verbose() {
            self.run.notices.last_lines(self.node.name.as_str(), &lines, before);
        }
    }
}
