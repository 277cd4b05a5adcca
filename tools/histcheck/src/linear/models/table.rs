//! A user's own object as a small table in text (`--model @lock.model`): a line names the first state, and each
//! other line a state, an operation, its value and the state after it.
//!
//! ```text
//! # a lock that anybody may open
//! start free
//! free  acquire  *  held
//! held  release  *  free
//! ```
//!
//! A value is JSON without spaces, or `*` for any. What is not in the table cannot happen. Several lines for one
//! state, operation and value mean that any of them may be what happens.

use std::sync::Arc;

use crate::linear::object::{Call, Misread, Object, Read};
use crate::linear::op::Fate;
use crate::values::canonical;

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// What it is called.
    name: String,
    start: u32,
    rows: Vec<Row>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    from: u32,
    word: String,
    /// `None` for any.
    value: Option<String>,
    to: u32,
}

/// What an operation does: from which states it may lead to which.
pub type Act = Arc<[(u32, u32)]>;

impl Table {
    /// Reads a table.
    ///
    /// # Errors
    /// A clause that names the line.
    pub fn parse(name: &str, text: &str) -> Result<Table, String> {
        let mut states: Vec<&str> = Vec::new();
        let mut rows = Vec::new();
        let mut start = None;
        for (number, line) in text.lines().enumerate() {
            let wrong = |word: &str, what: &str| {
                let column = line.find(word).map_or(1, |at| at + 1);
                Err(format!("line {}: column {column}: {what}", number + 1))
            };
            let line = line.split('#').next().unwrap_or_default();
            let mut state = |name| {
                states.iter().position(|&known| known == name).unwrap_or_else(|| {
                    states.push(name);
                    states.len() - 1
                }) as u32
            };
            match line.split_whitespace().collect::<Vec<_>>().as_slice() {
                [] => {}
                ["start", name] if start.is_none() => start = Some(state(name)),
                ["start", _] => return wrong("start", "a second first state"),
                [from, word, value, to] => {
                    let value = match *value {
                        "*" => None,
                        json => match serde_json::from_str(json) {
                            Ok(value) => Some(canonical(&value).to_string()),
                            Err(_) => {
                                return wrong(
                                    json,
                                    &format!("the value {json:?} is no JSON, nor *"),
                                );
                            }
                        },
                    };
                    let (from, to) = (state(from), state(to));
                    rows.push(Row { from, word: word.to_string(), value, to });
                }
                [first, ..] => {
                    return wrong(first, "write STATE OPERATION VALUE STATE, or start STATE");
                }
            }
        }
        match start {
            Some(start) => Ok(Table { name: name.into(), start, rows }),
            None => {
                Err("line 1: column 1: it does not say where to start; add a line: start STATE"
                    .into())
            }
        }
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Object for Table {
    type Act = Act;
    type State = u32;

    fn act(&self, call: &Call<'_>) -> Read<Act> {
        if !self.rows.iter().any(|row| row.word == call.word) {
            return Err(Misread::name(&self.name, call));
        }
        if call.fate == Fate::Fail {
            return Ok(None);
        }
        let value = call.value.map(|value| call.values.show(value));
        // An operation of unknown outcome may have had any result where it names none.
        let is_open = call.fate == Fate::Info && value.as_deref().is_none_or(|v| v == "null");
        let fits = |row: &&Row| {
            row.word == call.word
                && (is_open
                    || row.value.is_none()
                    || row.value.as_deref() == Some(value.as_deref().unwrap_or("null")))
        };
        let mut steps: Vec<(u32, u32)> =
            self.rows.iter().filter(fits).map(|row| (row.from, row.to)).collect();
        steps.sort_unstable();
        steps.dedup();
        Ok(Some(steps.into()))
    }

    fn initial(&self) -> u32 {
        self.start
    }

    fn step(&self, &state: &u32, act: &Act, next: &mut Vec<u32>) {
        next.extend(act.iter().filter(|(from, _)| *from == state).map(|&(_, to)| to));
    }

    fn is_read(&self, act: &Act) -> bool {
        act.iter().all(|(from, to)| from == to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_and_a_wrong_line_is_named() {
        let table = Table::parse("lock", "start a # first\n\na go * b\nb go 1 a\n").unwrap();
        let mut next = Vec::new();
        table.step(&table.initial(), &vec![(0, 1), (1, 0)].into(), &mut next);
        assert_eq!(next, [1]);
        let table = Table::parse("t", "start a\na go {\"y\":1.0,\"x\":-0} a").unwrap();
        assert_eq!(
            table.rows[0].value.as_deref(),
            Some(r#"{"x":0,"y":1}"#),
            "as values are compared"
        );
        for (text, says) in [
            ("a go * b", "start STATE"),
            ("start a\na go b", "line 2"),
            ("start a\nstart b", "line 2"),
            ("start a\na go {x b", "line 2: column 6: the value"),
        ] {
            let error = Table::parse("lock", text).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
