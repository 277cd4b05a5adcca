//! Inputs that are no text of a history, recognised by their first bytes, with what to do about each.

/// How many bytes show what an input is; the mark of tar stands behind the first header's names.
pub const ENOUGH: usize = 264;

/// Whether so many bytes are enough to tell. A text shows itself with its first line, so that nobody waits for more
/// of a pipe.
pub fn is_decided_by(head: &[u8]) -> bool {
    head.len() >= ENOUGH || first_line(head).is_some()
}

/// The first line of a text, or so much more that it shows whether it is one; `None` where that is not there yet, or
/// not of a text.
fn first_line(head: &[u8]) -> Option<&[u8]> {
    let begin = head.iter().position(|byte| !byte.is_ascii_whitespace())?;
    let end = begin + memchr::memchr(b'\n', &head[begin..])? + 1;
    head.get(..end.max(LONGEST_MARK)).filter(|line| !line.contains(&0))
}

/// The marks of other data than archives of tar have so many bytes at most.
const LONGEST_MARK: usize = 8;

/// What an input is that is no history, and what to do, in words; `None` for a text.
pub fn what(head: &[u8]) -> Option<&'static str> {
    let head = first_line(head).unwrap_or(head);
    if let Some(what) = encoding(head) {
        return Some(what);
    }
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    Some(match head {
        [b'J', b'E', b'P', b'S', b'E', b'N', ..] => {
            "this is Jepsen's binary store (test.jepsen); give the history.edn or history.txt that stands beside it in \
             the same folder"
        }
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => {
            "this is a zip archive; unpack it and give the history in it, as unzip -p ARCHIVE HISTORY does"
        }
        [b'7', b'z', 0xbc, 0xaf, ..] => {
            "this is a 7z archive; unpack it and give the history in it"
        }
        _ if is_tar(head) => {
            "this is a tar archive; unpack it and give the history in it, as tar -xOf ARCHIVE HISTORY does"
        }
        [0x89, b'P', b'N', b'G', ..] => PICTURE,
        [b'G', b'I', b'F', b'8', ..] | [0xff, 0xd8, 0xff, ..] => PICTURE,
        [b'%', b'P', b'D', b'F', ..] => "this is a PDF file and no history",
        [0x7f, b'E', b'L', b'F', ..] => "this is a program and no history",
        [b'S', b'Q', b'L', b'i', b't', b'e', ..] => {
            "this is an SQLite database; write its rows as CSV and give that"
        }
        [b'P', b'A', b'R', b'1', ..] => {
            "this is a Parquet file; write its rows as CSV and give that"
        }
        _ if begins(text, b"<!doctype") || begins(text, b"<html") || begins(text, b"<?xml") => {
            "this is a page of HTML or XML and no history; download the file itself"
        }
        _ if head[..head.len().min(LONGEST_MARK)].contains(&0) => {
            "this is binary data and no text; give the history as JSON lines, EDN, CSV or a log"
        }
        _ => return None,
    })
}

/// In which encoding other than UTF-8 a text is, and what to do; `None` where it shows none.
pub fn encoding(head: &[u8]) -> Option<&'static str> {
    match head {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Some(UTF_32),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some(UTF_16),
        [a, 0, 0, 0, ..] | [0, 0, 0, a, ..] if a.is_ascii_graphic() => Some(UTF_32),
        [a, 0, b, 0, ..] | [0, a, 0, b, ..] if a.is_ascii_graphic() && b.is_ascii_graphic() => {
            Some(UTF_16)
        }
        [b'{' | b'[' | b'(' | b'"' | b'#', 0, ..] | [0, b'{' | b'[' | b'(' | b'"' | b'#', ..] => {
            Some(UTF_16)
        }
        _ => None,
    }
}

const UTF_32: &str = "this is UTF-32; turn it into UTF-8, as iconv -f UTF-32 -t UTF-8 does";

const UTF_16: &str = "this is UTF-16, as PowerShell's > writes it; turn it into UTF-8, as iconv -f UTF-16 -t UTF-8 does";

const PICTURE: &str = "this is a picture and no history; give the history from which it was drawn";

fn begins(text: &[u8], word: &[u8]) -> bool {
    text.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word))
}

fn is_tar(head: &[u8]) -> bool {
    head.get(257..262) == Some(b"ustar") && head[..257].contains(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_named_and_a_text_is_not() {
        let mut tar = vec![0; 512];
        tar[..5].copy_from_slice(b"a.edn");
        tar[257..262].copy_from_slice(b"ustar");
        for (head, word) in [
            (&tar[..], "tar"),
            (b"JEPSEN\0\0\0\x01", "Jepsen"),
            (b"\xff\xfe{\0", "UTF-16"),
            (b"\xff\xfe\0\0{\0\0\0", "UTF-32"),
            (b"{\0\0\0\"\0\0\0", "UTF-32"),
            (b"[\0{\0", "UTF-16"),
            (b"\0{\0\"", "UTF-16"),
            (b"I\0N\0F\0O\0", "UTF-16"),
            (b"PK\x03\x04", "zip"),
            (b"\x89PNG\r\n\x1a\n", "picture"),
            (b"\n<!DOCTYPE html>", "HTML"),
            (b"abc\0", "binary"),
        ] {
            assert!(what(head).is_some_and(|said| said.contains(word)), "{word}");
        }
        for text in ["", "{\"a\":1}", "PK", "JEPSE", "<a>", "\u{feff}{", "r(0,1,2,3)"] {
            assert_eq!(what(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn what_stands_behind_the_first_line_of_a_text_changes_nothing() {
        let mut text = b"{\"process\":0}\n".to_vec();
        text.resize(257, 0);
        text.extend(b"ustar");
        assert_eq!(what(&text), None);
        assert_eq!(what(format!("{:257}ustar", "[").as_bytes()), None);
    }

    #[test]
    fn the_first_line_of_a_text_is_enough() {
        assert!(is_decided_by(b"{\"process\":0}\n"));
        assert!(!is_decided_by(b"{\"process\":0}"));
        assert!(!is_decided_by(b"a.edn\0\0\n\n"));
        assert!(is_decided_by(&[0; ENOUGH]));
    }
}
