//! The connections that one sits on: they stay when their node's packets are dropped.
//!
//! That is every established peer of an sshd on a node, and the SSH_CONNECTION of any process above us.

use std::collections::{BTreeSet, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use breakit::exit::Result;
use breakit::node::Node;
use breakit::reach::Network;
use nix::sys::stat::fstat;

use crate::rules::{End, Exempt};

/// A login over the network.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Login {
    client: IpAddr,
    server: IpAddr,
    port: u16,
}

/// What each node must let pass, in the nodes' order.
///
/// # Errors
/// 71 where a host over ssh cannot be asked.
pub fn of(nodes: &[Node], addresses: &[Vec<IpAddr>]) -> Result<Vec<BTreeSet<Exempt>>> {
    let servers = Servers::here();
    let mut logins: BTreeSet<Login> = ancestors().collect();
    for found in breakit::node::at_once(nodes, |node| logins_at(node, &servers)) {
        logins.extend(found?);
    }
    Ok(addresses
        .iter()
        .map(|own| logins.iter().filter_map(|l| l.seen_from(own)).collect())
        .collect())
}

impl Login {
    /// What the host with these addresses must let pass for the login to stay.
    fn seen_from(&self, own: &[IpAddr]) -> Option<Exempt> {
        if own.contains(&self.server) {
            return Some(Exempt { peer: self.client, port: self.port, server: End::Here });
        }
        let client = own.contains(&self.client);
        client.then_some(Exempt { peer: self.server, port: self.port, server: End::There })
    }

    /// `CLIENT CPORT SERVER PORT`, as sshd sets SSH_CONNECTION.
    fn of_environment(text: &str) -> Option<Login> {
        // A link-local address has its interface behind it.
        let mut words = text.split_whitespace().map(|word| word.split('%').next().unwrap_or(word));
        let client: IpAddr = words.next()?.parse().ok()?;
        let server: IpAddr = words.nth(1)?.parse().ok()?;
        let port = words.next()?.parse().ok()?;
        Some(Login { client: client.to_canonical(), server: server.to_canonical(), port })
    }
}

fn logins_at(node: &Node, servers: &Servers) -> Result<Vec<Login>> {
    let sshd = |row: &Row| servers.sockets.contains(&row.socket);
    match Network::of(node) {
        // Not running, or nobody can act there: nobody sits there either.
        Err(_) => Ok(Vec::new()),
        Ok(Network::Ssh(host)) => {
            let script =
                "echo \"$SSH_CONNECTION\"; cat /proc/net/tcp /proc/net/tcp6 2>/dev/null; true";
            // sudo hides by which way we came.
            let network = Network::Ssh(host.as_login());
            let said =
                network.run(Path::new("sh"), ["-c", script], None, Duration::from_secs(15))?;
            Ok(logins_over_ssh(&String::from_utf8_lossy(&said.stdout)))
        }
        // No sshd, no login. To read the table takes long, however small it is: the kernel walks that of all networks.
        Ok(network) if !servers.may_be_in(&network) => Ok(Vec::new()),
        Ok(network) => network.inside(|| {
            let read = |name| std::fs::read_to_string(name).unwrap_or_default();
            let text = read("/proc/thread-self/net/tcp") + &read("/proc/thread-self/net/tcp6");
            Ok(text
                .lines()
                .filter_map(Row::established)
                .filter(sshd)
                .map(|row| row.login)
                .collect())
        }),
    }
}

/// On another host we cannot see whose a socket is; but we know the port that we came in by.
fn logins_over_ssh(said: &str) -> Vec<Login> {
    let (first, tables) = said.split_once('\n').unwrap_or((said, ""));
    let ours = Login::of_environment(first);
    let Some(port) = ours.as_ref().map(|login| login.port) else { return Vec::new() };
    let rows = tables.lines().filter_map(Row::established).map(|row| row.login);
    ours.into_iter().chain(rows.filter(|login| login.port == port)).collect()
}

/// A row of /proc/net/tcp, as seen by the server: its own end is the local one.
struct Row {
    login: Login,
    socket: u64,
}

impl Row {
    /// The row, where it is an established connection.
    fn established(line: &str) -> Option<Row> {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.get(3) != Some(&"01") {
            return None;
        }
        let ((server, port), (client, _)) = (end(words.get(1)?)?, end(words.get(2)?)?);
        let socket = words.get(9)?.parse().ok()?;
        Some(Row { login: Login { client, server, port }, socket })
    }
}

/// `0100007F:0016`: words in the machine's own order, the port in hexadecimal.
fn end(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let word = |at: usize| u32::from_str_radix(address.get(at * 8..at * 8 + 8)?, 16).ok();
    let address = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?.to_ne_bytes())),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?].map(u32::to_ne_bytes);
            let bytes: [u8; 16] = words.concat().try_into().ok()?;
            IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical()
        }
        _ => return None,
    };
    Some((address, u16::from_str_radix(port, 16).ok()?))
}

/// The ssh servers of this host and of every container of it.
struct Servers {
    /// The sockets that they hold.
    sockets: HashSet<u64>,
    /// The networks that those can be of, by device and inode; `None` if that is not known of every server.
    networks: Option<HashSet<(u64, u64)>>,
}

impl Servers {
    fn here() -> Servers {
        let own = std::fs::metadata("/proc/self/ns/net").map(|own| (own.dev(), own.ino()));
        let networks = own.ok().map(|own| HashSet::from([own]));
        let mut found = Servers { sockets: HashSet::new(), networks };
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let name = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            if ["sshd", "sshd-session", "sshd-auth", "dropbear"].contains(&name.trim()) {
                found.add(pid);
            }
        }
        found
    }

    fn add(&mut self, pid: u32) {
        let open = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        let links = open.filter_map(|fd| std::fs::read_link(fd.path()).ok());
        self.sockets.extend(links.filter_map(|link| {
            link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse::<u64>().ok()
        }));
        // A socket is of the network of the process that made it: the server, or one above it that handed it on.
        for maker in lineage(pid) {
            match (std::fs::metadata(format!("/proc/{maker}/ns/net")), &mut self.networks) {
                (Ok(of), Some(networks)) => {
                    networks.insert((of.dev(), of.ino()));
                }
                // One above it that we may not look at is in a network that we cannot enter, or in our own.
                (Err(_), _) if maker != pid => {}
                // It has ended, and its logins with it.
                (Err(error), _) if error.kind() == std::io::ErrorKind::NotFound => {}
                _ => self.networks = None,
            }
        }
    }

    fn may_be_in(&self, network: &Network) -> bool {
        let among = |networks: &HashSet<(u64, u64)>| match network {
            Network::Namespace(of) => {
                fstat(of).is_ok_and(|of| networks.contains(&(of.st_dev, of.st_ino)))
            }
            Network::Here | Network::Ssh(_) => true,
        };
        !self.sockets.is_empty() && self.networks.as_ref().is_none_or(among)
    }
}

/// A process and those above it.
fn lineage(pid: u32) -> impl Iterator<Item = u32> {
    std::iter::successors(Some(pid), |pid| parent(*pid).filter(|parent| *parent > 0))
}

/// The logins that we and the processes above us came by.
fn ancestors() -> impl Iterator<Item = Login> {
    lineage(std::process::id()).filter_map(|pid| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
        let environment = String::from_utf8_lossy(&environment).into_owned();
        let said = environment.split('\0').find_map(|word| word.strip_prefix("SSH_CONNECTION="))?;
        Login::of_environment(said)
    })
}

fn parent(pid: u32) -> Option<u32> {
    // The name before it may hold blanks and brackets: the last bracket closes it.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(client: &str, server: &str) -> Login {
        Login { client: client.parse().unwrap(), server: server.parse().unwrap(), port: 22 }
    }

    #[test]
    fn a_row_of_the_kernels_table_is_read_with_its_addresses_the_right_way_round() {
        if cfg!(target_endian = "big") {
            return;
        }
        let row =
            "   1: 0A4D0001:0016 0B4D000A:D431 01 00000000:00000000 02:0009 00000000 0 0 4711 2 0";
        let row = Row::established(row).unwrap();
        assert_eq!((row.login, row.socket), (login("10.0.77.11", "1.0.77.10"), 4711));
        let listening = "   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:0 0 0 0 99 1 0";
        assert!(Row::established(listening).is_none());
    }

    #[test]
    fn a_mapped_address_is_the_v4_address_that_it_is() {
        if cfg!(target_endian = "big") {
            return;
        }
        assert_eq!(
            end("0000000000000000FFFF00000100007F:0016").unwrap(),
            ("127.0.0.1".parse().unwrap(), 22)
        );
    }

    #[test]
    fn a_login_is_let_pass_at_both_its_ends_and_nowhere_else() {
        let login = Login::of_environment("192.0.2.9 50000 192.0.2.1 22").unwrap();
        let at = |own: &str| login.seen_from(&[own.parse().unwrap()]).map(|e| (e.peer, e.server));
        assert_eq!(at("192.0.2.1"), Some(("192.0.2.9".parse().unwrap(), End::Here)));
        assert_eq!(at("192.0.2.9"), Some(("192.0.2.1".parse().unwrap(), End::There)));
        assert_eq!(at("192.0.2.2"), None);
        let login = Login::of_environment("fe80::9%eth0 50000 fe80::1%eth0 22").unwrap();
        let at = |own: &str| login.seen_from(&[own.parse().unwrap()]).map(|e| e.peer.to_string());
        assert_eq!(at("fe80::1").as_deref(), Some("fe80::9"));
    }

    #[test]
    fn over_ssh_every_login_by_our_own_port_counts() {
        let said = "192.0.2.9 50000 192.0.2.1 22\n";
        assert_eq!(logins_over_ssh(said), [login("192.0.2.9", "192.0.2.1")]);
        assert!(logins_over_ssh("\n").is_empty());
    }
}
