//! The filesystem of layers and nodes: an ext4 image of our own, mounted while a fleet needs it.
//!
//! It must not be the root filesystem itself: an overlay refuses two lower directories of which one lies inside
//! the other, and a submount of / does not appear in an overlay of /, so that nodes cannot see one another's
//! files. Its size is reserved on the host's disk, so that a node meets a full store and never a full host.
//! All callers hold [`crate::fleet::state::lock_all`].
//!
//! | module | what it holds |
//! |---|---|
//! | [`store_size`] | how large it is |
//! | [`room`] | reserved room on a disk |
//! | [`ext4`] | filesystems in files |
//! | [`mounts`] | what is mounted |
//! | [`remove`] | removing trees of any depth |
//! | [`sweep`] | files that no fleet needs any more |

pub mod ext4;
pub mod mounts;
pub mod remove;
pub mod room;
pub mod store_size;
pub mod sweep;

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use breakit::exit::{Error, Result};
use breakit::messages;
use breakit::program;
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount as mount2, umount2};
use nix::sys::statvfs::{FsFlags, statvfs};

use crate::files;
use crate::fleet::lock::Lock;
use crate::fleet::state;
use crate::places::{self, BASE};
use crate::private;
use crate::step::{self, Step};
use crate::store::ext4::Superblock;
use crate::store::mounts::is_mounted;
use crate::store::store_size::{Kind, Plan, StoreArgs};

/// How long processes that have ended may take to let go of the store.
const ENDING: Duration = Duration::from_secs(1);

/// Opens the store for something new; makes it first if it is missing.
///
/// # Errors
/// As [`opening`] and its steps; 71 if the store is full.
pub fn open(asked: &StoreArgs) -> Result<()> {
    step::take(opening(asked)?)?;
    enough()
}

/// The steps that open the store, and make it first if it is missing.
///
/// # Errors
/// 64 if it is there and not as asked, 69 if a program is missing, 71 if the disk has too little room.
pub fn opening<'a>(asked: &StoreArgs) -> Result<Vec<Step<'a>>> {
    let plan = to_make(asked)?;
    let making = plan.map(|plan| Step::new(move || shown_making(plan), move || make(plan)));
    Ok(making.into_iter().chain(mounting(plan)?).collect())
}

/// The store that is to be made, if it is missing.
fn to_make(asked: &StoreArgs) -> Result<Option<Plan>> {
    if places::store_file().exists() {
        return store_size::is_as_asked(asked, file_size()?, kind()?).map(|()| None);
    }
    store_size::plan(asked, room::free(existing_base())?).map(Some)
}

/// Opens the store that is there, and repairs it if it cannot be written to any more.
///
/// # Errors
/// 69 if a program or loop devices are missing, 71 if mounting fails.
pub fn open_existing() -> Result<()> {
    step::take(mounting(None)?)
}

/// The steps that mount the store; `plan` has it if it is still to be made.
fn mounting<'a>(plan: Option<Plan>) -> Result<Vec<Step<'a>>> {
    let mounting = if is_mounted(&places::store())? {
        Step::silent(|| illness().map_or(Ok(()), heal))
    } else {
        let show = move || {
            let kind = plan.map_or_else(kind, |plan| Ok(plan.kind))?;
            let folder = format!("mkdir -p -m 700 {}", step::path(&places::store()));
            Ok([folder, program::show(&mount_command(kind)?)])
        };
        Step::new(show, mount)
    };
    Ok(vec![mounting, Step::silent(sweep::forgotten)])
}

/// The folder of the store, or the next one above it that is there.
fn existing_base() -> &'static Path {
    let base = Path::new(BASE);
    base.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("/"))
}

fn file_size() -> Result<u64> {
    let place =
        |e: std::io::Error| Error::io(format!("look at {}", places::store_file().display()), &e);
    fs::metadata(places::store_file()).map(|found| found.len()).map_err(place)
}

/// Whether the store that is there has its room reserved.
///
/// # Errors
/// 71 if its file cannot be read.
pub fn kind() -> Result<Kind> {
    Superblock::read(&places::store_file()).map(|found| Kind::of_label(&found.label))
}

fn mount() -> Result<()> {
    private::folder(&places::store())?;
    let kind = kind()?;
    if kind == Kind::Reserved {
        reserve_again();
    }
    if !Superblock::read(&places::store_file())?.clean {
        repair()?;
    }
    let mounted = program::succeed(&mut mount_command(kind)?, None, Duration::from_secs(60));
    mounted.map(drop).map_err(|e| {
        let loopless = !Path::new("/dev/loop-control").exists();
        if loopless {
            return Error::missing(
                "this kernel has no loop devices (/dev/loop-control), which the store needs; load the module loop",
            );
        }
        e.at(format!("the store {}", places::store_file().display()))
    })?;
    close()
}

/// What the kernel punched out of the file (it does so to write zeros) is reserved once more.
fn reserve_again() {
    let again = fs::OpenOptions::new().write(true).open(places::store_file()).is_ok_and(|opened| {
        let size = file_size().unwrap_or(0);
        room::is_reserved(&opened, size).unwrap_or(false)
            || room::reserve(&opened, &places::store_file(), size).is_ok()
    });
    if !again {
        messages::say(format!(
            "not all of {} is reserved on the disk any more, and the disk is full: make room there",
            places::store_file().display()
        ));
    }
}

/// Nobody but root enters the store, whatever mode a folder in it has.
fn close() -> Result<()> {
    fs::set_permissions(places::store(), Permissions::from_mode(private::FOLDER))
        .map_err(|e| Error::io(format!("close {} to others", places::store().display()), &e))
}

/// What mounts the store.
///
/// # Errors
/// 69 if mount is missing.
fn mount_command(kind: Kind) -> Result<Command> {
    // What is freed in a sparse file is given back to the host; in a reserved one it stays ours.
    ext4::mount(
        &places::store_file(),
        &places::store(),
        if kind == Kind::Sparse { ",discard" } else { "" },
    )
}

/// Makes the store beside its final name: a making that is killed leaves nothing that looks whole.
fn make(plan: Plan) -> Result<()> {
    private::folder(Path::new(BASE))?;
    let new = draft();
    let made = make_draft(plan).and_then(|()| {
        fs::rename(&new, places::store_file())
            .map_err(|e| Error::io(format!("make {}", new.display()), &e))
    });
    if made.is_err() {
        let _ = fs::remove_file(&new);
    }
    made
}

/// What a shell does to make the store.
fn shown_making(plan: Plan) -> Result<Vec<String>> {
    let (file, new, size) = (step::path(&places::store_file()), step::path(&draft()), plan.size);
    let reserve = match plan.kind {
        Kind::Reserved => format!("fallocate -l {size} {new}"),
        Kind::Sparse => format!("truncate -s {size} {new}"),
    };
    let mkfs = program::show(&mkfs_command(plan.kind)?);
    let folder = format!("mkdir -p -m 700 {BASE}");
    Ok(vec![folder, reserve, format!("chmod 600 {new}"), mkfs, format!("mv {new} {file}")])
}

fn make_draft(plan: Plan) -> Result<()> {
    let new = draft();
    let mut mkfs = mkfs_command(plan.kind)?;
    let opened = room::new_file(&new)?;
    match plan.kind {
        Kind::Reserved => room::reserve(&opened, &new, plan.size)?,
        Kind::Sparse => opened
            .set_len(plan.size)
            .map_err(|e| Error::io(format!("make {}", new.display()), &e))?,
    }
    program::succeed(&mut mkfs, None, Duration::from_secs(120)).map(drop)
}

/// The name under which the store's file is made.
fn draft() -> PathBuf {
    places::store_file().with_extension("new")
}

/// What makes the filesystem in [`draft`].
///
/// # Errors
/// 69 if mkfs.ext4 is missing.
fn mkfs_command(kind: Kind) -> Result<Command> {
    ext4::mkfs(&draft(), kind.label(), kind.bytes_per_inode())
}

/// Whether there is room for something new.
fn enough() -> Result<()> {
    store_size::enough(kind()?, room::free(&places::store())?, room::free(Path::new(BASE))?)
}

/// Why the mounted store cannot be written to, if so. A store that is only full can.
fn illness() -> Option<Errno> {
    if is_read_only() {
        return Some(Errno::EROFS);
    }
    let probe = places::store().join(".probe");
    let written = fs::write(&probe, "").and_then(|()| fs::remove_file(&probe));
    let errno = written.err()?.raw_os_error().map(Errno::from_raw)?;
    sweep::is_ill(errno).then_some(errno)
}

fn is_read_only() -> bool {
    statvfs(&places::store()).is_ok_and(|found| found.flags().contains(FsFlags::ST_RDONLY))
}

/// Unmounts the store that the kernel lets nobody write to any more, has it checked, and mounts it again.
fn heal(why: Errno) -> Result<()> {
    let in_use = || {
        Error::system(format!(
            "the store {} cannot be written to any more ({}), and nodes or a builder still use it; run lxc-fleet down --all, and then this again",
            places::store_file().display(),
            why.desc()
        ))
    };
    let read_only = is_read_only();
    umount2(&places::store(), MntFlags::UMOUNT_NOFOLLOW).map_err(|_| in_use())?;
    if !ext4::is_let_go(&places::store_file())? {
        // The nodes' own mounts hold the filesystem: where it was mounted, down finds it.
        mount_as_it_was(read_only)?;
        return Err(in_use());
    }
    mount()?;
    messages::say(format!(
        "the store {} could not be written to any more ({}); it was checked and mounted again",
        places::store_file().display(),
        why.desc()
    ));
    Ok(())
}

/// Mounts once more what other mount namespaces still have mounted; the kernel refuses it with another mode than theirs.
fn mount_as_it_was(read_only: bool) -> Result<()> {
    let Some(device) = ext4::device(&places::store_file())? else { return Ok(()) };
    let mut flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOATIME;
    flags.set(MsFlags::MS_RDONLY, read_only);
    mount2(Some(&device), &places::store(), Some("ext4"), flags, None::<&str>).map_err(|e| {
        Error::io(format!("mount the store {} again", places::store_file().display()), &e.into())
    })
}

fn repair() -> Result<()> {
    if kind()? == Kind::Sparse {
        // On a full disk it would only do more damage.
        store_size::enough_on_host(room::free(Path::new(BASE))?)?;
    }
    ext4::check(&places::store_file())
}

/// The step that gives the store back; `unmounts` says whether nothing needs it any more.
pub fn releasing<'a>(unmounts: bool) -> Step<'a> {
    let line = unmounts.then(|| format!("umount {}", step::path(&places::store())));
    Step::new(move || Ok(line), release)
}

/// Unmounts the store where no fleet is left and nothing is being built in it.
///
/// # Errors
/// 71 where unmounting fails for another reason than that somebody is at work there.
pub fn release() -> Result<()> {
    if !state::fleets()?.is_empty() || !is_mounted(&places::store())? {
        return Ok(());
    }
    if is_built_in() {
        // It may be built in another mount namespace, from where it does not keep our mount busy: the kernel would
        // take the builder's mount away as well when we remove the folder.
        messages::detail("the store stays mounted: an image is being built in it");
        return Ok(());
    }
    sweep::nodes()?;
    match let_go() {
        Ok(()) => {
            // The kernel detaches the loop device by itself: mount(8) asked for that.
            let _ = fs::remove_dir(places::store());
            state::forget_run_root();
            Ok(())
        }
        Err(Errno::EBUSY) => {
            messages::detail("the store stays mounted: somebody is at work in it");
            Ok(())
        }
        Err(errno) => Err(Error::io("unmount the store", &errno.into())),
    }
}

/// Unmounts the store. What has just ended may have its files open for a moment longer.
fn let_go() -> nix::Result<()> {
    let end = Instant::now() + ENDING;
    loop {
        match umount2(&places::store(), MntFlags::UMOUNT_NOFOLLOW) {
            Err(Errno::EBUSY) if Instant::now() < end => {
                std::thread::sleep(Duration::from_millis(20));
            }
            other => return other,
        }
    }
}

/// Whether somebody builds an image: the folders in which that is done begin with a dot, and are locked.
fn is_built_in() -> bool {
    let images = places::store().join("images");
    let sites = files::entries(&images).unwrap_or_default();
    sites.iter().any(|site| site.starts_with('.') && Lock::try_take(&images.join(site)).is_none())
}

/// Removes the store's file; all layers go with it.
///
/// # Errors
/// 71 where a fleet still uses it.
pub fn remove() -> Result<()> {
    release()?;
    if is_mounted(&places::store())? {
        return Err(Error::system(
            "the store is in use; run lxc-fleet down --all first, or wait for the image that is being built",
        ));
    }
    for path in [places::store_file(), draft()] {
        match fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io(format!("remove {}", path.display()), &e));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Takes from others what an earlier version left them of the store.
///
/// # Errors
/// 71 or 77.
pub fn narrow() -> Result<()> {
    if fs::metadata(places::store_file()).is_ok_and(|found| found.mode() & 0o077 != 0) {
        fs::set_permissions(places::store_file(), Permissions::from_mode(private::FILE)).map_err(
            |e| Error::io(format!("close {} to others", places::store_file().display()), &e),
        )?;
    }
    let wanted = FsFlags::ST_NOSUID | FsFlags::ST_NODEV;
    // Asked first, as this is done at every command and the list of mounts may be long.
    let loose = statvfs(&places::store()).is_ok_and(|found| !found.flags().contains(wanted));
    if loose && is_mounted(&places::store())? {
        let flags = MsFlags::MS_REMOUNT
            | MsFlags::MS_BIND
            | MsFlags::MS_NOSUID
            | MsFlags::MS_NODEV
            | MsFlags::MS_NOATIME;
        mount2(None::<&str>, &places::store(), None::<&str>, flags, None::<&str>).map_err(|e| {
            Error::io(format!("close {} to others", places::store().display()), &e.into())
        })?;
    }
    Ok(())
}
