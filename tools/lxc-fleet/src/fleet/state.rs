//! What a fleet has, on disk: written before anything is made, removed after everything is gone.
//!
//! So whatever a killed `up` left half made is known to the next `up` or `down`. The file survives a reboot,
//! after which `up` mounts and starts the same nodes again with the files that they had.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use breakit::exit::{Error, Result};
use breakit::node::{Fleet, Name, Node, RUN, Via};
use serde::{Deserialize, Serialize};

use crate::files;
use crate::fleet::lock::{Lock, LockOfAll};
use crate::node::ids::Ids;
use crate::node::limits::{self, Limits};
use crate::node::seccomp::Allow;
use crate::places::{BASE, RUN_ROOT};
use crate::private;
use crate::step::Step;

/// One node, as the fleet remembers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its number in the subnet, from 1: the address is that of [`address`].
    pub number: u8,
    /// What it was made of.
    pub image: String,
    /// Paths of the host that it sees although they would be hidden.
    #[serde(default)]
    pub show: Vec<PathBuf>,
    /// The size of the disk of its own that it has, in bytes.
    #[serde(default)]
    pub disk: Option<u64>,
    /// System calls that it may make although they would be refused.
    #[serde(default)]
    pub allow: Vec<Allow>,
    /// How much of the host it may use.
    #[serde(default)]
    pub limits: Limits,
}

/// What new nodes are made of, and what they may do.
#[derive(Clone, Copy, Debug)]
pub struct Make<'a> {
    /// What they are made of.
    pub image: &'a str,
    /// Paths of the host that they see although they would be hidden.
    pub show: &'a [PathBuf],
    /// System calls that they may make although they would be refused.
    pub allow: &'a [Allow],
    /// How much of the host each may use.
    pub limits: &'a Limits,
    /// The size of the disk of its own that each gets, in bytes.
    pub disk: Option<u64>,
}

/// A fleet's memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The first three bytes of its addresses.
    pub subnet: [u8; 3],
    /// The user ids of its nodes.
    #[serde(default)]
    pub ids: Ids,
    /// The most memory of all its nodes together in bytes, if it was asked for.
    #[serde(default)]
    pub memory: Option<u64>,
    /// The ports of the host that its nodes may open connections to.
    #[serde(default)]
    pub allow_host: Vec<u16>,
    /// Whether its nodes may open connections to other networks.
    #[serde(default)]
    pub nat: bool,
    /// Its nodes, in the order in which they were made.
    pub members: Vec<Member>,
}

/// The last byte of the first node's address is one more than this; the bridge itself has 1.
const OFFSET: u8 = 10;

/// How many nodes a subnet has room for.
pub const MOST: u8 = 240;

/// The address of node `number` in `subnet`.
pub fn address(subnet: [u8; 3], number: u8) -> Ipv4Addr {
    Ipv4Addr::new(subnet[0], subnet[1], subnet[2], OFFSET + number)
}

impl State {
    /// The most memory of all its nodes together in bytes.
    pub fn memory(&self) -> u64 {
        self.memory.unwrap_or_else(limits::half_of_the_host)
    }

    /// A fleet without nodes.
    pub fn new(subnet: [u8; 3], ids: Ids) -> State {
        State { subnet, ids, memory: None, allow_host: Vec::new(), nat: false, members: Vec::new() }
    }

    /// The member of this name.
    pub fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }

    /// Adds a node: its number is that in its name where that is free, else the lowest free one.
    ///
    /// # Errors
    /// 64 where the subnet is full.
    pub fn add(&mut self, name: &Name, make: Make<'_>) -> Result<()> {
        let free = |n: &u8| self.members.iter().all(|member| member.number != *n);
        let own = number_in(name.as_str()).filter(free);
        let number = own.or_else(|| (1..=MOST).find(free)).ok_or_else(|| {
            Error::usage(format!(
                "a fleet has room for {MOST} nodes; make a second one with BREAKIT_FLEET"
            ))
        })?;
        self.members.push(Member {
            name: name.to_string(),
            number,
            image: make.image.to_string(),
            show: make.show.to_vec(),
            allow: make.allow.to_vec(),
            limits: make.limits.clone(),
            disk: make.disk,
        });
        Ok(())
    }

    /// The nodes as the other tools see them.
    pub fn nodes(&self, fleet: &Name) -> Vec<Node> {
        let node = |member: &Member| {
            Some(Node {
                name: Name::new(&member.name).ok()?,
                addrs: vec![IpAddr::V4(address(self.subnet, member.number))],
                via: Via::Lxc(container(fleet, &member.name)),
            })
        };
        self.members.iter().filter_map(node).collect()
    }
}

/// `n12` has the number 12.
fn number_in(name: &str) -> Option<u8> {
    let start = name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    name[start..].parse().ok().filter(|n| (1..=MOST).contains(n))
}

/// What LXC calls a node.
pub fn container(fleet: &Name, node: &str) -> String {
    format!("breakit-{fleet}-{node}")
}

/// The folder under /run that has what others may read of a fleet: its node lines, and /etc/hosts of its nodes.
pub fn run_dir(fleet: &Name) -> PathBuf {
    PathBuf::from(RUN).join(fleet.as_str())
}

/// Locks a fleet: one `up`, `down`, `start`, `stop` or `kill` at a time.
///
/// # Errors
/// 71 or 77.
pub fn lock(fleet: &Name) -> Result<Lock> {
    Lock::take(&lock_dir(fleet))
}

/// The folder whose lock that is.
pub fn lock_dir(fleet: &Name) -> PathBuf {
    private::locks().join(fleet.as_str())
}

/// Locks what all fleets share: the store, and the choice of subnets.
///
/// # Errors
/// 71 or 77.
pub fn lock_all() -> Result<LockOfAll> {
    LockOfAll::take()
}

fn folder() -> PathBuf {
    PathBuf::from(BASE).join("fleets")
}

fn file(fleet: &Name) -> PathBuf {
    folder().join(format!("{fleet}.json"))
}

/// The fleet's memory; `None` where there is no such fleet.
///
/// # Errors
/// 65 where the file is damaged, 71 or 77 where it cannot be read.
pub fn load(fleet: &Name) -> Result<Option<State>> {
    let path = file(fleet);
    match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| {
            Error::data(format!(
                "{}: {}; run lxc-fleet down, which ends the containers of this fleet",
                path.display(),
                breakit::op::json_clause(&e)
            ))
        }),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io(format!("read {}", path.display()), &e)),
    }
}

/// Every fleet on this host that has a memory.
///
/// # Errors
/// 71 or 77.
pub fn fleets() -> Result<Vec<Name>> {
    let mut names: Vec<Name> = files::entries(&folder())?
        .iter()
        .filter_map(|entry| Name::new(entry.strip_suffix(".json")?).ok())
        .collect();
    names.sort();
    Ok(names)
}

/// Every fleet on this host whose memory can be read: another's damaged file is told where that fleet is used,
/// and stops nobody else.
///
/// # Errors
/// 71 or 77.
pub fn readable() -> Result<Vec<(Name, State)>> {
    let read = |name: Name| load(&name).ok().flatten().map(|state| (name, state));
    Ok(fleets()?.into_iter().filter_map(read).collect())
}

/// Remembers a fleet; the file is whole at every moment.
///
/// # Errors
/// 71 or 77.
pub fn save(fleet: &Name, state: &State) -> Result<()> {
    let text = serde_json::to_string_pretty(state)
        .map_err(|e| Error::system(format!("cannot write the memory of fleet {fleet}: {e}")))?;
    files::write_whole(&file(fleet), &text)
}

/// Forgets a fleet, and tells the other tools that it is gone.
///
/// # Errors
/// 71 or 77.
pub fn forget(fleet: &Name) -> Result<()> {
    for path in [file(fleet), Fleet { name: fleet.clone() }.node_file()] {
        files::remove(&files::draft(&path))?;
        files::remove(&path)?;
    }
    // Fails where something of another kind is still in there, and it is of no harm.
    let _ = fs::remove_dir(folder());
    Ok(())
}

/// Removes the fleet's folders under /run; the caller holds its lock, and whoever waits for it finds it gone.
pub fn forget_run_dir(fleet: &Name) {
    for folder in [run_dir(fleet), lock_dir(fleet)] {
        let _ = fs::remove_dir(folder);
    }
}

/// Removes the folder in which roots are mounted. The caller holds [`lock_all`], there is no fleet and nothing is
/// being built: the kernel would detach the roots of nodes that run.
pub fn forget_run_root() {
    let _ = fs::remove_dir(RUN_ROOT);
}

/// The step that tells the other tools which nodes there are.
pub fn telling<'a>(fleet: &'a Name, state: &'a State) -> Step<'a> {
    let file = run_dir(fleet).join("nodes.jsonl");
    Step::told(format!("# write {}", file.display()), || tell(fleet, state))
}

fn tell(fleet: &Name, state: &State) -> Result<()> {
    let lines: String = state.nodes(fleet).iter().map(|node| node.line() + "\n").collect();
    let folder = run_dir(fleet);
    fs::create_dir_all(&folder).map_err(|e| Error::io(format!("make {}", folder.display()), &e))?;
    files::write(&Fleet { name: fleet.clone() }.node_file(), &lines, 0o644)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make(limits: &Limits) -> Make<'_> {
        Make { image: "host", show: &[], allow: &[], limits, disk: None }
    }

    #[test]
    fn a_node_gets_the_number_in_its_name_or_the_lowest_free_one() {
        let mut state = State::new([10, 213, 0], Ids::Host);
        let limits = Limits::default();
        for name in ["n2", "db", "n1", "n900"] {
            state.add(&Name::new(name).unwrap(), make(&limits)).unwrap();
        }
        let numbers: Vec<u8> = state.members.iter().map(|m| m.number).collect();
        assert_eq!(numbers, [2, 1, 3, 4]);
        assert_eq!(address(state.subnet, 2).to_string(), "10.213.0.12");
    }

    #[test]
    fn a_full_subnet_is_said_to_be_full() {
        let mut state = State::new([10, 213, 0], Ids::Host);
        let limits = Limits::default();
        for n in 1..=MOST {
            state.add(&Name::new(&format!("n{n}")).unwrap(), make(&limits)).unwrap();
        }
        let error = state.add(&Name::new("x").unwrap(), make(&limits)).unwrap_err();
        assert!(error.to_string().contains("room for 240 nodes"), "{error}");
        assert_eq!(address(state.subnet, MOST).octets()[3], 250);
    }
}
