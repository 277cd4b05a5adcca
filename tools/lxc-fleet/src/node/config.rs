//! The configuration of a node, as LXC reads it.

use std::fmt::Write as _;
use std::path::Path;

use breakit::exit::Result;

use crate::fleet::fleet_group::{self, Version};
use crate::fleet::hosts_file;
use crate::network;
use crate::node::container::Container;
use crate::node::ids::Ids;
use crate::node::limits;
use crate::node::root;
use crate::node::seccomp;

/// Where the init lies in every node.
pub const INIT_PATH: &str = "/usr/sbin/breakit-init";

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

/// The first process of a machine, and where it says what it says.
struct Machine<'a> {
    hostname: &'a str,
    init: &'a str,
    ids: Ids,
    console: &'a Path,
    /// Where its list of system calls lies.
    profile: &'a Path,
    /// The most memory that it can have, in bytes.
    memory: u64,
}

/// Lines of a configuration.
struct Lines(String);

impl Lines {
    fn add(&mut self, name: &str, value: &str) {
        // Writing into a String does not fail.
        let _ = writeln!(self.0, "{name} = {value}");
    }

    /// How much of the host a machine may use: bytes of memory, processes.
    fn limit(&mut self, memory: Option<u64>, processes: u32) -> Result<()> {
        let pids = fleet_group::version("pids")?.prefix();
        self.add(&format!("{pids}.pids.max"), &processes.to_string());
        if let Some(memory) = memory {
            let version = fleet_group::version("memory")?;
            let file = match version {
                Version::One => "memory.limit_in_bytes",
                Version::Two => "memory.max",
            };
            self.add(&format!("{}.{file}", version.prefix()), &memory.to_string());
        }
        Ok(())
    }
}

/// The configuration of a node, whose root the launcher mounts at [`root::place`].
///
/// # Errors
/// 69 if this host cannot limit memory or processes, 71 if it does not say.
pub fn node(container: &Container) -> Result<String> {
    let console = container.console();
    let profile = seccomp::file(&container.config_dir());
    let mut lines = machine(&Machine {
        hostname: &container.member.name,
        init: INIT_PATH,
        ids: container.ids(),
        console: &console,
        profile: &profile,
        memory: container.memory(),
    });
    lines.add("lxc.net.0.type", "veth");
    lines.add("lxc.net.0.link", &network::bridge(container.fleet()));
    lines.add("lxc.net.0.flags", "up");
    lines.add("lxc.net.0.name", "eth0");
    lines.add("lxc.net.0.veth.pair", &network::port(container.fleet(), container.member.number));
    lines.add("lxc.net.0.hwaddr", &network::mac(container.subnet(), container.member.number));
    lines.add("lxc.net.0.ipv4.address", &format!("{}/24", container.address()));
    if container.is_let_out() {
        lines.add("lxc.net.0.ipv4.gateway", &network::gateway(container.subnet()).to_string());
    }
    let hosts = hosts_file::path(container.fleet()).display().to_string();
    lines.add("lxc.mount.entry", &format!("{hosts} etc/hosts none bind,ro,create=file 0 0"));
    let (fleet, name) = (container.fleet(), &container.member.name);
    lines.add("lxc.cgroup.dir.container", &fleet_group::of_node(fleet, name));
    lines.add("lxc.cgroup.dir.monitor", &fleet_group::of_monitor(fleet, name));
    let asked = &container.member.limits;
    lines.limit(asked.memory, asked.processes())?;
    Ok(lines.0)
}

/// The configuration of a machine that installs packages: as that of a node, with no network but `lo`.
///
/// # Errors
/// As [`node`].
pub fn build(init: &str, ids: Ids, console: &Path, profile: &Path) -> Result<String> {
    let memory = limits::half_of_the_host();
    let mut lines = machine(&Machine { hostname: "build", init, ids, console, profile, memory });
    lines.add("lxc.net.0.type", "empty");
    lines.add("lxc.mount.entry", "tmpfs tmp tmpfs rw,nosuid,nodev,mode=1777,create=dir 0 0");
    lines.limit(Some(memory), limits::PROCESSES)?;
    Ok(lines.0)
}

/// What every machine has.
fn machine(machine: &Machine<'_>) -> Lines {
    let mut lines = Lines(String::from("# Written by lxc-fleet.\n"));
    lines.add("lxc.rootfs.path", &format!("dir:{}", root::place().display()));
    if machine.ids.are_mapped() {
        lines.add("lxc.idmap", &format!("u {}", machine.ids.map()));
        lines.add("lxc.idmap", &format!("g {}", machine.ids.map()));
    }
    lines.add("lxc.uts.name", machine.hostname);
    lines.add("lxc.init.cmd", machine.init);
    lines.add("lxc.autodev", "1");
    lines.add("lxc.pty.max", "1024");
    lines.add("lxc.tty.max", "0");
    // A node that never stops talking must not fill the host's disk.
    lines.add("lxc.console.size", "1MB");
    lines.add("lxc.console.rotate", "1");
    lines.add("lxc.console.logfile", &machine.console.display().to_string());
    lines.add("lxc.mount.auto", "proc:mixed sys:mixed cgroup:ro");
    lines.add("lxc.mount.entry", "tmpfs run tmpfs rw,nosuid,nodev,mode=755,create=dir 0 0");
    let shared = machine.memory / 2;
    lines.add(
        "lxc.mount.entry",
        &format!("tmpfs dev/shm tmpfs rw,nosuid,nodev,size={shared},create=dir 0 0"),
    );
    // A kernel has not all of them.
    for folder in EMPTY {
        let entry = format!("tmpfs {folder} tmpfs ro,nosuid,nodev,noexec,size=0,optional 0 0");
        lines.add("lxc.mount.entry", &entry);
    }
    for file in BLANK {
        lines.add("lxc.mount.entry", &format!("/dev/null {file} none bind,ro,optional 0 0"));
    }
    lines.add("lxc.cap.keep", KEPT);
    for version in ["cgroup", "cgroup2"] {
        lines.add(&format!("lxc.{version}.devices.deny"), "a");
        for device in DEVICES {
            lines.add(&format!("lxc.{version}.devices.allow"), device);
        }
    }
    lines.add("lxc.seccomp.profile", &machine.profile.display().to_string());
    // Where we are filtered ourselves, LXC would leave the machine with that alone.
    lines.add("lxc.seccomp.allow_nesting", "1");
    lines
}
