//! A line to an event, by hand: for lines as `workload` writes them, which are nearly all.
//!
//! It understands an object of the fields that every line has, in any order, with integers, plain strings,
//! words and lists of these as values. Whatever else stands on a line (an escape, a fraction, a field of its
//! own, a field twice, an error of any kind) it leaves to [`super::line`], which knows everything and says
//! what is wrong. So it never decides that a line is bad, and where it gives an event it is the same event; a
//! test holds the two together.

use breakit::op::Type;

use super::line::Event;
use crate::history::History;
use crate::values::{Id, NULL, Values};

/// The event of a client's line; `None` where the line is not plain enough.
pub fn event(text: &[u8], history: &mut History) -> Option<Event> {
    let mut fields = Fields::default();
    let mut scan = Scan { text, at: 0 };
    scan.byte(b'{')?;
    loop {
        let name = scan.plain_string()?;
        scan.byte(b':')?;
        fields.take(name, &mut scan, &mut history.values)?;
        match scan.next()? {
            b',' => {}
            b'}' => break,
            _ => return None,
        }
    }
    scan.is_done().then_some(())?;
    let word = fields.f?;
    let f = history.words.iter().position(|known| known.as_bytes() == word)?;
    Some(Event {
        process: fields.process?,
        kind: fields.kind?,
        f: u16::try_from(f).ok()?,
        key: fields.key,
        value: fields.value,
        node: fields.node,
        is_final: fields.is_final.unwrap_or(false),
        time: fields.time,
        index: fields.index,
    })
}

/// What was found so far; a field twice ends the scan.
#[derive(Default)]
struct Fields<'a> {
    time: Option<u64>,
    process: Option<u64>,
    kind: Option<Type>,
    f: Option<&'a [u8]>,
    key: Option<Id>,
    value: Option<Id>,
    node: Option<Id>,
    is_final: Option<bool>,
    index: Option<u64>,
}

impl<'a> Fields<'a> {
    fn take(&mut self, name: &[u8], scan: &mut Scan<'a>, values: &mut Values) -> Option<()> {
        match name {
            b"time" => once(&mut self.time, scan.natural()?),
            b"process" => once(&mut self.process, scan.natural()?),
            b"type" => once(&mut self.kind, kind(scan.plain_string()?)?),
            b"f" => once(&mut self.f, scan.plain_string()?),
            b"key" => once(&mut self.key, scan.value(values, 0)?),
            b"value" => once(&mut self.value, scan.value(values, 0)?),
            b"node" => once(&mut self.node, scan.string_value(values)?),
            b"final" | b"final?" => once(&mut self.is_final, scan.boolean()?),
            b"index" => once(&mut self.index, scan.natural()?),
            _ => None,
        }
    }
}

fn once<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.replace(value).is_none().then_some(())
}

fn kind(word: &[u8]) -> Option<Type> {
    match word {
        b"invoke" => Some(Type::Invoke),
        b"ok" => Some(Type::Ok),
        b"fail" => Some(Type::Fail),
        b"info" => Some(Type::Info),
        _ => None,
    }
}

/// Lists within lists deeper than this are left to the other reader.
const DEEPEST: usize = 8;

/// Integers of so many digits fit in 64 bits, with their sign.
const DIGITS: usize = 18;

/// A place on a line.
pub(super) struct Scan<'a> {
    pub(super) text: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Scan<'a> {
    pub(super) fn peek(&mut self) -> Option<u8> {
        while self.text.get(self.at) == Some(&b' ') {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    pub(super) fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    pub(super) fn byte(&mut self, wanted: u8) -> Option<()> {
        (self.next()? == wanted).then_some(())
    }

    fn is_done(&mut self) -> bool {
        self.peek().is_none()
    }

    /// The inside of a string of printable ASCII without escapes.
    pub(super) fn plain_string(&mut self) -> Option<&'a [u8]> {
        self.byte(b'"')?;
        let begin = self.at;
        loop {
            match self.text.get(self.at)? {
                b'"' => break,
                b'\\' | ..=0x1f | 0x7f.. => return None,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        Some(&self.text[begin..self.at - 1])
    }

    /// A string as a value: kept with its quotes, as JSON text.
    pub(super) fn string_value(&mut self, values: &mut Values) -> Option<Id> {
        let inside = self.plain_string()?;
        let whole = &self.text[self.at - inside.len() - 2..self.at];
        Some(values.text(std::str::from_utf8(whole).ok()?))
    }

    /// A number of at most [`DIGITS`] digits that nothing but punctuation follows.
    fn natural(&mut self) -> Option<u64> {
        self.peek()?;
        let begin = self.at;
        let mut number = 0_u64;
        while let Some(digit @ b'0'..=b'9') = self.text.get(self.at) {
            if self.at - begin == DIGITS {
                return None;
            }
            number = number * 10 + u64::from(digit - b'0');
            self.at += 1;
        }
        let digits = self.at - begin;
        let leading_zero = digits > 1 && self.text[begin] == b'0';
        let ends = matches!(self.text.get(self.at), Some(b',' | b'}' | b']' | b' '));
        (digits > 0 && !leading_zero && ends).then_some(number)
    }

    fn integer(&mut self) -> Option<i64> {
        let negative = self.peek()? == b'-';
        self.at += usize::from(negative);
        // No space may stand between sign and digits.
        if !self.text.get(self.at)?.is_ascii_digit() {
            return None;
        }
        let number = i64::try_from(self.natural()?).ok()?;
        Some(if negative { -number } else { number })
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.peek()?;
        self.text[self.at..].starts_with(word).then(|| self.at += word.len())
    }

    fn boolean(&mut self) -> Option<bool> {
        match self.peek()? {
            b't' => self.word(b"true").map(|()| true),
            b'f' => self.word(b"false").map(|()| false),
            _ => None,
        }
    }

    pub(super) fn value(&mut self, values: &mut Values, depth: usize) -> Option<Id> {
        match self.peek()? {
            b'"' => self.string_value(values),
            b'n' => self.word(b"null").map(|()| NULL),
            b't' | b'f' => {
                let boolean = self.boolean()?;
                Some(values.text(if boolean { "true" } else { "false" }))
            }
            b'[' => self.list(values, depth),
            _ => self.integer().map(|int| values.int(int)),
        }
    }

    fn list(&mut self, values: &mut Values, depth: usize) -> Option<Id> {
        if depth == DEEPEST {
            return None;
        }
        self.byte(b'[')?;
        let mut items = Vec::new();
        if self.peek()? == b']' {
            self.at += 1;
            return Some(values.items(&items));
        }
        loop {
            items.push(self.value(values, depth + 1)?);
            match self.next()? {
                b',' => {}
                b']' => return Some(values.items(&items)),
                _ => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::line::{self, Parsed};

    /// An event in words that do not depend on the order in which values were interned.
    fn shown(event: &Event, history: &History) -> String {
        let value = |id: Option<Id>| id.map(|id| history.values.show(id));
        format!(
            "{} {:?} {} {:?} {:?} {:?} {} {:?} {:?}",
            event.process,
            event.kind,
            history.word(event.f),
            value(event.key),
            value(event.value),
            value(event.node),
            event.is_final,
            event.time,
            event.index
        )
    }

    /// Whether the scanner took the line; where it did, the event must be the other reader's.
    fn agrees(text: &[u8]) -> bool {
        let words = vec!["read".to_string(), "write".to_string()];
        let mut by_hand = History { words: words.clone(), ..History::default() };
        let mut by_library = History { words, ..History::default() };
        let Some(event) = event(text, &mut by_hand) else { return false };
        let text = String::from_utf8_lossy(text);
        match line::parse(text.as_bytes(), &mut by_library) {
            Ok(Parsed::Client(other)) => {
                assert_eq!(shown(&event, &by_hand), shown(&other, &by_library), "{text}");
            }
            other => panic!("{text}: {event:?} and {other:?}"),
        }
        true
    }

    const PLAIN: &[&str] = &[
        r#"{"time":8123456789,"process":3,"type":"invoke","f":"write","key":7,"value":42,"node":"n2"}"#,
        r#"{"process": 0, "type": "ok", "f": "read", "value": null}"#,
        r#"{"index":4,"process":0,"type":"fail","f":"read","value":-5,"key":"a b","final":true}"#,
        r#"{"process":0,"type":"info","f":"read","value":[1,[-2,"x"],[],true,false,null]}"#,
        r#"{"process":999999999999999999,"type":"ok","f":"read","value":0}"#,
    ];

    #[test]
    fn plain_lines_are_taken_and_read_as_the_library_reads_them() {
        for line in PLAIN {
            assert!(agrees(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn whatever_is_not_plain_is_left_to_the_library() {
        for value in [
            "1.5",
            "1e3",
            "01",
            "-",
            "- 1",
            "--1",
            "-01",
            r#""a\n""#,
            r#""é""#,
            "{}",
            "nul",
            "[1,]",
            "[,]",
            "1234567890123456789",
        ] {
            let line = format!(r#"{{"process":0,"type":"ok","f":"read","value":{value}}}"#);
            assert!(!agrees(line.as_bytes()), "{line}");
        }
        for line in [
            r#"{"process":"nemesis","type":"info","f":"read"}"#,
            r#"{"process":0,"process":0,"type":"ok","f":"read"}"#,
            r#"{"process":0,"type":"ok","f":"read","error":"x"}"#,
            r#"{"process":0,"type":"ok","f":"unheard"}"#,
            r#"{"process":0,"type":"ok","f":"read"} x"#,
            r#"{"process":0,"type":"ok","f":"read",}"#,
            r#"{"type":"ok","f":"read"}"#,
            "{}",
            "",
        ] {
            assert!(!agrees(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn with_any_byte_changed_left_out_or_doubled_the_two_readers_still_agree() {
        let mut taken = 0;
        for line in PLAIN {
            for at in 0..line.len() {
                let bytes = line.as_bytes();
                for byte in 0..=255_u8 {
                    let mut changed = bytes.to_vec();
                    changed[at] = byte;
                    taken += usize::from(agrees(&changed));
                }
                let left_out = [&bytes[..at], &bytes[at + 1..]].concat();
                let doubled = [&bytes[..=at], &bytes[at..]].concat();
                taken += usize::from(agrees(&left_out)) + usize::from(agrees(&doubled));
                taken += usize::from(agrees(&bytes[..at]));
            }
        }
        assert!(taken > 1000, "{taken}");
    }
}
