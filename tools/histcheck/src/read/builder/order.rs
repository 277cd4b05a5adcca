//! The order of events that carry an index.
//!
//! While the index grows from event to event, their order is that of the text, and each is taken as it comes. What
//! was taken is kept in a few bytes an event, for the day that it does not: then all are held until the last is there,
//! and put in the order of their index.

use breakit::op::Type;

use super::Assembly;
use crate::history::Operations;
use crate::history::answers::Answers;
use crate::read::bare::Bare;
use crate::read::event::Event;
use crate::read::pair::{Misfit, Pairing};
use crate::values::Id;

/// In which order events are taken.
#[derive(Debug)]
pub enum Order {
    /// In that of the text: whatever index came was greater than the one before.
    OfText(Growing),
    /// In that of their index, once all are there: with it and its line.
    OfIndex(Vec<Held>),
}

/// An event that waits: its index, the line on which it stands, and itself.
pub type Held = (u64, u32, Event);

/// An index that grew so far.
#[derive(Debug, Default)]
pub struct Growing {
    first: Option<u64>,
    last: Option<u64>,
    /// What was taken; `None` where whoever reads can read it all once more.
    journal: Option<Journal>,
}

impl Growing {
    /// One whose events are kept.
    pub fn kept() -> Growing {
        Growing { journal: Some(Journal::default()), ..Growing::default() }
    }

    /// Takes the next index of an event; false where it is no greater than the last.
    #[inline]
    pub fn take(&mut self, index: u64, number: u32, event: &Event) -> bool {
        if self.last.is_some_and(|last| last >= index) {
            return false;
        }
        self.first.get_or_insert(index);
        self.last = Some(index);
        if let Some(journal) = &mut self.journal {
            journal.add(index, number, event);
        }
        true
    }

    /// Goes on with what grew in the next part of the history; false where that does not.
    pub fn go_on(&mut self, next: &Growing) -> bool {
        let grows = match (self.last, next.first) {
            (Some(last), Some(first)) => last < first,
            _ => true,
        };
        self.first = self.first.or(next.first);
        self.last = next.last.or(self.last);
        grows
    }

    /// All events that were taken; `None` where they were not kept.
    pub fn events(&mut self) -> Option<Vec<Held>> {
        let journal = self.journal.take()?;
        Some(journal.events())
    }
}

impl Order {
    /// Bytes held.
    pub fn bytes(&self) -> usize {
        match self {
            Order::OfText(growing) => {
                growing.journal.as_ref().map_or(0, |journal| journal.bytes.len())
            }
            Order::OfIndex(held) => held.len() * size_of::<Held>(),
        }
    }
}

impl Assembly {
    /// Takes an event that has an index. As long as the index grows, the order of the text is the order. Where an event
    /// then fits nothing, one that comes later may stand before it.
    pub(super) fn indexed(
        &mut self,
        index: u64,
        pos: u32,
        number: u32,
        event: &Event,
    ) -> std::result::Result<(), Misfit> {
        if let Order::OfText(growing) = &mut self.order {
            if growing.take(index, number, event) {
                let misfit = match self.pair(pos, event) {
                    Ok(()) => return Ok(()),
                    Err(misfit) => misfit,
                };
                return self.hold().ok_or(misfit);
            }
            self.hold().ok_or_else(|| {
                Misfit::new("index", format!("\"index\" {index} is not in the order of the lines"))
            })?;
        }
        if let Order::OfIndex(held) = &mut self.order {
            held.push((index, number, *event));
        }
        Ok(())
    }

    /// From now on all events wait, and those that were taken do so too; `None` where nobody knows them any more.
    #[cold]
    pub(super) fn hold(&mut self) -> Option<()> {
        let Order::OfText(growing) = &mut self.order else { return Some(()) };
        self.order = Order::OfIndex(growing.events()?);
        self.pairing = Pairing::default();
        // Lanes of a process stay known as such.
        let processes = std::mem::take(&mut self.history.ops.processes);
        self.history.ops = Operations::default();
        self.history.ops.processes = processes;
        self.history.answers = Answers::default();
        self.bare = Bare::default();
        let counts = &mut self.history.counts;
        (counts.invokes, counts.ok, counts.fail, counts.info) = (0, 0, 0, 0);
        Some(())
    }

    /// Where lines are taken as they come, their order must be that of their index.
    pub(super) fn in_order(&mut self, index: u64) -> std::result::Result<(), Misfit> {
        if self.last_index.is_some_and(|last| last >= index) {
            let clause = format!(
                "\"index\" {index} is no greater than the one before it; --follow takes lines as they \
                 come, so leave it out once the history is whole"
            );
            return Err(Misfit::new("index", clause));
        }
        self.last_index = Some(index);
        Ok(())
    }
}

/// Of two events one has an index and one has none.
#[cold]
pub(super) fn half_indexed(first: u32, indexed: bool) -> Misfit {
    let clause = format!(
        "this line {} an \"index\" and line {first} {}; give it to all lines or to none",
        if indexed { "lacks" } else { "has" },
        if indexed { "has one" } else { "has none" },
    );
    Misfit::new("index", clause)
}

/// Events in few bytes, in the order in which they came.
#[derive(Debug, Default)]
struct Journal {
    bytes: Vec<u8>,
    before: Before,
}

/// What the event before had, of which the next mostly differs by one or by little.
#[derive(Debug, Clone, Copy, Default)]
struct Before {
    index: u64,
    number: u32,
    time: u64,
}

/// The first byte of an event says its type, and what it has.
const KEY: u8 = 4;
const VALUE: u8 = 8;
const NODE: u8 = 16;
const FINAL: u8 = 32;
const TIME: u8 = 64;
/// Both index and line are the next.
const NEXT: u8 = 128;

const TYPES: [Type; 4] = [Type::Invoke, Type::Ok, Type::Fail, Type::Info];

impl Journal {
    fn add(&mut self, index: u64, number: u32, event: &Event) {
        let Before { index: last, number: line, time } = self.before;
        let mut marks = match event.kind {
            Type::Invoke => 0,
            Type::Ok => 1,
            Type::Fail => 2,
            Type::Info => 3,
        };
        let is_next = index == last.wrapping_add(1) && number == line.wrapping_add(1);
        for (mark, is_there) in [
            (KEY, event.key.is_some()),
            (VALUE, event.value.is_some()),
            (NODE, event.node.is_some()),
            (FINAL, event.is_final),
            (TIME, event.time.is_some()),
            (NEXT, is_next),
        ] {
            marks |= if is_there { mark } else { 0 };
        }
        self.bytes.push(marks);
        if !is_next {
            self.number(index.wrapping_sub(last));
            self.number(u64::from(number.wrapping_sub(line)));
        }
        self.number(event.process);
        self.number(event.f.into());
        for id in [event.key, event.value, event.node].into_iter().flatten() {
            // The highest bit tells small integers from all else.
            self.number(id.0.rotate_left(1).into());
        }
        if let Some(now) = event.time {
            let later = now.wrapping_sub(time) as i64;
            self.number((later << 1 ^ later >> 63) as u64);
        }
        self.before = Before { index, number, time: event.time.unwrap_or(time) };
    }

    /// Seven bits a byte; the highest says that more come.
    #[inline]
    fn number(&mut self, mut number: u64) {
        while number > 0x7f {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    fn events(&self) -> Vec<Held> {
        let (mut bytes, mut before) = (self.bytes.iter().copied(), Before::default());
        std::iter::from_fn(|| next(&mut bytes, &mut before)).collect()
    }
}

fn next(bytes: &mut impl Iterator<Item = u8>, before: &mut Before) -> Option<Held> {
    let marks = bytes.next()?;
    let has = |mark: u8| marks & mark != 0;
    (before.index, before.number) = match has(NEXT) {
        true => (before.index.wrapping_add(1), before.number.wrapping_add(1)),
        false => (
            before.index.wrapping_add(number(bytes)?),
            before.number.wrapping_add(number(bytes)? as u32),
        ),
    };
    let (process, f) = (number(bytes)?, number(bytes)? as u16);
    let mut id = |mark: u8| match has(mark) {
        true => number(bytes).map(|raw| Id((raw as u32).rotate_right(1))),
        false => None,
    };
    let (key, value, node) = (id(KEY), id(VALUE), id(NODE));
    let time = match has(TIME) {
        true => {
            let raw = number(bytes)?;
            before.time = before.time.wrapping_add(raw >> 1 ^ (raw & 1).wrapping_neg());
            Some(before.time)
        }
        false => None,
    };
    let event = Event {
        process,
        kind: TYPES[usize::from(marks & 3)],
        f,
        key,
        value,
        node,
        is_final: has(FINAL),
        time,
        index: Some(before.index),
    };
    Some((before.index, before.number, event))
}

fn number(bytes: &mut impl Iterator<Item = u8>) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = bytes.next()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_comes_back_from_its_bytes() {
        let ends = [0, 1, 127, 128, 255, 1 << 31, u64::from(u32::MAX) - 1, u64::MAX - 1, u64::MAX];
        let mut growing = Growing::kept();
        let (mut events, mut index) = (Vec::new(), 0);
        for (at, (&a, &b)) in ends.iter().flat_map(|a| ends.iter().map(move |b| (a, b))).enumerate()
        {
            let id = |bit: usize, raw: u64| (at >> bit & 1 == 0).then_some(Id(raw as u32));
            let event = Event {
                process: a,
                kind: TYPES[at % 4],
                f: b as u16,
                key: id(0, a),
                value: id(1, b),
                node: id(2, a ^ b),
                is_final: at % 3 == 0,
                time: (at % 5 != 0).then_some(b),
                index: Some(index),
            };
            let number = if at % 7 == 0 { 100 * at as u32 } else { 100 * at as u32 + 1 };
            assert!(growing.take(index, number, &event), "{index}");
            events.push((index, number, event));
            index += if at == 60 { 1 << 62 } else { 1 + (at as u64 & 1) };
        }
        assert!(!growing.take(index - 2, 1, &events[0].2), "it fell");
        assert_eq!(growing.events(), Some(events));
    }

    #[test]
    fn an_event_takes_few_bytes() {
        let mut growing = Growing::kept();
        for index in 0..1000 {
            let event = Event {
                process: index % 10,
                value: Some(Id::of_small(100_000 + index as u32)),
                node: Some(Id(3)),
                ..crate::read::line_template::NOTHING
            };
            assert!(growing.take(index, index as u32 + 7, &event));
        }
        assert!(Order::OfText(growing).bytes() < 8_000);
    }

    #[test]
    fn of_two_parts_the_second_goes_on_where_its_index_is_greater() {
        let part = |indexes: &[u64]| {
            let mut growing = Growing::default();
            let event = crate::read::line_template::NOTHING;
            assert!(indexes.iter().all(|&index| growing.take(index, 1, &event)));
            growing
        };
        for (one, other, grows) in [
            (&[1, 5][..], &[6, 7][..], true),
            (&[1, 5], &[5, 7], false),
            (&[1, 5], &[2], false),
            (&[], &[2], true),
            (&[1, 5], &[], true),
        ] {
            let mut whole = part(one);
            assert_eq!(whole.go_on(&part(other)), grows, "{one:?} {other:?}");
            assert_eq!(whole.last, other.last().or(one.last()).copied());
        }
    }
}
