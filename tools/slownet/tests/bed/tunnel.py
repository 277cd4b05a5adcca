"""A tunnel without headers of a link: how long what leaves by it takes, a line for each datagram: MILLISECONDS WHOLE."""

import fcntl
import os
import select
import socket
import struct
import subprocess
import sys
import time

tunnel = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tunnel, 0x400454CA, struct.pack("16sH22x", b"tunnel0", 0x1001))
for words in ("addr add 10.9.0.1/24 dev tunnel0", "link set tunnel0 up"):
    subprocess.run(["ip", *words.split()], check=True)
print("ready", flush=True)
sys.stdin.readline()
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for number in range(10):
    sent = bytes([number]) * (100 + 100 * number)
    begin = time.monotonic()
    sender.sendto(sent, ("10.9.0.2", 4000))
    got = b""
    # What the kernel says by itself about a new interface is not ours.
    while not got.endswith(sent) and select.select([tunnel], [], [], 5)[0]:
        got = os.read(tunnel, 2000)
    late = (time.monotonic() - begin) * 1000
    print(f"{late:.1f}", int(got[:1] == b"\x45" and got[28:] == sent), flush=True)
