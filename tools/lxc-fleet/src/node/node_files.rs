//! The files of a node: what of its root is its own, and what starts it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use breakit::exit::{Error, Result};
use breakit::size::show_size;

use crate::files;
use crate::host::views;
use crate::image::Image;
use crate::network::nat;
use crate::node::config::{self, INIT_PATH};
use crate::node::container::Container;
use crate::node::disk;
use crate::node::launch;
use crate::node::seccomp;
use crate::step::{self, Step};
use crate::store::remove;

/// The first process of every node: it sets the loopback interface up, runs the node's own boot program, reaps,
/// and on the signal of a clean stop ends all others before itself.
const INIT: &str = include_str!("init.sh");

/// The step that makes what is missing of a node's files.
pub fn preparing<'a>(node: &'a Container, image: Image, view: Option<&'a Path>) -> Step<'a> {
    Step::new(|| shown(node), move || prepare(node, &image, view))
}

/// Makes what is missing of the node's files and writes down what starts it. It does not run.
fn prepare(node: &Container, image: &Image, view: Option<&Path>) -> Result<()> {
    lay(node, view)?;
    let folder = node.config_dir();
    fs::create_dir_all(&folder).map_err(|e| Error::io(format!("make {}", folder.display()), &e))?;
    launch::describe(&node.id(), &node.root(image))?;
    files::write_whole(&seccomp::file(&folder), &seccomp::profile(&node.member.allow))?;
    files::write_whole(&folder.join("config"), &config::node(node)?)
}

fn shown(node: &Container) -> Result<Vec<String>> {
    let (files, image) = (node.files(), Image::parse(&node.member.image)?);
    let hidden = if image.shows_host() { ", and what hides the host's secrets" } else { "" };
    let mut lines =
        vec![format!("# make the folders of an overlay in {}{hidden}", files.display())];
    if let Some(size) = node.member.disk.filter(|_| !disk::file(&files).exists()) {
        let disk = step::path(&disk::file(&files));
        lines.push(format!("# make a filesystem of {} in {disk}", show_size(size)));
    }
    lines.push(format!("# write {}/config", node.config_dir().display()));
    Ok(lines)
}

/// The lower layers that are this node's own, and the folders of its overlay.
fn lay(node: &Container, view: Option<&Path>) -> Result<()> {
    let files = node.files();
    let place = |e: std::io::Error| Error::io(format!("make {}", files.display()), &e);
    remove::remove_tree(&files.join("bare"))?;
    for folder in ["bare/usr/sbin", "bare/etc"] {
        fs::create_dir_all(files.join(folder)).map_err(place)?;
    }
    lay_upper(node)?;
    if let Some(view) = view {
        views::link(&files, view)?;
    }
    let bare = files.join("bare");
    let init = bare.join(INIT_PATH.trim_start_matches('/'));
    fs::write(&init, INIT).map_err(place)?;
    fs::set_permissions(&init, Permissions::from_mode(0o755)).map_err(place)?;
    fs::write(bare.join("etc/hostname"), format!("{}\n", node.member.name)).map_err(place)?;
    fs::write(bare.join("etc/hosts"), "").map_err(place)?;
    fs::write(bare.join("etc/resolv.conf"), nat::name_servers(node.is_let_out())).map_err(place)?;
    if !node.member.show.iter().any(|path| Path::new("/etc/sudoers").starts_with(path)) {
        // The host's is hidden, and without one sudo refuses root too. An image that has sudo has its own.
        let sudoers = bare.join("etc/sudoers");
        fs::write(&sudoers, "root ALL=(ALL:ALL) ALL\n").map_err(place)?;
        fs::set_permissions(&sudoers, Permissions::from_mode(0o440)).map_err(place)?;
    }
    node.ids().own(&files.join("bare"))
}

/// Where what the node writes will lie.
fn lay_upper(node: &Container) -> Result<()> {
    let files = node.files();
    if let Some(size) = node.member.disk {
        return disk::make(&files, size);
    }
    for folder in ["upper", "work"] {
        fs::create_dir_all(files.join(folder))
            .map_err(|e| Error::io(format!("make {}", files.display()), &e))?;
    }
    node.ids().own_alone(&files.join("upper"))
}
