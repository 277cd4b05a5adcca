//! What of the host no node may read, and what is shown on request.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::bed::{Fleet, fleet};

static COUNT: AtomicU32 = AtomicU32::new(0);

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
        "for f in /etc/ssh /etc/shadow- /etc/gshadow- /etc/ssl/private /etc/sudoers.d /var/lib/breakit /var/lib/lxc \
         /var/lib/docker /var/lib/postgresql /var/lib/mysql /boot; do [ -e $f ] && echo $f; done",
    );
    assert_eq!(gone, "");
    assert_eq!(fleet.sh("n1", "cat /etc/sudoers"), "root ALL=(ALL:ALL) ALL\n");

    // What a node stores must not lead to a folder of the host's.
    let root = fleet.sh("n1", "grep ' / overlay ' /proc/mounts");
    assert!(root.contains("redirect_dir=nofollow") && !root.contains("metacopy=on"), "{root}");

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

/// A file of the host's that every user may read, in each of the folders that show only what a node needs.
const CLOSED: [&str; 7] =
    ["/", "/opt", "/srv", "/usr/local", "/usr/src", "/var", "/var/lib/systemd"];

#[test]
fn what_others_may_not_read_on_the_host_is_not_there_in_a_node() {
    let fleet = fleet!();
    let mut planted = Planted::new();
    // Data folders and sources, as makers of databases and kernels leave them, whatever their modes.
    let mut hidden: Vec<PathBuf> =
        CLOSED.iter().map(|folder| planted.folder(folder, 0o755).file("data", 0o644)).collect();
    for folder in ["/usr/local/share", "/usr/local/lib", "/usr/share", "/usr/lib", "/etc"] {
        hidden.push(planted.folder(folder, 0o755).file("key", 0o640));
        hidden.push(planted.folder(folder, 0o750).file("open", 0o644));
    }
    hidden.push(planted.folder("/usr/local/bin", 0o755).file("backup", 0o700));
    let seen = [
        planted.folder("/usr/local/share", 0o755).file("open", 0o644),
        planted.folder("/usr/share", 0o755).file("open", 0o644),
        planted.folder("/etc", 0o755).file("open", 0o644),
    ];
    fleet.run(&["up", "n1"]).expect(0);
    for path in &hidden {
        assert!(is_absent(&fleet, path), "{}", path.display());
    }
    for path in &seen {
        assert_eq!(fleet.sh("n1", &format!("cat {}", path.display())), "secret\n");
    }
    let found = fleet.sh(
        "n1",
        "ls -A /opt /usr/src | grep -v : | grep .; cd /var; \
         ls -d lib/systemd/coredump lib/systemd/pstore lib/private cache/private cache/debconf/passwords.dat \
         lib/dpkg/lock lib/apt/lists/partial cache/apt/archives/partial 2>/dev/null",
    );
    assert_eq!(found, "");

    // The next node is no later than the host: neither a mode nor a folder that has changed since is missed.
    fs::set_permissions(seen[0].parent().unwrap(), Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(&hidden[CLOSED.len()], Permissions::from_mode(0o644)).unwrap();
    fleet.run(&["up", "n2"]).expect(0);
    let cat = |path: &Path| fleet.sh("n2", &format!("cat {} 2>&1", path.display()));
    assert!(cat(&seen[0]).contains("No such file"), "{}", cat(&seen[0]));
    assert_eq!(cat(&hidden[CLOSED.len()]), "secret\n");
    assert!(is_absent(&fleet, &hidden[CLOSED.len()]), "what runs already stays as it was");
}

#[test]
fn what_the_host_gets_later_is_not_seen_or_not_readable_in_a_node_that_runs() {
    let fleet = fleet!();
    let mut planted = Planted::new();
    let narrowed = planted.folder("/usr/share", 0o755).file("narrowed", 0o644);
    fleet.run(&["up", "n1"]).expect(0);
    let cat = |path: &Path| fleet.sh("n1", &format!("cat {} 2>&1", path.display()));
    assert_eq!(cat(&narrowed), "secret\n");
    for folder in CLOSED.iter().chain(&["/var/lib", "/var/cache", "/home", "/tmp"]) {
        let path = planted.folder(folder, 0o755).file("data", 0o644);
        assert!(is_absent(&fleet, &path), "{}", path.display());
    }
    // The manual says that these appear; what others may not read stays unreadable.
    fs::set_permissions(&narrowed, Permissions::from_mode(0o600)).unwrap();
    assert!(cat(&narrowed).contains("Permission denied"), "{}", cat(&narrowed));
    for folder in ["/usr/share", "/usr/local/share", "/etc", "/var/lib/dpkg"] {
        let mut folder = planted.folder(folder, 0o755);
        let (open, key) = (folder.file("open", 0o644), folder.file("key", 0o600));
        assert_eq!(cat(&open), "secret\n");
        let said = fleet.sh(
            "n1",
            &format!(
                "cat {0} 2>&1; cp {0} /tmp/key; chmod 644 {0}; mv {0} /tmp/key; cat /tmp/key",
                key.display()
            ),
        );
        assert!(said.contains("Permission denied") && !said.contains("secret"), "{said}");
    }
}

#[test]
fn a_file_and_a_folder_are_shown_below_folders_that_show_nothing_with_the_modes_that_they_have() {
    let fleet = fleet!();
    let mut planted = Planted::new();
    let mut opt = planted.folder("/opt", 0o700);
    let (key, other) = (opt.file("key", 0o600), opt.file("other", 0o644));
    let mut local = planted.folder("/usr/local", 0o750);
    let data = local.file("data", 0o640);
    fleet
        .run(&[
            "up",
            "n1",
            "--show",
            key.to_str().unwrap(),
            "--show",
            &local.path.display().to_string(),
        ])
        .expect(0);
    let modes =
        |path: &Path| fleet.sh("n1", &format!("cat {0}; stat -c %a:%s {0}", path.display()));
    assert_eq!(modes(&key), "secret\n600:7\n");
    assert_eq!(modes(&data), "secret\n640:7\n");
    assert!(is_absent(&fleet, &other), "what lies beside it is seen");
    // What is shown is the host's: what it gets later appears, and what the node writes does not reach it.
    let later = local.file("later", 0o600);
    assert_eq!(modes(&later), "secret\n600:7\n");
    fleet.sh(
        "n1",
        &format!("echo changed > {0}; echo changed > {1}", key.display(), data.display()),
    );
    assert_eq!(modes(&data), "changed\n640:8\n");
    for path in [&key, &data] {
        assert_eq!(fs::read_to_string(path).unwrap(), "secret\n");
    }
}

#[test]
fn what_a_node_makes_where_the_host_has_something_hidden_is_its_own_and_keeps_its_mode() {
    let fleet = fleet!();
    let mut planted = Planted::new();
    let hidden = planted.folder("/usr/local", 0o755).file("data", 0o644);
    let key = planted.folder("/etc", 0o700).file("key", 0o600);
    fleet.run(&["up", "n1"]).expect(0);
    for path in [&hidden, &key] {
        let made = fleet.sh(
            "n1",
            &format!(
                "cd {0} && mkdir -m 700 {1} && cd {1} && (umask 077; echo own > {2}) && ls -A && stat -c %a . {2} && cat {2}",
                path.ancestors().nth(2).unwrap().display(),
                path.parent().unwrap().file_name().unwrap().display(),
                path.file_name().unwrap().display(),
            ),
        );
        let name = path.file_name().unwrap().display();
        assert_eq!(made, format!("{name}\n700\n600\nown\n"));
    }
    fleet.run(&["kill", "n1"]).expect(0);
    fleet.run(&["up", "n1"]).expect(0);
    assert_eq!(fleet.sh("n1", &format!("cat {}", key.display())), "own\n");
    assert_eq!(
        fleet.sh("n1", "mkdir -m 700 /var/lib/apt/lists/partial && apt-get check -qq && echo fine"),
        "fine\n"
    );
}

fn is_absent(fleet: &Fleet, path: &Path) -> bool {
    let above = path.parent().unwrap();
    let said = fleet.sh("n1", &format!("ls {}; cat {} 2>&1", above.display(), path.display()));
    said.contains("No such file") && !said.contains("secret")
}

/// Folders on the host with a test's own name; gone with this value.
struct Planted {
    mark: String,
    folders: Vec<PathBuf>,
}

/// One of them.
struct PlantedFolder {
    path: PathBuf,
}

impl Planted {
    fn new() -> Planted {
        Planted { mark: mark(), folders: Vec::new() }
    }

    fn folder(&mut self, above: &str, mode: u32) -> PlantedFolder {
        let path = Path::new(above).join(format!("{}-{}", self.mark, self.folders.len()));
        fs::create_dir_all(&path).unwrap();
        self.folders.push(path.clone());
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        PlantedFolder { path }
    }
}

impl PlantedFolder {
    fn file(&mut self, name: &str, mode: u32) -> PathBuf {
        let path = self.path.join(name);
        fs::write(&path, "secret\n").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    }
}

impl Drop for Planted {
    fn drop(&mut self) {
        for folder in &self.folders {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

fn mark() -> String {
    format!("breakit-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Files on the host that no node may see, of every kind that is hidden; gone with this value.
struct Secrets {
    paths: Vec<PathBuf>,
    folders: Vec<PathBuf>,
}

impl Secrets {
    fn plant() -> Secrets {
        let mark = mark();
        let at = |folder: &str| Path::new(folder).join(&mark);
        // In folders that are hidden: two in one, then a top folder nobody knows, and data under /var/lib.
        let folders = vec![at("/root"), at("/"), at("/var/lib"), at("/srv"), at("/etc")];
        let mut paths = vec![folders[0].join("a"), folders[0].join("b")];
        paths.extend(folders[1..].iter().map(|folder| folder.join("key")));
        folders.iter().for_each(|folder| fs::create_dir(folder).unwrap());
        paths.iter().for_each(|path| fs::write(path, "secret\n").unwrap());
        // In /etc it is the mode that hides.
        fs::set_permissions(&folders[4], Permissions::from_mode(0o700)).unwrap();
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
