//! The user and group ids that the users of a fleet's nodes have on the host.
//!
//! Root in a node is user 0 of a user namespace, and on the host a user who owns nothing but the node's own
//! files. Each fleet has a range of its own, so that one fleet's nodes are strangers to another's as well.

use std::fs;
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::Path;

use breakit::exit::{Error, Result};
use nix::errno::Errno;
use serde::{Deserialize, Serialize};

use crate::node::idmap::{self, COUNT};

/// The first range. It lies above what systemd gives to containers (to 1,879,048,191) and what SSSD gives to
/// users of a domain (to 2,000,199,999), and the last one ends below 2^31.
const FIRST: u32 = 0x7800_0000;

/// How many ranges there are.
const RANGES: u32 = 2_047;

/// The ids of nodes, as the host sees them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ids {
    /// Those of the host itself: root in a node is the host's root (`--privileged`).
    #[default]
    Host,
    /// A range of their own, from this id on.
    From(u32),
}

impl Ids {
    /// The range of layers that are built: no fleet has it.
    pub const BUILD: Ids = Ids::From(FIRST);

    /// What is added to an id of a node to have that of the host.
    pub fn base(self) -> u32 {
        match self {
            Ids::Host => 0,
            Ids::From(base) => base,
        }
    }

    /// Whether nodes live in a user namespace.
    pub fn are_mapped(self) -> bool {
        self != Ids::Host
    }

    /// Gives what the host's users own below `tree` to the same users of the nodes.
    ///
    /// # Errors
    /// 71 if the system refuses.
    pub fn own(self, tree: &Path) -> Result<()> {
        self.own_alone(tree)?;
        let place = |e: std::io::Error| Error::io(format!("list {}", tree.display()), &e);
        if self.are_mapped() && fs::symlink_metadata(tree).map_err(place)?.is_dir() {
            for entry in fs::read_dir(tree).map_err(place)? {
                self.own(&entry.map_err(place)?.path())?;
            }
        }
        Ok(())
    }

    /// As [`Ids::own`], of the file or folder `path` alone.
    ///
    /// # Errors
    /// 71 if the system refuses.
    pub fn own_alone(self, path: &Path) -> Result<()> {
        let place =
            |e: std::io::Error| Error::io(format!("give {} to the nodes", path.display()), &e);
        let (found, base) = (fs::symlink_metadata(path).map_err(place)?, self.base());
        if found.uid() >= COUNT || base == 0 {
            return Ok(());
        }
        lchown(path, Some(base + found.uid()), Some(base + found.gid() % COUNT)).map_err(place)
    }

    /// The map of these ids as the kernel and LXC take it, without a line's end: `0 2013265920 65536`.
    pub fn map(self) -> String {
        format!("0 {} {COUNT}", self.base())
    }
}

/// A range that is none of `taken`, those of the fleets, and that the host has given to no user. The caller holds the
/// lock of all fleets until it is remembered.
///
/// # Errors
/// 69 if this kernel cannot map ids, 71 if every range is in use.
pub fn free(taken: &[Ids]) -> Result<Ids> {
    possible()?;
    let lent: Vec<(u64, u64)> = ["/etc/subuid", "/etc/subgid"]
        .iter()
        .flat_map(|file| subordinate(&fs::read_to_string(file).unwrap_or_default()))
        .collect();
    (1..=RANGES)
        .map(|n| FIRST + n * COUNT)
        .find(|base| !taken.contains(&Ids::From(*base)) && !lent.iter().any(|r| meets(*r, *base)))
        .map(Ids::From)
        .ok_or_else(|| {
            Error::system(
                "every range of user ids that a fleet could have is in use; take a fleet down",
            )
        })
}

/// Whether nodes can live in a user namespace here.
///
/// # Errors
/// 69 with what stands in the way and the way out.
pub fn possible() -> Result<()> {
    let no = |why: String| {
        Err(Error::missing(format!(
            "{why}, which nodes need to be no root of the host's; with --privileged they share the user ids of the host"
        )))
    };
    if !release_is_at_least((5, 19), &release()) {
        return no(format!("the kernel {} has no overlays over mapped ids (5.19 has)", release()));
    }
    match idmap::Mapping::new(0, FIRST).and_then(|mapping| idmap::clone(Path::new("/"), &mapping)) {
        Ok(_) => Ok(()),
        Err(Errno::ENOSPC | Errno::EUSERS | Errno::EPERM) => {
            no("this host allows no further user namespaces (user.max_user_namespaces)".into())
        }
        Err(errno) => {
            no(format!("the filesystem of / cannot be shown with other user ids ({errno})"))
        }
    }
}

fn release() -> String {
    nix::sys::utsname::uname()
        .map(|name| name.release().to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// Whether a kernel's release (`6.1.0-18-amd64`) is at least `wanted`; one that cannot be read is taken for new.
fn release_is_at_least(wanted: (u32, u32), release: &str) -> bool {
    let mut parts =
        release.split(|c: char| !c.is_ascii_digit()).map_while(|part| part.parse().ok());
    match (parts.next(), parts.next()) {
        (Some(major), Some(minor)) => (major, minor) >= wanted,
        _ => true,
    }
}

/// The ranges in the text of /etc/subuid: first and last id.
fn subordinate(text: &str) -> Vec<(u64, u64)> {
    let range = |line: &str| {
        let mut fields = line.split(':').skip(1).map(|field| field.trim().parse::<u64>());
        let (first, count) = (fields.next()?.ok()?, fields.next()?.ok()?);
        Some((first, first.saturating_add(count.checked_sub(1)?)))
    };
    text.lines().filter_map(range).collect()
}

fn meets((first, last): (u64, u64), base: u32) -> bool {
    let base = u64::from(base);
    first < base + u64::from(COUNT) && base <= last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_range_ends_below_two_to_the_31() {
        let last = FIRST + RANGES * COUNT + (COUNT - 1);
        assert!(last < 1 << 31, "{last}");
    }

    #[test]
    fn a_range_that_the_host_gave_to_a_user_is_left_alone() {
        let lent = subordinate("ann:100000:65536\nbob:2013331456:65536\nbroken\ncid:5:0\n");
        assert_eq!(lent, [(100_000, 165_535), (2_013_331_456, 2_013_396_991)]);
        assert!(meets(lent[1], FIRST + COUNT) && !meets(lent[1], FIRST + 2 * COUNT));
    }

    #[test]
    fn the_release_of_a_kernel_is_read_whatever_follows_its_numbers() {
        for (release, new) in
            [("6.1.0-18-amd64", true), ("5.19.0", true), ("5.15.0-91-generic", false), ("?", true)]
        {
            assert_eq!(release_is_at_least((5, 19), release), new, "{release}");
        }
    }
}
