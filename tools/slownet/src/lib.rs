//! Makes the network between nodes bad without cutting it, with a lease.
//!
//! | module | what it holds |
//! |---|---|
//! | [`impairments`] | what is done to packets: delay, loss, rate, ...; one a file |
//! | [`distribution`] | how delays spread |
//! | [`preset`] | networks that have a name |
//! | [`quantity`] | percents, rates and times, as they are written |
//! | [`traffic`] | which packets are struck |
//! | [`interface`] | by which interfaces they leave |
//! | [`backend`] | the ways to do it, and which a node can go |
//! | [`qdisc`], [`netem`] | the tree of queues, and the words for netem |
//! | [`line`](mod@line) | the delay line, for kernels without netem |
//! | [`agent`] | copies of this program on other hosts, for delay lines there |
//! | [`lines`] | delay lines at one node, wherever they are at work |
//! | [`classify`] | timed sets that send packets into a queue: the lease |
//! | [`set_comment`] | which traffic that is, written down in the kernel |
//! | [`ingress`] | what comes in is sent round by a device of ours, where queues can strike it |
//! | [`gate`] | what stands where packets come in |
//! | [`translation`] | addresses that a network translates |
//! | [`advice`] | commands that messages advise |
//! | [`overlap`] | no packet is struck by two faults |
//! | [`netns_lock`] | one slownet at a time changes queues |
//! | [`ssh_exempt`] | what an sshd sends stays quick |
//! | [`networks`] | two names of one network are told apart from two networks |
//! | [`link`](mod@link) | whose packets, which, and what happens to them; a file has many |
//! | [`side`] | on which side of a link a delay line stands |
//! | [`link_fault`], [`faults`] | one link and all of them: struck, renewed, taken back |
//! | [`long_line`] | what is too long for one line, on several |
//! | [`replay`] | the faults of a recorded run |
//! | [`kernel`] | what the kernel of this host says, without a program for each question |
//! | [`sweep`], [`list`], [`probe`] | clearing, showing, trying |

pub mod advice;
pub mod agent;
pub mod backend;
pub mod classify;
pub mod cli;
pub mod distribution;
pub mod fault_id;
pub mod faults;
pub mod gate;
pub mod impairments;
pub mod ingress;
pub mod interface;
pub mod kept;
pub mod kernel;
pub mod line;
pub mod lines;
pub mod link;
pub mod link_fault;
pub mod list;
pub mod long_line;
pub mod netem;
pub mod netns_lock;
pub mod networks;
pub mod overlap;
pub mod preset;
pub mod probe;
pub mod qdisc;
pub mod quantity;
pub mod replay;
pub mod run;
pub mod set_comment;
pub mod ssh_exempt;
pub mod step;
pub mod sweep;
pub mod traffic;
pub mod translation;
