//! The configuration of a node, as LXC reads it.

use std::fmt::Write as _;

use breakit::exit::Result;

use crate::container::{Container, INIT_PATH, hosts_file};
use crate::fleet_group::{self, Version};
use crate::network;
use crate::root;
use crate::seccomp;

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

/// Folders of the host's kernel that a node finds empty.
const EMPTY: [&str; 7] =
    ["proc/acpi", "proc/asound", "proc/bus", "proc/fs", "proc/irq", "proc/scsi", "sys/firmware"];

/// Files of the host's kernel that a node finds empty.
const BLANK: [&str; 8] = [
    "proc/kcore",
    "proc/key-users",
    "proc/keys",
    "proc/latency_stats",
    "proc/sched_debug",
    "proc/sysrq-trigger",
    "proc/timer_list",
    "proc/timer_stats",
];

/// The configuration of `container`, whose root the launcher mounts at [`root::place`].
///
/// # Errors
/// 69 if this host cannot limit memory or processes, 71 if it does not say.
pub fn text(container: &Container) -> Result<String> {
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
    let shared = container.memory() / 2;
    line(
        "lxc.mount.entry",
        &format!("tmpfs dev/shm tmpfs rw,nosuid,nodev,size={shared},create=dir 0 0"),
    );
    // A kernel has not all of them.
    for folder in EMPTY {
        let entry = format!("tmpfs {folder} tmpfs ro,nosuid,nodev,noexec,size=0,optional 0 0");
        line("lxc.mount.entry", &entry);
    }
    for file in BLANK {
        line("lxc.mount.entry", &format!("/dev/null {file} none bind,ro,optional 0 0"));
    }
    let hosts = hosts_file(container.fleet());
    line("lxc.mount.entry", &format!("{} etc/hosts none bind,ro,create=file 0 0", hosts.display()));
    line("lxc.cap.keep", KEPT);
    for version in ["cgroup", "cgroup2"] {
        line(&format!("lxc.{version}.devices.deny"), "a");
        DEVICES.iter().for_each(|d| line(&format!("lxc.{version}.devices.allow"), d));
    }
    let profile = seccomp::file(&container.config_dir());
    line("lxc.seccomp.profile", &profile.display().to_string());
    // Where we are filtered ourselves, LXC would leave the node with that alone.
    line("lxc.seccomp.allow_nesting", "1");
    limits(container, line)?;
    Ok(text)
}

/// How much of the host the node may use, and the control groups that see to it.
fn limits(container: &Container, mut line: impl FnMut(&str, &str)) -> Result<()> {
    let (fleet, name) = (container.fleet(), &container.member.name);
    line("lxc.cgroup.dir.container", &fleet_group::of_node(fleet, name));
    line("lxc.cgroup.dir.monitor", &fleet_group::of_monitor(fleet, name));
    let asked = &container.member.limits;
    let pids = fleet_group::version("pids")?.prefix();
    line(&format!("{pids}.pids.max"), &asked.processes().to_string());
    if let Some(memory) = asked.memory {
        let version = fleet_group::version("memory")?;
        let file = match version {
            Version::One => "memory.limit_in_bytes",
            Version::Two => "memory.max",
        };
        line(&format!("{}.{file}", version.prefix()), &memory.to_string());
    }
    Ok(())
}
