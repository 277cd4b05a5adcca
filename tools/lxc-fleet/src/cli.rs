//! The command line of `lxc-fleet`: arguments and their help, nothing else.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use breakit::clock::parse_duration;
use breakit::helper::PathArg;
use breakit::messages::Loudness;
use breakit::size::{self, parse_size};
use clap::{Args, Parser, Subcommand};

use crate::fleet::select::Selection;
use crate::harm::command::HarmCommand;
use crate::harm::guardian::WatchdogArgs;
use crate::node::limits::Limits;
use crate::node::seccomp::Allow;
use crate::store::store_size::StoreArgs;

/// Starts, lists, harms and removes fleets of nodes (LXC containers)
///
/// The fleet is that of $BREAKIT_FLEET (default: default). Without NODES, a command takes all nodes of the fleet.
#[derive(Parser, Debug)]
#[command(name = "lxc-fleet", version)]
pub struct Cli {
    /// How much is said on stderr
    #[command(flatten)]
    pub loudness: Loudness,
    /// Where the programs that are run are looked for
    #[command(flatten)]
    pub path: PathArg,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What there is to do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Make, list or remove images: layers of packages over this host's own root
    Image(ImageArgs),
    /// Make and start nodes; nodes that exist stay as they are, and those that died are started again
    Up(UpArgs),
    /// Stop the nodes and remove all that was made for them
    Down(DownArgs),
    /// List the nodes with their state
    Ls(LsArgs),
    /// Print the nodes as lines for the other tools
    Nodes(Selection),
    /// Run a program in nodes
    Exec(ExecArgs),
    /// Copy a file or folder into nodes
    Push(PushArgs),
    /// Copy a file or folder out of nodes
    Pull(PullArgs),
    /// Start nodes that do not run
    Start(Selection),
    /// Stop nodes: their programs get TERM, and KILL after --timeout
    Stop(StopArgs),
    /// Harm nodes
    #[command(flatten)]
    Harm(HarmCommand),
    /// Resume paused nodes
    Resume(Selection),
    /// Print LXC's logs and the output of the nodes' first processes
    Logs(Selection),
    /// Mount a machine's root where it alone sees it, and start it (started by up and start)
    #[command(hide = true)]
    Launch {
        /// What LXC calls it
        #[arg(value_name = "ID")]
        id: String,
        /// End when it does
        #[arg(long, hide = true)]
        foreground: bool,
    },
    /// Wait on stdin for a holder's lease to end, then undo its fault (started by the commands that hold one)
    #[command(hide = true)]
    Watchdog(WatchdogArgs),
}

/// `image`.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct ImageArgs {
    /// List or remove instead
    #[command(subcommand)]
    pub other: Option<ImageOther>,
    /// The image's name
    #[arg(value_name = "NAME", required = true)]
    pub name: Option<String>,
    /// The packages, with the names of this host's package manager
    #[arg(long, value_name = "A,B", value_delimiter = ',', required = true)]
    pub packages: Vec<String>,
    /// The store to make
    #[command(flatten)]
    pub store: StoreArgs,
    /// Let the packages' scripts run as root of this host: for a package whose scripts need more than a node may do
    #[arg(long)]
    pub build_allow: bool,
    /// Print what would be done, a command or step a line, and do nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `image ls` and `image rm`.
#[derive(Subcommand, Debug)]
pub enum ImageOther {
    /// List the images
    Ls {
        /// As JSON lines
        #[arg(long)]
        json: bool,
    },
    /// Remove images that no node uses
    Rm {
        /// The images' names
        #[arg(value_name = "NAME", required_unless_present = "all")]
        names: Vec<String>,
        /// Remove every image, and the store's file with them
        #[arg(long, conflicts_with = "names")]
        all: bool,
    },
}

/// `up`.
#[derive(Args, Debug)]
pub struct UpArgs {
    /// The nodes to make: n1..n5 or n1,n2
    #[arg(value_name = "NODES", required_unless_present = "named")]
    pub nodes: Vec<String>,
    /// The same as NODES, as a flag like that of the other tools
    #[arg(short = 'n', long = "nodes", value_name = "NODES")]
    pub named: Vec<String>,
    /// The image of new nodes: host, busybox, or a name given to image [default: host]
    #[arg(long, value_name = "NAME")]
    pub image: Option<String>,
    /// Show this path of the host to new nodes, whatever its mode (repeatable)
    #[arg(long, value_name = "PATH")]
    pub show: Vec<PathBuf>,
    /// Let the nodes of a new fleet share the user ids of the host: root in a node is then the host's root
    #[arg(long)]
    pub privileged: bool,
    /// Give each new node a filesystem of its own of this size, in the store: 500M, 2G
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub disk: Option<u64>,
    /// The store to make
    #[command(flatten)]
    pub store: StoreArgs,
    /// Let the fleet's nodes open connections to this port of the host, which refuses all others (repeatable)
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub allow_host: Vec<u16>,
    /// Let the nodes of a new fleet open connections to other networks, through the host and with its address
    #[arg(long)]
    pub nat: bool,
    /// Print what would be done, a command or step a line, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Allow system calls that nodes may not make otherwise: io_uring, userns (namespaces of their own), vsock
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    pub allow: Vec<Allow>,
    /// How much of the host each new node may use
    #[command(flatten)]
    pub limits: Limits,
    /// The maximum memory of all nodes of the fleet together [default: half of the host's]
    #[arg(long, value_name = "SIZE", value_parser = size::parse_size)]
    pub fleet_memory: Option<u64>,
}

/// `down`.
#[derive(Args, Debug)]
pub struct DownArgs {
    /// Which nodes
    #[command(flatten)]
    pub which: Selection,
    /// All nodes of all fleets on this host
    #[arg(long, conflicts_with_all = ["nodes", "named"])]
    pub all: bool,
    /// Print what would be done, a command or step a line, and do nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `ls`.
#[derive(Args, Debug)]
pub struct LsArgs {
    /// Which nodes
    #[command(flatten)]
    pub which: Selection,
    /// As JSON lines
    #[arg(long)]
    pub json: bool,
    /// The nodes of all fleets on this host
    #[arg(long, conflicts_with_all = ["nodes", "named"])]
    pub all: bool,
}

/// `exec`.
#[derive(Args, Debug)]
pub struct ExecArgs {
    /// Which nodes
    #[command(flatten)]
    pub which: Selection,
    /// Give the program this command's stdin, or a terminal if stdin and stdout are one; for one node only
    #[arg(short, long)]
    pub interactive: bool,
    /// Put the node's name before each line even for one node
    #[arg(long)]
    pub prefix: bool,
    /// End the program if it still runs after TIME
    #[arg(long, alias = "limit", value_name = "TIME", value_parser = parse_duration)]
    pub timeout: Option<Duration>,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

/// `push`.
#[derive(Args, Debug)]
pub struct PushArgs {
    /// A file or folder here
    #[arg(value_name = "LOCAL")]
    pub local: PathBuf,
    /// The target: n1:/etc/app.conf, n1..n5:/opt/app, or :/path for all nodes
    #[arg(value_name = "NODES:PATH")]
    pub remote: String,
}

/// `pull`.
#[derive(Args, Debug)]
pub struct PullArgs {
    /// The file or folder to copy: n1:/var/log/app.log, n1..n5:/var/lib/app, or :/path for all nodes
    #[arg(value_name = "NODES:PATH")]
    pub remote: String,
    /// The target; with several nodes a folder, which receives LOCAL/NODE/NAME
    #[arg(value_name = "LOCAL")]
    pub local: PathBuf,
}

/// `stop`.
#[derive(Args, Debug)]
pub struct StopArgs {
    /// Which nodes
    #[command(flatten)]
    pub which: Selection,
    /// How long their programs have to end after TERM
    #[arg(long, alias = "limit", value_name = "TIME", value_parser = parse_duration, default_value = "5s")]
    pub timeout: Duration,
    /// Print what would be done, a command or step a line, and do nothing
    #[arg(long)]
    pub dry_run: bool,
}
