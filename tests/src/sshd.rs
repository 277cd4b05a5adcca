//! Hosts behind a real sshd: one in each node's network, with keys and configuration of the test's own.

#![allow(clippy::unwrap_used)]

use std::process::Command;
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use crate::Namespaces;
use crate::process::run;

const SOON: Duration = Duration::from_secs(60);

/// Real hosts over real ssh: an sshd in each node's network, with keys and configuration of the test's own.
#[derive(Debug)]
pub struct Sshd {
    folder: std::path::PathBuf,
    servers: Vec<std::process::Child>,
}

/// A user who is not root, for an sshd that has mounts of its own: who they are, and what sudo lets them do.
const ADMIN: &str = r#"
    set -e
    d=$(mktemp -d)
    mount -t tmpfs none "$d"
    { cat /etc/passwd; echo "admin:x:65533:65534::/:/bin/sh"; } >"$d/passwd"
    { cat /etc/shadow; echo "admin:*:19000::::::"; } >"$d/shadow"
    { echo "root ALL=(ALL) ALL"; echo "$RULE"; } >"$d/sudoers"
    chmod 440 "$d/sudoers"; chmod 640 "$d/shadow"
    for f in passwd shadow sudoers; do mount --bind "$d/$f" /etc/$f; done
    for missing in $WITHOUT; do
        at=$(dirname "$(command -v "$missing")"); at=$(realpath "$at")
        mkdir "$d/up-$missing" "$d/work-$missing"
        mount -t overlay -o "lowerdir=$at,upperdir=$d/up-$missing,workdir=$d/work-$missing" none "$at"
        rm "$at/$missing"
    done
    umount -l "$d"; rmdir "$d"
"#;

impl Sshd {
    /// Says why there can be none here, if so.
    pub fn impossible() -> Option<&'static str> {
        let there = std::path::Path::new("/usr/sbin/sshd").exists();
        (!there || !crate::has("ssh") || !crate::has("ssh-keygen"))
            .then_some("sshd is missing; install the package openssh-server")
    }

    /// The same for logins that are not root.
    pub fn impossible_for_others() -> Option<&'static str> {
        // Not where only root is mapped into our user namespace.
        let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        match map.split_whitespace().nth(2) {
            Some("1") => Some("root alone is a user here"),
            _ if !crate::has("sudo") => Some("sudo is missing; install the package sudo"),
            _ => Sshd::impossible(),
        }
    }

    /// One at each of the first `nodes`, for a user who is not root and may do all there through sudo; but at
    /// all hosts after the first what `rule` says, and the programs `without` are missing.
    ///
    /// # Panics
    /// Where none answers.
    #[track_caller]
    pub fn for_admins(bed: &Namespaces, nodes: usize, rule: &str, without: &str) -> Sshd {
        Sshd::start_for("admin", bed, nodes, |i| {
            let (rule, without) = if i == 0 { ("NOPASSWD: ALL", "") } else { (rule, without) };
            format!("RULE='admin ALL=(ALL) {rule}' WITHOUT='{without}'\n{ADMIN}")
        })
    }

    /// One at each of the first `nodes`, for root.
    ///
    /// # Panics
    /// Where none answers.
    #[track_caller]
    pub fn start(bed: &Namespaces, nodes: usize) -> Sshd {
        Sshd::start_for("root", bed, nodes, |_| String::new())
    }

    /// One at each of the first `nodes`, for root; a shell does `prepare` before in the mounts of each, which are its own.
    ///
    /// # Panics
    /// Where none answers.
    #[track_caller]
    pub fn prepared(bed: &Namespaces, nodes: usize, prepare: &str) -> Sshd {
        Sshd::start_for("root", bed, nodes, |_| format!("set -e\n{prepare}"))
    }

    /// One at each of the first `nodes`, for `user`; `prepare` is what a shell does before in each one's mounts.
    fn start_for(
        user: &str,
        bed: &Namespaces,
        nodes: usize,
        prepare: impl Fn(usize) -> String,
    ) -> Sshd {
        use std::os::unix::fs::PermissionsExt;

        let folder = std::env::temp_dir().join(format!("breakit-sshd-{}", bed.host()));
        let at = |name: &str| folder.join(name).display().to_string();
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::create_dir_all("/run/sshd").unwrap();
        for key in ["host", "user"] {
            let mut keygen = Command::new("ssh-keygen");
            run(keygen.args(["-q", "-t", "ed25519", "-N", "", "-f", &at(key)])).expect(0);
        }
        let server = format!(
            "Port 22\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\nStrictModes no\n\
             PermitRootLogin prohibit-password\nSubsystem sftp internal-sftp\n",
            at("host"),
            at("user.pub")
        );
        let hosts: String =
            (0..nodes).map(|i| format!("Host h{}\n HostName {}\n", i + 1, bed.v4(i))).collect();
        let client = format!(
            "{hosts}Host *\n User {user}\n IdentityFile {}\n IdentitiesOnly yes\n StrictHostKeyChecking no\n \
             UserKnownHostsFile /dev/null\n LogLevel ERROR\n",
            at("user")
        );
        let ssh = format!("#!/bin/sh\nexec /usr/bin/ssh -F {} \"$@\"\n", at("client"));
        std::fs::write(folder.join("server"), server).unwrap();
        std::fs::write(folder.join("client"), client).unwrap();
        std::fs::write(folder.join("ssh"), ssh).unwrap();
        std::fs::set_permissions(folder.join("ssh"), PermissionsExt::from_mode(0o755)).unwrap();
        let servers = (0..nodes)
            .map(|i| {
                let script = format!("{}\nexec /usr/sbin/sshd -D -f {}", prepare(i), at("server"));
                bed.at(i, "unshare").args(["-m", "sh", "-c", &script]).spawn().unwrap()
            })
            .collect();
        let sshd = Sshd { folder, servers };
        let deadline = Instant::now() + SOON;
        let answers = |i: usize| {
            let mut command = Command::new("ip");
            command.args(["netns", "exec", &bed.host()]).arg(sshd.folder.join("ssh"));
            command
                .args([&format!("h{}", i + 1), "true"])
                .output()
                .is_ok_and(|o| o.status.success())
        };
        while !(0..nodes).all(answers) {
            assert!(Instant::now() < deadline, "no sshd answers");
            std::thread::sleep(Duration::from_millis(20));
        }
        sshd
    }

    /// One of our tools on the hosts, from the bed's own, where they are the first two nodes.
    pub fn tool(&self, bed: &Namespaces, name: &str, args: &str) -> Command {
        let mut command = bed.tool(name);
        // Its ssh is ours, with the configuration of these hosts.
        command
            .arg("--path")
            .arg(&self.folder)
            .args(args.split(' '))
            .args(["-n", "n1=ssh:h1,n2=ssh:h2"]);
        command
    }

    /// How many connections a process of ours shares, by their sockets.
    pub fn sockets(&self, pid: Pid) -> usize {
        let all = std::fs::read_dir("/run/breakit").into_iter().flatten().flatten();
        let own = format!("ssh-{pid}-");
        all.filter(|entry| entry.file_name().to_string_lossy().starts_with(&own)).count()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        for server in &mut self.servers {
            let _ = server.kill();
            let _ = server.wait();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
