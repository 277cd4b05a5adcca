//! The layers of images: where they lie, what is kept beside them, and which are in use.

use std::fs;
use std::path::PathBuf;

use breakit::exit::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::files;
use crate::fleet::state;
use crate::node::ids::Ids;
use crate::places;

/// What is kept beside a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// The packages in it, sorted.
    pub packages: Vec<String>,
    /// Whose ids its files have on disk.
    #[serde(default)]
    pub ids: Ids,
}

/// Where the layers lie.
pub fn folder() -> PathBuf {
    places::store().join("images")
}

/// The label of a layer that is whole.
pub fn label(name: &str) -> Option<Label> {
    let bytes = fs::read(folder().join(name).join("image.json")).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// The names of the layers that are whole.
///
/// # Errors
/// 71 or 77.
pub fn built() -> Result<Vec<String>> {
    let mut names = files::entries(&folder())?;
    names.retain(|name| label(name).is_some());
    names.sort();
    Ok(names)
}

/// Whether no node of any fleet is made of it.
///
/// # Errors
/// 71 with the node that is.
pub fn not_in_use(name: &str) -> Result<()> {
    for (fleet, state) in state::readable()? {
        if let Some(member) = state.members.iter().find(|member| member.image == name) {
            return Err(Error::system(format!(
                "image {name} is in use by node {} of fleet {fleet}; take it down first, or give the new image another name",
                member.name
            )));
        }
    }
    Ok(())
}
