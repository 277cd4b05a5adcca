//! Which packages that the host has a layer needs once more.
//!
//! Of a server that is installed on the host, the mask hides what others may not read, and its data: its
//! configuration, its accounts' passwords, the cluster that was made when it was installed. To reinstall it is not
//! enough, as the scripts of a package make such things at its first installation alone. So the layer's record of
//! what is installed forgets these packages, and they are installed as on a host that never had them: those that
//! were named, those that lost something by the mask, and those that depend on one of these or come of one source
//! with it (redis-tools makes the folders of redis-server).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use breakit::exit::{Error, Result};
use breakit::program;

use crate::host::hide_host::Mask;
use crate::host::lay::Layer;

/// The record of what is installed.
const STATUS: &str = "/var/lib/dpkg/status";

/// The folder of the lists of what each package brought.
const LISTS: &str = "/var/lib/dpkg/info";

/// What `apt-cache` may take.
const LIMIT: Duration = Duration::from_secs(60);

/// What packages need, by their names.
type Needs = BTreeMap<String, BTreeSet<String>>;

/// The packages among `packages` and all that they need which are to be installed once more.
///
/// # Errors
/// 69 or 75 if the package manager's cache does not answer, 71 if a file cannot be read.
pub fn needed(packages: &[String], mask: &Mask) -> Result<Vec<String>> {
    let status = fs::read_to_string(STATUS).map_err(|e| Error::io(format!("read {STATUS}"), &e))?;
    let installed: BTreeMap<&str, &str> =
        stanzas(&status).filter(|text| may_be_forgotten(text)).filter_map(named).collect();
    let needs = needs(packages)?;
    let lost = |name: &&String| {
        let architecture =
            installed.get(name.as_str()).and_then(|text| field(text, "Architecture"));
        files_of(name, architecture).iter().any(|path| is_lost(path, mask))
    };
    // Of the system that every host has, nothing is missed but what was named.
    let is_server = |name: &&String| {
        installed
            .get(name.as_str())
            .is_some_and(|text| field(text, "Priority") != Some("important"))
    };
    let there = || needs.keys().filter(is_server);
    let is_named = |name: &&String| packages.iter().any(|package| name_of(package) == *name);
    let mut afresh: BTreeSet<&String> = needs
        .keys()
        .filter(|name| installed.contains_key(name.as_str()))
        .filter(|name| is_named(name) || is_server(name) && lost(name))
        .collect();
    let source = |name: &str| {
        let stanza = installed.get(name)?;
        // The name alone: a version may stand behind it.
        field(stanza, "Source")
            .map_or(Some(name), |source| source.split(' ').next())
            .map(str::to_string)
    };
    // Whoever needs one of these or was made of the same source, and so on.
    loop {
        let sources: BTreeSet<_> = afresh.iter().filter_map(|name| source(name)).collect();
        let more = |name: &&String| {
            needs.get(*name).is_some_and(|needs| needs.iter().any(|need| afresh.contains(need)))
                || source(name).is_some_and(|source| sources.contains(&source))
        };
        let more: Vec<&String> =
            there().filter(|name| !afresh.contains(name)).filter(more).collect();
        if more.is_empty() {
            break;
        }
        afresh.extend(more);
    }
    can_be_fetched(afresh.into_iter().cloned().collect())
}

/// Writes the record of what is installed into a layer, without these packages.
///
/// # Errors
/// 71 if a file cannot be read or written.
pub fn forget(packages: &[String], layer: &Layer) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let status = fs::read_to_string(STATUS).map_err(|e| Error::io(format!("read {STATUS}"), &e))?;
    let stays =
        |text: &&str| named(text).is_none_or(|(name, _)| !packages.iter().any(|p| p == name));
    let kept: Vec<&str> = stanzas(&status).filter(stays).collect();
    layer.write(Path::new(STATUS), &(kept.join("\n\n") + "\n\n"))
}

fn stanzas(text: &str) -> impl Iterator<Item = &str> {
    text.split("\n\n").map(str::trim_end).filter(|text| !text.is_empty())
}

fn named(stanza: &str) -> Option<(&str, &str)> {
    Some((field(stanza, "Package")?, stanza))
}

fn field<'a>(stanza: &'a str, name: &str) -> Option<&'a str> {
    let value = |line: &'a str| line.strip_prefix(name)?.strip_prefix(':').map(str::trim);
    stanza.lines().find_map(value)
}

/// Whether it is installed, and nothing that the host's system itself stands on.
fn may_be_forgotten(stanza: &str) -> bool {
    let is = |name, value| field(stanza, name) == Some(value);
    is("Status", "install ok installed")
        && !is("Essential", "yes")
        && !is("Protected", "yes")
        && !is("Priority", "required")
}

/// What these packages need, directly or not, as the package manager knows it; nothing for what it does not know.
fn needs(packages: &[String]) -> Result<Needs> {
    let mut command = cache()?;
    command.args(["depends", "--recurse", "--no-recommends", "--no-suggests", "--no-conflicts"]);
    command.args(["--no-breaks", "--no-replaces", "--no-enhances"]);
    command.args(packages.iter().map(|package| name_of(package)));
    let output = program::run(&mut command, None, LIMIT)?;
    Ok(needs_in(&String::from_utf8_lossy(&output.stdout)))
}

/// Reads what `apt-cache depends` prints: a package, below it what it needs, and below what several packages
/// provide these, the deepest.
fn needs_in(text: &str) -> Needs {
    let mut needs = Needs::new();
    let mut current = String::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        if !line.starts_with(' ') {
            current = plain(line);
            needs.entry(current.clone()).or_default();
        } else if let Some(needed) = line.split_whitespace().last() {
            needs.entry(current.clone()).or_default().insert(plain(needed));
        }
    }
    needs
}

/// A package's name as the cache takes it, without the version, release or architecture that it was named with.
fn name_of(package: &str) -> &str {
    package.split(['=', '/', ':']).next().unwrap_or(package)
}

/// A package's name without its architecture.
fn plain(name: &str) -> String {
    name_of(name.trim()).to_string()
}

/// What a package brought, by its list.
fn files_of(name: &str, architecture: Option<&str>) -> Vec<PathBuf> {
    let of = |name: &str| fs::read_to_string(Path::new(LISTS).join(format!("{name}.list")));
    let list = of(name).or_else(|_| of(&format!("{name}:{}", architecture.unwrap_or("all"))));
    list.unwrap_or_default().lines().map(PathBuf::from).filter(|path| path.is_absolute()).collect()
}

/// Whether the host has it, and the mask hides it.
fn is_lost(path: &Path, mask: &Mask) -> bool {
    path != Path::new("/.") && fs::symlink_metadata(path).is_ok() && {
        // Many lists name files in /bin and /lib, which are links to folders of /usr.
        let real = path.parent().and_then(|above| fs::canonicalize(above).ok());
        let real = real.zip(path.file_name()).map(|(above, name)| above.join(name));
        !mask.sees(real.as_deref().unwrap_or(path))
    }
}

/// Those that the package manager can fetch: what was installed by hand alone stays as it is.
fn can_be_fetched(mut packages: Vec<String>) -> Result<Vec<String>> {
    if packages.is_empty() {
        return Ok(packages);
    }
    let output = program::run(cache()?.arg("policy").args(&packages), None, LIMIT)?;
    let fetched = fetched_in(&String::from_utf8_lossy(&output.stdout));
    packages.retain(|package| fetched.contains(package));
    Ok(packages)
}

/// Reads what `apt-cache policy` prints: those that have a source besides the record of what is installed.
fn fetched_in(text: &str) -> BTreeSet<String> {
    let mut fetched = BTreeSet::new();
    let mut current = "";
    for line in text.lines() {
        if let Some(name) = line.strip_suffix(':').filter(|_| !line.starts_with(' ')) {
            current = name;
        }
        let mut words = line.split_whitespace();
        let is_number = words.next().is_some_and(|word| word.parse::<i32>().is_ok());
        if is_number && words.next().is_some_and(|source| source != STATUS && source.contains(':'))
        {
            fetched.insert(plain(current));
        }
    }
    fetched
}

fn cache() -> Result<Command> {
    let mut command = program::command("apt-cache", "apt")?;
    command.env("LC_ALL", "C.UTF-8");
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_packages_need_is_read_with_alternatives_and_providers() {
        let needs = needs_in(
            "pg\n  Depends: pg-15\npg-15\n |Depends: locales\n  PreDepends: <debconf-2.0>\n    cdebconf:amd64\n    debconf\nlocales\n",
        );
        let of = |name: &str| needs[name].iter().map(String::as_str).collect::<Vec<_>>();
        assert_eq!(of("pg"), ["pg-15"]);
        assert_eq!(of("pg-15"), ["<debconf-2.0>", "cdebconf", "debconf", "locales"]);
        assert!(of("locales").is_empty());
    }

    #[test]
    fn a_package_of_no_source_stays_as_it_is() {
        let fetched = fetched_in(
            "a:\n  Installed: 1\n  Version table:\n *** 1 500\n        500 http://x/debian a/main Packages\n        100 /var/lib/dpkg/status\n\
             own:\n  Installed: 1\n  Version table:\n *** 1 100\n        100 /var/lib/dpkg/status\n",
        );
        assert_eq!(fetched.into_iter().collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn only_what_is_installed_and_not_essential_can_be_forgotten() {
        let stanza = |more: &str| format!("Package: x\nStatus: install ok installed\n{more}");
        assert!(may_be_forgotten(&stanza("Priority: optional")));
        for more in ["Essential: yes", "Protected: yes", "Priority: required"] {
            assert!(!may_be_forgotten(&stanza(more)), "{more}");
        }
        assert!(!may_be_forgotten("Package: x\nStatus: deinstall ok config-files"));
    }
}
