//! Where everything of ours lies.

use std::path::PathBuf;

use breakit::node::Name;

/// What is to survive a reboot.
pub const BASE: &str = "/var/lib/breakit";

/// Where the roots of nodes are mounted, each in a mount namespace of its own.
pub const RUN_ROOT: &str = "/run/breakit/.root";

/// Where the store is mounted: the filesystem of layers and nodes.
pub fn store() -> PathBuf {
    PathBuf::from(BASE).join("store")
}

/// The file that the store lies in.
pub fn store_file() -> PathBuf {
    PathBuf::from(BASE).join("store.img")
}

/// The files of a node.
pub fn node(fleet: &Name, node: &str) -> PathBuf {
    fleet_dir(fleet).join(node)
}

/// The files of all nodes of a fleet.
pub fn fleet_dir(fleet: &Name) -> PathBuf {
    nodes().join(fleet.as_str())
}

/// The files of the nodes of all fleets.
pub fn nodes() -> PathBuf {
    store().join("nodes")
}
