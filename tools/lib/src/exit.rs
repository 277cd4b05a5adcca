//! Exit statuses, the error type, and the `main` that all five tools share.
//!
//! The numbers are those of `sysexits.h` where it has one; 0, 1 and 2 are the verdicts. The same table
//! stands in every manual page, and a test holds the two together.

use std::fmt;
use std::io;

use crate::messages;

/// How a tool ended, when it did not die of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Status {
    /// Done, or the history is valid.
    Done = 0,
    /// The history is invalid, or the condition that was asked for does not hold.
    Invalid = 1,
    /// A budget ran out, or nothing was checked.
    Unknown = 2,
    /// A fault that was held ended before its time: somebody healed it, or its lease ran out.
    EndedEarly = 3,
    /// The command line is wrong.
    Usage = 64,
    /// The input is wrong.
    Data = 65,
    /// A file, node or fleet that was named is not there.
    NoInput = 66,
    /// A program or kernel feature that is needed is missing.
    Missing = 69,
    /// The system refused.
    System = 71,
    /// Waited too long for a node or a database.
    Waited = 75,
    /// Not permitted.
    NotPermitted = 77,
}

impl Status {
    /// Every status with the sentence that manual pages give for it.
    pub const TABLE: [(Status, &'static str); 11] = [
        (Status::Done, "done, or the history is valid"),
        (Status::Invalid, "the history is invalid, or the asked condition does not hold"),
        (Status::Unknown, "unknown: a budget ran out, or nothing was checked"),
        (
            Status::EndedEarly,
            "a fault ended before its time: somebody healed it, or its lease ran out",
        ),
        (Status::Usage, "wrong usage"),
        (Status::Data, "bad input; file, line and column are named"),
        (Status::NoInput, "a named file, node or fleet is not there"),
        (Status::Missing, "a needed program or kernel feature is missing"),
        (Status::System, "the system refused"),
        (Status::Waited, "waited too long for a node or a database"),
        (Status::NotPermitted, "not permitted"),
    ];

    /// The number that the shell sees.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The status of several pieces of work taken together: invalid, then errors, then a fault that ended early, then
    /// unknown, then done.
    pub fn worst(self, other: Status) -> Status {
        fn rank(status: Status) -> u8 {
            match status {
                Status::Done => 0,
                Status::Unknown => 1,
                Status::EndedEarly => 2,
                Status::Invalid => u8::MAX,
                error => error.code(),
            }
        }
        if rank(other) > rank(self) { other } else { self }
    }
}

/// Why a tool could not do its work: one sentence with the thing, the place and the remedy, and a status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// An error for people.
    Sentence {
        /// What the shell sees.
        status: Status,
        /// The sentence, without the tool's name and without a full stop of its own.
        message: String,
        /// The error behind it, in the words of whoever reported it, which `-v` shows.
        cause: Option<Cause>,
    },
    /// What is wrong with a thing that the caller knows by name and adds by [`Error::of`]: "is paused".
    Predicate {
        /// What the shell sees.
        status: Status,
        /// The sentence without its subject.
        predicate: String,
    },
    /// Whoever read our output is gone: not an error, the end of the work.
    ReaderGone,
    /// A signal ended the work, after everything was put in order.
    Signal(i32),
    /// A program that we ran for the user ended with this status: we end with the same. It has said itself
    /// what there was to say.
    Passed(u8),
    /// Several errors, none hidden behind another: what a clean-up gathers.
    Many(Vec<Error>),
}

/// An error behind another one, with the one behind that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    text: String,
    source: Option<Box<Cause>>,
}

impl Cause {
    fn of(error: &dyn std::error::Error) -> Cause {
        let source = error.source().map(|source| Box::new(Cause::of(source)));
        Cause { text: error.to_string(), source }
    }
}

/// What a tool's `run` and nearly everything below it returns.
pub type Result<T> = std::result::Result<T, Error>;

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $status:ident;)*) => {
        $($(#[$doc])*
        pub fn $name(message: impl Into<String>) -> Error {
            Error::sentence(Status::$status, message)
        })*
    };
}

impl Error {
    constructors! {
        /// 64: the command line is wrong.
        usage => Usage;
        /// 65: the input is wrong; the message names file, line and column.
        data => Data;
        /// 66: something that was named is not there.
        no_input => NoInput;
        /// 69: a program or kernel feature is missing; the message names the package.
        missing => Missing;
        /// 71: the system refused.
        system => System;
        /// 75: waited too long.
        waited => Waited;
        /// 77: not permitted.
        not_permitted => NotPermitted;
    }

    /// An error for people with any status.
    pub fn sentence(status: Status, message: impl Into<String>) -> Error {
        Error::Sentence { status, message: message.into(), cause: None }
    }

    /// The same error with the one behind it.
    #[must_use]
    pub fn because(self, source: &dyn std::error::Error) -> Error {
        match self {
            Error::Sentence { status, message, .. } => {
                Error::Sentence { status, message, cause: Some(Cause::of(source)) }
            }
            other => other,
        }
    }

    /// What is wrong with a thing that the caller names by [`Error::of`]: "is paused", "did not start".
    pub fn predicate(status: Status, predicate: impl Into<String>) -> Error {
        Error::Predicate { status, predicate: predicate.into() }
    }

    /// An I/O error in its place: "cannot PLACE: REASON", as 77, 66 or 71 by its kind.
    ///
    /// `place` continues "cannot": `"open /run/breakit/default/nodes.jsonl"`.
    pub fn io(place: impl fmt::Display, error: &io::Error) -> Error {
        let message = format!("cannot {place}: {}", reason(error));
        let status = match error.kind() {
            io::ErrorKind::PermissionDenied => Status::NotPermitted,
            io::ErrorKind::NotFound => Status::NoInput,
            _ => Status::System,
        };
        Error::sentence(status, message).because(error)
    }

    /// An error from writing our own output: a broken pipe is the end of the work, not an error.
    pub fn output(error: &io::Error) -> Error {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Error::ReaderGone,
            _ if error.raw_os_error() == Some(nix::libc::EBADF) => Error::closed_stdout(),
            _ => {
                let message = format!("cannot write to stdout: {}", reason(error));
                Error::system(message).because(error)
            }
        }
    }

    /// What is said where stdout takes nothing.
    pub fn closed_stdout() -> Error {
        Error::system(
            "cannot write to stdout: it is closed; send it to a file or a pipe, or to /dev/null",
        )
    }

    /// What printing a result met, where the exit status says the result as well: a reader that left does not
    /// change it.
    ///
    /// # Errors
    /// All but [`Error::ReaderGone`].
    pub fn unless_reader_gone(printed: Result<()>) -> Result<()> {
        match printed {
            Err(Error::ReaderGone) => Ok(()),
            printed => printed,
        }
    }

    /// All of `errors` as one, or `Ok` where there are none.
    ///
    /// # Errors
    /// [`Error::Many`], or the only one there is.
    pub fn all(mut errors: Vec<Error>) -> Result<()> {
        match errors.len() {
            0 => Ok(()),
            1 => Err(errors.remove(0)),
            _ => Err(Error::Many(errors)),
        }
    }

    /// The status that the shell sees (128+n for a signal is the shell's own doing).
    pub fn status(&self) -> Status {
        match self {
            Error::Sentence { status, .. } | Error::Predicate { status, .. } => *status,
            Error::ReaderGone | Error::Signal(_) | Error::Passed(0) => Status::Done,
            Error::Passed(_) => Status::Invalid,
            Error::Many(errors) => {
                errors.iter().map(Error::status).fold(Status::Done, Status::worst)
            }
        }
    }

    /// The same error with `context` before its sentence: "context: sentence".
    #[must_use]
    pub fn at(self, context: impl fmt::Display) -> Error {
        self.behind(&context.to_string())
    }

    /// The same error of `subject`: "node n1 is paused", but "node n1: cannot open ...".
    #[must_use]
    pub fn of(self, subject: impl fmt::Display) -> Error {
        self.about(&subject.to_string())
    }

    fn about(self, subject: &str) -> Error {
        match self {
            Error::Predicate { status, predicate } => {
                Error::sentence(status, format!("{subject} {predicate}"))
            }
            Error::Many(errors) => {
                Error::Many(errors.into_iter().map(|error| error.about(subject)).collect())
            }
            other => other.behind(subject),
        }
    }

    fn behind(self, context: &str) -> Error {
        match self {
            Error::Predicate { status, predicate } => {
                Error::sentence(status, format!("{context}: {predicate}"))
            }
            Error::Sentence { status, message, cause } => {
                Error::Sentence { status, message: format!("{context}: {message}"), cause }
            }
            Error::Many(errors) => {
                Error::Many(errors.into_iter().map(|e| e.behind(context)).collect())
            }
            other => other,
        }
    }

    /// Says it on stderr, and with `-v` the errors behind it.
    pub fn say(&self) {
        match self {
            Error::Sentence { message, .. } | Error::Predicate { predicate: message, .. } => {
                messages::error(message);
                let mut behind = std::error::Error::source(self);
                while let Some(error) = behind {
                    messages::detail(format!("because: {error}"));
                    behind = error.source();
                }
            }
            Error::Many(errors) => errors.iter().for_each(Error::say),
            Error::ReaderGone | Error::Signal(_) | Error::Passed(_) => {}
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Sentence { message, .. } | Error::Predicate { predicate: message, .. } => {
                f.write_str(message)
            }
            Error::ReaderGone => f.write_str("the reader of our output is gone"),
            Error::Signal(n) => write!(f, "ended by signal {n}"),
            Error::Passed(code) => write!(f, "the program ended with status {code}"),
            Error::Many(errors) => {
                for (i, error) in errors.iter().enumerate() {
                    write!(f, "{}{error}", if i == 0 { "" } else { "; " })?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Sentence { cause: Some(cause), .. } => Some(cause),
            _ => None,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Cause {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let source = self.source.as_deref()?;
        Some(source)
    }
}

/// The system's words for an I/O error, without Rust's "(os error 13)".
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_lowercase(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_outranks_errors_which_outrank_unknown() {
        assert_eq!(Status::Unknown.worst(Status::Invalid), Status::Invalid);
        assert_eq!(Status::Data.worst(Status::Unknown), Status::Data);
        assert_eq!(Status::Invalid.worst(Status::NotPermitted), Status::Invalid);
        assert_eq!(Status::Done.worst(Status::Unknown), Status::Unknown);
        assert_eq!(Status::EndedEarly.worst(Status::Done), Status::EndedEarly);
        assert_eq!(Status::EndedEarly.worst(Status::System), Status::System);
    }

    #[test]
    fn an_error_names_its_place_without_the_number_of_the_system_call() {
        let error = Error::io("open /nowhere", &io::Error::from_raw_os_error(2));
        assert_eq!(error.to_string(), "cannot open /nowhere: no such file or directory");
        assert_eq!(error.status(), Status::NoInput);
    }

    #[test]
    fn an_error_keeps_the_errors_behind_it_under_every_context() {
        use std::error::Error as _;
        let inner = Error::io("open /nowhere", &io::Error::from_raw_os_error(2));
        let outer = Error::system("cannot start").because(&inner).at("n1").of("fleet f");
        let behind = outer.source().unwrap();
        assert_eq!(behind.to_string(), "cannot open /nowhere: no such file or directory");
        let first = behind.source().unwrap();
        assert_eq!(first.to_string(), "No such file or directory (os error 2)");
        assert!(first.source().is_none());
    }

    #[test]
    fn a_predicate_gets_its_subject_and_another_error_its_place() {
        let paused = Error::predicate(Status::System, "is paused");
        let closed = Error::not_permitted("cannot open /x");
        assert_eq!(paused.clone().of("node n1").to_string(), "node n1 is paused");
        let both = Error::Many(vec![paused, closed]).of("node n1");
        assert_eq!(both.to_string(), "node n1 is paused; node n1: cannot open /x");
        assert_eq!(both.status(), Status::NotPermitted);
    }

    #[test]
    fn a_gathered_error_keeps_every_sentence_and_the_worst_status() {
        let error = Error::all(vec![Error::system("a"), Error::not_permitted("b")]).unwrap_err();
        assert_eq!(error.to_string(), "a; b");
        assert_eq!(error.status(), Status::NotPermitted);
    }
}
