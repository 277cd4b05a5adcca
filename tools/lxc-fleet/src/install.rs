//! Installing packages into a layer with the host's package manager, in a chroot, with nothing started.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use breakit::escape;
use breakit::exit::{Error, Result};
use breakit::helper;
use breakit::program;
use breakit::signal::{Wake, Watch};
use breakit::talk;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;

use crate::attend::{End, attend};
use crate::build;

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

    /// What runs inside the site: a shell script that gets the packages as its arguments.
    fn script(&self, afresh: &[String]) -> String {
        match self {
            Manager::Apt if afresh.is_empty() => APT.replace("MEND", "true"),
            Manager::Apt => APT.replace("MEND", &format!("{APT_MEND} {APT_OPTIONS}")),
        }
        .replace("INSTALL", &self.command())
    }

    /// What installs the packages that are written behind it.
    pub fn command(&self) -> String {
        match self {
            Manager::Apt => format!("{APT_INSTALL} {APT_OPTIONS} --"),
        }
    }
}

/// Where the host has a package already, the mask hides some of its files: so it is installed once more.
const APT_INSTALL: &str = "apt-get install -y --no-install-recommends --reinstall";

/// A package that was forgotten may be needed by others of the host's: these come first, as apt-get asks for.
const APT_MEND: &str = "apt-get install -y --no-install-recommends --fix-broken";

const APT_OPTIONS: &str = "-o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confmiss -o Dpkg::Options::=--force-confdef \
     -o Dpkg::Options::=--force-confold -o Acquire::Retries=2";

const APT: &str = r#"
export DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFMISS=1
install() {
    MEND && INSTALL "$@"
}
install "$@" && exit 0
echo "refreshing the lists of packages" >&2
apt-get update -o Acquire::Retries=2 && install "$@"
"#;

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

/// Installs packages in an overlay of the host's root whose folders lie in `site`, and `afresh` those that it was
/// made to forget.
///
/// # Errors
/// 66 for a package that is not there, 71 where the package manager fails, [`Error::Signal`].
pub fn install(
    site: &Path,
    manager: &Manager,
    packages: &[String],
    afresh: &[String],
    watch: &Watch,
) -> Result<()> {
    let work = || {
        // What this thread mounts is gone with it and its children. It must outlive them: they die with it.
        let place = |e: nix::errno::Errno| Error::io("make a mount namespace", &e.into());
        unshare(CloneFlags::CLONE_NEWNS).map_err(place)?;
        let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, flags, None::<&str>).map_err(place)?;
        in_own_mounts(site, manager, packages, afresh, watch)
    };
    std::thread::scope(|scope| scope.spawn(work).join())
        .unwrap_or_else(|_| Err(Error::system("the thread of the build died")))
}

fn in_own_mounts(
    site: &Path,
    manager: &Manager,
    packages: &[String],
    afresh: &[String],
    watch: &Watch,
) -> Result<()> {
    let place = |e: std::io::Error| Error::io(format!("build in {}", site.display()), &e);
    let policy = site.join(POLICY);
    fs::create_dir_all(policy.parent().unwrap_or(site)).map_err(place)?;
    fs::write(&policy, "#!/bin/sh\nexit 101\n").map_err(place)?;
    fs::set_permissions(&policy, fs::Permissions::from_mode(0o755)).map_err(place)?;

    let root = site.join("root");
    build::root(site).mount(&root)?;
    let log = site.join("log");
    let out = File::create(&log).map_err(place)?;
    let mut command = program::command("unshare", "util-linux")?;
    helper::hand_on(&mut command, &helper::PROXIES);
    // The whole build is one pid namespace under unshare: when that is killed, everything is.
    command.args(["--mount", "--pid", "--fork", "--kill-child", "/bin/sh", "-c", BUILD, "sh"]);
    command.arg(&root).arg(manager.script(afresh)).args(packages).args(afresh);
    command.stdin(Stdio::null()).stderr(out.try_clone().map_err(place)?).stdout(out);
    // SAFETY: between fork and exec the closure makes one system call with constants, and allocates nothing.
    unsafe { command.pre_exec(|| Ok(set_pdeathsig(Signal::SIGKILL)?)) };
    let progress = Progress::start(format!("installing {}", packages.join(", ")));
    let child = command.spawn().map_err(|e| Error::io("run unshare", &e))?;
    let end = attend(&mut [child], None, watch)?;
    progress.end();
    match end.first() {
        Some(End::Itself(status)) if status.success() => Ok(()),
        Some(End::Outside(Wake::Signal(number), _)) => Err(Error::Signal(*number)),
        Some(End::Outside(Wake::ReaderGone, _)) => Err(Error::ReaderGone),
        Some(End::Itself(status)) => Err(complaint(&log, packages, *status)),
        // It has no limit, and nothing else that wakes the watch was asked for.
        _ => Err(Error::system("the build was given up")),
    }
}

/// What the package manager complained of.
fn complaint(log: &Path, packages: &[String], ended: ExitStatus) -> Error {
    let text = match fs::read(log) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(e) => return Error::io(format!("read {}", log.display()), &e),
    };
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines.iter().for_each(talk::detail);
    let errors: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("E: ")).collect();
    let silent = format!("it said nothing and ended with {ended}");
    let words = errors.first().or(lines.last()).copied().unwrap_or(&silent);
    let (count, list) = (packages.len(), packages.join(", "));
    let status = if errors.iter().any(|line| line.contains("Unable to locate package")) {
        Error::no_input
    } else {
        Error::system
    };
    let noun = if count == 1 { "the package" } else { "the packages" };
    status(format!("cannot install {noun} {list}: {words}; see it all with --verbose"))
}

/// A spinner on a terminal, a line elsewhere.
struct Progress(indicatif::ProgressBar);

impl Progress {
    fn start(text: String) -> Progress {
        let bar = indicatif::ProgressBar::new_spinner();
        if talk::quiet() {
            bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
        } else if bar.is_hidden() {
            talk::say(&text);
        }
        bar.set_message(escape::line(&text).into_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        Progress(bar)
    }

    fn end(self) {
        self.0.finish_and_clear();
    }
}
