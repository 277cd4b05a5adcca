//! Which system calls a node may make.

use crate::bed::{Fleet, fleet};

/// Makes a system call of x86-64 by its number and prints the name of what it fails with, or `ok`.
const CALL: &str = "import ctypes, errno, sys\n\
     l = ctypes.CDLL(None, use_errno=True)\n\
     n = l.syscall(*map(int, sys.argv[1:]))\n\
     print('ok' if n >= 0 else errno.errorcode[ctypes.get_errno()])\n";

fn call(fleet: &Fleet, node: &str, arguments: &str) -> String {
    let script = format!("/usr/bin/python3 -c \"{CALL}\" {arguments}");
    fleet.sh(node, &script).trim().to_string()
}

#[test]
#[cfg(target_arch = "x86_64")]
fn root_in_a_node_is_refused_what_no_server_needs_and_nothing_is_killed_for_asking() {
    let fleet = fleet!();
    fleet.run(&["up", "n1"]).expect(0);
    let newuser = 0x1000_0000;
    for (what, arguments, answer) in [
        ("clone3", "435 0 0".to_string(), "ENOSYS"),
        ("add_key", "248 0 0 0 0 0".to_string(), "ENOSYS"),
        ("request_key", "249 0 0 0 0".to_string(), "ENOSYS"),
        ("keyctl", "250 0 -3 0".to_string(), "ENOSYS"),
        ("io_uring_setup", "425 1 0".to_string(), "ENOSYS"),
        ("a call of the future", "1023".to_string(), "ENOSYS"),
        ("unshare", format!("272 {newuser}"), "EPERM"),
        ("clone of a user namespace", format!("56 {newuser} 0 0 0 0"), "EPERM"),
        ("clone of a mount namespace", format!("56 {} 0 0 0 0", 0x2_0000), "EPERM"),
        ("setns", "308 0 0".to_string(), "EPERM"),
        ("mount", "165 0 0 0 0 0".to_string(), "EPERM"),
        ("bpf", "321 0 0 0".to_string(), "EPERM"),
        ("perf_event_open", "298 0 0 0 0 0".to_string(), "EPERM"),
        ("userfaultfd", "323 0".to_string(), "EPERM"),
        ("kexec_load", "246 0 0 0 0".to_string(), "EPERM"),
        ("open_by_handle_at", "304 0 0 0".to_string(), "EPERM"),
        ("getpid", "39".to_string(), "ok"),
    ] {
        assert_eq!(call(&fleet, "n1", &arguments), answer, "{what}");
    }
    // The first process is restricted as the programs of exec are.
    assert_eq!(fleet.sh("n1", "grep ^Seccomp: /proc/1/status").trim(), "Seccomp:\t2");
    let line = fleet.run(&["ls", "--json"]).lines()[0].clone();
    assert_eq!(line["allow"], serde_json::json!([]));
}

#[test]
#[cfg(target_arch = "x86_64")]
fn what_allow_names_is_open_in_that_node_and_ls_shows_it() {
    let fleet = fleet!();
    fleet.run(&["up", "n1", "--allow", "io_uring,userns"]).expect(0);
    fleet.run(&["up", "n2", "--allow", "io_uring"]).expect(0);
    // Its arguments are wrong, which is found out behind the filter alone.
    for node in ["n1", "n2"] {
        assert_eq!(call(&fleet, node, "425 1 0"), "EFAULT");
    }
    assert_eq!(fleet.sh("n1", "unshare --user --map-root-user id -u").trim(), "0");
    assert_ne!(fleet.run(&["exec", "n2", "--", "unshare", "--user", "true"]).status, 0);
    // A fresh /proc would show what is hidden in the node's own.
    let fresh = "unshare -Urpfm sh -c 'mount -t proc proc /mnt 2>/dev/null || umount /proc/irq 2>/dev/null; \
                 ls /mnt/irq /proc/irq'";
    assert!(!fleet.sh("n1", fresh).contains("smp_affinity"));
    let rows = fleet.run(&["ls"]).stdout;
    assert!(rows.lines().next().unwrap().ends_with("\tallow io_uring,userns"), "{rows}");
    let lines = fleet.run(&["ls", "--json"]).lines();
    assert_eq!(lines[1]["allow"], serde_json::json!(["io_uring"]));
    // Started again it is as it was; made otherwise it cannot be.
    fleet.run(&["kill", "n2"]).expect(0);
    fleet.run(&["up", "n2"]).expect(0);
    assert_eq!(call(&fleet, "n2", "425 1 0"), "EFAULT");
    fleet.run(&["up", "n2", "--allow", "userns"]).expect(64);
}

/// Makes a system call of 32-bit x86 from a 64-bit program, and prints what it returns.
#[cfg(target_arch = "x86_64")]
const CALL_32: &str = r#"
import ctypes, mmap, struct, sys
number, first, *rest = map(int, sys.argv[1:])
LOW = 0x40  # MAP_32BIT
page = mmap.mmap(-1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | LOW, mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
at = ctypes.addressof(ctypes.c_char.from_buffer(page))
page[512:512 + 4 * len(rest)] = struct.pack("%dI" % len(rest), *rest)
second = at + 512 if number == 102 else rest[0]
code = b"\x53\xb8" + struct.pack("I", number) + b"\xbb" + struct.pack("I", first)
code += b"\xb9" + struct.pack("I", second) + b"\xba" + struct.pack("I", 0) + b"\xcd\x80\x5b\xc3"
page[:len(code)] = code
print(ctypes.CFUNCTYPE(ctypes.c_int)(at)())"#;

/// What a node starts by itself: it writes how it fares with such a socket.
#[cfg(target_arch = "x86_64")]
const BOOT: &str = "#!/usr/bin/python3\n\
     import socket, sys\n\
     sys.stdout = open('/srv/said', 'w')\n\
     try: socket.socket(40, 1); print('open')\n\
     except OSError as e: print(e.errno)\n";

#[test]
#[cfg(target_arch = "x86_64")]
fn sockets_to_the_host_of_a_virtual_machine_are_not_there_unless_they_are_allowed() {
    use crate::bed::{SOON, until};
    use breakit_tests::process::run_with;
    use breakit_tests::skip;

    const ENOSYS: &str = "-38";
    let fleet = fleet!();
    fleet.run(&["up", "n1"]).expect(0);
    fleet.run(&["up", "n2", "--allow", "vsock"]).expect(0);
    for (name, answer) in [("n1", "EAFNOSUPPORT"), ("n2", "ok")] {
        let has = call(&fleet, name, "41 40 1 0");
        // A kernel without them says the same to both.
        assert!(has == answer || name == "n2" && has == "EAFNOSUPPORT", "{name}: {has}");
        assert_eq!(call(&fleet, name, "41 2 1 0"), "ok");
    }
    // What the node starts by itself is held as well.
    let script = "mkdir -p /etc/breakit; cat >/etc/breakit/boot; chmod +x /etc/breakit/boot";
    let mut write = fleet.command(&["exec", "-i", "n1", "--", "sh", "-c", script]);
    run_with(&mut write, BOOT).expect(0);
    fleet.run(&["kill", "n1"]).expect(0);
    fleet.run(&["start", "n1"]).expect(0);
    until("the boot program has run", SOON, || !fleet.sh("n1", "cat /srv/said").is_empty());
    assert_eq!(fleet.sh("n1", "cat /srv/said").trim(), "97");

    let call32 = |node: &str, arguments: &str| {
        let words = ["exec", node, "--", "python3", "-c", CALL_32];
        let words: Vec<&str> = words.into_iter().chain(arguments.split(' ')).collect();
        fleet.run(&words).stdout.trim().to_string()
    };
    // getpid(2); a kernel that runs no 32-bit programs ends ours.
    if call32("n2", "20 0 0").parse::<u32>().is_err() {
        skip!("this kernel runs no 32-bit programs");
    }
    // LXC's list knows socket(2) of 64 bits alone; socketcall(2) hides its arguments in memory.
    for call in ["359 40 1", "102 1 40 1 0"] {
        assert_eq!(call32("n1", call), ENOSYS);
    }
    assert!(!call32("n2", "102 1 2 1 0").starts_with('-'));
}

#[test]
fn programs_that_change_the_user_work() {
    let fleet = fleet!();
    fleet.run(&["up", "n1"]).expect(0);
    for (program, user) in [
        ("su daemon -s /bin/sh -c 'id -un'", "daemon"),
        ("setpriv --reuid daemon --regid daemon --init-groups id -un", "daemon"),
        ("! command -v sudo >/dev/null && echo daemon || sudo -u daemon id -un", "daemon"),
        ("chroot / id -un", "root"),
    ] {
        assert_eq!(fleet.sh("n1", program).trim(), user, "{program}");
    }
}
