//! After the last fault: waiting until the nodes agree again, then reading everything from every one of them.
//!
//! While the nodes recover they are asked in rounds that do not enter the history: a read changes nothing, so
//! leaving it out takes nothing away, and what a node says while it still recovers is no promise broken.
//! When all nodes answer, say the same and said so in the round before, or when the time for recovery is
//! over, one recorded read of everything goes to every node. Nodes that still differ are then a finding.
//!
//! A final read has a longer limit than an operation of the load: it carries all that the run wrote. One that
//! fails is made again within that limit, as an operation of its own. That is sound, as a read changes nothing.

use std::sync::Arc;
use std::time::Duration;

use breakit::clock;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::attempt::Line;
use crate::client::{Client, Outcome, Purpose, Request};
use crate::history::remark;
use crate::load::{Shared, completion, invocation};

/// The pause after the first round or try; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// No round and no try waits longer for the next.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long the nodes may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// To agree again.
    pub recovery: Duration,
    /// To answer one final read, with all its tries.
    pub read: Duration,
}

/// Which nodes were read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Those that answered every final read, in the nodes' order.
    pub read: Vec<String>,
    /// Those that did not, with the reason of the last try.
    pub unread: Vec<(String, String)>,
}

impl Reading {
    /// Both lists in words.
    pub fn sentence(&self) -> String {
        let unread: Vec<String> =
            self.unread.iter().map(|(node, why)| format!("{node} ({why})")).collect();
        let nodes = self.read.len() + self.unread.len();
        let mut sentence = format!("final reads came from {} of {nodes} nodes", self.read.len());
        if !self.read.is_empty() {
            sentence += &format!(": {}", self.read.join(", "));
        }
        if !unread.is_empty() {
            sentence += &format!("; none, or not all, from {}", unread.join(", "));
        }
        sentence
    }
}

/// Waits for agreement, then reads. Processes are numbered from `first` on.
///
/// `None` where the history takes no more lines before anything is read.
pub async fn read_all(shared: &Arc<Shared>, limits: Limits, first: u64) -> Option<Reading> {
    let requests: Arc<[Request]> = shared.generator().reads_of_all().into();
    let agreement = agree(shared, &requests, limits).await;
    shared.history.record(remark("recovery", agreement)).ok()?;
    let mut readers = JoinSet::new();
    for number in 0..shared.nodes.len() {
        let (shared, requests) = (Arc::clone(shared), Arc::clone(&requests));
        let process = first + number as u64;
        readers.spawn(async move {
            (number, record(&shared, number, process, limits.read, &requests).await)
        });
    }
    let mut ends = readers.join_all().await;
    ends.sort_by_key(|(number, _)| *number);
    let mut reading = Reading::default();
    for (number, end) in ends {
        let name = shared.nodes[number].name.to_string();
        match end {
            Ok(()) => reading.read.push(name),
            Err(why) => reading.unread.push((name, why)),
        }
    }
    Some(reading)
}

/// Asks in rounds until the nodes agree; gives what is to be said of it.
async fn agree(shared: &Arc<Shared>, requests: &Arc<[Request]>, limits: Limits) -> Value {
    let Limits { recovery, read } = limits;
    let begin = Instant::now();
    let (mut pause, mut before, mut rounds) = (FIRST_PAUSE, None, 0_u64);
    let (answers, agreed) = loop {
        // A slow node has the time of a final read, as long as that does not make recovery longer.
        let left = recovery.saturating_sub(begin.elapsed());
        let answers = round(shared, requests, read.min(left.max(shared.timeout))).await;
        rounds += 1;
        let whole = unanimous(&answers);
        if whole && before.as_ref() == Some(&answers) {
            break (answers, true);
        }
        if begin.elapsed() + pause >= recovery {
            break (answers, false);
        }
        before = Some(answers);
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    };
    let silent: Vec<&str> = shared
        .nodes
        .iter()
        .zip(&answers)
        .filter(|(_, answer)| answer.is_none())
        .map(|(node, _)| node.name.as_str())
        .collect();
    json!({
        "agreed": agreed,
        "rounds": rounds,
        "lasted": clock::nanos(begin.elapsed()),
        "silent": silent,
    })
}

/// What a node answered to all reads; `None` where it did not answer one of them.
type Answers = Option<Vec<Value>>;

fn unanimous(answers: &[Answers]) -> bool {
    answers.iter().all(|answer| answer.is_some() && *answer == answers[0])
}

/// One round: all reads, from all nodes at once, in the nodes' order.
async fn round(shared: &Arc<Shared>, requests: &Arc<[Request]>, limit: Duration) -> Vec<Answers> {
    let mut asking = JoinSet::new();
    for number in 0..shared.nodes.len() {
        let (shared, requests) = (Arc::clone(shared), Arc::clone(requests));
        asking.spawn(async move { (number, ask(&shared, number, limit, &requests).await) });
    }
    let mut answers = asking.join_all().await;
    answers.sort_by_key(|(number, _)| *number);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

async fn ask(shared: &Shared, number: usize, limit: Duration, requests: &[Request]) -> Answers {
    let line = line(shared, number, limit);
    let mut client: Option<Box<dyn Client>> = None;
    let mut answers = Vec::with_capacity(requests.len());
    for request in requests {
        match line.attempt(&mut client, request).await {
            Outcome::Ok(value) => answers.push(sorted(value)),
            // The rest of its answers would not make this round whole.
            Outcome::Fail(_) | Outcome::Info(_) => return None,
        }
    }
    Some(answers)
}

/// A set has no order: two nodes that list it differently agree.
fn sorted(value: Value) -> Value {
    match value {
        Value::Array(mut elements) => {
            elements.sort_by_cached_key(Value::to_string);
            Value::Array(elements)
        }
        other => other,
    }
}

/// The recorded reads of one node, by one process (and its successors), until one of them has no answer.
async fn record(
    shared: &Shared,
    number: usize,
    process: u64,
    limit: Duration,
    requests: &[Request],
) -> Result<(), String> {
    let mut client: Option<Box<dyn Client>> = None;
    for request in requests {
        read(shared, number, process, limit, &mut client, request).await?;
    }
    Ok(())
}

/// One recorded read: made again until it is answered or its limit is over.
async fn read(
    shared: &Shared,
    number: usize,
    process: u64,
    limit: Duration,
    client: &mut Option<Box<dyn Client>>,
    request: &Request,
) -> Result<(), String> {
    let begin = Instant::now();
    let (mut left, mut pause) = (limit, FIRST_PAUSE);
    loop {
        match attempt(shared, number, process, left, client, request).await? {
            None => return Ok(()),
            Some(why) if begin.elapsed() + pause >= limit => return Err(why),
            Some(_) => {}
        }
        sleep(pause).await;
        left = limit.saturating_sub(begin.elapsed());
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// One try, with its two lines; gives why it was not answered, where it was not.
async fn attempt(
    shared: &Shared,
    number: usize,
    process: u64,
    limit: Duration,
    client: &mut Option<Box<dyn Client>>,
    request: &Request,
) -> Result<Option<String>, String> {
    let unwritten = |_| String::from("the history takes no more lines");
    let line = line(shared, number, limit);
    let mut invoke = invocation(process, line.node, request);
    invoke.extra.insert("final".into(), true.into());
    shared.history.announce(invoke).map_err(unwritten)?.written().await.map_err(unwritten)?;
    let outcome = line.attempt(client, request).await;
    let failure = match &outcome {
        Outcome::Ok(_) => None,
        Outcome::Fail(why) | Outcome::Info(why) => Some(why.clone()),
    };
    let mut done = completion(process, line.node, request, outcome);
    done.extra.insert("final".into(), true.into());
    shared.history.record(done).map_err(unwritten)?;
    Ok(failure)
}

fn line(shared: &Shared, number: usize, timeout: Duration) -> Line<'_> {
    Line {
        database: &*shared.database,
        node: &shared.nodes[number],
        prefix: &shared.prefix,
        purpose: Purpose::FinalRead,
        timeout,
    }
}
