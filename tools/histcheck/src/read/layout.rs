//! Lines that look like the ones before them, read at the speed of comparing bytes.
//!
//! The lines of a history have the same fields in the same order, so that between the values stands the same
//! text on nearly every line. A [`Layout`] is that text, learned from a line that [`super::scan`] took. Where a
//! line fits, only its values are looked at, eight bytes at a time; where it does not, nothing is decided here
//! and the scanner has its turn. What is given is the scanner's event, and a test holds the two together.

use std::hint::select_unpredictable;

use breakit::op::Type;

use super::line::Event;
use super::scan::Scan;
use crate::values::{self, Id, Values};

/// Layouts kept: invocations and completions may differ, and faulty clients leave fields out.
const LAYOUTS: usize = 4;

/// The layouts of a history's lines, and the words that stood on them.
#[derive(Debug, Default)]
pub struct Layouts {
    layouts: Vec<Layout>,
    words: Words<u16>,
    nodes: Words<Id>,
    /// Whether times are passed over.
    skip_times: bool,
}

#[derive(Debug, PartialEq)]
struct Layout {
    fields: Vec<(Literal, Field)>,
    /// Ends with the newline.
    close: Literal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Time,
    Process,
    Type,
    F,
    Key,
    Value,
    Node,
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
        Layouts { skip_times, ..Layouts::default() }
    }

    /// Puts the event of the line at `at` into `event`; says where the next line begins. `None` where the line is of no
    /// layout, or so near the end of `text` that it cannot be compared in blocks: then `event` holds anything.
    #[inline]
    pub fn event(
        &self,
        text: &[u8],
        at: usize,
        values: &mut Values,
        event: &mut Event,
    ) -> Option<usize> {
        self.layouts.iter().find_map(|layout| self.event_of(layout, text, at, values, event))
    }

    #[inline(always)]
    fn event_of(
        &self,
        layout: &Layout,
        text: &[u8],
        mut at: usize,
        values: &mut Values,
        event: &mut Event,
    ) -> Option<usize> {
        *event = NOTHING;
        for (literal, field) in &layout.fields {
            at = literal.pass(text, at)?;
            match field {
                Field::Time if self.skip_times => at = skip_natural(text, at)?,
                Field::Time => {
                    let (time, end) = natural(text, at)?;
                    event.time = Some(time);
                    at = end;
                }
                Field::Process => (event.process, at) = natural(text, at)?,
                Field::Type => (event.kind, at) = kind(text, at)?,
                Field::F => (event.f, at) = self.words.find(text, at)?,
                Field::Key => {
                    let (key, end) = value(text, at, values)?;
                    event.key = Some(key);
                    at = end;
                }
                Field::Value => {
                    let (value, end) = value(text, at, values)?;
                    event.value = Some(value);
                    at = end;
                }
                Field::Node => {
                    let (node, end) = match self.nodes.find(text, at) {
                        Some(found) => found,
                        None => string(text, at, values)?,
                    };
                    event.node = Some(node);
                    at = end;
                }
            }
        }
        layout.close.pass(text, at)
    }

    /// Learns from a line, without its newline, that the scanner took for `event`.
    pub fn learn(&mut self, line: &[u8], event: &Event) {
        if event.index.is_some() || event.is_final || self.layouts.len() == LAYOUTS {
            return;
        }
        let Some((layout, holes)) = Layout::of(line) else { return };
        for (field, hole) in holes {
            match field {
                Field::F => self.words.add(hole, event.f),
                Field::Node => event.node.into_iter().for_each(|node| self.nodes.add(hole, node)),
                _ => {}
            }
        }
        if !self.layouts.contains(&layout) {
            self.layouts.push(layout);
        }
    }
}

impl Layout {
    /// The layout of a plain line, and what stands in its places for words.
    fn of(line: &[u8]) -> Option<(Layout, Holes<'_>)> {
        let (mut fields, mut holes) = (Vec::new(), Vec::new());
        let mut scan = Scan { text: line, at: 0 };
        let mut scratch = Values::default();
        let mut begin = 0;
        scan.byte(b'{')?;
        loop {
            let field = match scan.plain_string()? {
                b"time" => Field::Time,
                b"process" => Field::Process,
                b"type" => Field::Type,
                b"f" => Field::F,
                b"key" => Field::Key,
                b"value" => Field::Value,
                b"node" => Field::Node,
                _ => return None,
            };
            scan.byte(b':')?;
            scan.peek()?;
            fields.push((Literal::of(&line[begin..scan.at])?, field));
            let hole = scan.at;
            scan.value(&mut scratch, 0)?;
            holes.push((field, &line[hole..scan.at]));
            begin = scan.at;
            match scan.next()? {
                b',' => {}
                b'}' => break,
                _ => return None,
            }
        }
        let close = Literal::of(&[&line[begin..], b"\n"].concat())?;
        Some((Layout { fields, close }, holes))
    }
}

/// What stands in the places of a line.
type Holes<'a> = Vec<(Field, &'a [u8])>;

/// At most sixteen bytes that are compared at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Literal {
    bytes: u128,
    mask: u128,
    length: usize,
}

impl Literal {
    fn of(bytes: &[u8]) -> Option<Literal> {
        let mut padded = [0; 16];
        padded.get_mut(..bytes.len())?.copy_from_slice(bytes);
        let mask = u128::MAX.checked_shr(128 - 8 * bytes.len() as u32).unwrap_or(0);
        Some(Literal { bytes: u128::from_le_bytes(padded), mask, length: bytes.len() })
    }

    /// The place behind it.
    #[inline(always)]
    fn pass(&self, text: &[u8], at: usize) -> Option<usize> {
        let there = text.get(at..at + 16)?.first_chunk::<16>()?;
        (u128::from_le_bytes(*there) & self.mask == self.bytes).then_some(at + self.length)
    }
}

/// Words, with their quotes, of at most sixteen bytes, and what they stand for. Which of them comes next nobody can
/// foresee, so that the way to it has no forks: its end is computed, and its place from its bytes.
#[derive(Debug)]
struct Words<T> {
    words: Vec<(u128, T)>,
    /// By place the number of a word, from 1; 0: none.
    places: [u8; PLACES],
}

impl<T> Default for Words<T> {
    fn default() -> Words<T> {
        Words { words: Vec::new(), places: [0; PLACES] }
    }
}

/// A power of two.
const PLACES: usize = 1 << PLACE_BITS;
const PLACE_BITS: u32 = 6;
/// That every search ends soon, most places are empty.
const MOST_WORDS: usize = PLACES / 4;

/// For each length the bytes of a word.
const MASKS: [u128; 17] = {
    let mut masks = [u128::MAX; 17];
    let mut length = 0;
    while length < 16 {
        masks[length] = !(u128::MAX << (8 * length));
        length += 1;
    }
    masks
};

/// Where a word is looked for first.
#[inline(always)]
fn place(word: u128) -> usize {
    let mixed = (word as u64 ^ (word >> 64) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> (64 - PLACE_BITS)) as usize
}

/// Of eight bytes the place of the first quote; 8 where there is none.
#[inline(always)]
fn quote(there: u64) -> usize {
    let others = there ^ 0x2222_2222_2222_2222;
    let found = others.wrapping_sub(0x0101_0101_0101_0101) & !others & 0x8080_8080_8080_8080;
    found.trailing_zeros() as usize / 8
}

/// How long the word is that begins with the first of sixteen bytes, a quote, and ends with the next quote; more than
/// sixteen where that is not among them.
#[inline(always)]
fn length(there: u128) -> usize {
    match quote((there >> 8) as u64) {
        8 => 10 + quote((there >> 72) as u64),
        first => 2 + first,
    }
}

impl<T: Copy> Words<T> {
    fn add(&mut self, word: &[u8], meaning: T) {
        let Some(Literal { bytes, .. }) = Literal::of(word) else { return };
        if self.words.len() == MOST_WORDS || self.words.iter().any(|&(known, _)| known == bytes) {
            return;
        }
        self.words.push((bytes, meaning));
        let mut at = place(bytes);
        while self.places[at] != 0 {
            at = (at + 1) % PLACES;
        }
        self.places[at] = self.words.len() as u8;
    }

    #[inline(always)]
    fn find(&self, text: &[u8], at: usize) -> Option<(T, usize)> {
        let there = u128::from_le_bytes(*text.get(at..at + 16)?.first_chunk::<16>()?);
        let length = length(there);
        let bytes = there & MASKS.get(length)?;
        let mut place = place(bytes);
        loop {
            let number = usize::from(self.places[place]);
            let &(word, meaning) = self.words.get(number.wrapping_sub(1))?;
            if word == bytes {
                return Some((meaning, at + length));
            }
            place = (place + 1) % PLACES;
        }
    }
}

#[inline(always)]
fn eight(text: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*text.get(at..at + 8)?.first_chunk::<8>()?))
}

const INVOKE: u64 = u64::from_le_bytes(*b"\"invoke\"");
const OK: u64 = u64::from_le_bytes(*b"\"ok\"\0\0\0\0");
const FAIL: u64 = u64::from_le_bytes(*b"\"fail\"\0\0");
const INFO: u64 = u64::from_le_bytes(*b"\"info\"\0\0");

#[inline(always)]
fn kind(text: &[u8], at: usize) -> Option<(Type, usize)> {
    let there = eight(text, at)?;
    if there == INVOKE {
        Some((Type::Invoke, at + 8))
    } else if there << 32 == OK << 32 {
        Some((Type::Ok, at + 4))
    } else if there << 16 == FAIL << 16 {
        Some((Type::Fail, at + 6))
    } else if there << 16 == INFO << 16 {
        Some((Type::Info, at + 6))
    } else {
        None
    }
}

/// Of eight bytes the value of each as a digit, and how many from the first on are digits.
#[inline(always)]
fn digits(there: u64) -> (u64, u32) {
    let values = there ^ 0x3030_3030_3030_3030;
    // A byte above 9 sets its highest bit; what it carries goes only to bytes behind it.
    let others = (values.wrapping_add(0x7676_7676_7676_7676) | values) & 0x8080_8080_8080_8080;
    (values, others.trailing_zeros() / 8)
}

/// The number of the first `count` of eight digits; `count` is 1 to 8.
#[inline(always)]
fn number(values: u64, count: u32) -> u64 {
    let values = values << (64 - 8 * count);
    let pairs = values.wrapping_mul(10).wrapping_add(values >> 8);
    let low = (pairs & 0x0000_00ff_0000_00ff).wrapping_mul(0x000f_4240_0000_0064);
    let high = (pairs >> 16 & 0x0000_00ff_0000_00ff).wrapping_mul(0x0000_2710_0000_0001);
    low.wrapping_add(high) >> 32
}

/// Whether no number begins with these eight bytes, the first `count` of which are digits. How many there are is not to
/// be foreseen, that they are none is.
#[inline(always)]
fn is_none(there: u64, count: u32) -> bool {
    (count == 0) | ((count > 1) & (there as u8 == b'0'))
}

/// A number of at most 18 digits. What follows it is for the next literal to say.
#[inline(always)]
fn natural(text: &[u8], at: usize) -> Option<(u64, usize)> {
    let there = eight(text, at)?;
    let (values, count) = digits(there);
    if is_none(there, count) {
        return None;
    }
    let first = number(values, count);
    if count < 8 {
        return Some((first, at + count as usize));
    }
    let (values, count) = digits(eight(text, at + 8)?);
    if count == 0 {
        return Some((first, at + 8));
    }
    let scale = [0, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];
    let number = first * scale[count as usize] + number(values, count);
    if count < 8 {
        return Some((number, at + 8 + count as usize));
    }
    // 17 digits and more are for the scanner.
    (!text.get(at + 16)?.is_ascii_digit()).then_some((number, at + 16))
}

#[inline(always)]
fn skip_natural(text: &[u8], at: usize) -> Option<usize> {
    let there = eight(text, at)?;
    let (_, first) = digits(there);
    if is_none(there, first) {
        return None;
    }
    if first < 8 {
        return Some(at + first as usize);
    }
    let (_, second) = digits(eight(text, at + 8)?);
    let end = at + 8 + second as usize;
    (second < 8 || !text.get(end)?.is_ascii_digit()).then_some(end)
}

const NULL: u32 = u32::from_le_bytes(*b"null");
const ONE_DIGIT: u64 = b'0' as u64;

/// Whether a small number comes or null is not to be foreseen: null is read as a number of one digit, with another id
/// and another length.
#[inline(always)]
fn value(text: &[u8], at: usize, values: &mut Values) -> Option<(Id, usize)> {
    let there = eight(text, at)?;
    let is_null = there as u32 == NULL;
    let there = select_unpredictable(is_null, ONE_DIGIT, there);
    let (digits, count) = digits(there);
    if is_none(there, count) | (count == 8) {
        return other_value(text, at, values);
    }
    let number = number(digits, count) as u32;
    let id = select_unpredictable(is_null, values::NULL, Id::of_small(number));
    Some((id, at + select_unpredictable(is_null, 4, count as usize)))
}

#[inline(never)]
fn other_value(text: &[u8], at: usize, values: &mut Values) -> Option<(Id, usize)> {
    match text[at] {
        b'0'..=b'9' => {
            let (number, end) = natural(text, at)?;
            Some((values.int(i64::try_from(number).ok()?), end))
        }
        b'[' => pair(text, at, values).or_else(|| any(text, at, values)),
        b'"' | b'-' | b't' | b'f' => any(text, at, values),
        _ => None,
    }
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

fn any(text: &[u8], at: usize, values: &mut Values) -> Option<(Id, usize)> {
    let mut scan = Scan { text, at };
    let id = scan.value(values, 0)?;
    Some((id, scan.at))
}

#[inline(never)]
fn string(text: &[u8], at: usize, values: &mut Values) -> Option<(Id, usize)> {
    let mut scan = Scan { text, at };
    let id = scan.string_value(values)?;
    Some((id, scan.at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::History;
    use crate::read::scan;

    const LINES: [&str; 6] = [
        r#"{"time":8123456789,"process":3,"type":"invoke","f":"write","key":7,"value":42,"node":"n2"}"#,
        r#"{"process": 12345678, "type": "ok", "f": "read", "value": null}"#,
        r#"{"type":"fail","process":1234567812345678,"f":"read","value":-5,"key":"a b"}"#,
        r#"{"process":0,"type":"info","f":"read","value":[1,[-2,"x"],[],true,false,null]}"#,
        r#"{"value":123456789012,"f":"write","type":"ok","process":9}"#,
        r#"{"process":1,"type":"ok","f":"read","value":[120,3]}"#,
    ];

    /// Whether the layout takes `line`, with more behind it; its event must then be the scanner's.
    fn agrees(layouts: &Layouts, history: &mut History, line: &[u8]) -> bool {
        let text = [line, b"\n", LINES[0].as_bytes(), b"\n"].concat();
        let mut event = NOTHING;
        let Some(end) = layouts.event(&text, 0, &mut history.values, &mut event) else {
            return false;
        };
        assert_eq!(end, line.len() + 1, "{}", String::from_utf8_lossy(line));
        let scanned = scan::event(line, history);
        assert_eq!(Some(event), scanned, "{}", String::from_utf8_lossy(line));
        true
    }

    fn learned() -> (Layouts, History) {
        let words = vec!["read".to_string(), "write".to_string()];
        (Layouts::new(false), History { words, ..History::default() })
    }

    #[test]
    fn a_line_like_the_one_before_is_taken_and_with_any_byte_changed_read_as_the_scanner_reads_it()
    {
        let mut taken = 0;
        for line in LINES {
            let (mut layouts, mut history) = learned();
            assert!(!agrees(&layouts, &mut history, line.as_bytes()));
            let event = scan::event(line.as_bytes(), &mut history).unwrap();
            layouts.learn(line.as_bytes(), &event);
            assert!(agrees(&layouts, &mut history, line.as_bytes()), "{line}");
            for at in 0..line.len() {
                let bytes = line.as_bytes();
                for byte in (0..=255).filter(|&byte| byte != b'\n') {
                    let mut changed = bytes.to_vec();
                    changed[at] = byte;
                    taken += usize::from(agrees(&layouts, &mut history, &changed));
                }
                let left_out = [&bytes[..at], &bytes[at + 1..]].concat();
                let doubled = [&bytes[..=at], &bytes[at..]].concat();
                taken += usize::from(agrees(&layouts, &mut history, &left_out));
                taken += usize::from(agrees(&layouts, &mut history, &doubled));
                taken += usize::from(agrees(&layouts, &mut history, &bytes[..at]));
            }
        }
        assert!(taken > 500, "{taken}");
    }

    #[test]
    fn numbers_of_every_length_are_the_scanners() {
        let (mut layouts, mut history) = learned();
        let line = |digits: &str| {
            format!(r#"{{"time":{digits},"process":{digits},"type":"ok","f":"read"}}"#)
        };
        let first = line("0");
        let event = scan::event(first.as_bytes(), &mut history).unwrap();
        layouts.learn(first.as_bytes(), &event);
        for length in 1..=20 {
            for digit in ["1", "9", "0"] {
                let taken = agrees(&layouts, &mut history, line(&digit.repeat(length)).as_bytes());
                let plain = digit != "0" || length == 1;
                assert_eq!(taken, plain && length <= 16, "{digit} {length} times");
            }
        }
        layouts.skip_times = true;
        let text = [line("1234567890123").as_bytes(), b"\n", first.as_bytes()].concat();
        let mut event = NOTHING;
        layouts.event(&text, 0, &mut history.values, &mut event).unwrap();
        assert_eq!((event.time, event.process), (None, 1_234_567_890_123));
    }

    #[test]
    fn words_of_every_length_are_found_whatever_places_they_share_and_no_others_are() {
        let mut words = Words::default();
        let word = |number: usize| format!("\"{}{number:02}\"", "w".repeat(number % 13));
        (0..2 * MOST_WORDS).for_each(|number| words.add(word(number).as_bytes(), number));
        words.add(b"\"seventeen bytes\"", 0);
        for number in 0..2 * MOST_WORDS {
            let word = word(number);
            let text = [word.as_bytes(), b",\"and sixteen more\""].concat();
            let kept = (number < MOST_WORDS).then_some((number, word.len()));
            assert_eq!(words.find(&text, 0), kept, "{word}");
            assert_eq!(words.find(&text[..15], 0), None, "{word}");
        }
        for other in ["seventeen bytes\"    ", "\"seventeen bytes\"", "\"no end of it is here"] {
            assert_eq!(words.find(other.as_bytes(), 0), None, "{other}");
        }
    }

    #[test]
    fn the_end_of_the_text_is_never_read_over() {
        let (mut layouts, mut history) = learned();
        let line = LINES[0].as_bytes();
        let event = scan::event(line, &mut history).unwrap();
        layouts.learn(line, &event);
        let text = [line, b"\n"].concat();
        for end in 0..=text.len() {
            let mut event = NOTHING;
            assert_eq!(layouts.event(&text[..end], 0, &mut history.values, &mut event), None);
        }
    }
}
