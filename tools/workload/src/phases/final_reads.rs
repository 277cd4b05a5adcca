//! After the last fault: waiting until the nodes agree again, then reading everything from every one of them.
//!
//! While the nodes recover they are asked in rounds that do not enter the history: a read changes nothing, so
//! leaving it out takes nothing away, and what a node says while it still recovers is no promise broken.
//! When all nodes answer, say the same and said so in the round before, or when the time for recovery is
//! over, everything is read from every node, and recorded. Nodes that still differ are then a finding.
//!
//! A final read has a longer limit than an operation of the load: it carries all that the run wrote. One that
//! fails is made again within that limit, as an operation of its own. That is sound, as a read changes nothing.

use std::sync::Arc;
use std::time::Duration;

use breakit::clock;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::action::{Action, Outcome};
use crate::clients::{Client, Purpose};
use crate::phases::Shared;
use crate::phases::attempt::Session;
use crate::phases::operation_lines::{completion, invocation};
use crate::record::history::own_line;

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
/// `None` if the history takes no more lines before anything is read.
pub async fn read_all(shared: &Arc<Shared>, limits: Limits, first: u64) -> Option<Reading> {
    let reads: Arc<[Action]> = shared.generator().final_reads().into();
    let agreement = agree(shared, &reads, limits).await;
    shared.history.record(own_line("recovery", agreement)).ok()?;
    let ends =
        of_each_node(shared, |number| {
            let (shared, reads) = (Arc::clone(shared), Arc::clone(&reads));
            let process = first + number as u64;
            let limit = limits.read;
            async move {
                Reader { shared: &shared, number, process, limit, client: None }.all(&reads).await
            }
        })
        .await;
    let mut reading = Reading::default();
    for (node, end) in shared.nodes.iter().zip(ends) {
        let name = node.name.to_string();
        match end {
            Ok(()) => reading.read.push(name),
            Err(why) => reading.unread.push((name, why)),
        }
    }
    Some(reading)
}

/// Asks in rounds until the nodes agree; returns what the history says of it.
async fn agree(shared: &Arc<Shared>, reads: &Arc<[Action]>, limits: Limits) -> Value {
    let Limits { recovery, read } = limits;
    let begin = Instant::now();
    let (mut pause, mut before, mut rounds) = (FIRST_PAUSE, None, 0_u64);
    let (answers, agreed) = loop {
        // A slow node has the time of a final read, as long as that does not make recovery longer.
        let left = recovery.saturating_sub(begin.elapsed());
        let answers = round(shared, reads, read.min(left.max(shared.timeout))).await;
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

/// What a node answered to all reads; `None` if it did not answer one of them.
type Answers = Option<Vec<Value>>;

fn unanimous(answers: &[Answers]) -> bool {
    answers.iter().all(|answer| answer.is_some() && *answer == answers[0])
}

/// One round: all reads, from all nodes at once, in the nodes' order.
async fn round(shared: &Arc<Shared>, reads: &Arc<[Action]>, limit: Duration) -> Vec<Answers> {
    of_each_node(shared, |number| {
        let (shared, reads) = (Arc::clone(shared), Arc::clone(reads));
        async move { ask(&shared, number, limit, &reads).await }
    })
    .await
}

/// Asks all nodes at once; gives what came of it in the nodes' order.
async fn of_each_node<T, F>(shared: &Shared, ask: impl Fn(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let mut asking = JoinSet::new();
    for number in 0..shared.nodes.len() {
        let answer = ask(number);
        asking.spawn(async move { (number, answer.await) });
    }
    let mut answers = asking.join_all().await;
    answers.sort_by_key(|(number, _)| *number);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

async fn ask(shared: &Shared, number: usize, limit: Duration, reads: &[Action]) -> Answers {
    let session = session(shared, number, limit);
    let mut client: Option<Box<dyn Client>> = None;
    let mut answers = Vec::with_capacity(reads.len());
    for read in reads {
        match session.attempt(&mut client, read).await {
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

/// Records the final reads of one node, by one process and its successors.
struct Reader<'a> {
    shared: &'a Shared,
    /// Which of the nodes.
    number: usize,
    process: u64,
    /// How long each read may take, with all its tries.
    limit: Duration,
    client: Option<Box<dyn Client>>,
}

impl Reader<'_> {
    /// Reads until one read has no answer; gives why it has none.
    async fn all(&mut self, reads: &[Action]) -> Result<(), String> {
        for read in reads {
            self.read(read).await?;
        }
        Ok(())
    }

    /// One read: made again until it is answered or its limit is over.
    async fn read(&mut self, read: &Action) -> Result<(), String> {
        let begin = Instant::now();
        let (mut left, mut pause) = (self.limit, FIRST_PAUSE);
        loop {
            match self.attempt(read, left).await? {
                None => return Ok(()),
                Some(why) if begin.elapsed() + pause >= self.limit => return Err(why),
                Some(_) => {}
            }
            sleep(pause).await;
            left = self.limit.saturating_sub(begin.elapsed());
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// One try, with its two lines; gives why it was not answered, if it was not.
    async fn attempt(&mut self, read: &Action, limit: Duration) -> Result<Option<String>, String> {
        let unwritten = |_| String::from("the history takes no more lines");
        let session = session(self.shared, self.number, limit);
        let history = &self.shared.history;
        let mut invoke = invocation(self.process, session.node, read);
        invoke.extra.insert("final".into(), true.into());
        history.announce(invoke).map_err(unwritten)?.written().await.map_err(unwritten)?;
        let outcome = session.attempt(&mut self.client, read).await;
        let failure = match &outcome {
            Outcome::Ok(_) => None,
            Outcome::Fail(why) | Outcome::Info(why) => Some(why.clone()),
        };
        let mut done = completion(self.process, session.node, read, outcome);
        done.extra.insert("final".into(), true.into());
        history.record(done).map_err(unwritten)?;
        Ok(failure)
    }
}

fn session(shared: &Shared, number: usize, timeout: Duration) -> Session<'_> {
    Session {
        database: &*shared.database,
        node: &shared.nodes[number],
        prefix: &shared.prefix,
        purpose: Purpose::FinalRead,
        timeout,
    }
}
