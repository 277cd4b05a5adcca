//! Real fleets of LXC containers: each test has one of its own and takes it down, even where it fails.

#![allow(clippy::unwrap_used)]

mod bed;
mod copy;
mod descriptors;
mod exec;
mod faults;
mod helpers;
mod host_disk;
mod hostile;
mod hosts;
mod images;
mod limits;
mod nodes;
mod seccomp;
mod secrets;
mod store;
mod terminal;
mod walls;
