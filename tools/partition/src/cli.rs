//! The command line of `partition`: arguments and their help, nothing else.

use std::time::Duration;

use breakit::clock::parse_duration;
use breakit::helper::PathArg;
use breakit::lease::LeaseArgs;
use breakit::messages::Loudness;
use breakit::node::{NodesArg, SudoArg};
use breakit::ports::Ports;
use breakit::schedule::ScheduleArgs;
use clap::{Args, Parser, Subcommand};

use crate::backend::Backend;
use crate::packets::{Protocol, Share};
use crate::shapes;

/// Cuts and heals the network between nodes, with a lease that ends every cut
#[derive(Parser, Debug)]
#[command(name = "partition", version)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
    /// How much is said on stderr
    #[command(flatten)]
    pub loudness: Loudness,
    /// Where the programs that are run are looked for
    #[command(flatten)]
    pub path: PathArg,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Print the grudge that a shape makes, as JSON; changes nothing
    #[command(after_help = shapes::table())]
    Plan(Plan),
    /// Cut nodes off from one another until a time or a signal
    #[command(after_help = shapes::table())]
    Cut(Box<Cut>),
    /// Repeat the cuts of a recorded run, at the same offsets
    Replay(Replay),
    /// End every cut, whichever process made it
    Heal(Heal),
    /// Print the cuts in force, one JSON line each, as the kernel lists them
    List(List),
    /// Measure which nodes reach which; exit status 1 if a node does not reach another
    Check(Check),
    /// Print which backends work here, and why the others do not, as JSON
    Probe(Probe),
    /// Heal when the holder of a cut is gone (run by cut itself)
    #[command(hide = true)]
    Guard(Guard),
    /// Any other word: often a shape without its command
    #[command(external_subcommand)]
    Unknown(Vec<String>),
}

/// Whom to cut off from whom.
#[derive(Args, Debug)]
pub struct Drawn {
    /// One of the table of shapes, with its arguments
    #[arg(value_name = "SHAPE", help = shapes::list())]
    pub shape: Vec<String>,
    /// Drop what the shape lets pass, and let pass what it drops
    #[arg(long)]
    pub invert: bool,
    /// The nodes
    #[command(flatten)]
    pub nodes: NodesArg,
    /// The seed of every random choice [default: $BREAKIT_SEED, else random]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

/// `partition plan`.
#[derive(Args, Debug)]
pub struct Plan {
    /// Which nodes to cut off from which
    #[command(flatten)]
    pub drawn: Drawn,
}

/// `partition cut`.
#[derive(Args, Debug)]
pub struct Cut {
    /// Which nodes to cut off from which
    #[command(flatten)]
    pub drawn: Drawn,
    /// Instead of a shape: drop what comes from PEER, an address, a network 10.0.0.0/8 or a host's name
    #[arg(long, value_name = "PEER", value_delimiter = ',')]
    pub from: Vec<String>,
    /// Instead of a shape: drop what is sent to PEER
    #[arg(long, value_name = "PEER", value_delimiter = ',')]
    pub to: Vec<String>,
    /// Which packets
    #[command(flatten)]
    pub packets: PacketsArgs,
    /// For the shape primaries: a command that prints their names or addresses, run before each cut
    #[arg(long, value_name = "CMD")]
    pub primaries: Option<String>,
    /// The user on hosts over ssh
    #[command(flatten)]
    pub sudo: SudoArg,
    /// When
    #[command(flatten)]
    pub schedule: ScheduleArgs,
    /// How long it outlives us
    #[command(flatten)]
    pub lease: LeaseArgs,
    /// Leave the cut in force and exit; it ends with its lease (--for, else --lease)
    #[arg(long, conflicts_with_all = ["every", "first", "time_limit", "until_eof"])]
    pub keep: bool,
    /// Print the nft script of the first cut, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// How to cut [default: the first that works]
    #[arg(long, value_enum)]
    pub backend: Option<Backend>,
    /// Measure after each cut that exactly the chosen packets are dropped
    #[arg(long)]
    pub verify: bool,
    /// Cut ssh logins too, even the one that runs this command
    #[arg(long)]
    pub force: bool,
}

/// `partition replay`.
#[derive(Args, Debug)]
pub struct Replay {
    /// The run's history, or - for stdin
    #[arg(value_name = "HISTORY")]
    pub history: String,
    /// The nodes [default: the fleet's]
    #[command(flatten)]
    pub nodes: NodesArg,
    /// The user on hosts over ssh
    #[command(flatten)]
    pub sudo: SudoArg,
    /// How long each cut outlives us
    #[command(flatten)]
    pub lease: LeaseArgs,
    /// How to cut [default: the first that works]
    #[arg(long, value_enum)]
    pub backend: Option<Backend>,
    /// Print the script of each cut with its offsets, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Cut ssh logins too, even the one that runs this command
    #[arg(long)]
    pub force: bool,
}

/// Which packets between two ends are dropped.
#[derive(Args, Debug)]
pub struct PacketsArgs {
    /// Only packets of this protocol
    #[arg(long, alias = "proto", value_name = "PROTOCOL", value_enum)]
    pub protocol: Option<Protocol>,
    /// Only packets with this port at either end: 5432, postgresql, 8000-8010, 5432/tcp [of TCP and UDP]
    #[arg(long = "port", value_name = "PORT", value_delimiter = ',', value_parser = Ports::parse)]
    pub ports: Vec<Ports>,
    /// Only packets that open a TCP connection; established connections stay
    #[arg(long)]
    pub new_only: bool,
    /// Only this share of the packets, by chance
    #[arg(long, value_name = "PERCENT", value_parser = Share::parse)]
    pub loss: Option<Share>,
    /// Never drop these packets: port:22, port:ssh, port:53/udp, an address, a network or a host's name
    #[arg(long, value_name = "PORT or PEER", value_delimiter = ',')]
    pub except: Vec<String>,
    /// Answer with a TCP reset, or that the port is unreachable, instead of silence
    #[arg(long)]
    pub reject: bool,
}

/// `partition heal`.
#[derive(Args, Debug)]
pub struct Heal {
    /// Where
    #[command(flatten)]
    pub place: Where,
    /// Only the cuts of these tables, as list names them [default: all]
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub id: Vec<String>,
    /// Print the scripts that would remove the cuts, and do nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `partition list`.
#[derive(Args, Debug)]
pub struct List {
    /// Where
    #[command(flatten)]
    pub place: Where,
    /// Exit with status 1 if any cut is listed
    #[arg(long)]
    pub exit_code: bool,
}

/// Where `heal` and `list` look.
#[derive(Args, Debug)]
pub struct Where {
    /// End or list only the cuts that these nodes are part of [default: all cuts in this host's own network and in
    /// the fleet's]
    #[command(flatten)]
    pub nodes: NodesArg,
    /// The user on hosts over ssh
    #[command(flatten)]
    pub sudo: SudoArg,
    /// Examine every network of this host
    #[arg(long)]
    pub all: bool,
}

/// `partition check`.
#[derive(Args, Debug)]
pub struct Check {
    /// The nodes
    #[command(flatten)]
    pub nodes: NodesArg,
    /// How long to wait for a packet before it counts as lost
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    pub timeout: Duration,
    /// Measure with this protocol: tcp opens connections, icmp pings [default: udp, and with --port tcp too]
    #[arg(long, alias = "proto", value_name = "PROTOCOL", value_enum)]
    pub protocol: Option<Protocol>,
    /// Measure at these ports, to detect cuts of single ports
    #[arg(long = "port", value_name = "PORT", value_delimiter = ',', value_parser = Ports::parse)]
    pub ports: Vec<Ports>,
    /// Print a table instead of JSON
    #[arg(long)]
    pub table: bool,
}

/// `partition probe`.
#[derive(Args, Debug)]
pub struct Probe {
    /// The nodes that are to be cut [default: the fleet's, if it is up]
    #[command(flatten)]
    pub nodes: NodesArg,
    /// The user on hosts over ssh
    #[command(flatten)]
    pub sudo: SudoArg,
}

/// `partition guard`.
#[derive(Args, Debug)]
pub struct Guard {
    /// The holder's table
    pub table: String,
    /// Sweep after this time instead of healing at the holder's end
    #[arg(long, hide = true, value_parser = parse_duration)]
    pub after: Option<Duration>,
}
