//! The command line of `slownet`: arguments and their help, nothing else.

use breakit::helper::PathArg;
use breakit::lease::LeaseArgs;
use breakit::messages::Loudness;
use breakit::node::{NodesArg, SudoArg};
use breakit::schedule::ScheduleArgs;
use clap::{Args, Id, Parser, Subcommand};

use crate::backend::Wanted;
use crate::fault_id::FaultId;
use crate::impairments::PartsArgs;
use crate::interface;
use crate::traffic::Direction;
use breakit::ports::Ports;
use breakit::protocol::Protocol;

/// Makes the network between nodes slow or unreliable, with a lease that ends every fault
#[derive(Parser, Debug)]
#[command(name = "slownet", version)]
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

/// The subcommands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Delay, lose or otherwise impair what nodes send, until a time or a signal
    Set(Box<SetArgs>),
    /// Repeat the faults of a recorded run: the same impairments, nodes and offsets
    Replay(ReplayArgs),
    /// End every fault, whichever process made it
    Clear(ClearArgs),
    /// Print the faults in force, as the nodes' kernels list them
    List(ListArgs),
    /// Print which backends work here, and why the others do not
    Probe(ProbeArgs),
    /// Hold delay lines for a run on another host, which copied this program here
    #[command(hide = true)]
    Agent,
}

/// `slownet set`.
#[derive(Args, Debug)]
pub struct SetArgs {
    /// Take links from a file: a JSON line for each, {"from":"n1","to":"n2","delay":"40ms"}, all in force at once
    #[arg(value_name = "@FILE", conflicts_with_all = flags_of_a_link())]
    pub links: Option<String>,
    /// Whose packets
    #[command(flatten)]
    pub nodes: NodesArg,
    /// As whom
    #[command(flatten)]
    pub sudo: SudoArg,
    /// What happens to them
    #[command(flatten)]
    pub parts: PartsArgs,
    /// Which of them
    #[command(flatten)]
    pub traffic: TrafficArgs,
    /// When
    #[command(flatten)]
    pub schedule: ScheduleArgs,
    /// How long it outlives its holder
    #[command(flatten)]
    pub lease: LeaseArgs,
    /// Leave the fault in force and exit; it ends with its lease (--for, else --lease)
    #[arg(long, conflicts_with_all = ["every", "first", "time_limit", "until_eof"])]
    pub keep: bool,
    /// The backend
    #[arg(long, value_name = "BACKEND", value_enum, default_value = "auto")]
    pub backend: Wanted,
    /// Copy slownet to hosts over ssh whose kernel has no netem, and delay packets there without netem
    #[arg(long)]
    pub agent: bool,
    /// The seed of every random choice; only the backend nfqueue uses it [default: $BREAKIT_SEED, else random]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Impair even what a node's sshd sends
    #[arg(long)]
    pub force: bool,
    /// Print what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// The flags that a line of the file has as fields.
fn flags_of_a_link() -> Vec<Id> {
    let command = TrafficArgs::augment_args(PartsArgs::augment_args(clap::Command::new("")));
    command.get_arguments().map(|flag| flag.get_id().clone()).collect()
}

/// Which packets.
#[derive(Args, Debug)]
pub struct TrafficArgs {
    /// Only packets to these: nodes as for -n, addresses, blocks such as 10.0.0.0/8, hosts' names [default: all]
    #[arg(long, value_name = "PEER")]
    pub to: Vec<String>,
    /// Impair what the nodes send (the default), what they receive (from the peers in --to), or both
    #[arg(
        long,
        value_name = "DIRECTION",
        value_enum,
        default_value = "out",
        hide_default_value = true
    )]
    pub direction: Direction,
    /// Only packets through these interfaces of the nodes
    #[arg(long, value_name = "NAME", value_parser = interface::checked_name, value_delimiter = ',')]
    pub interface: Vec<String>,
    /// Only packets of this protocol
    #[arg(long, alias = "proto", value_name = "PROTOCOL", value_enum)]
    pub protocol: Option<Protocol>,
    /// Only packets with this port at either end: 5432, postgresql, 7000-7003, 5432/tcp [of TCP and UDP]
    #[arg(long, value_name = "PORT", value_parser = Ports::parse, value_delimiter = ',')]
    pub port: Vec<Ports>,
    /// Never impair these packets: port:22, port:ssh, port:53/udp, an address, a block or a host's name
    #[arg(long, value_name = "PORT or PEER", value_delimiter = ',')]
    pub except: Vec<String>,
}

/// `slownet replay`.
#[derive(Args, Debug)]
pub struct ReplayArgs {
    /// The run's history, or - for stdin
    #[arg(value_name = "HISTORY")]
    pub history: String,
    /// Where its nodes are now [default: the fleet's]
    #[command(flatten)]
    pub nodes: NodesArg,
    /// As whom
    #[command(flatten)]
    pub sudo: SudoArg,
    /// How long each fault outlives its holder
    #[command(flatten)]
    pub lease: LeaseArgs,
    /// The backend
    #[arg(long, value_name = "BACKEND", value_enum, default_value = "auto")]
    pub backend: Wanted,
    /// Copy slownet to hosts over ssh whose kernel has no netem, and delay packets there without netem
    #[arg(long)]
    pub agent: bool,
    /// Impair even what a node's sshd sends
    #[arg(long)]
    pub force: bool,
    /// Print what would be done, and when, and do nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `slownet clear`.
#[derive(Args, Debug)]
pub struct ClearArgs {
    /// Where
    #[command(flatten)]
    pub nodes: NodesArg,
    /// As whom
    #[command(flatten)]
    pub sudo: SudoArg,
    /// Examine every network of this host
    #[arg(long)]
    pub all: bool,
    /// Only the faults with these numbers [default: all of slownet's]
    #[arg(long, value_name = "ID", value_parser = FaultId::parse, value_delimiter = ',')]
    pub id: Vec<FaultId>,
    /// Print what would be cleared, and do nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `slownet list`.
#[derive(Args, Debug)]
pub struct ListArgs {
    /// Where
    #[command(flatten)]
    pub nodes: NodesArg,
    /// As whom
    #[command(flatten)]
    pub sudo: SudoArg,
    /// Examine every network of this host
    #[arg(long)]
    pub all: bool,
    /// Exit with status 1 if any fault is listed
    #[arg(long)]
    pub exit_code: bool,
}

/// `slownet probe`.
#[derive(Args, Debug)]
pub struct ProbeArgs {
    /// Copy slownet to hosts over ssh for the trial
    #[arg(long)]
    pub agent: bool,
    /// Whose kernels [default: this host's]
    #[command(flatten)]
    pub nodes: NodesArg,
    /// As whom
    #[command(flatten)]
    pub sudo: SudoArg,
}
