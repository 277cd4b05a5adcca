//! Commands that messages advise: they work as they are printed, typed on this host.

use breakit::node::{Node, Via};
use breakit::program::quote;
use breakit::reach;

use crate::fault_id::FaultId;

/// What comes before a command that is to run in the network of `node`.
pub fn enter(node: &Node) -> String {
    let of_process = |pid: u32| format!("nsenter -t {pid} -n ");
    match &node.via {
        Via::Netns(name) => format!("ip netns exec {} ", quote(name)),
        Via::Pid(pid) => of_process(*pid),
        Via::Lxc(container) => {
            reach::init_of(container).ok().flatten().map(of_process).unwrap_or_default()
        }
        Via::Ssh(host) => {
            let sudo = if host.sudo { "sudo " } else { "" };
            format!("ssh {} {sudo}", quote(&host.destination))
        }
        Via::Local | Via::Address(_) => String::new(),
    }
}

/// What clears a fault that was found at `node`.
pub fn clear(node: &Node, id: FaultId) -> String {
    match &node.via {
        Via::Local => format!("slownet clear --id {id}"),
        Via::Ssh(_) | Via::Address(_) => {
            format!("slownet clear -n {} --id {id}", quote(format!("{}={}", node.name, node.via)))
        }
        _ => format!("slownet clear --all --id {id}"),
    }
}
