//! Makes, lists, copies, runs and harms fleets of machines (LXC containers).
//!
//! | module | what it holds |
//! |---|---|
//! | [`state`] | what a fleet has, on disk: written before anything is made, removed after all is gone |
//! | [`lock`] | one invocation at a time for a fleet, and for what all fleets share |
//! | [`store`], [`store_size`] | the filesystem of layers and nodes, and how large it is |
//! | [`room`], [`ext4`], [`mounts`] | reserved room on a disk, filesystems in files, what is mounted |
//! | [`private`] | who may see what we keep |
//! | [`sweep`], [`remove`] | files that no fleet needs any more, and removing trees of any depth |
//! | [`image`] | what a node is made of; which layers there are |
//! | [`build`], [`install`] | building a layer of packages, once |
//! | [`afresh`] | which packages that the host has a layer needs once more, as the mask hides what they brought |
//! | [`busybox`] | the tiny root for hosts whose own will not do |
//! | [`hide_host`], [`walk`] | what of the host a node sees: the decision, and the walk over the host that it needs |
//! | [`lay`], [`views`] | that, written down as layers, once for all nodes of an `up` |
//! | [`view`] | those layers, mounted |
//! | [`hosts_file`] | /etc/hosts of the nodes |
//! | [`network`] | the bridge, its subnet, and the route that catches what would stray |
//! | [`walls`] | what a node may send to its fleet and to the host |
//! | [`nat`] | the way out to other networks, if the fleet has one |
//! | [`container`] | one node: its files, its mount, its life |
//! | [`disk`] | a node's own filesystem |
//! | [`cgroup`] | the control groups of a node and of a program in it |
//! | [`limits`], [`fleet_group`] | how much of the host a node and a fleet may use, and the control group of a fleet |
//! | [`seccomp`] | which system calls a node may make |
//! | [`vsock`] | the one rule that LXC's list cannot have |
//! | [`freezer`] | letting a node's processes stand still |
//! | [`salvage`] | what there is of a fleet whose memory is damaged |
//! | [`up`], [`down`] | making a whole fleet, and leaving nothing of it |
//! | [`listing`] | `ls`, `nodes` and `logs` |
//! | [`exec`] | programs in nodes |
//! | [`push`], [`pull`], [`copy`] | files into nodes and out of them |
//! | [`unpack`], [`confine`] | an archive from a node, unpacked where it can do no harm |
//! | [`inside`], [`enter`] | a program in a node, and what it leaves behind before it enters |
//! | [`pipes`], [`terminal`], [`pump`] | what such a program reads and writes, and how that is passed on |
//! | [`drain_output`] | the end of a program's output where a daemon that it left holds the pipe |
//! | [`harm`] | the kinds of harm, at once or held, and who undoes them when the holder dies |
//! | [`step`] | a step of a command: shown by `--dry-run`, or taken |
//! | [`wait`] | waiting for a program without missing a signal |

pub mod afresh;
pub mod build;
pub mod busybox;
pub mod cgroup;
pub mod chroot;
pub mod cli;
pub mod config;
pub mod confine;
pub mod container;
pub mod copy;
pub mod disk;
pub mod down;
pub mod drain_output;
pub mod enter;
pub mod exec;
pub mod ext4;
pub mod files;
pub mod fleet_group;
pub mod freezer;
pub mod harm;
pub mod hide_host;
pub mod host_name;
pub mod hosts_file;
pub mod idmap;
pub mod ids;
pub mod image;
pub mod inside;
pub mod install;
pub mod launch;
pub mod lay;
pub mod layers;
pub mod limits;
pub mod listing;
pub mod lock;
pub mod mounts;
pub mod nat;
pub mod network;
pub mod node_files;
pub mod overlay;
pub mod pipes;
pub mod places;
pub mod private;
pub mod program_group;
pub mod pull;
pub mod pump;
pub mod push;
pub mod remove;
pub mod room;
pub mod root;
pub mod run;
pub mod salvage;
pub mod seccomp;
pub mod select;
pub mod state;
pub mod step;
pub mod store;
pub mod store_size;
pub mod sweep;
pub mod terminal;
pub mod unpack;
pub mod up;
pub mod view;
pub mod views;
pub mod vsock;
pub mod wait;
pub mod walk;
pub mod walls;
