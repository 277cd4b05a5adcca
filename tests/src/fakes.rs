//! Programs that stand in for helpers, as in the `PATH` of somebody who means harm.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::Folder;

/// Their variables, of which no helper may see one.
const VARIABLES: [&str; 4] = ["BASH_ENV", "LD_DEBUG_OUTPUT", "XTABLES_LOCKFILE", "IFS"];

/// What a helper may find in its environment: what we give it, and what its shell adds.
const ALLOWED: [&str; 12] = [
    "PATH",
    "LC_ALL",
    "HOME",
    "USER",
    "LOGNAME",
    "SSH_AUTH_SOCK",
    "KRB5CCNAME",
    "XDG_RUNTIME_DIR",
    "PWD",
    "OLDPWD",
    "SHLVL",
    "_",
];

/// A folder of them. Each writes down its environment when it is run, and fails.
#[derive(Debug)]
pub struct Fakes(Folder);

impl Fakes {
    /// Makes one for each name.
    ///
    /// # Panics
    /// Where the system refuses.
    #[track_caller]
    pub fn new(names: &[&str]) -> Fakes {
        let folder = Folder::new("fakes");
        for name in names {
            let ran = folder.file("ran");
            // Whole at once: several may run at one time.
            let ran = ran.display();
            let script = format!(
                "#!/bin/sh\n/usr/bin/env >'{ran}'.$$\n/bin/mv '{ran}'.$$ '{ran}'\nexit 3\n"
            );
            let path = folder.write(name, script);
            std::fs::set_permissions(path, PermissionsExt::from_mode(0o755))
                .unwrap_or_else(|e| panic!("{name}: {e}"));
        }
        Fakes(folder)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Puts them first in a command's `PATH`, and their variables beside it, as `sudo -E` would.
    pub fn first_in_path(&self, command: &mut Command) {
        let rest = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{rest}", self.path().display()));
        for name in VARIABLES {
            command.env(name, self.path());
        }
    }

    /// The same as words in front of a shell's command.
    pub fn assignments(&self) -> String {
        let folder = self.path().display();
        let variables = VARIABLES.map(|name| format!("{name}={folder} ")).concat();
        format!("PATH={folder}:$PATH {variables}")
    }

    /// The environment of the last that was run, by name; `None` if none was.
    pub fn ran(&self) -> Option<Vec<String>> {
        let said = std::fs::read_to_string(self.0.file("ran")).ok()?;
        Some(said.lines().filter_map(|line| Some(line.split_once('=')?.0.to_string())).collect())
    }

    /// Requires that none was run.
    ///
    /// # Panics
    /// Where one was.
    #[track_caller]
    pub fn are_left_alone(&self) {
        assert_eq!(self.ran(), None, "a program of somebody's PATH was run");
    }

    /// Requires that one was run, and saw nothing of our environment that it does not need.
    ///
    /// # Panics
    /// Where that is not so.
    #[track_caller]
    pub fn were_run_with_a_clean_environment(&self) {
        let Some(names) = self.ran() else { panic!("none was run") };
        let more: Vec<_> = names.iter().filter(|name| !ALLOWED.contains(&name.as_str())).collect();
        assert!(more.is_empty(), "{more:?}");
    }
}
