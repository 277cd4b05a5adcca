//! `down`: stops nodes and removes all that was made for them.

use std::fs;

use breakit::exit::{Error, Result, Status};
use breakit::node::{LXCPATH, Name};
use breakit::talk;

use crate::cli::DownArgs;
use crate::container::{Container, at_once, hosts_file};
use crate::fleet_group;
use crate::network;
use crate::salvage;
use crate::state::{self, State};
use crate::store;
use crate::sweep;
use crate::up::write_hosts;
use crate::views;
use crate::walls;
use crate::which::{self, of_specs};

/// Takes nodes down; a fleet that is not there is down already.
///
/// # Errors
/// All that stood in the way; the rest is taken down none the less.
pub fn down(args: &DownArgs) -> Result<Status> {
    if args.all {
        let mut errors: Vec<Error> =
            state::fleets()?.iter().filter_map(|fleet| whole(fleet).err()).collect();
        errors.extend(give_back().and_then(|()| forlorn_routes()).err());
        return Error::all(errors).map(|()| Status::Done);
    }
    let specs = args.which.specs();
    let fleet = which::fleet()?;
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
            let containers = which::members(fleet, &state);
            take_down_of(fleet, state, &containers)
        }
        None => {
            talk::say(format!("fleet {fleet} is not up"));
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
        if container.exists() {
            container.kill()?;
        }
        container.remove()?;
        Ok(container.member.name.clone())
    });
    let (gone, mut errors): (Vec<_>, Vec<_>) = removed.into_iter().partition(Result::is_ok);
    let gone: Vec<String> = gone.into_iter().flatten().collect();
    let mut errors: Vec<Error> = errors.drain(..).filter_map(Result::err).collect();
    state.members.retain(|member| !gone.contains(&member.name));
    if state.members.is_empty() {
        errors.extend(last(fleet, state.subnet).err());
    } else {
        errors.extend(views::sweep(fleet).err());
        let kept = state::save(fleet, &state)
            .and_then(|()| write_hosts(fleet, &state))
            .and_then(|()| state::tell(fleet, &state));
        errors.extend(kept.err());
    }
    Error::all(errors)
}

/// Removes what the nodes of a fleet shared; its memory goes last.
fn last(fleet: &Name, subnet: [u8; 3]) -> Result<()> {
    let mut errors = Vec::new();
    errors.extend(network::remove(fleet, subnet).err());
    errors.extend(fleet_group::remove(fleet).err());
    errors.extend(walls::tear_down(fleet).err());
    if store::is_mounted(&store::root())? {
        errors.extend(sweep::files(&store::fleet_dir(fleet)).err());
        sweep::say_what_stays(fleet);
    }
    // Neither may be there, and the second only goes when it is empty.
    let _ = fs::remove_file(hosts_file(fleet));
    let _ = fs::remove_dir(LXCPATH);
    Error::all(errors)?;
    let _all = state::lock_all()?;
    state::forget(fleet)?;
    state::forget_run_dir(fleet);
    store::release()
}
