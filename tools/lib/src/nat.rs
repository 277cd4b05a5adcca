//! Whether a network translates addresses (NAT): then packets carry others than those that their senders asked for.

use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::SockProtocol;

use crate::exit::{Error, Result};
use crate::netlink::{Ask, ask, attributes, find};
use crate::nf_tables::{CHAIN_TYPE, GET_CHAIN, HEADER};
use crate::reach::Network;

/// Lists of the tables of ip_tables. To ask for one that is not there would load it.
const LEGACY: [&str; 2] =
    ["/proc/thread-self/net/ip_tables_names", "/proc/thread-self/net/ip6_tables_names"];

/// The same question for a host over ssh.
const SCRIPT: &str = "PATH=\"$PATH:/usr/sbin:/sbin\"
    if grep -qsx nat /proc/net/ip_tables_names /proc/net/ip6_tables_names; then echo yes
    elif nft list chains 2>/dev/null | grep -q 'type nat '; then echo yes; fi";

const LIMIT: Duration = Duration::from_secs(15);

/// Whether `network` has rules for translating addresses.
///
/// # Errors
/// 77 where we may not ask, 71 where the kernel or the host does not say.
pub fn translates(network: &Network) -> Result<bool> {
    match network {
        Network::Ssh(_) => {
            let said = network.run(Path::new("sh"), ["-c", SCRIPT], None, LIMIT)?;
            Ok(String::from_utf8_lossy(&said.stdout).contains("yes"))
        }
        _ => network.inside(|| Ok(has_legacy_table() || has_chain()?)),
    }
}

fn has_legacy_table() -> bool {
    let names = LEGACY.iter().filter_map(|file| std::fs::read_to_string(file).ok());
    names.into_iter().any(|names| names.lines().any(|name| name == "nat"))
}

fn has_chain() -> Result<bool> {
    let mut found = false;
    let asked =
        ask(SockProtocol::NetlinkNetFilter, GET_CHAIN, Ask::All, &[0; HEADER], |_, body| {
            let of = attributes(body.get(HEADER..).unwrap_or_default());
            found |= find(of, CHAIN_TYPE) == Some(b"nat\0");
        });
    match asked {
        Ok(()) => Ok(found),
        // Such a kernel has no nf_tables.
        Err(Errno::EPROTONOSUPPORT | Errno::EOPNOTSUPP | Errno::EAFNOSUPPORT | Errno::EINVAL) => {
            Ok(false)
        }
        Err(Errno::EPERM) => {
            Err(Error::not_permitted("the kernel does not show its rules to us; run as root"))
        }
        Err(errno) => Err(Error::io("ask the kernel for its rules", &errno.into())),
    }
}
