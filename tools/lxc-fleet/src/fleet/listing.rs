//! `ls`, `nodes` and `logs`: what there is.

use std::fs::File;
use std::io::{BufRead, BufReader};

use breakit::escape;
use breakit::exit::{Error, Result, Status};
use breakit::jsonl;
use breakit::node::{Fleet, Name, Node, Via, resolve};
use serde_json::json;

use crate::cli::LsArgs;
use crate::fleet::select::{self, Selection};
use crate::fleet::state;
use crate::node::container::{self, Container, at_once};
use crate::node::seccomp;

/// Lists nodes with their state: a table of tabs, or JSON lines.
///
/// # Errors
/// As [`Selection::containers`]; a fleet that is not there has no nodes.
pub fn ls(args: &LsArgs) -> Result<Status> {
    let fleets = if args.all { state::fleets()? } else { vec![select::fleet()?] };
    for fleet in fleets {
        let containers = match args.which.specs().is_empty() {
            true if state::load(&fleet)?.is_none() => continue,
            true => select::all(&fleet)?,
            false => args.which.containers()?,
        };
        let found = container::all(at_once(&containers, |c| Ok((c.condition()?, c.init()))))?;
        for (container, (condition, init)) in containers.iter().zip(found) {
            let state = condition.word();
            match args.json {
                true => jsonl::print(&as_json(&fleet, container, state, init))?,
                false => {
                    let row = as_row(args.all.then_some(&fleet), container, state);
                    jsonl::print_for_people(&(row + "\n"))?;
                }
            }
        }
    }
    Ok(Status::Done)
}

fn as_json(fleet: &Name, container: &Container, state: &str, init: Option<u32>) -> String {
    json!({
        "fleet": fleet.as_str(),
        "node": container.member.name,
        "state": state,
        "pid": init,
        "addrs": [container.address()],
        "image": container.member.image,
        "show": container.member.show,
        "disk": container.member.disk,
        "allow": container.member.allow,
        "memory": container.memory(),
        "processes": container.member.limits.processes(),
        "nofile": container.member.limits.nofile,
    })
    .to_string()
}

fn as_row(fleet: Option<&Name>, container: &Container, state: &str) -> String {
    let first = fleet.map_or(String::new(), |fleet| format!("{fleet}\t"));
    let member = &container.member;
    let mut row =
        format!("{first}{}\t{state}\t{}\t{}", member.name, container.address(), member.image);
    if !member.allow.is_empty() {
        row += &format!("\tallow {}", seccomp::words(&member.allow));
    }
    row
}

/// Prints node lines for the other tools.
///
/// # Errors
/// As [`Selection::containers`].
pub fn nodes(which: &Selection) -> Result<Status> {
    if !nix::unistd::geteuid().is_root() {
        return published(&which.specs());
    }
    for container in which.containers()? {
        let node = Node {
            name: Name::new(&container.member.name)?,
            addrs: vec![container.address().into()],
            via: Via::Lxc(container.id()),
        };
        jsonl::print(&node.line())?;
    }
    Ok(Status::Done)
}

/// What only root may look up is published for all others while the fleet is up.
fn published(specs: &[String]) -> Result<Status> {
    let fleet = Fleet::of_environment()?;
    let all = fleet.nodes().map_err(|error| match error.status() {
        Status::NoInput => Error::no_input(format!(
            "there is no fleet {} that is up; make it with lxc-fleet up n1..n5",
            fleet.name
        )),
        _ => error,
    })?;
    let chosen = if specs.is_empty() { all } else { resolve(specs)? };
    chosen.iter().try_for_each(|node| jsonl::print(&node.line())).map(|()| Status::Done)
}

/// Prints the console and LXC's log of nodes, with the node's name in front where there are several.
///
/// # Errors
/// As [`Selection::containers`], and 71 where a log cannot be read.
pub fn logs(which: &Selection) -> Result<Status> {
    let containers = which.containers()?;
    let several = containers.len() > 1;
    for container in &containers {
        let name = &container.member.name;
        for path in [container.older_console(), container.console(), container.log()] {
            let file = match File::open(&path) {
                Ok(file) => file,
                // A node that said nothing has no such file.
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                Err(e) => return Err(Error::io(format!("open {}", path.display()), &e)),
            };
            for line in BufReader::new(file).split(b'\n') {
                let line = line.map_err(|e| Error::io(format!("read {}", path.display()), &e))?;
                // Whoever wrote it is not trusted, and it is read at a terminal.
                let line = escape::bytes(without_returns(&line));
                jsonl::print(&if several { format!("{name}: {line}") } else { line })?;
            }
        }
    }
    Ok(Status::Done)
}

/// A console ends its lines with a carriage return, or several.
fn without_returns(line: &[u8]) -> &[u8] {
    let last = line.iter().rposition(|byte| *byte != b'\r');
    &line[..last.map_or(0, |last| last + 1)]
}
