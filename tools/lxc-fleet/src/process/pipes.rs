//! Pipes between us and a program in a node: what the program does to their mode or owner harms nobody.

use std::fs;
use std::io::{self, PipeReader, PipeWriter};

use breakit::exit::{Error, Result};
use nix::fcntl::{FcntlArg, fcntl};
use nix::unistd::{Gid, Uid, fchown};

use crate::node::cgroup;

/// How much a pipe holds, in bytes: a sixteenth of it is the kernel's default.
const SIZE: i32 = 1 << 20;

/// The host's ids of a node's root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Root {
    uid: u32,
    gid: u32,
}

impl Root {
    /// The root of the node whose first process is `init`.
    ///
    /// # Errors
    /// 71 if it is gone.
    pub fn of(init: u32) -> Result<Root> {
        let read = |map: &str| {
            let text = fs::read_to_string(format!("/proc/{init}/{map}")).unwrap_or_default();
            host_id_of_root(&text).ok_or_else(cgroup::gone)
        };
        Ok(Root { uid: read("uid_map")?, gid: read("gid_map")? })
    }

    /// A pipe that belongs to it: its programs can open `/dev/stderr` anew.
    ///
    /// # Errors
    /// 71 if the system has none.
    pub fn pipe(self) -> Result<(PipeReader, PipeWriter)> {
        let place = |e: io::Error| Error::io("make a pipe", &e);
        let (reader, writer) = io::pipe().map_err(place)?;
        fchown(&writer, Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid)))
            .map_err(|e| place(e.into()))?;
        // Where the system does not allow as much, it is only slower.
        let _ = fcntl(&writer, FcntlArg::F_SETPIPE_SZ(SIZE));
        Ok((reader, writer))
    }
}

/// Which id of the host is 0 there, in the text of /proc/PID/uid_map or gid_map.
fn host_id_of_root(map: &str) -> Option<u32> {
    map.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next()? == "0").then_some(())?;
        words.next()?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_of_a_node_is_whoever_the_map_says() {
        assert_eq!(host_id_of_root("         0          0 4294967295\n"), Some(0));
        assert_eq!(host_id_of_root("  1000 5 1\n     0     100000      65536\n"), Some(100_000));
        assert_eq!(host_id_of_root(""), None);
    }
}
