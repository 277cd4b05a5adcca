//! The configuration of a node, as LXC reads it.

use std::fmt::Write as _;
use std::path::Path;

use crate::container::{Container, INIT_PATH, hosts_file};
use crate::network;
use crate::root;

/// What root in a node may do: all that databases, their scripts and iptables need. A list of what is kept, so
/// that a capability which a later kernel invents is not given unseen. Not in it: `sys_admin` (nothing can be
/// mounted or unmounted inside), `mknod`, `sys_boot`, `dac_read_search` (would open files of the host by their
/// handles), `bpf` and `perfmon` (would read the kernel's memory), `syslog` (the host's kernel log).
const KEPT: &str = "audit_write chown dac_override fowner fsetid ipc_lock ipc_owner kill lease net_admin \
     net_bind_service net_broadcast net_raw setfcap setgid setpcap setuid sys_chroot sys_nice sys_ptrace \
     sys_resource sys_tty_config";

/// The devices that a node may use, as cgroups say it.
const DEVICES: [&str; 9] = [
    "c 1:3 rwm",
    "c 1:5 rwm",
    "c 1:7 rwm",
    "c 1:8 rwm",
    "c 1:9 rwm",
    "c 5:0 rwm",
    "c 5:1 rwm",
    "c 5:2 rwm",
    "c 136:* rwm",
];

/// LXC's list of system calls that no container needs, where the package brings it.
const SECCOMP: &str = "/usr/share/lxc/config/common.seccomp";

/// The configuration of `container`, whose root the launcher mounts at [`root::place`].
pub fn text(container: &Container) -> String {
    let mut text = String::from("# Written by lxc-fleet at every up.\n");
    let mut line = |name: &str, value: &str| {
        // Writing into a String does not fail.
        let _ = writeln!(text, "{name} = {value}");
    };
    line("lxc.rootfs.path", &format!("dir:{}", root::place().display()));
    if container.ids().are_mapped() {
        line("lxc.idmap", &format!("u {}", container.ids().map()));
        line("lxc.idmap", &format!("g {}", container.ids().map()));
    }
    line("lxc.uts.name", &container.member.name);
    line("lxc.init.cmd", INIT_PATH);
    line("lxc.autodev", "1");
    line("lxc.pty.max", "1024");
    line("lxc.tty.max", "0");
    // A node that never stops talking must not fill the host's disk.
    line("lxc.console.size", "1MB");
    line("lxc.console.rotate", "1");
    line("lxc.console.logfile", &container.console().display().to_string());
    line("lxc.net.0.type", "veth");
    line("lxc.net.0.link", &network::bridge(container.fleet()));
    line("lxc.net.0.flags", "up");
    line("lxc.net.0.name", "eth0");
    line("lxc.net.0.veth.pair", &network::port(container.fleet(), container.member.number));
    line("lxc.net.0.hwaddr", &network::mac(container.subnet(), container.member.number));
    line("lxc.net.0.ipv4.address", &format!("{}/24", container.address()));
    line("lxc.mount.auto", "proc:mixed sys:mixed cgroup:ro");
    line("lxc.mount.entry", "tmpfs run tmpfs rw,nosuid,nodev,mode=755,create=dir 0 0");
    line("lxc.mount.entry", "tmpfs dev/shm tmpfs rw,nosuid,nodev,create=dir 0 0");
    let hosts = hosts_file(container.fleet());
    line("lxc.mount.entry", &format!("{} etc/hosts none bind,ro,create=file 0 0", hosts.display()));
    line("lxc.cap.keep", KEPT);
    for version in ["cgroup", "cgroup2"] {
        line(&format!("lxc.{version}.devices.deny"), "a");
        DEVICES.iter().for_each(|d| line(&format!("lxc.{version}.devices.allow"), d));
    }
    if Path::new(SECCOMP).exists() {
        line("lxc.seccomp.profile", SECCOMP);
    }
    text
}
