//! What two or more of breakit's tools share, and nothing that only one of them needs.
//!
//! | module | what it holds |
//! |---|---|
//! | [`op`] | one line of a history: an invocation, its completion, or a fault |
//! | [`jsonl`] | writing such lines whole, reading them with file, line and column |
//! | [`input`] | files that are read, and small texts that are read whole |
//! | [`namespaces`] | the network namespaces of this host |
//! | [`nat`] | whether a network translates addresses |
//! | [`net`](mod@net) | networks of addresses |
//! | [`netlink`], [`nf_tables`] | questions to the kernel over netlink(7), and the words of nf_tables |
//! | [`node`] | node specs (`n1..n5`, `db1=ssh:root@host`) and the fleet's node file |
//! | [`reach`] | running a program or opening a socket in a node's network |
//! | [`changes`] | nodes that come back with a new network, new interfaces and addresses |
//! | [`held_fault`] | a fault held in the foreground: apply, verify, renew, heal |
//! | [`lease`] | how long a fault outlives its holder |
//! | [`schedule`] | `--for`, `--every`, `--first`, `--time-limit` |
//! | [`signal`] | waiting for time, signals, the end of input, a reader that left |
//! | [`environment`] | the variables that are ours |
//! | [`escape`] | text of others in what people read |
//! | [`except`] | `--except`: ports and addresses that a fault leaves alone |
//! | [`exit`] | the exit statuses and the error type |
//! | [`tool`] | the one `main` of all tools, from the command line to the exit status |
//! | [`helper`] | which external programs are run, and with which environment |
//! | [`output`] | files that are written, never over one that is read |
//! | [`parallel`] | the same work for many things at once |
//! | [`peer`] | the other end of a fault, as it was written |
//! | [`ports`] | ports as people write them |
//! | [`protocol`] | the protocols above IP that faults tell apart |
//! | [`program`] | running external programs |
//! | [`rng`] | seeded random numbers |
//! | [`clock`] | monotonic nanoseconds, wall time, durations |
//! | [`similar`] | the word that somebody meant who mistyped it |
//! | [`size`] | amounts of bytes as people write them |
//! | [`stdout`](mod@stdout) | whether stdout takes data |
//! | [`natural`](mod@natural) | whole numbers as programs write them |
//! | [`messages`] | what is said on stderr |
//! | [`watchdog`] | a process that ends a fault when its holder cannot |

pub mod changes;
pub mod clock;
pub mod environment;
pub mod escape;
pub mod except;
pub mod exit;
pub mod guardian;
pub mod held_fault;
pub mod helper;
mod inode;
pub mod input;
pub mod json;
pub mod jsonl;
pub mod lease;
pub mod lifeline;
pub mod messages;
pub mod namespaces;
pub mod nat;
pub mod natural;
pub mod net;
pub mod netlink;
pub mod nf_tables;
pub mod node;
pub mod op;
pub mod output;
pub mod parallel;
pub mod peer;
pub mod ports;
pub mod program;
pub mod protocol;
pub mod reach;
pub mod rng;
pub mod schedule;
pub mod signal;
pub mod similar;
pub mod size;
pub mod ssh;
pub mod stdout;
pub mod tool;
pub mod watchdog;
