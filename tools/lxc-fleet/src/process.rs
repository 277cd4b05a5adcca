//! Programs in nodes, and files into nodes and out of them.
//!
//! | module | what it holds |
//! |---|---|
//! | [`exec`] | `exec` |
//! | [`inside`] | a program in a node |
//! | [`enter`] | what a program leaves behind before it enters a node |
//! | [`program_group`] | the control group of a program in a node |
//! | [`pipes`] | pipes between us and a program in a node |
//! | [`terminal`] | a terminal for it |
//! | [`pump`] | passing bytes on |
//! | [`drain_output`] | the end of a program's output where a daemon that it left holds the pipe |
//! | [`wait`] | waiting for a program without missing a signal |
//! | [`push`] | files into nodes |
//! | [`pull`] | files out of nodes |
//! | [`copy`] | what both share |
//! | [`unpack`] | an archive from a node |
//! | [`confine`] | unpacking where it can do no harm |

pub mod confine;
pub mod copy;
pub mod drain_output;
pub mod enter;
pub mod exec;
pub mod inside;
pub mod pipes;
pub mod program_group;
pub mod pull;
pub mod pump;
pub mod push;
pub mod terminal;
pub mod unpack;
pub mod wait;
