//! `image NAME`: builds a layer of packages over the host's own root, once.
//!
//! A layer is the upper directory of an overlay in which the host's package manager ran: the host itself gets
//! no package, no daemon and no open port. It is built under another name and renamed when it is whole.

use std::fs;
use std::path::{Path, PathBuf};

use breakit::exit::{Error, Result, Status};
use breakit::node::{LXCPATH, Name};
use breakit::program;
use breakit::signal::Watch;
use breakit::talk;
use serde_json::json;

use crate::afresh;
use crate::ids::{self, Ids};
use crate::image::{folder, image_name, label, not_in_use};
use crate::install::{self, Manager, Scripts, Work};
use crate::lock::Lock;
use crate::mask::{For, Mask};
use crate::root::{Layer, Root};
use crate::state;
use crate::store;
use crate::store_size::StoreArgs;
use crate::views;

/// Builds an image, unless it is there with the same packages.
///
/// # Errors
/// 64 for what is no name; 69 without a package manager that we know; 71 where that fails.
pub fn build(
    name: &str,
    packages: &[String],
    scripts: Scripts,
    store: &StoreArgs,
) -> Result<Status> {
    let (name, packages) = checked(name, packages)?;
    let manager = Manager::of_host()?;
    program::find("unshare", "util-linux")?;
    let watch = Watch::start("tidying up goes on")?;
    let ids = ids_of(scripts);
    let Some((site, held, afresh)) = begin(&name, &packages, ids, store)? else {
        talk::say(format!("image {name} is there already, with {}", packages.join(", ")));
        return finish(Ok(()));
    };
    let work = Work { site: &site, manager: &manager, packages: &packages, afresh: &afresh, ids };
    let outcome = work.install(scripts, &watch).and_then(|()| settle(&site, &name, &packages, ids));
    let removed = clear(&site);
    // Until here nobody unmounts the store.
    drop(held);
    finish(outcome.and(removed))
}

/// The ids that the files of a layer get on disk.
pub fn ids_of(scripts: Scripts) -> Ids {
    match (scripts, ids::possible()) {
        (Scripts::AsNode, Ok(())) => Ids::BUILD,
        (Scripts::AsNode, Err(why)) => {
            talk::say(format!("the packages' scripts run with the user ids of the host: {why}"));
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

/// Opens the store and makes a site to build on, which is locked for as long as its builder lives, with the packages
/// that the host has and the layer gets once more; `None` where the image is there already.
fn begin(
    name: &Name,
    packages: &[String],
    ids: Ids,
    store: &StoreArgs,
) -> Result<Option<(PathBuf, Lock, Vec<String>)>> {
    let _all = state::lock_all()?;
    store::open(store)?;
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
    let mask = Mask::of_host(&[], For::Build)?;
    mask.lay(&site.join(views::LINK), ids.base())?;
    let afresh = afresh::needed(packages, &mask)?;
    ids.own_alone(&site.join("upper"))?;
    let held = Lock::take(&site)?;
    Ok(Some((site, held, afresh)))
}

/// The root that a build works in.
pub fn root(site: &Path, ids: Ids) -> Root {
    let files = site.to_path_buf();
    Root {
        layers: vec![Layer { path: site.join("bare"), ids }],
        on_host: true,
        files,
        ids,
        on_disk: false,
    }
}

/// Removes what builders left that were killed.
fn clear_sites() -> Result<()> {
    for entry in state::entries(&folder())?.iter().filter(|entry| entry.starts_with('.')) {
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
    store::remove_tree(&machine).and(store::remove_tree(site))
}

/// Gives a layer that is whole its name, unless somebody else has built the same one meanwhile: nodes may be made of
/// that one already.
fn settle(site: &Path, name: &Name, packages: &[String], ids: Ids) -> Result<()> {
    let _all = state::lock_all()?;
    if label(name.as_str()).is_some_and(|label| label.packages == packages) {
        talk::say(format!(
            "image {name} was built by somebody else meanwhile, with the same packages"
        ));
        return Ok(());
    }
    // The downloaded packages are of no use once they are unpacked.
    for part in ["work", "root", "view", "host", "shown", "bare", "upper/var/cache/apt"] {
        store::remove_tree(&site.join(part))?;
    }
    let label = json!({ "packages": packages, "ids": ids }).to_string();
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
