# Run as root in a node: tries what a node must not be able to do, and prints the name of each thing that worked.
# Arguments: the host's address, a port on which it listens, and the address of a node of another fleet.
import ctypes, os, socket, stat, struct, sys

host, port, stranger = sys.argv[1], int(sys.argv[2]), sys.argv[3]
libc = ctypes.CDLL(None, use_errno=True)


def attempt(name, work):
    try:
        worked = work()
    except (OSError, ValueError):
        worked = False
    if worked:
        print(name, flush=True)


def writes(path, text):
    def work():
        # Of what is there: a new file on the node's own /sys/fs/cgroup is none of the host's.
        with open(path, "r+") as file:
            file.write(text)
        return True
    return work


def reads(path):
    def work():
        with open(path, "rb") as file:
            return len(file.read(1)) > 0
    return work


def calls(number, *args):
    return lambda: libc.syscall(number, *[ctypes.c_long(a) if isinstance(a, int) else a for a in args]) >= 0


def connects(address, port):
    def work():
        socket.create_connection((address, port), 2).close()
        return True
    return work


# What the host's root alone may read, under every name by which it could be reached.
for path in ["/proc/kcore", "/proc/1/root/var/lib/breakit/store.img", "/var/lib/breakit/store.img", "/proc/keys",
             "/etc/shadow-", "/etc/ssh/ssh_host_ed25519_key", "/root/.bashrc", "/run/breakit/.lock", "/dev/mem",
             "/proc/timer_list", "/sys/kernel/debug/sched", "/proc/sched_debug"]:
    attempt("read " + path, reads(path))

# The kernel's settings that are the host's.
for path, text in [("/proc/sysrq-trigger", "h"), ("/proc/sys/kernel/core_pattern", "|/bin/false"),
                   ("/proc/sys/vm/swappiness", "61"), ("/proc/sys/kernel/modprobe", "/bin/false"),
                   ("/proc/irq/default_smp_affinity", "1"), ("/sys/kernel/uevent_helper", "/bin/false"),
                   ("/proc/sys/fs/protected_hardlinks", "0"), ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "-1"),
                   ("/sys/fs/cgroup/pids/pids.max", "max"), ("/sys/fs/cgroup/memory/release_agent", "/bin/false"),
                   ("/etc/hosts", "1.2.3.4 n2")]:
    attempt("write " + path, writes(path, text))

# System calls, by their numbers on x86-64.
CALLS = {"mount": (165, b"x", b"/mnt", b"tmpfs", 0, 0), "umount": (166, b"/proc", 0), "pivot_root": (155, b"/", b"/mnt"),
         "unshare user": (272, 0x10000000), "unshare mount": (272, 0x20000), "setns": (308, 0, 0x20000),
         "clone3": (435, ctypes.create_string_buffer(88), 88), "add_key": (248, b"user", b"x", b"y", 1, -4),
         "keyctl": (250, 0, -4, 0), "request_key": (249, b"user", b"x", 0, 0), "io_uring": (425, 8, ctypes.create_string_buffer(120)),
         "bpf": (321, 0, ctypes.create_string_buffer(72), 72), "perf_event_open": (298, ctypes.create_string_buffer(112), 0, -1, -1, 0),
         "open_by_handle_at": (304, -100, ctypes.create_string_buffer(24), 0), "kexec_load": (246, 0, 0, 0, 0),
         "init_module": (175, b"x", 1, b""), "settimeofday": (164, struct.pack("qq", 1, 0), 0), "reboot": (169, 0xFEE1DEAD, 672274793, 0, 0),
         "swapon": (167, b"/x", 0), "sethostname of the host": (272, 0x4000000), "syslog": (103, 10, 0, 0),
         "userfaultfd": (323, 0), "fsopen": (430, b"tmpfs", 0), "open_tree": (428, -100, b"/", 1)}
if os.uname().machine == "x86_64":
    for name, (number, *args) in CALLS.items():
        attempt(name, calls(number, *args))
    attempt("vsock", calls(41, 40, 1, 0))
    attempt("a pair of vsock", calls(53, 40, 1, 0, ctypes.create_string_buffer(8)))

# Devices and the descriptors that came in.
attempt("mknod", lambda: os.mknod("/tmp/disk", stat.S_IFBLK | 0o600, os.makedev(254, 0)) is None)
attempt("mknod null", lambda: os.mknod("/tmp/null", stat.S_IFCHR | 0o666, os.makedev(1, 3)) is None)
for fd in os.listdir("/proc/self/fd"):
    target = os.path.realpath("/proc/self/fd/" + fd)
    attempt("descriptor %s on %s" % (fd, target), lambda: int(fd) > 2 and "/proc/" not in target)
    attempt("folder behind descriptor " + fd, lambda: stat.S_ISDIR(os.fstat(int(fd)).st_mode) and int(fd) < 3)
for fd in (0, 1, 2):
    # They are ours to spoil, if they are no file of the host.
    attempt("descriptor %d is a file" % fd, lambda: stat.S_ISREG(os.fstat(fd).st_mode))
    try:
        os.fchmod(fd, 0o4755)
    except OSError:
        pass

# The network.
attempt("connect to the host", connects(host, port))
os.system("ip route add default via %s 2>/dev/null" % host)
attempt("connect to another fleet", connects(stranger, 22))
attempt("datagram to another fleet", lambda: os.system("ping -c1 -W1 %s >/dev/null 2>&1" % stranger) == 0)


def reserved_frames():
    """A datagram to the host in frames that no bridge forwards."""
    mac = bytes.fromhex(open("/sys/class/net/eth0/address").read().strip().replace(":", ""))
    own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    own.connect((host, 9))
    source = socket.inet_aton(own.getsockname()[0])
    body = struct.pack("!HHHH", 9, port, 8 + 6, 0) + b"breaks"
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 1, 0, 64, 17, 0, source, socket.inet_aton(host))
    total = sum(struct.unpack("!10H", head))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    packet = head[:10] + struct.pack("!H", ~total & 0xFFFF) + head[12:] + body
    sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sender.bind(("eth0", 0))
    for last in range(16):
        sender.send(bytes.fromhex("0180c20000%02x" % last) + mac + b"\x08\x00" + packet)
    sender.send(b"\xff" * 6 + mac + b"\x08\x00" + packet)


reserved_frames()
print("tried all", flush=True)
