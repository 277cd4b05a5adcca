//! Starts, lists, harms and removes fleets of nodes (LXC containers).
//!
//! | module | what it holds |
//! |---|---|
//! | [`fleet`] | a fleet: what it has, and making, listing and removing it |
//! | [`node`] | one node: its files, its configuration, its life |
//! | [`host`] | what of the host a node sees |
//! | [`image`] | what a node is made of; building it |
//! | [`network`] | the bridge, its subnet, and what may pass |
//! | [`store`] | the filesystem of layers and nodes |
//! | [`process`] | programs in nodes, and files into nodes and out of them |
//! | [`harm`] | the kinds of harm, at once or held, and who undoes them when the holder dies |
//! | [`cli`], [`run`] | the command line, and what it does |
//! | [`step`] | a step of a command: shown by `--dry-run`, or taken |
//! | [`places`], [`private`], [`files`] | where everything of ours lies, who may see it, files that are always whole |

pub mod cli;
pub mod files;
pub mod fleet;
pub mod harm;
pub mod host;
pub mod image;
pub mod network;
pub mod node;
pub mod places;
pub mod private;
pub mod process;
pub mod run;
pub mod step;
pub mod store;
