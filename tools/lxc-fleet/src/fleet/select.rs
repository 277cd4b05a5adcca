//! Which containers a command means.

use std::collections::BTreeSet;

use breakit::exit::{Error, Result};
use breakit::node::{Fleet, Name, Via, names, resolve};
use clap::Args;

use crate::fleet::state::{self, State};
use crate::node::container::Container;

/// Which nodes of the fleet.
#[derive(Args, Clone, Debug, Default)]
pub struct Selection {
    /// Nodes of the fleet: n1..n5 or n1,n2 [default: all]
    #[arg(value_name = "NODES")]
    pub nodes: Vec<String>,
    /// The same as NODES, as a flag like that of the other tools; also @FILE or - with node lines
    #[arg(short = 'n', long = "nodes", value_name = "NODES")]
    pub named: Vec<String>,
}

/// The fleet of the environment.
///
/// # Errors
/// 64 where `$BREAKIT_FLEET` is no name.
pub fn fleet() -> Result<Name> {
    Ok(Fleet::of_environment()?.name)
}

impl Selection {
    /// All specs, in front of the flag and behind it.
    pub fn specs(&self) -> Vec<String> {
        self.nodes.iter().chain(&self.named).cloned().collect()
    }

    /// Whether the nodes are read from stdin.
    pub fn reads_stdin(&self) -> bool {
        self.specs().iter().flat_map(|spec| spec.split(',')).any(|part| part == "-")
    }

    /// The containers that are meant; all of the fleet where none was named.
    ///
    /// # Errors
    /// 64 for what is no name or no container of ours, 66 for a node that is not there.
    pub fn containers(&self) -> Result<Vec<Container>> {
        of_specs(&self.specs())
    }
}

/// Whether every bare spec is a name or a range, before any fleet is looked for.
///
/// # Errors
/// 64 where one is not, or a name is given twice.
pub fn are_names(specs: &[String]) -> Result<()> {
    let elsewhere = |part: &str| part == "-" || part.contains(['=', '@']);
    let bare: Vec<String> = specs
        .iter()
        .flat_map(|spec| spec.split(','))
        .filter(|part| !elsewhere(part))
        .map(str::to_string)
        .collect();
    names(&bare).map(drop)
}

/// The containers that `specs` name; all of the fleet where there are none.
///
/// # Errors
/// 64 for what is no name or no container of ours, 66 for a node that is not there.
pub fn of_specs(specs: &[String]) -> Result<Vec<Container>> {
    let fleet = fleet()?;
    are_names(specs)?;
    let all = all(&fleet)?;
    if specs.is_empty() {
        return Ok(all);
    }
    let mut found = Vec::new();
    for node in resolve(specs)? {
        let own =
            |container: &&Container| matches!(&node.via, Via::Lxc(id) if *id == container.id());
        let container = all.iter().find(own).ok_or_else(|| {
            Error::usage(format!(
                "node {} ({}) is no container of fleet {fleet}; set BREAKIT_FLEET to its own",
                node.name, node.via
            ))
        })?;
        found.push(container.clone());
    }
    Ok(found)
}

/// All containers of a fleet.
///
/// # Errors
/// 66 where there is no such fleet.
pub fn all(fleet: &Name) -> Result<Vec<Container>> {
    let Some(state) = state::load(fleet)? else {
        return Err(Error::no_input(format!(
            "there is no fleet {fleet}; make it with lxc-fleet up n1..n5"
        )));
    };
    Ok(members(fleet, &state))
}

/// The containers that a fleet's memory names.
pub fn members(fleet: &Name, state: &State) -> Vec<Container> {
    state.members.iter().map(|member| Container::new(fleet, state, member)).collect()
}

/// The names of containers, for messages and fault lines.
pub fn called(containers: &[Container]) -> Vec<String> {
    containers.iter().map(|container| container.member.name.clone()).collect()
}

/// Whether two fleets' names and nodes would make one container name: `a` with `b-c`, `a-b` with `c`.
///
/// # Errors
/// 64 then.
pub fn no_clash(fleet: &Name, new: &[Name]) -> Result<()> {
    let mine: BTreeSet<String> = new.iter().map(|n| state::container(fleet, n.as_str())).collect();
    for (other, state) in state::readable()?.into_iter().filter(|(other, _)| other != fleet) {
        for member in state.members {
            let id = state::container(&other, &member.name);
            if mine.contains(&id) {
                return Err(Error::usage(format!(
                    "the container {id} belongs to fleet {other} already; give the node another name"
                )));
            }
        }
    }
    Ok(())
}
