//! The command line of `slownet`: arguments and their help, nothing else.

use std::time::Duration;

use breakit::helper::PathArg;
use breakit::lease::LeaseArgs;
use breakit::node::{NodesArg, SudoArg};
use breakit::schedule::ScheduleArgs;
use breakit::talk::Loudness;
use clap::{Args, Parser, Subcommand};

use crate::backend::Wanted;
use crate::distribution::Distribution;
use crate::fault_id::FaultId;
use crate::interface;
use crate::preset::Preset;
use crate::quantity::{Chance, Percent, Rate, parse_hold, parse_holds};
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
    #[arg(value_name = "@FILE", conflicts_with_all = ["PartsArgs", "TrafficArgs"])]
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

/// What happens to packets. Single flags replace the parts of a preset.
#[derive(Args, Debug)]
pub struct PartsArgs {
    /// Start from a preset: the impairments of a named network
    #[arg(long, value_name = "NAME", value_enum)]
    pub preset: Option<Preset>,
    /// Hold each packet for TIME
    #[arg(long, value_name = "TIME", value_parser = parse_hold, allow_hyphen_values = true)]
    pub delay: Option<Duration>,
    /// Vary the delay by up to TIME
    #[arg(long, value_name = "TIME", value_parser = parse_hold, allow_hyphen_values = true)]
    pub jitter: Option<Duration>,
    /// How the delay varies: uniform, normal, pareto, paretonormal, or the table in a file NAME.dist [default: uniform]
    #[arg(long, value_name = "NAME", value_parser = Distribution::parse)]
    pub distribution: Option<Distribution>,
    /// How much a packet's delay resembles the one before
    #[arg(long, value_name = "PERCENT", value_parser = Percent::parse, allow_hyphen_values = true)]
    pub correlation: Option<Percent>,
    /// Keep packets in order, however the delay varies
    #[arg(long)]
    pub keep_order: bool,
    /// Lose packets at random: 20%, or 20%,75% with correlation
    #[arg(long, value_name = "PERCENT", value_parser = Chance::parse, allow_hyphen_values = true,
          conflicts_with_all = ["loss_state", "loss_gemodel"])]
    pub loss: Option<Chance>,
    /// Lose packets by a Markov chain of four states: P13[,P31[,P32[,P23[,P14]]]]
    #[arg(long, value_name = "PERCENTS", value_parser = Percent::parse, value_delimiter = ',',
          num_args = 1, action = clap::ArgAction::Append, allow_hyphen_values = true, conflicts_with = "loss_gemodel")]
    pub loss_state: Vec<Percent>,
    /// Lose packets by the Gilbert-Elliott model: P[,R[,1-H[,1-K]]]
    #[arg(long, value_name = "PERCENTS", value_parser = Percent::parse, value_delimiter = ',',
          num_args = 1, action = clap::ArgAction::Append, allow_hyphen_values = true)]
    pub loss_gemodel: Vec<Percent>,
    /// Send packets twice: 1%, or 1%,25% with correlation
    #[arg(long, value_name = "PERCENT", value_parser = Chance::parse, allow_hyphen_values = true)]
    pub duplicate: Option<Chance>,
    /// Let packets overtake those that are held: 25%, or 25%,50% with correlation
    #[arg(long, value_name = "PERCENT", value_parser = Chance::parse, allow_hyphen_values = true)]
    pub reorder: Option<Chance>,
    /// Let only each Nth packet overtake
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), requires = "reorder")]
    pub gap: Option<u32>,
    /// Flip one bit of a packet: 0.1%, or 0.1%,25% with correlation
    #[arg(long, value_name = "PERCENT", value_parser = Chance::parse, allow_hyphen_values = true)]
    pub corrupt: Option<Chance>,
    /// Limit the rate to RATE: 56kbit, 1mbit, 1.5gbit (bits a second)
    #[arg(long, value_name = "RATE", value_parser = Rate::parse, allow_hyphen_values = true)]
    pub rate: Option<Rate>,
    /// With a rate: let N bytes pass at once before the rate applies [default: what accrues in 2 ms, or a packet]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1600..))]
    pub burst: Option<u32>,
    /// Release packets in batches: every 20ms, or at random intervals of 10ms,40ms
    #[arg(long, value_name = "TIMES", value_parser = parse_holds, allow_hyphen_values = true)]
    pub slot: Option<(Duration, Duration)>,
    /// Let at most N packets out in one batch
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), requires = "slot")]
    pub slot_packets: Option<u32>,
    /// Let at most N bytes out in one batch
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), requires = "slot")]
    pub slot_bytes: Option<u32>,
    /// Hold at most N packets at once [default: computed from delay and rate]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
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
