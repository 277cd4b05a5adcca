//! `image NAME`: builds a layer of packages over the host's own root, once.
//!
//! A layer is the upper directory of an overlay in which the host's package manager ran: the host itself gets
//! no package, no daemon and no open port. It is built under another name and renamed when it is whole.

use std::fs;
use std::path::{Path, PathBuf};

use breakit::exit::{Error, Result, Status};
use breakit::messages;
use breakit::node::{LXCPATH, Name};
use breakit::program;
use breakit::signal::Watch;
use serde_json::json;

use crate::files;
use crate::fleet::lock::Lock;
use crate::fleet::state;
use crate::host::hide_host::{For, Mask};
use crate::host::views;
use crate::image::afresh;
use crate::image::image_name;
use crate::image::install::{self, Manager, Scripts, Work};
use crate::image::layers::{folder, label, not_in_use};
use crate::node::ids::{self, Ids};
use crate::places;
use crate::step::{self, Step};
use crate::store;
use crate::store::mounts;
use crate::store::remove;
use crate::store::store_size::StoreArgs;

/// Builds an image, unless it is there with the same packages. A `dry_run` does not ask what the package manager finds.
///
/// # Errors
/// 64 for what is no name; 69 without a package manager that we know; 71 if that fails.
pub fn build(
    name: &str,
    packages: &[String],
    scripts: Scripts,
    store: &StoreArgs,
    dry_run: bool,
) -> Result<Status> {
    let (name, packages) = checked(name, packages)?;
    let manager = Manager::of_host()?;
    program::find("unshare", "util-linux")?;
    let ids = ids_of(scripts);
    let site = |pid: &str| folder().join(format!(".build-{pid}"));
    let build = |pid: &str| Build { name, packages, scripts, manager, ids, site: site(pid) };
    if dry_run {
        return step::print(&build("PID").shown(store)?);
    }
    let watch = Watch::start("tidying up goes on")?;
    let build = build(&std::process::id().to_string());
    let Some((held, afresh)) = build.begin(store)? else {
        build.say_is_there();
        return finish(Ok(()));
    };
    let steps = vec![build.installing(&afresh, &watch), build.settling()];
    let outcome = step::take(steps);
    let removed = clear(&build.site);
    // Until here nobody unmounts the store.
    drop(held);
    finish(outcome.and(removed))
}

/// A layer that is built on a site of its own.
struct Build {
    name: Name,
    packages: Vec<String>,
    scripts: Scripts,
    manager: Manager,
    ids: Ids,
    site: PathBuf,
}

impl Build {
    /// The lines of a dry run.
    fn shown(&self, store: &StoreArgs) -> Result<Vec<String>> {
        let mounted = mounts::is_mounted(&places::store())?;
        if self.is_there()? {
            self.say_is_there();
            return Ok(Vec::new());
        }
        let mut lines = step::shown(store::opening(store)?)?;
        lines.push(format!(
            "# make the folders of an overlay in {}, and the layers of what it sees of the host",
            self.site.display()
        ));
        lines.extend(self.shown_installing()?);
        lines.extend(self.settling().shown()?);
        lines.extend(store::releasing(!mounted && state::fleets()?.is_empty()).shown()?);
        Ok(lines)
    }

    /// Whether the image is there already, with the same packages.
    fn is_there(&self) -> Result<bool> {
        match label(self.name.as_str()) {
            Some(label) if label.packages == self.packages => Ok(true),
            Some(_) => not_in_use(self.name.as_str()).map(|()| false),
            None => Ok(false),
        }
    }

    fn say_is_there(&self) {
        messages::say(format!(
            "image {} is there already, with {}",
            self.name,
            self.packages.join(", ")
        ));
    }

    /// Opens the store and makes a site to build on, which is locked for as long as its builder lives, with the
    /// packages that the host has and the layer gets once more; `None` if the image is there already.
    fn begin(&self, store: &StoreArgs) -> Result<Option<(Lock, Vec<String>)>> {
        let _all = state::lock_all()?;
        store::open(store)?;
        clear_sites()?;
        if self.is_there()? {
            return Ok(None);
        }
        for part in ["upper", "work", "root"] {
            let part = self.site.join(part);
            fs::create_dir_all(&part)
                .map_err(|e| Error::io(format!("make {}", part.display()), &e))?;
        }
        let mask = Mask::of_host(&[], For::Build)?;
        mask.lay(&self.site.join(views::LINK), self.ids.base())?;
        let afresh = afresh::needed(&self.packages, &mask)?;
        self.ids.own_alone(&self.site.join("upper"))?;
        Ok(Some((Lock::take(&self.site)?, afresh)))
    }

    /// The step that installs the packages.
    fn installing<'a>(&'a self, afresh: &'a [String], watch: &'a Watch) -> Step<'a> {
        let take = || {
            let Build { site, manager, packages, ids, .. } = self;
            let work = Work { site, manager, packages, afresh, ids: *ids };
            work.install(self.scripts, watch)
        };
        Step::new(|| self.shown_installing(), take)
    }

    fn shown_installing(&self) -> Result<Vec<String>> {
        let (root, site) = (self.site.join("root"), self.site.display());
        let words: Vec<String> = self.packages.iter().map(program::quote).collect();
        let options = install::build_root(&self.site, self.ids).options(&root);
        let (root, command) = (step::path(&root), self.manager.command(self.scripts));
        let mut lines = vec![
            "# in a mount and a pid namespace of their own, with /proc, /dev, /run and /tmp:"
                .into(),
            format!("# mount what others may read of the host at {site}/host"),
            format!("mount -t overlay -o {options} overlay {root}"),
            format!("chroot {root} {command} {}", words.join(" ")),
            "# where that fails: apt-get update, and once more".into(),
        ];
        if self.scripts == Scripts::AsNode {
            lines.push(
                "# install what was downloaded in a machine as a node is, without a network".into(),
            );
        }
        Ok(lines)
    }

    /// The step that gives a layer that is whole its name.
    fn settling(&self) -> Step<'_> {
        let show = || {
            let (site, place) = (step::path(&self.site), step::path(&self.place()));
            let label = format!("# write {}/image.json", self.site.display());
            Ok([
                format!("{label}, and keep of the folder that and upper alone"),
                format!("mv {site} {place}"),
            ])
        };
        Step::new(show, || self.settle())
    }

    fn place(&self) -> PathBuf {
        folder().join(self.name.as_str())
    }

    /// Gives the layer its name, unless somebody else has built the same one meanwhile: nodes may be made of that one
    /// already.
    fn settle(&self) -> Result<()> {
        let _all = state::lock_all()?;
        let Build { name, packages, site, ids, .. } = self;
        if label(name.as_str()).is_some_and(|label| label.packages == *packages) {
            messages::say(format!(
                "image {name} was built by somebody else meanwhile, with the same packages"
            ));
            return Ok(());
        }
        // The downloaded packages are of no use once they are unpacked.
        for part in ["work", "root", "view", "host", "shown", "bare", "upper/var/cache/apt"] {
            remove::remove_tree(&site.join(part))?;
        }
        let label = json!({ "packages": packages, "ids": ids }).to_string();
        files::write_whole(&site.join("image.json"), &label)?;
        let place = self.place();
        if place.exists() {
            not_in_use(name.as_str())?;
            remove::remove_tree(&place)?;
        }
        fs::rename(site, &place).map_err(|e| Error::io(format!("make the image {name}"), &e))?;
        messages::say(format!("image {name} is built"));
        Ok(())
    }
}

/// The ids that the files of a layer get on disk.
fn ids_of(scripts: Scripts) -> Ids {
    match (scripts, ids::possible()) {
        (Scripts::AsNode, Ok(())) => Ids::BUILD,
        (Scripts::AsNode, Err(why)) => {
            messages::say(format!(
                "the packages' scripts run with the user ids of the host: {why}"
            ));
            Ids::Host
        }
        (Scripts::AsHost, _) => Ids::Host,
    }
}

/// Gives the store back; the first error counts.
fn finish(outcome: Result<()>) -> Result<Status> {
    let _all = state::lock_all()?;
    // The machine that installed lay there; it stays where nodes do.
    let _ = fs::remove_dir(LXCPATH);
    let released = store::release();
    outcome.and(released).map(|()| Status::Done)
}

/// Removes what builders left that were killed.
fn clear_sites() -> Result<()> {
    for entry in files::entries(&folder())?.iter().filter(|entry| entry.starts_with('.')) {
        let site = folder().join(entry);
        if Lock::try_take(&site).is_some() {
            clear(&site)?;
        }
    }
    Ok(())
}

/// Removes a site and the machine that installed there; where its builder was killed, it died with it.
fn clear(site: &Path) -> Result<()> {
    let machine = Path::new(LXCPATH).join(install::machine(site));
    remove::remove_tree(&machine).and(remove::remove_tree(site))
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
