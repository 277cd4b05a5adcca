//! Another kernel, which has what this one lacks and lacks what this one has: `uml-run` boots it in seconds.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::{Run, Running, has};

/// `uml-run`, which lies beside the repository and not in it, and a folder that the other kernel sees as it is.
pub struct Uml {
    uml_run: PathBuf,
    folder: PathBuf,
}

impl Uml {
    /// Makes the folder, with a copy of the built tool `tool` in it.
    ///
    /// # Errors
    /// Why it cannot be had here; `programs` are those that scripts will run, each with its package.
    ///
    /// # Panics
    /// Where the folder cannot be made.
    #[allow(clippy::unwrap_used)]
    pub fn with(tool: &str, programs: &[(&str, &str)]) -> Result<Uml, String> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/tools/uml/uml-run");
        let uml_run = path.canonicalize().map_err(
            |_| "uml-run is not there; it lies in ../shared/tools/uml beside the repository",
        )?;
        let own = [("linux.uml", "user-mode-linux"), ("gcc", "gcc"), ("modprobe", "kmod")];
        if let Some((program, package)) = own.iter().chain(programs).find(|(name, _)| !has(name)) {
            return Err(format!("{program} is missing; install the package {package}"));
        }
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("breakit-uml-{}-{count}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let built = crate::process::tool(tool);
        std::fs::copy(built.get_program(), folder.join(tool)).unwrap();
        Ok(Uml { uml_run, folder })
    }

    /// The folder, in which scripts run there.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs a script of bash there, in the folder.
    ///
    /// # Panics
    /// Where the script cannot be written.
    #[allow(clippy::unwrap_used)]
    pub fn run(&self, script: &str) -> Run {
        let path = self.folder.join("script");
        std::fs::write(&path, script).unwrap();
        let mut command = Command::new(&self.uml_run);
        command.arg("bash").arg(&path).env("UML_RW", &self.folder).current_dir(&self.folder);
        // It boots in seconds, but has what a busy machine leaves it.
        command.env("UML_TIMEOUT", "600");
        Running::start(&mut command).end(Duration::from_secs(620))
    }
}

impl Drop for Uml {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
