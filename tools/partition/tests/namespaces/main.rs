//! `partition` on real packets: a host with a bridge and nodes on it, all network namespaces of the test.

#![allow(clippy::unwrap_used)] // helpers of tests may panic as tests do

#[macro_use]
mod bed;
mod advice;
mod check;
mod except;
mod foreign;
mod helpers;
mod iptables;
mod kinds;
mod lease;
mod nat;
mod nodes;
mod others;
mod packets;
mod random;
mod replay;
mod sctp;
mod ssh;
