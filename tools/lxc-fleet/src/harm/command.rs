//! The subcommand of each kind of harm: its arguments, and what it does with them.

use breakit::clock;
use breakit::exit::{Result, Status};
use breakit::held_fault::hold;
use breakit::lease::{self, Lease, LeaseArgs};
use breakit::rng;
use breakit::schedule::{Schedule, ScheduleArgs};
use breakit::signal::Watch;
use clap::{ArgMatches, Args, FromArgMatches, Subcommand};

use crate::fleet::select::{self, Selection, called};
use crate::harm::held::Held;
use crate::harm::{Deed, HARMS, Kind, before};
use crate::node::container::{self, Container, at_once};
use crate::step;

/// The arguments that every kind of harm has.
#[derive(Args, Debug)]
pub struct HarmArgs {
    /// Which nodes
    #[command(flatten)]
    pub which: Selection,
    /// When, and for how long
    #[command(flatten)]
    pub schedule: ScheduleArgs,
    /// What a fault that is held lasts after its holder died
    #[command(flatten)]
    pub lease: LeaseArgs,
    /// Hold the fault until a signal
    #[arg(long, conflicts_with = "length")]
    pub hold: bool,
    /// Leave the fault in force and exit; it is undone after --for, else when its lease ends
    #[arg(long, conflicts_with_all = ["hold", "every", "first", "time_limit", "until_eof"])]
    pub keep: bool,
    /// The seed of --stagger [default: $BREAKIT_SEED, else random]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Print what would be done, a command or step a line, and do nothing
    #[arg(long)]
    pub dry_run: bool,
}

impl HarmArgs {
    /// Whether the harm is held as a fault; else it is done at once and for good.
    fn is_held(&self) -> bool {
        let times = &self.schedule;
        let timed =
            [times.length, times.every, times.first, times.time_limit].iter().any(Option::is_some);
        timed || times.until_eof || self.hold || self.keep
    }

    fn timing(&self) -> Result<Timing> {
        let seed = rng::seed(self.seed)?;
        let (schedule, lease) = (self.schedule.checked_with(seed)?, self.lease.checked()?);
        let kept = lease::kept(self.keep, &schedule, lease)?;
        Ok(Timing { schedule, lease, kept, seed })
    }
}

/// When a fault is in force, and how long it outlives its holder.
struct Timing {
    schedule: Schedule,
    lease: Lease,
    /// The lease of a fault that is left in place.
    kept: Option<Lease>,
    seed: u64,
}

/// `kill`, `pause` and the others, as [`HARMS`] has them.
#[derive(Debug)]
pub struct HarmCommand {
    kind: &'static Kind,
    deed: Box<dyn Deed>,
    /// The arguments that all kinds have.
    pub args: HarmArgs,
}

impl HarmCommand {
    /// Judges what the command line alone shows.
    ///
    /// # Errors
    /// 64 if it is wrong.
    pub fn sensible(&self) -> Result<()> {
        self.args.timing()?;
        select::are_names(&self.args.which.specs())
    }

    /// Harms nodes: at once and for good, or for as long as the flags say.
    ///
    /// # Errors
    /// As [`Selection::containers`], and 71 if the system refuses.
    pub fn run(self) -> Result<Status> {
        let timing = self.args.timing()?;
        let nodes = self.args.which.containers()?;
        if !self.args.is_held() {
            return container::each(&nodes, self.args.dry_run, |node| self.deed.apply(node));
        }
        if self.args.dry_run {
            return step::print(&self.shown(&nodes, timing)?);
        }
        let Timing { schedule, lease, seed, .. } = timing;
        let HarmCommand { kind, deed, args } = self;
        let mut watch = Watch::start("putting the nodes right goes on")?;
        args.schedule.watch_input(&mut watch, args.which.reads_stdin().then_some("the nodes"))?;
        let mut held = Held::new(kind, deed, nodes, args.keep, seed);
        hold(&mut held, &schedule, lease, args.keep, &watch)
    }

    /// The lines that show the first fault of harm that is held, with what undoes it.
    fn shown(&self, nodes: &[Container], timing: Timing) -> Result<Vec<String>> {
        container::all(at_once(nodes, Container::must_run))?;
        let mut windows = timing.schedule.windows();
        let Some(first) = windows.next() else { return Ok(Vec::new()) };
        let is_kept = timing.kept.is_some();
        let mut lines = Vec::new();
        if !is_kept && !first.start.is_zero() {
            lines.push(format!("# at {}", clock::show(first.start)));
        }
        let length = clock::show(timing.kept.unwrap_or(timing.lease).length);
        lines.push(format!(
            "# post a watchdog over {}, which undoes it after {length} without a renewal",
            called(nodes).join(" ")
        ));
        let harmed = before(self.deed.as_ref(), nodes)?;
        let apply = at_once(nodes, |node| step::shown(self.deed.apply(node)?));
        lines.extend(container::all(apply)?.concat());
        lines.push(match first.end {
            _ if is_kept => format!("# the watchdog, after {length}"),
            Some(end) => format!("# at {}", clock::show(end)),
            None => "# after a signal".into(),
        });
        lines.extend(self.kind.shown_undo(&harmed)?);
        if let Some(next) = windows.next().filter(|_| !is_kept) {
            lines.push(format!("# the same again at {}, and so on", clock::show(next.start)));
        }
        Ok(lines)
    }
}

impl FromArgMatches for HarmCommand {
    fn from_arg_matches(matches: &ArgMatches) -> std::result::Result<HarmCommand, clap::Error> {
        let missing = || clap::Error::new(clap::error::ErrorKind::MissingSubcommand);
        let (word, matches) = matches.subcommand().ok_or_else(missing)?;
        let kind = Kind::find(word).ok_or_else(missing)?;
        let args = HarmArgs::from_arg_matches(matches)?;
        Ok(HarmCommand { kind, deed: (kind.read_args)(matches)?, args })
    }

    fn update_from_arg_matches(
        &mut self,
        matches: &ArgMatches,
    ) -> std::result::Result<(), clap::Error> {
        *self = HarmCommand::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Subcommand for HarmCommand {
    fn augment_subcommands(command: clap::Command) -> clap::Command {
        HARMS.iter().fold(command, |command, kind| command.subcommand(kind.command()))
    }

    fn augment_subcommands_for_update(command: clap::Command) -> clap::Command {
        HarmCommand::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        Kind::find(name).is_some()
    }
}

impl Kind {
    /// The subcommand. The nodes and the flags that all kinds have come behind its own.
    fn command(&self) -> clap::Command {
        let own = (self.add_args)(clap::Command::new(self.word));
        HarmArgs::augment_args(own).about(self.about).long_about(None)
    }
}
