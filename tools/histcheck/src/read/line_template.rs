//! Events that look like the ones before them, read at the speed of comparing bytes.
//!
//! The events of a history have the same fields in the same order, so that between the values stands the same
//! text in nearly every one. A [`Layout`] is that text, learned from an event that [`super::scan`] took. Where one
//! fits, only its values are looked at, eight bytes at a time; where it does not, nothing is decided here
//! and the scanner has its turn. What is given is the scanner's event, and a test holds the two together.

mod learn;

use std::hint::select_unpredictable;

use breakit::op::Type;

use super::digits::{digits, eight, end_of_plain, is_none, natural, number, skip_natural};
use super::event::Event;
use super::plain::Notation;
use super::plain::Scan;
use super::words::{self, End, Words};
use crate::values::{self, Id, Values};

/// Layouts kept: invocations and completions may differ, and faulty clients leave fields out.
const LAYOUTS: usize = 8;

/// What fits no layout so often, though it has one, has values that no layout takes: to learn from it is in vain.
const MOST_IN_VAIN: u32 = 1 << 12;

/// The layouts of a history's events, and the words that stood in them.
#[derive(Debug, Default)]
pub struct Layouts {
    layouts: Vec<Layout>,
    known: Known,
    /// How many events there were to learn from that taught nothing new.
    in_vain: u32,
}

/// What is known of the fields of events, whatever their layouts.
#[derive(Debug, Default)]
struct Known {
    words: Words<u16>,
    nodes: Words<Id>,
    /// Whether times are passed over.
    skip_times: bool,
}

/// Ends with what stands between an event and the next.
#[derive(Debug, PartialEq)]
struct Layout(Vec<Step>);

/// A literal and what stands behind it.
#[derive(Debug, PartialEq)]
struct Step {
    literal: Literal,
    field: Field,
    /// How it ends, where it is a word.
    end: End,
}

/// What a field says, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// Nanoseconds.
    Time,
    /// Who.
    Process,
    /// What the event says of its operation.
    Type,
    /// The operation's name.
    F,
    /// Which of many objects.
    Key,
    /// The argument or the result.
    Value,
    /// To which node.
    Node,
    /// Whether it is of the reads that end a run.
    Final,
    /// The place in the order.
    Index,
    /// What nobody asks for.
    Other,
    /// Nothing at all.
    Nothing,
}

impl Field {
    /// The field with a name.
    pub fn of(name: &[u8]) -> Field {
        match name {
            b"time" => Field::Time,
            b"process" => Field::Process,
            b"type" => Field::Type,
            b"f" => Field::F,
            b"key" => Field::Key,
            b"value" => Field::Value,
            b"node" => Field::Node,
            b"final" => Field::Final,
            b"index" => Field::Index,
            _ => Field::Other,
        }
    }
}

/// An event of which nothing was read yet.
pub const NOTHING: Event = Event {
    process: 0,
    kind: Type::Info,
    f: 0,
    key: None,
    value: None,
    node: None,
    is_final: false,
    time: None,
    index: None,
};

impl Layouts {
    /// None yet; `skip_times`: no event has a time.
    pub fn new(skip_times: bool) -> Layouts {
        Layouts { known: Known { skip_times, ..Known::default() }, ..Layouts::default() }
    }

    /// Puts the event that begins at `at` into `event`; says where the next begins. `None` where it is of no
    /// layout, or so near the end of `text` that it cannot be compared in blocks: then `event` holds anything.
    #[inline]
    pub fn event<N: Notation>(
        &mut self,
        text: &[u8],
        at: usize,
        values: &mut Values,
        event: &mut Event,
    ) -> Option<usize> {
        let Layouts { layouts, known, .. } = self;
        layouts.iter().find_map(|layout| known.event_of::<N>(layout, text, at, values, event))
    }

    /// Learns from an event that the scanner took, with what stands between it and the next.
    pub fn learn<N: Notation>(&mut self, text: &[u8], between: &[u8], event: &Event) {
        if self.layouts.len() == LAYOUTS || self.in_vain == MOST_IN_VAIN {
            return;
        }
        let Some((layout, holes)) = Layout::of::<N>(text, between) else { return };
        for (field, hole) in holes {
            if field == Field::F {
                self.known.words.add(hole, event.f);
            }
        }
        match self.layouts.contains(&layout) {
            true => self.in_vain += 1,
            false => self.layouts.push(layout),
        }
    }
}

impl Known {
    #[inline(always)]
    fn event_of<N: Notation>(
        &mut self,
        layout: &Layout,
        text: &[u8],
        mut at: usize,
        values: &mut Values,
        event: &mut Event,
    ) -> Option<usize> {
        *event = NOTHING;
        for Step { literal, field, end } in &layout.0 {
            at = literal.pass(text, at)?;
            match field {
                Field::Nothing => {}
                Field::Time if self.skip_times => at = skip_time::<N>(text, at)?,
                Field::Time => (event.time, at) = natural_or_null::<N>(text, at)?,
                Field::Process => (event.process, at) = natural(text, at)?,
                Field::Type => (event.kind, at) = kind::<N>(text, at)?,
                Field::F => (event.f, at) = self.words.find(text, at, *end)?,
                Field::Key => {
                    let (key, end) = value::<N>(text, at, values)?;
                    event.key = Some(key);
                    at = end;
                }
                Field::Value => {
                    let (value, end) = value::<N>(text, at, values)?;
                    event.value = Some(value);
                    at = end;
                }
                Field::Node => {
                    (event.node, at) = match self.nodes.find(text, at, *end) {
                        Some((node, end)) => (Some(node), end),
                        None => self.other_node::<N>(text, at, values)?,
                    };
                }
                Field::Index => (event.index, at) = natural_or_null::<N>(text, at)?,
                Field::Final => (event.is_final, at) = truth::<N>(text, at)?,
                Field::Other => at = other::<N>(text, at)?,
            }
        }
        Some(at)
    }

    #[inline(never)]
    fn other_node<N: Notation>(
        &mut self,
        text: &[u8],
        at: usize,
        values: &mut Values,
    ) -> Option<(Option<Id>, usize)> {
        if let Some(end) = null::<N>(text, at) {
            return Some((None, end));
        }
        let mut scan = Scan { text, at };
        let id = N::node(&mut scan, values)?;
        self.nodes.add(&text[at..scan.at], id);
        Some((Some(id), scan.at))
    }
}

/// At most sixteen bytes that are compared at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Literal {
    bytes: u128,
    mask: u128,
    length: usize,
}

impl Literal {
    fn of(bytes: &[u8]) -> Literal {
        let mut padded = [0; 16];
        padded[..bytes.len()].copy_from_slice(bytes);
        let mask = u128::MAX.checked_shr(128 - 8 * bytes.len() as u32).unwrap_or(0);
        Literal { bytes: u128::from_le_bytes(padded), mask, length: bytes.len() }
    }

    /// The place behind it.
    #[inline(always)]
    fn pass(&self, text: &[u8], at: usize) -> Option<usize> {
        let there = text.get(at..at + 16)?.first_chunk::<16>()?;
        (u128::from_le_bytes(*there) & self.mask == self.bytes).then_some(at + self.length)
    }
}

#[inline(always)]
fn kind<N: Notation>(text: &[u8], at: usize) -> Option<(Type, usize)> {
    let there = eight(text, at)?;
    let [invoke, ok, fail, info] = N::TYPES;
    if invoke.begins(there) {
        Some((Type::Invoke, at + invoke.length))
    } else if ok.begins(there) {
        Some((Type::Ok, at + ok.length))
    } else if fail.begins(there) {
        Some((Type::Fail, at + fail.length))
    } else if info.begins(there) {
        Some((Type::Info, at + info.length))
    } else {
        None
    }
}

#[inline(always)]
fn natural_or_null<N: Notation>(text: &[u8], at: usize) -> Option<(Option<u64>, usize)> {
    match natural(text, at) {
        Some((number, end)) => Some((Some(number), end)),
        None => null::<N>(text, at).map(|end| (None, end)),
    }
}

#[inline(always)]
fn skip_time<N: Notation>(text: &[u8], at: usize) -> Option<usize> {
    skip_natural(text, at).or_else(|| null::<N>(text, at))
}

#[cold]
#[inline(never)]
fn null<N: Notation>(text: &[u8], at: usize) -> Option<usize> {
    N::NULL.begins(eight(text, at)?).then_some(at + N::NULL.length)
}

const ONE_DIGIT: u64 = b'0' as u64;

/// Whether a small number comes or null is not to be foreseen: null is read as a number of one digit, with another id
/// and another length.
#[inline(always)]
fn value<N: Notation>(text: &[u8], at: usize, values: &mut Values) -> Option<(Id, usize)> {
    let there = eight(text, at)?;
    let is_null = N::NULL.begins(there);
    let there = select_unpredictable(is_null, ONE_DIGIT, there);
    let (digits, count) = digits(there);
    let is_fraction = (there >> (8 * (count & 7))) as u8 == b'.';
    if is_none(there, count) | (count == 8) | is_fraction {
        return other_value::<N>(text, at, values);
    }
    let number = number(digits, count) as u32;
    let id = select_unpredictable(is_null, values::NULL, Id::of_small(number));
    Some((id, at + select_unpredictable(is_null, N::NULL.length, count as usize)))
}

#[inline(never)]
fn other_value<N: Notation>(text: &[u8], at: usize, values: &mut Values) -> Option<(Id, usize)> {
    let quick = match text[at] {
        b'"' => return string_value::<N>(text, at, values),
        b'0'..=b'9' => natural(text, at)
            .filter(|&(_, end)| text.get(end) != Some(&b'.'))
            .and_then(|(number, end)| Some((values.int(i64::try_from(number).ok()?), end))),
        b'[' => pair(text, at, values),
        _ => None,
    };
    quick.or_else(|| scanned::<N>(text, at, values))
}

/// A string, which most likely stood in one of the last events too.
fn string_value<N: Notation>(text: &[u8], at: usize, values: &mut Values) -> Option<(Id, usize)> {
    let Some((bytes, length)) = words::short(text, at, End::QUOTE) else {
        return scanned::<N>(text, at, values);
    };
    if let Some(id) = values.recent(bytes) {
        return Some((id, at + length));
    }
    if end_of_plain(text, at + 1) != Some(at + length - 1) {
        return scanned::<N>(text, at, values);
    }
    let id = values.text(std::str::from_utf8(&text[at..at + length]).ok()?);
    values.remember(bytes, id);
    Some((id, at + length))
}

/// A value by the scanner.
fn scanned<N: Notation>(text: &[u8], at: usize, values: &mut Values) -> Option<(Id, usize)> {
    let mut scan = Scan { text, at };
    N::value(&mut scan, values).map(|id| (id, scan.at))
}

/// A list of two numbers, as cas have.
fn pair(text: &[u8], at: usize, values: &mut Values) -> Option<(Id, usize)> {
    let (one, at) = natural(text, at + 1)?;
    let (other, end) = natural(text, at + 1)?;
    if (text[at], text.get(end)) != (b',', Some(&b']')) {
        return None;
    }
    let one = values.int(i64::try_from(one).ok()?);
    let other = values.int(i64::try_from(other).ok()?);
    Some((values.items(&[one, other]), end + 1))
}

#[inline(never)]
fn truth<N: Notation>(text: &[u8], at: usize) -> Option<(bool, usize)> {
    let mut scan = Scan { text, at };
    let constant = scan.constant::<N>()?;
    Some((constant == super::plain::Constant::Is(true), scan.at))
}

/// The place behind what nobody asks for. What follows it is for the next literal to say.
#[inline(always)]
fn other<N: Notation>(text: &[u8], at: usize) -> Option<usize> {
    let short = match *text.get(at)? {
        b'"' => end_of_plain(text, at + 1).filter(|&end| text[end] == b'"').map(|end| end + 1),
        b'0'..=b'9' => plain_number(text, at),
        b'n' => Some(at + N::NULL.length)
            .filter(|_| eight(text, at).is_some_and(|there| N::NULL.begins(there))),
        _ => None,
    };
    short.or_else(|| other_passed::<N>(text, at))
}

/// Behind a number without sign and exponent.
#[inline(always)]
fn plain_number(text: &[u8], at: usize) -> Option<usize> {
    let whole = skip_natural(text, at)?;
    if text.get(whole) != Some(&b'.') {
        return Some(whole).filter(|_| !is_exponent(text, whole));
    }
    let (_, count) = digits(eight(text, whole + 1)?);
    let end = whole + 1 + count as usize;
    (0 < count && count < 8 && !is_exponent(text, end)).then_some(end)
}

#[inline(always)]
fn is_exponent(text: &[u8], at: usize) -> bool {
    matches!(text.get(at), Some(b'e' | b'E'))
}

#[inline(never)]
fn other_passed<N: Notation>(text: &[u8], at: usize) -> Option<usize> {
    let mut scan = Scan { text, at };
    N::pass(&mut scan, 0)?;
    Some(scan.at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::History;
    use crate::read::notation::{Edn, Json};
    use crate::read::scan;

    const LINES: [&str; 10] = [
        r#"{"time":8123456789,"process":3,"type":"invoke","f":"write","key":7,"value":42,"node":"n2"}"#,
        r#"{"process": 12345678, "type": "ok", "f": "read", "value": null}"#,
        r#"{"type":"fail","process":1234567812345678,"f":"read","value":-5,"key":"a b"}"#,
        r#"{"process":0,"type":"info","f":"read","value":[1,[-2,"x"],[],true,false,null]}"#,
        r#"{"value":123456789012,"f":"write","type":"ok","process":9}"#,
        r#"{"process":1,"type":"ok","f":"read","value":[120,3]}"#,
        r#"{"index":12,"time":4,"type":"ok","process":1,"f":"read","value":"vé1","error":null}"#,
        r#"{"process":1,"type":"ok","f":"read","value":2.50,"final":true,"a rather long name":1.5e-3}"#,
        r#"{"process":1,"type":"ok","f":"read","more":{"list":[1,{"a":2}],"text":"a\"b","deep":{"x":1}},"node":null}"#,
        "{\n  \"process\": 1,\n  \"type\": \"ok\",\n\t\"f\": \"read\", \"value\": [\n 1, 2 ]\r\n}",
    ];

    const MAPS: [&str; 6] = [
        r#"{:time 8123456789, :process 3, :type :invoke, :f :write, :key 7, :value 42, :node "n2"}"#,
        "#jepsen.history.Op{:index 0 :time 4 :type :ok :process 0 :f :read :value nil :node :n1}",
        r#"{:process 1,:type :ok,:f :read,:value [1 [-2 "x"] [] true],:error [:timeout "a b"]}"#,
        "{:process 1 :type :fail :f :read :value [[:append 9 -2] [:r 9 nil]] :final true}",
        r#"{:value "x" :process 1,:type :info :f :write :latency -1.5 :more {:a 1, :b {:c [2]}}}"#,
        "{:index 1\n :process 1234567812345678\n :type :ok :f :read :value 0.50 :error :x/y}",
    ];

    /// Whether the layout takes `event`, with more behind it; its event must then be the scanner's.
    fn agrees<N: Notation>(
        layouts: &mut Layouts,
        history: &mut History,
        text: &[u8],
        between: &[u8],
    ) -> bool {
        let whole = [text, between, LINES[0].as_bytes(), b"\n"].concat();
        let mut event = NOTHING;
        let Some(end) = layouts.event::<N>(&whole, 0, &mut history.values, &mut event) else {
            return false;
        };
        let shown = String::from_utf8_lossy(text);
        assert_eq!(end, text.len() + between.len(), "{shown}");
        let scanned = scan::event::<N>(&whole, 0, history);
        assert_eq!(Some((event, text.len())), scanned, "{shown}");
        true
    }

    fn learned() -> (Layouts, History) {
        let words = vec!["read".to_string(), "write".to_string()];
        (Layouts::new(false), History { words, ..History::default() })
    }

    fn learn<N: Notation>(
        layouts: &mut Layouts,
        history: &mut History,
        text: &[u8],
        between: &[u8],
    ) {
        let (event, end) = scan::event::<N>(text, 0, history)
            .unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(text)));
        assert_eq!(end, text.len());
        layouts.learn::<N>(text, between, &event);
    }

    fn with_any_byte_changed<N: Notation>(texts: &[&str], between: &[u8]) {
        let mut taken = 0;
        for text in texts {
            let bytes = text.as_bytes();
            let (mut layouts, mut history) = learned();
            assert!(!agrees::<N>(&mut layouts, &mut history, bytes, between));
            learn::<N>(&mut layouts, &mut history, bytes, between);
            assert!(agrees::<N>(&mut layouts, &mut history, bytes, between), "{text}");
            for at in 0..bytes.len() {
                for byte in 0..=255 {
                    let mut changed = bytes.to_vec();
                    changed[at] = byte;
                    taken +=
                        usize::from(agrees::<N>(&mut layouts, &mut history, &changed, between));
                }
                let left_out = [&bytes[..at], &bytes[at + 1..]].concat();
                let doubled = [&bytes[..=at], &bytes[at..]].concat();
                for changed in [&left_out[..], &doubled, &bytes[..at]] {
                    taken += usize::from(agrees::<N>(&mut layouts, &mut history, changed, between));
                }
            }
        }
        assert!(taken > 200 * texts.len(), "{taken}");
    }

    #[test]
    fn an_event_like_the_one_before_is_taken_and_with_any_byte_changed_read_as_the_scanner_reads_it()
     {
        with_any_byte_changed::<Json>(&LINES, b"\n");
        with_any_byte_changed::<Json>(&LINES[6..8], b",\r\n  ");
        with_any_byte_changed::<Edn>(&MAPS, b"\n");
        with_any_byte_changed::<Edn>(&MAPS[..2], b", ");
    }

    #[test]
    fn numbers_of_every_length_are_the_scanners() {
        let (mut layouts, mut history) = learned();
        let line = |digits: &str| {
            format!(r#"{{"time":{digits},"process":{digits},"type":"ok","f":"read"}}"#)
        };
        let first = line("0");
        learn::<Json>(&mut layouts, &mut history, first.as_bytes(), b"\n");
        for length in 1..=20 {
            for digit in ["1", "9", "0"] {
                let text = line(&digit.repeat(length));
                let taken = agrees::<Json>(&mut layouts, &mut history, text.as_bytes(), b"\n");
                let plain = digit != "0" || length == 1;
                assert_eq!(taken, plain && length <= 16, "{digit} {length} times");
            }
        }
        layouts.known.skip_times = true;
        let text = [line("1234567890123").as_bytes(), b"\n", first.as_bytes()].concat();
        let mut event = NOTHING;
        layouts.event::<Json>(&text, 0, &mut history.values, &mut event).unwrap();
        assert_eq!((event.time, event.process), (None, 1_234_567_890_123));
    }

    #[test]
    fn the_end_of_the_text_is_never_read_over() {
        let (mut layouts, mut history) = learned();
        let line = LINES[0].as_bytes();
        learn::<Json>(&mut layouts, &mut history, line, b"\n");
        let text = [line, b"\n"].concat();
        for end in 0..=text.len() {
            let (mut event, values) = (NOTHING, &mut history.values);
            assert_eq!(layouts.event::<Json>(&text[..end], 0, values, &mut event), None);
        }
    }
}
