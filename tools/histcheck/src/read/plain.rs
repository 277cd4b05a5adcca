//! The plain pieces of a text in some notation: numbers, strings without escapes, words.

use super::digits;
use super::words::End;
use crate::values::{Id, NULL, Values};

/// How an object or a map is written.
pub trait Notation {
    /// What is nothing.
    const NULL: Token;
    /// The types, in the order invoke, ok, fail, info.
    const TYPES: [Token; 4];

    /// Whether a byte may stand behind a number or a word.
    fn ends(byte: u8) -> bool;
    /// Whether a byte is blank.
    fn is_blank(byte: u8) -> bool;
    /// Passes what opens an event.
    fn open(scan: &mut Scan<'_>) -> Option<()>;
    /// Passes the name of a field, up to its value.
    fn name<'a>(scan: &mut Scan<'a>) -> Option<&'a [u8]>;
    /// Passes what stands behind a value: whether another field comes.
    fn more(scan: &mut Scan<'_>) -> Option<bool>;
    /// Passes a word, as types and names of operations are; without its marks.
    fn word<'a>(scan: &mut Scan<'a>) -> Option<&'a [u8]>;
    /// Passes the name of a node.
    fn node(scan: &mut Scan<'_>, values: &mut Values) -> Option<Id>;
    /// Passes a value.
    fn value(scan: &mut Scan<'_>, values: &mut Values) -> Option<Id>;
    /// Passes what nobody asks for.
    fn pass(scan: &mut Scan<'_>, depth: usize) -> Option<()>;
    /// How the word ends that begins with `first` and that `next` stands behind.
    fn end(first: u8, next: u8) -> End;
    /// Behind the event that ends at a byte, the place at which the next begins; `None` where none does.
    fn between(text: &[u8], at: usize) -> Option<usize>;
}

/// A word of at most eight bytes.
#[derive(Clone, Copy, Debug)]
pub struct Token {
    /// Its bytes.
    pub bytes: u64,
    /// Which of eight are its.
    pub mask: u64,
    /// How many.
    pub length: usize,
}

impl Token {
    /// The token of a word.
    pub const fn of(word: &[u8]) -> Token {
        let (mut bytes, mut mask, mut at) = (0, 0, 0);
        while at < word.len() {
            bytes |= (word[at] as u64) << (8 * at);
            mask |= 0xff << (8 * at);
            at += 1;
        }
        Token { bytes, mask, length: word.len() }
    }

    /// Whether eight bytes begin with it.
    #[inline(always)]
    pub fn begins(&self, there: u64) -> bool {
        there & self.mask == self.bytes
    }
}

/// A place in a text.
#[derive(Debug)]
pub struct Scan<'a> {
    /// The text.
    pub text: &'a [u8],
    /// The place.
    pub at: usize,
}

/// What has a word of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Constant {
    /// Nothing.
    Null,
    /// A boolean.
    Is(bool),
}

impl Constant {
    /// As a value.
    pub fn value(self, values: &mut Values) -> Id {
        match self {
            Constant::Null => NULL,
            Constant::Is(true) => values.text("true"),
            Constant::Is(false) => values.text("false"),
        }
    }
}

/// Integers of so many digits fit in 64 bits, with their sign.
const DIGITS: usize = 18;

/// To compare each name of an object with all others takes longer.
const MOST_NAMES: usize = 32;

impl<'a> Scan<'a> {
    /// The next byte that is not blank.
    #[inline(always)]
    pub fn peek<N: Notation>(&mut self) -> Option<u8> {
        loop {
            let byte = *self.text.get(self.at)?;
            if !N::is_blank(byte) {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// Passes it.
    #[inline(always)]
    pub fn take<N: Notation>(&mut self) -> Option<u8> {
        let byte = self.peek::<N>()?;
        self.at += 1;
        Some(byte)
    }

    /// Passes it where it is the one that is wanted.
    #[inline(always)]
    pub fn byte<N: Notation>(&mut self, wanted: u8) -> Option<()> {
        (self.take::<N>()? == wanted).then_some(())
    }

    /// Passes a string without escapes and control characters, which begins here; its inside.
    pub fn plain_string(&mut self) -> Option<&'a [u8]> {
        (self.text.get(self.at) == Some(&b'"')).then_some(())?;
        let begin = self.at + 1;
        let mut end = digits::end_of_plain(self.text, begin)?;
        let is_ascii = self.text[end] < 0x80;
        while self.text[end] >= 0x80 {
            end = digits::end_of_plain(self.text, end + 1)?;
        }
        (self.text[end] == b'"').then_some(())?;
        let inside = &self.text[begin..end];
        (is_ascii || std::str::from_utf8(inside).is_ok()).then_some(())?;
        self.at = end + 1;
        Some(inside)
    }

    /// Passes a string of JSON; one with escapes of sixteen bits is left to others.
    pub fn any_string(&mut self) -> Option<()> {
        let begin = self.at;
        if self.plain_string().is_some() {
            return Some(());
        }
        (self.text.get(begin) == Some(&b'"')).then_some(())?;
        let mut at = begin + 1;
        loop {
            at = digits::end_of_plain(self.text, at)?;
            match self.text[at] {
                b'"' => break,
                b'\\' => {
                    let escaped = self.text.get(at + 1)?;
                    b"\"\\/bfnrt".contains(escaped).then_some(())?;
                    at += 2;
                }
                ..=0x1f => return None,
                _ => at += 1,
            }
        }
        std::str::from_utf8(&self.text[begin..at]).ok()?;
        self.at = at + 1;
        Some(())
    }

    /// A string as a value: kept with its quotes, as JSON text.
    pub fn string_value(&mut self, values: &mut Values) -> Option<Id> {
        let begin = self.at;
        self.plain_string()?;
        Some(values.text(std::str::from_utf8(&self.text[begin..self.at]).ok()?))
    }

    /// Passes what is no blank, bracket or quote; there is at least a byte of it.
    pub fn token<N: Notation>(&mut self) -> Option<&'a [u8]> {
        let rest = self.text.get(self.at..)?;
        let length = rest.iter().position(|&byte| N::ends(byte))?;
        let token = &rest[..length];
        (length > 0 && token.iter().all(u8::is_ascii_graphic)).then_some(())?;
        self.at += length;
        Some(token)
    }

    /// Passes a number of at most [`DIGITS`] digits.
    pub fn natural<N: Notation>(&mut self) -> Option<u64> {
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
        (digits > 0 && !leading_zero && N::ends(*self.text.get(self.at)?)).then_some(number)
    }

    /// Passes a number of JSON, of whatever length; its text.
    pub fn number<N: Notation>(&mut self) -> Option<&'a [u8]> {
        let begin = self.at;
        self.at += usize::from(self.text.get(begin) == Some(&b'-'));
        let whole = self.digits()?;
        (whole.len() == 1 || whole[0] != b'0').then_some(())?;
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.text.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.text.get(self.at), Some(b'+' | b'-')));
            self.digits()?;
        }
        N::ends(*self.text.get(self.at)?).then(|| &self.text[begin..self.at])
    }

    fn digits(&mut self) -> Option<&'a [u8]> {
        let rest = self.text.get(self.at..)?;
        let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += length;
        (length > 0).then_some(&rest[..length])
    }

    /// A number as a value; one with an exponent is left to others.
    pub fn number_value<N: Notation>(&mut self, values: &mut Values) -> Option<Id> {
        let text = std::str::from_utf8(self.number::<N>()?).ok()?;
        match text.parse() {
            Ok(int) => Some(values.int(int)),
            Err(_) if text.contains(['e', 'E']) => None,
            Err(_) => Some(values.number(text)),
        }
    }

    /// Passes null or a boolean.
    pub fn constant<N: Notation>(&mut self) -> Option<Constant> {
        let (word, constant) = match self.text.get(self.at)? {
            b'n' => (&b"nullnil"[..], Constant::Null),
            b't' => (&b"true"[..], Constant::Is(true)),
            b'f' => (&b"false"[..], Constant::Is(false)),
            _ => return None,
        };
        let word = match constant {
            Constant::Null if N::NULL.length == 4 => &word[..4],
            Constant::Null => &word[4..],
            Constant::Is(_) => word,
        };
        self.text[self.at..].starts_with(word).then_some(())?;
        self.at += word.len();
        N::ends(*self.text.get(self.at)?).then_some(constant)
    }

    /// Passes an object whose names are all different, which begins here.
    pub fn object<N: Notation>(&mut self, depth: usize) -> Option<()> {
        self.at += 1;
        if self.peek::<N>()? == b'}' {
            self.at += 1;
            return Some(());
        }
        let mut names = Names::default();
        loop {
            names.add(N::name(self)?)?;
            N::pass(self, depth + 1)?;
            if !N::more(self)? {
                return Some(());
            }
        }
    }
}

/// Names, all different.
#[derive(Default)]
pub struct Names<'a>(Vec<&'a [u8]>);

impl<'a> Names<'a> {
    /// Takes a name; `None` where it stands there already, or is one too many.
    pub fn add(&mut self, name: &'a [u8]) -> Option<()> {
        (self.0.len() < MOST_NAMES && !self.0.contains(&name)).then(|| self.0.push(name))
    }
}
