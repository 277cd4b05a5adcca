//! Lines of processes that are words and have not invoked anything yet: whether they are those of clients shows only
//! later.

use breakit::op::{Op, Process};
use rustc_hash::FxHashMap;
use serde_json::Value;

use super::event::Event;
use super::pair::Misfit;
use crate::clients::Clients;

/// An event with the line on which it stands, and which of all it is.
pub type Standing = ((u32, u32), Box<Op>);

/// What may turn out to be a client's.
#[derive(Debug, Default)]
pub struct Doubtful {
    /// The first line of each word.
    first: FxHashMap<String, u32>,
    /// Events that an `index` may put behind an invocation that comes later in the text.
    indexed: Vec<Standing>,
}

impl Doubtful {
    /// Keeps what must be known of the `nth` event, on a line. `is_ordered`: the order is that of the lines.
    pub fn keep(&mut self, word: &str, (line, nth): (u32, u32), op: &Op, is_ordered: bool) {
        let has_index = op.extra.get("index").is_some_and(Value::is_number);
        match has_index && !is_ordered {
            true => self.indexed.push(((line, nth), Box::new(op.clone()))),
            false => _ = self.first.entry(word.to_string()).or_insert(line),
        }
    }

    /// Looks whether a client has completed something before the first of its invocations.
    ///
    /// # Errors
    /// That it has.
    pub fn settle(&mut self, clients: &Clients, event: &Event) -> Result<(), Misfit> {
        if self.first.is_empty() || !Clients::is_name(event.process) {
            return Ok(());
        }
        let Process::Other(word) = clients.process(event.process) else { return Ok(()) };
        let Some(line) = self.first.get(&word) else { return Ok(()) };
        Err(Misfit::new(
            "process",
            format!(
                "process {word:?} invokes, so that it is a client, and line {line} completes what it had not \
                 begun; if it is none, say so with --not-a-client"
            ),
        ))
    }

    /// What an `index` orders.
    pub fn take_indexed(&mut self) -> Vec<Standing> {
        std::mem::take(&mut self.indexed)
    }
}
