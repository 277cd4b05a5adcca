//! The connection that one sits on: what an sshd of the node sends is never made slow, unless forced.

use std::fs;

use breakit::reach::Network;

use crate::step::Step;

/// The ports whose sshd must stay quick: that of the session we run in, and the usual one.
///
/// Only a host that one logs in to has them; a container or namespace is reached through this host.
pub fn ports(network: &Network) -> Vec<u16> {
    let connections = match network {
        Network::Namespace(_) => return Vec::new(),
        Network::Here => of_ancestors(),
        // sudo hides by which way we came.
        Network::Ssh(host) => {
            let login = Network::Ssh(host.as_login());
            Step::new("printenv SSH_CONNECTION").run(&login).into_iter().collect()
        }
    };
    let mut ports: Vec<u16> = connections.iter().filter_map(|text| server_port(text)).collect();
    ports.push(22);
    ports.sort_unstable();
    ports.dedup();
    ports
}

/// `SSH_CONNECTION` of every process above us: sudo and su drop it from our own environment.
fn of_ancestors() -> Vec<String> {
    let mut found: Vec<String> = std::env::var("SSH_CONNECTION").into_iter().collect();
    let mut pid = std::os::unix::process::parent_id();
    while pid > 1 {
        // Of a process that is another user's nothing can be read; those above it are still asked.
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let mut variables = environment.split(|byte| *byte == 0);
        let value = variables.find_map(|variable| variable.strip_prefix(b"SSH_CONNECTION="));
        found.extend(value.map(|value| String::from_utf8_lossy(value).into_owned()));
        pid = parent(pid).unwrap_or(0);
    }
    found
}

fn parent(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}

/// The last word of "CLIENT PORT SERVER PORT".
fn server_port(connection: &str) -> Option<u16> {
    connection.split_whitespace().nth(3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_s_port_is_the_last_word() {
        assert_eq!(server_port("192.0.2.7 51234 192.0.2.1 2222\n"), Some(2222));
        assert_eq!(server_port("nonsense"), None);
    }
}
