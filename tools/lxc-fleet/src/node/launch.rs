//! `launch`: mounts a node's root in a mount namespace of its own and runs the `lxc-start` that starts the node there.
//!
//! So the root is nowhere on the host: no other user meets the setuid programs in it, and it is gone with the
//! node, whatever ends the node. LXC's monitor is the only process of the host in that namespace.

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use breakit::exit::{Error, Result, Status};
use breakit::node::LXCPATH;
use breakit::program;
use nix::fcntl::OFlag;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkdir;

use crate::files;
use crate::node::root::{self, Root};
use crate::places;
use crate::private;
use crate::process::enter;

/// Where a machine's root is described, beside its configuration.
pub fn description(id: &str) -> PathBuf {
    Path::new(LXCPATH).join(id).join("root.json")
}

/// Writes down what the root of the machine `id` is made of.
///
/// # Errors
/// 71 or 77.
pub fn describe(id: &str, root: &Root) -> Result<()> {
    let text = serde_json::to_string_pretty(root)
        .map_err(|e| Error::system(format!("cannot describe the root of {id}: {e}")))?;
    files::write_whole(&description(id), &text)
}

/// Starts the machine `id`. In the foreground we end when it does, and it ends when we do, whatever ends us.
///
/// # Errors
/// As lxc-start ends; 66 if it was never described, 71 if the system refuses, 69 if LXC is missing.
pub fn launch(id: &str, foreground: bool) -> Result<Status> {
    let root = read(id)?;
    if !root.is_there() {
        return Err(Error::system("its files are not there; run lxc-fleet up, which mounts them"));
    }
    fs::create_dir_all(root::place())
        .map_err(|e| Error::io(format!("make {}", root::place().display()), &e))?;
    leave_the_hosts_mounts()?;
    root.mount(&root::place())?;
    if root.ids.are_mapped() {
        open_the_way()?;
    }
    let mut start = start_command(id, foreground)?;
    // If LXC finds newuidmap(1) on its PATH it has that write the maps, which refuses what /etc/subuid does not
    // list; without it, it writes them itself.
    start.env("PATH", root::place());
    // LXC gets none of our descriptors. We ourselves go on sharing the lock of whoever started us, until it is done.
    if foreground {
        // SAFETY: between fork and exec the closure makes one system call with constants, and allocates nothing.
        unsafe { start.pre_exec(|| Ok(set_pdeathsig(Signal::SIGKILL)?)) };
    }
    let status = enter::alone(start.stdin(Stdio::null()))
        .status()
        .map_err(|e| Error::io("run lxc-start", &e))?;
    match status.code().and_then(|code| u8::try_from(code).ok()) {
        Some(0) => Ok(Status::Done),
        code => Err(Error::Passed(code.unwrap_or(u8::MAX))),
    }
}

/// What a shell does to launch a machine.
///
/// # Errors
/// 69 if LXC or mount is missing.
pub fn shown(id: &str, root: &Root) -> Result<Vec<String>> {
    let mut lines = vec!["# in a mount namespace of the node's own:".to_string()];
    lines.extend(root.shown_mount(&root::place())?);
    lines.push(program::show(&start_command(id, false)?));
    Ok(lines)
}

fn read(id: &str) -> Result<Root> {
    let path = description(id);
    let text = fs::read(&path).map_err(|e| Error::io(format!("read {}", path.display()), &e))?;
    serde_json::from_slice(&text)
        .map_err(|e| Error::data(format!("{}: {}", path.display(), breakit::op::json_clause(&e))))
}

/// What the host unmounts later is unmounted here as well, so that no node keeps a disk of the host's busy.
fn leave_the_hosts_mounts() -> Result<()> {
    let place = |e: nix::errno::Errno| Error::io("make a mount namespace", &e.into());
    unshare(CloneFlags::CLONE_NEWNS).map_err(place)?;
    let flags = MsFlags::MS_REC | MsFlags::MS_SLAVE;
    mount(None::<&str>, "/", None::<&str>, flags, None::<&str>).map_err(place)
}

/// LXC refuses to start a machine whose root cannot come to the folder of its configuration, though it never does.
/// On the host the folder lies below one that only root enters; here, where no other program of the host is, it
/// lies below an open one that has nothing else in it.
fn open_the_way() -> Result<()> {
    let place = |e: nix::errno::Errno| Error::io(format!("show {LXCPATH} to LXC"), &e.into());
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let lxc = nix::fcntl::open(LXCPATH, flags, Mode::empty()).map_err(place)?;
    let options = format!("mode={:o},size=64k", private::WAY);
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("tmpfs"), places::BASE, Some("tmpfs"), flags, Some(options.as_str()))
        .map_err(place)?;
    mkdir(LXCPATH, Mode::from_bits_truncate(private::WAY)).map_err(place)?;
    let source = format!("/proc/self/fd/{}", lxc.as_raw_fd());
    mount(Some(source.as_str()), LXCPATH, None::<&str>, MsFlags::MS_BIND, None::<&str>)
        .map_err(place)
}

/// What starts a machine whose root is mounted.
///
/// # Errors
/// 69 if LXC is missing.
pub fn start_command(id: &str, foreground: bool) -> Result<Command> {
    let mut command = program::command("lxc-start", "lxc")?;
    let log = Path::new(LXCPATH).join(id).join("log");
    command.args(["-P", LXCPATH, "-n", id, if foreground { "-F" } else { "-d" }, "-o"]);
    command.arg(log).args(["-l", "ERROR"]);
    Ok(command)
}
