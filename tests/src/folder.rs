//! A folder of a test's own.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A new folder that lives as long as this value, under a name that no other test has, in whatever process.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// Makes it; `name` is for whoever looks for what a killed test left behind.
    ///
    /// # Panics
    /// Where the system refuses.
    #[track_caller]
    pub fn new(name: &str) -> Folder {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("breakit-{name}-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Folder(path)
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The path of a file in it, there or not.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file in it; its path, as a tool takes it.
    ///
    /// # Panics
    /// Where the system refuses.
    #[track_caller]
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.file(name);
        std::fs::write(&path, bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        path.display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
