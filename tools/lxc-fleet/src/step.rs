//! One step of a command: shown by `--dry-run`, or taken.
//!
//! What is shown is a command as a shell takes it, or, behind a `#`, what we do ourselves. To show a step nothing is
//! locked, mounted, written or sent; what is there is looked at, so that only what is missing is shown.

use std::path::Path;

use breakit::exit::{Error, Result, Status};
use breakit::{jsonl, messages, program};

/// A step. It is looked over only when it is its turn.
pub struct Step<'a> {
    show: Box<dyn FnOnce() -> Result<Vec<String>> + 'a>,
    take: Box<dyn FnOnce() -> Result<()> + 'a>,
}

impl<'a> Step<'a> {
    /// A step that is shown as the lines of `show` and taken by `take`.
    pub fn new<Lines: IntoIterator<Item = String>>(
        show: impl FnOnce() -> Result<Lines> + 'a,
        take: impl FnOnce() -> Result<()> + 'a,
    ) -> Step<'a> {
        let show = || show().map(|lines| lines.into_iter().collect());
        Step { show: Box::new(show), take: Box::new(take) }
    }

    /// A step that is shown as this line.
    pub fn told(line: impl Into<String>, take: impl FnOnce() -> Result<()> + 'a) -> Step<'a> {
        let line = line.into();
        Step::new(move || Ok([line]), take)
    }

    /// A step that is taken and of which nothing is shown: it changes nothing that lasts, or needs no word.
    pub fn silent(take: impl FnOnce() -> Result<()> + 'a) -> Step<'a> {
        Step::new(|| Ok([]), take)
    }

    /// The lines that show it.
    ///
    /// # Errors
    /// What can be judged beforehand, as if it were taken.
    pub fn shown(self) -> Result<Vec<String>> {
        (self.show)()
    }

    /// Takes it.
    ///
    /// # Errors
    /// Its own.
    pub fn take(self) -> Result<()> {
        (self.take)()
    }
}

/// The lines that show the steps, in their order.
///
/// # Errors
/// The first that one of them finds.
pub fn shown(steps: Vec<Step>) -> Result<Vec<String>> {
    let lines: Result<Vec<_>> = steps.into_iter().map(Step::shown).collect();
    Ok(lines?.concat())
}

/// Takes the steps, one after the other.
///
/// # Errors
/// That of the first that fails; those behind it are not taken.
pub fn take(steps: Vec<Step>) -> Result<()> {
    steps.into_iter().try_for_each(Step::take)
}

/// Takes all the steps, whether others fail or not.
///
/// # Errors
/// All of theirs.
pub fn take_all(steps: Vec<Step>) -> Result<()> {
    Error::all(steps.into_iter().filter_map(|step| step.take().err()).collect())
}

/// Prints the lines of a dry run.
///
/// # Errors
/// If stdout does not take them.
pub fn print(lines: &[String]) -> Result<Status> {
    if lines.is_empty() {
        messages::say("nothing would be done");
    }
    lines
        .iter()
        .try_for_each(|line| jsonl::print_for_people(&format!("{line}\n")))
        .map(|()| Status::Done)
}

/// A path as a shell must see it.
pub fn path(path: &Path) -> String {
    program::quote(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn a_step_is_shown_or_taken_and_never_both() {
        let done = RefCell::new(Vec::new());
        let did = &|what: &str| done.borrow_mut().push(what.to_string());
        let step = |name: &'static str| {
            let show = move || {
                did("shown");
                Ok([name.to_string()])
            };
            Step::new(show, move || {
                did("taken");
                Ok(())
            })
        };
        assert_eq!(shown(vec![step("a"), step("b")]).unwrap(), ["a", "b"]);
        assert_eq!(done.take(), ["shown", "shown"]);
        take(vec![step("a"), step("b")]).unwrap();
        assert_eq!(done.take(), ["taken", "taken"]);
    }

    #[test]
    fn steps_end_at_the_first_that_fails_unless_all_are_to_be_taken() {
        let taken = RefCell::new(0);
        let steps = || -> Vec<Step> {
            let step = |_| {
                Step::silent(|| {
                    *taken.borrow_mut() += 1;
                    Err(Error::system("no"))
                })
            };
            [1, 2].map(step).into()
        };
        assert_eq!(take(steps()).unwrap_err().to_string(), "no");
        assert_eq!(taken.take(), 1);
        assert_eq!(take_all(steps()).unwrap_err().to_string(), "no; no");
        assert_eq!(taken.take(), 2);
    }
}
