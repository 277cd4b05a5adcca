//! Acting in a node's network: a program run there, a socket opened there, its addresses.
//!
//! On this host that is setns(2) into the namespace; elsewhere the system's OpenSSH, with each word quoted.

use std::ffi::OsString;
use std::fs::File;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use nix::libc;
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use crate::exit::{Error, Result};
use crate::node::{Host, LXCPATH, Node, Via};
use crate::{program, ssh};

/// The network of a node, held open: it stays that network even where the node is restarted with a new one.
#[derive(Debug)]
pub enum Network {
    /// The namespace that we are in.
    Here,
    /// Another namespace on this host.
    Namespace(OwnedFd),
    /// Another host.
    Ssh(Host),
}

/// What tells a network from every other, also from one that is made when it is gone. The numbers of files in /proc do
/// not: the kernel gives them anew.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Identity {
    /// The kernel's own number for it (Linux 5.14).
    Cookie(u64),
    /// Device and number of its file, where the kernel has no better.
    File(u64, u64),
    /// Another host, by how it is reached.
    Host(String),
}

impl Network {
    /// What tells it from others; `None` where the system does not say.
    pub fn identity(&self) -> Option<Identity> {
        if let Network::Ssh(host) = self {
            return Some(Identity::Host(host.to_string()));
        }
        self.inside(|| Ok(cookie().map_or_else(file, |cookie| Some(Identity::Cookie(cookie)))))
            .ok()?
    }

    /// The network of `node`, as it is now.
    ///
    /// # Errors
    /// 66 where the node does not run, 64 where only its address is known, 77 and 71 from the system.
    pub fn of(node: &Node) -> Result<Network> {
        match &node.via {
            Via::Local => Ok(Network::Here),
            Via::Ssh(host) => Ok(Network::Ssh(host.clone())),
            Via::Netns(name) => open(&PathBuf::from("/run/netns").join(name), &node.via),
            Via::Pid(pid) => open(&of_process(*pid), &node.via),
            Via::Lxc(container) => match init_of(container)? {
                Some(pid) => open(&of_process(pid), &node.via),
                None => Err(Error::no_input(format!(
                    "the container {container} does not run; start it (lxc-fleet start {})",
                    node.name
                ))),
            },
            Via::Address(address) => Err(Error::usage(format!(
                "only the address {address} of node {} is known, nobody can act there; say how to reach it: {}=ssh:DEST",
                node.name, node.name
            ))),
        }
    }

    /// A command that runs `program` with `args` in this network; on this host with a clean environment.
    ///
    /// # Errors
    /// 71 where the namespace cannot be handed on; 69 where ssh or the program is missing.
    pub fn command<S: Into<OsString>>(
        &self,
        program: &Path,
        args: impl IntoIterator<Item = S>,
    ) -> Result<Command> {
        let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
        match self {
            Network::Here => {
                let mut command = program::clean(here(program)?);
                command.args(args);
                Ok(command)
            }
            Network::Namespace(namespace) => {
                let namespace =
                    namespace.try_clone().map_err(|e| Error::io("keep a namespace open", &e))?;
                let mut command = program::clean(here(program)?);
                command.args(args);
                let enter = move || Ok(setns(namespace.as_fd(), CloneFlags::CLONE_NEWNET)?);
                // SAFETY: between fork and exec the closure makes one system call on a descriptor that it
                // owns, and allocates nothing.
                unsafe { command.pre_exec(enter) };
                Ok(command)
            }
            Network::Ssh(host) => ssh::command(host, program, &args),
        }
    }

    /// Runs `program` in this network to its end, `limit` at the most.
    ///
    /// # Errors
    /// As [`Network::command`], [`program::run`] and [`Network::reached`].
    pub fn run<S: Into<OsString>>(
        &self,
        program: &Path,
        args: impl IntoIterator<Item = S>,
        input: Option<&[u8]>,
        limit: Duration,
    ) -> Result<Output> {
        self.run_by(program, args, |command| program::run(command, input, limit))
    }

    /// As [`Network::run`]; the guards of this process wait for the program's end, too.
    ///
    /// # Errors
    /// As [`Network::run`].
    pub fn run_guarded<S: Into<OsString>>(
        &self,
        program: &Path,
        args: impl IntoIterator<Item = S>,
        input: Option<&[u8]>,
        limit: Duration,
    ) -> Result<Output> {
        self.run_by(program, args, |command| program::run_guarded(command, input, limit))
    }

    /// A program is in the network of the thread that starts it: so nothing has to be done between fork and exec, and
    /// the standard library needs no fork(2), which takes the longer the more threads and memory we have.
    fn run_by<S: Into<OsString>>(
        &self,
        program: &Path,
        args: impl IntoIterator<Item = S>,
        run: impl FnOnce(&mut Command) -> Result<Output> + Send,
    ) -> Result<Output> {
        if let Network::Ssh(_) = self {
            return self.reached(run(&mut self.command(program, args)?)?);
        }
        let mut command = program::clean(here(program)?);
        command.args(args.into_iter().map(Into::into));
        self.inside(|| run(&mut command))
    }

    /// What a program that was run in this network left, where it was run at all: on another host ssh or sudo
    /// may have stood in the way, and what they say is not the program's.
    ///
    /// # Errors
    /// 71 where ssh does not get there, 69 where sudo or the program is missing there, 77 where sudo refuses.
    pub fn reached(&self, output: Output) -> Result<Output> {
        match self {
            Network::Here | Network::Namespace(_) => Ok(output),
            Network::Ssh(host) => ssh::reached(host, output),
        }
    }

    /// Does `work` in a thread that is inside this network, so that the sockets it opens belong there.
    ///
    /// # Errors
    /// 71 where the namespace cannot be entered, 64 for another host, and what `work` says.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let namespace = match self {
            Network::Here => return work(),
            Network::Namespace(namespace) => namespace.as_fd(),
            Network::Ssh(host) => {
                return Err(Error::usage(format!(
                    "{host} is another host: no socket of ours can be opened there"
                )));
            }
        };
        // A network namespace belongs to a thread: this one alone goes there, and ends there.
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                setns(namespace, CloneFlags::CLONE_NEWNET)
                    .map_err(|e| Error::io("enter a node's network", &e.into()))?;
                work()
            });
            thread
                .join()
                .unwrap_or_else(|_| Err(Error::system("the thread in a node's network died")))
        })
    }
}

/// The kernel's number for the network of this thread.
fn cookie() -> Option<u64> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Unix, SockType::Datagram, flags, None).ok()?;
    let (mut cookie, mut size) = (0_u64, size_of::<u64>() as libc::socklen_t);
    // SAFETY: the kernel writes `size` bytes at the most to `cookie`, which has so many, and both outlive the call.
    let got = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut size,
        )
    };
    (got == 0).then_some(cookie)
}

fn file() -> Option<Identity> {
    let metadata = std::fs::metadata("/proc/thread-self/ns/net").ok()?;
    Some(Identity::File(metadata.dev(), metadata.ino()))
}

/// Where a program of this host is that is known by its name alone.
fn here(program: &Path) -> Result<PathBuf> {
    match program.to_str() {
        Some(name) if !name.contains('/') => program::find(name, name),
        _ => Ok(program.to_path_buf()),
    }
}

/// The addresses of a node: those that were said, else those that its network has (not loopback, not link-local).
///
/// # Errors
/// As [`Network::of`]; 66 where it has none.
pub fn addresses(node: &Node) -> Result<Vec<IpAddr>> {
    if !node.addrs.is_empty() {
        return Ok(node.addrs.clone());
    }
    let found = match Network::of(node)? {
        Network::Ssh(host) => addresses_over_ssh(&host)?,
        network => network.inside(addresses_here)?,
    };
    if found.is_empty() {
        return Err(Error::no_input(format!(
            "node {} ({}) has no address of its own",
            node.name, node.via
        )));
    }
    Ok(found)
}

fn addresses_here() -> Result<Vec<IpAddr>> {
    let interfaces =
        nix::ifaddrs::getifaddrs().map_err(|e| Error::io("list addresses", &e.into()))?;
    let mut found: Vec<IpAddr> = interfaces
        .filter_map(|interface| {
            let address = interface.address?;
            let v4 = address.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip())))
        })
        .filter(|address| is_own(*address))
        .collect();
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

fn addresses_over_ssh(host: &Host) -> Result<Vec<IpAddr>> {
    let mut command = ssh::command(&host.as_login(), Path::new("hostname"), &["-I".into()])?;
    let said = program::succeed(&mut command, None, Duration::from_secs(15))?;
    Ok(said
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .filter(|a| is_own(*a))
        .collect())
}

fn is_own(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local(),
        IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unicast_link_local(),
    }
}

fn of_process(pid: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/ns/net"))
}

fn open(path: &Path, via: &Via) -> Result<Network> {
    match File::open(path) {
        Ok(file) => Ok(Network::Namespace(file.into())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            Err(Error::no_input(format!("{via} is not running: {} is not there", path.display())))
        }
        Err(e) => Err(Error::io(format!("open the network of {via}"), &e)),
    }
}

/// The first process of a container of ours; `None` where it does not run.
///
/// # Errors
/// 69 where LXC is missing.
pub fn init_of(container: &str) -> Result<Option<u32>> {
    let mut command = program::command("lxc-info", "lxc")?;
    command.args(["-P", LXCPATH, "-n", container, "-p", "-H"]);
    let output = program::run(&mut command, None, Duration::from_secs(10))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().parse().ok())
}
