#!/usr/bin/env python3
"""What recording costs: CPU of `ringfence record` beside `tcpdump -w` of everything and no capture at all.

    sudo python3 tests/bench/live.py [--binary target/release/ringfence] [--rounds 3]

Two pods of one node (tests/kernel/network) open connections, send bulk data on one in packets as large as the wire takes them,
and exchange datagrams, each for itself; then iperf3, where it is installed, sends as much as it can, in packets as large as the
kernel makes them. Printed is the CPU time (user and system) that the recorder used beyond what it uses when nothing happens,
for each connection, packet of bulk data and exchange of datagrams, and the time that the work took; medians of interleaved
rounds. Recorders get 32 s before the work, because they take everything in the first 30.

With two processors or more the recorder has one of them and the pods have another: a kernel without
CONFIG_IRQ_TIME_ACCOUNTING charges what interrupts do for the pods to whoever is running.
"""
import argparse
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
NETWORK = os.path.join(HERE, "..", "kernel", "network")
PREFIX = f"rfb{os.getpid()}"
CONNECTIONS = 20_000
MEGABYTES = 1_500
QUESTIONS = 100_000
# Of iperf3.
SECONDS = 10
# Seconds.
IDLE = 10
SETTLE = 8

SERVER = """
import socket, threading
def tcp(port, bulk):
    server = socket.create_server(("10.244.1.11", port), backlog=1024)
    def serve():
        while True:
            connection, _ = server.accept()
            buffer = bytearray(1 << 20)
            if bulk:
                while connection.recv_into(buffer): pass
            else:
                connection.recv_into(buffer)
                connection.sendall(b"answer")
            connection.close()
    threading.Thread(target=serve).start()
tcp(8080, False)
tcp(8081, True)
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("10.244.1.11", 8125))
print("ready", flush=True)
while True:
    data, sender = udp.recvfrom(2048)
    udp.sendto(data, sender)
"""

CLIENT = """
import socket, sys, time
kind, count = sys.argv[1], int(sys.argv[2])
begun = time.monotonic()
if kind == "connections":
    for _ in range(count):
        with socket.create_connection(("10.244.1.11", 8080)) as client:
            client.sendall(b"question")
            client.recv(100)
elif kind == "bulk":
    with socket.create_connection(("10.244.1.11", 8081)) as client:
        block = bytes(1 << 20)
        for _ in range(count):
            client.sendall(block)
else:
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.connect(("10.244.1.11", 8125))
    for _ in range(count):
        client.send(b"question")
        client.recv(100)
print(time.monotonic() - begun)
"""


def within(space, *command, processor=0, **options):
    process = subprocess.Popen(["ip", "netns", "exec", f"{PREFIX}-{space}", *command], **options)
    # Whatever it starts stays there, too.
    os.sched_setaffinity(process.pid, {processor % os.cpu_count()})
    return process


def iperf3():
    """Gigabits a second that arrive, and the CPU seconds that all of the machine used."""
    server = within("b1", "iperf3", "-s", "-1", stdout=subprocess.DEVNULL)
    time.sleep(0.5)
    begun = busy()
    client = within("a1", "iperf3", "-c", "10.244.1.11", "-t", str(SECONDS), "-J", stdout=subprocess.PIPE, text=True)
    result = json.loads(client.communicate()[0])
    server.wait()
    return result["end"]["sum_received"]["bits_per_second"] / 1e9, busy() - begun


def busy():
    """CPU seconds of the whole machine that were not idle."""
    with open("/proc/stat") as stat:
        fields = [int(field) for field in stat.readline().split()[1:]]
    return (sum(fields[:3]) + sum(fields[5:7])) / os.sysconf("SC_CLK_TCK")


def recorder(kind, binary, scratch):
    if kind == "none":
        return None
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "processor": 1}
    if kind == "ringfence":
        log = os.path.join(scratch, f"{time.monotonic_ns()}.db")
        return within("n1", binary, "record", "-i", "any,!lo", "--log", log, **quiet)
    return within("n1", "tcpdump", "-i", "any", "-w", "/dev/null", "-U", **quiet)


def cpu(process):
    """CPU seconds of a process so far, all of its threads."""
    if process is None:
        return 0.0
    total = 0
    # `ip netns exec` has become the program.
    for thread in os.listdir(f"/proc/{process.pid}/task"):
        with open(f"/proc/{process.pid}/task/{thread}/schedstat") as stat:
            total += int(stat.read().split()[0])
    return total / 1e9


def end(process):
    """Ends a process; the largest memory it had, in MiB."""
    if process is None:
        return 0.0
    process.send_signal(signal.SIGTERM)
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    return usage.ru_maxrss / 1024


def segments(most):
    """How many packets of the wire one of the kernel may stand for."""
    for space in ("a1", "b1"):
        subprocess.run(["ip", "-n", f"{PREFIX}-{space}", "link", "set", "eth0", "gso_max_segs", str(most)], check=True)


def packets():
    counters = subprocess.run(
        ["ip", "netns", "exec", f"{PREFIX}-n1", "cat", "/sys/class/net/vetha/statistics/rx_packets", "/sys/class/net/vethb/statistics/rx_packets"],
        capture_output=True, text=True, check=True)
    return sum(int(line) for line in counters.stdout.split())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", default=os.path.join(HERE, "..", "..", "target", "release", "ringfence"))
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    binary = os.path.abspath(args.binary)
    work = {"connections": CONNECTIONS, "bulk": MEGABYTES, "datagrams": QUESTIONS}
    found = {}
    has_iperf3 = shutil.which("iperf3") is not None
    if not has_iperf3:
        print("iperf3 is not installed: its throughput is not measured", file=sys.stderr)
    subprocess.run(["bash", NETWORK, "up", PREFIX], check=True)
    server = None
    try:
        server = within("b1", sys.executable, "-c", SERVER, stdout=subprocess.PIPE, text=True)
        server.stdout.readline()
        with tempfile.TemporaryDirectory() as scratch:
            for _ in range(args.rounds):
                for kind in ("none", "ringfence", "tcpdump"):
                    process = recorder(kind, binary, scratch)
                    time.sleep(32 if kind == "ringfence" else 1)
                    begun = cpu(process)
                    time.sleep(IDLE)
                    idle = (cpu(process) - begun) / IDLE
                    segments(1)
                    for name, count in work.items():
                        before, begun = packets(), cpu(process)
                        client = within(
                            "a1", sys.executable, "-c", CLIENT, name, str(count), stdout=subprocess.PIPE, text=True)
                        took = float(client.communicate()[0])
                        # Until it is in the log.
                        time.sleep(SETTLE)
                        used = cpu(process) - begun - idle * (took + SETTLE)
                        seen = packets() - before
                        found.setdefault((kind, name), []).append((used, took, seen, idle))
                        print(f"{kind} {name}: {used:.3f} s, {took:.2f} s, {seen} packets, idle {idle * 1e3:.2f} ms/s", file=sys.stderr)
                    segments(65535)
                    if has_iperf3:
                        begun = cpu(process)
                        rate, machine = iperf3()
                        used = cpu(process) - begun - idle * SECONDS
                        found.setdefault((kind, "iperf3"), []).append((used, rate, machine))
                        print(f"{kind} iperf3: {used:.3f} s, {rate:.2f} Gbit/s, {machine:.2f} s of the machine", file=sys.stderr)
                    found.setdefault((kind, "memory"), []).append((end(process),))
    finally:
        if server:
            server.kill()
        subprocess.run(["bash", NETWORK, "down", PREFIX], check=False)
    median = lambda kind, name, place: statistics.median(one[place] for one in found[(kind, name)])
    print(f"{'':12} {'':>12} {'CPU':>11} {'each':>12} {'work took, none = 1':>20}")
    for name, count in work.items():
        for kind in ("ringfence", "tcpdump"):
            used = median(kind, name, 0)
            units = median(kind, name, 2) if name == "bulk" else count
            slower = median(kind, name, 1) / median("none", name, 1)
            print(f"{name:12} {kind:>12} {used:9.3f} s {used / units * 1e6:9.3f} µs {slower:20.2f}")
    if has_iperf3:
        rates = {kind: [rate for _, rate, _ in found[(kind, "iperf3")]] for kind in ("none", "ringfence", "tcpdump")}
        for kind, all_rates in rates.items():
            used, machine = median(kind, "iperf3", 0), median(kind, "iperf3", 2)
            part = statistics.median(all_rates) / statistics.median(rates["none"])
            print(f"iperf3 {kind:>12}: {statistics.median(all_rates):.2f} Gbit/s ({min(all_rates):.2f} to {max(all_rates):.2f}), {part:.2f} of none; {used:.3f} s of its own in {SECONDS} s, {machine:.1f} s of the machine")
    for kind in ("ringfence", "tcpdump"):
        memory, idle = median(kind, "memory", 0), median(kind, "bulk", 3)
        print(f"{kind}: {memory:.0f} MiB at most; {idle * 1e3:.2f} ms of CPU each second in which nothing happens")


if __name__ == "__main__":
    main()
