//! What is done to nodes: every kind of harm, each in a file of its own, and what all kinds have in common.
//!
//! | module | what it holds |
//! |---|---|
//! | [`command`] | the subcommand of each kind, and what it does |
//! | [`held`] | harm that is held as a fault, with its lines |
//! | [`guardian`] | the process that undoes it if the holder dies |
//!
//! A new kind is a new file with a [`Harm`] and a `HARM`, and its name in the list below. From that follow its
//! subcommand with its help and completions, its dry run, its fault lines and its watchdog.

pub mod command;
pub mod guardian;
pub mod held;

use std::fmt::Debug;

use breakit::exit::{Error, Result};
use clap::{ArgMatches, Args};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::node::container::{self, Container, at_once};
use crate::step::Step;

macro_rules! harms {
    ($($kind:ident)*) => {
        $(mod $kind;)*

        /// Every kind of harm, in the order of the help.
        pub const HARMS: &[Kind] = &[$($kind::HARM),*];
    };
}

harms! {
    kill
    pause
}

/// A kind of harm, with the arguments that it alone has.
///
/// Harm is done at once and for good, or it is held: then it is undone when its time is over, or by a guardian, which
/// knows nothing but what [`Harm::before`] gave. A fault that is an event (a process that is killed) is harm that is
/// undone by bringing back what it ended.
pub trait Harm: Args + Debug + Send + Sync + 'static {
    /// The word on the command line and on fault lines.
    const WORD: &'static str;

    /// The line of the help.
    const ABOUT: &'static str;

    /// The mechanism that does it: `backend` on fault lines.
    const BACKEND: &'static str;

    /// What undoing takes to know of a node.
    type Undo: Serialize + DeserializeOwned;

    /// Fields of its fault lines beside the nodes, the backend and the seed: what its arguments ask for.
    fn details(&self) -> Map<String, Value> {
        Map::new()
    }

    /// Looks at a node before it is harmed. Changes nothing.
    ///
    /// # Errors
    /// 69 if this harm cannot be done to it.
    fn before(&self, node: &Container) -> Result<Self::Undo>;

    /// The steps that harm a node. When they are taken the harm is in force, and was seen to be so. A node that is so
    /// already has none to show.
    ///
    /// # Errors
    /// 69 if a program is missing.
    fn apply<'a>(&'a self, node: &'a Container) -> Result<Vec<Step<'a>>>;

    /// Whether a node is harmed still: somebody else may have put it right.
    ///
    /// # Errors
    /// 75 if the node does not answer.
    fn holds(&self, node: &Container) -> Result<bool>;

    /// The steps that undo it. They can be taken more than once, and after harm that was done by half.
    ///
    /// # Errors
    /// 69 if a program is missing.
    fn undo(undo: Self::Undo, node: &Container) -> Result<Vec<Step<'_>>>;

    /// What is done once for all nodes before it is undone.
    ///
    /// # Errors
    /// 71 if the system refuses.
    fn before_undo(_nodes: &[Harmed]) -> Result<()> {
        Ok(())
    }
}

/// An entry of [`HARMS`].
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// The word on the command line and on fault lines.
    pub word: &'static str,
    /// The line of the help.
    pub about: &'static str,
    /// The mechanism that does it.
    pub backend: &'static str,
    add_args: fn(clap::Command) -> clap::Command,
    read_args: fn(&ArgMatches) -> std::result::Result<Box<dyn Deed>, clap::Error>,
    undo: for<'a> fn(&Value, &'a Container) -> Result<Vec<Step<'a>>>,
    before_undo: fn(&[Harmed]) -> Result<()>,
}

impl Kind {
    /// The entry of a kind.
    pub const fn of<H: Harm>() -> Kind {
        Kind {
            word: H::WORD,
            about: H::ABOUT,
            backend: H::BACKEND,
            add_args: H::augment_args,
            read_args: |matches| Ok(Box::new(H::from_arg_matches(matches)?)),
            undo: |undo, node| H::undo(from_json(undo)?, node),
            before_undo: H::before_undo,
        }
    }

    /// The kind of this word.
    pub fn find(word: &str) -> Option<&'static Kind> {
        HARMS.iter().find(|kind| kind.word == word)
    }

    /// Undoes it; a node that was taken down meanwhile needs nothing.
    ///
    /// # Errors
    /// 71 if a node does not come back.
    pub fn undo(&self, harmed: &[Harmed]) -> Result<()> {
        let there: Vec<Harmed> = harmed.iter().filter(|one| one.node.exists()).cloned().collect();
        (self.before_undo)(&there)?;
        let undone = at_once(&there, |one| crate::step::take((self.undo)(&one.undo, &one.node)?));
        container::all(undone).map(drop)
    }

    /// The lines that show how it is undone.
    ///
    /// # Errors
    /// 69 if a program is missing.
    fn shown_undo(&self, harmed: &[Harmed]) -> Result<Vec<String>> {
        let lines = at_once(harmed, |one| crate::step::shown((self.undo)(&one.undo, &one.node)?));
        Ok(container::all(lines)?.concat())
    }
}

/// Harm of one kind with its arguments; which kind, only itself knows.
trait Deed: Debug + Send + Sync {
    fn details(&self) -> Map<String, Value>;
    fn before(&self, node: &Container) -> Result<Value>;
    fn apply<'a>(&'a self, node: &'a Container) -> Result<Vec<Step<'a>>>;
    fn holds(&self, node: &Container) -> Result<bool>;
}

impl<H: Harm> Deed for H {
    fn details(&self) -> Map<String, Value> {
        Harm::details(self)
    }

    fn before(&self, node: &Container) -> Result<Value> {
        let undo = Harm::before(self, node)?;
        serde_json::to_value(undo)
            .map_err(|e| Error::system(format!("cannot write down how to undo {}: {e}", H::WORD)))
    }

    fn apply<'a>(&'a self, node: &'a Container) -> Result<Vec<Step<'a>>> {
        Harm::apply(self, node)
    }

    fn holds(&self, node: &Container) -> Result<bool> {
        Harm::holds(self, node)
    }
}

/// What undoing takes to know of the nodes, looked at before they are harmed.
///
/// # Errors
/// Those of the kind.
fn before(deed: &dyn Deed, nodes: &[Container]) -> Result<Vec<Harmed>> {
    container::all(at_once(nodes, |node| {
        deed.before(node).map(|undo| Harmed { node: node.clone(), undo })
    }))
}

fn from_json<T: DeserializeOwned>(value: &Value) -> Result<T> {
    T::deserialize(value).map_err(|e| Error::data(format!("cannot read how to undo a fault: {e}")))
}

/// A node that is harmed, with what undoing takes.
#[derive(Clone, Debug)]
pub struct Harmed {
    /// The node.
    pub node: Container,
    undo: Value,
}

impl AsRef<Container> for Harmed {
    fn as_ref(&self) -> &Container {
        &self.node
    }
}
