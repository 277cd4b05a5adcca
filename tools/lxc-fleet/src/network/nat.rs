//! `up --nat`: the way from a fleet to other networks, through the host and under the host's own address.
//!
//! The host must forward the answers already. To make a router of it is a step that nobody would take back after a
//! `kill -9`, so it is the user's: we switch forwarding on for our own bridge alone, and say what else is missing.

use std::fs;
use std::net::IpAddr;

use breakit::exit::{Error, Result};
use breakit::node::Name;

use crate::files;
use crate::network;

/// The most connections that the nodes of a fleet have to other networks at once: each takes room in the host's
/// table of connections, which may be as small as 65,536.
pub const MOST: u32 = 16_384;

/// Where name servers are listed: what systemd-resolved forwards to, before the stub that only the host reaches.
const LISTS: [&str; 2] = ["/run/systemd/resolve/resolv.conf", "/etc/resolv.conf"];

/// What a node reads that has no name server: a look-up of an unknown name fails at once instead of after a timeout.
const NONE: &str = "# A fleet has no name server; see /etc/hosts.\n";

/// Whether the host forwards what comes back: on the interface of the default route, or on any if there is none.
///
/// # Errors
/// 71 with the command that allows it.
pub fn possible() -> Result<()> {
    let ways = network::default_ways()?;
    if ways.is_empty() {
        let any = files::entries("/proc/sys/net/ipv4/conf".as_ref())?;
        let other = |name: &String| !matches!(name.as_str(), "all" | "default" | "lo");
        return match any.iter().filter(|name| other(name)).any(|name| forwards(name)) {
            true => Ok(()),
            false => Err(refusal("all")),
        };
    }
    match ways.iter().find(|way| !forwards(way)) {
        Some(way) => Err(refusal(way)),
        None => Ok(()),
    }
}

fn forwards(interface: &str) -> bool {
    fs::read_to_string(format!("/proc/sys/net/ipv4/conf/{interface}/forwarding"))
        .is_ok_and(|text| text.trim() == "1")
}

fn refusal(interface: &str) -> Error {
    let setting = network::sysctl(interface, "forwarding");
    Error::system(format!(
        "--nat needs a host that forwards packets, and this one would drop the answers that come in at {interface}; allow it with sysctl -w {setting}=1, and take that back later with =0"
    ))
}

/// The rules that let a fleet's nodes out: connections that they open, up to [`MOST`], never to addresses of a link
/// alone, where clouds hand out the host's own credentials.
pub fn rules(fleet: &Name) -> (String, String) {
    let bridge = network::bridge(fleet);
    let through = format!(
        "        iifname \"{bridge}\" ip daddr 169.254.0.0/16 reject with icmpx admin-prohibited
        iifname \"{bridge}\" ct state new ct count over {MOST} reject with icmpx admin-prohibited
        iifname \"{bridge}\" meta nfproto ipv4 accept
        oifname \"{bridge}\" ct state established,related accept
"
    );
    let leaving = format!(
        "    chain leaving {{
        type nat hook postrouting priority srcnat; policy accept;
        iifname \"{bridge}\" oifname != \"{bridge}\" masquerade
    }}
"
    );
    (through, leaving)
}

/// What a node finds in /etc/resolv.conf.
pub fn name_servers(is_out: bool) -> String {
    let lists = LISTS.iter().filter(|_| is_out).filter_map(|path| fs::read_to_string(path).ok());
    lists.map(|list| usable(&list)).find(|list| !list.is_empty()).unwrap_or_else(|| NONE.into())
}

/// The lines of a list that mean the same in a node, if one of them is a name server that a node can reach.
fn usable(list: &str) -> String {
    let reached = |address: &str| {
        address.parse::<IpAddr>().is_ok_and(|address| address.is_ipv4() && !address.is_loopback())
    };
    let kept = |line: &&str| match line.split_whitespace().collect::<Vec<_>>()[..] {
        ["nameserver", address, ..] => reached(address),
        ["search" | "options", ..] => true,
        _ => false,
    };
    let lines: Vec<&str> = list.lines().filter(kept).collect();
    if !lines.iter().any(|line| line.starts_with("nameserver")) {
        return String::new();
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_that_only_the_host_reaches_are_left_out() {
        let list =
            "# x\nnameserver 127.0.0.53\nnameserver ::1\nnameserver 10.0.0.2\nsearch example.org\n";
        assert_eq!(usable(list), "nameserver 10.0.0.2\nsearch example.org\n");
        assert_eq!(usable("nameserver 127.0.0.53\noptions edns0\n"), "");
    }

    #[test]
    fn what_is_missing_is_told_as_a_command() {
        let said = refusal("eth0.7").to_string();
        assert!(said.contains("sysctl -w net.ipv4.conf.eth0/7.forwarding=1"), "{said}");
    }
}
