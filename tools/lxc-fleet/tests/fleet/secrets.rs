//! What of the host no node may read, and what is shown on request.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::bed::fleet;

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
