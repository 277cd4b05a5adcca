//! What a check found: the answer, one sentence, findings and figures. [`crate::report`] makes text and JSON of it.

use breakit::exit::{Error, Status};
use serde_json::{Map, Value};

use crate::report::finding::{Detail, Finding};
use crate::values::Id;

/// Whether the promise was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It was.
    Valid,
    /// It was not.
    Invalid,
    /// It is not known: a budget ran out, or the history does not say.
    Unknown,
    /// It is not known, as the history holds nothing that the check could compare.
    Unchecked,
    /// Nothing was promised, so nothing was judged.
    Counted,
}

impl Answer {
    /// The word in reports.
    pub fn word(self) -> &'static str {
        match self {
            Answer::Valid => "valid",
            Answer::Invalid => "invalid",
            Answer::Unknown | Answer::Unchecked => "unknown",
            Answer::Counted => "counted",
        }
    }

    /// The value of `valid` in JSON: true, false or "unknown"; true where nothing was judged.
    pub fn json(self) -> Value {
        match self {
            Answer::Valid | Answer::Counted => Value::Bool(true),
            Answer::Invalid => Value::Bool(false),
            Answer::Unknown | Answer::Unchecked => Value::from("unknown"),
        }
    }

    /// The exit status.
    pub fn status(self) -> Status {
        match self {
            Answer::Valid | Answer::Counted => Status::Done,
            Answer::Invalid => Status::Invalid,
            Answer::Unknown | Answer::Unchecked => Status::Unknown,
        }
    }
}

/// What a check found in a history.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// Whether the promise was kept.
    pub answer: Answer,
    /// Why, in one sentence without a full stop.
    pub because: String,
    /// Findings and remarks, in the order in which text has them.
    pub details: Vec<Detail>,
    /// The same for programs: fields beside `file`, `check` and `valid`.
    pub facts: Map<String, Value>,
    /// A list of what was found about each key, as JSON, where programs want it; there may be millions.
    pub keys: Option<String>,
    /// Why files that were asked for beside the verdict were not written.
    pub unwritten: Vec<Error>,
    /// Which keys are invalid.
    pub invalid: Vec<Option<Id>>,
    /// Whether its findings are in doubt, so that they are for people alone.
    is_doubted: bool,
}

impl Verdict {
    /// A verdict without details yet.
    pub fn new(answer: Answer, because: impl Into<String>) -> Verdict {
        let (details, facts) = (Vec::new(), Map::new());
        Verdict {
            answer,
            because: because.into(),
            details,
            facts,
            keys: None,
            unwritten: Vec::new(),
            invalid: Vec::new(),
            is_doubted: false,
        }
    }

    /// The exit status: that of the answer, or of a file that could not be written where that is worse.
    pub fn status(&self) -> Status {
        self.unwritten.iter().map(Error::status).fold(self.answer.status(), Status::worst)
    }

    /// Adds a field for programs.
    pub fn fact(&mut self, name: &str, value: impl Into<Value>) {
        self.facts.insert(name.into(), value.into());
    }

    /// Adds a line for people; it may be indented.
    pub fn say(&mut self, line: impl Into<String>) {
        self.details.push(Detail::Said(line.into()));
    }

    /// Adds a finding.
    pub fn found(&mut self, finding: Finding) {
        self.details.push(Detail::Found(finding));
    }

    /// The findings that programs may rely on.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.details.iter().filter(|_| !self.is_doubted).filter_map(|detail| match detail {
            Detail::Found(finding) => Some(finding),
            Detail::Said(_) => None,
        })
    }

    fn say_first(&mut self, line: String) {
        self.details.insert(0, Detail::Said(line));
    }

    /// Says in its sentence, and to programs, why it rests on little; nothing where there is no reason.
    #[must_use]
    pub fn resting_on_little(mut self, why: Vec<String>) -> Verdict {
        if !why.is_empty() {
            self.because += &format!("; this rests on little: {}", why.join(", and "));
            self.fact("rests_on_little", why);
        }
        self
    }

    /// Adds a remark before all other lines.
    #[must_use]
    pub fn noted(mut self, note: Option<String>) -> Verdict {
        self.details.splice(0..0, note.map(Detail::Said));
        self
    }

    /// Takes an `invalid` back that rests on values of invocations of which the completions say something else.
    #[must_use]
    pub fn only_by_arguments(mut self) -> Verdict {
        self.say_first(format!("by the arguments: invalid: {}", self.because));
        self.answer = Answer::Unknown;
        self.because = "it is invalid only if operations did what they were invoked with, and \
                        completions say other values; write the argument, or null, there"
            .into();
        // What was found about each key is by the arguments alone.
        (self.keys, self.is_doubted) = (None, true);
        self
    }

    /// Takes a `valid` back, where the run itself says that it proves nothing.
    #[must_use]
    pub fn doubted(mut self, why: Option<String>) -> Verdict {
        if let (Answer::Valid, Some(why)) = (self.answer, why) {
            self.say_first(format!("without that: valid: {}", self.because));
            self.answer = Answer::Unknown;
            self.because = why;
        }
        self
    }
}
