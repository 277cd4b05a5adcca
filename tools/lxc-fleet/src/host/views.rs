//! The layers that let nodes see the host, made once for all nodes of an `up` that see the same.
//!
//! They lie in the fleet's folder under names that no node can have. What lies under a root that is mounted never
//! changes: an `up` that mounts something makes new layers, and each node has a link to those that it was made with.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use breakit::exit::{Error, Result};
use breakit::node::Name;

use crate::files;
use crate::host::hide_host::{For, Mask};
use crate::places;
use crate::store::remove;

/// What the names of their folders begin with.
pub const NAME: &str = ".view-";

/// The link in a node's folder.
pub const LINK: &str = "view";

/// The views of a fleet that are being made, by what they show on request.
#[derive(Debug, Default)]
pub struct Views(HashMap<Vec<PathBuf>, PathBuf>);

impl Views {
    /// Looks the host over, and makes what is needed to show these paths. The caller has the fleet's lock. `base` is
    /// added to the ids of the host to have those of the nodes.
    ///
    /// # Errors
    /// As [`Mask::of_host`]; 71 if the system refuses.
    pub fn add(&mut self, fleet: &Name, show: &[PathBuf], base: u32) -> Result<()> {
        if self.0.contains_key(show) {
            return Ok(());
        }
        let mask = Mask::of_host(show, For::Node(&memory()))?;
        let folder = free(fleet)?;
        mask.lay(&folder, base)?;
        self.0.insert(show.to_vec(), folder);
        Ok(())
    }

    /// The folder of the layers that show these paths.
    pub fn get(&self, show: &[PathBuf]) -> Option<&Path> {
        self.0.get(show).map(PathBuf::as_path)
    }
}

/// The file in which the walk over the host is remembered; it goes with the images.
fn memory() -> PathBuf {
    places::store().join("walk")
}

/// A folder that is not there yet.
fn free(fleet: &Name) -> Result<PathBuf> {
    let place = places::fleet_dir(fleet);
    let names = files::entries(&place)?;
    let number = |name: &String| name.strip_prefix(NAME)?.parse::<u32>().ok();
    let last = names.iter().filter_map(number).max().unwrap_or(0);
    Ok(place.join(format!("{NAME}{}", last.saturating_add(1))))
}

/// Lets the node whose files lie in `files` have the layers in `view`.
///
/// # Errors
/// 71 if the system refuses.
pub fn link(files: &Path, view: &Path) -> Result<()> {
    let (link, new) = (files.join(LINK), files.join("view.new"));
    let target = Path::new("..").join(view.file_name().unwrap_or(view.as_os_str()));
    let _ = fs::remove_file(&new);
    symlink(target, &new)
        .and_then(|()| fs::rename(&new, &link))
        .map_err(|e| Error::io(format!("make {}", link.display()), &e))
}

/// Removes the layers that no node has. The caller has the fleet's lock.
///
/// # Errors
/// 71 if the system refuses.
pub fn sweep(fleet: &Name) -> Result<()> {
    let place = places::fleet_dir(fleet);
    let (views, nodes): (Vec<_>, Vec<_>) =
        files::entries(&place)?.into_iter().partition(|name| name.starts_with(NAME));
    let used: BTreeSet<_> = nodes
        .iter()
        .filter_map(|node| fs::read_link(place.join(node).join(LINK)).ok())
        .filter_map(|target| Some(target.file_name()?.to_os_string()))
        .collect();
    views
        .iter()
        .filter(|view| !used.contains(view.as_str().as_ref() as &std::ffi::OsStr))
        .try_for_each(|view| remove::remove_tree(&place.join(view)))
}
