//! One line of a history: an invocation, its completion, or a fault (`history(5)`).

use std::borrow::Cow;
use std::fmt;

use serde_json::{Map, Value};

use crate::json::{self, Json};
use crate::natural::{is_minus_one, natural};

/// Who did it: a client, by number, or whoever has a name: `nemesis`, `workload`, or a client that is called so.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Process {
    /// A client; it has at most one operation open.
    Client(u64),
    /// A word. `nemesis` and `workload` say what happened around the operations; of any other only the whole history
    /// shows whether it is a client, which invokes.
    Other(String),
}

impl Process {
    /// The process of fault lines.
    pub fn nemesis() -> Process {
        Process::Other("nemesis".into())
    }

    /// The process of a run's first and last line.
    pub fn workload() -> Process {
        Process::Other("workload".into())
    }

    fn value(&self) -> Value {
        match self {
            Process::Client(n) => Value::from(*n),
            Process::Other(word) => Value::from(word.as_str()),
        }
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Process::Client(n) => n.fmt(f),
            Process::Other(word) => word.fmt(f),
        }
    }
}

/// What a line says of its operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// It was sent; it may take effect from now on.
    Invoke,
    /// It happened.
    Ok,
    /// It did not happen and never will.
    Fail,
    /// It may or may not have happened, or may yet, at any later time.
    Info,
}

impl Type {
    /// The word on the line.
    pub fn word(self) -> &'static str {
        match self {
            Type::Invoke => "invoke",
            Type::Ok => "ok",
            Type::Fail => "fail",
            Type::Info => "info",
        }
    }

    /// The type of a word.
    pub fn of(word: &str) -> Option<Type> {
        match word {
            "invoke" => Some(Type::Invoke),
            "ok" => Some(Type::Ok),
            "fail" => Some(Type::Fail),
            "info" => Some(Type::Info),
            _ => None,
        }
    }
}

/// What is wrong with a line, and in which of its fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The field; `None` if it is the line as a whole.
    pub field: Option<Cow<'static, str>>,
    /// In words; the reader puts file and line before it.
    pub clause: String,
}

impl Wrong {
    /// What is wrong with a field: `"time" must be whole nanoseconds`.
    pub fn of(field: impl Into<Cow<'static, str>>, predicate: impl fmt::Display) -> Wrong {
        let field = field.into();
        Wrong { clause: format!("{field:?} {predicate}"), field: Some(field) }
    }

    /// What is wrong with the line as a whole.
    pub fn whole(clause: impl Into<String>) -> Wrong {
        Wrong { field: None, clause: clause.into() }
    }
}

impl From<Wrong> for String {
    fn from(wrong: Wrong) -> String {
        wrong.clause
    }
}

/// What a holder's stop line says as `healed`, if somebody else ended its fault.
pub const HEALED_BY_ANOTHER: &str = "by another";

/// A line of a history. Fields that it does not name are kept in `extra` and passed on.
#[derive(Clone, Debug, PartialEq)]
pub struct Op {
    /// Nanoseconds of CLOCK_MONOTONIC. The order of operations is that of the lines, never of this.
    pub time: Option<u64>,
    /// Who.
    pub process: Process,
    /// What the line says of the operation.
    pub kind: Type,
    /// The operation's name: `read`, `write`, `add`, `start-partition`.
    pub f: String,
    /// Which of many independent objects.
    pub key: Option<Value>,
    /// The argument, and on completion the result.
    pub value: Option<Value>,
    /// The node that the client talked to.
    pub node: Option<String>,
    /// Why it failed, or why nobody knows.
    pub error: Option<Value>,
    /// Everything else, in its order.
    pub extra: Map<String, Value>,
}

impl Op {
    /// A line with the fields that every line has, at the present time.
    pub fn now(process: Process, kind: Type, f: impl Into<String>) -> Op {
        Op {
            time: Some(crate::clock::now()),
            process,
            kind,
            f: f.into(),
            key: None,
            value: None,
            node: None,
            error: None,
            extra: Map::new(),
        }
    }

    /// A fault's line, at the present time: `f` is `start-partition`, `stop-partition`, `kill`, ...
    ///
    /// Its value, an object, gets the wall clock's time as `wall`.
    pub fn fault(f: impl Into<String>, value: Value) -> Op {
        Op::fault_at(f, value, crate::clock::now())
    }

    /// As [`Op::fault`], of what happened at `time`.
    pub fn fault_at(f: impl Into<String>, mut value: Value, time: u64) -> Op {
        let mut op = Op::now(Process::nemesis(), Type::Info, f);
        if let Value::Object(fields) = &mut value {
            fields.insert("wall".into(), crate::clock::wall_at(time).into());
        }
        (op.time, op.value) = (Some(time), Some(value));
        op
    }

    /// Whether a line of a nemesis says that a fault came into force: not that one ended, went on, is told of
    /// at length, or failed to come. A run that asked for faults and has no such line has shown nothing.
    pub fn brings_a_fault(&self) -> bool {
        const OTHERS: [&str; 8] =
            ["stop", "renew", "grudge", "detail", "heal", "resume", "reset", "clear"];
        let other = OTHERS.iter().any(|word| {
            self.f.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        });
        // A bare "start" starts what was killed.
        self.error.is_none() && !other && self.f != "start"
    }

    /// Whether a line of a nemesis says that its fault ended before its time: somebody healed it, or its lease ran out.
    /// What `heal` and `clear` print is their own doing.
    pub fn ended_early(&self) -> bool {
        let value = self.value.as_ref();
        let has = |name: &str| value.and_then(|value| value.get(name));
        has("lapsed").is_some() || has("healed").is_some_and(|by| by == HEALED_BY_ANOTHER)
    }

    /// The line without its newline.
    pub fn line(&self) -> String {
        Value::Object(self.fields()).to_string()
    }

    /// The fields of the line, in their order.
    pub fn fields(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                fields.insert(name.into(), value);
            }
        };
        put("time", self.time.map(Value::from));
        put("process", Some(self.process.value()));
        put("type", Some(self.kind.word().into()));
        put("f", Some(self.f.as_str().into()));
        put("key", self.key.clone());
        put("value", self.value.clone());
        put("node", self.node.as_deref().map(Value::from));
        put("error", self.error.clone());
        for (name, value) in &self.extra {
            put(name, Some(value.clone()));
        }
        fields
    }

    /// Reads a JSON object as a line.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn of(value: Value) -> Result<Op, Wrong> {
        match value {
            Value::Object(fields) => Op::of_fields(fields),
            _ => Err(Wrong::whole("a line must be one JSON object")),
        }
    }

    /// The line that has these fields; of two with one name the last counts.
    ///
    /// # Errors
    /// As [`Op::of`].
    pub fn of_fields<N: AsRef<str> + Into<String>>(
        fields: impl IntoIterator<Item = (N, Value)>,
    ) -> Result<Op, Wrong> {
        let [mut time, mut process, mut kind, mut f, mut key, mut value, mut node, mut error] =
            [const { None }; 8];
        let mut extra = Map::new();
        for (name, field) in fields {
            let place = match name.as_ref() {
                "time" => &mut time,
                "process" => &mut process,
                "type" => &mut kind,
                "f" => &mut f,
                "key" => &mut key,
                "value" => &mut value,
                "node" => &mut node,
                "error" => &mut error,
                _ => {
                    extra.insert(name.into(), field);
                    continue;
                }
            };
            *place = Some(field);
        }
        let time = match time {
            None | Some(Value::Null) => None,
            Some(value) if is_minus_one(&value) => None,
            Some(value) => Some(natural(&value).ok_or_else(|| {
                Wrong::of("time", format!("must be whole nanoseconds, not {value}"))
            })?),
        };
        let process = self::process(process)?;
        let no_type = |other: &dyn fmt::Display| {
            Wrong::of("type", format!("must be invoke, ok, fail or info, not {other}"))
        };
        let kind = match kind {
            Some(Value::String(word)) => {
                Type::of(&word).ok_or_else(|| no_type(&format!("{word:?}")))?
            }
            Some(other) => return Err(no_type(&other)),
            None => return Err(Wrong::of("type", "is missing")),
        };
        let f = match f {
            Some(Value::String(word)) => word,
            // Elle's transactions have no name.
            None | Some(Value::Null) if value.as_ref().is_some_and(Value::is_array) => "txn".into(),
            Some(other) => return Err(Wrong::of("f", format!("must be a word, not {other}"))),
            None => return Err(Wrong::of("f", "is missing")),
        };
        let node = match node {
            Some(Value::String(name)) => Some(name),
            Some(Value::Null) | None => None,
            Some(other) => return Err(Wrong::of("node", format!("must be a name, not {other}"))),
        };
        Ok(Op { time, process, kind, f, key, value, node, error, extra })
    }

    /// Reads a line.
    ///
    /// # Errors
    /// A clause that says what is wrong with it; the reader puts file and line before it. Text that is no JSON says at
    /// which column.
    pub fn parse(line: &str) -> Result<Op, String> {
        let Json(value) = serde_json::from_str(line).map_err(|error| json_clause(&error))?;
        Ok(Op::of(value)?)
    }
}

fn process(value: Option<Value>) -> Result<Process, Wrong> {
    let wrong = |predicate: String| Wrong::of("process", predicate);
    match value {
        Some(Value::String(word)) => Ok(match quoted(&word) {
            Some(number) => Process::Client(number),
            None => Process::Other(word),
        }),
        Some(number @ Value::Number(_)) => natural(&number).map(Process::Client).ok_or_else(|| {
            wrong(format!("must be a whole number below 2^64 or a word, not {number}"))
        }),
        Some(other) => Err(wrong(format!("must be a number or a word, not {other}"))),
        None => Err(wrong("is missing".into())),
    }
}

/// The number that a word is: to a process that is written `"7"` nobody gave that as a name.
fn quoted(word: &str) -> Option<u64> {
    word.parse().ok().filter(|number: &u64| number.to_string() == word)
}

/// serde_json's message with its column in our form: "column 7: not JSON: expected value".
pub fn json_clause(error: &serde_json::Error) -> String {
    format!("column {}: {}", error.column(), json::clause(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_written_and_unknown_fields_pass_on() {
        let line = r#"{"time":8,"process":3,"type":"ok","f":"write","key":7,"value":12345678901234567890123,"node":"n2","x":{"b":1,"a":2}}"#;
        assert_eq!(Op::parse(line).unwrap().line(), line);
    }

    #[test]
    fn what_programs_make_of_numbers_is_read_as_the_number_and_minus_one_as_no_time() {
        let line = r#"{"process":"3","type":"ok","f":"read","time":1.65E12}"#;
        let op = Op::parse(line).unwrap();
        assert_eq!((op.process, op.time), (Process::Client(3), Some(1_650_000_000_000)));
        let op = Op::parse(r#"{"process":3.0,"type":"ok","f":"read","time":-1}"#).unwrap();
        assert_eq!((op.process, op.time), (Process::Client(3), None));
        for word in ["03", "+3", "3 ", "c3", "18446744073709551616"] {
            let op = Op::parse(&format!(r#"{{"process":"{word}","type":"ok","f":"read"}}"#));
            assert_eq!(op.unwrap().process, Process::Other(word.into()));
        }
    }

    #[test]
    fn a_list_of_steps_without_a_name_is_a_transaction() {
        let op = Op::parse(r#"{"process":3,"type":"ok","value":[["r",1,null]]}"#).unwrap();
        assert_eq!(op.f, "txn");
    }

    #[test]
    fn a_null_value_is_not_a_missing_one() {
        let line = r#"{"process":0,"type":"invoke","f":"read","value":null}"#;
        let op = Op::parse(line).unwrap();
        assert_eq!(op.value, Some(Value::Null));
        assert_eq!(op.line(), line);
        assert_eq!(Op::parse(r#"{"process":0,"type":"invoke","f":"read"}"#).unwrap().value, None);
    }

    #[test]
    fn a_fault_that_failed_to_come_or_ended_brings_none() {
        let line = |f: &str| Op::fault(f, Value::Null);
        for f in ["start-partition", "kill", "start-slow", "bump"] {
            assert!(line(f).brings_a_fault(), "{f}");
        }
        for f in [
            "stop-partition",
            "grudge-partition",
            "detail-slow",
            "renew-slow",
            "heal",
            "resume",
            "start",
        ] {
            assert!(!line(f).brings_a_fault(), "{f}");
        }
        let failed = Op { error: Some("no such node".into()), ..line("start-partition") };
        assert!(!failed.brings_a_fault());
    }

    #[test]
    fn what_is_wrong_with_a_line_is_said() {
        for (line, clause) in [
            ("{", "column 1: not JSON"),
            ("[]", "one JSON object"),
            (r#"{"type":"ok","f":"r"}"#, "\"process\" is missing"),
            (r#"{"process":-1,"type":"ok","f":"r"}"#, "whole number"),
            (r#"{"process":1.5,"type":"ok","f":"r"}"#, "whole number"),
            (r#"{"process":1,"type":"done","f":"r"}"#, "invoke, ok, fail or info"),
            (r#"{"process":1,"type":"ok"}"#, "\"f\" is missing"),
        ] {
            let said = Op::parse(line).unwrap_err();
            assert!(said.contains(clause), "{line}: {said}");
        }
    }
}
