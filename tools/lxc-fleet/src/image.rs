//! Images: layers of packages over the host's own root, each built once.
//!
//! A layer is the upper directory of an overlay in which the host's package manager ran: the host itself gets
//! no package, no daemon and no open port. It is built under another name and renamed when it is whole.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use breakit::exit::{Error, Result, Status, reason};
use breakit::jsonl;
use breakit::node::Name;
use breakit::program;
use breakit::signal::{Wake, Watch};
use breakit::talk;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::attend::{End, attend};
use crate::container::overlay_options;
use crate::lock::Lock;
use crate::mask::{For, Mask};
use crate::state;
use crate::store;

/// What a node is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Image {
    /// The host's own root.
    Host,
    /// A tiny root of its own.
    Busybox,
    /// A layer over the host's root.
    Layer(Name),
}

/// What is kept beside a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Label {
    packages: Vec<String>,
}

impl Image {
    /// Reads an image's name.
    ///
    /// # Errors
    /// 64 for what is no name.
    pub fn parse(text: &str) -> Result<Image> {
        Ok(match text {
            "host" => Image::Host,
            "busybox" => Image::Busybox,
            _ => Image::Layer(image_name(text)?),
        })
    }

    /// Whether it lies over the host's root, so that a mask is needed.
    pub fn shows_host(&self) -> bool {
        !matches!(self, Image::Busybox)
    }

    /// Makes sure that it is there. The store is open.
    ///
    /// # Errors
    /// 66 for a layer that was never built; 69 where busybox is missing.
    pub fn ready(&self) -> Result<()> {
        match self {
            Image::Host => Ok(()),
            Image::Busybox => busybox(),
            Image::Layer(name) if label(name.as_str()).is_some() => Ok(()),
            Image::Layer(name) => Err(Error::no_input(format!(
                "no image {name}; there are {}; build it with lxc-fleet image {name} --packages A,B",
                ["host".to_string(), "busybox".into()]
                    .into_iter()
                    .chain(built()?)
                    .collect::<Vec<_>>()
                    .join(", ")
            ))),
        }
    }

    /// The lower layers of a node whose own files are in `files`, the uppermost first.
    ///
    /// The mask lies beneath the layer: what a package brings is seen, what the host has there is not.
    pub fn lowers(&self, files: &Path) -> Vec<PathBuf> {
        let (bare, hide) = (files.join("bare"), files.join("hide"));
        match self {
            Image::Host => vec![bare, hide, "/".into()],
            Image::Busybox => vec![bare, layer("busybox")],
            Image::Layer(name) => vec![layer(name.as_str()), bare, hide, "/".into()],
        }
    }
}

fn image_name(text: &str) -> Result<Name> {
    Name::new(text).map_err(|_| {
        Error::usage(format!(
            "{:?} is no image name; take up to 63 letters, digits, '-', '_' or '.', a letter or digit first",
            text.chars().take(80).collect::<String>()
        ))
    })
}

fn folder() -> PathBuf {
    store::root().join("images")
}

fn layer(name: &str) -> PathBuf {
    folder().join(name).join("upper")
}

/// The label of a layer that is whole.
fn label(name: &str) -> Option<Label> {
    let bytes = fs::read(folder().join(name).join("image.json")).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// The names of the layers that are whole.
fn built() -> Result<Vec<String>> {
    let mut names = state::entries(&folder())?;
    names.retain(|name| label(name).is_some());
    names.sort();
    Ok(names)
}

/// Builds an image, unless it is there with the same packages.
///
/// # Errors
/// 64 for what is no name; 69 without a package manager that we know; 71 where that fails.
pub fn build(name: &str, packages: &[String]) -> Result<Status> {
    let (name, packages) = checked(name, packages)?;
    let manager = Manager::of_host()?;
    program::find("unshare", "util-linux")?;
    let watch = Watch::start_without_input("tidying up goes on")?;
    let Some((site, held)) = begin(&name, &packages)? else {
        talk::say(format!("image {name} is there already, with {}", packages.join(", ")));
        return finish(Ok(()));
    };
    let outcome =
        install(&site, &manager, &packages, &watch).and_then(|()| settle(&site, &name, &packages));
    drop(held);
    let removed = store::remove_tree(&site);
    finish(outcome.and(removed))
}

/// Gives the store back; the first error counts.
fn finish(outcome: Result<()>) -> Result<Status> {
    let _all = state::lock_all()?;
    let released = store::release();
    outcome.and(released).map(|()| Status::Done)
}

/// Opens the store and makes a site to build on, which is locked for as long as its builder lives;
/// `None` where the image is there already.
fn begin(name: &Name, packages: &[String]) -> Result<Option<(PathBuf, Lock)>> {
    let _all = state::lock_all()?;
    store::open()?;
    clear_sites()?;
    if let Some(label) = label(name.as_str()) {
        if label.packages == packages {
            return Ok(None);
        }
        not_in_use(name.as_str())?;
    }
    let site = folder().join(format!(".build-{}", std::process::id()));
    for part in ["upper", "work", "root"] {
        let part = site.join(part);
        fs::create_dir_all(&part).map_err(|e| Error::io(format!("make {}", part.display()), &e))?;
    }
    Mask::of_host(&[], For::Build)?.lay(&site)?;
    let held = Lock::take(&site)?;
    Ok(Some((site, held)))
}

/// Removes what builders left that were killed.
fn clear_sites() -> Result<()> {
    for entry in state::entries(&folder())?.iter().filter(|entry| entry.starts_with('.')) {
        let site = folder().join(entry);
        if Lock::try_take(&site).is_some() {
            store::remove_tree(&site)?;
        }
    }
    Ok(())
}

/// Gives a layer that is whole its name.
fn settle(site: &Path, name: &Name, packages: &[String]) -> Result<()> {
    let _all = state::lock_all()?;
    // The downloaded packages are of no use once they are unpacked.
    for part in ["work", "root", "hide", "bare", "upper/var/cache/apt"] {
        store::remove_tree(&site.join(part))?;
    }
    let label = json!({ "packages": packages }).to_string();
    state::write_whole(&site.join("image.json"), &label)?;
    let place = folder().join(name.as_str());
    if place.exists() {
        not_in_use(name.as_str())?;
        store::remove_tree(&place)?;
    }
    fs::rename(site, &place).map_err(|e| Error::io(format!("make the image {name}"), &e))?;
    talk::say(format!("image {name} is built"));
    Ok(())
}

/// An image's name and its packages as they may be handed on.
///
/// # Errors
/// 64 for what is no name, or the name of something else.
pub fn checked(name: &str, packages: &[String]) -> Result<(Name, Vec<String>)> {
    if matches!(name, "host" | "busybox") {
        return Err(Error::usage(format!(
            "the image {name} is there without building; choose another name"
        )));
    }
    Ok((image_name(name)?, package_names(packages)?))
}

/// The package names, sorted, each once, none that a package manager could take for an option.
fn package_names(packages: &[String]) -> Result<Vec<String>> {
    let mut list: Vec<String> = packages.iter().map(|package| package.trim().to_string()).collect();
    if let Some(bad) = list.iter().find(|package| !is_package(package)) {
        return Err(Error::usage(format!(
            "{:?} is no package name; write --packages redis-server,redis-sentinel",
            bad.chars().take(80).collect::<String>()
        )));
    }
    list.sort();
    list.dedup();
    Ok(list)
}

fn is_package(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "+-.:=~_/".contains(c);
    let first = text.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
    // apt-get takes PACKAGE- for a wish to remove it, and PACKAGE+ for one to install it.
    let wish = text.ends_with('-') || text.ends_with('+') && !text.ends_with("++");
    first && text.chars().all(plain) && !wish
}

/// A package manager of the host.
enum Manager {
    Apt,
}

impl Manager {
    fn of_host() -> Result<Manager> {
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
    fn script(&self) -> &'static str {
        match self {
            Manager::Apt => APT,
        }
    }
}

/// Where the host has a package already its files are hidden by the mask: so it is installed once more.
const APT: &str = r#"
export DEBIAN_FRONTEND=noninteractive
install() {
    apt-get install -y --no-install-recommends --reinstall -o Dpkg::Use-Pty=0 \
        -o Dpkg::Options::=--force-confmiss -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \
        -o Acquire::Retries=2 -- "$@"
}
install "$@" && exit 0
echo "refreshing the lists of packages" >&2
apt-get update -o Acquire::Retries=2 && install "$@"
"#;

/// Makes the root to build in, all in a mount namespace that ends with the builder.
const BUILD: &str = r#"
set -e
root=$1 options=$2 script=$3
shift 3
mount -t overlay -o "$options" overlay "$root"
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

fn install(site: &Path, manager: &Manager, packages: &[String], watch: &Watch) -> Result<()> {
    let place = |e: std::io::Error| Error::io(format!("build in {}", site.display()), &e);
    let policy = site.join(POLICY);
    fs::create_dir_all(policy.parent().unwrap_or(site)).map_err(place)?;
    fs::write(&policy, "#!/bin/sh\nexit 101\n").map_err(place)?;
    fs::set_permissions(&policy, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .map_err(place)?;

    let lowers = [site.join("bare"), site.join("hide"), "/".into()];
    let log = site.join("log");
    let out = File::create(&log).map_err(place)?;
    let mut command = Command::new(program::find("unshare", "util-linux")?);
    // The whole build is one pid namespace under unshare: when that is killed, everything is.
    command.args(["--mount", "--pid", "--fork", "--kill-child", "/bin/sh", "-c", BUILD, "sh"]);
    command
        .arg(site.join("root"))
        .arg(overlay_options(&lowers, site))
        .arg(manager.script())
        .args(packages);
    command.stdin(Stdio::null()).stderr(out.try_clone().map_err(place)?).stdout(out);
    // SAFETY: between fork and exec the closure makes one system call with constants, and allocates nothing.
    unsafe { command.pre_exec(|| Ok(set_pdeathsig(Signal::SIGKILL)?)) };
    let progress = Progress::start(format!("installing {}", packages.join(", ")));
    let child = command.spawn().map_err(|e| Error::io("run unshare", &e))?;
    let end = attend(&mut [child], None, watch)?;
    progress.end();
    match end.first() {
        Some(End::Itself(status)) if status.success() => Ok(()),
        Some(End::Outside(Wake::Signal(number))) => Err(Error::Signal(*number)),
        Some(End::Outside(Wake::ReaderGone)) => Err(Error::ReaderGone),
        _ => Err(complaint(&log, packages)),
    }
}

/// What the package manager complained of.
fn complaint(log: &Path, packages: &[String]) -> Error {
    let text = String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines.iter().for_each(talk::detail);
    let errors: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("E: ")).collect();
    let words = errors.first().or(lines.last()).copied().unwrap_or("it said nothing");
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
        bar.set_message(text);
        bar.enable_steady_tick(Duration::from_millis(120));
        Progress(bar)
    }

    fn end(self) {
        self.0.finish_and_clear();
    }
}

/// Makes the busybox root where it is missing.
fn busybox() -> Result<()> {
    if label("busybox").is_some() {
        return Ok(());
    }
    let missing = |why: &str| Error::missing(format!("{why}; install the package busybox-static"));
    let program = program::find("busybox", "busybox-static")?;
    let bytes =
        fs::read(&program).map_err(|e| Error::io(format!("read {}", program.display()), &e))?;
    if is_dynamic(&bytes) {
        return Err(missing(&format!(
            "{} is not static, and the image has no libraries",
            program.display()
        )));
    }
    let list =
        program::succeed(Command::new(&program).arg("--list"), None, Duration::from_secs(10))?;
    let site = folder().join(format!(".build-busybox-{}", std::process::id()));
    store::remove_tree(&site)?;
    lay_busybox(&site.join("upper"), &bytes, &list)
        .map_err(|e| Error::system(format!("cannot make the image busybox: {}", reason(&e))))?;
    state::write_whole(
        &site.join("image.json"),
        &json!({ "packages": ["busybox-static"] }).to_string(),
    )?;
    fs::rename(&site, folder().join("busybox")).map_err(|e| Error::io("make the image busybox", &e))
}

/// Whether an ELF program asks for an interpreter (the dynamic linker).
fn is_dynamic(program: &[u8]) -> bool {
    program.windows(8).any(|window| window == b"/ld-linu" || window == b"/ld-musl")
}

fn lay_busybox(root: &Path, program: &[u8], applets: &str) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    for folder in [
        "usr/bin", "usr/sbin", "etc", "dev", "proc", "sys", "run", "tmp", "root", "var/log",
        "var/tmp",
    ] {
        fs::create_dir_all(root.join(folder))?;
    }
    for (folder, mode) in [("tmp", 0o1777), ("var/tmp", 0o1777), ("root", 0o700)] {
        fs::set_permissions(root.join(folder), fs::Permissions::from_mode(mode))?;
    }
    symlink("usr/bin", root.join("bin"))?;
    symlink("usr/sbin", root.join("sbin"))?;
    let path = root.join("usr/bin/busybox");
    File::create(&path)?.write_all(program)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    for applet in applets.lines().filter(|name| *name != "busybox" && !name.contains('/')) {
        symlink("busybox", root.join("usr/bin").join(applet))?;
    }
    fs::write(
        root.join("etc/passwd"),
        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
    )?;
    fs::write(root.join("etc/group"), "root:x:0:\nnogroup:x:65534:\n")
}

fn not_in_use(name: &str) -> Result<()> {
    for fleet in state::fleets()? {
        let members = state::load(&fleet)?.map(|state| state.members).unwrap_or_default();
        if let Some(member) = members.iter().find(|member| member.image == name) {
            return Err(Error::system(format!(
                "image {name} is in use by node {} of fleet {fleet}; take it down first, or give the new image another name",
                member.name
            )));
        }
    }
    Ok(())
}

/// Lists the images, as a table or as JSON lines.
///
/// # Errors
/// As the store's.
pub fn list(as_json: bool) -> Result<Status> {
    let labels = {
        let _all = state::lock_all()?;
        let mut labels = Vec::new();
        if store::file().exists() {
            store::open()?;
            for name in built()? {
                labels.extend(label(&name).map(|label| (name, label)));
            }
            store::release()?;
        }
        labels
    };
    for (name, label) in labels {
        let line = match as_json {
            true => json!({ "image": name, "packages": label.packages }).to_string(),
            false => format!("{name}\t{}", label.packages.join(",")),
        };
        jsonl::print(&line)?;
    }
    Ok(Status::Done)
}

/// Removes images.
///
/// # Errors
/// 66 for an image that is not there, 71 for one in use.
pub fn remove(names: &[String]) -> Result<Status> {
    let _all = state::lock_all()?;
    let names = names.iter().map(|name| image_name(name)).collect::<Result<Vec<_>>>()?;
    if store::file().exists() {
        store::open()?;
    }
    let mut errors = Vec::new();
    for name in &names {
        errors.extend(remove_one(name.as_str()).err());
    }
    errors.extend(store::release().err());
    Error::all(errors).map(|()| Status::Done)
}

fn remove_one(name: &str) -> Result<()> {
    if name == "host" {
        return Err(Error::usage("the image host is this host's own root; it cannot be removed"));
    }
    let place = folder().join(name);
    if label(name).is_none() {
        return Err(Error::no_input(format!("no image {name}; see lxc-fleet image ls")));
    }
    not_in_use(name)?;
    // Under another name first: what is removed half is no image any more.
    let away = folder().join(format!(".removed-{}-{name}", std::process::id()));
    fs::rename(&place, &away).map_err(|e| Error::io(format!("remove the image {name}"), &e))?;
    store::remove_tree(&away)
}

/// Removes every image, and the store's file.
///
/// # Errors
/// 71 where a fleet still uses it.
pub fn remove_all() -> Result<Status> {
    let _all = state::lock_all()?;
    store::remove().map(|()| Status::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(names: &[&str]) -> Result<Vec<String>> {
        package_names(&names.iter().map(|name| (*name).to_string()).collect::<Vec<_>>())
    }

    #[test]
    fn packages_are_sorted_and_each_named_once() {
        assert_eq!(given(&["redis", "g++", "etcd", "redis"]).unwrap(), ["etcd", "g++", "redis"]);
    }

    #[test]
    fn what_is_no_package_name_never_reaches_the_package_manager() {
        for bad in ["", "-y", "a b", "a;b", "redis-", "redis+", "$(x)"] {
            assert_eq!(given(&[bad]).unwrap_err().status(), Status::Usage, "{bad}");
        }
    }
}
