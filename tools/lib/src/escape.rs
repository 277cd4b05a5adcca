//! Text of others in what people read: nothing in it steers a terminal or turns the order of letters round.
//!
//! File names, values of a history, words of a database, what a node prints: whoever wrote them may mean harm. So
//! messages, tables and verdicts show control characters (ESC begins what moves the cursor, or types for the
//! reader), the marks that turn the direction of writing, and Unicode's separators of lines as escapes: `\x1b`,
//! `\u{202e}`. A backslash stays as it is: this is for eyes. What programs read (JSON, a history, what `exec`
//! passes on) is not touched.

use std::borrow::Cow;
use std::fmt::Write;

/// One line: newlines and tabs are escaped too.
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, |_| false)
}

/// Text of several lines: its newlines and tabs are its form, and stay.
pub fn text(text: &str) -> Cow<'_, str> {
    escaped(text, |c| matches!(c, '\n' | '\t'))
}

/// A line that may not be UTF-8, with its tabs; a byte that is part of no character is shown as `\xff`.
pub fn bytes(line: &[u8]) -> String {
    let mut shown = String::with_capacity(line.len());
    for chunk in line.utf8_chunks() {
        shown += &escaped(chunk.valid(), |c| c == '\t');
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            let _ = write!(shown, "\\x{byte:02x}");
        }
    }
    shown
}

/// The first `most` characters of a text, with dots if there are more.
pub fn beginning(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}...", &text[..end])),
    }
}

/// A word of the user's in quotes, for a message; of a long one the beginning.
pub fn cited(text: &str) -> String {
    if text.chars().count() <= 80 {
        return format!("{text:?}");
    }
    let start: String = text.chars().take(40).collect();
    format!("{start:?}... ({} characters)", text.chars().count())
}

/// As [`cited`], but without quotes while it is short.
pub fn named(text: &str) -> Cow<'_, str> {
    if text.chars().count() <= 80 { line(text) } else { Cow::Owned(cited(text)) }
}

fn escaped(text: &str, stays: fn(char) -> bool) -> Cow<'_, str> {
    let needs = |c: char| steers(c) && !stays(c);
    // Nearly all text has no such byte, and is not looked at again.
    if !text.bytes().any(may_begin) {
        return Cow::Borrowed(text);
    }
    let Some(first) = text.find(needs) else { return Cow::Borrowed(text) };
    let mut shown = String::with_capacity(text.len() + 16);
    shown += &text[..first];
    for c in text[first..].chars() {
        if needs(c) { push(&mut shown, c) } else { shown.push(c) }
    }
    Cow::Owned(shown)
}

/// Whether a terminal does something at it other than showing it.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{206f}')
}

/// Whether a character that [`steers`] may begin with this byte of UTF-8.
fn may_begin(byte: u8) -> bool {
    byte < 0x20 || matches!(byte, 0x7f | 0xc2 | 0xd8 | 0xe2)
}

fn push(shown: &mut String, c: char) {
    // Writing to a string cannot fail.
    let _ = match c {
        '\n' => shown.write_str("\\n"),
        '\t' => shown.write_str("\\t"),
        '\r' => shown.write_str("\\r"),
        c if c.is_ascii() => write!(shown, "\\x{:02x}", u32::from(c)),
        c => write!(shown, "\\u{{{:x}}}", u32::from(c)),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_shown() {
        assert_eq!(line("a\x1b]0;x\x07b\n\r\t\x7f"), "a\\x1b]0;x\\x07b\\n\\r\\t\\x7f");
        assert_eq!(line("\u{9b}31m \u{85} \u{2028}"), "\\u{9b}31m \\u{85} \\u{2028}");
        assert_eq!(text("a\tb\nc\r\n\u{202e}d"), "a\tb\nc\\r\n\\u{202e}d");
        assert_eq!(bytes(b"a\tb\xff\xe2\x80\x1b[m\xc2"), "a\tb\\xff\\xe2\\x80\\x1b[m\\xc2");
    }

    #[test]
    fn every_character_is_escaped_exactly_if_it_steers() {
        let bidi = "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}";
        for c in '\0'..=char::MAX {
            let one = c.to_string();
            let plain = line(&one) == one;
            assert_eq!(plain, !steers(c), "U+{:04X}", u32::from(c));
            if c.is_control() || bidi.contains(c) || matches!(c, '\u{2028}' | '\u{2029}') {
                assert!(!plain, "U+{:04X}", u32::from(c));
            }
            assert!(!line(&one).chars().any(steers));
        }
    }

    #[test]
    fn what_needs_nothing_is_not_copied() {
        for plain in ["", "valid: 3 operations", "größer └──┘ \u{a0} é ✓ \\x1b"] {
            assert!(matches!(line(plain), Cow::Borrowed(_)), "{plain}");
        }
        assert!(matches!(text("two\n\tlines\n"), Cow::Borrowed(_)));
    }
}
