//! What works here, and what would be chosen, with the reason for each no.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use breakit::exit::{Error, Result, Status};
use breakit::jsonl;
use breakit::lease::Lease;
use breakit::node::{self, Node};
use breakit::reach::Network;
use nix::sched::{CloneFlags, unshare};
use serde_json::{Value, json};

use crate::backend::{self, Backend, Common, Task};
use crate::grudge::Grudge;
use crate::nft::Nft;
use crate::packets::Packets;
use crate::privilege::needs_root;

/// Prints it as one JSON line. Exit status 69 where nothing works, 0 else.
///
/// # Errors
/// 66 where a node does not run.
pub fn run(nodes: &[Node]) -> Result<Status> {
    let addresses = backend::addresses(nodes)?;
    let task = Task { nodes, addresses: &addresses, peers: false, outward: false };
    let mut chosen = Value::Null;
    let mut rows = Vec::new();
    for backend in Backend::ALL {
        let why = match trial(backend) {
            Err(error) => Some(error.to_string()),
            Ok(()) if nodes.is_empty() => None,
            Ok(()) => backend.why_not(&task)?,
        };
        if why.is_none() && chosen.is_null() {
            chosen = backend.to_string().into();
        }
        rows.push(match why {
            None => json!({ "backend": backend.to_string(), "works": true }),
            Some(why) => json!({ "backend": backend.to_string(), "works": false, "why": why }),
        });
    }
    let works = !chosen.is_null();
    let names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
    jsonl::print(&json!({ "chosen": chosen, "backends": rows, "nodes": names }).to_string())?;
    Ok(if works { Status::Done } else { Status::Missing })
}

/// Makes a cut between two nodes that do not exist, in a network that ends with the trial.
fn trial(backend: Backend) -> Result<()> {
    let nft = Nft::find();
    let nodes = ["a=local", "b=local"].map(String::from);
    let nodes = node::resolve(&nodes)?;
    let names = [nodes[0].name.clone(), nodes[1].name.clone()];
    let losses = backend::of_grudge(&Grudge::between(&names, &[0, 1]), &nodes)?;
    let addresses = [1, 2].map(|last| vec![IpAddr::V4(Ipv4Addr::new(192, 0, 2, last))]);
    let common = Common {
        nodes: &nodes,
        addresses: &addresses,
        link_local: &[],
        exempt: &[],
        ports: &[],
        interfaces: &[],
        translates: &[],
        packets: &Packets::ALL,
        name: "breakit_partition_trial",
        spares_loopback: false,
    };
    let tables = backend.rules(&losses, &common);
    let network = throw_away()?;
    for (_, table) in tables {
        let script = table.install(Lease { length: Duration::from_secs(1) });
        nft.run_script(&network, &script).map_err(Error::from)?;
    }
    Ok(())
}

/// A network of its own that nobody else sees; it ends when nothing holds it open any more.
fn throw_away() -> Result<Network> {
    let made = std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET)?;
        File::open("/proc/thread-self/ns/net")
    });
    match made.join() {
        Ok(Ok(file)) => Ok(Network::Namespace(file.into())),
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::PermissionDenied => Err(needs_root()),
        Ok(Err(error)) => Err(Error::io("make a network for a trial", &error)),
        Err(_) => Err(Error::system("the thread that makes a network for a trial died")),
    }
}
