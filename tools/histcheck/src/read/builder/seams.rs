//! Parts of a file of JSON lines, and how they become one history.

use breakit::exit::Result;
use breakit::op::Op;
use rustc_hash::FxHashSet;

use super::Assembly;
use super::order::{Growing, Order};
use crate::history::History;
use crate::read::Options;
use crate::read::event::Event;
use crate::read::format::Format;
use crate::read::line;
use crate::read::position::Place;
use crate::read::source_span::Site;
use crate::values::Id;

/// What a later part of a history cannot know.
#[derive(Debug, Default)]
pub struct Seam {
    /// Completions of what was invoked in an earlier part.
    pub(super) completions: Vec<(u32, Event)>,
    /// Lines of processes that are words.
    pub(super) others: Vec<(u32, Op)>,
}

impl Assembly {
    /// Nothing yet, of a part of a file of JSON lines, which can be read once more as a whole.
    pub fn part(name: &str, options: Options, is_later: bool) -> Assembly {
        let seam = is_later.then(Seam::default);
        let order = Order::OfText(Growing::default());
        Assembly { seam, order, is_part: true, ..Assembly::new(name, Format::JSONL, options) }
    }

    /// Whether nothing of the event's process came before it in this part; it is seen from now on.
    #[inline]
    pub(super) fn is_of_an_earlier_part(&mut self, event: &Event) -> bool {
        let process = self.history.ops.processes.place(event.process);
        let unseen = self.pairing.is_unseen(process);
        if unseen {
            self.pairing.set(process, None);
        }
        unseen
    }

    /// Puts the next part of the history behind this one.
    ///
    /// # Errors
    /// Where the two do not fit; the error is not to be told, as reading all by one thread says it better.
    pub fn join(&mut self, part: Assembly) -> Result<()> {
        let Assembly { history: mut theirs, pairing, seam, first, order, times, .. } = part;
        let goes_on = match (&mut self.order, &order) {
            (Order::OfText(ours), Order::OfText(theirs)) => ours.go_on(theirs),
            _ => false,
        };
        let is_alike = match (self.first, first) {
            (Some((_, ours)), Some((_, theirs))) => ours == theirs,
            _ => true,
        };
        if !goes_on || !is_alike {
            return Err(self.error(Place::of_line(0), "the index gives another order"));
        }
        self.first = self.first.or(first);
        let seam = seam.unwrap_or_default();
        let after = self.number(self.history.counts.lines)?;
        self.number(self.history.counts.lines + theirs.counts.lines)?;
        self.times.join(times, after);
        let values = self.history.values.absorb(&std::mem::take(&mut theirs.values));
        let words: Vec<u16> = theirs
            .words
            .iter()
            .map(|word| line::word(word, &mut self.history.words))
            .collect::<std::result::Result<_, _>>()
            .map_err(|clause| self.error(Place::of_line(0), &clause.clause))?;
        let answered = self.history.answers.len();
        let renamed = |id: Option<Id>| id.map(|id| values.id(id));
        let completing: FxHashSet<u64> =
            seam.completions.iter().map(|(_, event)| event.process).collect();
        for (pos, event) in seam.completions {
            let f = words[usize::from(event.f)];
            let (key, value, node) =
                (renamed(event.key), renamed(event.value), renamed(event.node));
            let event = Event { f, key, value, node, ..event };
            let site = Site::at(Place::of_line(u64::from(pos + after)));
            self.pair(pos + after, &event).map_err(|wrong| self.misfit(site, &wrong))?;
        }
        let rows = self.history.ops.len();
        for (place, number) in (0..).zip(theirs.ops.processes.iter()) {
            let ours = self.history.ops.processes.place(number);
            if !completing.contains(&number) && self.pairing.open(ours).is_some() {
                return Err(
                    self.error(Place::of_line(0), "a process invokes with an operation open")
                );
            }
            self.pairing.set(ours, pairing.open(place).map(|index| index + rows));
        }
        self.history.ops.append(theirs.ops, after, &values, &words);
        let History { answers, ops, .. } = &mut self.history;
        answers.append(theirs.answers, rows, &values);
        answers.sort_from(answered, |index| ops.res(index));
        self.history.counts.add(&theirs.counts);
        for (number, op) in seam.others {
            let number = number + after;
            let place = Place::of_line(number.into());
            self.other(place, (number, number), &op)
                .map_err(|wrong| self.error(place, &wrong.clause))?;
        }
        Ok(())
    }
}
