//! A fleet: what it has, and making, listing and removing it.
//!
//! | module | what it holds |
//! |---|---|
//! | [`state`] | what a fleet has, on disk: written before anything is made, removed after all is gone |
//! | [`lock`] | one invocation at a time for a fleet, and for what all fleets share |
//! | [`up`] | making a whole fleet |
//! | [`down`] | leaving nothing of it |
//! | [`salvage`] | what there is of a fleet whose memory is damaged |
//! | [`listing`] | `ls`, `nodes` and `logs` |
//! | [`select`] | the nodes that a command means |
//! | [`host_name`] | names that no node can have |
//! | [`hosts_file`] | /etc/hosts of the nodes |
//! | [`fleet_group`] | the control group of a fleet |

pub mod down;
pub mod fleet_group;
pub mod host_name;
pub mod hosts_file;
pub mod listing;
pub mod lock;
pub mod salvage;
pub mod select;
pub mod state;
pub mod up;
