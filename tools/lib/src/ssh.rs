//! Commands on other hosts by the system's OpenSSH: one connection to each host, shared by all that we run there.
//!
//! The connection is held open by an `ssh` of ours that runs `cat` on the other side. It ends with the pipe
//! that it reads, so when we end, however we end; no connection and no process outlives us. Where it cannot be
//! had, or breaks, each command connects by itself, and says itself what stands in the way.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::exit::{Error, Result};
use crate::node::Host;
use crate::{helper, lifeline, program};

/// Never asks for anything, and gives up soon: the host that does not answer may be one that we cut off. Whatever the
/// user's configuration says, that host gets neither our keys nor our screen.
const OPTIONS: [&str; 6] = ["-a", "-x", "-o", "BatchMode=yes", "-o", "ConnectTimeout=5"];

/// How long we wait for the shared connection before we go on without.
const LIMIT: Duration = Duration::from_secs(6);

/// The name of a Unix socket may be this long.
const SOCKET: usize = 100;

/// A command that runs `program` with `args` on `host`, as whom we log in or through sudo.
///
/// # Errors
/// 69 where ssh is missing.
pub fn command(host: &Host, program: &Path, args: &[OsString]) -> Result<Command> {
    let ssh = program::find("ssh", "openssh-client")?;
    let mut command = login(&ssh);
    command.args(OPTIONS);
    if let Some(socket) = shared(&ssh, &host.destination) {
        command.args(["-o", "ControlMaster=no", "-o"]).arg(control_path(&socket));
    }
    command.args(["--", &host.destination]);
    if host.sudo {
        // Where sudoers has no secure_path, sudo looks where the login does: often not where root's programs are.
        command.args(["env", "\"PATH=$PATH:/usr/sbin:/sbin\"", "sudo", "-n", "--"]);
    }
    // ssh joins its words with spaces for the shell of the other side: so each is quoted.
    command.arg(program::quote(program));
    command.args(args.iter().map(program::quote));
    Ok(command)
}

/// An ssh that finds its user's keys and agent, and gets nothing else of our environment.
fn login(ssh: &Path) -> Command {
    let mut command = program::clean(ssh);
    helper::for_ssh(&mut command);
    command
}

/// What a program on `host` left, where ssh and sudo let it run.
///
/// # Errors
/// 71 where ssh does not get there, 69 where sudo or the program is missing there, 77 where sudo refuses.
pub fn reached(host: &Host, output: Output) -> Result<Output> {
    let said = program::last_words(&output);
    match output.status.code() {
        // 255 is ssh's own.
        Some(255) => Err(Error::system(format!(
            "ssh does not reach {host}: {said}; check that ssh -o BatchMode=yes gets there without a question"
        ))),
        Some(127) if host.sudo && said.contains("sudo") => Err(Error::missing(format!(
            "the program sudo is missing on {host}; install the package sudo there, or log in as root"
        ))),
        // What runs under sudo has its own last words, unless it was not run.
        Some(1)
            if host.sudo && said.starts_with("sudo: ") && said.ends_with(": command not found") =>
        {
            let program = said.trim_start_matches("sudo: ").trim_end_matches(": command not found");
            Err(Error::missing(format!(
                "the program {program} is missing on {host}; install it there"
            )))
        }
        Some(1) if host.sudo && is_refusal(&said) => Err(Error::not_permitted(format!(
            "sudo on {host} refuses ({said}); allow that user NOPASSWD in sudoers there, or log in as root"
        ))),
        _ => Ok(output),
    }
}

fn is_refusal(said: &str) -> bool {
    said.starts_with("sudo: ") || said.contains("is not allowed to execute")
}

/// A connection that others go through.
struct Shared {
    socket: PathBuf,
    /// Holds the pipe whose end is the connection's end.
    _holder: Child,
}

/// One for each destination; whoever comes first opens it, and whoever comes meanwhile waits for that one only.
type Slot = Arc<Mutex<Option<Option<Shared>>>>;

/// The socket of the connection to `destination`; `None` where there is none to share.
fn shared(ssh: &Path, destination: &str) -> Option<PathBuf> {
    static SLOTS: OnceLock<Mutex<HashMap<String, Slot>>> = OnceLock::new();
    let slots = SLOTS.get_or_init(Mutex::default);
    let (slot, number) = {
        let mut slots = slots.lock().ok()?;
        let number = slots.len();
        (Arc::clone(slots.entry(destination.to_string()).or_default()), number)
    };
    let mut slot = slot.lock().ok()?;
    let shared = slot.get_or_insert_with(|| open(ssh, destination, number));
    shared.as_ref().map(|shared| shared.socket.clone())
}

/// Opens the connection and waits until it carries words both ways.
fn open(ssh: &Path, destination: &str, number: usize) -> Option<Shared> {
    let socket = folder()?.join(format!("ssh-{}-{number}", std::process::id()));
    if socket.as_os_str().len() > SOCKET {
        return None;
    }
    // A process of the same number has left it behind, if it is there.
    let _ = std::fs::remove_file(&socket);
    let mut command = login(ssh);
    command.args(OPTIONS).args(["-o", "ControlMaster=yes", "-o"]).arg(control_path(&socket));
    command.args(["-o", "ControlPersist=no", "-o", "ServerAliveInterval=5"]);
    command.args(["--", destination, "cat"]);
    // ^C is for us, who have to heal over this very connection.
    command.process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    lifeline::let_go(&mut command);
    let mut holder = command.spawn().ok()?;
    let word = b"ready\n";
    let told = holder.stdin.as_mut()?.write_all(word).is_ok();
    let heard = told && hears(&mut holder, word);
    if heard && socket.exists() {
        return Some(Shared { socket, _holder: holder });
    }
    let _ = holder.kill();
    let _ = holder.wait();
    None
}

/// Whether `word` comes back in time.
fn hears(holder: &mut Child, word: &[u8]) -> bool {
    use std::os::fd::AsFd;
    let Some(stdout) = &mut holder.stdout else { return false };
    let limit = PollTimeout::try_from(LIMIT).unwrap_or(PollTimeout::MAX);
    let ready = poll(&mut [PollFd::new(stdout.as_fd(), PollFlags::POLLIN)], limit);
    let mut heard = vec![0; word.len()];
    ready.is_ok_and(|ready| ready > 0) && stdout.read_exact(&mut heard).is_ok() && heard == word
}

/// A folder that only we may write to: whoever can connect to the socket is at home on the other side.
fn folder() -> Option<PathBuf> {
    if nix::unistd::geteuid().is_root() {
        let folder = PathBuf::from(crate::node::RUN);
        std::fs::create_dir_all(&folder).ok()?;
        return Some(folder);
    }
    std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|folder| folder.is_dir())
}

/// ssh reads `%` in it as the beginning of something else.
fn control_path(socket: &Path) -> String {
    format!("ControlPath={}", socket.display().to_string().replace('%', "%%"))
}
