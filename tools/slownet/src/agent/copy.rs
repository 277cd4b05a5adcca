//! This program as it is sent to another host, and the script that receives it there.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use breakit::exit::{Error, Result};
use breakit::node::Host;
use breakit::{helper, program, ssh};

use crate::step::REMOTE_PATH;

/// Run by the shell of the other host: it has the room, the checks and the end of the file.
const RECEIVE: &str = include_str!("receive.sh");

/// Adding up a few megabytes takes no time; a busy machine may.
const LIMIT: Duration = Duration::from_secs(20);

/// This program, whole: the very file that runs here, also where another has taken its name since.
#[derive(Debug)]
pub struct Copy {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What kind of machine it is for, as uname(1) says.
    pub machine: String,
    hash: String,
}

impl Copy {
    /// Reads the program that runs here.
    ///
    /// # Errors
    /// 71 where it cannot be read, 69 where coreutils are missing.
    pub fn of_ourselves() -> Result<Copy> {
        let bytes =
            fs::read("/proc/self/exe").map_err(|e| Error::io("read our own program", &e))?;
        let sum =
            program::succeed(&mut helper::command("sha256sum", "coreutils")?, Some(&bytes), LIMIT)?;
        let mut uname = helper::command("uname", "coreutils")?;
        let machine = program::succeed(uname.arg("-m"), None, LIMIT)?.trim().to_string();
        let hash = sum.split_whitespace().next().unwrap_or_default().to_string();
        Ok(Copy { bytes, machine, hash })
    }

    /// What receives it on `host`.
    ///
    /// # Errors
    /// 69 where ssh is missing.
    pub fn receiver(&self, host: &Host) -> Result<Command> {
        let words: Vec<OsString> = self.words().into_iter().map(Into::into).collect();
        ssh::command(host, Path::new("env"), &words)
    }

    /// The same as one would type it, with the program on its stdin.
    pub fn show(&self) -> String {
        format!("env {} </proc/self/exe", program::typed(self.words()))
    }

    fn words(&self) -> [String; 7] {
        let size = self.bytes.len().to_string();
        let [sh, c, name] = ["sh", "-c", "slownet"].map(str::to_string);
        [REMOTE_PATH.into(), sh, c, RECEIVE.into(), name, size, self.hash.clone()]
    }
}
