//! One node: its files, its mount, its configuration, its life.

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use breakit::exit::{Error, Result};
use breakit::node::{LXCPATH, Name};
use breakit::program;
use breakit::talk;
use nix::mount::{MsFlags, mount};

use crate::freezer::{Freezer, Ice};
use crate::image::Image;
use crate::network;
use crate::state::{self, Member};
use crate::store;
use crate::view::View;
use crate::views;

/// The first process of every node: it sets the loopback interface up, runs the node's own boot program, reaps,
/// and on the signal of a clean stop ends all others before itself.
const INIT: &str = include_str!("init.sh");

/// Where the init lies in every node.
const INIT_PATH: &str = "/usr/sbin/breakit-init";

/// How long LXC may take for one step.
const LIMIT: Duration = Duration::from_secs(30);

/// How long a container that is just starting or ending has to become one thing or the other.
const SETTLING: Duration = Duration::from_secs(5);

/// What root in a node may do: all that databases, their scripts and iptables need. A list of what is kept, so
/// that a capability which a later kernel invents is not given unseen. Not in it: `sys_admin` (nothing can be
/// mounted or unmounted inside), `mknod`, `sys_boot`, `dac_read_search` (would open files of the host by their
/// handles), `bpf` and `perfmon` (would read the kernel's memory), `syslog` (the host's kernel log).
const KEPT: &str = "audit_write chown dac_override fowner fsetid ipc_lock ipc_owner kill lease net_admin \
     net_bind_service net_broadcast net_raw setfcap setgid setpcap setuid sys_chroot sys_nice sys_ptrace \
     sys_resource sys_tty_config";

/// The devices that a node may use, as cgroups say it.
const DEVICES: [&str; 9] = [
    "c 1:3 rwm",
    "c 1:5 rwm",
    "c 1:7 rwm",
    "c 1:8 rwm",
    "c 1:9 rwm",
    "c 5:0 rwm",
    "c 5:1 rwm",
    "c 5:2 rwm",
    "c 136:* rwm",
];

/// LXC's list of system calls that no container needs, where the package brings it.
const SECCOMP: &str = "/usr/share/lxc/config/common.seccomp";

/// The state of a container, in LXC's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Its first process runs.
    Running,
    /// It was asked to stand still, and does not yet: one of its processes is in an uninterruptible wait.
    Freezing,
    /// Its processes stand still.
    Frozen,
    /// Nothing runs, or it is just starting or ending.
    Stopped,
}

impl Condition {
    /// The word for people.
    pub fn word(self) -> &'static str {
        match self {
            Condition::Running => "running",
            Condition::Freezing => "pausing",
            Condition::Frozen => "paused",
            Condition::Stopped => "stopped",
        }
    }
}

/// A node of a fleet on this host.
#[derive(Clone, Debug)]
pub struct Container {
    fleet: Name,
    /// What the fleet remembers of it.
    pub member: Member,
    subnet: [u8; 3],
}

impl Container {
    /// The container of a member.
    pub fn new(fleet: &Name, subnet: [u8; 3], member: &Member) -> Container {
        Container { fleet: fleet.clone(), member: member.clone(), subnet }
    }

    /// What LXC calls it.
    pub fn id(&self) -> String {
        state::container(&self.fleet, &self.member.name)
    }

    /// Its address.
    pub fn address(&self) -> Ipv4Addr {
        state::address(self.subnet, self.member.number)
    }

    /// The folder of its configuration and logs.
    pub fn config_dir(&self) -> PathBuf {
        PathBuf::from(LXCPATH).join(self.id())
    }

    /// The folder of its overlay.
    pub fn files(&self) -> PathBuf {
        store::node(&self.fleet, &self.member.name)
    }

    /// Where its root is mounted.
    pub fn rootfs(&self) -> PathBuf {
        self.files().join("rootfs")
    }

    /// LXC's own log of this node.
    pub fn log(&self) -> PathBuf {
        self.config_dir().join("log")
    }

    /// What the node's first process and its boot program said.
    pub fn console(&self) -> PathBuf {
        self.config_dir().join("console.log")
    }

    /// What they said before that, where it was much.
    pub fn older_console(&self) -> PathBuf {
        self.config_dir().join("console.log.1")
    }

    /// Makes what is missing of the node's files, mounts its root, and writes its configuration.
    ///
    /// # Errors
    /// 71 where the system refuses.
    pub fn prepare(&self, image: &Image, view: Option<&Path>) -> Result<()> {
        if !store::is_mounted(&self.rootfs())? {
            self.lay(view)?;
            let files = self.files();
            let _view = image
                .shows_host()
                .then(|| View::mount(&files.join(views::LINK), Path::new("/"), &files))
                .transpose()?;
            mount_stack(&image.lowers(&files), &files, &self.rootfs())?;
            talk::detail(format!("node {}: root is mounted", self.member.name));
        }
        let folder = self.config_dir();
        fs::create_dir_all(&folder)
            .map_err(|e| Error::io(format!("make {}", folder.display()), &e))?;
        state::write_whole(&folder.join("config"), &self.config())
    }

    /// The lower layers that are this node's own, and the folders of its overlay.
    fn lay(&self, view: Option<&Path>) -> Result<()> {
        let files = self.files();
        let place = |e: std::io::Error| Error::io(format!("make {}", files.display()), &e);
        store::remove_tree(&files.join("bare"))?;
        for folder in ["upper", "work", "rootfs", "bare/usr/sbin", "bare/etc"] {
            fs::create_dir_all(files.join(folder)).map_err(place)?;
        }
        if let Some(view) = view {
            views::link(&files, view)?;
        }
        let bare = files.join("bare");
        let init = bare.join(INIT_PATH.trim_start_matches('/'));
        fs::write(&init, INIT).map_err(place)?;
        fs::set_permissions(&init, Permissions::from_mode(0o755)).map_err(place)?;
        fs::write(bare.join("etc/hostname"), format!("{}\n", self.member.name)).map_err(place)?;
        fs::write(bare.join("etc/hosts"), "").map_err(place)?;
        // No name server: a look-up of an unknown name fails at once instead of after a timeout.
        fs::write(bare.join("etc/resolv.conf"), "# A fleet has no name server; see /etc/hosts.\n")
            .map_err(place)
    }

    fn config(&self) -> String {
        let mut text = String::from("# Written by lxc-fleet at every up.\n");
        let mut line = |name: &str, value: &str| {
            // Writing into a String does not fail.
            let _ = writeln!(text, "{name} = {value}");
        };
        line("lxc.rootfs.path", &format!("dir:{}", self.rootfs().display()));
        line("lxc.uts.name", &self.member.name);
        line("lxc.init.cmd", INIT_PATH);
        line("lxc.autodev", "1");
        line("lxc.pty.max", "1024");
        line("lxc.tty.max", "0");
        // A node that never stops talking must not fill the host's disk.
        line("lxc.console.size", "1MB");
        line("lxc.console.rotate", "1");
        line("lxc.console.logfile", &self.console().display().to_string());
        line("lxc.net.0.type", "veth");
        line("lxc.net.0.link", &network::bridge(&self.fleet));
        line("lxc.net.0.flags", "up");
        line("lxc.net.0.name", "eth0");
        line("lxc.net.0.veth.pair", &network::port(&self.fleet, self.member.number));
        line("lxc.net.0.hwaddr", &network::mac(self.subnet, self.member.number));
        line("lxc.net.0.ipv4.address", &format!("{}/24", self.address()));
        line("lxc.mount.auto", "proc:mixed sys:mixed cgroup:ro");
        line("lxc.mount.entry", "tmpfs run tmpfs rw,nosuid,nodev,mode=755,create=dir 0 0");
        line("lxc.mount.entry", "tmpfs dev/shm tmpfs rw,nosuid,nodev,create=dir 0 0");
        let hosts = hosts_file(&self.fleet);
        line(
            "lxc.mount.entry",
            &format!("{} etc/hosts none bind,ro,create=file 0 0", hosts.display()),
        );
        line("lxc.cap.keep", KEPT);
        for version in ["cgroup", "cgroup2"] {
            line(&format!("lxc.{version}.devices.deny"), "a");
            DEVICES.iter().for_each(|d| line(&format!("lxc.{version}.devices.allow"), d));
        }
        if Path::new(SECCOMP).exists() {
            line("lxc.seccomp.profile", SECCOMP);
        }
        text
    }

    /// Starts it and looks that it runs; nothing happens where it runs or is paused.
    ///
    /// # Errors
    /// 71 with the last line of LXC's log.
    pub fn start(&self) -> Result<()> {
        if self.condition()? != Condition::Stopped {
            return Ok(());
        }
        if !store::is_mounted(&self.rootfs())? {
            return Err(Error::system(
                "its root is not mounted; run lxc-fleet up, which repairs it",
            ));
        }
        let log = self.log();
        // A log of earlier starts would be taken for that of this one.
        let _ = fs::remove_file(&log);
        let output = program::run(&mut self.start_command()?, None, LIMIT)?;
        // A start that LXC calls a success may have died at once, and one that it calls a failure may have
        // found the node started by another: so the node itself is asked.
        if self.condition()? == Condition::Running && self.init().is_some() {
            talk::detail(format!("node {}: runs", self.member.name));
            return Ok(());
        }
        Err(Error::system(format!(
            "did not start: {}",
            self.complaint(&program::last_words(&output))
        )))
    }

    /// What starts it.
    ///
    /// # Errors
    /// 69 where LXC is missing.
    pub fn start_command(&self) -> Result<Command> {
        let mut command = self.lxc("lxc-start")?;
        command.arg("-d").arg("-o").arg(self.log()).args(["-l", "ERROR"]);
        Ok(command)
    }

    /// Joins its interface to the fleet's bridge again, where that was removed under it and made anew.
    ///
    /// # Errors
    /// 71 where the system refuses.
    pub fn join(&self) -> Result<()> {
        network::join(&self.fleet, self.member.number)
    }

    /// The first error in LXC's log (the later ones follow from it), else the console's last line, else
    /// `otherwise`.
    fn complaint(&self, otherwise: &str) -> String {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let error = log.lines().find(|line| line.contains(" ERROR ")).map(|line| {
            // What stands before is the time and the place in LXC's source.
            line.splitn(3, " - ").last().unwrap_or(line)
        });
        let console = fs::read(self.console()).unwrap_or_default();
        let console = String::from_utf8_lossy(&console).into_owned();
        error
            .or_else(|| console.lines().rev().find(|line| !line.trim().is_empty()))
            .map_or_else(|| otherwise.to_string(), |line| line.trim().to_string())
    }

    /// The process id of its first process, where it has one.
    pub fn init(&self) -> Option<u32> {
        breakit::reach::init_of(&self.id()).ok()
    }

    /// Whether it runs.
    ///
    /// # Errors
    /// 69 where LXC is missing, 75 where it does not answer.
    pub fn condition(&self) -> Result<Condition> {
        let nap = || std::thread::sleep(Duration::from_millis(10));
        let patience = Instant::now() + SETTLING;
        loop {
            let mut command = self.lxc("lxc-info")?;
            command.args(["-s", "-H"]);
            let output = program::run(&mut command, None, LIMIT)?;
            match String::from_utf8_lossy(&output.stdout).trim() {
                // LXC does not see who else freezes; the kernel is asked.
                "RUNNING" | "FREEZING" | "FROZEN" | "THAWED" => {
                    match self.freezer().and_then(|freezer| freezer.ice()) {
                        Ok(Ice::Frozen) => return Ok(Condition::Frozen),
                        Ok(Ice::Freezing) => return Ok(Condition::Freezing),
                        Ok(Ice::Thawed) => return Ok(Condition::Running),
                        // It is ending under our eyes: LXC will say so in a moment.
                        Err(_) if Instant::now() < patience => nap(),
                        Err(error) => return Err(error),
                    }
                }
                "STARTING" | "STOPPING" | "ABORTING" if Instant::now() < patience => nap(),
                _ => return Ok(Condition::Stopped),
            }
        }
    }

    /// Whether LXC knows it (it is made, and not taken down).
    pub fn exists(&self) -> bool {
        self.config_dir().join("config").exists()
    }

    /// Requires it to run, so that nobody waits for ever at a node that stands still.
    ///
    /// # Errors
    /// 71 with what to do.
    pub fn must_run(&self) -> Result<()> {
        match self.condition()? {
            Condition::Running => Ok(()),
            Condition::Freezing => Err(Error::system(
                "is being paused, and one of its processes does not stand still yet; let it go on with lxc-fleet resume",
            )),
            Condition::Frozen => {
                Err(Error::system("is paused; let it go on with lxc-fleet resume"))
            }
            Condition::Stopped => Err(Error::system("does not run; start it with lxc-fleet start")),
        }
    }

    /// Kills all its processes at once.
    ///
    /// # Errors
    /// 71 where it still runs afterwards.
    pub fn kill(&self) -> Result<()> {
        self.until_stopped(&mut self.kill_command()?, LIMIT)
    }

    /// What kills all its processes.
    ///
    /// # Errors
    /// 69 where LXC is missing.
    pub fn kill_command(&self) -> Result<Command> {
        let mut command = self.lxc("lxc-stop")?;
        command.arg("-k");
        Ok(command)
    }

    /// Ends its processes with TERM, and with KILL what is left after `patience`.
    ///
    /// # Errors
    /// 71 where it still runs afterwards.
    pub fn stop(&self, patience: Duration) -> Result<()> {
        self.until_stopped(&mut self.stop_command(patience)?, LIMIT.saturating_add(patience))
    }

    /// What ends its processes with TERM, and kills a node that is paused: what stands still hears no signal.
    ///
    /// # Errors
    /// 69 where LXC is missing, 75 where it does not answer.
    pub fn stop_command(&self, patience: Duration) -> Result<Command> {
        if matches!(self.condition()?, Condition::Frozen | Condition::Freezing) {
            return self.kill_command();
        }
        let mut command = self.lxc("lxc-stop")?;
        command.args(["-t", &patience.as_secs().max(1).to_string()]);
        Ok(command)
    }

    fn until_stopped(&self, command: &mut Command, limit: Duration) -> Result<()> {
        if self.condition()? == Condition::Stopped {
            return Ok(());
        }
        let output = program::run(command, None, limit)?;
        if self.condition()? == Condition::Stopped {
            return Ok(());
        }
        Err(Error::system(format!("did not stop: {}", program::last_words(&output))))
    }

    /// Lets its processes stand still; where they do not, it takes that back.
    ///
    /// # Errors
    /// 71 where it does not run, 75 where they do not stand still in time.
    pub fn pause(&self) -> Result<()> {
        match self.condition()? {
            Condition::Frozen => Ok(()),
            Condition::Stopped => self.must_run(),
            Condition::Running | Condition::Freezing => self.freezer()?.freeze(),
        }
    }

    /// Lets its processes go on, whether they stand still already or are only about to.
    ///
    /// # Errors
    /// 75 where they do not go on in time.
    pub fn resume(&self) -> Result<()> {
        // Not asked whether it is paused: an order to freeze that the kernel carries out later counts as well.
        match self.freezer().and_then(|freezer| freezer.thaw()) {
            // What does not run, or ended meanwhile, has nothing to thaw.
            Err(_) if self.condition()? == Condition::Stopped => Ok(()),
            other => other,
        }
    }

    /// The freezer of its processes.
    ///
    /// # Errors
    /// 71 where it does not run, 69 where this host has none.
    pub fn freezer(&self) -> Result<Freezer> {
        let init = self.init().ok_or_else(|| Error::system("did end just now"))?;
        Freezer::of(init)
    }

    /// A command that runs a program inside, with a clean environment.
    ///
    /// # Errors
    /// 69 where LXC is missing.
    pub fn attach(&self) -> Result<Command> {
        let mut command = self.lxc("lxc-attach")?;
        command.args(["--clear-env", "-v", "HOME=/root", "-v", "LANG=C.UTF-8", "-v"]);
        command.arg("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        if let Ok(term) = std::env::var("TERM") {
            command.args(["-v", &format!("TERM={term}")]);
        }
        command.arg("--");
        Ok(command)
    }

    fn lxc(&self, program: &str) -> Result<Command> {
        let mut command = Command::new(program::find(program, "lxc")?);
        command.args(["-P", LXCPATH, "-n", &self.id()]);
        Ok(command)
    }

    /// Removes all that was made for it; it must not run any more.
    ///
    /// # Errors
    /// All that stood in the way.
    pub fn remove(&self) -> Result<()> {
        let mut errors = Vec::new();
        errors.extend(store::unmount(&self.rootfs()).err());
        if store::is_mounted(&self.rootfs()).unwrap_or(true) {
            errors.push(Error::system(format!("{} is still mounted", self.rootfs().display())));
        } else {
            errors.extend(store::remove_tree(&self.files()).err());
        }
        errors.extend(store::remove_tree(&self.config_dir()).err());
        if errors.is_empty() {
            talk::detail(format!("node {}: is removed", self.member.name));
        }
        Error::all(errors)
    }
}

/// Does `work` for all containers at once, a thread each; errors name their node. The results are in order.
pub fn at_once<T: Send>(
    containers: &[Container],
    work: impl Fn(&Container) -> Result<T> + Sync,
) -> Vec<Result<T>> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = containers.iter().map(|c| scope.spawn(|| work(c))).collect();
        let join =
            |(thread, container): (std::thread::ScopedJoinHandle<'_, Result<T>>, &Container)| {
                let name = &container.member.name;
                match thread.join() {
                    Ok(result) => result.map_err(|error| match error {
                        // "node n1 is paused", but "node n1: cannot open ..."
                        Error::Sentence { status, message } if is_predicate(&message) => {
                            Error::Sentence { status, message: format!("node {name} {message}") }
                        }
                        other => other.at(format!("node {name}")),
                    }),
                    Err(_) => {
                        Err(Error::system(format!("node {name}: the thread at work there died")))
                    }
                }
            };
        threads.into_iter().zip(containers).map(join).collect()
    })
}

fn is_predicate(message: &str) -> bool {
    ["is ", "does ", "did "].iter().any(|verb| message.starts_with(verb))
}

/// All errors among `results` as one.
///
/// # Errors
/// Those.
pub fn all<T>(results: Vec<Result<T>>) -> Result<Vec<T>> {
    let (mut done, mut errors) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(value) => done.push(value),
            Err(error) => errors.push(error),
        }
    }
    Error::all(errors).map(|()| done)
}

/// Mounts an overlay of `lowers` (the uppermost first) with the upper and work folders of `files`.
///
/// # Errors
/// 71 with what the kernel says, 69 where it has no overlayfs.
pub fn mount_stack(lowers: &[PathBuf], files: &Path, target: &Path) -> Result<()> {
    let options = overlay_options(lowers, files);
    mount(Some("overlay"), target, Some("overlay"), MsFlags::MS_NODEV, Some(options.as_str()))
        .map_err(|errno| overlay_refused(&format!("the root {}", target.display()), errno))
}

/// The error of an overlay that the kernel did not mount.
pub fn overlay_refused(what: &str, errno: nix::errno::Errno) -> Error {
    match errno {
        nix::errno::Errno::ENODEV => {
            Error::missing("this kernel has no overlay filesystem; load the module overlay")
        }
        nix::errno::Errno::EINVAL if root_is_overlay().unwrap_or(false) => Error::missing(
            "the root of this host is an overlay itself and cannot be the bottom of another; use lxc-fleet up --image busybox, or run on the host instead of in a container",
        ),
        other => Error::io(format!("mount {what}"), &other.into()),
    }
}

/// The options of such a mount, for mount(2) and mount(8) alike.
pub fn overlay_options(lowers: &[PathBuf], files: &Path) -> String {
    let lowers: Vec<String> = lowers.iter().map(|path| path.display().to_string()).collect();
    format!(
        "lowerdir={},upperdir={},workdir={},redirect_dir=nofollow,metacopy=off",
        lowers.join(":"),
        files.join("upper").display(),
        files.join("work").display()
    )
}

/// Whether the host's root is an overlay itself.
///
/// # Errors
/// 71 if the kernel does not say.
pub fn root_is_overlay() -> Result<bool> {
    let text = fs::read_to_string("/proc/self/mountinfo")
        .map_err(|e| Error::io("read /proc/self/mountinfo", &e))?;
    // What was mounted last lies above.
    let root = text.lines().rev().find(|line| line.split(' ').nth(4) == Some("/"));
    Ok(root.is_some_and(|line| line.contains(" - overlay ")))
}

/// The file that is /etc/hosts in all nodes of a fleet: one file, bound into each, so that all always agree.
pub fn hosts_file(fleet: &Name) -> PathBuf {
    PathBuf::from(LXCPATH).join(format!("{fleet}.hosts"))
}
