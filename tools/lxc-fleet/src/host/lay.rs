//! Writes a mask down as layers of overlays.
//!
//! | folder | what is in it |
//! |---|---|
//! | `host` | what all users of the host may read: below [`NODE`] what the node sees, by redirects to the host's folders |
//! | `shown` | the same for what is shown on request; it is there only if something is |
//! | `flat` | instead of these two, if the host's root is an overlay itself: whiteouts for all that is not seen |
//! | `bare` | the node's own empty folders and files, a plain layer |
//!
//! The attributes that make a redirect can be set by the host's root alone, and the overlays over `host` and
//! `shown` are the only ones that follow them (see [`crate::host::view`]).

use std::ffi::CString;
use std::fs::{self, File, Metadata, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

use breakit::exit::{Error, Result};
use nix::errno::Errno;
use nix::libc;
use nix::sys::stat::{Mode, SFlag, makedev, mknod};

use crate::host::hide_host::{Mask, Piece, Pieces};
use crate::host::overlay;

/// The folder in `host` and `shown` that becomes the node's root. It is no root of an overlay, and so can be
/// opaque: a folder that is made in the host's / later does not appear in it.
pub const NODE: &str = "node";

/// A layer that is being written.
pub struct Layer {
    folder: PathBuf,
    /// What is added to an id of the host to have that of the layer's files.
    base: u32,
}

impl Mask {
    /// Makes the layers in `folder`, which is to be empty or missing; their files are owned by the host's ids, to
    /// which `base` is added.
    ///
    /// # Errors
    /// 71 if the system refuses.
    pub fn lay(&self, folder: &Path, base: u32) -> Result<()> {
        if overlay::has_room()? {
            pieces(&folder.join("host"), &self.host, base)?;
            if !self.shown.is_empty() {
                pieces(&folder.join("shown"), &self.shown, base)?;
            }
        } else {
            let layer = Layer::new(&folder.join("flat"), base)?;
            self.unseen()?.iter().try_for_each(|path| layer.piece(path, &Piece::Nothing))?;
        }
        let bare = Layer::new(&folder.join("bare"), base)?;
        for (path, mode) in &self.folders {
            let inside = bare.folder(path)?;
            fs::set_permissions(&inside, Permissions::from_mode(*mode))
                .map_err(|e| place(&inside, &e))?;
        }
        self.accounts.iter().try_for_each(|file| locked_accounts(&bare, file))
    }
}

fn pieces(folder: &Path, pieces: &Pieces, base: u32) -> Result<()> {
    Layer::new(folder, base)?;
    let layer = Layer::new(&folder.join(NODE), base)?;
    attribute(&layer.folder, c"trusted.overlay.opaque", b"y")?;
    pieces.iter().try_for_each(|(path, piece)| layer.piece(path, piece))
}

impl Layer {
    /// An empty layer in `folder`, a root like any other: for all to enter.
    ///
    /// # Errors
    /// 71 if the system refuses.
    pub fn new(folder: &Path, base: u32) -> Result<Layer> {
        let made = fs::create_dir_all(folder)
            .and_then(|()| lchown(folder, Some(base), Some(base)))
            .and_then(|()| fs::set_permissions(folder, Permissions::from_mode(0o755)));
        made.map_err(|e| place(folder, &e))?;
        Ok(Layer { folder: folder.to_path_buf(), base })
    }

    fn piece(&self, path: &Path, piece: &Piece) -> Result<()> {
        if let Some(above) = path.parent() {
            self.folder(above)?;
        }
        let inside = self.within(path);
        match piece {
            Piece::Closed => attribute(&self.folder(path)?, c"trusted.overlay.opaque", b"y"),
            Piece::Folder => redirect(&self.folder(path)?, path),
            Piece::File => self.file(&inside, path),
            Piece::Link(target) => self.link(&inside, target),
            Piece::Nothing => self.whiteout(&inside),
        }
    }

    /// A folder in the layer, and those above it, with the host's owners and modes: an upper folder's own count.
    ///
    /// # Errors
    /// 71 if the system refuses.
    pub fn folder(&self, path: &Path) -> Result<PathBuf> {
        let mut inside = self.folder.clone();
        for (i, part) in path.components().enumerate().skip(1) {
            inside.push(part);
            match fs::create_dir(&inside) {
                Ok(()) => {}
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => continue,
                Err(e) => return Err(place(&inside, &e)),
            }
            let host: PathBuf = path.components().take(i + 1).collect();
            match fs::metadata(&host) {
                Ok(found) => self.like(&inside, &found)?,
                Err(_) => self.own(&inside, 0, 0)?,
            }
        }
        Ok(inside)
    }

    /// A file with this text in place of the host's, with its owner and mode.
    ///
    /// # Errors
    /// 71 if the system refuses.
    pub fn write(&self, path: &Path, text: &str) -> Result<()> {
        if let Some(above) = path.parent() {
            self.folder(above)?;
        }
        let inside = self.within(path);
        fs::write(&inside, text).map_err(|e| place(&inside, &e))?;
        let host = fs::metadata(path).map_err(|e| place(&inside, &e))?;
        self.like(&inside, &host)
    }

    /// The host's file: one of the same size and owner, whose content is the host's.
    fn file(&self, inside: &Path, host: &Path) -> Result<()> {
        let found = fs::metadata(host).map_err(|e| place(inside, &e))?;
        File::create(inside)
            .and_then(|file| file.set_len(found.len()))
            .map_err(|e| place(inside, &e))?;
        self.like(inside, &found)?;
        attribute(inside, c"trusted.overlay.metacopy", b"")?;
        redirect(inside, host)
    }

    fn link(&self, inside: &Path, target: &Path) -> Result<()> {
        symlink(target, inside).map_err(|e| place(inside, &e))?;
        self.own(inside, 0, 0)
    }

    /// A whiteout, as overlayfs knows it: a character device 0:0.
    fn whiteout(&self, inside: &Path) -> Result<()> {
        mknod(inside, SFlag::S_IFCHR, Mode::empty(), makedev(0, 0))
            .map_err(|errno| place(inside, &errno.into()))?;
        self.own(inside, 0, 0)
    }

    fn like(&self, inside: &Path, host: &Metadata) -> Result<()> {
        self.own(inside, host.uid(), host.gid())?;
        fs::set_permissions(inside, Permissions::from_mode(host.mode() & 0o7777))
            .map_err(|e| place(inside, &e))
    }

    /// Gives what is in the layer to a user of the host, as the layer's ids have it.
    fn own(&self, inside: &Path, user: u32, group: u32) -> Result<()> {
        let id = |id: u32| Some(self.base.saturating_add(id));
        lchown(inside, id(user), id(group)).map_err(|e| place(inside, &e))
    }

    /// Where in the layer a path of the host is.
    fn within(&self, path: &Path) -> PathBuf {
        self.folder.join(path.strip_prefix("/").unwrap_or(path))
    }
}

/// Lets the kernel take what is at `host` in the lower layer for what is in the folder or file `inside`.
fn redirect(inside: &Path, host: &Path) -> Result<()> {
    attribute(inside, c"trusted.overlay.redirect", host.as_os_str().as_bytes())
}

fn attribute(path: &Path, name: &std::ffi::CStr, value: &[u8]) -> Result<()> {
    let file = CString::new(path.as_os_str().as_bytes())
        .map_err(|e| Error::system(format!("make {}: {e}", path.display())))?;
    let (bytes, length) = (value.as_ptr().cast(), value.len());
    // SAFETY: both names are C strings, the value has that length, and all outlive the call.
    let done = unsafe { libc::lsetxattr(file.as_ptr(), name.as_ptr(), bytes, length, 0) };
    Errno::result(done).map(drop).map_err(|errno| place(path, &errno.into()))
}

/// A shadow file in which every account of the host is there and locked: login programs and the scripts of
/// packages need the file, and nobody needs the host's hashes.
fn locked_accounts(bare: &Layer, file: &Path) -> Result<()> {
    let (names, rest) = match file.file_name().and_then(|name| name.to_str()) {
        Some("gshadow") => ("/etc/group", ":!::\n"),
        _ => ("/etc/passwd", ":*:19000:0:99999:7:::\n"),
    };
    let names = fs::read_to_string(names).map_err(|e| Error::io(format!("read {names}"), &e))?;
    let text: String = names
        .lines()
        .filter_map(|line| line.split(':').next())
        .map(|name| format!("{name}{rest}"))
        .collect();
    bare.folder(Path::new("/etc"))?;
    let inside = bare.within(file);
    fs::write(&inside, text).map_err(|e| place(&inside, &e))?;
    match fs::metadata(file) {
        Ok(host) => bare.like(&inside, &host),
        Err(_) => fs::set_permissions(&inside, Permissions::from_mode(0o600))
            .map_err(|e| place(&inside, &e))
            .and_then(|()| bare.own(&inside, 0, 0)),
    }
}

fn place(path: &Path, error: &std::io::Error) -> Error {
    Error::io(format!("make {}", path.display()), error)
}
