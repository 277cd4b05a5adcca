//! Installing packages into a layer with the host's package manager, with nothing started.
//!
//! In two steps. The packages are downloaded in a chroot, with the host's network, and no script of theirs runs.
//! Then they are installed by a machine that is as a node is, and has no network: their scripts are not trusted
//! either.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use breakit::escape;
use breakit::exit::{Error, Result, Status};
use breakit::helper;
use breakit::messages;
use breakit::node::LXCPATH;
use breakit::program;
use breakit::signal::{Wake, Watch};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;

use crate::files;
use crate::host::lay::Layer;
use crate::image::afresh;
use crate::node::config;
use crate::node::ids::Ids;
use crate::node::launch;
use crate::node::limits::{self, Limits};
use crate::node::root::{self, Root};
use crate::node::seccomp;
use crate::node::vsock;
use crate::process::enter;
use crate::process::wait::{End, wait};

/// A package manager of the host.
pub enum Manager {
    /// Debian and its kin.
    Apt,
}

impl Manager {
    /// The host's package manager.
    ///
    /// # Errors
    /// 69 where it has none that we know.
    pub fn of_host() -> Result<Manager> {
        if program::find("apt-get", "apt").is_ok() {
            return Ok(Manager::Apt);
        }
        let other = ["dnf", "yum", "zypper", "pacman", "apk"]
            .into_iter()
            .find(|name| program::find(name, name).is_ok());
        Err(Error::missing(format!(
            "images are built with apt-get, and this host has {}; install the packages on the host and use lxc-fleet up --image host",
            other.unwrap_or("no package manager that we know")
        )))
    }

    /// A shell script that takes a step, with the packages as its arguments.
    fn script(&self, afresh: &[String], stage: Stage) -> String {
        let option = stage.option();
        match self {
            Manager::Apt if afresh.is_empty() || stage == Stage::Download => {
                APT.replace("MEND", "true")
            }
            Manager::Apt => APT.replace("MEND", &format!("{APT_MEND} {APT_OPTIONS} {option}")),
        }
        .replace(
            "INSTALL",
            &match stage {
                Stage::DownloadNeeded => "true".to_string(),
                _ => install_command(stage),
            },
        )
        .replace(
            "DONE",
            if stage == Stage::Install { "echo > /$INSTALLED && exit 0" } else { "exit 0" },
        )
        .replace("$INSTALLED", INSTALLED)
        .replace("REFRESH", if stage == Stage::Install { "exit 1" } else { APT_REFRESH })
    }

    /// What is run first, with the packages behind it.
    pub fn command(&self, scripts: Scripts) -> String {
        match (self, scripts) {
            (Manager::Apt, Scripts::AsNode) => install_command(Stage::Download),
            (Manager::Apt, Scripts::AsHost) => install_command(Stage::Both),
        }
    }
}

/// Whose rights the packages' scripts have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scripts {
    /// Those of root in a node.
    AsNode,
    /// Those of root of this host (`--build-allow`).
    AsHost,
}

/// What a script does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Downloads the packages and what they need.
    Download,
    /// Downloads what is needed for what was forgotten.
    DownloadNeeded,
    /// Installs what was downloaded.
    Install,
    /// Downloads and installs.
    Both,
}

impl Stage {
    fn option(self) -> &'static str {
        match self {
            Stage::Download | Stage::DownloadNeeded => "--download-only",
            Stage::Install => "--no-download",
            Stage::Both => "",
        }
    }
}

/// Where the host has a package already, the mask hides some of its files: so it is installed once more.
const APT_INSTALL: &str = "apt-get install -y --no-install-recommends --reinstall";

/// A package that was forgotten may be needed by others of the host's: these come first, as apt-get asks for.
const APT_MEND: &str = "apt-get install -y --no-install-recommends --fix-broken";

/// The packages are kept in a folder of ours: a host may be told to remove those in apt's own after each use, as
/// images of Docker's are.
const APT_OPTIONS: &str = "-q -o Dir::Cache::archives=breakit/ -o APT::Keep-Downloaded-Packages=1 -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confmiss -o Dpkg::Options::=--force-confdef \
     -o Dpkg::Options::=--force-confold -o Acquire::Retries=2";

const INIT_HEAD: &str = r#"#!/bin/sh
# The only process that starts by itself in a machine that installs packages.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
export PATH HOME LANG
exec </dev/null
ip link set lo up
"#;

const APT: &str = r#"
export DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFMISS=1
install() {
    MEND && INSTALL "$@"
}
install "$@" && DONE
REFRESH
code=$?
[ "$code" -eq 0 ] && exit
# By its status apt-get does not say whether there is such a package.
for package in "$@"; do
    apt-cache show -- "${package%%[=/]*}" >/dev/null 2>&1 || exit 66
done
exit "$code"
"#;

const APT_REFRESH: &str = r#"echo "refreshing the lists of packages" >&2
apt-get update -o Acquire::Retries=2 && install "$@""#;

/// Completes the root to build in, all in a mount namespace that ends with the builder.
const BUILD: &str = r#"
set -e
root=$1 script=$2
shift 2
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
# The host's name servers, wherever its resolv.conf points.
if [ -L /etc/resolv.conf ] && [ -e /etc/resolv.conf ]; then
    target=$(readlink -f /etc/resolv.conf)
    case $target in /run/*) mkdir -p "$root${target%/*}"; cp "$target" "$root$target" ;; esac
fi
exec chroot "$root" /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    HOME=/root LANG=C.UTF-8 ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} \
    /bin/sh -c "$script" sh "$@"
"#;

/// The program that keeps the packages' scripts from starting daemons.
const POLICY: &str = "bare/usr/sbin/policy-rc.d";

fn install_command(stage: Stage) -> String {
    format!("{APT_INSTALL} {APT_OPTIONS} {} --", stage.option())
}

/// What the machine makes in its root at the end: `lxc-start` does not say how its first process ended.
const INSTALLED: &str = ".breakit-installed";

/// The machine's first process.
const INIT: &str = "/usr/sbin/breakit-build";

/// The root that a build works in.
pub fn build_root(site: &Path, ids: Ids) -> Root {
    let files = site.to_path_buf();
    Root {
        layers: vec![root::Layer { path: site.join("bare"), ids }],
        on_host: true,
        files,
        ids,
        on_disk: false,
    }
}

/// What LXC calls the machine that installs in `site`. No node is called so: their names begin with `breakit-`.
pub fn machine(site: &Path) -> String {
    let name = site.file_name().unwrap_or_default().to_string_lossy();
    format!("breakit{name}")
}

/// Packages that are to be installed.
pub struct Work<'a> {
    /// The folder that has the layer and what it lies on.
    pub site: &'a Path,
    /// What installs them.
    pub manager: &'a Manager,
    /// Their names.
    pub packages: &'a [String],
    /// Those that the layer was made to forget.
    pub afresh: &'a [String],
    /// The ids that the layer's files get on disk.
    pub ids: Ids,
}

impl Work<'_> {
    /// Installs them.
    ///
    /// # Errors
    /// 66 for a package that is not there, 71 where the package manager fails, [`Error::Signal`].
    pub fn install(&self, scripts: Scripts, watch: &Watch) -> Result<()> {
        let place = |e: std::io::Error| Error::io(format!("build in {}", self.site.display()), &e);
        let policy = self.site.join(POLICY);
        fs::create_dir_all(policy.parent().unwrap_or(self.site)).map_err(place)?;
        fs::write(&policy, "#!/bin/sh\nexit 101\n").map_err(place)?;
        fs::set_permissions(&policy, fs::Permissions::from_mode(0o755)).map_err(place)?;
        self.ids.own(&self.site.join("bare"))?;
        let progress = Progress::start(format!("installing {}", self.packages.join(", ")));
        let done = match scripts {
            Scripts::AsHost => self.forget().and_then(|()| self.as_host(Stage::Both, watch)),
            // Nothing is forgotten yet when the packages are downloaded: what is not whole has no answer to what
            // else it needs.
            Scripts::AsNode => self
                .as_host(Stage::Download, watch)
                .and_then(|()| self.forget())
                .and_then(|()| match self.afresh {
                    [] => Ok(()),
                    _ => self.as_host(Stage::DownloadNeeded, watch),
                })
                .and_then(|()| self.as_node(watch)),
        };
        progress.end();
        done
    }

    fn forget(&self) -> Result<()> {
        afresh::forget(self.afresh, &Layer::new(&self.site.join("upper"), self.ids.base())?)
    }

    /// Takes a step as the host's root, in a chroot and with the host's network.
    fn as_host(&self, stage: Stage, watch: &Watch) -> Result<()> {
        let work = || {
            // What this thread mounts is gone with it and its children. It must outlive them: they die with it.
            let place = |e: nix::errno::Errno| Error::io("make a mount namespace", &e.into());
            unshare(CloneFlags::CLONE_NEWNS).map_err(place)?;
            let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
            mount(None::<&str>, "/", None::<&str>, flags, None::<&str>).map_err(place)?;
            self.in_own_mounts(stage, watch)
        };
        std::thread::scope(|scope| scope.spawn(work).join())
            .unwrap_or_else(|_| Err(Error::system("the thread of the build died")))?;
        // What the step wrote is the nodes' now.
        self.ids.own(&self.site.join("upper"))
    }

    fn in_own_mounts(&self, stage: Stage, watch: &Watch) -> Result<()> {
        let place = |e: std::io::Error| Error::io(format!("build in {}", self.site.display()), &e);
        let root = self.site.join("root");
        build_root(self.site, self.ids).mount(&root)?;
        let log = self.site.join("log");
        let out = File::create(&log).map_err(place)?;
        let mut command = program::command("unshare", "util-linux")?;
        helper::hand_on(&mut command, &helper::PROXIES);
        // The whole build is one pid namespace under unshare: when that is killed, everything is.
        command.args(["--mount", "--pid", "--fork", "--kill-child", "/bin/sh", "-c", BUILD, "sh"]);
        command.arg(&root).arg(self.manager.script(self.afresh, stage));
        command.args(self.packages).args(self.afresh);
        command.stdin(Stdio::null()).stderr(out.try_clone().map_err(place)?).stdout(out);
        self.waited(command, &log, watch)
    }

    /// Installs what was downloaded, as a node.
    fn as_node(&self, watch: &Watch) -> Result<()> {
        let id = machine(self.site);
        let folder = Path::new(LXCPATH).join(&id);
        let init = self.site.join("bare").join(INIT.trim_start_matches('/'));
        let place = |e: std::io::Error| Error::io(format!("write {}", init.display()), &e);
        fs::write(&init, self.first_process()).map_err(place)?;
        fs::set_permissions(&init, fs::Permissions::from_mode(0o755)).map_err(place)?;
        self.ids.own_alone(&init)?;
        let console = folder.join("console.log");
        launch::describe(&id, &build_root(self.site, self.ids))?;
        seccomp::required()?;
        let profile = seccomp::file(&folder);
        files::write_whole(&profile, &seccomp::profile(&[]))?;
        let config = config::build(INIT, self.ids, &console, &profile)?;
        files::write_whole(&folder.join("config"), &config)?;
        let mut command = helper::ourselves();
        let (soft, hard) = Limits::default().nofile(limits::most_files());
        enter::limit_files(&mut command, soft, hard);
        vsock::shut(&mut command);
        command.args(["launch", "--foreground", &id]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let ended = self.waited(command, &console, watch);
        match fs::remove_file(self.site.join("upper").join(INSTALLED)) {
            Ok(()) => ended,
            Err(_) => ended.and_then(|()| Err(complaint(&console, self.packages, None))),
        }
    }

    fn first_process(&self) -> String {
        let words: Vec<String> =
            self.packages.iter().chain(self.afresh).map(program::quote).collect();
        let script = self.manager.script(self.afresh, Stage::Install);
        format!("{INIT_HEAD}set -- {}\n{script}", words.join(" "))
    }

    /// Waits for a step that writes to `log`; it does not outlive us.
    fn waited(&self, mut command: Command, log: &Path, watch: &Watch) -> Result<()> {
        // SAFETY: between fork and exec the closure makes one system call with constants, and allocates nothing.
        unsafe { command.pre_exec(|| Ok(set_pdeathsig(Signal::SIGKILL)?)) };
        let name = program::show(&command);
        let child = command.spawn().map_err(|e| Error::io(format!("run {name}"), &e))?;
        let end = wait(&mut [child], None, watch)?;
        match end.first() {
            Some(End::Itself(status)) if status.success() => Ok(()),
            Some(End::Outside(Wake::Signal(number), _)) => Err(Error::Signal(*number)),
            Some(End::Outside(Wake::ReaderGone, _)) => Err(Error::ReaderGone),
            Some(End::Itself(status)) => Err(complaint(log, self.packages, Some(*status))),
            // It has no limit, and nothing else that wakes the watch was asked for.
            _ => Err(Error::system("the build was given up")),
        }
    }
}

/// What the package manager complained of.
fn complaint(log: &Path, packages: &[String], ended: Option<ExitStatus>) -> Error {
    let text = match fs::read(log) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(e) => return Error::io(format!("read {}", log.display()), &e),
    };
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.iter().for_each(messages::detail);
    let errors: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("E: ")).collect();
    let ended_with = ended.map(|status| format!(" and ended with {status}")).unwrap_or_default();
    let silent = format!("it said nothing{ended_with}");
    let words = errors.first().or(lines.last()).copied().unwrap_or(&silent);
    let (count, list) = (packages.len(), packages.join(", "));
    // The script's own, for a package that is not there.
    let is_unknown = ended.is_some_and(|s| s.code() == Some(i32::from(Status::NoInput.code())));
    let status = if is_unknown { Error::no_input } else { Error::system };
    if let Some(package) = lines.iter().find_map(|line| failed_script(line)) {
        return status(format!(
            "cannot install {list}: a script of the package {package} failed; see all that it said with --verbose, and if it needs more than a node may do, let it run as root of this host with --build-allow"
        ));
    }
    let noun = if count == 1 { "the package" } else { "the packages" };
    status(format!("cannot install {noun} {list}: {words}; see it all with --verbose"))
}

/// The package of which dpkg says here that its script failed.
fn failed_script(line: &str) -> Option<&str> {
    let rest = line.trim().strip_prefix("dpkg: error processing ")?;
    let rest = rest.strip_prefix("package ").or(rest.strip_prefix("archive "))?;
    rest.split_whitespace().next()
}

/// A spinner on a terminal, a line elsewhere.
struct Progress(indicatif::ProgressBar);

impl Progress {
    fn start(text: String) -> Progress {
        let bar = indicatif::ProgressBar::new_spinner();
        if messages::quiet() {
            bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
        } else if bar.is_hidden() {
            messages::say(&text);
        }
        bar.set_message(escape::line(&text).into_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        Progress(bar)
    }

    fn end(self) {
        self.0.finish_and_clear();
    }
}
