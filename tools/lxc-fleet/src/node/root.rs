//! A node's root: an overlay of layers, mounted where the node alone sees it.

use std::path::{Path, PathBuf};

use breakit::exit::{Error, Result};
use breakit::program;
use nix::mount::{MsFlags, mount};
use serde::{Deserialize, Serialize};

use crate::host::overlay;
use crate::host::view::{self, View};
use crate::host::views;
use crate::node::disk;
use crate::node::idmap::{self, Mapping};
use crate::node::ids::Ids;
use crate::places;
use crate::step;

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
    /// The layers above what is seen of the host, the uppermost first.
    pub layers: Vec<Layer>,
    /// Whether the host is seen beneath them, through the layers that lie at [`views::LINK`] in `files`.
    pub on_host: bool,
    /// The folder that has the node's own `upper` and `work`.
    pub files: PathBuf,
    /// The ids that the node has.
    pub ids: Ids,
    /// Whether what it writes lies on a disk of its own.
    #[serde(default)]
    pub on_disk: bool,
}

/// Where every node's root is mounted, each in a mount namespace of its own. The ids of nodes must be able to come
/// here: LXC mounts the root as the node's root. On the host itself it is an empty folder.
pub fn place() -> PathBuf {
    PathBuf::from(places::RUN_ROOT)
}

impl Root {
    /// Mounts it at `place`, in the mount namespace that we are in, which must be one of our own.
    ///
    /// # Errors
    /// 71 with what the kernel says, 69 if it has no overlay filesystem.
    pub fn mount(&self, place: &Path) -> Result<()> {
        for layer in self.layers.iter().filter(|layer| layer.ids != self.ids) {
            // It then lies over itself, with the owners that the node sees.
            self.map(&layer.path, layer.ids, &layer.path)?;
        }
        if self.on_disk {
            disk::mount(&self.files, self.ids)?;
        }
        let host = self.host(place);
        if self.on_host && self.ids.are_mapped() {
            self.map(Path::new("/"), Ids::Host, host)?;
        }
        let view =
            self.on_host.then(|| View::mount(&self.view(), host, &self.files)).transpose()?;
        let options = self.options(place);
        mount(Some("overlay"), place, Some("overlay"), MsFlags::MS_NODEV, Some(options.as_str()))
            .map_err(|errno| overlay::refused("the node's root", errno))?;
        // The overlay keeps what it lies on.
        drop(view);
        Ok(())
    }

    /// What a shell does to mount it at `place`.
    ///
    /// # Errors
    /// 69 if mount is missing.
    pub fn shown_mount(&self, place: &Path) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        if self.ids.are_mapped() {
            let ids = self.ids.map();
            lines.push(format!("# show / and the image with the user ids of the node ({ids})"));
        }
        if self.on_disk {
            lines.push(program::show(&disk::mount_command(&self.files)?));
        }
        let (options, at) = (self.options(place), step::path(place));
        lines.push(format!("mount -t overlay -o nodev,{options} overlay {at}"));
        Ok(lines)
    }

    /// Lets `path`, which has the owners `from`, appear at `target` with those that the node sees.
    fn map(&self, path: &Path, from: Ids, target: &Path) -> Result<()> {
        Mapping::new(from.base(), self.ids.base())
            .and_then(|mapping| idmap::attach(&idmap::clone(path, &mapping)?, target))
            .map_err(|e| {
                Error::io(format!("show {} with other user ids", path.display()), &e.into())
            })
    }

    /// Where the host's root is when the overlay is mounted: with mapped ids it lies where the overlay will lie.
    fn host<'a>(&self, place: &'a Path) -> &'a Path {
        if self.ids.are_mapped() { place } else { Path::new("/") }
    }

    fn view(&self) -> PathBuf {
        self.files.join(views::LINK)
    }

    /// Where the overlay's `upper` and `work` are.
    fn written(&self) -> PathBuf {
        if self.on_disk { disk::place(&self.files) } else { self.files.clone() }
    }

    /// Whether what the node has written is there, as far as can be seen from outside.
    pub fn is_there(&self) -> bool {
        match self.on_disk {
            true => disk::file(&self.files).is_file(),
            false => self.files.join("upper").is_dir(),
        }
    }

    /// The options of the overlay that is mounted at `place`, for mount(2) and mount(8) alike.
    pub fn options(&self, place: &Path) -> String {
        let own = self.layers.iter().map(|layer| layer.path.clone());
        let host = match self.on_host {
            true => view::lowers(&self.view(), self.host(place), &self.files),
            false => Vec::new(),
        };
        let lowers: Vec<String> = own.chain(host).map(|path| path.display().to_string()).collect();
        format!(
            "lowerdir={},upperdir={},workdir={},redirect_dir=nofollow,metacopy=off",
            lowers.join(":"),
            self.written().join("upper").display(),
            self.written().join("work").display()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layers_of_an_image_lie_above_what_is_seen_of_the_host() {
        let ids = Ids::From(70_000);
        let layer = |path: &str, ids| Layer { path: path.into(), ids };
        let root = Root {
            layers: vec![layer("/s/image", Ids::BUILD), layer("/s/bare", ids)],
            on_host: false,
            files: "/s/n1".into(),
            ids,
            on_disk: false,
        };
        let expected = "lowerdir=/s/image:/s/bare,upperdir=/s/n1/upper,workdir=/s/n1/work,";
        assert!(root.options(&place()).starts_with(expected));
        let on_host = Root { on_host: true, ..root };
        assert!(on_host.options(&place()).starts_with("lowerdir=/s/image:/s/bare:/s/n1/"));
    }
}
