//! Harm that is held as a fault.

use breakit::exit::{Error, Result};
use breakit::held_fault::{Fault, Renewal};
use breakit::lease::Lease;
use breakit::messages;
use breakit::watchdog::Watchdog;
use serde_json::{Value, json};

use crate::fleet::select::called;
use crate::harm::{Deed, Harmed, Kind, before, guardian};
use crate::node::container::{self, Container, at_once};
use crate::step;

const TOO_LATE: &str = "the lease ended before all nodes were harmed, and the harm was undone";

/// Harm of one kind, with the nodes that it strikes.
pub struct Held {
    kind: &'static Kind,
    deed: Box<dyn Deed>,
    nodes: Vec<Container>,
    harmed: Vec<Harmed>,
    watchdog: Option<Watchdog>,
    keep: bool,
    seed: u64,
}

impl Held {
    /// Harm that is not in force yet. With `keep` it is left to its watchdog as soon as it is.
    pub(super) fn new(
        kind: &'static Kind,
        deed: Box<dyn Deed>,
        nodes: Vec<Container>,
        keep: bool,
        seed: u64,
    ) -> Held {
        Held { kind, deed, nodes, harmed: Vec::new(), watchdog: None, keep, seed }
    }

    fn value(&self) -> Value {
        let (nodes, backend) = (called(&self.nodes), self.kind.backend);
        let mut value = json!({ "nodes": nodes, "backend": backend, "seed": self.seed });
        if let Value::Object(fields) = &mut value {
            fields.extend(self.deed.details());
        }
        value
    }

    fn apply_all(&self) -> Result<()> {
        let apply = |node: &Container| step::take(self.deed.apply(node)?);
        container::all(at_once(&self.nodes, apply)).map(drop)
    }

    /// From then on the harm is undone whatever becomes of us.
    fn post(&self, lease: Lease) -> Result<Watchdog> {
        let mut watchdog = guardian::post(self.kind, &self.harmed)?;
        watchdog.in_force(lease);
        Ok(watchdog)
    }
}

impl Fault for Held {
    fn kind(&self) -> &'static str {
        self.kind.word
    }

    fn start(&mut self, lease: Lease) -> Result<Value> {
        // A node that is paused or down already would be put right by us at the end, and is not ours.
        container::all(at_once(&self.nodes, Container::must_run))?;
        self.harmed = before(self.deed.as_ref(), &self.nodes)?;
        let mut watchdog = self.post(lease)?;
        let applied = self.apply_all().and_then(|()| {
            // If we were stopped in there for longer than the lease, it undid the harm, and nothing watches any more.
            if watchdog.in_force(lease) { Ok(()) } else { Err(Error::waited(TOO_LATE)) }
        });
        if let Err(error) = applied {
            let undone = self.kind.undo(&self.harmed);
            watchdog.dismiss();
            return Err(undone.err().map_or(error.clone(), |more| Error::Many(vec![error, more])));
        }
        if self.keep {
            watchdog.keep();
        } else {
            self.watchdog = Some(watchdog);
        }
        Ok(self.value())
    }

    fn renew(&mut self, lease: Lease) -> Result<Renewal> {
        let held = container::all(at_once(&self.nodes, |node| self.deed.holds(node)))?;
        if held.iter().all(|held| !held) {
            return Ok(Renewal::Healed);
        }
        if !self.watchdog.as_mut().is_some_and(|watchdog| watchdog.in_force(lease)) {
            messages::error("the watchdog of this fault is gone; another takes its place");
            let another = self.post(lease)?;
            if let Some(before) = self.watchdog.replace(another) {
                before.dismiss();
            }
        }
        Ok(Renewal::InForce)
    }

    fn heal(&mut self) -> Result<Value> {
        let healed = self.kind.undo(&self.harmed);
        if let Some(watchdog) = self.watchdog.take() {
            watchdog.dismiss();
        }
        healed.map(|()| self.value())
    }
}
