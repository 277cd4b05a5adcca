//! The network namespaces of this host.

use std::collections::BTreeSet;
use std::fs::{self, DirEntry, File};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use crate::node::Via;
use crate::reach::Network;

/// Every network of this host in which some process lives or that ip-netns(8) knows, ours first; each once.
pub fn all() -> Vec<(Via, Network)> {
    let entries = |folder: &str| fs::read_dir(folder).into_iter().flatten().flatten();
    let named = entries("/run/netns").map(|entry| (netns(&entry), entry.path()));
    let process = |entry: DirEntry| {
        let number = entry.file_name().to_str()?.parse().ok()?;
        Some((Via::Pid(number), entry.path().join("ns/net")))
    };
    let own = (Via::Local, PathBuf::from("/proc/self/ns/net"));
    let mut seen = BTreeSet::new();
    std::iter::once(own)
        .chain(named)
        .chain(entries("/proc").filter_map(process))
        .filter_map(|(via, path)| {
            let file = File::open(path).ok()?;
            let metadata = file.metadata().ok()?;
            let is_new = seen.insert((metadata.dev(), metadata.ino()));
            is_new.then(|| (via, Network::Namespace(file.into())))
        })
        .collect()
}

fn netns(entry: &DirEntry) -> Via {
    Via::Netns(entry.file_name().to_string_lossy().into_owned())
}
