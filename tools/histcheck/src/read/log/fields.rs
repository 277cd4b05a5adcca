//! The fields of an event on a line of a log, as they stand.

use breakit::op::Type;

/// The fields of an event, as they stand.
#[derive(Debug)]
pub struct Fields<'a> {
    /// Who.
    pub process: &'a str,
    /// Its type.
    pub kind: Type,
    /// The type as it stands there.
    pub kind_word: &'a str,
    /// The operation's name.
    pub f: &'a str,
    /// Value and error.
    pub rest: &'a str,
}

impl<'a> Fields<'a> {
    /// The first type on the line that stands between a process and a name.
    pub fn of(line: &'a str) -> Option<Fields<'a>> {
        let mut before = "";
        let mut words = Words { rest: line };
        while let Some(word) = words.next() {
            if let Some(kind) = word.strip_prefix(':').and_then(Type::of) {
                let f = words.next()?;
                let rest = words.rest.trim_start_matches(SPACES);
                let is_event = is_process(before) && is_name(f);
                return is_event.then_some(Fields {
                    process: before,
                    kind,
                    kind_word: word,
                    f,
                    rest,
                });
            }
            before = word;
        }
        None
    }

    /// Whether anything stands before the process.
    pub fn is_prefixed(&self, line: &str) -> bool {
        !line.trim_start_matches(SPACES).starts_with(self.process)
    }
}

/// What stands between the columns.
const SPACES: [char; 2] = [' ', '\t'];

/// The words of a line.
struct Words<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let begun = self.rest.trim_start_matches(SPACES);
        let end = begun.find(SPACES).unwrap_or(begun.len());
        let (word, rest) = begun.split_at(end);
        self.rest = rest;
        (!word.is_empty()).then_some(word)
    }
}

/// A number, or a name with or without its colon.
fn is_process(word: &str) -> bool {
    let name = word.strip_prefix(':').unwrap_or(word);
    let is_inside = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/#@".contains(&byte);
    name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
        && name.bytes().all(is_inside)
}

fn is_name(f: &str) -> bool {
    let name = f.strip_prefix(':').unwrap_or(f);
    !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit() || "[{(\":".contains(first))
}

/// The byte of an event's line at which what it has of a field begins.
pub fn field(line: &[u8], wanted: &str) -> Option<usize> {
    let line = std::str::from_utf8(line).ok()?;
    let fields = Fields::of(line)?;
    let at = |word: &str| word.as_ptr() as usize - line.as_ptr() as usize;
    match wanted {
        "process" => Some(at(fields.process)),
        "type" => Some(at(fields.kind_word)),
        "f" => Some(at(fields.f)),
        "value" => Some(at(fields.rest)),
        _ => None,
    }
}
