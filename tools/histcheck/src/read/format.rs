//! The forms in which histories come, and how each is recognised by its first bytes.

use clap::ValueEnum;

/// How a history is written down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One JSON object a line, as `workload` writes them
    #[default]
    Jsonl,
    /// One JSON array of objects, as elle-cli takes them, or objects of several lines, as jq prints them
    Json,
    /// One JSON object an operation, with the times at which it began and ended
    Operations,
    /// EDN, as Jepsen, Knossos and Porcupine keep it: maps one after the other, or in one vector or list
    Edn,
    /// Jepsen's history.txt, and the lines of jepsen.util in its log
    Log,
    /// A table; its header names the columns
    Csv,
    /// Plume's text of transactions, as AWDIT takes it: r(key,value,session,transaction)
    Plume,
    /// AWDIT's test text: r KEY VALUE, --- between transactions, === between sessions
    Sessions,
}

impl Format {
    /// What one event is called in counts.
    pub fn unit(self) -> &'static str {
        match self {
            Format::Jsonl | Format::Log | Format::Plume | Format::Sessions => "line",
            Format::Json | Format::Operations => "object",
            Format::Edn => "form",
            Format::Csv => "row",
        }
    }

    /// Whether its order says which operation ended before which began. Where it does not, only the order
    /// within each session is known.
    pub fn has_real_time(self) -> bool {
        !matches!(self, Format::Plume | Format::Sessions)
    }

    /// The format of a text that begins with `head`. What is none of the others is taken for JSON lines, whose
    /// reader says what is wrong with it.
    pub fn of(head: &[u8]) -> Format {
        let head = head.strip_prefix(super::blocks::BOM).unwrap_or(head).trim_ascii_start();
        let line = head.split(|&byte| byte == b'\n').next().unwrap_or(head).trim_ascii_end();
        if super::operations::is_first(head) {
            return Format::Operations;
        }
        if let Some(rest) = head.strip_prefix(b"[") {
            return inside_brackets(rest.trim_ascii_start());
        }
        match head {
            [b'{', rest @ ..] => match rest.trim_ascii_start() {
                // An object that goes on behind its first line is one of many lines.
                [b'"', ..] if line == b"{" => Format::Json,
                [b'"' | b'}', ..] | [] => Format::Jsonl,
                _ => Format::Edn,
            },
            [b'(' | b'#' | b';', ..] => Format::Edn,
            [b'r' | b'w', b'(', ..] => Format::Plume,
            [b'r' | b'w', b' ' | b'\t', b'0'..=b'9' | b'-', ..] => Format::Sessions,
            [b'-', b'-', b'-', ..] | [b'=', b'=', b'=', ..] => Format::Sessions,
            _ if super::log::is_event(line) => Format::Log,
            _ if super::table::is_header(line) => Format::Csv,
            _ if mentions(head, b"jepsen.util") => Format::Log,
            _ if super::table::is_foreign_header(line) => Format::Csv,
            _ => Format::Jsonl,
        }
    }

    /// Whether `head` is enough to tell: the beginning of an object, or a whole line that is of some format. A log
    /// may have many lines of other things before the first that shows it.
    pub fn is_decided_by(head: &[u8]) -> bool {
        let text = head.strip_prefix(super::blocks::BOM).unwrap_or(head).trim_ascii_start();
        match text {
            // The first object must be there, or so much of it that it is a long one.
            [b'{', rest @ ..] => {
                rest.trim_ascii_start().len() > 1 && (text.contains(&b'\n') || text.len() >= LONG)
            }
            [b'[', rest @ ..] if Format::of(head) != Format::Jsonl => {
                match rest.trim_ascii_start() {
                    // What stands behind the brace tells JSON from EDN.
                    [b'{', rest @ ..] => {
                        !rest.trim_ascii_start().is_empty()
                            && (rest.contains(&b'}') || text.len() >= LONG)
                    }
                    rest => rest.len() > 1,
                }
            }
            _ => text.contains(&b'\n') && Format::of(head) != Format::Jsonl,
        }
    }
}

/// An object that is longer is no operation with two times.
const LONG: usize = 4096 - super::blocks::BOM.len();

fn inside_brackets(rest: &[u8]) -> Format {
    match rest {
        [b'{', rest @ ..] => match rest.trim_ascii_start() {
            [b'"' | b'}', ..] => Format::Json,
            _ => Format::Edn,
        },
        [b'#' | b';', ..] => Format::Edn,
        [b']', ..] => Format::Json,
        // A log may begin its lines with a thread's name in brackets.
        _ if mentions(rest, b"jepsen") => Format::Log,
        _ => Format::Jsonl,
    }
}

fn mentions(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_not_taken_for_something_else_before_it_shows() {
        let begin = "2015 INFO  jepsen.core - Running\n[main] INFO x\n";
        assert!(!Format::is_decided_by(begin.as_bytes()));
        let more = format!("{begin}INFO  jepsen.util - 0\t:invoke\t:read\tnil\n");
        assert!(Format::is_decided_by(more.as_bytes()));
        assert!(Format::is_decided_by(b"{\"process\":0}\n"));
        assert!(Format::is_decided_by(b"\n[\n{\"process\":0}"));
        assert!(!Format::is_decided_by(b"{\"process\":0"));
        assert!(!Format::is_decided_by(b"[{\n  "), "JSON in many lines, and EDN, go on behind it");
    }

    #[test]
    fn a_format_is_recognised_by_how_it_begins() {
        for (head, format) in [
            ("\u{feff}\n {\"process\":0", Format::Jsonl),
            ("[{\"type\":\"invoke\"", Format::Json),
            ("{\n  \"type\":\"invoke\"", Format::Json),
            ("{\n  :type :invoke", Format::Edn),
            ("{\"process\":0,\"f\":\"read\",\"start\":0,\"end\":1}\n", Format::Operations),
            ("[\n ]", Format::Json),
            ("[{:process 4", Format::Edn),
            ("{:process 4", Format::Edn),
            ("; a comment\n[{:process", Format::Edn),
            ("({:type :invoke", Format::Edn),
            ("#jepsen.history.Op{:index 0", Format::Edn),
            ("[#jepsen.history.Op{:index 0", Format::Edn),
            ("INFO  jepsen.util - 0\t:invoke\t:read\tnil\n", Format::Log),
            ("0\t:invoke\t:read\tnil\n", Format::Log),
            (":nemesis\t:info\t:start\tnil\n", Format::Log),
            ("process,type,f,value\n0,invoke,read,\n", Format::Csv),
            ("client,op,key,value\n0,read,,\n", Format::Csv),
            ("nope, nothing, of it\n", Format::Jsonl),
            ("r(0,0,1,2)\n", Format::Plume),
            ("w 0 1\n===\n", Format::Sessions),
            ("[1]\n", Format::Jsonl),
            ("nope\n", Format::Jsonl),
            ("", Format::Jsonl),
        ] {
            assert_eq!(Format::of(head.as_bytes()), format, "{head:?}");
        }
    }
}
