//! Files go into nodes and out of them.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use breakit_tests::Running;
use nix::sys::signal::Signal;

use crate::bed::{Fleet, SOON, fleet, sh, until};

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
    // A folder that no host has: the nodes would see it.
    let own = format!("/opt/{}", fleet.name);
    fleet.run(&["push", app.to_str().unwrap(), &format!("n1..n2:{own}/app")]).expect(0);
    fleet.run(&["push", app.to_str().unwrap(), &format!(":{own}/app2")]).expect(0);
    assert_eq!(
        fleet.sh("n2", &format!("cd {own}; cat app/conf/a; stat -c %a app/run; ls; ls -A app")),
        "a\n750\napp\napp2\nconf\nrun\n"
    );
    assert!(!Path::new(&own).exists(), "it went to the host");
    fleet.run(&["push", app.join("conf/a").to_str().unwrap(), "n1:/etc/app.conf"]).expect(0);
    assert_eq!(fleet.sh("n1", "cat /etc/app.conf"), "a\n");

    let out = dir.join("out");
    fleet.run(&["pull", &format!("n1..n2:{own}/app"), out.to_str().unwrap()]).expect(0);
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

/// A folder of the host for one test, removed when it ends.
struct Place(PathBuf);

impl Place {
    fn of(fleet: &Fleet) -> Place {
        let place = Place(std::env::temp_dir().join(&fleet.name));
        fs::create_dir_all(&place.0).unwrap();
        place
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_string()
    }

    /// What lies there, hidden or not.
    fn list(&self) -> Vec<String> {
        let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<String> =
            fs::read_dir(&self.0).unwrap().map(|e| name(e).into_string().unwrap()).collect();
        names.sort_unstable();
        names
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Puts a program in the place of a node's tar; `real` tar is still there.
fn fake_tar(fleet: &Fleet, script: &str) {
    let line = format!(
        "cat > /usr/local/bin/tar <<'END'\n#!/bin/sh\nreal=/bin/tar\n{script}\nEND\nchmod +x /usr/local/bin/tar"
    );
    fleet.run(&["exec", "n1", "--", "sh", "-c", &line]).expect(0);
}

#[test]
fn a_flood_of_tars_warnings_is_drained_and_its_beginning_said() {
    let fleet = fleet!();
    fleet.run(&["up", "n1"]).expect(0);
    let place = Place::of(&fleet);
    fleet.sh("n1", "echo a > /tmp/a");
    fake_tar(
        &fleet,
        "[ $1 = --version ] || for i in $(seq 30000); do echo tar: warning $i >&2; done; $real \"$@\"",
    );
    let pulled = fleet.run(&["pull", "n1:/tmp/a", &place.file("a")]).expect(0);
    assert_eq!(fs::read_to_string(place.file("a")).unwrap(), "a\n");
    assert!(pulled.stderr.contains("tar: warning 1\n"), "{}", pulled.stderr);
    assert!(pulled.stderr.contains("29990 more lines"), "{}", pulled.stderr);
    fleet.run(&["push", &place.file("a"), "n1:/tmp/b"]).expect(0);
    assert_eq!(fleet.sh("n1", "cat /tmp/b"), "a\n");
}

#[test]
fn a_copy_is_judged_by_what_is_there_and_not_by_the_words_of_a_nodes_tar() {
    let fleet = fleet!();
    fleet.run(&["up", "n1"]).expect(0);
    let place = Place::of(&fleet);
    fleet.sh("n1", "echo a > /tmp/a");
    fake_tar(
        &fleet,
        "[ $1 = --version ] && exec $real \"$@\"\necho 'tar: No such file, as I say' >&2; exit 2",
    );
    let said = fleet.run(&["pull", "n1:/tmp/a", &place.file("a")]).expect(71).stderr;
    assert!(said.contains("No such file, as I say"), "{said}");
    fleet.run(&["pull", "n1:/tmp/b", &place.file("b")]).expect(66);
    // More than a pipe holds: our own tar meets the end of the node's.
    fs::write(place.file("large"), vec![7; 8 << 20]).unwrap();
    let said = fleet.run(&["push", &place.file("large"), "n1:/tmp/large"]).expect(71).stderr;
    assert!(said.contains("No such file, as I say"), "{said}");
}

#[test]
fn a_log_that_grows_arrives_with_a_warning_and_files_of_proc_arrive_with_their_text() {
    let fleet = fleet!();
    fleet.run(&["up", "n1"]).expect(0);
    let place = Place::of(&fleet);
    fleet.sh("n1", "head -c 20M /dev/zero > /tmp/log");
    // It grows after tar has looked how large it is, and before tar looks again.
    fake_tar(
        &fleet,
        "[ $1 = --version ] && exec $real \"$@\"\n(while :; do echo more; done >> /tmp/log) & \
         $real \"$@\"; code=$?; kill $!; exit $code",
    );
    let pulled = fleet.run(&["pull", "n1:/tmp/log", &place.file("log")]).expect(0);
    assert!(pulled.stderr.contains("log: file changed as we read it"), "{}", pulled.stderr);
    assert!(fs::metadata(place.file("log")).unwrap().len() >= 20 << 20);

    fleet.run(&["pull", "n1:/proc/1/status", &place.file("status")]).expect(0);
    assert!(fs::read_to_string(place.file("status")).unwrap().starts_with("Name:\t"));
    fleet.run(&["pull", "n1:/sys/class/net/lo/mtu", &place.file("mtu")]).expect(0);
    assert_eq!(fs::read_to_string(place.file("mtu")).unwrap(), "65536\n");
    let said = fleet.run(&["pull", "n1:/proc/sys", &place.file("sys")]).expect(71).stderr;
    assert!(said.contains("name a single one"), "{said}");
    assert_eq!(place.list(), ["log", "mtu", "status"]);
}

#[test]
fn sparse_files_stay_sparse_in_both_directions() {
    let fleet = fleet!();
    fleet.run(&["up", "n1"]).expect(0);
    let place = Place::of(&fleet);
    fleet.sh("n1", "truncate -s 1100M /tmp/sparse; echo end >> /tmp/sparse");
    fleet.run(&["pull", "n1:/tmp/sparse", &place.file("sparse")]).expect(0);
    let found = fs::metadata(place.file("sparse")).unwrap();
    assert_eq!(found.len(), (1100 << 20) + 4);
    assert!(found.blocks() < 1000, "{} blocks", found.blocks());
    fleet.run(&["push", &place.file("sparse"), "n1:/tmp/again"]).expect(0);
    let again =
        fleet.sh("n1", "du -k /tmp/again | cut -f1; cmp /tmp/sparse /tmp/again && echo same");
    let (blocks, same) = again.split_once('\n').unwrap();
    assert!(blocks.parse::<u32>().unwrap() < 500 && same == "same\n", "{again}");
}

#[test]
fn a_signal_ends_a_copy_without_an_end_and_leaves_nothing_half_made() {
    let fleet = fleet!();
    fleet.run(&["up", "n1"]).expect(0);
    let place = Place::of(&fleet);
    // It ignores TERM, and another process of the node holds the pipe.
    fake_tar(
        &fleet,
        "trap '' TERM; [ $1 = --version ] && exit; setsid sleep 4711 & while :; do sleep 1; done",
    );
    let pull = Running::start(&mut fleet.command(&["pull", "n1:/etc/hosts", &place.file("x")]));
    until("it waits", SOON, || place.list().iter().any(|name| name.starts_with(".pull-")));
    pull.wait_until_it_catches(Signal::SIGTERM);
    pull.signal(Signal::SIGTERM);
    assert_eq!(pull.end(SOON).status, 128 + 15);
    assert_eq!(place.list(), Vec::<String>::new());

    // One that hears TERM, so that the script around it can tidy up.
    fake_tar(&fleet, "[ $1 = --version ] && exit; setsid sleep 4711 & while :; do sleep 1; done");
    fs::write(place.file("big"), vec![b'x'; 10 << 20]).unwrap();
    let push = Running::start(&mut fleet.command(&["push", &place.file("big"), "n1:/tmp/big"]));
    until("it sends", SOON, || !fleet.sh("n1", "ls -d /tmp/.push-*").is_empty());
    push.signal(Signal::SIGINT);
    assert_eq!(push.end(SOON).status, 128 + 2);
    assert_eq!(fleet.sh("n1", "ls -A /tmp; pgrep -x sleep -a | grep 4711"), "");
    assert_eq!(fleet.program_groups(), "");

    // Nor does what comes without an end hang or fill the disk unseen.
    fake_tar(&fleet, "[ $1 = --version ] || exec cat /dev/zero");
    let pull = Running::start(&mut fleet.command(&["pull", "n1:/etc/hosts", &place.file("x")]));
    pull.wait_until_it_catches(Signal::SIGTERM);
    pull.signal(Signal::SIGTERM);
    assert_eq!(pull.end(SOON).status, 128 + 15);
    assert_eq!(place.list(), ["big"]);
}

#[test]
fn a_hostile_archive_writes_nothing_outside_of_its_own_folder() {
    let fleet = fleet!();
    fleet.run(&["up", "n1"]).expect(0);
    let place = Place::of(&fleet);
    let victim = place.0.join("victim");
    fs::write(&victim, "whole\n").unwrap();
    let victim = victim.to_str().unwrap();
    // Each is asked for as /bad/x, and packs something else.
    let attacks = [
        // Absolute names and names that climb.
        format!(
            "mkdir -p /e$(dirname {victim}); echo evil > /e{victim}; cd /e; $real -c -f - -P --transform 's,^,/,' .{victim}"
        ),
        "echo evil > /victim; cd /; $real -c -f - -P --transform 's,^victim,../victim,' victim"
            .to_string(),
        // A link, and then a file through it.
        format!(
            "cd /tmp; rm -rf a b; mkdir a b b/x; ln -s $(dirname {victim}) a/x; echo evil > b/x/victim; \
                 $real -c -f /t.tar -C a x; $real -r -f /t.tar -C b x/victim; cat /t.tar"
        ),
        // A hard link to a file of the host, by its name and through a link.
        format!(
            "cd /tmp; rm -f x; mkdir -p $(dirname {victim}); echo v > {victim}; ln -f {victim} x; \
                 $real -c -f /t.tar -P {victim} x; $real --delete -f /t.tar -P {victim}; cat /t.tar"
        ),
        format!(
            "cd /tmp; rm -rf x d; mkdir d; echo v > d/victim; ln d/victim x; \
                 $real -c -f /t.tar d/victim x; $real --delete -f /t.tar d/victim; rm -r d; \
                 ln -s $(dirname {victim}) d; $real -c -f /u.tar d; $real -A -f /u.tar /t.tar; cat /u.tar"
        ),
        "cd /tmp; rm -rf x; ln -s /etc/shadow x; $real -c -f - x".to_string(),
    ];
    for attack in attacks {
        fake_tar(&fleet, &format!("[ $1 = --version ] && exit; {attack}"));
        let target = place.0.join("x");
        let run = fleet.run(&["pull", "n1:/bad/x", target.to_str().unwrap()]);
        assert_eq!(fs::read_to_string(victim).unwrap(), "whole\n", "{attack}\n{run:?}");
        assert_eq!(fs::metadata(victim).unwrap().nlink(), 1, "{attack}");
        if let Ok(found) = fs::symlink_metadata(&target) {
            assert!(run.status == 0 && found.is_file() || found.is_dir(), "{attack}");
            sh(&format!("rm -rf {}", target.display())).expect(0);
        }
        assert_eq!(place.list(), ["victim"], "{attack}\n{run:?}");
    }
    assert!(!Path::new("/victim").exists());
}

#[test]
fn while_it_is_unpacked_nobody_else_reaches_what_comes_out_of_a_node() {
    let fleet = fleet!();
    fleet.run(&["up", "n1"]).expect(0);
    let place = Place::of(&fleet);
    fs::set_permissions(&place.0, fs::Permissions::from_mode(0o777)).unwrap();
    fake_tar(
        &fleet,
        "[ $1 = --version ] && exit; cd /tmp; cp /bin/sh x; chmod 4755 x; $real -c -f - x | head -c 100000; sleep 60",
    );
    let pull = Running::start(&mut fleet.command(&["pull", "n1:/tmp/x", &place.file("x")]));
    let landing = || place.list().into_iter().find(|name| name.starts_with(".pull-"));
    until("it arrives", SOON, || {
        landing().is_some_and(|name| place.0.join(name).join("x").exists())
    });
    let entered = format!(
        "setpriv --reuid 65534 --regid 65534 --clear-groups ls {}/{}",
        place.0.display(),
        landing().unwrap()
    );
    assert_eq!(sh(&entered).status, 2, "a setuid file of a node was within reach");
    pull.signal(Signal::SIGTERM);
    pull.end(SOON);
}
