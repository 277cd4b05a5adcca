//! What nodes are made of: layers built once, and busybox.

use std::fs;
use std::process::{Command, Stdio};

use breakit_tests::process::run;
use breakit_tests::{Running, has, skip};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::bed::{BUILT, Fleet, SOON, fleet, sh, until};

/// Why there can be no node of busybox here, if so; judged as the tool does.
pub fn no_busybox() -> Option<&'static str> {
    match breakit::program::find("busybox", "busybox-static") {
        Err(_) => Some("busybox is not installed; install busybox-static"),
        Ok(program) if lxc_fleet::image::busybox::is_dynamic(&fs::read(&program).unwrap()) => {
            Some("busybox is not static; install busybox-static")
        }
        Ok(_) => None,
    }
}

#[test]
fn a_dynamic_busybox_is_told_from_a_static_one() {
    let of = |program: &str| lxc_fleet::image::busybox::is_dynamic(&fs::read(program).unwrap());
    assert!(of("/proc/self/exe"), "cargo links its tests dynamically");
    let fleet = fleet!();
    if !of("/bin/ls") {
        skip!("/bin/ls is static here");
    }
    // As on a host with Debian's package busybox: another program stands in its place, and the store is new.
    let tool = env!("CARGO_BIN_EXE_lxc-fleet");
    let script = format!(
        "mkdir -p /var/lib/breakit; umount -lR /var/lib/breakit/store 2>/dev/null; \
         mount -t tmpfs -o size=1g new /var/lib/breakit && mount -t tmpfs run /run && mount -t tmpfs new /mnt && \
         cp /bin/ls /mnt/busybox && exec {tool} --path /mnt up b1 --image busybox --store-size 256M"
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
    fleet.build(&["image", &image.name, "--packages", "hello"]).expect(0);
    assert!(!has("hello"), "the host got it");
    let said = fleet.run(&["image", &image.name, "--packages", "hello"]).expect(0).stderr;
    assert!(said.contains("there already"), "{said}");
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
fn two_builds_of_one_image_at_once_both_succeed_though_nodes_use_it_before_the_second_ends() {
    let fleet = fleet!();
    if !has("apt-get") || sh("apt-cache policy hello | grep -q 'Candidate: [0-9]'").status != 0 {
        skip!("no package manager that knows the package hello");
    }
    let image = Layer::new(&fleet);
    let build = || {
        let build = ["image", &image.name, "--packages", "hello"];
        fleet.build(&build).expect(0);
        fleet.run(&["up", "n1", "--image", &image.name]).expect(0);
    };
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(build);
        }
    });
    assert_eq!(fleet.sh("n1", "hello"), "Hello, world!\n");
}

#[test]
fn a_package_that_the_host_has_is_installed_as_if_the_host_had_it_not() {
    let fleet = fleet!();
    let found = "dpkg-query -W -f='${db:Status-Status}' sudo 2>/dev/null | grep -qx installed && \
        apt-cache policy sudo | grep -q 'http'";
    if sh(found).status != 0 {
        skip!("sudo is not installed here, or there is no source of it");
    }
    let image = Layer::new(&fleet);
    let before = fs::read("/var/lib/dpkg/status").unwrap();
    fleet.build(&["image", &image.name, "--packages", "sudo"]).expect(0);
    assert_eq!(fs::read("/var/lib/dpkg/status").unwrap(), before, "the host's record changed");
    fleet.run(&["up", "n1", "--image", &image.name]).expect(0);
    // The host's own is hidden, and is not what stands there.
    let said = fleet.sh(
        "n1",
        "stat -c %a:%U:%G /etc/sudoers /etc/sudoers.d; grep -c ^root /etc/sudoers; sudo -n id -un; \
         dpkg-query -W -f='${db:Status-Status}\\n' sudo; apt-get check -qq 2>&1",
    );
    assert_eq!(said, "440:root:root\n755:root:root\n1\nroot\ninstalled\n");
}

#[test]
fn a_build_that_fails_or_is_killed_leaves_no_image() {
    let fleet = fleet!();
    if !has("apt-get") {
        skip!("no apt-get here");
    }
    let image = Layer::new(&fleet);
    let said = fleet
        .build(&["image", &image.name, "--packages", "no-such-package-breakit"])
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
        until("the build runs", SOON, || !at_work().is_empty());
        builder.signal(signal);
        let status = builder.end(SOON).status;
        assert_eq!(status, 128 + signal as i32);
        until("all of the build is dead", SOON, || at_work().is_empty());
    }
    let listed = fleet.run(&["image", "ls", "--json"]).expect(0).lines();
    assert!(listed.iter().all(|line: &Value| line["image"] != image.name.as_str()), "{listed:?}");
}

#[test]
fn a_build_goes_on_while_a_command_in_another_mount_namespace_takes_down_what_is_left() {
    let fleet = fleet!();
    if !has("apt-get") || !has("dpkg-deb") {
        skip!("no package manager here");
    }
    let tool = env!("CARGO_BIN_EXE_lxc-fleet");
    let mark = format!("breakit-{}-slow", std::process::id());
    let archive = Archive::new(&mark, &[("a", "sleep 3; echo done > /etc/slow")]);
    // A host of its own, where there is no fleet of another test.
    let script = format!(
        "mkdir -p /var/lib/breakit; umount -lR /var/lib/breakit/store 2>/dev/null
         mount -t tmpfs -o size=2g new /var/lib/breakit && mount -t tmpfs -o mode=755 run /run || exit 99
         {tool} image slow --sparse --packages {package} & builder=$!
         until pgrep -f '^/bin/sh /var/lib/dpkg/info/{package}.postinst' >/dev/null || ! kill -0 $builder; do sleep 0.1; done
         unshare -m {tool} -v down --all; echo down $?; findmnt -no FSTYPE /var/lib/breakit/store
         wait $builder; echo built $?; {tool} image ls | cut -f1; {tool} image rm --all; ls -A /var/lib/breakit",
        package = archive.name("a")
    );
    let mut host = Command::new("unshare");
    host.args(["-m", "sh", "-c", &script]).env("BREAKIT_FLEET", &fleet.name);
    let said = Running::start(&mut host).end(BUILT);
    assert_eq!(said.stdout, "down 0\next4\nbuilt 0\nslow\n", "{said:?}");
    assert!(said.stderr.contains("an image is being built in it"), "{said:?}");
}

#[test]
fn the_scripts_of_packages_do_no_more_than_a_node_and_one_that_fails_for_it_is_named() {
    let fleet = fleet!();
    if !has("apt-get") || !has("dpkg-deb") {
        skip!("no package manager here");
    }
    let mark = format!("breakit-{}", std::process::id());
    let attack = format!(
        "echo 77 > /proc/sys/vm/swappiness; ip link add {mark} type bridge; echo x > /dev/shm/{mark}; \
         mount -t tmpfs x /mnt; head -n 1 /proc/self/uid_map > /etc/{mark}; true"
    );
    let archive = Archive::new(
        &mark,
        &[("a", attack.as_str()), ("b", "exec 3>>/proc/sys/vm/swappiness || exit 1")],
    );
    let swappiness = || fs::read_to_string("/proc/sys/vm/swappiness").unwrap();
    let before = swappiness();
    let image = Layer::new(&fleet);
    fleet.build(&["image", &image.name, "--packages", &archive.name("a")]).expect(0);
    assert_eq!(swappiness(), before, "a script changed the host");
    assert!(!std::path::Path::new("/dev/shm").join(&mark).exists());
    assert_ne!(sh(&format!("ip link show {mark}")).status, 0, "a script made a link on the host");
    fleet.run(&["up", "n1", "--image", &image.name]).expect(0);
    let map = fleet.sh("n1", &format!("cat /etc/{mark}"));
    assert!(
        map.split_whitespace().nth(1).is_some_and(|base| base != "0"),
        "as the host's root: {map}"
    );
    fleet.run(&["down"]).expect(0);

    let second = format!("{}-b", image.name);
    let build = ["image", &second, "--packages", &archive.name("b")];
    let said = fleet.build(&build).expect(71).stderr;
    let named = format!("a script of the package {} failed", archive.name("b"));
    assert!(said.contains(&named) && said.contains("--build-allow"), "{said}");
    fleet.build(&[&build[..], &["--build-allow"]].concat()).expect(0);
    fleet.run(&["image", "rm", &second]).expect(0);
}

/// Packages of a test's own, in a place where this host's package manager finds them as long as this value lives.
struct Archive {
    mark: String,
    folder: std::path::PathBuf,
    list: std::path::PathBuf,
}

impl Archive {
    /// Packages that have these ends of their names and these scripts.
    fn new(mark: &str, packages: &[(&str, &str)]) -> Archive {
        // Not in /tmp, which a build does not see.
        let archive = Archive {
            mark: mark.to_string(),
            folder: format!("/usr/local/share/{mark}").into(),
            list: format!("/etc/apt/sources.list.d/{mark}.list").into(),
        };
        fs::create_dir_all(&archive.folder).unwrap();
        for (end, script) in packages {
            archive.pack(&archive.name(end), script);
        }
        let source = format!("deb [trusted=yes] copy:{} ./\n", archive.folder.display());
        fs::write(&archive.list, source).unwrap();
        archive
    }

    fn name(&self, end: &str) -> String {
        format!("{}-{end}", self.mark)
    }

    fn pack(&self, name: &str, script: &str) {
        let control = format!(
            "Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: test <test@example.org>\nDescription: test\n"
        );
        let make = format!(
            "set -e; cd {}; mkdir -p {name}/DEBIAN; printf '%s' \"$1\" > {name}/DEBIAN/control; \
             printf '#!/bin/sh\\n%s\\n' \"$2\" > {name}/DEBIAN/postinst; chmod 755 {name}/DEBIAN/postinst; \
             dpkg-deb -b {name} {name}.deb; rm -r {name}; \
             printf '%sFilename: ./{name}.deb\\nSize: %s\\nSHA256: %s\\n\\n' \"$1\" \"$(stat -c %s {name}.deb)\" \
                 \"$(sha256sum {name}.deb | cut -d' ' -f1)\" >> Packages",
            self.folder.display()
        );
        run(Command::new("sh").args(["-c", &make, "sh", &control, script])).expect(0);
    }
}

impl Drop for Archive {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.list);
        let _ = fs::remove_dir_all(&self.folder);
        // The package manager remembers what it read there only in layers, which are gone.
    }
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
