//! The file that is /etc/hosts in all nodes of a fleet: one file, bound into each, so that all always agree.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use breakit::exit::{Error, Result};
use breakit::node::Name;

use crate::fleet::state::{self, State};
use crate::step::{self, Step};

/// Where it is. The ids of nodes must be able to come to it.
pub fn path(fleet: &Name) -> PathBuf {
    state::run_dir(fleet).join("hosts")
}

/// The step that writes it.
pub fn writing<'a>(fleet: &'a Name, state: &'a State) -> Step<'a> {
    Step::told(format!("# write {}", step::path(&path(fleet))), || write(fleet, state))
}

/// It is bound into nodes, so it is changed in place.
fn write(fleet: &Name, state: &State) -> Result<()> {
    let mut text = String::from("127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n");
    for node in state.nodes(fleet) {
        text += &node
            .addrs
            .iter()
            .map(|address| format!("{address} {}\n", node.name))
            .collect::<String>();
    }
    let path = path(fleet);
    let place = |e: std::io::Error| Error::io(format!("write {}", path.display()), &e);
    fs::create_dir_all(state::run_dir(fleet)).map_err(place)?;
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(false).open(&path).map_err(place)?;
    file.write_all(text.as_bytes()).and_then(|()| file.set_len(text.len() as u64)).map_err(place)
}
