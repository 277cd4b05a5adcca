//! What of the host a node sees.
//!
//! | module | what it holds |
//! |---|---|
//! | [`hide_host`] | the decision |
//! | [`walk`] | the walk over the host that it needs |
//! | [`lay`] | that, written down as layers |
//! | [`views`] | those layers, once for all nodes of an `up` |
//! | [`view`] | those layers, mounted |
//! | [`mount_attributes`] | attributes of a mount that is there |
//! | [`overlay`] | whether the kernel lays overlays over the host's root |

pub mod hide_host;
pub mod lay;
pub mod mount_attributes;
pub mod overlay;
pub mod view;
pub mod views;
pub mod walk;
