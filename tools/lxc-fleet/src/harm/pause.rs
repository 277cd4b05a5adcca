//! `pause`: the processes of a node stand still; undone, they go on.

use breakit::exit::Result;
use clap::Args;

use crate::harm::{Harm, Kind};
use crate::node::container::{Condition, Container};
use crate::step::{self, Step};

pub const HARM: Kind = Kind::of::<Pause>();

#[derive(Args, Debug)]
pub struct Pause {}

impl Harm for Pause {
    const WORD: &'static str = "pause";
    const ABOUT: &'static str = "Pause nodes: all their programs stop; with --for they continue";
    const BACKEND: &'static str = "freezer";

    type Undo = ();

    fn before(&self, _node: &Container) -> Result<()> {
        Ok(())
    }

    fn apply<'a>(&'a self, node: &'a Container) -> Result<Vec<Step<'a>>> {
        let show = || match node.condition()? {
            Condition::Frozen => Ok(None),
            Condition::Stopped => node.must_run().map(|()| None),
            Condition::Running | Condition::Freezing => order(node, true).map(Some),
        };
        Ok(vec![Step::new(show, || node.pause())])
    }

    fn holds(&self, node: &Container) -> Result<bool> {
        // A program that somebody starts in there now takes a moment to stand still.
        Ok(matches!(node.condition()?, Condition::Frozen | Condition::Freezing))
    }

    fn undo((): (), node: &Container) -> Result<Vec<Step<'_>>> {
        Ok(vec![Step::new(|| Ok([order(node, false)?]), || node.resume())])
    }
}

/// What a shell does to freeze a node or to let it go on.
fn order(node: &Container, frozen: bool) -> Result<String> {
    let (file, word) = node.freezer()?.order_of(frozen);
    Ok(format!("echo {word} > {}", step::path(&file)))
}
