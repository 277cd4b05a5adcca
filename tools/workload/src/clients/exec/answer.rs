//! A line that a client's program answered: what it proves about the request.

use breakit::op::json_clause;
use serde_json::Value;

use crate::action::{Action, Outcome};

/// An action that was handed to a program, with its number in the run.
#[derive(Clone, Debug, PartialEq)]
pub struct Numbered {
    /// New for each request of the run.
    pub id: u64,
    /// What it asks for.
    pub action: Action,
}

impl Numbered {
    fn name(&self) -> String {
        let f = self.action.f();
        match self.action.value() {
            Value::Null => format!("request {} ({f})", self.id),
            value => format!("request {} ({f} {value})", self.id),
        }
    }
}

/// What `answer` says about the request `asked`; `before` is what the same program was asked before that.
///
/// # Errors
/// Why it is no answer to that request.
pub fn outcome(
    asked: &Numbered,
    before: Option<&Numbered>,
    answer: &[u8],
) -> Result<Outcome, String> {
    let answer = std::str::from_utf8(answer).map_err(|_| "it is not UTF-8".to_string())?;
    let answer: Value = serde_json::from_str(answer).map_err(|error| json_clause(&error))?;
    belongs(asked, before, &answer)?;
    let action = &asked.action;
    let why = match answer.get("error") {
        None | Some(Value::Null) => "the client gave no reason".to_string(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    match answer.get("type").and_then(Value::as_str) {
        Some("ok") => match answer.get("value") {
            Some(value) if action.is_read() || *value == action.value() => {
                Ok(Outcome::Ok(value.clone()))
            }
            Some(value) => Err(other_value(asked, before, value)),
            None if action.is_read() => Err("an ok read needs a \"value\"".into()),
            None => Ok(action.done()),
        },
        Some("fail") => Ok(Outcome::Fail(why)),
        Some("info") => Ok(Outcome::Info(why)),
        _ => Err("\"type\" must be ok, fail or info".into()),
    }
}

/// Whether it is for this request, by the number that it repeats. One without a number is taken for the
/// answer to the last request.
fn belongs(asked: &Numbered, before: Option<&Numbered>, answer: &Value) -> Result<(), String> {
    let Some(id) = answer.get("id").filter(|id| !id.is_null()) else { return Ok(()) };
    if *id == asked.id {
        return Ok(());
    }
    let other = match before {
        Some(before) if *id == before.id => before.name(),
        _ => format!("request {id}"),
    };
    Err(format!("it answered {other} when {} was asked", asked.name()))
}

fn other_value(asked: &Numbered, before: Option<&Numbered>, value: &Value) -> String {
    match before {
        Some(before) if before.action.value() == *value && !value.is_null() => format!(
            "the ok is for {value}, the value of {}, when {} was asked",
            before.name(),
            asked.name()
        ),
        _ => format!("the ok is for {value}, and {} was asked", asked.name()),
    }
}

/// The number in a line that was printed without a request.
pub fn id(line: &str) -> Option<u64> {
    serde_json::from_str::<Value>(line.lines().next()?).ok()?.get("id")?.as_u64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::RegisterAction;
    use serde_json::json;

    fn numbered(id: u64, action: RegisterAction) -> Numbered {
        Numbered { id, action: Action::Register(1, action) }
    }

    fn write() -> Numbered {
        numbered(13, RegisterAction::Write(7.into()))
    }

    fn answered(asked: &Numbered, answer: &str) -> Result<Outcome, String> {
        outcome(asked, Some(&numbered(12, RegisterAction::Write(6.into()))), answer.as_bytes())
    }

    #[test]
    fn an_ok_without_a_value_has_that_of_the_request() {
        assert_eq!(answered(&write(), r#"{"type":"ok"}"#), Ok(Outcome::Ok(7.into())));
    }

    #[test]
    fn a_read_must_say_what_it_read() {
        let read = numbered(1, RegisterAction::Read);
        assert!(answered(&read, r#"{"type":"ok"}"#).is_err());
        let empty = answered(&read, r#"{"type":"ok","value":[]}"#);
        assert_eq!(empty, Ok(Outcome::Ok(Value::Array(Vec::new()))));
    }

    #[test]
    fn an_ok_with_the_value_of_another_request_is_no_answer() {
        let cas = RegisterAction::CompareAndSet { expected: 3.into(), new: 4.into() };
        let cas = numbered(13, cas);
        let same = r#"{"type":"ok","value":[3,4]}"#;
        assert_eq!(answered(&cas, same), Ok(Outcome::Ok(json!([3, 4]))));
        for (asked, value) in [
            (write(), "6"),
            (write(), "null"),
            (write(), "[7]"),
            (cas.clone(), "4"),
            (cas, "[3,5]"),
        ] {
            let answer = format!(r#"{{"type":"ok","value":{value}}}"#);
            assert!(answered(&asked, &answer).unwrap_err().contains("the ok is for"), "{answer}");
        }
        let late = answered(&write(), r#"{"type":"ok","value":6}"#).unwrap_err();
        assert!(late.contains("the value of request 12 (write 6)"), "{late}");
    }

    #[test]
    fn an_answer_that_repeats_the_number_of_another_request_is_no_answer() {
        for answer in [r#"{"id":12,"type":"ok"}"#, r#"{"type":"fail","id":12}"#] {
            let why = answered(&write(), answer).unwrap_err();
            let said = "it answered request 12 (write 6) when request 13 (write 7) was asked";
            assert_eq!(why, said);
        }
        for id in ["\"13\"", "13.5", "[13]", "2"] {
            let why = answered(&write(), &format!(r#"{{"type":"ok","id":{id}}}"#)).unwrap_err();
            assert!(why.starts_with(&format!("it answered request {id} when")), "{why}");
        }
    }

    #[test]
    fn an_answer_may_repeat_the_number_of_its_request_or_leave_it_out() {
        for answer in [r#"{"id":13,"type":"ok"}"#, r#"{"id":null,"type":"ok"}"#] {
            assert_eq!(answered(&write(), answer), Ok(Outcome::Ok(7.into())));
        }
    }

    #[test]
    fn what_is_no_answer_is_never_a_fail() {
        for answer in ["", "nope", "[]", "{}", r#"{"type":"done"}"#, r#"{"type":3}"#] {
            assert!(answered(&write(), answer).is_err(), "{answer}");
        }
        assert!(outcome(&write(), None, b"{\"type\":\"fail\",\"error\":\"\xff\"}").is_err());
    }

    #[test]
    fn a_line_too_many_is_known_by_its_number() {
        assert_eq!(id("{\"type\":\"ok\",\"id\":4}\n{\"type\":\"ok\",\"id\":5}\n"), Some(4));
        assert_eq!(id("{\"type\":\"ok\"}\n"), None);
        assert_eq!(id("{\"type\":"), None);
    }
}
