//! Runs `slownet` as its command line says.

use breakit::exit::{Error, Result, Status};
use breakit::hold::hold;
use breakit::node::{self, Fleet, Node, NodesArg};
use breakit::op::Op;
use breakit::reach::Network;
use breakit::signal::Watch;
use breakit::{jsonl, talk};
use serde_json::json;

use crate::cli::{ClearArgs, Cli, Command, PartsArgs, ProbeArgs, SetArgs};
use crate::parts::{Delay, Distribution, Jitter, Loss, Parts, Reorder};
use crate::probe::{self, Kernel};
use crate::qdisc::WithRoot;
use crate::slow::Slow;
use crate::traffic::{self, Traffic};
use crate::{list, sweep};

/// Runs the tool.
///
/// # Errors
/// One sentence for whatever stood in the way.
pub fn run(cli: Cli) -> Result<Status> {
    cli.loudness.set();
    match cli.command {
        Command::Set(args) => set(*args),
        Command::Clear(args) => clear(&args),
        Command::List(args) => show(&somewhere(&args.nodes)?),
        Command::Probe(args) => report(&args),
    }
}

fn set(args: SetArgs) -> Result<Status> {
    let parts = parts(&args.parts)?;
    let (schedule, lease) = (args.schedule.checked()?, args.lease.checked()?);
    let nodes = somewhere(&args.nodes)?;
    let to = traffic::whom(&args.traffic.to)?;
    let traffic =
        Traffic::new(to, args.traffic.protocol, args.traffic.port).going(args.traffic.direction);
    if args.dry_run {
        let mut line = traffic.json();
        line["parts"] = parts.json();
        jsonl::print(&line.to_string())?;
    }
    let seed = breakit::rng::seed(args.seed)?;
    let mut slow = Slow::plan(nodes, parts, traffic, args.backend, args.force, seed)?;
    refuse_what_the_backend_cannot(&args.seed, args.keep, &slow)?;
    if args.dry_run {
        for line in slow.rehearse(lease)? {
            jsonl::print(&line.to_string())?;
        }
        return Ok(Status::Done);
    }
    let mut watch = Watch::start("the fault is being taken back; that goes on")?;
    if args.nodes.reads_stdin() || args.traffic.to.iter().any(|to| to == "-") {
        watch.ignore_input();
    }
    let held = hold(&mut slow, &schedule, lease, args.keep, &watch);
    if args.keep {
        slow.entrust_to_lease();
        return held;
    }
    match (held, slow.leave()) {
        (held, Ok(())) => held,
        (Err(held), Err(left)) => Err(Error::Many(vec![held, left])),
        (Ok(_), Err(left)) => Err(left),
    }
}

fn refuse_what_the_backend_cannot(seed: &Option<u64>, keep: bool, slow: &Slow) -> Result<()> {
    match slow.needs_its_holder() {
        true if keep => Err(Error::usage(
            "--keep cannot be had with the backend nfqueue: its packets go through this process; leave --keep out",
        )),
        false if seed.is_some() => Err(Error::usage(
            "--seed means nothing to the kernel, which draws its own; leave it out or take --backend nfqueue",
        )),
        _ => Ok(()),
    }
}

/// The parts that the flags say, on top of the preset's.
fn parts(args: &PartsArgs) -> Result<Parts> {
    let mut parts = args.preset.map(|preset| preset.parts()).unwrap_or_default();
    parts.delay = delay(args, parts.delay)?;
    parts.loss = loss(args)?.or(parts.loss);
    parts.duplicate = args.duplicate.or(parts.duplicate);
    parts.reorder = args.reorder.map(|chance| Reorder { chance, gap: args.gap }).or(parts.reorder);
    parts.corrupt = args.corrupt.or(parts.corrupt);
    parts.rate = args.rate.or(parts.rate);
    parts.limit = args.limit;
    parts.checked()
}

fn delay(args: &PartsArgs, preset: Option<Delay>) -> Result<Option<Delay>> {
    let before = preset.and_then(|delay| delay.jitter);
    let Some(time) = args.delay.or(preset.map(|delay| delay.time)) else {
        return match args.jitter {
            Some(_) => Err(Error::usage("--jitter needs --delay: it is how the delay strays")),
            None => no_spread(args, "--delay and --jitter").map(|()| None),
        };
    };
    let Some(stray) = args.jitter.or(before.map(|jitter| jitter.time)).filter(|t| !t.is_zero())
    else {
        return no_spread(args, "--jitter").map(|()| Some(Delay { time, jitter: None }));
    };
    let distribution = args.distribution.or(before.map(|jitter| jitter.distribution));
    let correlation = args.correlation.or(before.and_then(|jitter| jitter.correlation));
    let distribution = distribution.unwrap_or(Distribution::Uniform);
    Ok(Some(Delay { time, jitter: Some(Jitter { time: stray, distribution, correlation }) }))
}

fn no_spread(args: &PartsArgs, needed: &str) -> Result<()> {
    if args.distribution.is_none() && args.correlation.is_none() {
        return Ok(());
    }
    Err(Error::usage(format!("--distribution and --correlation need {needed}")))
}

fn loss(args: &PartsArgs) -> Result<Option<Loss>> {
    if args.loss_state.len() > 5 {
        return Err(Error::usage("--loss-state takes five percentages at the most"));
    }
    if args.loss_gemodel.len() > 4 {
        return Err(Error::usage("--loss-gemodel takes four percentages at the most"));
    }
    Ok(match (args.loss, &args.loss_state[..], &args.loss_gemodel[..]) {
        (Some(chance), _, _) => Some(Loss::Random(chance)),
        (None, [_, ..], _) => Some(Loss::State(args.loss_state.clone())),
        (None, _, [_, ..]) => Some(Loss::Gemodel(args.loss_gemodel.clone())),
        _ => None,
    })
}

/// The nodes that were named, else all of the fleet.
fn somewhere(args: &NodesArg) -> Result<Vec<Node>> {
    let nodes = args.resolve()?;
    if !args.nodes.is_empty() && nodes.is_empty() {
        return Err(Error::no_input("-n names no node; the input was empty"));
    }
    if args.nodes.is_empty() { Fleet::of_environment()?.nodes() } else { Ok(nodes) }
}

fn clear(args: &ClearArgs) -> Result<Status> {
    let nodes = somewhere(&args.nodes)?;
    if args.dry_run {
        return show_those(&nodes, |line| args.id.is_none_or(|id| line["id"] == id.to_string()));
    }
    let ours = |id| args.id.is_none_or(|only| only == id);
    let swept = node::at_once(&nodes, |node| match Network::of(node) {
        Ok(network) => sweep::sweep(&network, ours, WithRoot::Remove),
        // What does not run holds no fault.
        Err(error) if error.status() == Status::NoInput => {
            talk::detail(error.to_string());
            Ok(std::collections::BTreeSet::new())
        }
        Err(error) => Err(error),
    });
    let (mut errors, mut cleared) = (Vec::new(), Vec::new());
    for (node, swept) in nodes.iter().zip(swept) {
        match swept {
            Ok(ids) => cleared.extend(ids.into_iter().map(|id| (node.name.as_str(), id))),
            Err(error) => errors.push(error),
        }
    }
    tell_cleared(&cleared)?;
    Error::all(errors).map(|()| Status::Done)
}

/// A stop line for each fault that was there, so that the output of `clear` can be appended to a history.
fn tell_cleared(cleared: &[(&str, crate::fault_id::FaultId)]) -> Result<()> {
    let mut ids: Vec<_> = cleared.iter().map(|(_, id)| *id).collect();
    ids.sort_unstable();
    ids.dedup();
    for id in ids {
        let of_it = cleared.iter().filter(|(_, other)| *other == id);
        let nodes: Vec<&str> = of_it.map(|(node, _)| *node).collect();
        let value = json!({ "id": id.to_string(), "nodes": nodes, "healed": "by clear" });
        jsonl::print(&Op::fault("stop-slow", value).line())?;
    }
    Ok(())
}

fn show(nodes: &[Node]) -> Result<Status> {
    show_those(nodes, |_| true)
}

fn show_those(nodes: &[Node], wanted: impl Fn(&serde_json::Value) -> bool) -> Result<Status> {
    let mut errors = Vec::new();
    for lines in node::at_once(nodes, list::lines) {
        match lines {
            Ok(lines) => {
                for line in lines.iter().filter(|line| wanted(line)) {
                    jsonl::print(&line.to_string())?;
                }
            }
            Err(error) => errors.push(error),
        }
    }
    Error::all(errors).map(|()| Status::Done)
}

fn report(args: &ProbeArgs) -> Result<Status> {
    if args.nodes.nodes.is_empty() {
        return tell(None, &Network::Here);
    }
    for node in args.nodes.resolve()? {
        tell(Some(&node), &Network::of(&node)?)?;
    }
    Ok(Status::Done)
}

fn tell(node: Option<&Node>, network: &Network) -> Result<Status> {
    let mut line = json!({});
    if let Some(node) = node {
        line["node"] = node.name.as_str().into();
    }
    let works = probe::report(Kernel::of(network))?;
    line["chosen"] = probe::chosen(&works);
    line["works"] = works;
    jsonl::print(&line.to_string())?;
    Ok(Status::Done)
}
