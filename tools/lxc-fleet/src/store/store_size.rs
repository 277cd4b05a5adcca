//! How large the store becomes, and whether its room is reserved: decided once, when it is made.

use breakit::exit::{Error, Result};
use breakit::size::{parse_size, show_about, show_size};
use clap::Args;

use crate::places::BASE;

/// The store that the first `up` or `image` makes.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct StoreArgs {
    /// The size of a store that does not exist yet: 4G, 500M [default: 4G, or a tenth of what is free]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub store_size: Option<u64>,
    /// Let the store grow as it is filled; a full disk of the host then stops the nodes [default: reserve its size]
    #[arg(long)]
    pub sparse: bool,
}

const MB: u64 = 1 << 20;

/// The size of a reserved store, unless a tenth of what is free is more.
const USUAL: u64 = 4 << 30;

/// What a store has at least when nobody asked for a size.
const LEAST_UNASKED: u64 = 1 << 30;

/// What a store has at least: below that the filesystem itself takes most of it.
const LEAST: u64 = 256 * MB;

/// How large a sparse store can become; it takes room on the disk only for what is in it.
const SPARSE: u64 = 64 << 30;

/// What a store leaves to the host, and what a sparse one needs there to be filled.
const FOR_HOST: u64 = 512 * MB;

/// What the host needs beside a reserved store: for configurations and logs.
const FOR_LOGS: u64 = 16 * MB;

/// What must be free in the store before a node is made.
const FOR_NODE: u64 = 64 * MB;

/// Whether the store's room is taken from the disk at once or as it is filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// At once: a full disk stops no node.
    Reserved,
    /// As it is filled (`--sparse`, and what earlier versions made).
    Sparse,
}

impl Kind {
    /// The name of the filesystem says it: a file of its own could be lost.
    pub fn of_label(label: &str) -> Kind {
        if label == Kind::Reserved.label() { Kind::Reserved } else { Kind::Sparse }
    }

    /// The name that the filesystem gets.
    pub fn label(self) -> &'static str {
        match self {
            Kind::Reserved => "breakit-reserved",
            Kind::Sparse => "breakit",
        }
    }

    /// How many bytes there are for each file.
    pub fn bytes_per_inode(self) -> u32 {
        match self {
            Kind::Reserved => 16_384,
            Kind::Sparse => 32_768,
        }
    }
}

/// A store that is to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// In bytes.
    pub size: u64,
    /// Whether its room is reserved.
    pub kind: Kind,
}

/// Plans a store on a disk with `free` bytes: as asked, or else 4 GB or a tenth of what is free, whichever is more,
/// or what there is.
///
/// # Errors
/// 64 for a size that no store can have, 71 if the disk has too little left.
pub fn plan(asked: &StoreArgs, free: u64) -> Result<Plan> {
    if let Some(size) = asked.store_size.filter(|size| *size < LEAST) {
        return Err(Error::usage(format!(
            "a store of {} is too small; give it {} or more",
            show_size(size),
            show_size(LEAST)
        )));
    }
    if asked.sparse {
        enough_on_host(free)?;
        return Ok(Plan { size: rounded(asked.store_size.unwrap_or(SPARSE)), kind: Kind::Sparse });
    }
    let most = free.saturating_sub(FOR_HOST);
    let (size, least) = match asked.store_size {
        Some(size) => (size, size),
        None => (USUAL.max(free / 10).min(most), LEAST_UNASKED),
    };
    if size > most || size < least {
        return Err(Error::system(format!(
            "only {} are free under {BASE}, and a store takes {} at once and leaves {} to the host; make room there, choose a smaller --store-size, or take room as it is filled with --sparse",
            show_about(free),
            show_about(size.max(least)),
            show_about(FOR_HOST)
        )));
    }
    Ok(Plan { size: rounded(size), kind: Kind::Reserved })
}

fn rounded(size: u64) -> u64 {
    size / MB * MB
}

/// Whether the store that is there, of this size and kind, is what was asked for; what was not asked for does not
/// matter.
///
/// # Errors
/// 64 if it is not.
pub fn is_as_asked(asked: &StoreArgs, size: u64, kind: Kind) -> Result<()> {
    let other = |what: String| {
        Err(Error::usage(format!(
            "{what}; without that flag it is used as it is, and lxc-fleet down --all and image rm --all remove it, with all images, so that it is made anew"
        )))
    };
    match asked.store_size {
        Some(wanted) if rounded(wanted) != rounded(size) => other(format!(
            "the store is there and has {}, not {}",
            show_size(size),
            show_size(wanted)
        )),
        _ if asked.sparse && kind == Kind::Reserved => {
            other("the store is there, and its room is reserved".into())
        }
        _ => Ok(()),
    }
}

/// Whether there is room for something new: `free` bytes in the store, `on_host` bytes on the disk that it lies on.
///
/// # Errors
/// 71 if there is not.
pub fn enough(kind: Kind, free: u64, on_host: u64) -> Result<()> {
    if free < FOR_NODE {
        return Err(Error::system(format!(
            "the store is full: only {} are free in it; take nodes down, remove images with lxc-fleet image rm, or make a larger store: lxc-fleet down --all, image rm --all, and then --store-size",
            show_about(free)
        )));
    }
    match kind {
        Kind::Sparse => enough_on_host(on_host),
        Kind::Reserved if on_host < FOR_LOGS => Err(too_little(on_host, FOR_LOGS)),
        Kind::Reserved => Ok(()),
    }
}

/// Whether the disk has room for a sparse store to be filled.
///
/// # Errors
/// 71 if it has not.
pub fn enough_on_host(free: u64) -> Result<()> {
    if free < FOR_HOST { Err(too_little(free, FOR_HOST)) } else { Ok(()) }
}

fn too_little(free: u64, needed: u64) -> Error {
    Error::system(format!(
        "only {} are free under {BASE}, and a fleet needs {}; make room there",
        show_about(free),
        show_about(needed)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use breakit::exit::Status;

    const GB: u64 = 1 << 30;

    fn asked(store_size: Option<u64>, sparse: bool) -> StoreArgs {
        StoreArgs { store_size, sparse }
    }

    fn size(store_size: Option<u64>, free: u64) -> Result<u64> {
        plan(&asked(store_size, false), free).map(|plan| plan.size)
    }

    #[test]
    fn a_store_has_4_gb_or_a_tenth_of_what_is_free_or_what_there_is() {
        assert_eq!(size(None, 20 * GB), Ok(4 * GB));
        assert_eq!(size(None, 100 * GB), Ok(10 * GB));
        assert_eq!(size(None, 3 * GB), Ok(3 * GB - FOR_HOST));
        assert_eq!(size(Some(2 * GB), 3 * GB), Ok(2 * GB));
        let sparse = Plan { size: SPARSE, kind: Kind::Sparse };
        assert_eq!(plan(&asked(None, true), GB), Ok(sparse));
    }

    #[test]
    fn what_does_not_fit_is_refused_with_the_ways_out() {
        for (store_size, free) in [(None, GB), (Some(4 * GB), 4 * GB), (None, 0)] {
            let said = size(store_size, free).unwrap_err();
            assert_eq!(said.status(), Status::System);
            assert!(
                said.to_string().contains("--store-size") && said.to_string().contains("--sparse")
            );
        }
        assert_eq!(size(Some(LEAST - 1), 100 * GB).unwrap_err().status(), Status::Usage);
        assert!(plan(&asked(None, true), FOR_HOST - 1).is_err());
    }

    #[test]
    fn a_store_that_is_there_is_used_unless_another_is_asked_for() {
        let judge = |args, kind| is_as_asked(&args, 4 * GB, kind).is_ok();
        assert!(judge(asked(None, false), Kind::Reserved));
        assert!(judge(asked(Some(4 * GB), false), Kind::Reserved));
        assert!(judge(asked(None, false), Kind::Sparse));
        assert!(!judge(asked(Some(8 * GB), false), Kind::Reserved));
        assert!(!judge(asked(None, true), Kind::Reserved));
    }

    #[test]
    fn a_reserved_store_needs_nothing_of_the_host_but_room_for_logs() {
        assert!(enough(Kind::Reserved, GB, FOR_LOGS).is_ok());
        assert!(enough(Kind::Sparse, GB, FOR_LOGS).is_err());
        assert!(enough(Kind::Reserved, FOR_NODE - 1, GB).is_err());
    }
}
