//! Events taken apart: what stands between their values, and what their values are.

use super::{Field, Layout, Literal, Step};
use crate::read::plain::Notation;
use crate::read::plain::Scan;
use crate::read::words::End;

/// Objects within one another deeper than that are passed over as they stand.
const DEEPEST: usize = 4;

/// An event of more pieces than that is left to the scanner.
const MOST_STEPS: usize = 64;

impl Layout {
    /// The layout of a plain event, and what stands in its places for words.
    pub(super) fn of<'a, N: Notation>(
        text: &'a [u8],
        between: &[u8],
    ) -> Option<(Layout, Holes<'a>)> {
        let scan = Scan { text, at: 0 };
        let mut learner = Learner { scan, begin: 0, steps: Vec::new(), holes: Vec::new() };
        N::open(&mut learner.scan)?;
        learner.fields::<N>(0)?;
        let close = [&text[learner.begin..], between].concat();
        learner.literal(&close, Field::Nothing, End::QUOTE);
        (learner.steps.len() <= MOST_STEPS).then_some((Layout(learner.steps), learner.holes))
    }
}

/// What stands in the places of an event.
pub(super) type Holes<'a> = Vec<(Field, &'a [u8])>;

/// An event that is taken apart.
struct Learner<'a> {
    scan: Scan<'a>,
    /// Where the present literal begins.
    begin: usize,
    steps: Vec<Step>,
    holes: Holes<'a>,
}

impl Learner<'_> {
    /// The fields of an object that was opened. Those of an object within an event are taken apart too.
    fn fields<N: Notation>(&mut self, depth: usize) -> Option<()> {
        loop {
            let name = N::name(&mut self.scan)?;
            let field = if depth == 0 { Field::of(name) } else { Field::Other };
            match field == Field::Other && depth < DEEPEST && self.opens_object::<N>() {
                true => self.fields::<N>(depth + 1)?,
                false => self.hole::<N>(field)?,
            }
            if !N::more(&mut self.scan)? {
                return Some(());
            }
        }
    }

    /// Passes the bracket of an object that has fields.
    fn opens_object<N: Notation>(&mut self) -> bool {
        let mut ahead = Scan { text: self.scan.text, at: self.scan.at + 1 };
        let opens =
            self.scan.text.get(self.scan.at) == Some(&b'{') && ahead.peek::<N>() != Some(b'}');
        self.scan.at += usize::from(opens);
        opens
    }

    fn hole<N: Notation>(&mut self, field: Field) -> Option<()> {
        let (text, at) = (self.scan.text, self.scan.at);
        N::pass(&mut self.scan, 0)?;
        let next = *text.get(self.scan.at)?;
        // What is a number in another event must end there.
        N::ends(next).then_some(())?;
        let end = match field {
            Field::F | Field::Node => N::end(text[at], next),
            _ => End::QUOTE,
        };
        self.literal(&text[self.begin..at], field, end);
        self.holes.push((field, &text[at..self.scan.at]));
        self.begin = self.scan.at;
        Some(())
    }

    fn literal(&mut self, bytes: &[u8], field: Field, end: End) {
        let chunks: Vec<Literal> = bytes.chunks(16).map(Literal::of).collect();
        let last = chunks.len() - 1;
        self.steps.extend(chunks.into_iter().enumerate().map(|(at, literal)| match at == last {
            true => Step { literal, field, end },
            false => Step { literal, field: Field::Nothing, end },
        }));
    }
}
