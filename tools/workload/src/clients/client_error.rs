//! Why an action has no answer to work with: what every client's error mapping sorts errors into.

use crate::action::{Action, Outcome};

/// An action without an answer, by what is proved about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientError {
    /// It was not carried out and never will be.
    NotDone(String),
    /// It is not known whether it was, or will be, carried out.
    Unknown(String),
}

impl ClientError {
    /// An action that the client of that name does not support. A run begins only if its client supports what it needs.
    pub fn unsupported(client: &str, action: &Action) -> ClientError {
        ClientError::NotDone(format!(
            "{client} does not support {}; nothing was sent",
            action.needs().name()
        ))
    }

    /// What happened, in words.
    pub fn message(self) -> String {
        match self {
            ClientError::NotDone(message) | ClientError::Unknown(message) => message,
        }
    }
}

/// The outcome as the history has it.
pub fn outcome(result: Result<Outcome, ClientError>) -> Outcome {
    match result {
        Ok(outcome) => outcome,
        Err(ClientError::NotDone(why)) => Outcome::Fail(why),
        Err(ClientError::Unknown(why)) => Outcome::Info(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn what_is_proved_decides_between_fail_and_info() {
        let x = || "x".to_string();
        assert_eq!(outcome(Err(ClientError::NotDone(x()))), Outcome::Fail(x()));
        assert_eq!(outcome(Err(ClientError::Unknown(x()))), Outcome::Info(x()));
        assert_eq!(outcome(Ok(Outcome::Ok(Value::Null))), Outcome::Ok(Value::Null));
    }
}
