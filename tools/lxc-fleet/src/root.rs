//! A node's root: an overlay of layers, mounted where the node alone sees it.

use std::path::{Path, PathBuf};

use breakit::exit::{Error, Result};
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use serde::{Deserialize, Serialize};

use crate::idmap::{self, Mapping};
use crate::ids::Ids;
use crate::state;

/// A folder that is a lower layer of a root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// Where it is.
    pub path: PathBuf,
    /// Whose ids its files have on disk.
    pub ids: Ids,
}

/// What a root is made of. It is kept beside the node's configuration, for whoever starts the node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// The lower layers, the uppermost first.
    pub layers: Vec<Layer>,
    /// The folder that has the node's own `upper` and `work`.
    pub files: PathBuf,
    /// The ids that the node has.
    pub ids: Ids,
}

/// Where every root is mounted, each in a mount namespace of its own. The ids of nodes must be able to come here:
/// LXC mounts the root as the node's root. On the host itself it is an empty folder.
pub fn place() -> PathBuf {
    PathBuf::from(state::RUN_ROOT)
}

impl Root {
    /// Mounts it at [`place`], in the mount namespace that we are in.
    ///
    /// # Errors
    /// 71 with what the kernel says, 69 if it has no overlay filesystem.
    pub fn mount(&self) -> Result<()> {
        for layer in self.layers.iter().filter(|layer| layer.ids != self.ids) {
            self.map(layer).map_err(|errno| {
                let path = layer.path.display();
                Error::io(format!("show {path} with other user ids"), &errno.into())
            })?;
        }
        let options = self.options();
        let done = mount(
            Some("overlay"),
            &place(),
            Some("overlay"),
            MsFlags::MS_NODEV,
            Some(options.as_str()),
        );
        done.map_err(|errno| match errno {
            Errno::ENODEV => {
                Error::missing("this kernel has no overlay filesystem; load the module overlay")
            }
            Errno::EINVAL if root_is_overlay() => Error::missing(
                "the root of this host is an overlay itself and cannot be the bottom of another; use lxc-fleet up --image busybox, or run on the host instead of in a container",
            ),
            other => Error::io("mount the node's root", &other.into()),
        })
    }

    /// Lets a layer appear with the owners that the node sees, at [`Root::appears`].
    fn map(&self, layer: &Layer) -> std::result::Result<(), Errno> {
        let mapping = Mapping::new(layer.ids.base(), self.ids.base())?;
        idmap::attach(&idmap::clone(&layer.path, &mapping)?, &self.appears(layer))
    }

    /// Where a layer lies when the overlay is mounted: over itself with its mapped ids, but for `/`, which then
    /// lies where the overlay will come to lie.
    fn appears(&self, layer: &Layer) -> PathBuf {
        match layer.ids != self.ids && layer.path == Path::new("/") {
            true => place(),
            false => layer.path.clone(),
        }
    }

    /// The options of the overlay, for mount(2) and mount(8) alike.
    pub fn options(&self) -> String {
        let lowers: Vec<String> =
            self.layers.iter().map(|layer| self.appears(layer).display().to_string()).collect();
        format!(
            "lowerdir={},upperdir={},workdir={}",
            lowers.join(":"),
            self.files.join("upper").display(),
            self.files.join("work").display()
        )
    }
}

fn root_is_overlay() -> bool {
    let text = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    text.lines().any(|line| line.split(' ').nth(4) == Some("/") && line.contains(" - overlay "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_layers_of_other_ids_are_mapped_and_the_hosts_root_appears_where_the_overlay_will() {
        let ids = Ids::From(70_000);
        let layer = |path: &str, ids| Layer { path: path.into(), ids };
        let root = Root {
            layers: vec![
                layer("/s/image", Ids::BUILD),
                layer("/s/bare", ids),
                layer("/", Ids::Host),
            ],
            files: "/s/n1".into(),
            ids,
        };
        let expected =
            "lowerdir=/s/image:/s/bare:/run/breakit/.root,upperdir=/s/n1/upper,workdir=/s/n1/work";
        assert_eq!(root.options(), expected);
        let shared = Root { ids: Ids::Host, ..root };
        assert!(shared.options().starts_with("lowerdir=/s/image:/s/bare:/,"));
    }
}
