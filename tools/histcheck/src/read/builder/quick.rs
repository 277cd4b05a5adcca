//! Events of other forms than lines, taken as quickly: all that look like the ones before them, in one go.

use breakit::exit::Result;

use super::Assembly;
use crate::read::event::Event;
use crate::read::line_template;
use crate::read::plain::Notation;
use crate::read::position::Place;
use crate::read::rows::Columns;
use crate::read::scan;
use crate::read::source_span::{Form, Site};

impl Assembly {
    /// Takes events of a text that begins with one and stands at `place`, as far as they are plain and another follows;
    /// how many bytes that are. Where it says 0, the event at which the text begins is for others.
    ///
    /// # Errors
    /// 65 where an event does not fit what came before.
    pub fn quick<N: Notation>(
        &mut self,
        text: &[u8],
        place: Place,
        form: Form<'_>,
    ) -> Result<usize> {
        self.quickly(text, place, form, |assembly, at, event| {
            let values = &mut assembly.history.values;
            match assembly.layouts.event::<N>(text, at, values, event) {
                Some(next) => Some(next),
                None => assembly.scanned::<N>(text, at, event),
            }
        })
    }

    /// The same for rows of a table that has these columns.
    ///
    /// # Errors
    /// As [`Assembly::quick`].
    pub fn quick_rows(
        &mut self,
        text: &[u8],
        place: Place,
        form: Form<'_>,
        columns: &Columns,
    ) -> Result<usize> {
        self.quickly(text, place, form, |assembly, at, event| {
            let (found, next) = columns.event(text, at, &mut assembly.history)?;
            *event = found;
            Some(next)
        })
    }

    #[inline(always)]
    fn quickly(
        &mut self,
        text: &[u8],
        place: Place,
        form: Form<'_>,
        mut next: impl FnMut(&mut Assembly, usize, &mut Event) -> Option<usize>,
    ) -> Result<usize> {
        let (mut at, mut line) = (0, place.line);
        let mut event = line_template::NOTHING;
        while let Some(next) = next(self, at, &mut event) {
            self.history.counts.lines += 1;
            let nth = self.history.counts.lines as u32;
            self.taken(self.number(line)?, nth, &mut event, || {
                Site::new(place.behind(&text[..at]), &text[at..next], form)
            })?;
            line += memchr::memchr_iter(b'\n', &text[at..next]).count() as u64;
            at = next;
        }
        Ok(at)
    }

    /// The event at a place by the scanner, where another follows; says where.
    fn scanned<N: Notation>(&mut self, text: &[u8], at: usize, event: &mut Event) -> Option<usize> {
        let (found, end) = scan::event::<N>(text, at, &mut self.history)?;
        let next = N::between(text, end)?;
        self.layouts.learn::<N>(&text[at..end], &text[end..next], &found);
        *event = found;
        Some(next)
    }

    /// Takes an event that is no line, begins on line `number` and is the `nth` of all.
    #[inline]
    pub(super) fn taken<'s>(
        &mut self,
        number: u32,
        nth: u32,
        event: &mut Event,
        site: impl FnOnce() -> Site<'s>,
    ) -> Result<()> {
        let number = self.named(number, nth);
        let lines = self.history.reordered.get_or_insert_default();
        lines.push(number);
        let pos = lines.len() as u32;
        self.client(pos, pos, event).map_err(|wrong| self.misfit(site(), &wrong))
    }
}
