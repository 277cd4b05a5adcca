"""How late packets are, a line for each that is asked for on stdin: NAME MILLISECONDS, or NAME never.

which.py FROM TO: the namespaces. A line asks NAME PROTOCOL ADDRESS PORT SIZE: a packet of that size is sent to that port
of that address, and its time is that of its way; tcp opens a connection, and its time is that of opening it. PORT:OWN is
a port that somebody on the way translates into OWN.
"""

import ctypes
import socket
import struct
import sys
import time

LIBC = ctypes.CDLL(None, use_errno=True)
SCTP = 132


def inside(name):
    with open(f"/var/run/netns/{name}") as namespace:
        if LIBC.setns(namespace.fileno(), 0x40000000):
            raise OSError(ctypes.get_errno(), "setns")


def opened(name, family, kind, protocol=0):
    inside(name)
    made = socket.socket(family, kind, protocol)
    made.settimeout(3)
    return made


def tcp(source, target, family, address, port, own, _):
    listener = opened(target, family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("", own))
    listener.listen()
    opener = opened(source, family, socket.SOCK_STREAM)
    begin = time.monotonic()
    opener.connect((address, port))
    return time.monotonic() - begin


def udp(source, target, family, address, port, own, size):
    receiver = opened(target, family, socket.SOCK_DGRAM)
    receiver.bind(("", own))
    sender = opened(source, family, socket.SOCK_DGRAM)
    begin = time.monotonic()
    sender.sendto(bytes(size), (address, port))
    receiver.recv(70000)
    return time.monotonic() - begin


def raw(source, target, family, address, protocol, packet):
    receiver = opened(target, family, socket.SOCK_RAW, protocol)
    sender = opened(source, family, socket.SOCK_RAW, protocol)
    begin = time.monotonic()
    sender.sendto(packet, (address, 0))
    while packet not in receiver.recv(70000):
        pass
    return time.monotonic() - begin


def sctp(source, target, family, address, port, *_):
    packet = struct.pack("!HHII", 40000, port, int(time.monotonic() * 1e6) & 0xFFFFFFFF, 0)
    return raw(source, target, family, address, SCTP, packet)


def icmp(source, target, family, address, *_):
    packet = struct.pack("!BBHHH", 8, 0, 0, 4711, 1)
    total = sum(struct.unpack("!4H", packet))
    packet = packet[:2] + struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF) + packet[4:]
    return raw(source, target, family, address, socket.IPPROTO_ICMP, packet)


for line in sys.stdin:
    name, protocol, address, port, size = line.split()
    port, _, own = port.partition(":")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        ports = int(port), int(own or port)
        late = globals()[protocol](*sys.argv[1:3], family, address, *ports, int(size))
        print(name, f"{late * 1000:.1f}", flush=True)
    except TimeoutError:
        print(name, "never", flush=True)
