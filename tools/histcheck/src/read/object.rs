//! Where the fields of a JSON object stand in its text.

/// The byte at which the value of the field begins, in a text that begins with an object; `None` where it has no
/// such field, or is no object.
pub fn field(text: &[u8], wanted: &str) -> Option<usize> {
    let mut at = blank(text, 0);
    (text.get(at) == Some(&b'{')).then_some(())?;
    loop {
        at = blank(text, at + 1);
        let end = string(text, at)?;
        let name: String = serde_json::from_slice(&text[at..end]).ok()?;
        at = blank(text, end);
        (text.get(at) == Some(&b':')).then_some(())?;
        at = blank(text, at + 1);
        if name == wanted {
            return Some(at);
        }
        at = blank(text, value(text, at)?);
        (text.get(at) == Some(&b',')).then_some(())?;
    }
}

fn blank(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}

/// Behind the string that begins here.
fn string(text: &[u8], at: usize) -> Option<usize> {
    (text.get(at) == Some(&b'"')).then_some(())?;
    let mut at = at + 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        match text[at] {
            b'"' => return Some(at + 1),
            _ => at += 2,
        }
    }
}

/// Behind the value that begins here.
fn value(text: &[u8], mut at: usize) -> Option<usize> {
    let mut open = 0_usize;
    loop {
        match text.get(at)? {
            b'"' => at = string(text, at)?,
            b'{' | b'[' => (open, at) = (open + 1, at + 1),
            b'}' | b']' if open > 0 => (open, at) = (open - 1, at + 1),
            b',' | b'}' | b']' if open == 0 => return Some(at),
            _ => {
                at += 1;
                continue;
            }
        }
        if open == 0 {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_found_where_its_value_begins() {
        let text =
            r#" {"a" : {"b":[1,"}\""]} ,"\u0062\"": -1, "c":[], "d":"x\\","e":null}  {"f":1}"#;
        for (name, value) in
            [("a", "{\"b\""), ("b\"", "-1"), ("c", "[]"), ("d", "\"x"), ("e", "null")]
        {
            let at = field(text.as_bytes(), name).unwrap();
            assert!(text[at..].starts_with(value), "{name}: {}", &text[at..]);
        }
        for name in ["b", "f", ""] {
            assert_eq!(field(text.as_bytes(), name), None, "{name}");
        }
    }

    #[test]
    fn no_text_makes_it_panic() {
        let text = br#"{"a":{"b":[1,"}\""]},"c":[],"d":"x\\","e":1}"#;
        for end in 0..=text.len() {
            for byte in *b"{}[]\",:\\1" {
                let mut changed = text[..end].to_vec();
                changed.push(byte);
                changed.extend_from_slice(&text[(end + 1).min(text.len())..]);
                for name in ["a", "e", "x"] {
                    assert!(field(&changed, name).is_none_or(|at| at <= changed.len()));
                    assert!(field(&text[..end], name).is_none_or(|at| at <= end));
                }
            }
        }
    }
}
