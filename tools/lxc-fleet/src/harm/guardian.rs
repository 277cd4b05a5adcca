//! Undoes harm whose holder died or was stopped: the kernel has no timeout for a node that is frozen or dead.

use std::collections::BTreeMap;

use breakit::exit::{Error, Result, Status};
use breakit::helper;
use breakit::watchdog::{Post, Watchdog};
use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::Value;

use crate::fleet::select::of_specs;
use crate::harm::{HARMS, Harmed, Kind};

/// `watchdog`.
#[derive(Args, Debug)]
pub struct WatchdogArgs {
    /// What is undone
    #[arg(long, hide = true, value_parser = word())]
    pub kind: String,
}

/// Starts a watchdog over nodes that are about to be harmed.
///
/// # Errors
/// 71 if it does not start.
pub fn post(kind: &Kind, harmed: &[Harmed]) -> Result<Watchdog> {
    let order = |one: &Harmed| (one.node.member.name.clone(), one.undo.clone());
    let orders: BTreeMap<String, Value> = harmed.iter().map(order).collect();
    Watchdog::post(helper::ourselves().args(["watchdog", "--kind", kind.word]), &orders)
}

/// The watchdog itself.
///
/// # Errors
/// 71 if a node does not come back.
pub fn watch(args: &WatchdogArgs) -> Result<Status> {
    let kind = Kind::find(&args.kind)
        .ok_or_else(|| Error::usage(format!("--kind {} is no kind of harm", args.kind)))?;
    let (mut post, orders) = Post::take::<BTreeMap<String, Value>>()?;
    let names: Vec<String> = orders.keys().cloned().collect();
    let harmed = of_specs(&names)?.into_iter().filter_map(|node| {
        let undo = orders.get(&node.member.name)?.clone();
        Some(Harmed { node, undo })
    });
    let harmed: Vec<Harmed> = harmed.collect();
    post.ready()?;
    if post.cause()?.is_some() {
        // A holder that was stopped is to learn that its harm is not in force any more.
        drop(post);
        kind.undo(&harmed)?;
    }
    Ok(Status::Done)
}

/// The words of all kinds, as an argument takes them.
fn word() -> PossibleValuesParser {
    PossibleValuesParser::new(HARMS.iter().map(|kind| kind.word))
}
