//! Helpers: the programs of others that we run (`ip`, `nft`, `ssh`), and where they and our own are found.
//!
//! We often run as root with the environment of somebody who is not, as under `sudo -E`. So a helper is looked for
//! in the system's folders alone, and elsewhere only if the command line says so (`--path`); and it gets none of
//! our environment but what it needs. A command that the user wrote is another matter: see [`written`].

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use clap::Args;
use nix::unistd::{User, geteuid};

use crate::exit::{Error, Result};

/// Folders that only root can write to on every system that we know.
const SYSTEM: [&str; 4] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// Folders that some systems let others write to: they count only where nobody else can.
const LOCAL: [&str; 2] = ["/usr/local/sbin", "/usr/local/bin"];

/// Our own programs.
const TOOLS: [&str; 5] = ["lxc-fleet", "partition", "slownet", "workload", "histcheck"];

/// What our own tools read of the environment, and what they hand on to ssh.
const OURS: [&str; 6] = [
    "BREAKIT_FLEET",
    "BREAKIT_SEED",
    "SSH_CONNECTION",
    "SSH_AUTH_SOCK",
    "KRB5CCNAME",
    "XDG_RUNTIME_DIR",
];

/// What ssh needs to log in: its agent, and Kerberos' tickets.
const SSH: [&str; 3] = ["SSH_AUTH_SOCK", "KRB5CCNAME", "XDG_RUNTIME_DIR"];

/// What a package manager needs where the network is behind a proxy.
pub const PROXIES: [&str; 6] =
    ["http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY"];

static ELSEWHERE: OnceLock<Vec<PathBuf>> = OnceLock::new();

/// The flag of every tool that runs helpers.
#[derive(Args, Clone, Debug, Default)]
pub struct PathArg {
    /// Search these folders for helper programs (ip, nft, ssh, ...) before the system's folders; $PATH is not used
    #[arg(long = "path", global = true, value_name = "DIR[:DIR]")]
    pub folders: Option<OsString>,
}

impl PathArg {
    /// Makes these the folders of the whole process.
    ///
    /// # Errors
    /// 64 for an empty name, 66 where one of them is no folder.
    pub fn set(&self) -> Result<()> {
        let folders = self.folders.iter().flat_map(|all| std::env::split_paths(all));
        let folders = folders.map(|folder| whole(&folder)).collect::<Result<Vec<_>>>()?;
        // A tool sets it once, before anything else is done.
        let _ = ELSEWHERE.set(folders);
        Ok(())
    }
}

/// The folder's whole path: what we start ourselves may stand elsewhere.
fn whole(folder: &Path) -> Result<PathBuf> {
    if folder.as_os_str().is_empty() {
        return Err(Error::usage("--path has an empty name of a folder; write DIR or DIR:DIR"));
    }
    if !folder.is_dir() {
        return Err(Error::no_input(format!("--path: {} is no folder", folder.display())));
    }
    std::path::absolute(folder).map_err(|e| Error::io(format!("find {}", folder.display()), &e))
}

fn elsewhere() -> &'static [PathBuf] {
    ELSEWHERE.get().map_or(&[], Vec::as_slice)
}

/// Where helpers are looked for: the folders of `--path`, then those that only root can write to.
fn folders() -> Vec<PathBuf> {
    let local = LOCAL.iter().map(Path::new).filter(|folder| is_the_systems(folder));
    let system = SYSTEM.iter().map(Path::new).chain(local).map(Path::to_path_buf);
    elsewhere().iter().cloned().chain(system).collect()
}

/// Whether only the owner of the system's own programs can write there. That owner is root, or, seen from a user
/// namespace, nobody.
fn is_the_systems(folder: &Path) -> bool {
    let owner = |folder: &Path| folder.metadata().ok().map(|found| (found.uid(), found.mode()));
    let Some((owner_of_system, _)) = owner(Path::new("/usr")) else { return false };
    owner(folder).is_some_and(|(uid, mode)| uid == owner_of_system && mode & 0o022 == 0)
}

/// The `PATH` that helpers get, for what they run themselves.
fn search_path() -> OsString {
    // A folder with a colon cannot have come by --path, which is split there.
    std::env::join_paths(folders()).unwrap_or_else(|_| SYSTEM.join(":").into())
}

/// Where the helper `name` is: in a folder of `--path` or of the system. `$PATH` does not count.
///
/// # Errors
/// 69 with the package that brings it.
pub fn find(name: &str, package: &str) -> Result<PathBuf> {
    which::which_in(name, Some(search_path()), "/").map_err(|_| missing(name, package))
}

fn missing(name: &str, package: &str) -> Error {
    let install = format!("the program {name} is missing; install the package {package}");
    match which::which(name).ok().as_deref().and_then(Path::parent) {
        Some(folder) => Error::missing(format!(
            "{install}, or take the one in $PATH, if you trust it, by --path {}",
            folder.display()
        )),
        None => Error::missing(install),
    }
}

/// A command that runs the helper `name`, with a clean environment.
///
/// # Errors
/// 69 with the package that brings it.
pub fn command(name: &str, package: &str) -> Result<Command> {
    Ok(clean(find(name, package)?))
}

/// A command that runs `program` with a clean environment: a `PATH` of the system's folders, messages in English,
/// and nothing else.
pub fn clean(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", search_path()).env("LC_ALL", "C");
    command
}

/// Hands those of `names` on that are set.
pub fn hand_on(command: &mut Command, names: &[&str]) {
    for name in names {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
}

/// Gives ssh what it needs to log in as whom we run: not the home that the environment names, which may be another's.
pub fn for_ssh(command: &mut Command) {
    hand_on(command, &SSH);
    if let Ok(Some(user)) = User::from_uid(geteuid()) {
        command.env("HOME", &user.dir).env("USER", &user.name).env("LOGNAME", &user.name);
    }
}

/// A shell that does something for us later, such as running a tool of ours again.
pub fn shell() -> Command {
    let mut command = clean("/bin/sh");
    hand_on(&mut command, &OURS);
    command
}

/// Ourselves once more, as another process: with the same `--path`.
pub fn ourselves() -> Command {
    let mut command = clean("/proc/self/exe");
    hand_on(&mut command, &OURS);
    command.args(same_path());
    command
}

/// The `--path` that a tool of ours which we start must get, to find what we find.
pub fn same_path() -> Vec<OsString> {
    match elsewhere() {
        [] => Vec::new(),
        // They came split from one such list.
        folders => vec!["--path".into(), std::env::join_paths(folders).unwrap_or_default()],
    }
}

/// The program of a command that the user wrote: where a shell of theirs would find it, with the folders of
/// administration last, as not everybody's `PATH` has them. But one of our own tools is the one beside us, if it is
/// there. A name with a slash is meant from the current directory.
pub fn written(name: &str) -> Option<PathBuf> {
    // If the current directory was removed under us, only relative names are affected.
    let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    beside_us(name).or_else(|| written_from(&here, name))
}

fn written_from(here: &Path, name: &str) -> Option<PathBuf> {
    let users = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::split_paths(&users).chain(SYSTEM.map(PathBuf::from));
    which::which_in(name, std::env::join_paths(path).ok(), here).ok()
}

fn beside_us(name: &str) -> Option<PathBuf> {
    if !TOOLS.contains(&name) {
        return None;
    }
    let folder = std::env::current_exe().ok()?;
    which::which_in(name, Some(folder.parent()?), "/").ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_relative_program_lies_where_we_stand_and_not_below_the_root() {
        let here = std::env::temp_dir().join(format!("breakit-program-{}", std::process::id()));
        std::fs::create_dir_all(&here).unwrap();
        let script = here.join("prim.sh");
        std::fs::write(&script, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        let found = [&here, Path::new("/")].map(|from| written_from(from, "./prim.sh").is_some());
        std::fs::remove_dir_all(&here).unwrap();
        assert_eq!(found, [true, false]);
    }

    #[test]
    fn a_missing_program_names_its_package() {
        let error = find("no-such-program", "no-such-package").unwrap_err();
        assert_eq!(error.status(), crate::exit::Status::Missing);
        assert!(error.to_string().contains("install the package no-such-package"));
    }

    #[test]
    fn a_helper_has_the_systems_path_and_nothing_of_our_environment() {
        let output = clean("/usr/bin/env").output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let mut names: Vec<&str> = said.lines().filter_map(|line| line.split('=').next()).collect();
        names.sort_unstable();
        assert_eq!(names, ["LC_ALL", "PATH"]);
        let path = said.lines().find_map(|line| line.strip_prefix("PATH=")).unwrap();
        assert!(path.starts_with("/usr/sbin:/usr/bin:/sbin:/bin"), "{path}");
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_not_the_systems() {
        let folder = std::env::temp_dir().join(format!("breakit-local-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for (mode, is) in [(0o775, false), (0o777, false)] {
            std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(is_the_systems(&folder), is, "{mode:o}");
        }
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(is_the_systems(Path::new("/usr/bin")) && !is_the_systems(&folder));
    }
}
