//! Runs `lxc-fleet` as its command line says.

use breakit::exit::{Error, Result, Status};

use crate::cli::{Cli, Command, ImageOther};
use crate::container::{self, Container, at_once};
use crate::{copy, down, exec, harm, image, listing, up, watchdog};

/// Runs the tool.
///
/// # Errors
/// One sentence for whatever stood in the way.
pub fn run(cli: Cli) -> Result<Status> {
    cli.loudness.set();
    as_root()?;
    match cli.command {
        Command::Image(args) => match args.other {
            Some(ImageOther::Ls { json }) => image::list(json),
            Some(ImageOther::Rm { all: true, .. }) => image::remove_all(),
            Some(ImageOther::Rm { names, .. }) => image::remove(&names),
            None => image::build(args.name.as_deref().unwrap_or_default(), &args.packages),
        },
        Command::Up(args) => up::up(&args),
        Command::Down(args) => down::down(&args),
        Command::Ls(args) => listing::ls(&args),
        Command::Nodes(which) => listing::nodes(&which),
        Command::Exec(args) => exec::exec(&args),
        Command::Push(args) => copy::push(&args),
        Command::Pull(args) => copy::pull(&args),
        Command::Start(which) => each(&which.containers()?, Container::start),
        Command::Stop(args) => each(&args.which.containers()?, |c| c.stop(args.limit)),
        Command::Kill(args) => harm::harm(harm::Kind::Kill, &args),
        Command::Pause(args) => harm::harm(harm::Kind::Pause, &args),
        Command::Resume(which) => each(&which.containers()?, Container::resume),
        Command::Logs(which) => listing::logs(&which),
        Command::Watchdog(args) => watchdog::watch(&args),
    }
}

fn each(
    containers: &[Container],
    work: impl Fn(&Container) -> Result<()> + Sync,
) -> Result<Status> {
    container::all(at_once(containers, work)).map(|_| Status::Done)
}

fn as_root() -> Result<()> {
    if nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    Err(Error::not_permitted(
        "containers, mounts and bridges are made by root alone; run it with sudo",
    ))
}
