//! What is said between a run and its copy on another host: a line of JSON for each request, and one for each answer.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::impairments::Parts;
use crate::line::Place;

/// No request is longer: the longest has a table of 16,384 numbers.
pub const LONGEST_REQUEST: usize = 1 << 20;

/// No answer is longer. It comes from a host that is not trusted.
pub const LONGEST_ANSWER: usize = 4096;

/// A request to a copy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Ask {
    /// Find out, in a network of its own, whether lines work there.
    Try {
        /// Of what goes out.
        tap: bool,
        /// Of what comes in.
        queue: bool,
    },
    /// Open a line.
    Open {
        /// How the line is called from now on.
        line: u32,
        /// Its fault.
        id: String,
        /// Where it stands.
        place: Place,
        /// What it does.
        parts: Box<Parts>,
        /// Where chance comes from.
        seed: u64,
        /// What chance is drawn for.
        purpose: String,
        /// How long it lives without another request.
        lease: Duration,
    },
    /// Say whether these lines are at work, and go on for another lease if they are.
    Renew {
        /// Which.
        lines: Vec<u32>,
        /// How long.
        lease: Duration,
    },
    /// Let out what these lines hold, and end them.
    End {
        /// Which.
        lines: Vec<u32>,
    },
}

/// What a copy says: first of all that it is ready, then an answer to each request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// It runs.
    Ready {
        /// Which version it is.
        version: String,
    },
    /// What was asked is done, or is so.
    Done,
    /// It is not.
    No {
        /// The exit status that the error would have.
        status: u8,
        /// The error.
        why: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn a_request_comes_as_it_was_sent_with_all_parts() {
        let file = std::env::temp_dir().join(format!("slownet-ask-{}.dist", std::process::id()));
        std::fs::write(&file, "-8192 0 8191 12345\n").unwrap();
        let others = "--loss-gemodel=1%,33.3% --duplicate=1%,25% --corrupt=0.001% --rate=1.5mbit --burst=1600 --slot=10ms,40ms --slot-packets=3 --limit=1000";
        let delay = "--delay=40ms --jitter=1.5ms --correlation=25%";
        let parts = [
            format!("{others} {delay} --distribution={} --keep-order", file.display()),
            format!("{others} {delay} --reorder=0.1% --gap=5"),
            format!("{others} {delay} --distribution=paretonormal"),
        ]
        .map(|flags| Parts::of_flags(&flags).unwrap());
        std::fs::remove_file(&file).unwrap();
        for parts in parts {
            let ask = Ask::Open {
                line: 7,
                id: "3f2a".into(),
                place: Place::Leaving(vec!["eth0".into()]),
                parts: Box::new(parts),
                seed: u64::MAX,
                purpose: "to n1, link 3".into(),
                lease: Duration::from_secs(30),
            };
            let line = serde_json::to_string(&ask).unwrap();
            assert!(!line.contains('\n'));
            assert_eq!(serde_json::from_str::<Ask>(&line).unwrap(), ask);
        }
    }
}
