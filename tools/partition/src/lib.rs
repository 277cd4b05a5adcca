//! Cuts and heals the network between nodes, with a lease that ends every cut.
//!
//! A [`shape`] chooses a [`grudge`]; a [`backend`] turns that into [`rules`]; [`nft`] hands them to the kernel,
//! where [`cut`] renews them and [`installed`] finds them again.

pub mod apply;
pub mod backend;
pub mod chain_names;
pub mod check;
pub mod cli;
pub mod cut;
pub mod datagrams;
pub mod dial;
pub mod exempt;
pub mod group;
pub mod grudge;
pub mod grudge_lines;
pub mod guard;
pub mod installed;
pub mod interfaces;
pub mod iptables;
pub mod iptables_leftovers;
pub mod kernel_rules;
pub mod link_local;
pub mod links;
pub mod listing;
pub mod matrix;
pub mod neighbours;
pub mod nft;
pub mod nftnl;
pub mod packets;
pub mod pairs;
pub mod parallel;
pub mod peer;
pub mod ping;
pub mod primaries;
pub mod privilege;
pub mod probe;
pub mod replay;
pub mod rules;
pub mod run;
pub mod shapes;
pub mod target;
pub mod verify;
