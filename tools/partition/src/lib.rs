//! Cuts and heals the network between nodes, with a lease that ends every cut.
//!
//! A [`shape`] chooses a [`grudge`]; a [`backend`] turns that into [`rules`]; [`nft`] hands them to the kernel,
//! where [`cut`] renews them and [`standing`] finds them again.

pub mod backend;
pub mod check;
pub mod cli;
pub mod cut;
pub mod datagrams;
pub mod dial;
pub mod exempt;
pub mod force;
pub mod group;
pub mod grudge;
pub mod guard;
pub mod held;
pub mod interfaces;
pub mod iptables;
pub mod links;
pub mod listing;
pub mod made;
pub mod matrix;
pub mod neighbours;
pub mod nft;
pub mod packets;
pub mod pairs;
pub mod parallel;
pub mod peer;
pub mod ping;
pub mod primaries;
pub mod probe;
pub mod replay;
pub mod rules;
pub mod run;
pub mod shape;
pub mod standing;
pub mod told;
pub mod verify;
