//! Runs `slownet` as its command line says.

use breakit::escape::cited;
use breakit::exit::{Error, Result, Status};
use breakit::held_fault::{hold, together};
use breakit::jsonl::Lines;
use breakit::lease::{self, Lease};
use breakit::node::{self, Fleet, Node, NodesArg, SudoArg};
use breakit::op::Op;
use breakit::reach::Network;
use breakit::schedule::{Schedule, Window};
use breakit::signal::Watch;
use breakit::{clock, jsonl, messages, stdout};
use serde_json::{Value, json};

use crate::agent::{Agents, serve};
use crate::cli::{ClearArgs, Cli, Command, ListArgs, ProbeArgs, ReplayArgs, SetArgs};
use crate::faults::{Faults, Means};
use crate::impairments::Parts;
use crate::link::{self, Link};
use crate::probe::{self, Kernel};
use crate::qdisc::WithRoot;
use crate::traffic;
use crate::{list, networks, replay, sweep};

/// Runs the tool.
///
/// # Errors
/// One sentence for whatever stood in the way.
pub fn run(cli: Cli) -> Result<Status> {
    cli.loudness.set();
    cli.path.set()?;
    // What heals does so all the same, and fails when it is to say so.
    if !matches!(cli.command, Command::Clear(_)) {
        stdout::must_be_open()?;
    }
    match cli.command {
        Command::Set(args) => set(*args),
        Command::Replay(args) => replay(&args),
        Command::Clear(args) => clear(&args),
        Command::List(args) => list(&args),
        Command::Probe(args) => report(&args),
        Command::Agent => serve::run(),
    }
}

fn set(args: SetArgs) -> Result<Status> {
    let links = links(&args)?;
    let seed = breakit::rng::seed(args.seed)?;
    let (schedule, lease) = (args.schedule.checked_with(seed)?, args.lease.checked()?);
    let kept = lease::kept(args.keep, &schedule, lease)?;
    let means = Means { backend: args.backend, force: args.force, seed, agent: args.agent };
    let mut faults = Faults::plan(links, means)?;
    refuse_what_the_backend_cannot(&args.seed, args.keep, &faults)?;
    if args.dry_run {
        let asked = faults.links().map(Link::json);
        return print_all(
            &asked.chain(faults.rehearse(kept.unwrap_or(lease))?).collect::<Vec<Value>>(),
        );
    }
    faults.try_lines()?;
    let mut watch = Watch::start("the fault is being taken back; that goes on")?;
    let stdin = reads_stdin(&args).then_some("nodes or links");
    args.schedule.watch_input(&mut watch, stdin)?;
    let held = hold(&mut faults, &schedule, lease, args.keep, &watch);
    match kept {
        Some(lease) => left(held, faults.sweep_after(lease)),
        None => left(held, faults.leave()),
    }
}

/// What holding ended with, and what leaving met.
fn left(held: Result<Status>, left: Result<()>) -> Result<Status> {
    match (held, left) {
        (held, Ok(())) => held,
        (Err(held), Err(left)) => Err(Error::Many(vec![held, left])),
        (Ok(_), Err(left)) => Err(left),
    }
}

/// The one link that the flags say, or all that a file says.
fn links(args: &SetArgs) -> Result<Vec<Link>> {
    if let Some(file) = &args.links {
        return link::read(lines_of(file)?, args.sudo.of(args.nodes.resolve()?));
    }
    let parts = Parts::of(&args.parts)?;
    let nodes = somewhere(&args.nodes, args.sudo)?;
    let to = traffic::whom(&args.traffic.to, &nodes)?;
    let known = [&nodes[..], &to.nodes].concat();
    Ok(vec![Link::new(nodes, to, parts, &args.traffic, &known)?])
}

fn lines_of(file: &str) -> Result<Lines> {
    match file.strip_prefix('@') {
        Some(path) => Lines::open(path.as_ref()),
        None => Err(Error::usage(format!(
            "{} names no file with links; write @links.jsonl, or @- for stdin (nodes are named with -n)",
            cited(file)
        ))),
    }
}

fn reads_stdin(args: &SetArgs) -> bool {
    args.nodes.reads_stdin()
        || args.traffic.to.iter().any(|to| to == "-")
        || args.links.as_deref() == Some("@-")
}

fn refuse_what_the_backend_cannot(seed: &Option<u64>, keep: bool, faults: &Faults) -> Result<()> {
    match faults.need_their_holder() {
        true if keep => Err(Error::usage(
            "--keep cannot be had with the backend nfqueue: its packets go through this process; leave --keep out",
        )),
        false if seed.is_some() => Err(Error::usage(
            "--seed means nothing to the kernel, which draws its own; leave it out or take --backend nfqueue",
        )),
        _ => Ok(()),
    }
}

/// Each holder of the recorded run has a thread, which holds its faults at its times.
fn replay(args: &ReplayArgs) -> Result<Status> {
    let lease = args.lease.checked()?;
    let lines = args.nodes.history(&args.history)?;
    let record = replay::read(lines, args.sudo.of(args.nodes.resolve()?))?;
    if record.others > 0 {
        messages::say(format!("{} faults of other kinds are left out", record.others));
    }
    let drawn = breakit::rng::seed(None)?;
    let ReplayArgs { backend, force, agent, .. } = *args;
    let mut parts = Vec::new();
    for part in record.parts {
        let means = Means { backend, force, seed: part.seed.unwrap_or(drawn), agent };
        parts.push((Faults::plan(part.links, means)?, Schedule::of(part.windows)));
    }
    if args.dry_run {
        return rehearse(&parts, lease);
    }
    parts.iter().try_for_each(|(faults, _)| faults.try_lines())?;
    let watch = Watch::start("the faults are being taken back; that goes on")?;
    together(hold_all(parts, lease, &watch))
}

/// When each holder would make its faults, and how.
fn rehearse(parts: &[(Faults, Schedule)], lease: Lease) -> Result<Status> {
    let mut lines = Vec::new();
    for (faults, schedule) in parts {
        let window =
            |window: Window| json!([clock::show(window.start), window.end.map(clock::show)]);
        let windows: Vec<Value> = schedule.windows().map(window).collect();
        for mut line in faults.rehearse(lease)? {
            line["windows"] = windows.clone().into();
            lines.push(line);
        }
    }
    print_all(&lines)
}

/// Only when all is known: half a rehearsal says nothing.
fn print_all(lines: &[Value]) -> Result<Status> {
    for line in lines {
        jsonl::print(&line.to_string())?;
    }
    Ok(Status::Done)
}

fn hold_all(parts: Vec<(Faults, Schedule)>, lease: Lease, watch: &Watch) -> Vec<Result<Status>> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = parts
            .into_iter()
            .map(|(mut faults, schedule)| {
                scope.spawn(move || {
                    let held = hold(&mut faults, &schedule, lease, false, watch);
                    left(held, faults.leave())
                })
            })
            .collect();
        let died = |_| Err(Error::system("the thread that held a fault died"));
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(died)).collect()
    })
}

/// The nodes that were named, else all of the fleet.
fn somewhere(args: &NodesArg, sudo: SudoArg) -> Result<Vec<Node>> {
    let nodes = args.resolve()?;
    if !args.nodes.is_empty() && nodes.is_empty() {
        return Err(Error::no_input("-n names no node; the input was empty"));
    }
    let nodes = if args.nodes.is_empty() { Fleet::of_environment()?.nodes()? } else { nodes };
    Ok(sudo.of(nodes))
}

/// The nodes that were named, else this host itself and all of the fleet, if it is up; with `all` every other network
/// of this host, too.
fn wherever(args: &NodesArg, sudo: SudoArg, all: bool) -> Result<Vec<Node>> {
    let mut nodes = match args.nodes.is_empty() {
        true => host_and_fleet(sudo)?,
        false => somewhere(args, sudo)?,
    };
    if all {
        nodes.extend(networks::others(&nodes));
    }
    Ok(nodes)
}

fn host_and_fleet(sudo: SudoArg) -> Result<Vec<Node>> {
    let mut nodes = node::resolve(&["localhost=local".to_string()])?;
    match Fleet::of_environment()?.nodes() {
        Ok(fleet) => nodes.extend(sudo.of(fleet)),
        Err(error) if error.status() == Status::NoInput => {}
        Err(error) => return Err(error),
    }
    Ok(nodes)
}

fn clear(args: &ClearArgs) -> Result<Status> {
    let nodes = wherever(&args.nodes, args.sudo, args.all)?;
    if args.dry_run {
        show_those(&nodes, |line| {
            args.id.is_empty() || args.id.iter().any(|id| line["id"] == id.to_string())
        })?;
        return Ok(Status::Done);
    }
    let ours = |id| args.id.is_empty() || args.id.contains(&id);
    let swept = node::at_once(&nodes, |node| match Network::of(node) {
        Ok(network) => sweep::sweep(&network, ours, WithRoot::Remove),
        // What does not run holds no fault.
        Err(error) if error.status() == Status::NoInput => {
            messages::detail(error.to_string());
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
    errors.extend(Error::unless_reader_gone(tell_cleared(&cleared)).err());
    if cleared.is_empty() && errors.is_empty() {
        messages::say("there was no fault");
    }
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

fn list(args: &ListArgs) -> Result<Status> {
    let shown = show_those(&wherever(&args.nodes, args.sudo, args.all)?, |_| true)?;
    Ok(if args.exit_code && shown > 0 { Status::Invalid } else { Status::Done })
}

/// Gives how many lines there were.
fn show_those(nodes: &[Node], wanted: impl Fn(&serde_json::Value) -> bool) -> Result<usize> {
    let (mut errors, mut shown) = (Vec::new(), 0);
    for lines in node::at_once(nodes, list::lines) {
        match lines {
            Ok(lines) => {
                let lines: Vec<_> = lines.iter().filter(|line| wanted(line)).collect();
                shown += lines.len();
                let told = lines.iter().try_for_each(|line| jsonl::print(&line.to_string()));
                errors.extend(Error::unless_reader_gone(told).err());
            }
            Err(error) => errors.push(error),
        }
    }
    Error::all(errors).map(|()| shown)
}

fn report(args: &ProbeArgs) -> Result<Status> {
    if args.nodes.nodes.is_empty() {
        return tell(None, &Network::Here, None);
    }
    let agents = args.agent.then(Agents::default);
    for node in args.sudo.of(args.nodes.resolve()?) {
        tell(Some(&node), &Network::of(&node)?, agents.as_ref())?;
    }
    Ok(Status::Done)
}

fn tell(node: Option<&Node>, network: &Network, agents: Option<&Agents>) -> Result<Status> {
    let mut line = json!({});
    if let Some(node) = node {
        line["node"] = node.name.as_str().into();
    }
    let works = probe::report(Kernel::of(network), agents)?;
    line["chosen"] = probe::chosen(&works);
    line["works"] = works;
    jsonl::print(&line.to_string())?;
    Ok(Status::Done)
}
