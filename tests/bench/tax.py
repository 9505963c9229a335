#!/usr/bin/env python3
"""What recording costs the others: CPU in the kernel for each packet of an open connection, beside an eBPF program.

    sudo python3 tests/bench/tax.py [--binary target/release/ringfence] [--rounds 5] [--packets 1000000]

A packet of an open connection comes in at an interface a million times, and is for another machine, so that nothing else is done
with it. Measured is the CPU time of whoever sends them, who pays for all of it: with nothing there, with an eBPF program that
looks for what the recorder's filter looks for (tests/bench/program.py), with one that counts every packet in a hash table,
and with the recorder. Printed are nanoseconds beyond nothing: medians of interleaved rounds, the least and the greatest. Linux 6.6.
"""
import argparse
import ctypes
import os
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

import program

HERE = os.path.dirname(os.path.abspath(__file__))
PREFIX = f"rft{os.getpid()}"
# Sent with one system call.
BATCH = 1024
# Packets between two looks at the clock: of these stretches the middle counts, as others use the machine, too.
STRETCH = 32 * BATCH
SOL_PACKET, QDISC_BYPASS = 263, 20
CLONE_NEWNET = 0x40000000


class Message(ctypes.Structure):
    """struct mmsghdr."""

    _fields_ = [
        ("name", ctypes.c_void_p), ("name_length", ctypes.c_uint), ("vector", ctypes.c_void_p), ("vectors", ctypes.c_size_t),
        ("control", ctypes.c_void_p), ("control_length", ctypes.c_size_t), ("flags", ctypes.c_int), ("sent", ctypes.c_uint)]


def segment(ipv6):
    """A segment with 64 bytes, acknowledged: what an open connection is made of."""
    tcp = struct.pack(">HHIIBBHHH", 40000, 8080, 1, 1, 0x80, 0x10, 512, 0, 0) + bytes(12) + bytes(64)
    if ipv6:
        address = lambda last: socket.inet_pton(socket.AF_INET6, f"fd00::{last}")
        network = struct.pack(">IHBB", 6 << 28, len(tcp), 6, 64) + address(1) + address(2)
    else:
        network = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), 1, 0x4000, 64, 6, 0)
        network += socket.inet_aton("10.0.0.1") + socket.inet_aton("10.0.0.2")
    # Of a machine that is not there.
    return bytes.fromhex("020000000099") + bytes.fromhex("020000000001") + struct.pack(">H", 0x86DD if ipv6 else 0x0800) + network + tcp


class Sender:
    """Sends one packet again and again."""

    def __init__(self, interface, ipv6):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.socket.setsockopt(SOL_PACKET, QDISC_BYPASS, 1)
        self.socket.bind((interface, 0))
        self.packet = ctypes.create_string_buffer(segment(ipv6))
        vector = struct.pack("QQ", ctypes.addressof(self.packet), len(self.packet) - 1)
        self.vector = ctypes.create_string_buffer(vector, len(vector))
        self.messages = (Message * BATCH)()
        for message in self.messages:
            message.vector, message.vectors = ctypes.addressof(self.vector), 1

    def stretch(self):
        """CPU nanoseconds for each packet."""
        begun = time.thread_time_ns()
        left = STRETCH
        while left > 0:
            sent = program.libc.sendmmsg(self.socket.fileno(), self.messages, min(left, BATCH), 0)
            if sent <= 0:
                raise OSError(ctypes.get_errno(), "sending")
            left -= sent
        return (time.thread_time_ns() - begun) / STRETCH

    def nanoseconds(self, packets):
        return statistics.median(self.stretch() for _ in range(max(packets // STRETCH, 1)))


def enter(space):
    """From here on this thread is in another network namespace."""
    with open(f"/run/netns/{space}") as file:
        if program.libc.setns(file.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "entering a namespace")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", default=os.path.join(HERE, "..", "..", "target", "release", "ringfence"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--packets", type=int, default=1_000_000)
    args = parser.parse_args()
    binary = os.path.abspath(args.binary)
    node, pod = f"{PREFIX}-node", f"{PREFIX}-pod"
    run = lambda *command: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    found = {}
    try:
        for space in (node, pod):
            run("ip", "netns", "add", space)
        run("ip", "link", "add", "veth", "netns", node, "type", "veth", "peer", "name", "eth0", "netns", pod)
        for space, device in ((node, "veth"), (pod, "eth0")):
            run("ip", "netns", "exec", space, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
            run("ip", "-n", space, "link", "set", device, "up")
        enter(node)
        interface = socket.if_nametoindex("veth")
        enter(pod)
        senders = {"IPv4": Sender("eth0", False), "IPv6": Sender("eth0", True)}
        os.sched_setaffinity(0, {0})

        def measure(kind):
            for family, sender in senders.items():
                if kind.startswith("eBPF") and family == "IPv6":
                    continue
                value = sender.nanoseconds(args.packets)
                found.setdefault((family, kind), []).append(value)
                print(f"{family} {kind}: {value:.0f} ns", file=sys.stderr)

        with tempfile.TemporaryDirectory() as scratch:
            for number in range(args.rounds):
                measure("nothing")
                for kind, every in (("eBPF, the same", False), ("eBPF, every packet counted", True)):
                    enter(node)
                    link = program.attach(interface, every)
                    enter(pod)
                    measure(kind)
                    os.close(link)
                enter(node)
                recorder = subprocess.Popen(
                    [binary, "record", "-i", "any,!lo", "-q", "--log", os.path.join(scratch, f"{number}.db")])
                os.sched_setaffinity(recorder.pid, {1} if os.cpu_count() > 1 else {0})
                enter(pod)
                # It takes everything in its first 30 s.
                time.sleep(32)
                measure("ringfence")
                recorder.send_signal(signal.SIGTERM)
                if recorder.wait() != 0:
                    raise RuntimeError("the recorder failed")
    finally:
        for space in (node, pod):
            subprocess.run(["ip", "netns", "del", space], check=False)
    print(f"{'':30} {'ns a packet':>12} {'beyond nothing':>22} {'eBPF, the same = 1':>20}")
    for (family, kind), values in found.items():
        nothing = found[(family, "nothing")]
        beyond = sorted(value - base for value, base in zip(values, nothing))
        text = f"{family} {kind:25} {statistics.median(values):12.0f}"
        if kind != "nothing":
            text += f" {statistics.median(beyond):8.0f} ({beyond[0]:.0f} to {beyond[-1]:.0f})"
            same = found.get((family, "eBPF, the same"))
            if same:
                ratios = [(value - base) / (other - base) for value, base, other in zip(values, nothing, same)]
                text += f" {statistics.median(ratios):12.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        print(text)


if __name__ == "__main__":
    main()
