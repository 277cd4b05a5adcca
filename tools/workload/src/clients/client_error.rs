//! Why a request has no answer to work with: what every client's error mapping sorts errors into.

use super::Outcome;

/// A request without an answer, by what is proved about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientError {
    /// It was not carried out and never will be.
    NotDone(String),
    /// Nobody knows whether it was, or will be, carried out.
    Unknown(String),
}

impl ClientError {
    /// What happened, in words.
    pub fn words(self) -> String {
        match self {
            ClientError::NotDone(words) | ClientError::Unknown(words) => words,
        }
    }
}

/// How it stands in the history.
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
        assert_eq!(outcome(Err(ClientError::NotDone("x".into()))), Outcome::Fail("x".into()));
        assert_eq!(outcome(Err(ClientError::Unknown("x".into()))), Outcome::Info("x".into()));
        assert_eq!(outcome(Ok(Outcome::Ok(Value::Null))), Outcome::Ok(Value::Null));
    }
}
