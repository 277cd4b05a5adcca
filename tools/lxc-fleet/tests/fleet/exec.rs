//! Programs run in nodes, and files go in and out.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use breakit_tests::Running;
use breakit_tests::process::{run, run_with};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::bed::{SOON, fleet, sh, until};

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
    let said = fleet.run(&["exec", "--", "true"]).expect(71).stderr;
    assert!(said.contains("node n1 is paused") && said.contains("lxc-fleet resume"), "{said}");
    let said = fleet.run(&["push", "/etc/hostname", "n1:/tmp/x"]).expect(71).stderr;
    assert!(said.contains("is paused"), "{said}");
    fleet.run(&["resume"]).expect(0);

    let said =
        fleet.run(&["exec", "n1", "--limit", "300ms", "--", "sh", "-c", "sleep 4711 & sleep 4712"]);
    assert!(said.expect(75).stderr.contains("did not end within 300ms"));
    assert_eq!(fleet.sh("n1", "pgrep -x sleep -a | grep 471"), "", "what was limited is dead");
    // Longer than we wait for any run.
    fleet.run(&["exec", "--", "sh", "-c", "setsid sleep 600 & echo started"]).expect(0);
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
    until("the signal ends it", SOON, || {
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
    assert_eq!(running.line(SOON), 1);
    running.signal(Signal::SIGTERM);
    assert_eq!(running.end(SOON).status, 128 + 15);
    assert_eq!(fleet.sh("n1", "pgrep -x sleep -a | grep 4711"), "");
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
