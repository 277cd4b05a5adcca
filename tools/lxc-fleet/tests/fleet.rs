//! Real fleets of LXC containers: each test has one of its own and takes it down, even where it fails.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use breakit_tests::process::{Run, Running, run, run_with};
use breakit_tests::{has, skip};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A fleet with a name of its own; taken down when the test ends, however it ends.
struct Fleet {
    name: String,
}

impl Fleet {
    fn new() -> Fleet {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Fleet { name: format!("t{}-{count}", std::process::id()) }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lxc-fleet"));
        command.args(args).env("BREAKIT_FLEET", &self.name).env_remove("BREAKIT_SEED");
        command
    }

    fn run(&self, args: &[&str]) -> Run {
        run(&mut self.command(args))
    }

    /// What a shell script in a node says.
    fn sh(&self, node: &str, script: &str) -> String {
        self.run(&["exec", node, "--", "sh", "-c", script]).stdout
    }

    fn state(&self, node: &str) -> String {
        self.run(&["ls", node, "--json"]).lines()[0]["state"].as_str().unwrap().to_string()
    }

    fn init(&self, node: &str) -> i32 {
        self.run(&["ls", node, "--json"]).lines()[0]["pid"].as_i64().unwrap() as i32
    }

    fn address(&self, node: &str) -> String {
        let line = self.run(&["nodes", node]).expect(0).lines()[0].clone();
        line["addrs"][0].as_str().unwrap().to_string()
    }

    fn bridge(&self) -> String {
        let name = format!("bk-{}", self.name);
        assert!(name.len() <= 15, "{name} is not the bridge's name");
        name
    }

    fn files(&self) -> PathBuf {
        Path::new("/var/lib/breakit/store/nodes").join(&self.name)
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let _ = self.command(&["down", "-q"]).stdin(Stdio::null()).status();
    }
}

macro_rules! fleet {
    () => {{
        if let Some(why) = breakit_tests::Fleet::impossible() {
            skip!("{why}");
        }
        Fleet::new()
    }};
}

fn sh(script: &str) -> Run {
    run(Command::new("sh").args(["-c", script]))
}

fn until(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn five_nodes_are_up_within_three_seconds_and_know_one_another() {
    let fleet = fleet!();
    let begun = Instant::now();
    fleet.run(&["up", "n1..n5"]).expect(0);
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}");

    let lines = fleet.run(&["nodes"]).expect(0).lines();
    assert_eq!(lines.len(), 5);
    assert_eq!(lines[4]["node"], "n5");
    assert!(lines[4]["addrs"][0].as_str().unwrap().ends_with(".15"));
    assert_eq!(lines[4]["via"], format!("lxc:breakit-{}-n5", fleet.name));
    let kept = fs::read_to_string(format!("/run/breakit/{}/nodes.jsonl", fleet.name)).unwrap();
    assert_eq!(kept, fleet.run(&["nodes"]).stdout, "the file for the other tools");

    for node in ["n1", "n5"] {
        let said = fleet.sh(node, "hostname; for n in n1 n2 n3 n4 n5; do ping -n -q -c1 -W1 $n >/dev/null && echo $n; done");
        assert_eq!(said, format!("{node}\nn1\nn2\nn3\nn4\nn5\n"));
    }
}

#[test]
fn up_twice_changes_nothing_and_a_later_node_is_known_to_the_earlier() {
    let fleet = fleet!();
    fleet.run(&["up", "n1..n2"]).expect(0);
    let before = (fleet.init("n1"), fleet.init("n2"));
    fleet.sh("n1", "echo kept > /srv/mark");
    fleet.run(&["up", "n1..n3"]).expect(0);
    assert_eq!((fleet.init("n1"), fleet.init("n2")), before, "what ran goes on running");
    assert_eq!(fleet.sh("n1", "cat /srv/mark; getent hosts n3 | wc -l"), "kept\n1\n");

    let said = fleet.run(&["up", "n1", "--image", "busybox"]).expect(64).stderr;
    assert!(said.contains("is there with image host"), "{said}");
    fleet.run(&["down", "n2"]).expect(0);
    assert_eq!(fleet.run(&["nodes"]).lines().len(), 2);
    let said = fleet.run(&["start", "n2"]).expect(66).stderr;
    assert!(said.contains("no node n2") && said.contains("n1, n3"), "{said}");
}

#[test]
fn up_repairs_a_dead_node_a_missing_mount_and_a_missing_bridge() {
    let fleet = fleet!();
    fleet.run(&["up", "n1..n3"]).expect(0);
    fleet.sh("n1", "echo kept > /srv/mark");
    kill(Pid::from_raw(fleet.init("n1")), Signal::SIGKILL).unwrap();
    fleet.run(&["stop", "n2"]).expect(0);
    sh(&format!("umount {}/n2/rootfs && ip link del {}", fleet.files().display(), fleet.bridge()))
        .expect(0);
    until("n1 is dead", Duration::from_secs(3), || fleet.state("n1") == "stopped");

    let said = fleet.run(&["start", "n2"]).expect(71).stderr;
    assert!(said.contains("run lxc-fleet up"), "{said}");
    // A reboot empties /run.
    sh(&format!("rm -r /run/breakit/{}", fleet.name)).expect(0);
    fleet.run(&["up", "n1..n3"]).expect(0);
    assert_eq!(
        fleet.sh("n1", "cat /srv/mark; ping -n -q -c1 -W1 n3 >/dev/null && echo reached"),
        "kept\nreached\n"
    );
    assert_eq!(fleet.state("n2"), "running");
}

#[test]
fn down_leaves_nothing() {
    let fleet = fleet!();
    fleet.run(&["up", "n1..n3"]).expect(0);
    let net = fleet.address("n1").rsplit_once('.').unwrap().0.to_string();
    fleet.run(&["pause", "n2"]).expect(0);
    fleet.run(&["down"]).expect(0);
    let name = &fleet.name;
    let left = sh(&format!(
        "grep {name} /proc/self/mountinfo; ls -d /run/breakit/{name}* /var/lib/breakit/lxc/*{name}* \
         /var/lib/breakit/fleets/{name}* {} 2>/dev/null; ip -br link | grep {name}; ip route | grep -F {net}.; \
         find /sys/fs/cgroup -name '*{name}*'; pgrep -af 'lxc.*{name}-n' | grep -v pgrep",
        fleet.files().display()
    ));
    assert_eq!(left.stdout, "", "left over");
    fleet.run(&["down"]).expect(0);
    assert!(fleet.run(&["ls"]).expect(0).stdout.is_empty());
    let others = fs::read_dir("/var/lib/breakit/fleets").map(|list| list.count()).unwrap_or(0);
    if others == 0 && !Path::new("/var/lib/breakit/store/images").exists() {
        assert_eq!(sh("losetup -j /var/lib/breakit/store.img").stdout, "", "the loop device");
    }
}

#[test]
fn nodes_cannot_read_the_hosts_secrets_nor_undo_the_hiding() {
    let fleet = fleet!();
    let secrets = Secrets::plant();
    fleet.run(&["up", "n1"]).expect(0);
    for path in &secrets.paths {
        let said = fleet.sh("n1", &format!("cat {} 2>&1", path.display()));
        assert!(said.contains("No such file"), "{}: {said}", path.display());
    }
    let shadow = fs::read_to_string("/etc/shadow").unwrap();
    let inside = fleet.sh("n1", "cat /etc/shadow");
    assert!(inside.starts_with("root:*:"), "{inside}");
    for hash in shadow.lines().filter_map(|l| l.split(':').nth(1)).filter(|h| h.len() > 8) {
        assert!(!inside.contains(hash), "a hash of the host's is in the node");
    }
    let empty = fleet.sh(
        "n1",
        "ls -A /root /home /srv /mnt /media /var/backups /var/spool | grep -v : | grep .",
    );
    assert_eq!(empty, "", "folders of the host's are empty in a node");
    let gone = fleet.sh(
        "n1",
        "for f in /etc/ssh /etc/shadow- /etc/gshadow- /etc/ssl/private /etc/sudoers /var/lib/breakit /var/lib/lxc \
         /var/lib/docker /var/lib/postgresql /var/lib/mysql /boot; do [ -e $f ] && echo $f; done",
    );
    assert_eq!(gone, "");

    // None of these may succeed; each that does prints its name.
    let escapes = fleet.sh(
        "n1",
        "mknod /tmp/disk b 254 0 && echo mknod-block\n\
         mknod /tmp/null c 1 3 && echo mknod\n\
         mount -t tmpfs x /mnt && echo mount\n\
         mount --bind / /mnt && echo bind\n\
         umount /etc/hosts && echo umount\n\
         mount -o remount,rw /sys && echo remount\n\
         mount -t proc proc /mnt && echo proc\n\
         unshare -m true && echo unshare\n\
         unshare -Urm umount /etc/hosts && echo userns\n\
         unshare -Urm mount -t overlay -o lowerdir=/:/usr x /mnt && echo overlay\n\
         echo b > /proc/sysrq-trigger && echo sysrq\n\
         echo x > /proc/sys/kernel/core_pattern && echo core_pattern\n\
         dmesg >/dev/null && echo dmesg\n\
         head -c1 /proc/kcore >/dev/null && echo kcore\n\
         date -s @1 >/dev/null && echo time\n\
         rm -rf /home && ls -A /home 2>/dev/null | grep . && echo removed\n\
         echo x >> /etc/hosts && echo hosts\n\
         nsenter -t 1 -m -- cat /var/lib/breakit/store.img >/dev/null && echo nsenter",
    );
    assert_eq!(escapes, "");
}

#[test]
fn a_path_is_shown_on_request_and_nothing_beside_it() {
    let fleet = fleet!();
    let secrets = Secrets::plant();
    let (shown, hidden) = (&secrets.paths[0], &secrets.paths[1]);
    fleet.run(&["up", "n1", "--show", shown.to_str().unwrap()]).expect(0);
    assert_eq!(fleet.sh("n1", &format!("cat {}", shown.display())), "secret\n");
    assert_eq!(fleet.sh("n1", &format!("cat {} 2>/dev/null", hidden.display())), "");
    let said = fleet.run(&["up", "n2", "--show", "/no/such/path"]).expect(66).stderr;
    assert!(said.contains("/no/such/path"), "{said}");
    assert_eq!(fleet.run(&["nodes"]).lines().len(), 1, "the failed up left no node");
    fleet.run(&["up", "n2", "--show", "/proc/self"]).expect(64);
}

/// Files on the host that no node may see, of every kind that is hidden; gone with this value.
struct Secrets {
    paths: Vec<PathBuf>,
    folders: Vec<PathBuf>,
}

impl Secrets {
    fn plant() -> Secrets {
        use std::os::unix::fs::PermissionsExt;
        let mark = format!(
            "breakit-test-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let at = |folder: &str| Path::new(folder).join(&mark);
        // In folders that are hidden: two in one, then a top folder nobody knows, and data under /var/lib.
        let folders = vec![at("/root"), at("/"), at("/var/lib"), at("/srv"), at("/etc")];
        let mut paths = vec![folders[0].join("a"), folders[0].join("b")];
        paths.extend(folders[1..].iter().map(|folder| folder.join("key")));
        folders.iter().for_each(|folder| fs::create_dir(folder).unwrap());
        paths.iter().for_each(|path| fs::write(path, "secret\n").unwrap());
        // In /etc it is the mode that hides.
        fs::set_permissions(&folders[4], fs::Permissions::from_mode(0o700)).unwrap();
        Secrets { paths, folders }
    }
}

impl Drop for Secrets {
    fn drop(&mut self) {
        for folder in &self.folders {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

#[test]
fn exec_keeps_the_exit_status_and_the_streams_apart() {
    let fleet = fleet!();
    fleet.run(&["up", "n1..n2"]).expect(0);
    let exec = |args: &[&str]| fleet.run(&[&["exec"], args].concat());
    assert_eq!(exec(&["n1", "--", "printf", "a\\nb"]).expect(0).stdout.trim_end(), "a\nb");
    exec(&["-n", "n1", "--", "sh", "-c", "exit 7"]).expect(7);
    exec(&["n1", "--", "sh", "-c", "kill -9 $$"]).expect(137);
    exec(&["n1", "--", "no-such-program"]).expect(127);
    let both = exec(&["--", "sh", "-c", "echo out; echo err >&2; [ $(hostname) = n1 ] || exit 9"])
        .expect(9);
    let mut lines: Vec<&str> = both.stdout.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["n1: out", "n2: out"]);
    assert!(both.stderr.contains("n1: err") && both.stderr.contains("n2: err"), "{}", both.stderr);
    assert_eq!(exec(&["n1", "--prefix", "--", "hostname"]).stdout, "n1: n1\n");
    assert_eq!(exec(&["n1,n2", "--", "true"]).expect(0).stdout, "");
}

#[test]
fn exec_leaves_stdin_to_whoever_else_reads_it() {
    let fleet = fleet!();
    fleet.run(&["up", "n1"]).expect(0);
    let tool = env!("CARGO_BIN_EXE_lxc-fleet");
    let script = format!(
        "printf '1\\n2\\n3\\n' | while read x; do {tool} exec n1 -- sh -c \"cat; echo $x\"; done"
    );
    let looped = run(Command::new("sh").args(["-c", &script]).env("BREAKIT_FLEET", &fleet.name));
    assert_eq!(looped.expect(0).stdout, "1\n2\n3\n");
    let given = run_with(&mut fleet.command(&["exec", "-i", "n1", "--", "wc", "-l"]), "a\nb\n");
    assert_eq!(given.expect(0).stdout.trim(), "2");
}

#[test]
fn exec_never_hangs_on_a_paused_node_a_slow_program_or_a_daemon_it_left() {
    let fleet = fleet!();
    fleet.run(&["up", "n1..n2"]).expect(0);
    fleet.run(&["pause", "n1"]).expect(0);
    let begun = Instant::now();
    let said = fleet.run(&["exec", "--", "true"]).expect(71).stderr;
    assert!(said.contains("node n1 is paused") && said.contains("lxc-fleet resume"), "{said}");
    let said = fleet.run(&["push", "/etc/hostname", "n1:/tmp/x"]).expect(71).stderr;
    assert!(said.contains("is paused"), "{said}");
    fleet.run(&["resume"]).expect(0);

    let said =
        fleet.run(&["exec", "n1", "--limit", "300ms", "--", "sh", "-c", "sleep 4711 & sleep 4712"]);
    assert!(said.expect(75).stderr.contains("did not end within 300ms"));
    assert_eq!(fleet.sh("n1", "pgrep -x sleep -a | grep 471"), "", "what was limited is dead");
    fleet.run(&["exec", "--", "sh", "-c", "setsid sleep 5 & echo started"]).expect(0);
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

#[test]
fn a_slow_reader_of_exec_loses_nothing_and_may_leave_or_be_interrupted() {
    let fleet = fleet!();
    fleet.run(&["up", "n1..n2"]).expect(0);
    let line = |reader: &str| {
        let tool = env!("CARGO_BIN_EXE_lxc-fleet");
        let script =
            format!("{{ {tool} exec n1,n2 -- seq 20000; echo $? >&2; }} | {{ {reader}; }}");
        run(Command::new("sh").args(["-c", &script]).env("BREAKIT_FLEET", &fleet.name))
    };
    // The programs end long before: what they wrote last lies in the pipes until the reader wakes.
    let slow = line("sleep 2; wc -l");
    assert_eq!((slow.stdout.trim(), slow.stderr.trim()), ("40000", "0"));
    let gone = line("sleep 1; head -n 1 >/dev/null");
    assert_eq!(gone.stderr.trim(), "0", "{gone:?}");

    // Nobody reads at all, and then a signal comes.
    let mut exec = fleet.command(&["exec", "n1,n2", "--", "seq", "20000"]);
    let (reader, writer) = std::io::pipe().unwrap();
    let mut waiting = exec.stdin(Stdio::null()).stdout(writer).spawn().unwrap();
    drop(exec);
    std::thread::sleep(Duration::from_millis(1500));
    assert!(waiting.try_wait().unwrap().is_none(), "it threw away what nobody had read yet");
    kill(Pid::from_raw(waiting.id() as i32), Signal::SIGTERM).unwrap();
    let mut left = None;
    until("the signal ends it", Duration::from_secs(5), || {
        left = waiting.try_wait().unwrap();
        left.is_some()
    });
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&left.unwrap()), Some(15));
    drop(reader);
}

#[test]
fn a_signal_to_exec_ends_the_program_in_the_node() {
    let fleet = fleet!();
    fleet.run(&["up", "n1"]).expect(0);
    let mut running =
        Running::start(&mut fleet.command(&["exec", "n1", "--", "sh", "-c", "echo 1; sleep 4711"]));
    assert_eq!(running.line(Duration::from_secs(5)), 1);
    running.signal(Signal::SIGTERM);
    assert_eq!(running.end(Duration::from_secs(5)).status, 128 + 15);
    assert_eq!(fleet.sh("n1", "pgrep -x sleep -a | grep 4711"), "");
}

#[test]
fn a_clean_stop_gives_programs_term_and_time() {
    let fleet = fleet!();
    fleet.run(&["up", "n1"]).expect(0);
    fleet.sh(
        "n1",
        "setsid sh -c 'trap \"sleep 0.3; echo bye > /srv/mark; exit\" TERM; while :; do sleep 0.1; done' >/dev/null 2>&1 &",
    );
    let begun = Instant::now();
    fleet.run(&["stop", "n1"]).expect(0);
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert_eq!(fleet.state("n1"), "stopped");
    fleet.run(&["start", "n1"]).expect(0);
    assert_eq!(fleet.sh("n1", "cat /srv/mark"), "bye\n");

    // Who does not hear TERM gets KILL.
    fleet.sh("n1", "setsid sh -c 'trap \"\" TERM; while :; do sleep 0.1; done' >/dev/null 2>&1 &");
    let begun = Instant::now();
    fleet.run(&["stop", "n1", "--limit", "1s"]).expect(0);
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

#[test]
fn files_go_in_and_out_with_their_modes_and_never_through_a_link_to_the_host() {
    let fleet = fleet!();
    fleet.run(&["up", "n1..n2"]).expect(0);
    let dir = std::env::temp_dir().join(&fleet.name);
    fs::create_dir_all(dir.join("app/conf")).unwrap();
    fs::write(dir.join("app/conf/a"), "a\n").unwrap();
    sh(&format!("printf '#!/bin/sh\\n' > {0}/app/run; chmod 750 {0}/app/run", dir.display()))
        .expect(0);
    let app = dir.join("app");
    fleet.run(&["push", app.to_str().unwrap(), "n1..n2:/opt/x/app"]).expect(0);
    fleet.run(&["push", app.to_str().unwrap(), ":/opt/x/app2"]).expect(0);
    assert_eq!(
        fleet.sh(
            "n2",
            "cat /opt/x/app/conf/a; stat -c %a /opt/x/app/run; ls /opt/x; ls -A /opt/x/app"
        ),
        "a\n750\napp\napp2\nconf\nrun\n"
    );
    fleet.run(&["push", app.join("conf/a").to_str().unwrap(), "n1:/etc/app.conf"]).expect(0);
    assert_eq!(fleet.sh("n1", "cat /etc/app.conf"), "a\n");

    let out = dir.join("out");
    fleet.run(&["pull", "n1..n2:/opt/x/app", out.to_str().unwrap()]).expect(0);
    assert_eq!(fs::read_to_string(out.join("n2/app/conf/a")).unwrap(), "a\n");
    fleet.run(&["pull", "n1:/no/such", out.join("y").to_str().unwrap()]).expect(66);
    assert!(!out.join("y").exists());

    // A node whose /trap leads to / of whoever follows it: the host's own file must not be meant.
    fleet.sh("n1", "ln -s / /trap");
    fleet.run(&["pull", "n1:/trap/etc/hostname", out.join("z").to_str().unwrap()]).expect(0);
    assert_eq!(fs::read_to_string(out.join("z")).unwrap(), "n1\n");
    fleet
        .run(&["push", app.join("conf/a").to_str().unwrap(), &format!("n1:/trap/{}", fleet.name)])
        .expect(0);
    assert!(!Path::new("/").join(&fleet.name).exists(), "it went to the host");

    // Whatever a node's own tar packs, neither a link nor a set-user-ID program reaches the host.
    fleet.sh("n1", "mkdir /bad; ln -s /etc/shadow /bad/link; cp /bin/true /bad/suid; chmod 4755 /bad/suid; mkfifo /bad/fifo");
    let bad = |name: &str| {
        let target = out.join(name);
        let run = fleet.run(&["pull", &format!("n1:/bad/{name}"), target.to_str().unwrap()]);
        (run.status, target)
    };
    let (status, target) = bad("suid");
    assert_eq!((status, sh(&format!("stat -c %a {}", target.display())).stdout.trim()), (0, "755"));
    let (status, target) = bad("fifo");
    assert!(status == 71 && !target.exists());
    fleet.sh("n1", "printf '#!/bin/sh\\nfor last; do :; done\\nexec /bin/tar -c -f - -C /bad \"$last\"\\n' > /usr/local/bin/tar; chmod +x /usr/local/bin/tar");
    let (status, target) = bad("link");
    assert_eq!(status, 71, "a link came out");
    assert!(fs::symlink_metadata(target).is_err());
    assert!(
        fs::read_dir(&out).unwrap().all(|e| !e
            .unwrap()
            .file_name()
            .to_str()
            .unwrap()
            .starts_with('.'))
    );
    fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_packet_to_a_node_never_leaves_by_the_default_route() {
    let fleet = fleet!();
    fleet.run(&["up", "n1"]).expect(0);
    let address = fleet.address("n1");
    let route = || sh(&format!("ip route get {address} 2>&1")).stdout;
    assert!(route().contains(&fleet.bridge()), "{}", route());
    sh(&format!("ip link del {}", fleet.bridge())).expect(0);
    assert!(route().contains("No route to host") || route().contains("unreachable"), "{}", route());
    let error = TcpStream::connect_timeout(
        &format!("{address}:1").parse().unwrap(),
        Duration::from_secs(2),
    );
    assert_eq!(error.unwrap_err().kind(), std::io::ErrorKind::HostUnreachable);
}

#[test]
fn a_pause_that_is_held_ends_in_order() {
    let fleet = fleet!();
    fleet.run(&["up", "n1..n2"]).expect(0);
    let mut command = fleet.command(&[
        "pause",
        "n1",
        "--every",
        "1600ms",
        "--for",
        "800ms",
        "--time-limit",
        "3900ms",
    ]);
    let mut running = Running::start(&mut command);
    for _ in 0..2 {
        let start = running.line(Duration::from_secs(3));
        assert_eq!(
            (start["f"].as_str(), start["process"].as_str()),
            (Some("start-pause"), Some("nemesis"))
        );
        assert_eq!(start["value"]["nodes"], serde_json::json!(["n1"]));
        assert_eq!(start["value"]["backend"], "freezer");
        assert!(start["value"]["began"].as_u64() < start["time"].as_u64());
        let stop = running.line(Duration::from_secs(3));
        assert_eq!(stop["f"], "stop-pause");
        let length = stop["time"].as_u64().unwrap() - start["time"].as_u64().unwrap();
        assert!((300_000_000..1_500_000_000).contains(&length), "{length} ns");
    }
    running.end(Duration::from_secs(5)).expect(0);
    assert_eq!(fleet.state("n1"), "running");

    let mut running = Running::start(&mut fleet.command(&["pause", "n1", "--hold"]));
    running.line(Duration::from_secs(3));
    assert_eq!((fleet.state("n1"), fleet.state("n2")), ("paused".into(), "running".into()));
    let said = fleet.run(&["pause", "n1", "--for", "1s"]).expect(71).stderr;
    assert!(said.contains("is paused"), "two holders of one fault: {said}");
    assert_eq!(fleet.state("n1"), "paused", "the second holder did not undo the first one's work");
    running.signal(Signal::SIGINT);
    assert_eq!(running.line(Duration::from_secs(3))["f"], "stop-pause");
    assert_eq!(running.end(Duration::from_secs(3)).status, 128 + 2);
    assert_eq!(fleet.state("n1"), "running");
}

#[test]
fn a_pause_does_not_outlive_its_holder_whether_killed_or_stopped() {
    let fleet = fleet!();
    fleet.run(&["up", "n1"]).expect(0);
    let mut killed =
        Running::start(&mut fleet.command(&["pause", "n1", "--hold", "--lease", "20s"]));
    killed.line(Duration::from_secs(3));
    killed.signal(Signal::SIGKILL);
    until("n1 goes on after its holder's death", Duration::from_secs(3), || {
        fleet.state("n1") == "running"
    });

    let mut stopped =
        Running::start(&mut fleet.command(&["pause", "n1", "--hold", "--lease", "1s"]));
    stopped.line(Duration::from_secs(3));
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(fleet.state("n1"), "paused", "the lease is renewed");
    stopped.signal(Signal::SIGSTOP);
    until("n1 goes on when the lease is over", Duration::from_secs(4), || {
        fleet.state("n1") == "running"
    });
    std::thread::sleep(Duration::from_millis(200));
    stopped.signal(Signal::SIGCONT);
    let stop = stopped.line(Duration::from_secs(3));
    assert_eq!(stop["f"], "stop-pause");
    stopped.end(Duration::from_secs(3));
    assert_eq!(
        sh(&format!(
            "pgrep -f '[w]atchdog --kind pause' | xargs -I% grep -l {} /proc/%/environ",
            fleet.name
        ))
        .stdout,
        ""
    );
}

/// A program that waits for a disk which does not answer: nothing stops it, so that no freezer can finish.
struct Stuck {
    folder: PathBuf,
    device: Option<String>,
    writer: Option<Child>,
}

impl Stuck {
    /// `None` where this host gives no loop devices that can be frozen.
    fn make(name: &str) -> Option<Stuck> {
        let folder = std::env::temp_dir().join(format!("breakit-stuck-{name}"));
        fs::create_dir_all(folder.join("m")).unwrap();
        let mut stuck = Stuck { folder, device: None, writer: None };
        let at = stuck.folder.display();
        let made = sh(&format!(
            "cd {at} && truncate -s 32M disk && mkfs.ext4 -q -F disk && mount -o loop disk m && \
             truncate -s 8M m/inner && losetup -f --show m/inner && fsfreeze -f m"
        ));
        stuck.device = made.stdout.lines().next().map(str::to_string);
        if made.status != 0 {
            return None;
        }
        let device = stuck.device.clone()?;
        let mut writer = Command::new("dd");
        writer.args(["if=/dev/zero", &format!("of={device}"), "bs=4k", "count=1", "oflag=direct"]);
        stuck.writer = writer.stdin(Stdio::null()).stderr(Stdio::null()).spawn().ok();
        let stat = format!("/proc/{}/stat", stuck.pid());
        until("dd waits for the disk", Duration::from_secs(5), || {
            fs::read_to_string(&stat).is_ok_and(|text| text.contains(") D "))
        });
        Some(stuck)
    }

    fn pid(&self) -> u32 {
        self.writer.as_ref().unwrap().id()
    }

    /// Lets the disk answer; the program ends by itself.
    fn let_go(&mut self) {
        sh(&format!("fsfreeze -u {}/m", self.folder.display()));
        if let Some(mut writer) = self.writer.take() {
            let _ = writer.wait();
        }
    }
}

impl Drop for Stuck {
    fn drop(&mut self) {
        self.let_go();
        if let Some(device) = &self.device {
            sh(&format!("losetup -d {device}"));
        }
        sh(&format!("umount {}/m", self.folder.display()));
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn a_pause_that_the_kernel_has_not_finished_does_not_come_true_after_its_holder() {
    let fleet = fleet!();
    fleet.run(&["up", "n1"]).expect(0);
    let Some(mut stuck) = Stuck::make(&fleet.name) else {
        skip!("no loop device with a filesystem on it that fsfreeze stops");
    };
    // The folder whose freezer stops the node: of version 1 where there is one.
    let found = sh(&format!(
        "find /sys/fs/cgroup -type d -name 'lxc.payload*{}-n1' | grep -v '/lxc.payload.*/' > /tmp/{0}; \
         grep /freezer/ /tmp/{0} || head -n 1 /tmp/{0}; rm /tmp/{0}",
        fleet.name
    ))
    .stdout;
    let group = Path::new(found.lines().next().unwrap());
    fs::write(group.join("cgroup.procs"), stuck.pid().to_string()).unwrap();

    // Somebody ordered the freeze and left.
    if group.join("freezer.state").exists() {
        fs::write(group.join("freezer.state"), "FROZEN").unwrap();
    } else {
        fs::write(group.join("cgroup.freeze"), "1").unwrap();
    }
    assert_eq!(fleet.state("n1"), "pausing");
    let said = fleet.run(&["exec", "n1", "--", "true"]).expect(71).stderr;
    assert!(said.contains("node n1 is being paused"), "{said}");
    fleet.run(&["resume", "n1"]).expect(0);
    assert_eq!(fleet.state("n1"), "running", "resume took the order back");

    // A holder dies in the middle of it.
    let args = ["pause", "n1", "--for", "60s", "--lease", "2s"];
    let holder = Running::start(&mut fleet.command(&args));
    until("the kernel is at it", Duration::from_secs(3), || fleet.state("n1") == "pausing");
    holder.signal(Signal::SIGKILL);
    until("the watchdog takes it back", Duration::from_secs(3), || fleet.state("n1") == "running");

    // Nobody dies, and it takes too long.
    let said = fleet.run(&["pause", "n1"]).expect(75).stderr;
    assert!(said.contains("node n1 did not pause within 10s"), "{said}");
    assert_eq!(fleet.state("n1"), "running");

    stuck.let_go();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(fleet.state("n1"), "running", "it came true when nobody held it any more");
    assert_eq!(fleet.sh("n1", "echo lives"), "lives\n");
}

#[test]
fn a_fault_that_is_kept_ends_with_its_lease() {
    let fleet = fleet!();
    fleet.run(&["up", "n1"]).expect(0);
    let line = fleet.run(&["pause", "n1", "--keep", "--lease", "1s"]).expect(0).lines()[0].clone();
    assert_eq!(line["value"]["lease"], "1s");
    assert_eq!(fleet.state("n1"), "paused");
    until("the lease ends the pause", Duration::from_secs(4), || fleet.state("n1") == "running");
}

#[test]
fn a_killed_node_comes_back_with_its_files_and_boots_its_program() {
    let fleet = fleet!();
    fleet.run(&["up", "n1..n2"]).expect(0);
    fleet.sh(
        "n1",
        "mkdir -p /etc/breakit; printf '#!/bin/sh\\necho booted\\ndate +%%s%%N > /srv/boot\\n' > /etc/breakit/boot; \
         chmod +x /etc/breakit/boot; echo kept > /srv/mark",
    );
    let before = fleet.init("n1");
    let mut running = Running::start(&mut fleet.command(&["kill", "n1", "--for", "500ms"]));
    assert_eq!(running.line(Duration::from_secs(3))["f"], "start-kill");
    assert_eq!(fleet.state("n1"), "stopped");
    assert_eq!(running.line(Duration::from_secs(3))["f"], "stop-kill");
    running.end(Duration::from_secs(3)).expect(0);
    assert_ne!(fleet.init("n1"), before);
    until("the boot program ran", Duration::from_secs(3), || {
        fleet.sh("n1", "cat /srv/boot").len() > 10
    });
    assert_eq!(fleet.sh("n1", "cat /srv/mark"), "kept\n");
    assert!(fleet.run(&["logs", "n1"]).expect(0).stdout.contains("booted"));

    // Without a length it is one stroke, and kill -9 of a holder brings the node back.
    fleet.run(&["kill", "n2"]).expect(0);
    assert_eq!(fleet.state("n2"), "stopped");
    let mut killed = Running::start(&mut fleet.command(&["kill", "n1", "--hold"]));
    killed.line(Duration::from_secs(3));
    killed.signal(Signal::SIGKILL);
    until("n1 is started again", Duration::from_secs(4), || fleet.state("n1") == "running");
    assert_eq!(fleet.state("n2"), "stopped", "what was killed for good stays so");
}

#[test]
fn another_who_resumes_the_node_ends_the_holders_work() {
    let fleet = fleet!();
    fleet.run(&["up", "n1"]).expect(0);
    let mut running =
        Running::start(&mut fleet.command(&["pause", "n1", "--for", "60s", "--lease", "1s"]));
    running.line(Duration::from_secs(3));
    fleet.run(&["resume", "n1"]).expect(0);
    let stop = running.line(Duration::from_secs(3));
    assert_eq!(stop["value"]["healed"], "by another");
    running.end(Duration::from_secs(3)).expect(0);
}

#[test]
fn a_holder_that_was_stopped_skips_what_it_missed_instead_of_making_up_for_it() {
    let fleet = fleet!();
    fleet.run(&["up", "n1"]).expect(0);
    let mut holder = Running::start(
        &mut fleet.command(&["pause", "n1", "--every", "1s", "--for", "300ms", "--first", "0s"]),
    );
    let next = |holder: &mut Running, f: &str| {
        let line = holder.line(Duration::from_secs(6));
        assert_eq!(line["f"], f, "{line}");
        line["time"].as_u64().unwrap()
    };
    next(&mut holder, "start-pause");
    let healed = next(&mut holder, "stop-pause");
    holder.signal(Signal::SIGSTOP);
    std::thread::sleep(Duration::from_millis(4500));
    holder.signal(Signal::SIGCONT);
    // It goes on in the beat: what comes after the first one comes a whole second later.
    let first = next(&mut holder, "start-pause");
    next(&mut holder, "stop-pause");
    let second = next(&mut holder, "start-pause");
    assert!(first > healed + 4_000_000_000, "{} ns", first - healed);
    assert!(second > first + 600_000_000, "a burst: {} ns", second - first);
    holder.signal(Signal::SIGTERM);
    let end = holder.end(Duration::from_secs(5));
    assert!(end.stderr.contains("faults were skipped"), "{end:?}");
}

#[test]
fn a_stagger_is_repeated_by_the_seed_on_the_start_line() {
    let fleet = fleet!();
    fleet.run(&["up", "n1"]).expect(0);
    // Faults of a second: on a busy machine a holder that wakes up late skips those whose time is over.
    let flags = |more: &[&'static str]| {
        let pause = ["pause", "n1", "--every", "3s", "--for", "1s", "--first", "0s"];
        [&pause[..], &["--stagger", "1900ms", "--time-limit", "6s"], more].concat()
    };
    let plan = |seed: &str| {
        let run = fleet.run(&[&flags(&["--dry-run", "--seed"])[..], &[seed]].concat());
        let plan = run.expect(0).stdout;
        let times: Vec<String> =
            plan.lines().filter(|l| l.contains(" at ")).map(str::to_string).collect();
        assert!(times.iter().any(|line| line.contains("the same again")), "{plan}");
        times
    };
    assert_eq!(plan("7"), plan("7"));
    assert_ne!(plan("7"), plan("8"));

    let lines = fleet.run(&flags(&[])).expect(0).lines();
    assert_eq!(lines.len(), 4, "{lines:?}");
    let drawn = lines[0]["value"]["seed"].as_u64().unwrap();
    assert!(lines.iter().all(|line| line["value"]["seed"] == drawn), "{lines:?}");
    let drawn = drawn.to_string();
    let again = fleet.run(&[&flags(&["--seed"])[..], &[&drawn]].concat()).expect(0).lines();
    assert_ne!(fleet.run(&flags(&["--dry-run"])).stdout, fleet.run(&flags(&["--dry-run"])).stdout);
    let gap =
        |lines: &[Value]| lines[2]["time"].as_u64().unwrap() - lines[0]["time"].as_u64().unwrap();
    assert!(gap(&lines).abs_diff(gap(&again)) < 900_000_000, "{lines:?}\n{again:?}");
}

#[test]
fn a_dry_run_touches_nothing_and_what_it_prints_does_it() {
    let fleet = fleet!();
    let name = &fleet.name;
    let traces = || {
        // A bridge's state follows its ports', and a walk through other fleets' folders ends where they go.
        sh(&format!(
            "grep {name} /proc/self/mountinfo; ip -br link | grep -o '^[^ ]*{name}[^ ]*'; ip route | grep {name}; \
             find /var/lib/breakit/*/*{name}* /var/lib/breakit/store/*/*{name}* /run/breakit/{name}* \
             -not -path '*/rootfs/*' 2>/dev/null | sort -u"
        ))
        .stdout
    };
    let dry = |args: &[&str]| fleet.run(&[args, &["--dry-run"]].concat()).expect(0).stdout;

    let up = dry(&["up", "n1..n2"]);
    assert_eq!(traces(), "", "up --dry-run left something");
    for part in ["ip link add bk-", "mount -t overlay -o nodev,lowerdir=", "lxc-start", "/config"] {
        assert!(up.contains(part), "{part}: {up}");
    }
    assert_eq!(up.matches("lxc-start").count(), 2, "{up}");
    let image = dry(&["image", &format!("img-{name}"), "--packages", "hello,sl"]);
    assert!(image.contains("apt-get install") && image.contains(" -- hello sl\n"), "{image}");
    assert_eq!(traces(), "", "image --dry-run left something");
    fleet.run(&["up", "n1", "--image", "never-built", "--dry-run"]).expect(66);

    fleet.run(&["up", "n1..n2"]).expect(0);
    let made = traces();
    let again = dry(&["up", "n1..n2"]);
    assert!(!again.contains("lxc-start") && !again.contains("mount "), "{again}");
    let pause = dry(&["pause", "n1"]);
    let held = dry(&["pause", "n1", "--for", "2s", "--first", "1s"]);
    assert!(held.starts_with("# at 1s\n# post a watchdog over n1"), "{held}");
    assert!(held.contains(&pause) && held.contains("\n# at 3s\necho "), "{held}");
    let (kill, stop) = (dry(&["kill", "n2"]), dry(&["stop", "n2", "--limit", "2s"]));
    assert_eq!(stop, kill.replace(" -k\n", " -t 2\n"));
    let down = dry(&["down"]);
    assert_eq!(
        (fleet.state("n1"), fleet.state("n2"), traces()),
        ("running".into(), "running".into(), made),
        "a dry run touched something"
    );

    // What was printed is what would have been done: a shell does the same with it.
    sh(&pause).expect(0);
    assert_eq!(fleet.state("n1"), "paused");
    assert_eq!(dry(&["pause", "n1"]), "");
    fleet.run(&["pause", "n1", "--hold", "--dry-run"]).expect(71);
    fleet.run(&["resume", "n1"]).expect(0);
    sh(&kill).expect(0);
    assert_eq!(fleet.state("n2"), "stopped");
    assert_eq!(dry(&["stop", "n2"]), "");
    // n2 is dead already, and other fleets need the store.
    let rest = |line: &&str| !line.contains("-n2 -k") && !line.ends_with("/breakit/store");
    let script: Vec<&str> = down.lines().filter(rest).collect();
    sh(&format!("set -e\n{}", script.join("\n"))).expect(0);
    assert_eq!(traces(), "", "what down --dry-run printed is not all of it");
    assert!(fleet.run(&["ls"]).expect(0).stdout.is_empty());
}

#[test]
fn two_fleets_live_side_by_side() {
    let (a, b) = (fleet!(), fleet!());
    a.run(&["up", "n1"]).expect(0);
    b.run(&["up", "n1"]).expect(0);
    assert_ne!(a.address("n1"), b.address("n1"));
    b.run(&["down"]).expect(0);
    assert_eq!(a.state("n1"), "running");
    assert_eq!(a.sh("n1", "hostname"), "n1\n");
}

#[test]
fn two_invocations_at_once_take_turns() {
    let fleet = fleet!();
    let ups =
        ["n1..n3", "n3..n5", "n2"].map(|nodes| Running::start(&mut fleet.command(&["up", nodes])));
    for up in ups {
        up.end(Duration::from_secs(20)).expect(0);
    }
    assert_eq!(fleet.run(&["nodes"]).expect(0).lines().len(), 5);
    assert_eq!(fleet.sh("n5", "getent hosts n1 n2 n3 n4 n5 | wc -l"), "5\n");
    let downs = [(); 2].map(|()| Running::start(&mut fleet.command(&["down"])));
    for down in downs {
        down.end(Duration::from_secs(20)).expect(0);
    }
}

#[test]
fn a_damaged_memory_is_named_and_nothing_is_made() {
    let fleet = fleet!();
    let memory = format!("/var/lib/breakit/fleets/{}.json", fleet.name);
    let tool = env!("CARGO_BIN_EXE_lxc-fleet");
    // In a mount namespace of its own: other tests' fleets need not meet it.
    let script = format!(
        "mkdir -p /var/lib/breakit/fleets; mount -t tmpfs fleets /var/lib/breakit/fleets; \
         echo '{{\"subnet\": nonsense' > {memory}; {tool} up n1"
    );
    let mut up = Command::new("unshare");
    up.args(["-m", "sh", "-c", &script]).env("BREAKIT_FLEET", &fleet.name);
    let said = run(&mut up).expect(65).stderr;
    assert!(said.contains(&memory) && said.contains("column 13"), "{said}");
}

/// Why there can be no node of busybox here, if so; judged as the tool does.
fn no_busybox() -> Option<&'static str> {
    match breakit::program::find("busybox", "busybox-static") {
        Err(_) => Some("busybox is not installed; install busybox-static"),
        Ok(program) if lxc_fleet::busybox::is_dynamic(&fs::read(&program).unwrap()) => {
            Some("busybox is not static; install busybox-static")
        }
        Ok(_) => None,
    }
}

#[test]
fn a_dynamic_busybox_is_told_from_a_static_one() {
    let of = |program: &str| lxc_fleet::busybox::is_dynamic(&fs::read(program).unwrap());
    assert!(of("/proc/self/exe"), "cargo links its tests dynamically");
    let fleet = fleet!();
    if !of("/bin/ls") {
        skip!("/bin/ls is static here");
    }
    // As on a host with Debian's package busybox: another program stands in its place, and the store is new.
    let tool = env!("CARGO_BIN_EXE_lxc-fleet");
    let script = format!(
        "mkdir -p /var/lib/breakit; umount -lR /var/lib/breakit/store 2>/dev/null; \
         mount -t tmpfs -o size=1g new /var/lib/breakit && mount -t tmpfs new /mnt && \
         cp /bin/ls /mnt/busybox && PATH=/mnt:$PATH exec {tool} up b1 --image busybox"
    );
    let mut up = Command::new("unshare");
    up.args(["-m", "sh", "-c", &script]).env("BREAKIT_FLEET", &fleet.name);
    let said = run(&mut up);
    let said = said.expect(69).stderr;
    assert!(said.contains("is not static") && said.contains("install the package busybox-static"));
}

#[test]
fn a_busybox_node_needs_nothing_of_the_host() {
    let fleet = fleet!();
    if let Some(why) = no_busybox() {
        skip!("{why}");
    }
    fleet.run(&["up", "b1..b2", "--image", "busybox"]).expect(0);
    let said = fleet.sh("b1", "hostname; ping -c1 -W1 b2 >/dev/null && echo reached; ls /usr");
    assert_eq!(said, "b1\nreached\nbin\nsbin\n");
    fleet.run(&["stop"]).expect(0);
}

#[test]
fn an_image_is_built_once_and_the_host_gets_nothing_of_it() {
    let fleet = fleet!();
    if !has("apt-get")
        || has("sl")
        || has("hello")
        || sh("apt-cache policy hello | grep -q 'Candidate: [0-9]'").status != 0
    {
        skip!("no package manager that knows the package hello");
    }
    let image = Layer::new(&fleet);
    fleet.run(&["image", &image.name, "--packages", "hello"]).expect(0);
    assert!(!has("hello"), "the host got it");
    let begun = Instant::now();
    let said = fleet.run(&["image", &image.name, "--packages", "hello"]).expect(0).stderr;
    assert!(said.contains("there already") && begun.elapsed() < Duration::from_secs(2), "{said}");
    fleet.run(&["up", "n1", "--image", &image.name]).expect(0);
    assert_eq!(fleet.sh("n1", "hello"), "Hello, world!\n");
    assert!(
        fleet.sh("n1", "cat /etc/shadow").starts_with("root:*:"),
        "the layer brought the host's hashes"
    );
    let listed = fleet.run(&["image", "ls", "--json"]).lines();
    assert!(listed.iter().any(|line| line["image"] == image.name.as_str()), "{listed:?}");
    let said = fleet.run(&["image", "rm", &image.name]).expect(71).stderr;
    assert!(said.contains("in use by node n1"), "{said}");
    fleet.run(&["down"]).expect(0);
    fleet.run(&["image", "rm", &image.name]).expect(0);
    fleet.run(&["image", "rm", &image.name]).expect(66);
}

#[test]
fn a_build_that_fails_or_is_killed_leaves_no_image() {
    let fleet = fleet!();
    if !has("apt-get") {
        skip!("no apt-get here");
    }
    let image = Layer::new(&fleet);
    let said = fleet
        .run(&["image", &image.name, "--packages", "no-such-package-breakit"])
        .expect(66)
        .stderr;
    assert!(said.contains("no-such-package-breakit"), "{said}");
    let said = fleet.run(&["up", "n1", "--image", &image.name]).expect(66).stderr;
    assert!(said.contains("lxc-fleet image"), "{said}");
    assert!(fleet.run(&["ls"]).expect(0).stdout.is_empty(), "the failed up left a fleet");

    for signal in [Signal::SIGKILL, Signal::SIGINT] {
        let builder =
            Running::start(&mut fleet.command(&["image", &image.name, "--packages", "sl"]));
        let site = format!("/.build-{}/|-- sl$", builder.pid());
        let at_work = || run(Command::new("pgrep").args(["-f", &site])).stdout;
        until("the build runs", Duration::from_secs(5), || !at_work().is_empty());
        builder.signal(signal);
        let status = builder.end(Duration::from_secs(10)).status;
        assert_eq!(status, 128 + signal as i32);
        until("all of the build is dead", Duration::from_secs(3), || at_work().is_empty());
    }
    let listed = fleet.run(&["image", "ls", "--json"]).expect(0).lines();
    assert!(listed.iter().all(|line: &Value| line["image"] != image.name.as_str()), "{listed:?}");
}

/// An image of a test's own, removed with it.
struct Layer<'a> {
    fleet: &'a Fleet,
    name: String,
}

impl<'a> Layer<'a> {
    fn new(fleet: &'a Fleet) -> Layer<'a> {
        Layer { fleet, name: format!("img-{}", fleet.name) }
    }
}

impl Drop for Layer<'_> {
    fn drop(&mut self) {
        for command in [&["down", "-q"][..], &["image", "rm", "-q", &self.name]] {
            let _ = self.fleet.command(command).stdin(Stdio::null()).stderr(Stdio::null()).status();
        }
    }
}

#[test]
fn kill_9_at_any_moment_of_up_and_down_is_repaired_by_the_next() {
    let fleet = fleet!();
    for delay in [5, 20, 45, 80, 130, 200, 300] {
        strike(&mut fleet.command(&["up", "n1..n3"]), delay);
        fleet.run(&["up", "n1..n3"]).expect(0);
        assert_eq!(
            fleet.sh("n1", "ping -n -q -c1 -W1 n3 >/dev/null && echo reached"),
            "reached\n",
            "after {delay} ms"
        );
        strike(&mut fleet.command(&["down"]), delay / 3);
        fleet.run(&["down"]).expect(0);
        strike(&mut fleet.command(&["up", "n1..n3"]), delay);
        fleet.run(&["down"]).expect(0);
        let name = &fleet.name;
        let left = sh(&format!(
            "grep {name} /proc/self/mountinfo; ls -d /run/breakit/{name}* /var/lib/breakit/lxc/*{name}* \
             /var/lib/breakit/fleets/{name}* 2>/dev/null; ip -br link | grep {name}; pgrep -af 'lxc.*{name}-n' | grep -v pgrep"
        ));
        assert_eq!(left.stdout, "", "left over after {delay} ms");
    }
}

fn strike(command: &mut Command, millis: u64) {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child: Child = command.spawn().unwrap();
    std::thread::sleep(Duration::from_millis(millis));
    let _ = child.kill();
    child.wait().unwrap();
}

#[test]
fn a_host_that_cannot_bear_a_fleet_is_told_why() {
    let fleet = fleet!();
    let tool = env!("CARGO_BIN_EXE_lxc-fleet");
    // In a mount namespace of its own, so that this host stays as it is.
    let on = |change: &str| {
        let script = format!("{change} && exec {tool} up n1");
        run(Command::new("unshare")
            .args(["-m", "sh", "-c", &script])
            .env("BREAKIT_FLEET", &fleet.name))
    };
    for folder in ["/usr", "/var"] {
        // With what is mounted below it: the store of other fleets may be.
        let said = on(&format!("mount --rbind {folder} {folder}")).expect(69).stderr;
        let sentence = format!("{folder} is a filesystem of its own");
        assert!(said.contains(&sentence) && said.contains("busybox"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(fleet.run(&["ls"]).expect(0).stdout.is_empty(), "the failed up left a fleet");
    }
    let lxc = "p=$(command -v lxc-start); mount --bind /dev/null $p";
    let said = on(lxc).expect(69).stderr;
    assert!(said.contains("lxc-start is missing") && said.contains("package lxc"), "{said}");
    let full = "mkdir -p /var/lib/breakit; umount -lR /var/lib/breakit/store 2>/dev/null; mount -t tmpfs -o size=100m full /var/lib/breakit";
    let said = on(full).expect(71).stderr;
    assert!(
        said.contains("MB are free under /var/lib/breakit") && said.contains("make room"),
        "{said}"
    );
    fleet.run(&["down"]).expect(0);
}

/// Runs `up n1`, `nodes` and `down` with an overlay of the given depth as root; shows what each said.
const ON_OVERLAYS: &str = r#"
set -e
site=$1 depth=$2 tool=$3
mount -t tmpfs overlays "$site"
lower=/
for i in $(seq "$depth"); do
    mkdir -p "$site/$i/upper" "$site/$i/work" "$site/$i/root"
    mount -t overlay -o "lowerdir=$lower,upperdir=$site/$i/upper,workdir=$site/$i/work" root "$site/$i/root"
    lower=$site/$i/root
done
for part in proc sys dev; do mount --rbind "/$part" "$lower/$part"; done
mount -t tmpfs run "$lower/run"
cp "$tool" "$lower/opt/lxc-fleet"
rm -rf "$lower/var/lib/breakit"
chroot "$lower" sh -c '/opt/lxc-fleet up n1; echo "up $?"; /opt/lxc-fleet exec n1 -- hostname; /opt/lxc-fleet down;
    find /run/breakit /var/lib/breakit/fleets 2>/dev/null; true' 2>&1
"#;

#[test]
fn a_root_that_is_an_overlay_will_do_and_one_on_another_is_told_to_be_too_many() {
    let fleet = fleet!();
    let on = |depth: &str| {
        let site = std::env::temp_dir().join(format!("{}-{depth}", fleet.name));
        fs::create_dir(&site).unwrap();
        let tool = env!("CARGO_BIN_EXE_lxc-fleet");
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", ON_OVERLAYS, "sh"]).arg(&site).args([depth, tool]);
        let said = run(command.env("BREAKIT_FLEET", &fleet.name));
        fs::remove_dir(&site).unwrap();
        said.expect(0).stdout
    };
    let said = on("1");
    assert!(said.contains("up 0\nn1\n"), "{said}");
    let said = on("2");
    assert!(said.contains("is an overlay itself") && said.contains("up 69\n"), "{said}");
    assert!(!said.contains("/run/breakit") && !said.contains("/fleets"), "left over: {said}");
}

#[test]
fn a_subnet_that_a_route_covers_is_not_taken() {
    let fleet = fleet!();
    if let Some(why) = no_busybox() {
        skip!("{why}");
    }
    // In a network namespace of its own, so that this host's routes stay as they are; LXC asks /sys for bridges.
    let within = |routes: &str| {
        let tool = env!("CARGO_BIN_EXE_lxc-fleet");
        let script = format!(
            "mount --rbind /sys/fs/cgroup /mnt; mount -t sysfs sys /sys; mount --rbind /mnt /sys/fs/cgroup; \
             ip link set lo up; for net in {routes}; do ip route add $net dev lo; done; ip -br link; \
             {tool} up b1 --image busybox && {tool} nodes; status=$?; {tool} down; ip -br link; exit $status"
        );
        run(Command::new("unshare")
            .args(["-nm", "sh", "-c", &script])
            .env("BREAKIT_FLEET", &fleet.name))
    };
    let said = within("10.213.0.0/16").expect(0).stdout;
    assert!(said.contains(r#""addrs":["172.29."#), "{said}");
    assert!(!said.lines().last().unwrap().contains("bk-"), "the bridge is left: {said}");
    let said = within("10.0.0.0/8 172.16.0.0/12 198.18.0.0/15").expect(71).stderr;
    assert!(said.contains("in use on this host"), "{said}");
}

/// Runs `script` in a network of its own with a /sys of its own, but with the host's cgroups.
fn in_a_network_of_its_own(name: &str, script: &str) -> Run {
    let enter = "mkdir -p $CGROUPS && mount --rbind /sys/fs/cgroup $CGROUPS && \
        mount -t sysfs sysfs /sys && mount --rbind $CGROUPS /sys/fs/cgroup && ip link set lo up && ";
    let cgroups = std::env::temp_dir().join(format!("breakit-cgroups-{}", std::process::id()));
    let made = sh(&format!("ip netns add {name}"));
    assert_eq!(made.status, 0, "{made:?}");
    let mut command = Command::new("nsenter");
    command.arg(format!("--net=/run/netns/{name}")).args(["unshare", "-m", "sh", "-c"]);
    let done = run(command.arg(format!("{enter}{script}")).env("CGROUPS", &cgroups));
    sh(&format!("ip netns del {name}; rmdir {}", cgroups.display()));
    done
}

#[test]
fn a_host_that_sends_bridged_frames_through_a_forward_drop_is_told_so_and_nothing_is_left() {
    let fleet = fleet!();
    if !Path::new("/proc/sys/net/bridge/bridge-nf-call-iptables").exists() || !has("iptables") {
        skip!("no br_netfilter in this kernel, or no iptables");
    }
    let tool = env!("CARGO_BIN_EXE_lxc-fleet");
    let script = format!(
        "iptables -P FORWARD DROP && export BREAKIT_FLEET={} && {tool} up n1..n2; s=$?; ip -br link; exit $s",
        fleet.name
    );
    let done =
        in_a_network_of_its_own(&format!("t{}-forward", std::process::id()), &script).expect(71);
    assert!(
        done.stderr.contains("br_netfilter") && done.stderr.contains("iptables -I FORWARD"),
        "{done:?}"
    );
    assert!(!done.stdout.contains(&fleet.bridge()), "{done:?}");
    assert!(!fleet.files().exists());
}
