//! One node: its files, its configuration, its life.
//!
//! | module | what it holds |
//! |---|---|
//! | [`container`] | its life: start, stop, kill, pause |
//! | [`node_files`] | what of its root is its own, and what starts it |
//! | [`config`] | its configuration, as LXC reads it |
//! | [`launch`] | starting it where it alone sees its root |
//! | [`root`] | its root, an overlay of layers |
//! | [`disk`] | a filesystem of its own |
//! | [`ids`] | its user ids, as the host sees them |
//! | [`idmap`] | mounts that show other owners |
//! | [`cgroup`] | its control groups |
//! | [`freezer`] | letting its processes stand still |
//! | [`limits`] | how much of the host it may use |
//! | [`seccomp`] | which system calls it may make |
//! | [`vsock`] | the one rule that LXC's list cannot have |

pub mod cgroup;
pub mod config;
pub mod container;
pub mod disk;
pub mod freezer;
pub mod idmap;
pub mod ids;
pub mod launch;
pub mod limits;
pub mod node_files;
pub mod root;
pub mod seccomp;
pub mod vsock;
