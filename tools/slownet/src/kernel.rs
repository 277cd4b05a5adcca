//! What the kernel of this host says of a network, asked of it over netlink(7) and procfs(5). To run a program for
//! each question takes longer than all else: on a hundred nodes that is a thousand of them.
//!
//! Every question has `None` for an answer on hosts over ssh, where programs must be asked.

use std::collections::HashMap;
use std::net::IpAddr;

use breakit::exit::{Error, Result};
use breakit::netlink::{Ask, ask, attribute, attributes, find};
use breakit::nf_tables::{GET_RULE, GET_TABLE, HEADER, RULE_CHAIN, RULE_TABLE, TABLE_NAME};
use breakit::reach::Network;
use nix::errno::Errno;
use nix::sys::socket::SockProtocol;
use serde_json::{Value, json};

const RTM_GETLINK: u16 = 18;
const RTM_GETADDR: u16 = 22;
const RTM_GETQDISC: u16 = 38;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const TCA_KIND: u16 = 1;
const TCA_STATS2: u16 = 7;
const TCA_INGRESS_BLOCK: u16 = 13;
const TCA_STATS_QUEUE: u16 = 3;
/// The sizes of struct ifinfomsg, ifaddrmsg and tcmsg.
const IFINFO: usize = 16;
const IFADDR: usize = 8;
const TCMSG: usize = 20;
const IFF_UP: u32 = 1;
const ARPHRD_LOOPBACK: u16 = 772;
const TC_H_ROOT: u32 = 0xffff_ffff;

const NFPROTO_INET: u8 = 1;

const IPSET_LIST: u16 = 6 << 8 | 7;
const IPSET_PROTOCOL: u16 = 1;
const IPSET_SETNAME: u16 = 2;
const IPSET_FLAGS: u16 = 6;
const NET_BYTE_ORDER: u16 = 0x4000;
/// Only the names of sets.
const LIST_SETNAME: u32 = 2;
/// The version of the protocol that all kernels from 2.6.39 on speak.
const IPSET_VERSION: u8 = 6;

/// The interfaces that are up, with their addresses, as `ip -j address show up` tells them.
///
/// # Errors
/// 71 where the kernel does not say.
pub fn links_up(network: &Network) -> Option<Result<Vec<Value>>> {
    asked(network, || {
        let mut links: Vec<(u32, Value)> = Vec::new();
        each(RTM_GETLINK, &[0; IFINFO], |body| {
            let (Some(kind), Some(index), Some(flags)) =
                (u16_at(body, 2), u32_at(body, 4), u32_at(body, 8))
            else {
                return;
            };
            let of = || attributes(body.get(IFINFO..).unwrap_or_default());
            if flags & IFF_UP != 0 {
                let kind = if kind == ARPHRD_LOOPBACK { "loopback" } else { "other" };
                let link = json!({
                    "ifindex": index, "ifname": text(find(of(), IFLA_IFNAME)), "link_type": kind,
                    "mtu": find(of(), IFLA_MTU).and_then(|mtu| u32_at(mtu, 0)), "addr_info": [],
                });
                links.push((index, link));
            }
        })?;
        each(RTM_GETADDR, &[0; IFADDR], |body| {
            let (Some(index), Some(address)) = (u32_at(body, 4), address(body)) else { return };
            if let Some((_, link)) = links.iter_mut().find(|(of, _)| *of == index)
                && let Some(addresses) = link["addr_info"].as_array_mut()
            {
                addresses.push(address);
            }
        })?;
        Ok(links.into_iter().map(|(_, link)| link).collect())
    })
}

fn address(body: &[u8]) -> Option<Value> {
    let family = if body.first()? == &2 { "inet" } else { "inet6" };
    let scope = if body.get(3)? == &0 { "global" } else { "other" };
    let of = || attributes(body.get(IFADDR..).unwrap_or_default());
    // Of a tunnel the one is ours and the other is its far end.
    let bytes = find(of(), IFA_LOCAL).or_else(|| find(of(), IFA_ADDRESS))?;
    let address = match bytes.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?),
        _ => IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?),
    };
    Some(
        json!({ "family": family, "local": address.to_string(), "prefixlen": body.get(1)?, "scope": scope }),
    )
}

/// The queueing disciplines of all interfaces, as `tc -s -j qdisc show` tells them, but without their options.
///
/// # Errors
/// 71 where the kernel does not say.
pub fn qdiscs(network: &Network) -> Option<Result<Vec<Value>>> {
    asked(network, || {
        let mut names: HashMap<u32, String> = HashMap::new();
        each(RTM_GETLINK, &[0; IFINFO], |body| {
            let name = find(attributes(body.get(IFINFO..).unwrap_or_default()), IFLA_IFNAME);
            names.extend(u32_at(body, 4).map(|index| (index, text(name))));
        })?;
        let mut found = Vec::new();
        each(RTM_GETQDISC, &[0; TCMSG], |body| found.extend(qdisc(body, &names)))?;
        Ok(found)
    })
}

fn qdisc(body: &[u8], names: &HashMap<u32, String>) -> Option<Value> {
    let (index, handle, parent) = (u32_at(body, 4)?, u32_at(body, 8)?, u32_at(body, 12)?);
    let of = || attributes(body.get(TCMSG..).unwrap_or_default());
    let mut qdisc = json!({
        "kind": text(find(of(), TCA_KIND)), "handle": format!("{:x}:", handle >> 16),
        "dev": names.get(&index)?, "ifindex": index, "options": {},
    });
    if parent == TC_H_ROOT {
        qdisc["root"] = true.into();
    } else {
        qdisc["parent"] = match (parent >> 16, parent & 0xffff) {
            (major, 0) => format!("{major:x}:").into(),
            (major, minor) => format!("{major:x}:{minor:x}").into(),
        };
    }
    let queue = find(of(), TCA_STATS2).and_then(|all| find(attributes(all), TCA_STATS_QUEUE));
    if let Some(held) = queue.and_then(|queue| u32_at(queue, 0)) {
        qdisc["qlen"] = held.into();
    }
    if let Some(block) = find(of(), TCA_INGRESS_BLOCK).and_then(|block| u32_at(block, 0)) {
        qdisc["ingress_block"] = block.into();
    }
    Some(qdisc)
}

/// A family of tables of nftables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// `ip`, where iptables-nft has its own.
    Ipv4 = 2,
    /// `ip6`.
    Ipv6 = 10,
    /// `inet`, where ours are.
    Inet = NFPROTO_INET as isize,
}

/// The names of the tables of a family; the inner `None` where the kernel has no nf_tables.
///
/// # Errors
/// 77 where we may not ask, 71 where the kernel does not say.
pub fn tables(network: &Network, family: Family) -> Option<Result<Option<Vec<String>>>> {
    asked(network, || {
        let mut found = Vec::new();
        let head = [family as u8, 0, 0, 0];
        let asked = ask(SockProtocol::NetlinkNetFilter, GET_TABLE, Ask::All, &head, |_, body| {
            let of = attributes(body.get(HEADER..).unwrap_or_default());
            if body.first() == Some(&(family as u8)) {
                found.push(text(find(of, TABLE_NAME)));
            }
        });
        match asked {
            Ok(()) => Ok(Some(found)),
            Err(errno) if lacks(errno) => Ok(None),
            Err(errno) => Err(refused("its tables", errno)),
        }
    })
}

/// Whether a rule of the table speaks of a set of that name.
///
/// # Errors
/// As [`tables`].
pub fn has_rule_with_set(
    network: &Network,
    family: Family,
    table: &str,
    sets: &[&str],
) -> Option<Result<bool>> {
    let speaks = |rule: &Rule| sets.iter().any(|set| rule.names(set));
    Some(rules(network, family, table)?.map(|rules| rules.iter().any(speaks)))
}

/// The rules of a table, each with its chain's name and its bytes, in which names end with a zero.
///
/// # Errors
/// As [`tables`].
pub fn rules(network: &Network, family: Family, table: &str) -> Option<Result<Vec<Rule>>> {
    asked(network, || {
        let mut found = Vec::new();
        let name = [table.as_bytes(), &[0]].concat();
        let body = [vec![family as u8, 0, 0, 0], attribute(RULE_TABLE, &name)].concat();
        let asked = ask(SockProtocol::NetlinkNetFilter, GET_RULE, Ask::All, &body, |_, body| {
            let of = || attributes(body.get(HEADER..).unwrap_or_default());
            // A kernel that cannot choose the table gives the rules of all.
            if find(of(), RULE_TABLE) == Some(&name) {
                let chain = text(find(of(), RULE_CHAIN));
                found.push(Rule { chain, bytes: body.to_vec() });
            }
        });
        match asked {
            Ok(()) | Err(Errno::ENOENT) => Ok(found),
            Err(errno) if lacks(errno) => Ok(found),
            Err(errno) => Err(refused("the rules of a table", errno)),
        }
    })
}

/// A rule of nftables as the kernel tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The chain that it is in.
    pub chain: String,
    bytes: Vec<u8>,
}

impl Rule {
    /// Whether it names a thing: a set, a chain that it jumps to, a match of iptables.
    pub fn names(&self, what: &str) -> bool {
        holds(&self.bytes, &[what.as_bytes(), &[0]].concat())
    }
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// The names of all sets of ipset(8). `None` too where the kernel speaks another version than we do.
pub fn sets(network: &Network) -> Option<Vec<String>> {
    let found = asked(network, || {
        let mut found = Vec::new();
        let flags = attribute(IPSET_FLAGS | NET_BYTE_ORDER, &LIST_SETNAME.to_be_bytes());
        let body = [vec![0; HEADER], attribute(IPSET_PROTOCOL, &[IPSET_VERSION]), flags].concat();
        let asked = ask(SockProtocol::NetlinkNetFilter, IPSET_LIST, Ask::All, &body, |_, body| {
            let of = attributes(body.get(HEADER..).unwrap_or_default());
            found.push(text(find(of, IPSET_SETNAME)));
        });
        match asked {
            Ok(()) => Ok(found),
            Err(errno) if lacks(errno) => Ok(Vec::new()),
            Err(errno) => Err(refused("its sets", errno)),
        }
    });
    found.and_then(Result::ok)
}

/// The text of a file below /proc/net of the network; `None` too where it cannot be read.
pub fn proc_net(network: &Network, file: &str) -> Option<String> {
    let path = format!("/proc/thread-self/net/{file}");
    let read = || std::fs::read_to_string(&path).map_err(|e| Error::io(format!("read {path}"), &e));
    asked(network, read).and_then(Result::ok)
}

fn asked<T: Send>(network: &Network, work: impl FnOnce() -> Result<T> + Send) -> Option<Result<T>> {
    match network {
        Network::Ssh(_) => None,
        _ => Some(network.inside(work)),
    }
}

fn each(kind: u16, body: &[u8], mut work: impl FnMut(&[u8])) -> Result<()> {
    ask(SockProtocol::NetlinkRoute, kind, Ask::All, body, |_, body| work(body))
        .map_err(|errno| refused("its interfaces", errno))
}

/// Whether the kernel says that it has no such thing at all.
fn lacks(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::EPROTONOSUPPORT | Errno::EOPNOTSUPP | Errno::EAFNOSUPPORT | Errno::EINVAL
    )
}

fn refused(what: &str, errno: Errno) -> Error {
    match errno {
        Errno::EPERM => {
            Error::not_permitted(format!("the kernel does not show {what} to us; run as root"))
        }
        errno => Error::io(format!("ask the kernel for {what}"), &errno.into()),
    }
}

fn text(value: Option<&[u8]>) -> String {
    let value = value.unwrap_or_default();
    String::from_utf8_lossy(value.strip_suffix(&[0]).unwrap_or(value)).into_owned()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_answers_as_the_programs_do() {
        let Some(Ok(links)) = links_up(&Network::Here) else { panic!("no answer") };
        let lo = links.iter().find(|link| link["ifname"] == "lo");
        if let Some(lo) = lo {
            assert_eq!((&lo["link_type"], &lo["mtu"]), (&"loopback".into(), &65536.into()), "{lo}");
            assert!(lo["addr_info"].as_array().unwrap().iter().any(|a| a["local"] == "127.0.0.1"));
        }
        let Some(Ok(qdiscs)) = qdiscs(&Network::Here) else { panic!("no answer") };
        let lo = qdiscs.iter().find(|qdisc| qdisc["dev"] == "lo");
        assert!(lo.is_none_or(|lo| lo["root"] == true && lo["handle"].is_string()), "{qdiscs:?}");
    }
}
