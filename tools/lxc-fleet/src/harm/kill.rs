//! `kill`: all processes of a node get KILL; undone, the node is started again.

use breakit::exit::Result;
use breakit::program;
use clap::Args;

use crate::harm::{Harm, Harmed, Kind};
use crate::node::container::{self, Condition, Container};
use crate::node::launch;
use crate::step::Step;

pub const HARM: Kind = Kind::of::<Kill>();

#[derive(Args, Debug)]
pub struct Kill {}

impl Harm for Kill {
    const WORD: &'static str = "kill";
    const ABOUT: &'static str =
        "Kill nodes: all their programs get KILL at once; with --for the nodes are started again";
    const BACKEND: &'static str = "lxc-stop";

    type Undo = ();

    fn before(&self, _node: &Container) -> Result<()> {
        Ok(())
    }

    fn apply<'a>(&'a self, node: &'a Container) -> Result<Vec<Step<'a>>> {
        let show = || {
            Ok(match node.condition()? {
                Condition::Stopped => None,
                _ => Some(program::show(&node.kill_command()?)),
            })
        };
        Ok(vec![Step::new(show, || node.kill())])
    }

    fn holds(&self, node: &Container) -> Result<bool> {
        Ok(node.condition()? == Condition::Stopped)
    }

    fn undo((): (), node: &Container) -> Result<Vec<Step<'_>>> {
        let line = program::show(&launch::start_command(&node.id(), false)?);
        Ok(vec![Step::told(line, || node.start())])
    }

    fn before_undo(nodes: &[Harmed]) -> Result<()> {
        container::raise_walls(nodes)
    }
}
