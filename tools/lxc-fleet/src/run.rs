//! Runs `lxc-fleet` as its command line says.

use breakit::exit::{Error, Result, Status};
use breakit::node::names;
use breakit::stdout;
use nix::sys::stat::{Mode, umask};

use crate::cli::{Cli, Command, ImageOther, PullArgs, PushArgs};
use crate::fleet::{down, host_name, listing, select, up};
use crate::harm::guardian;
use crate::image::install::Scripts;
use crate::image::{self, build};
use crate::node::{container, disk, launch};
use crate::private;
use crate::process::{copy, exec, pull, push};
use crate::step::Step;
use crate::store;

/// Runs the tool.
///
/// # Errors
/// One sentence for whatever stood in the way.
pub fn run(cli: Cli) -> Result<Status> {
    cli.loudness.set();
    cli.path.set()?;
    if !puts_right(&cli.command) {
        stdout::must_be_open()?;
    }
    sensible(&cli.command)?;
    if !matches!(cli.command, Command::Nodes(_)) {
        as_root()?;
    }
    prepare(&cli.command)?;
    match cli.command {
        Command::Image(args) => match args.other {
            Some(ImageOther::Ls { json }) => image::list(json),
            Some(ImageOther::Rm { all: true, .. }) => image::remove_all(),
            Some(ImageOther::Rm { names, .. }) => image::remove(&names),
            None => {
                let name = args.name.as_deref().unwrap_or_default();
                let scripts = if args.build_allow { Scripts::AsHost } else { Scripts::AsNode };
                build::build(name, &args.packages, scripts, &args.store, args.dry_run)
            }
        },
        Command::Up(args) => up::up(&args),
        Command::Down(args) => down::down(&args),
        Command::Ls(args) => listing::ls(&args),
        Command::Nodes(which) => listing::nodes(&which),
        Command::Exec(args) => exec::exec(&args),
        Command::Push(args) => push::push(&args),
        Command::Pull(args) => pull::pull(&args),
        Command::Start(which) => container::start_all(&which.containers()?).map(|()| Status::Done),
        Command::Stop(args) => container::each(&args.which.containers()?, args.dry_run, |node| {
            Ok(vec![node.stopping(args.timeout)])
        }),
        Command::Harm(harm) => harm.run(),
        Command::Resume(which) => container::each(&which.containers()?, false, |node| {
            Ok(vec![Step::silent(|| node.resume())])
        }),
        Command::Logs(which) => listing::logs(&which),
        Command::Launch { id, foreground } => launch::launch(&id, foreground),
        Command::Watchdog(args) => guardian::watch(&args),
    }
}

/// Whether it puts right what was harmed or made, which it does all the same if stdout is closed; so do our own helpers.
fn puts_right(command: &Command) -> bool {
    matches!(
        command,
        Command::Down(_)
            | Command::Start(_)
            | Command::Resume(_)
            | Command::Launch { .. }
            | Command::Watchdog(_)
    )
}

/// What is made gets its modes from us and not from the caller's umask, which a node would have as well; what is
/// there and open to others is closed. A dry run touches nothing.
fn prepare(command: &Command) -> Result<()> {
    if !matches!(command, Command::Exec(_) | Command::Push(_) | Command::Pull(_)) {
        umask(Mode::from_bits_truncate(0o022));
    }
    let is_dry = match command {
        Command::Image(args) => args.dry_run,
        Command::Up(args) => args.dry_run,
        Command::Down(args) => args.dry_run,
        Command::Stop(args) => args.dry_run,
        Command::Harm(harm) => harm.args.dry_run,
        // It may have no right to, and the commands that need root do it.
        Command::Nodes(_) => true,
        _ => false,
    };
    if is_dry {
        return Ok(());
    }
    private::narrow()?;
    store::narrow()
}

/// Whatever can be judged from the command line alone is judged first, whoever runs it.
fn sensible(command: &Command) -> Result<()> {
    select::fleet()?;
    match command {
        Command::Up(args) => {
            let specs: Vec<String> = args.nodes.iter().chain(&args.named).cloned().collect();
            disk::checked(args.disk)?;
            names(&specs)?.iter().try_for_each(host_name::checked)
        }
        Command::Image(args) if args.other.is_none() => {
            build::checked(args.name.as_deref().unwrap_or_default(), &args.packages).map(drop)
        }
        Command::Harm(harm) => harm.sensible(),
        Command::Nodes(which)
        | Command::Start(which)
        | Command::Resume(which)
        | Command::Logs(which) => select::are_names(&which.specs()),
        Command::Down(args) => select::are_names(&args.which.specs()),
        Command::Ls(args) => select::are_names(&args.which.specs()),
        Command::Exec(args) => select::are_names(&args.which.specs()),
        Command::Stop(args) => select::are_names(&args.which.specs()),
        Command::Push(PushArgs { remote, .. }) | Command::Pull(PullArgs { remote, .. }) => {
            copy::place(remote).map(drop)
        }
        Command::Image(_) | Command::Launch { .. } | Command::Watchdog(_) => Ok(()),
    }
}

fn as_root() -> Result<()> {
    if nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    Err(Error::not_permitted(
        "containers, mounts and bridges are made by root alone; run it with sudo",
    ))
}
