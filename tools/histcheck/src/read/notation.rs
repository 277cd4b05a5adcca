//! The two notations of an event's fields, as far as nearly all histories use them: objects of JSON and maps of EDN.
//!
//! What is not plain is left to the readers that know everything, and so is whatever is wrong.

use super::edn;
use super::plain::{Notation, Scan, Token};
use super::words::End;
use crate::values::{Id, Values};

/// Objects of JSON.
#[derive(Debug)]
pub struct Json;

/// Maps of EDN.
#[derive(Debug)]
pub struct Edn;

/// Objects and lists within one another deeper than this are left to the other readers.
const DEEPEST: usize = 8;

impl Notation for Json {
    const NULL: Token = Token::of(b"null");
    const TYPES: [Token; 4] = [
        Token::of(b"\"invoke\""),
        Token::of(b"\"ok\""),
        Token::of(b"\"fail\""),
        Token::of(b"\"info\""),
    ];

    #[inline(always)]
    fn ends(byte: u8) -> bool {
        matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t')
    }

    #[inline(always)]
    fn is_blank(byte: u8) -> bool {
        matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
    }

    fn open(scan: &mut Scan<'_>) -> Option<()> {
        scan.byte::<Json>(b'{')
    }

    fn name<'a>(scan: &mut Scan<'a>) -> Option<&'a [u8]> {
        scan.peek::<Json>()?;
        let name = scan.plain_string()?;
        name.is_ascii().then_some(())?;
        scan.byte::<Json>(b':')?;
        scan.peek::<Json>()?;
        Some(name)
    }

    fn more(scan: &mut Scan<'_>) -> Option<bool> {
        match scan.take::<Json>()? {
            b',' => Some(true),
            b'}' => Some(false),
            _ => None,
        }
    }

    fn word<'a>(scan: &mut Scan<'a>) -> Option<&'a [u8]> {
        scan.plain_string()
    }

    fn node(scan: &mut Scan<'_>, values: &mut Values) -> Option<Id> {
        scan.string_value(values)
    }

    fn value(scan: &mut Scan<'_>, values: &mut Values) -> Option<Id> {
        json_value(scan, values, 0)
    }

    fn pass(scan: &mut Scan<'_>, depth: usize) -> Option<()> {
        (depth < DEEPEST).then_some(())?;
        match *scan.text.get(scan.at)? {
            b'"' => scan.any_string(),
            b'[' => {
                scan.at += 1;
                if scan.peek::<Json>()? == b']' {
                    scan.at += 1;
                    return Some(());
                }
                loop {
                    scan.peek::<Json>()?;
                    Json::pass(scan, depth + 1)?;
                    match scan.take::<Json>()? {
                        b',' => {}
                        b']' => return Some(()),
                        _ => return None,
                    }
                }
            }
            b'{' => scan.object::<Json>(depth),
            b'-' | b'0'..=b'9' => scan.number::<Json>().map(|_| ()),
            _ => scan.constant::<Json>().map(|_| ()),
        }
    }

    fn end(_first: u8, _next: u8) -> End {
        End::QUOTE
    }

    fn between(text: &[u8], at: usize) -> Option<usize> {
        let at = blank::<Json>(text, at);
        (text.get(at) == Some(&b',')).then_some(())?;
        let at = blank::<Json>(text, at + 1);
        (text.get(at) == Some(&b'{')).then_some(at)
    }
}

fn json_value(scan: &mut Scan<'_>, values: &mut Values, depth: usize) -> Option<Id> {
    match scan.peek::<Json>()? {
        b'"' => scan.string_value(values),
        b'[' => {
            (depth < DEEPEST).then_some(())?;
            scan.at += 1;
            let mut items = Vec::new();
            if scan.peek::<Json>()? == b']' {
                scan.at += 1;
                return Some(values.items(&items));
            }
            loop {
                items.push(json_value(scan, values, depth + 1)?);
                match scan.take::<Json>()? {
                    b',' => {}
                    b']' => return Some(values.items(&items)),
                    _ => return None,
                }
            }
        }
        b'-' | b'0'..=b'9' => scan.number_value::<Json>(values),
        _ => scan.constant::<Json>().map(|constant| constant.value(values)),
    }
}

impl Notation for Edn {
    const NULL: Token = Token::of(b"nil");
    const TYPES: [Token; 4] =
        [Token::of(b":invoke"), Token::of(b":ok"), Token::of(b":fail"), Token::of(b":info")];

    #[inline(always)]
    fn ends(byte: u8) -> bool {
        edn::ENDS[usize::from(byte)]
    }

    #[inline(always)]
    fn is_blank(byte: u8) -> bool {
        matches!(byte, b' ' | b',' | b'\n' | b'\r' | b'\t' | 0x0c)
    }

    fn open(scan: &mut Scan<'_>) -> Option<()> {
        if scan.peek::<Edn>()? == b'#' {
            scan.at += 1;
            edn::is_record(std::str::from_utf8(scan.token::<Edn>()?).ok()?).then_some(())?;
        }
        scan.byte::<Edn>(b'{')
    }

    fn name<'a>(scan: &mut Scan<'a>) -> Option<&'a [u8]> {
        scan.byte::<Edn>(b':')?;
        let name = scan.token::<Edn>()?;
        // Anything else may be no name of JSON.
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_?!.*".contains(byte);
        (name.first()?.is_ascii_alphabetic() && name.iter().all(is_plain)).then_some(())?;
        scan.peek::<Edn>()?;
        Some(name)
    }

    fn more(scan: &mut Scan<'_>) -> Option<bool> {
        match scan.peek::<Edn>()? {
            b':' => Some(true),
            b'}' => {
                scan.at += 1;
                Some(false)
            }
            _ => None,
        }
    }

    fn word<'a>(scan: &mut Scan<'a>) -> Option<&'a [u8]> {
        scan.byte::<Edn>(b':')?;
        scan.token::<Edn>()
    }

    fn node(scan: &mut Scan<'_>, values: &mut Values) -> Option<Id> {
        match scan.peek::<Edn>()? {
            b'"' => scan.string_value(values),
            _ => {
                let name = std::str::from_utf8(Edn::word(scan)?).ok()?;
                let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
                name.bytes().all(is_plain).then(|| values.text(&format!("\"{name}\"")))
            }
        }
    }

    fn value(scan: &mut Scan<'_>, values: &mut Values) -> Option<Id> {
        edn_value(scan, values, 0)
    }

    fn pass(scan: &mut Scan<'_>, depth: usize) -> Option<()> {
        (depth < DEEPEST).then_some(())?;
        match *scan.text.get(scan.at)? {
            b'"' => scan.plain_string().map(|_| ()),
            b':' => Edn::word(scan).map(|_| ()),
            b'[' => {
                scan.at += 1;
                while scan.peek::<Edn>()? != b']' {
                    Edn::pass(scan, depth + 1)?;
                }
                scan.at += 1;
                Some(())
            }
            b'{' => scan.object::<Edn>(depth),
            b'-' | b'0'..=b'9' => scan.number::<Edn>().map(|_| ()),
            _ => scan.constant::<Edn>().map(|_| ()),
        }
    }

    fn end(first: u8, next: u8) -> End {
        if first == b'"' { End::QUOTE } else { End::before(next) }
    }

    fn between(text: &[u8], at: usize) -> Option<usize> {
        let at = blank::<Edn>(text, at);
        matches!(text.get(at)?, b'{' | b'#').then_some(at)
    }
}

/// Keywords and tags mean too many things in a value: there it is numbers, strings, and vectors of these. Only in the
/// steps of a transaction, which are vectors within one, the keyword that leads is a word.
fn edn_value(scan: &mut Scan<'_>, values: &mut Values, depth: usize) -> Option<Id> {
    match scan.peek::<Edn>()? {
        b'"' => scan.string_value(values),
        b'[' => {
            (depth < DEEPEST).then_some(())?;
            scan.at += 1;
            let mut items = Vec::new();
            let mut is_step = false;
            loop {
                match (scan.peek::<Edn>()?, items.is_empty()) {
                    (b']', _) => break,
                    (b'"', true) if depth > 0 => return None,
                    (b':', true) if depth > 0 => {
                        let word = std::str::from_utf8(Edn::word(scan)?).ok()?;
                        edn::STEPS.contains(&word).then_some(())?;
                        is_step = true;
                        items.push(values.text(&format!("\"{word}\"")));
                    }
                    _ => items.push(edn_value(scan, values, depth + 1)?),
                }
            }
            scan.at += 1;
            (!is_step || items.len() == 3).then(|| values.items(&items))
        }
        b'-' | b'0'..=b'9' => scan.number_value::<Edn>(values),
        _ => scan.constant::<Edn>().map(|constant| constant.value(values)),
    }
}

/// The first byte from `at` on that is not blank.
fn blank<N: Notation>(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|&&byte| N::is_blank(byte)).count()
}
