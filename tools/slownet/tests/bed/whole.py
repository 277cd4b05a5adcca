"""What becomes of packets that a host sends while all of them are late, a line for each kind: NAME MILLISECONDS COUNT.

whole.py PREFIX: the namespaces are PREFIXr (the host), PREFIXc and PREFIXd (its containers), PREFIXs (a server).
MILLISECONDS is that of the earliest; COUNT is how many came whole, by the right way, from the right address.
"""

import ctypes
import os
import socket
import struct
import sys
import threading
import time

LIBC = ctypes.CDLL(None, use_errno=True)
PREFIX = sys.argv[1]
WAIT = 3.0


def inside(name):
    with open(f"/var/run/netns/{PREFIX}{name}") as namespace:
        if LIBC.setns(namespace.fileno(), 0x40000000):
            raise OSError(ctypes.get_errno(), "setns")


def make(name, family, kind=socket.SOCK_DGRAM):
    inside(name)
    made = socket.socket(family, kind)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.settimeout(WAIT)
    return made


def tell(name, late, count):
    print(name, f"{late * 1000:.1f}" if late is not None else "never", count, flush=True)


def datagrams(name, sender, receiver, to, sizes, source=None):
    """Sends datagrams at once, and tells how many came, whole and from `source`."""
    begin, sent, came, first = time.monotonic(), [], 0, None
    for number, size in enumerate(sizes):
        sent.append(bytes((number + at * 7) % 251 for at in range(size)))
        sender.sendto(sent[-1], to)
    sources = set()
    while True:
        receiver.settimeout(WAIT if came < len(sent) else 0.3)
        try:
            got, address = receiver.recvfrom(70000)
        except TimeoutError:
            break
        first = first if first is not None else time.monotonic() - begin
        if got in sent and (source is None or address[0] == source):
            came += 1
            sources.add(address)
    tell(name, first, came if len(sources) <= 1 else f"from-{len(sources)}-addresses")
    sender.close()
    receiver.close()


def listener(family, address, device=None):
    made = make("s", family)
    if device:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
    made.bind((address, 4000))
    return made


def plain():
    for size in (100, 1472, 1473, 4000, 60000):
        datagrams(f"udp-{size}", make("r", socket.AF_INET), listener(socket.AF_INET, "10.0.0.2"),
                  ("10.0.0.2", 4000), [size] * 3, "10.0.0.1")
    for size in (100, 1452, 1453, 4000, 60000):
        datagrams(f"udp6-{size}", make("r", socket.AF_INET6), listener(socket.AF_INET6, "fd00::2"),
                  ("fd00::2", 4000), [size] * 3, "fd00::1")


def to_many():
    sender = make("r", socket.AF_INET)
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    datagrams("broadcast", sender, listener(socket.AF_INET, ""), ("10.0.0.255", 4000), [100, 4000], "10.0.0.1")

    group = "239.7.7.7"
    receiver = listener(socket.AF_INET, group, "s2")
    receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                        socket.inet_aton(group) + socket.inet_aton("10.2.0.2"))
    sender = make("r", socket.AF_INET)
    sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("10.2.0.1"))
    datagrams("multicast", sender, receiver, (group, 4000), [100, 4000], "10.2.0.1")

    group = "ff15::7"
    receiver = listener(socket.AF_INET6, group, "s2")
    receiver.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP,
                        socket.inet_pton(socket.AF_INET6, group) + struct.pack("@I", socket.if_nametoindex("s2")))
    sender = make("r", socket.AF_INET6)
    sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, socket.if_nametoindex("r2"))
    datagrams("multicast6", sender, receiver, (group, 4000), [100, 4000], "fd02::1")

    sender, receiver = make("r", socket.AF_INET6), listener(socket.AF_INET6, "fe80::2%s2", "s2")
    inside("r")
    to = ("fe80::2", 4000, 0, socket.if_nametoindex("r2"))
    datagrams("link-local", sender, receiver, to, [100, 4000])


def by_rules():
    """To an address of the server's own, which lies behind its first interface but for rules."""
    sender = make("r", socket.AF_INET)
    datagrams("no-rule", sender, listener(socket.AF_INET, "10.9.9.9", "s1"), ("10.9.9.9", 4000), [100, 4000])
    sender = make("r", socket.AF_INET)
    sender.setsockopt(socket.SOL_SOCKET, 36, 7)  # SO_MARK
    datagrams("mark", sender, listener(socket.AF_INET, "10.9.9.9", "s2"), ("10.9.9.9", 4000), [100, 4000])
    sender = make("r", socket.AF_INET)
    sender.bind(("10.2.0.1", 0))
    datagrams("source", sender, listener(socket.AF_INET, "10.9.9.9", "s2"), ("10.9.9.9", 4000), [100, 4000])
    # NAT of what the host itself sends.
    sender = make("r", socket.AF_INET)
    datagrams("dnat", sender, listener(socket.AF_INET, "10.0.0.2"), ("10.3.3.3", 4000), [100, 4000], "10.0.0.1")


def from_containers():
    sender = make("c", socket.AF_INET)
    datagrams("masquerade", sender, listener(socket.AF_INET, "10.0.0.2"), ("10.0.0.2", 4000), [100, 1473, 4000],
              "10.0.0.1")
    receiver = make("d", socket.AF_INET)
    receiver.bind(("10.1.0.3", 4000))
    datagrams("between", make("c", socket.AF_INET), receiver, ("10.1.0.3", 4000), [100, 1473], "10.1.0.2")


def connection(name, client, address, seen):
    """A connection over which a request of many segments is answered in kind."""
    server = make("s", socket.AF_INET, socket.SOCK_STREAM)
    server.bind(("10.0.0.2", 4001))
    server.listen()
    whole = [True]

    def serve():
        accepted, peer = server.accept()
        accepted.settimeout(20)
        whole[0] = peer[0] == seen
        while got := accepted.recv(1 << 16):
            accepted.sendall(got)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    made = make(client, socket.AF_INET, socket.SOCK_STREAM)
    made.settimeout(20)
    begin = time.monotonic()
    try:
        made.connect((address, 4001))
        late = time.monotonic() - begin
        request = bytes(at % 253 for at in range(200000))
        sender = threading.Thread(target=made.sendall, args=(request,), daemon=True)
        sender.start()
        answer = b""
        while len(answer) < len(request) and (got := made.recv(1 << 16)):
            answer += got
        tell(name, late, int(answer == request and whole[0]))
    except OSError as error:
        tell(name, None, str(error).replace(" ", "-"))
    made.close()
    thread.join(5)
    server.close()


def main():
    if sys.argv[2:] == ["doubled"]:
        for size in (100, 1473):
            datagrams(f"doubled-{size}", make("r", socket.AF_INET), listener(socket.AF_INET, "10.0.0.2"),
                      ("10.0.0.2", 4000), [size] * 10, "10.0.0.1")
        return
    plain()
    to_many()
    by_rules()
    from_containers()
    connection("tcp", "r", "10.0.0.2", "10.0.0.1")
    connection("tcp-dnat", "r", "10.3.3.3", "10.0.0.1")
    connection("tcp-masquerade", "c", "10.0.0.2", "10.0.0.1")


main()
