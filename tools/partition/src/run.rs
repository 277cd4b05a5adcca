//! Runs `partition` as its command line says.

use std::collections::VecDeque;

use breakit::exit::{Error, Result, Status};
use breakit::held_fault::{hold, together};
use breakit::lease::{Lease, LeaseArgs};
use breakit::node::{self, Fleet, Name, Node, NodesArg};
use breakit::op::Op;
use breakit::schedule::{Schedule, Window};
use breakit::signal::Watch;
use breakit::{clock, escape, jsonl, messages, rng, similar, stdout};
use clap::{CommandFactory, Parser};

use crate::backend;
use crate::check::{self, Question};
use crate::cli::{self, Cli, Command};
use crate::cut::{Cut, Wanted};
use crate::guard;
use crate::installed::{self, Place};
use crate::kernel_rules::KernelRules;
use crate::nft::Nft;
use crate::packets::{Answer, Packets, Share};
use crate::parallel;
use crate::peer::Peers;
use crate::primaries::Primaries;
use crate::privilege;
use crate::probe;
use crate::replay;
use crate::shapes::{self, Chosen};
use crate::target::{Step, Target};
use breakit::except::Except;

/// What the seed's numbers are for: `plan` and `cut` draw the same grudge from the same seed.
const PURPOSE: &str = "partition";

/// Runs the tool.
///
/// # Errors
/// One sentence for whatever stood in the way.
pub fn run(cli: Cli) -> Result<Status> {
    cli.loudness.set();
    cli.path.set()?;
    // What heals does so all the same, and fails when it is to say so.
    if !matches!(cli.command, Command::Heal(_) | Command::Guard(_)) {
        stdout::must_be_open()?;
    }
    match cli.command {
        Command::Plan(plan) => self::plan(&plan),
        Command::Cut(cut) => self::cut(&cut),
        Command::Replay(replay) => self::replay(&replay),
        Command::Heal(place) => heal(&place),
        Command::List(args) => list(&args),
        Command::Check(check) => self::check(&check),
        Command::Probe(probe) => probe::run(&probe.sudo.of(nodes_or_fleet_if_up(&probe.nodes)?)),
        Command::Guard(guard) => guard::stand(&guard.table, guard.after),
        Command::Unknown(words) => Err(unknown(&words)),
    }
}

/// The error about a first word that is no command: often a shape without one.
fn unknown(words: &[String]) -> Error {
    let Some((word, rest)) = words.split_first() else { return Error::usage("which command?") };
    let cited = escape::cited(word);
    if let Some(shape) = shapes::closest(word) {
        return meant(&cited, &["cut", "plan"], &[&[shape.to_string()], rest].concat());
    }
    let command = Cli::command();
    let commands = command.get_subcommands().filter(|command| !command.is_hide_set());
    let names: Vec<&str> = commands.map(clap::Command::get_name).collect();
    match similar::closest(word, names.iter().copied()) {
        Some(name) => meant(&cited, &[name], rest),
        None => {
            let names = names.join(", ");
            Error::usage(format!("{cited} is no command; take one of: {names}"))
        }
    }
}

/// How long a message may be with the commands that it names; else it names their help.
const MESSAGE: usize = 180;

/// The error that names whole commands in place of a wrong one: those of `commands` that take the rest of it.
fn meant(cited: &str, commands: &[&str], rest: &[String]) -> Error {
    let whole = |command: &&str| {
        let line = ["partition", command].into_iter().chain(rest.iter().map(String::as_str));
        Cli::try_parse_from(line.clone()).ok()?;
        shlex::try_join(line).ok()
    };
    let found: Vec<String> = commands.iter().filter_map(whole).map(|c| format!("({c})")).collect();
    let named = format!("{cited} is no command; did you mean {}?", found.join(" or "));
    if !found.is_empty() && named.len() <= MESSAGE {
        return Error::usage(named);
    }
    let first = commands.first().copied().unwrap_or_default();
    Error::usage(format!(
        "{cited} is no command; did you mean {first}? (see partition {first} --help)"
    ))
}

fn plan(plan: &cli::Plan) -> Result<Status> {
    let (shape, seed) = (chosen(&plan.drawn)?, rng::seed(plan.drawn.seed)?);
    let nodes = names(&plan.drawn.nodes)?;
    let grudge = shape.draw(&nodes, &mut rng::generator(seed, PURPOSE))?;
    messages::say(format!("{}, seed {seed}: {}", shape.words(), grudge.words()));
    jsonl::print(&grudge.json().to_string())?;
    Ok(Status::Done)
}

fn cut(args: &cli::Cut) -> Result<Status> {
    let seed = rng::seed(args.drawn.seed)?;
    let (schedule, lease) = (args.schedule.checked_with(seed)?, args.lease.checked()?);
    let kept = kept(args, &schedule, lease)?;
    let stdin = match args.drawn.nodes.reads_stdin() {
        true => Some("the nodes"),
        false => shapes::reads_stdin(&args.drawn.shape).then_some("the names of the shape"),
    };
    let target = target(args)?;
    let wanted = Wanted {
        packets: packets(args)?,
        steps: VecDeque::new(),
        nodes: match target {
            Target::Peers(_) if args.drawn.nodes.nodes.is_empty() => vec![backend::this_host()?],
            _ => args.sudo.of(nodes_or_fleet(&args.drawn.nodes)?),
        },
        target,
        rng: rng::generator(seed, PURPOSE),
        seed,
        backend: args.backend,
        force: args.force,
        verify: args.verify,
    };
    if !args.dry_run {
        privilege::permitted(&wanted.nodes)?;
    }
    let nft = Nft::find();
    let table = table_name()?;
    let mut cut = Cut::prepare(wanted, nft, table)?;
    if args.dry_run {
        jsonl::print_for_people(&cut.script(lease)?)?;
        return Ok(Status::Done);
    }
    let mut watch = Watch::start("healing goes on; the network is whole in a moment")?;
    args.schedule.watch_input(&mut watch, stdin)?;
    cut.ask_peers()?;
    cut.post_guard(kept)?;
    let outcome = hold(&mut cut, &schedule, lease, args.keep, &watch);
    // If we leave it alone with the end of its input, the guard of what is kept sweeps when the lease has ended.
    if kept.is_none() || outcome.is_err() {
        cut.dismiss_guard();
    }
    outcome
}

/// How long a cut lasts that is left in place; `None` for one that is held.
///
/// # Errors
/// 64 for longer than any lease: that is all that will end it.
fn kept(args: &cli::Cut, schedule: &Schedule, lease: Lease) -> Result<Option<Lease>> {
    let Some(length) = schedule.length().filter(|_| args.keep) else {
        return Ok(args.keep.then_some(lease));
    };
    LeaseArgs { lease: length }.checked().map(Some).map_err(|_| {
        Error::usage(format!(
            "--keep --for {}: what is kept ends with its lease, and a lease takes 1s to 24h",
            clock::show(length)
        ))
    })
}

/// The name of our tables.
fn table_name() -> Result<String> {
    installed::table_name(std::process::id())
        .ok_or_else(|| Error::system("cannot read our own entry in /proc; is it mounted?"))
}

/// Each holder of the recorded run has a thread, which holds its cuts at its times.
fn replay(args: &cli::Replay) -> Result<Status> {
    let lease = args.lease.checked()?;
    let record = replay::read(args.nodes.history(&args.history)?)?;
    if record.others > 0 {
        messages::say(format!("{} faults of other kinds are left out", record.others));
    }
    let (nft, table) = (Nft::find(), table_name()?);
    let mut parts = Vec::new();
    for (number, part) in (1..).zip(record.parts) {
        let wanted = replayed(args, part.nodes, part.steps)?;
        if !args.dry_run {
            privilege::permitted(&wanted.nodes)?;
        }
        let cut = Cut::prepare(wanted, nft.clone(), format!("{table}_{number}"))?;
        parts.push((cut, part.windows));
    }
    if args.dry_run {
        return rehearse(parts, lease);
    }
    let watch = Watch::start("healing goes on; the network is whole in a moment")?;
    let outcomes = parallel::all(parts, |(mut cut, windows)| {
        cut.post_guard(None)?;
        let outcome = hold(&mut cut, &Schedule::of(windows), lease, false, &watch);
        cut.dismiss_guard();
        outcome
    });
    together(outcomes)
}

/// The scripts of all cuts, each headed by when it would be in force. Printed only when all are known.
fn rehearse(parts: Vec<(Cut, Vec<Window>)>, lease: Lease) -> Result<Status> {
    let mut text = String::new();
    for (mut cut, windows) in parts {
        for window in windows {
            let end = window.end.map(clock::show).unwrap_or_default();
            text += &format!("# from {} to {end}\n", clock::show(window.start));
            text += &cut.script(lease)?;
        }
    }
    jsonl::print_for_people(&text)?;
    Ok(Status::Done)
}

/// What one holder of a recorded run wants, among the nodes of now.
fn replayed(args: &cli::Replay, named: Vec<String>, steps: VecDeque<Step>) -> Result<Wanted> {
    let here = backend::this_host()?;
    let nodes = match named.as_slice() {
        [] => args.sudo.of(nodes_or_fleet(&args.nodes)?),
        [only] if only == here.name.as_str() => vec![here],
        named => {
            let known = args.sudo.of(nodes_or_fleet(&args.nodes)?);
            named.iter().map(|name| one_of(&known, name)).collect::<Result<_>>()?
        }
    };
    let first = steps.front().cloned();
    let first = first.ok_or_else(|| Error::data("there is no cut to make again"))?;
    Ok(Wanted {
        target: first.target,
        packets: first.packets,
        steps,
        nodes,
        rng: rng::generator(0, PURPOSE),
        seed: 0,
        backend: args.backend,
        force: args.force,
        verify: false,
    })
}

fn one_of(known: &[Node], name: &str) -> Result<Node> {
    known.iter().find(|node| node.name.as_str() == name).cloned().ok_or_else(|| {
        Error::no_input(format!("the run had a node {name}, which is not here; name it with -n"))
    })
}

fn heal(args: &cli::Heal) -> Result<Status> {
    let places = places(&args.place)?;
    let which = |found: &KernelRules| args.id.is_empty() || args.id.contains(&found.name);
    if args.dry_run {
        let (scripts, errors) = installed::rehearse(&Nft::find(), &places, which);
        jsonl::print_for_people(&scripts.concat())?;
        return Error::all(errors).map(|()| Status::Done);
    }
    let (healed, mut errors) = installed::heal(&Nft::find(), &places, which);
    let line = |cut: &installed::Cut| Op::fault("stop-partition", cut.value()).line();
    let told = healed.iter().try_for_each(|cut| jsonl::print(&line(cut)));
    errors.extend(Error::unless_reader_gone(told).err());
    if healed.is_empty() && errors.is_empty() {
        messages::say("nothing was cut");
    }
    Error::all(errors).map(|()| Status::Done)
}

fn list(args: &cli::List) -> Result<Status> {
    let (cuts, mut errors) = installed::find(&Nft::find(), &places(&args.place)?);
    let told = cuts.iter().try_for_each(|cut| jsonl::print(&cut.line()));
    errors.extend(Error::unless_reader_gone(told).err());
    Error::all(errors)?;
    Ok(if args.exit_code && !cuts.is_empty() { Status::Invalid } else { Status::Done })
}

fn check(args: &cli::Check) -> Result<Status> {
    let nodes = nodes_or_fleet(&args.nodes)?;
    if nodes.len() < 2 {
        return Err(Error::usage("a check needs two nodes at least; name more with -n"));
    }
    if args.timeout.is_zero() {
        return Err(Error::usage(
            "--timeout 0s leaves no time for anything to arrive; take more, as 1s",
        ));
    }
    let question = Question::about(args.protocol, &args.ports)?;
    privilege::permitted(&nodes)?;
    let addresses = backend::addresses(&nodes)?;
    let matrix = check::measure(&nodes, &addresses, &question, args.timeout)?;
    if let Some(left_out) = matrix.left_out() {
        messages::say(format!(
            "left out, as no other node reaches it or has a network with it: {left_out}"
        ));
    }
    // The exit status says it as well, whether the matrix is read or not.
    Error::unless_reader_gone(match args.table {
        true => jsonl::print_for_people(&matrix.table()),
        false => jsonl::print(&matrix.json().to_string()),
    })?;
    Ok(match (matrix.unreached().next(), matrix.unknown().next()) {
        (Some(_), _) => Status::Invalid,
        (None, Some(_)) => Status::Unknown,
        (None, None) => Status::Done,
    })
}

fn chosen(drawn: &cli::Drawn) -> Result<Chosen> {
    if drawn.nodes.reads_stdin() && shapes::reads_stdin(&drawn.shape) {
        return Err(Error::usage("nodes and grudge cannot both come on stdin; give one as a file"));
    }
    let shape = Chosen::parse(&drawn.shape)?;
    Ok(if drawn.invert { shape.inverted() } else { shape })
}

/// A shape among nodes, or peers.
fn target(args: &cli::Cut) -> Result<Target> {
    if args.from.is_empty() && args.to.is_empty() {
        return Ok(Target::Among { shape: chosen(&args.drawn)?, primaries: primaries(args)? });
    }
    if !args.drawn.shape.is_empty() || args.drawn.invert || args.primaries.is_some() {
        return Err(Error::usage(
            "--from and --to cut off other hosts and go without a shape; leave one or the other out",
        ));
    }
    Peers::find(&args.from, &args.to).map(Target::Peers)
}

fn packets(args: &cli::Cut) -> Result<Packets> {
    let of = &args.packets;
    let packets = Packets {
        protocol: of.protocol,
        ports: of.ports.clone(),
        opening: of.new_only,
        share: of.loss.unwrap_or(Share::ALL),
        answer: if of.reject { Answer::Reset } else { Answer::Silence },
        except: Except::find(&of.except, &[])?,
    };
    let peers = !args.from.is_empty() || !args.to.is_empty();
    if args.verify && !packets.is_all() && !peers {
        return Err(Error::usage(
            "--verify measures whole cuts only; leave it out, or --port, --protocol, --new-only, --loss and --except",
        ));
    }
    if args.verify && packets.share != Share::ALL {
        return Err(Error::usage(
            "--verify cannot tell a share of the packets; leave it or --loss out",
        ));
    }
    packets.checked()
}

fn primaries(args: &cli::Cut) -> Result<Option<Primaries>> {
    match (&args.primaries, args.drawn.shape.as_slice()) {
        (None, _) => Ok(None),
        (Some(text), [word]) if word == shapes::primaries::SHAPE.name && !args.drawn.invert => {
            Primaries::of(text).map(Some)
        }
        _ => Err(Error::usage(
            "--primaries goes with the shape primaries, with no names behind it and no --invert",
        )),
    }
}

/// The names of nodes that need not be there: a plan touches nothing.
fn names(arg: &NodesArg) -> Result<Vec<Name>> {
    let bare = |part: &str| !part.contains(['=', ':']) && !part.starts_with('@') && part != "-";
    if !arg.nodes.is_empty() && arg.nodes.iter().flat_map(|spec| spec.split(',')).all(bare) {
        return node::names(&arg.nodes);
    }
    Ok(nodes_or_fleet(arg)?.into_iter().map(|node| node.name).collect())
}

fn nodes_or_fleet(arg: &NodesArg) -> Result<Vec<Node>> {
    if arg.nodes.is_empty() { Fleet::of_environment()?.nodes() } else { arg.resolve() }
}

/// As [`nodes_or_fleet`]; a fleet that is not up has no nodes.
fn nodes_or_fleet_if_up(arg: &NodesArg) -> Result<Vec<Node>> {
    match nodes_or_fleet(arg) {
        Err(error) if arg.nodes.is_empty() && error.status() == Status::NoInput => Ok(Vec::new()),
        other => other,
    }
}

fn places(args: &cli::Where) -> Result<Vec<Place>> {
    let nodes = args.sudo.of(nodes_or_fleet_if_up(&args.nodes)?);
    privilege::permitted(&nodes)?;
    let mut places = if args.all { installed::all_networks() } else { Vec::new() };
    let named = !args.nodes.nodes.is_empty() && !args.all;
    places.extend(if named { installed::networks_about } else { installed::networks }(&nodes));
    Ok(places)
}
