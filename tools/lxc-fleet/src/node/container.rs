//! One node: its files, its mount, its configuration, its life.

use std::collections::BTreeSet;
use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use breakit::exit::{Error, Result, Status};
use breakit::helper;
use breakit::messages;
use breakit::node::{LXCPATH, Name};
use breakit::parallel;
use breakit::program;

use crate::fleet::fleet_group;
use crate::fleet::state::{self, Member, State};
use crate::image::Image;
use crate::network::walls;
use crate::node::cgroup;
use crate::node::freezer::{Freezer, Ice};
use crate::node::ids::Ids;
use crate::node::limits;
use crate::node::root::Root;
use crate::node::seccomp::{self, Allow};
use crate::node::vsock;
use crate::places;
use crate::process::enter;
use crate::step::{self, Step};
use crate::store::mounts;
use crate::store::remove;
use crate::store::sweep;

/// How long LXC may take for one step.
const LIMIT: Duration = Duration::from_secs(30);

/// How long a container that is just starting or ending has to become one thing or the other.
const SETTLING: Duration = Duration::from_secs(5);

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
    ids: Ids,
    fleet_memory: u64,
    nat: bool,
}

impl Container {
    /// The container of a member of a fleet.
    pub fn new(fleet: &Name, state: &State, member: &Member) -> Container {
        let (subnet, ids) = (state.subnet, state.ids);
        let (fleet_memory, nat) = (state.memory(), state.nat);
        Container { fleet: fleet.clone(), member: member.clone(), subnet, ids, fleet_memory, nat }
    }

    /// The fleet that it belongs to.
    pub fn fleet(&self) -> &Name {
        &self.fleet
    }

    /// The first three bytes of its fleet's addresses.
    pub fn subnet(&self) -> [u8; 3] {
        self.subnet
    }

    /// The user ids that it has.
    pub fn ids(&self) -> Ids {
        self.ids
    }

    /// Whether it may open connections to other networks.
    pub fn is_let_out(&self) -> bool {
        self.nat
    }

    /// The most memory that it can have, in bytes.
    pub fn memory(&self) -> u64 {
        self.member.limits.memory.unwrap_or(self.fleet_memory).min(self.fleet_memory)
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
        places::node(&self.fleet, &self.member.name)
    }

    /// What its root is made of.
    pub fn root(&self, image: &Image) -> Root {
        let root = image.root(&self.files(), self.ids);
        Root { on_disk: self.member.disk.is_some(), ..root }
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

    /// Starts it and looks that it runs; nothing happens where it runs or is paused.
    ///
    /// # Errors
    /// 71 with the last line of LXC's log.
    pub fn start(&self) -> Result<()> {
        if self.condition()? != Condition::Stopped {
            return Ok(());
        }
        seccomp::required()?;
        fleet_group::make(&self.fleet, self.fleet_memory)?;
        self.sweep_groups()?;
        let log = self.log();
        // A log of earlier starts would be taken for that of this one.
        let _ = fs::remove_file(&log);
        let output = program::run(&mut self.launch_command(), None, LIMIT)?;
        // A start that LXC calls a success may have died at once, and one that it calls a failure may have
        // found the node started by another: so the node itself is asked.
        if self.condition()? == Condition::Running
            && let Some(init) = self.init()
        {
            self.is_filtered(init)?;
            messages::detail(format!("node {}: runs", self.member.name));
            return Ok(());
        }
        // The launcher is this program too.
        let (own, words) = (format!("{}: ", messages::tool()), program::last_words(&output));
        let words = words.strip_prefix(&own).unwrap_or(&words);
        let did_not = format!("did not start: {}", self.complaint(words));
        // The launcher ends with a status of ours; LXC has one for all.
        match output.status.code() {
            Some(code) if code == i32::from(Status::Missing.code()) => {
                Err(Error::predicate(Status::Missing, did_not))
            }
            _ => Err(Error::predicate(Status::System, did_not)),
        }
    }

    /// Ends and removes what a killed monitor left of its control groups. It must not run.
    ///
    /// # Errors
    /// 71 if a process there does not end.
    pub fn sweep_groups(&self) -> Result<()> {
        fleet_group::sweep(&self.fleet, &self.member.name, &self.id())
    }

    /// LXC that was built without seccomp(2) ignores the list of system calls, and says nothing.
    fn is_filtered(&self, init: u32) -> Result<()> {
        // A node that has ended meanwhile has no first process to ask.
        if seccomp::filters(init, u32::from(self.is_without_vsock()))
            || self.condition()? != Condition::Running
        {
            return Ok(());
        }
        self.kill()?;
        Err(Error::missing(
            "LXC did not restrict the node's system calls (it was built without seccomp), so that it was ended",
        ))
    }

    /// What mounts its root and starts it, in a process of its own: see [`launch`].
    fn launch_command(&self) -> Command {
        let mut command = helper::ourselves();
        command.args(["launch", &self.id()]);
        self.limit_files(&mut command);
        self.shut_vsock(&mut command);
        command
    }

    fn shut_vsock(&self, command: &mut Command) {
        if self.is_without_vsock() {
            vsock::shut(command);
        }
    }

    fn is_without_vsock(&self) -> bool {
        vsock::is_known() && !self.member.allow.contains(&Allow::Vsock)
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
        breakit::reach::init_of(&self.id()).ok()?
    }

    /// Whether nothing of it runs. One that was never made is not asked for.
    ///
    /// # Errors
    /// As [`Container::condition`].
    pub fn is_stopped(&self) -> Result<bool> {
        Ok(!self.exists() || self.condition()? == Condition::Stopped)
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
        let predicate = match self.condition()? {
            Condition::Running => return Ok(()),
            Condition::Freezing => {
                "is being paused, and one of its processes does not stand still yet; let it go on with lxc-fleet resume"
            }
            Condition::Frozen => "is paused; let it go on with lxc-fleet resume",
            Condition::Stopped => "does not run; start it with lxc-fleet start",
        };
        Err(Error::predicate(Status::System, predicate))
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

    /// The step that ends its processes with TERM, and with KILL what is left after `patience`.
    pub fn stopping(&self, patience: Duration) -> Step<'_> {
        let show = move || match self.condition()? {
            Condition::Stopped => Ok(None),
            _ => self.stop_command(patience).map(|command| Some(program::show(&command))),
        };
        let limit = LIMIT.saturating_add(patience);
        Step::new(show, move || self.until_stopped(&mut self.stop_command(patience)?, limit))
    }

    /// What ends its processes with TERM, and kills a node that is paused: what stands still hears no signal.
    fn stop_command(&self, patience: Duration) -> Result<Command> {
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
        // A guardian that undid this while it still goes on would find nothing to undo.
        let output = program::run_guarded(command, None, limit)?;
        if self.condition()? == Condition::Stopped {
            return Ok(());
        }
        let words = program::last_words(&output);
        Err(Error::predicate(Status::System, format!("did not stop: {words}")))
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
        let init = self.init().ok_or_else(cgroup::gone)?;
        Freezer::of(init)
    }

    /// A command that runs a program inside, with a clean environment.
    ///
    /// # Errors
    /// 69 where LXC is missing.
    pub fn attach(&self) -> Result<Command> {
        self.attach_with(&[])
    }

    /// As [`Container::attach`]; the command stays in the control groups that it is started in, which must be the
    /// node's own or below.
    ///
    /// # Errors
    /// 69 where LXC is missing.
    pub fn attach_in_its_groups(&self) -> Result<Command> {
        self.attach_with(&["--elevated-privileges=CGROUP"])
    }

    fn attach_with(&self, options: &[&str]) -> Result<Command> {
        let mut command = self.lxc("lxc-attach")?;
        enter::alone(&mut command).args(options);
        self.limit_files(&mut command);
        self.shut_vsock(&mut command);
        command.args(["--clear-env", "-v", "HOME=/root", "-v", "LANG=C.UTF-8", "-v"]);
        command.arg("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        if let Ok(term) = std::env::var("TERM") {
            command.args(["-v", &format!("TERM={term}")]);
        }
        command.arg("--");
        Ok(command)
    }

    /// Not by LXC's own setting: where we may not raise the hard limit, that fails the whole start.
    fn limit_files(&self, command: &mut Command) {
        let (soft, hard) = self.member.limits.nofile(limits::most_files());
        enter::limit_files(command, soft, hard);
    }

    fn lxc(&self, program: &str) -> Result<Command> {
        let mut command = program::command(program, "lxc")?;
        command.args(["-P", LXCPATH, "-n", &self.id()]);
        Ok(command)
    }

    /// Removes all that was made for it; it must not run any more.
    ///
    /// # Errors
    /// All that stood in the way.
    pub fn remove(&self) -> Result<()> {
        let mut errors = Vec::new();
        // Earlier versions mounted the root in there.
        for mounted in mounts::mounts_under(&self.files())? {
            errors.extend(mounts::unmount(&mounted).err());
        }
        errors.extend(self.sweep_groups().err());
        errors.extend(sweep::files(&self.files()).err());
        errors.extend(remove::remove_tree(&self.config_dir()).err());
        if errors.is_empty() {
            messages::detail(format!("node {}: is removed", self.member.name));
        }
        Error::all(errors)
    }
}

/// Does `work` for all nodes at once, a thread each; errors name their node. The results are in order.
pub fn at_once<'a, N: AsRef<Container> + Sync, T: Send>(
    nodes: &'a [N],
    work: impl Fn(&'a N) -> Result<T> + Sync,
) -> Vec<Result<T>> {
    let named = |(result, node): (std::thread::Result<Result<T>>, &N)| {
        let died = |_| Err(Error::predicate(Status::System, "has no result: its thread died"));
        let name = &node.as_ref().member.name;
        result.unwrap_or_else(died).map_err(|error| error.of(format_args!("node {name}")))
    };
    parallel::each(nodes, work).into_iter().zip(nodes).map(named).collect()
}

impl AsRef<Container> for Container {
    fn as_ref(&self) -> &Container {
        self
    }
}

/// Takes the steps of `plan` at all nodes at once, or prints them, if it is a `dry_run`.
///
/// # Errors
/// Those of the steps; each names its node.
pub fn each<'a>(
    nodes: &'a [Container],
    dry_run: bool,
    plan: impl Fn(&'a Container) -> Result<Vec<Step<'a>>> + Sync,
) -> Result<Status> {
    if dry_run {
        return step::print(&all(at_once(nodes, |node| step::shown(plan(node)?)))?.concat());
    }
    all(at_once(nodes, |node| step::take(plan(node)?))).map(|_| Status::Done)
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

/// Starts nodes that do not run.
///
/// # Errors
/// As [`raise_walls`] and [`Container::start`].
pub fn start_all(containers: &[Container]) -> Result<()> {
    raise_walls(containers)?;
    all(at_once(containers, Container::start)).map(drop)
}

/// Puts up the walls of the nodes' fleets, before nodes start: somebody may have flushed all tables meanwhile.
///
/// # Errors
/// As [`walls::raise`].
pub fn raise_walls(nodes: &[impl AsRef<Container>]) -> Result<()> {
    let fleets: BTreeSet<&Name> = nodes.iter().map(|node| node.as_ref().fleet()).collect();
    for fleet in fleets {
        // An `up` that adds nodes must not find its walls replaced by those of before.
        let _lock = state::lock(fleet)?;
        if let Some(state) = state::load(fleet)? {
            walls::raise(fleet, &state)?;
        }
    }
    Ok(())
}
