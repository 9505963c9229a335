#!/usr/bin/env python3
"""What recording costs the others: CPU in the kernel for each packet of an open connection, beside an eBPF program.

    sudo python3 tests/bench/tax.py [--binary target/release/ringfence] [--rounds 5] [--packets 1000000]

Packets of an open connection come in at an interface and are for another machine, so that nothing else is done with them.
Measured is the CPU time of whoever lets them come, who does all the work: with nothing there, with an eBPF program that looks
for what the recorder's filter looks for (tests/bench/program.py), with one that counts every packet in a hash table,
and with the recorder. Printed are nanoseconds for each packet beyond nothing: medians of interleaved rounds, the least and the
greatest. Needs Linux 6.15, which asks a recorder for packets of its own network namespace alone; no compiler and no library.
"""
import argparse
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
# Packets between two looks at the clock: of these stretches the middle counts, as others use the machine, too.
STRETCH = 50_000
CLONE_NEWNET = 0x40000000
NOTHING, SAME, EVERY, RECORDER = "nothing", "eBPF, the same", "eBPF, every packet counted", "ringfence"


def segment(ipv6, number):
    """A segment with 64 bytes, acknowledged: what an open connection is made of."""
    tcp = struct.pack(">HHIIBBHHH", 40000, 8080, number, 1, 0x80, 0x10, 512, 0, 0) + bytes(12) + bytes(64)
    if ipv6:
        address = lambda last: socket.inet_pton(socket.AF_INET6, f"fd00::{last}")
        network = struct.pack(">IHBB", 6 << 28, len(tcp), 6, 64) + address(1) + address(2)
    else:
        network = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), 1, 0x4000, 64, 6, 0)
        network += socket.inet_aton("10.0.0.1") + socket.inet_aton("10.0.0.2")
    # Of a machine that is not there.
    ethernet = bytes.fromhex("020000000099020000000001") + struct.pack(">H", 0x86DD if ipv6 else 0x0800)
    return ethernet + network + tcp


def stretch(arrivals, interface, frame):
    """CPU nanoseconds for each packet."""
    begun = time.thread_time_ns()
    arrivals.come(interface, frame, STRETCH)
    return (time.thread_time_ns() - begun) / STRETCH


def enter(space):
    """From here on this thread is in another network namespace."""
    with open(f"/run/netns/{space}") as file:
        if program.libc.setns(file.fileno(), CLONE_NEWNET) != 0:
            raise OSError("entering a namespace")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", default=os.path.join(HERE, "..", "..", "target", "release", "ringfence"))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--packets", type=int, default=1_000_000)
    args = parser.parse_args()
    binary = os.path.abspath(args.binary)
    found = {}
    run = lambda *command: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    # What is recorded has a namespace of its own, so that all take turns.
    spaces = {False: f"{PREFIX}-free", True: f"{PREFIX}-recorded"}
    interfaces = {}
    recorder = None
    try:
        for recorded, space in spaces.items():
            run("ip", "netns", "add", space)
            run("ip", "-n", space, "link", "add", "veth", "type", "veth", "peer", "name", "pod")
            for device in ("veth", "pod"):
                run("ip", "netns", "exec", space, "sysctl", "-qw", f"net.ipv6.conf.{device}.disable_ipv6=1")
                run("ip", "-n", space, "link", "set", device, "up")
            enter(space)
            interfaces[recorded] = socket.if_nametoindex("veth")
        arrivals = program.Arrivals()
        os.sched_setaffinity(0, {0})
        kinds = [(family, kind) for kind in (NOTHING, SAME, EVERY, RECORDER) for family in ("IPv4", "IPv6")
                 # The program reads IPv4 alone.
                 if family == "IPv4" or kind in (NOTHING, RECORDER)]
        with tempfile.TemporaryDirectory() as scratch:
            enter(spaces[True])
            log = os.path.join(scratch, "log.db")
            recorder = subprocess.Popen([binary, "record", "-i", "any,!lo", "-q", "--log", log])
            os.sched_setaffinity(recorder.pid, {1 % os.cpu_count()})
            # It takes everything in its first 30 s.
            time.sleep(32)
            for number in range(args.rounds):
                taken = {kind: [] for kind in kinds}
                for turn in range(max(args.packets // STRETCH, 1)):
                    for family, kind in kinds:
                        recorded = kind == RECORDER
                        enter(spaces[recorded])
                        interface = interfaces[recorded]
                        link = program.attach(interface, kind == EVERY) if kind in (SAME, EVERY) else None
                        # Always the same packet is drawn always or never: each stretch has its own.
                        frame = segment(family == "IPv6", (number << 16 | turn) * 1448 & 0xFFFFFFFF)
                        taken[(family, kind)].append(stretch(arrivals, interface, frame))
                        if link is not None:
                            os.close(link)
                for kind, values in taken.items():
                    found.setdefault(kind, []).append(statistics.median(values))
                print({" ".join(kind): round(values[-1]) for kind, values in found.items()}, file=sys.stderr)
            recorder.send_signal(signal.SIGTERM)
            if recorder.wait() != 0:
                raise RuntimeError("the recorder failed")
    finally:
        if recorder is not None and recorder.poll() is None:
            recorder.kill()
        for space in spaces.values():
            subprocess.run(["ip", "netns", "del", space], check=False)
    print(f"{'':32} {'ns a packet':>12} {'beyond nothing':>20} {'eBPF, the same = 1':>24}")
    for (family, kind), values in sorted(found.items()):
        nothing = found[(family, NOTHING)]
        text = f"{family} {kind:27} {statistics.median(values):12.0f}"
        if kind != NOTHING:
            beyond = [value - base for value, base in zip(values, nothing)]
            text += f" {statistics.median(beyond):8.0f} ({min(beyond):.0f} to {max(beyond):.0f})"
            same = [value - base for value, base in zip(found[("IPv4", SAME)], found[("IPv4", NOTHING)])]
            ratios = [one / other for one, other in zip(beyond, same)]
            text += f" {statistics.median(ratios):12.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        print(text)


if __name__ == "__main__":
    main()
