//! Events of none of the clients: faults, the first and the last line of a run, and words of which it does not show yet
//! whether they are clients.

use breakit::exit::Result;
use breakit::op::{Op, Process, Wrong};
use serde_json::Value;

use super::Assembly;
use crate::clients::Clients;
use crate::history::{End, Start};
use crate::read::event::Event;
use crate::read::line::{self, Parsed};
use crate::read::position::Place;
use crate::read::source_span::Site;

impl Assembly {
    /// Takes an event of none of the clients, whose value is at `place`: on that line, and the `nth` of all.
    pub(super) fn other(
        &mut self,
        place: Place,
        (line, nth): (u32, u32),
        op: &Op,
    ) -> std::result::Result<(), Wrong> {
        let Process::Other(word) = &op.process else { return Ok(()) };
        match word.as_str() {
            "nemesis" => {
                self.history.counts.faults += 1;
                let number = self.named(line, nth);
                self.history.faults.take(op, number);
            }
            "split" if op.f == "shard" => {
                self.history.counts.others += 1;
                self.history.shard = op.value.clone();
            }
            "workload" => {
                self.history.counts.workload += 1;
                self.workload(place, op)?;
            }
            word => {
                self.history.counts.others += 1;
                if self.is_in_doubt(op) {
                    self.doubtful.keep(word, (line, nth), op, self.options.in_order);
                }
            }
        }
        Ok(())
    }

    /// Whether an event of a word may turn out to be that of a client.
    pub(super) fn is_in_doubt(&self, op: &Op) -> bool {
        let shard = op.process == Process::Other("split".into()) && op.f == "shard";
        matches!(&op.process, Process::Other(word) if self.history.clients.may_be(word)) && !shard
    }

    /// Looks at what came before of a client's name. A part of a file knows too little of names.
    pub(super) fn is_alike(&mut self, event: &Event, site: Site<'_>) -> Result<()> {
        if self.is_part && Clients::is_name(event.process) {
            return Err(site
                .place
                .error(&self.history.name, "the numbers of names are given elsewhere"));
        }
        let settled = self.doubtful.settle(&self.history.clients, event);
        settled.map_err(|wrong| self.misfit(site, &wrong))
    }

    /// Takes what an `index` may put behind the first invocation of its process.
    pub(super) fn indexed_names(&mut self) -> Result<()> {
        let indexed = self.doubtful.take_indexed();
        if !indexed.is_empty() && self.first.is_some_and(|(_, has_index)| has_index) {
            // They stand where their index says, and not behind all others. A part of a file has none of them.
            self.hold();
        }
        for ((line, nth), op) in indexed {
            let wrong = |name: &str, clause: &str| Place::of_line(line.into()).error(name, clause);
            let parsed = line::of(*op, &mut self.history);
            let parsed = parsed.map_err(|other| wrong(&self.history.name, &other.clause))?;
            let Parsed::Client(mut event) = parsed else { continue };
            self.history.counts.others -= 1;
            let number = self.named(line, nth);
            let pos = self.history.reordered.as_mut().map_or(number, |lines| {
                lines.push(number);
                lines.len() as u32
            });
            let taken = self.client(pos, pos, &mut event);
            taken.map_err(|misfit| wrong(&self.history.name, &misfit.clause))?;
        }
        Ok(())
    }

    fn workload(&mut self, place: Place, op: &Op) -> std::result::Result<(), Wrong> {
        match op.f.as_str() {
            "start" if self.history.start.is_some() => Err(Wrong::of(
                "f",
                "is start for the second time: these are two runs; give each as a file of its own",
            )),
            "start" => {
                self.history.start = Some(Start::of(place, op).map_err(Wrong::whole)?);
                Ok(())
            }
            "end" => {
                self.history.end = Some(end(op));
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn end(op: &Op) -> End {
    let field = |name: &str| {
        let value = op.value.as_ref().and_then(|value| value.get(name));
        value.and_then(Value::as_str).map(str::to_string)
    };
    End { status: field("status").unwrap_or_else(|| "done".into()), reason: field("reason") }
}
