//! An event by hand: for plain objects and maps, which are nearly all.
//!
//! It understands the fields that every event has, in any order, with numbers, plain strings, words and lists of these
//! as values, and passes over what others stand beside them. Whatever else there is (an escape in a value, an object
//! as a value, a field twice, an error of any kind) it leaves to [`super::line`] and the readers of texts, which know
//! everything and say what is wrong. So it never decides that an event is bad, and where it gives one it is the same
//! event; tests hold the two together.

use breakit::op::Type;

use super::event::Event;
use super::line;
use super::notation::Json;
use super::plain::{Constant, Names, Notation, Scan};
use crate::history::History;
use crate::values::{Id, Values};

/// The event of a client that begins at a byte, and the place behind it; `None` where it is not plain enough.
pub fn event<N: Notation>(text: &[u8], at: usize, history: &mut History) -> Option<(Event, usize)> {
    let mut fields = Fields::default();
    let mut scan = Scan { text, at };
    N::open(&mut scan)?;
    loop {
        let name = N::name(&mut scan)?;
        fields.take::<N>(name, &mut scan, &mut history.values)?;
        if !N::more(&mut scan)? {
            break;
        }
    }
    let word = fields.f?;
    let f = history.words.iter().position(|known| known.as_bytes() == word)?;
    let event = Event {
        process: fields.process?,
        kind: fields.kind?,
        f: u16::try_from(f).ok()?,
        key: fields.key,
        value: fields.value,
        node: fields.node,
        is_final: fields.is_final,
        time: fields.time,
        index: fields.index,
    };
    Some((event, scan.at))
}

/// The event of a line of JSON, and the place behind its object; nothing else may be on the line.
pub fn line(text: &[u8], history: &mut History) -> Option<(Event, usize)> {
    let (event, end) = event::<Json>(text, 0, history)?;
    text[end..].iter().all(|&byte| Json::is_blank(byte)).then_some((event, end))
}

/// What was found so far; a field twice ends the scan.
#[derive(Default)]
struct Fields<'a> {
    names: Names<'a>,
    time: Option<u64>,
    process: Option<u64>,
    kind: Option<Type>,
    f: Option<&'a [u8]>,
    key: Option<Id>,
    value: Option<Id>,
    node: Option<Id>,
    is_final: bool,
    index: Option<u64>,
}

impl<'a> Fields<'a> {
    fn take<N: Notation>(
        &mut self,
        name: &'a [u8],
        scan: &mut Scan<'a>,
        values: &mut Values,
    ) -> Option<()> {
        self.names.add(name)?;
        match name {
            b"time" => self.time = natural_or_null::<N>(scan)?,
            b"process" => self.process = Some(scan.natural::<N>()?),
            b"type" => self.kind = Some(kind(N::word(scan)?)?),
            b"f" => self.f = Some(N::word(scan)?),
            b"key" => self.key = Some(N::value(scan, values)?),
            b"value" => self.value = Some(N::value(scan, values)?),
            b"node" => self.node = node_or_null::<N>(scan, values)?,
            b"final" => self.is_final = scan.constant::<N>()? == Constant::Is(true),
            b"index" => self.index = natural_or_null::<N>(scan)?,
            _ if line::is_meant(name) => return None,
            _ => N::pass(scan, 0)?,
        }
        Some(())
    }
}

fn natural_or_null<N: Notation>(scan: &mut Scan<'_>) -> Option<Option<u64>> {
    match *scan.text.get(scan.at)? {
        b'n' => null::<N>(scan).map(|()| None),
        _ => scan.natural::<N>().map(Some),
    }
}

fn node_or_null<N: Notation>(scan: &mut Scan<'_>, values: &mut Values) -> Option<Option<Id>> {
    match *scan.text.get(scan.at)? {
        b'n' => null::<N>(scan).map(|()| None),
        _ => N::node(scan, values).map(Some),
    }
}

fn null<N: Notation>(scan: &mut Scan<'_>) -> Option<()> {
    (scan.constant::<N>()? == Constant::Null).then_some(())
}

fn kind(word: &[u8]) -> Option<Type> {
    Type::of(std::str::from_utf8(word).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::line::Parsed;

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
        let Some((event, _)) = super::line(text, &mut by_hand) else { return false };
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
        r#"{"process":1,"type":"ok","f":"read","value":"é","error":null,"time":null,"node":null}"#,
        r#"{"process":1,"type":"ok","f":"read","value":[1.50,-0,12345678901234567890123,-0.0]}"#,
        r#"{"process":1,"type":"ok","f":"read","x":{"a":[1.5e-3,{"b":"\"é"}],"b":{}},"y":-1E+2}"#,
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
            "1e3",
            "1.5e3",
            "1.",
            ".5",
            "01",
            "-",
            "- 1",
            "--1",
            "-01",
            r#""a\n""#,
            "\"\u{1}\"",
            "{}",
            "nul",
            "[1,]",
            "[,]",
        ] {
            let line = format!(r#"{{"process":0,"type":"ok","f":"read","value":{value}}}"#);
            assert!(!agrees(line.as_bytes()), "{line}");
        }
        for line in [
            r#"{"process":"nemesis","type":"info","f":"read"}"#,
            r#"{"process":0,"process":0,"type":"ok","f":"read"}"#,
            r#"{"process":0,"type":"ok","f":"read","error":{"a":1,"a":1}}"#,
            r#"{"process":0,"type":"ok","f":"read","x":1,"x":1}"#,
            r#"{"process":0,"type":"ok","f":"read","x":[1,01]}"#,
            r#"{"process":0,"type":"ok","f":"read","x":"\u12"}"#,
            r#"{"process":0,"type":"ok","f":"read","x":"\x"}"#,
            r#"{"process":0,"type":"ok","f":"read","x":[[[[[[[[[[]]]]]]]]]]}"#,
            r#"{"process":0,"type":"ok","f":"read","\u0066":"read"}"#,
            r#"{"process":0,"type":"ok","f":"read","final?":true}"#,
            r#"{"process":0,"type":"ok","f":"read","start":1,"end":2}"#,
            "{\"process\":0,\"type\":\"ok\",\"f\":\"read\"}\x0c",
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
