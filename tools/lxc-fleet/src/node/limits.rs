//! How much of the host a node and a fleet may use.

use std::fs;

use breakit::exit::{Error, Result};
use breakit::size;
use clap::Args;
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

/// How many processes and threads a node has if nothing else was asked for.
pub const PROCESSES: u32 = 4096;

/// How many descriptors a program has until it asks for more.
const SOFT_NOFILE: u64 = 65_536;

/// How many it can ask for, if the host allows as many.
const HARD_NOFILE: u64 = 1_048_576;

/// The limits of a node, as they were asked for.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// The maximum memory of each new node, such as 512M [default: the fleet's memory]
    #[arg(long, value_name = "SIZE", value_parser = size::parse_size)]
    pub memory: Option<u64>,
    /// The maximum number of processes and threads of each new node [default: 4096]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(16..=4_194_304))]
    pub processes: Option<u32>,
    /// The maximum number of open files of a program in a new node [default: 65536, up to 1048576 on request]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(64..=1_073_741_816))]
    pub nofile: Option<u64>,
}

impl Limits {
    /// The most processes and threads.
    pub fn processes(&self) -> u32 {
        self.processes.unwrap_or(PROCESSES)
    }

    /// The soft and the hard limit of open files; the kernel lets nobody have more than `most`.
    pub fn nofile(&self, most: u64) -> (u64, u64) {
        match self.nofile {
            Some(asked) => (asked, asked),
            None => (SOFT_NOFILE.min(most), HARD_NOFILE.min(most)),
        }
    }

    /// The first of the options in `asked` that this node was not made with.
    pub fn differs(&self, asked: &Limits) -> Option<&'static str> {
        let other = |asked: bool, same: bool| asked && !same;
        if other(asked.memory.is_some(), asked.memory == self.memory) {
            return Some("--memory");
        }
        if other(asked.processes.is_some(), asked.processes() == self.processes()) {
            return Some("--processes");
        }
        other(asked.nofile.is_some(), asked.nofile == self.nofile).then_some("--nofile")
    }

    /// Requires what this host can give.
    ///
    /// # Errors
    /// 64 for more open files than the kernel allows, 77 for more than we may hand on.
    pub fn possible(&self) -> Result<()> {
        let Some(asked) = self.nofile else { return Ok(()) };
        if asked > most_files() {
            return Err(Error::usage(format!(
                "--nofile {asked} is more than this host allows (fs.nr_open is {})",
                most_files()
            )));
        }
        may_hand_on(asked)
    }
}

/// A node's limit comes from ours, which only who has CAP_SYS_RESOURCE may raise.
fn may_hand_on(files: u64) -> Result<()> {
    let place = |e: Errno| Error::io("read the limit of open files", &e.into());
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(place)?;
    if files <= hard {
        return Ok(());
    }
    let raised = setrlimit(Resource::RLIMIT_NOFILE, soft, files);
    let _ = setrlimit(Resource::RLIMIT_NOFILE, soft, hard);
    raised.map_err(|_| {
        Error::not_permitted(format!(
            "--nofile {files} is more than lxc-fleet itself may have: its hard limit is {hard} (ulimit -Hn), and it may not raise it"
        ))
    })
}

/// The most open files that the kernel lets a program have.
pub fn most_files() -> u64 {
    let text = fs::read_to_string("/proc/sys/fs/nr_open").unwrap_or_default();
    text.trim().parse().unwrap_or(HARD_NOFILE)
}

/// What all nodes of a fleet have together if nothing else was asked for: half of the host's memory, in bytes.
pub fn half_of_the_host() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kilobytes = total.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(2 << 20) * 1024 / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_files_are_as_many_as_asked_for_or_as_the_host_allows() {
        let none = Limits::default();
        assert_eq!(none.nofile(1 << 30), (65_536, 1_048_576));
        assert_eq!(none.nofile(20_000), (20_000, 20_000));
        let asked = Limits { nofile: Some(100), ..Limits::default() };
        assert_eq!(asked.nofile(1 << 30), (100, 100));
    }

    #[test]
    fn a_node_that_is_there_keeps_its_limits() {
        let node = Limits { memory: Some(1 << 20), ..Limits::default() };
        assert_eq!(node.differs(&Limits::default()), None);
        assert_eq!(node.differs(&node), None);
        let asked = Limits { processes: Some(PROCESSES), ..Limits::default() };
        assert_eq!(node.differs(&asked), None);
        let asked = Limits { memory: Some(2 << 20), ..Limits::default() };
        assert_eq!(node.differs(&asked), Some("--memory"));
    }
}
