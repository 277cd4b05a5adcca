//! `down`: stops nodes and removes all that was made for them.

use std::fs;

use breakit::exit::{Error, Result, Status};
use breakit::messages;
use breakit::node::{LXCPATH, Name};
use breakit::program;

use crate::cli::DownArgs;
use crate::fleet::fleet_group;
use crate::fleet::hosts_file;
use crate::fleet::salvage;
use crate::fleet::select::{self, called, of_specs};
use crate::fleet::state::{self, State};
use crate::host::views;
use crate::network;
use crate::network::walls;
use crate::node::container::{Condition, Container, at_once};
use crate::places::{self, BASE};
use crate::step::{self, Step};
use crate::store;
use crate::store::mounts;
use crate::store::sweep;

/// Takes nodes down; a fleet that is not there is down already.
///
/// # Errors
/// All that stood in the way; the rest is taken down none the less.
pub fn down(args: &DownArgs) -> Result<Status> {
    if args.dry_run {
        return step::print(&shown(args)?);
    }
    if args.all {
        let mut errors: Vec<Error> =
            state::fleets()?.iter().filter_map(|fleet| whole(fleet).err()).collect();
        errors.extend(give_back().and_then(|()| forlorn_routes()).err());
        return Error::all(errors).map(|()| Status::Done);
    }
    let specs = args.which.specs();
    let fleet = select::fleet()?;
    if specs.is_empty() {
        whole(&fleet)?;
    } else {
        let _lock = state::lock(&fleet)?;
        let taken = of_specs(&specs).and_then(|containers| take_down(&fleet, &containers));
        if state::load(&fleet).is_ok_and(|state| state.is_none()) {
            state::forget_run_dir(&fleet);
        }
        taken?;
    }
    Ok(Status::Done)
}

fn whole(fleet: &Name) -> Result<()> {
    let _lock = state::lock(fleet)?;
    match salvage::load(fleet)? {
        Some(state) => {
            let containers = select::members(fleet, &state);
            take_down_of(fleet, state, &containers)
        }
        None => {
            messages::say(format!("fleet {fleet} is not up"));
            state::forget(fleet)?;
            state::forget_run_dir(fleet);
            give_back()
        }
    }
}

/// Removes the routes of fleets whose memory was lost.
fn forlorn_routes() -> Result<()> {
    let _all = state::lock_all()?;
    network::remove_forlorn()
}

/// Unmounts the store that a killed builder or `up` may have left mounted.
fn give_back() -> Result<()> {
    let _all = state::lock_all()?;
    store::release()
}

/// Takes containers of a fleet down, and what the fleet shares with the last of them. The caller has its lock.
///
/// # Errors
/// All that stood in the way. What could not be removed stays in the fleet's memory.
pub fn take_down(fleet: &Name, containers: &[Container]) -> Result<()> {
    match state::load(fleet)? {
        Some(state) => take_down_of(fleet, state, containers),
        None => Ok(()),
    }
}

fn take_down_of(fleet: &Name, mut state: State, containers: &[Container]) -> Result<()> {
    let removed = at_once(containers, |container| {
        step::take(removing(container)).map(|()| container.member.name.clone())
    });
    let (gone, errors): (Vec<_>, Vec<_>) = removed.into_iter().partition(Result::is_ok);
    let gone: Vec<String> = gone.into_iter().flatten().collect();
    let mut errors: Vec<Error> = errors.into_iter().filter_map(Result::err).collect();
    state.members.retain(|member| !gone.contains(&member.name));
    if state.members.is_empty() {
        errors.extend(last(fleet, state.subnet).err());
    } else {
        errors.extend(views::sweep(fleet).err());
        errors.extend(step::take(without(fleet, &state)).err());
    }
    Error::all(errors)
}

/// The steps that remove one node.
fn removing(container: &Container) -> Vec<Step<'_>> {
    let shown_kill = || {
        let runs = container.exists() && container.condition()? != Condition::Stopped;
        runs.then(|| container.kill_command().map(|command| program::show(&command))).transpose()
    };
    let kill = || if container.exists() { container.kill() } else { Ok(()) };
    let shown_files = || {
        let folders = [container.files(), container.config_dir()].into_iter();
        Ok(folders.filter(|folder| folder.exists()).map(|f| format!("rm -r {}", step::path(&f))))
    };
    vec![Step::new(shown_kill, kill), Step::new(shown_files, || container.remove())]
}

/// The steps that let a fleet forget nodes that were removed: it has those of `state` left.
fn without<'a>(fleet: &'a Name, state: &'a State) -> Vec<Step<'a>> {
    vec![
        Step::told(format!("# forget them in {BASE}/fleets/{fleet}.json"), || {
            state::save(fleet, state)
        }),
        hosts_file::writing(fleet, state),
        state::telling(fleet, state),
    ]
}

/// Removes what the nodes of a fleet shared; its memory goes last.
fn last(fleet: &Name, subnet: [u8; 3]) -> Result<()> {
    step::take_all(removing_shared(fleet, subnet))?;
    let _all = state::lock_all()?;
    step::take(forgetting(fleet))?;
    store::release()
}

/// The steps that remove what the nodes of a fleet shared.
fn removing_shared(fleet: &Name, subnet: [u8; 3]) -> Vec<Step<'_>> {
    let mut steps = network::removing(fleet, subnet);
    let table = network::table(fleet);
    let tables = format!("nft 'delete table bridge {table}; delete table inet {table}'");
    let files = format!("rm -rf {}", step::path(&places::fleet_dir(fleet)));
    let hosts = format!("rm -f {}", step::path(&hosts_file::path(fleet)));
    steps.extend([
        Step::told(format!("# remove the control group breakit-{fleet}"), || {
            fleet_group::remove(fleet)
        }),
        Step::told(tables, || walls::tear_down(fleet)),
        Step::told(files, || {
            if mounts::is_mounted(&places::store())? {
                sweep::files(&places::fleet_dir(fleet))?;
                sweep::say_what_stays(fleet);
            }
            Ok(())
        }),
        // Neither may be there, and the second only goes when it is empty.
        Step::told(hosts, || {
            let _ = fs::remove_file(hosts_file::path(fleet));
            Ok(())
        }),
        Step::told(format!("# remove {LXCPATH} where nothing else is in it"), || {
            let _ = fs::remove_dir(LXCPATH);
            Ok(())
        }),
    ]);
    steps
}

/// The steps that forget a fleet. The caller holds [`state::lock_all`].
fn forgetting(fleet: &Name) -> Vec<Step<'_>> {
    let run = state::run_dir(fleet);
    let nodes = step::path(&run.join("nodes.jsonl"));
    let folders = [run, state::lock_dir(fleet)].map(|dir| format!("rmdir {}", step::path(&dir)));
    vec![
        Step::told(format!("rm -f {BASE}/fleets/{fleet}.json {nodes}"), || state::forget(fleet)),
        Step::new(
            || Ok(folders),
            || {
                state::forget_run_dir(fleet);
                Ok(())
            },
        ),
    ]
}

/// The lines of a dry run.
fn shown(args: &DownArgs) -> Result<Vec<String>> {
    let specs = args.which.specs();
    let mut left = state::fleets()?;
    let fleets = if args.all { left.clone() } else { vec![select::fleet()?] };
    let mut lines = Vec::new();
    for fleet in fleets {
        let Some(mut state) = salvage::load(&fleet)? else {
            messages::say(format!("fleet {fleet} is not up"));
            continue;
        };
        let containers =
            if specs.is_empty() { select::members(&fleet, &state) } else { of_specs(&specs)? };
        for container in &containers {
            lines.extend(step::shown(removing(container))?);
        }
        let gone = called(&containers);
        state.members.retain(|member| !gone.contains(&member.name));
        if state.members.is_empty() {
            lines.extend(step::shown(removing_shared(&fleet, state.subnet))?);
            lines.extend(step::shown(forgetting(&fleet))?);
            left.retain(|other| *other != fleet);
        } else {
            lines.extend(step::shown(without(&fleet, &state))?);
        }
    }
    let unmounts = left.is_empty() && mounts::is_mounted(&places::store())?;
    lines.extend(store::releasing(unmounts).shown()?);
    Ok(lines)
}
