#!/usr/bin/env python3
"""Measures what reading captures costs: CPU time beside `cat FILE >/dev/null` and beside other flow tools.

    python3 tests/bench/speed.py                          # all: 5 GB of captures, some minutes
    python3 tests/bench/speed.py --packets 1000000        # a quick look
    python3 tests/bench/speed.py --check                 # only compare edges, on small captures

Makes its captures (capture/examples/traffic), runs all commands in turns, each pinned to the same core, and prints the
medians of user and system time, as ratios, because seconds depend on the machine. Then it holds the edges that
ringfence found against the list of those that were made. Exits with 1 if a goal is missed or an edge is wrong.

Other tools run where they are installed (Debian: softflowd, nfdump, argus-server, tshark). tshark needs minutes and
gigabytes for ten million packets, so it reads at most one million and its time is scaled up.
"""

import argparse
import collections
import json
import os
import platform
import resource
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
TARGET = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
KINDS = ("short", "long", "full")
CUT = 1_000_000
SMALL = 20_000
# Seconds after which a command has hung.
PATIENCE = 1200

# The most CPU time beside `cat`, and MiB of memory.
COSTS = [("long", 2.5, 64), ("short", 4.0, 160), ("full", 1.5, 64)]
# The least CPU time of others beside ringfence.
RIVALS = [("short", "softflowd", 30), ("long", "softflowd", 5), ("short", "tshark", 100), ("long", "tshark", 100)]


class Capture:
    """A file of made-up traffic and the list of its edges."""

    def __init__(self, folder, kind, packets):
        self.kind, self.packets = kind, packets
        self.path = os.path.join(folder, f"{kind}-{packets}.pcap")
        self.truth = os.path.join(folder, f"{kind}-{packets}.truth")

    def make(self, example):
        """The list is written last: where it is there, both are whole."""
        if not os.path.exists(self.truth):
            say(f"making {self.path}")
            subprocess.run([example, self.kind, str(self.packets), self.path, "--truth", self.truth], check=True)

    def title(self):
        edges, tcp = set(), 0
        with open(self.truth) as file:
            for line in file:
                *edge, protocol, _, count = line.split()
                edges.add(hash((*edge, protocol)))
                tcp += int(count) if protocol == "TCP" else 0
        size = os.path.getsize(self.path) / 1e6
        return f"{self.kind}: {self.packets:,} packets, {tcp:,} TCP connections, {len(edges):,} edges, {size:,.0f} MB"


class Tool:
    """A command to measure. `scale`: how many times more packets the file of interest has than the one it reads."""

    def __init__(self, name, label, command, rounds, scale=1.0):
        self.name, self.label, self.command, self.rounds, self.scale = name, label, command, rounds, scale
        self.runs = []

    def cpu(self):
        return statistics.median(run["cpu"] for run in self.runs) * self.scale

    def memory(self):
        return max(run["memory"] for run in self.runs)


def say(text):
    print(text, file=sys.stderr, flush=True)


def own_memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def measure(command, cores):
    """User and system seconds and KiB of peak memory of one run; `None` if it fails.

    The kernel counts the memory of this script, before it becomes the command, as the command's. So nothing big is
    ever loaded here, and what is not above that is not known.
    """
    with open(os.devnull, "wb") as null:
        child = os.fork()
        if child == 0:
            try:
                os.sched_setaffinity(0, cores)
                os.dup2(null.fileno(), 1)
                os.dup2(null.fileno(), 2)
                signal.alarm(PATIENCE)
                os.execvp(command[0], command)
            finally:
                os._exit(127)
    _, status, usage = os.wait4(child, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        say(f"{' '.join(command)}: exit code {os.waitstatus_to_exitcode(status)}")
        return None
    return {"cpu": usage.ru_utime + usage.ru_stime, "user": usage.ru_utime, "memory": usage.ru_maxrss}


def nfpcapd_folder_option():
    """`-w` since 1.7; before, `-l`."""
    done = subprocess.run(["nfpcapd", "-h"], capture_output=True, text=True)
    return "-w" if "-w flowdir" in done.stdout + done.stderr else "-l"


def tools(capture, cut, options, folder, port):
    """What reads a capture, and the names of what is not installed. Others write to `folder` what they must."""
    path = capture.path
    rounds, few = options.rounds, options.rival_rounds
    found = [
        Tool("cat", "cat >/dev/null", ["cat", path], rounds),
        Tool("ringfence", "ringfence flows", [options.binary, "flows", "--pcap", path, "-o", "json", "-q"], rounds),
    ]
    missing = []

    def rival(name, label, command, scale=1.0):
        if options.only and name not in options.only:
            return
        if shutil.which(name):
            found.append(Tool(name, label, command(), few, scale))
        else:
            missing.append(name)

    # With a control socket softflowd waits there for somebody before it reads.
    exporter = ["softflowd", "-r", path, "-d", "-m", "2000000", "-v", "9", "-n", f"127.0.0.1:{port}"]
    rival("softflowd", "softflowd", lambda: exporter + ["-p", os.path.join(folder, "pid"), "-c", "none"])
    rival("nfpcapd", "nfpcapd", lambda: ["nfpcapd", "-r", path, nfpcapd_folder_option(), folder])
    rival("argus", "argus", lambda: ["argus", "-X", "-r", path, "-w", os.devnull])
    scale = capture.packets / cut.packets
    label = "tshark conv" if scale == 1 else f"tshark conv, {cut.packets / 1e6:g}M packets, time x {scale:g}"
    conversations = ["tshark", "-n", "-q", "-z", "conv,tcp", "-z", "conv,udp", "-r", cut.path]
    rival("tshark", label, lambda: conversations, scale)
    return found, missing


def run(found, cores):
    """All tools in turns, so that a busy moment of the machine meets all of them."""
    measure(found[0].command, cores)
    for number in range(max(tool.rounds for tool in found)):
        for tool in found:
            one = measure(tool.command, cores) if number < tool.rounds else None
            if one:
                tool.runs.append(one)
                say(f"  {tool.name}: {one['cpu']:.2f} s")


def table(found, missing):
    cat, ringfence = found[0].cpu(), found[1].cpu()
    least = own_memory()
    lines = [("command", "CPU s", "from - to", "x cat", "/ ringfence", "peak MiB")]
    for tool in found:
        cpus = [run["cpu"] * tool.scale for run in tool.runs]
        lines.append((
            tool.label,
            f"{tool.cpu():.2f}",
            f"{min(cpus):.2f} - {max(cpus):.2f}",
            f"{tool.cpu() / cat:.2f}",
            f"{tool.cpu() / ringfence:.1f}" if tool.name not in ("cat", "ringfence") else "",
            f"{tool.memory() / 1024:.0f}" if tool.memory() > least else f"< {least / 1024:.0f}",
        ))
    lines += [(name, "skipped", "", "", "", "") for name in missing]
    print("| " + " | ".join(lines[0]) + " |\n|---|--:|--:|--:|--:|--:|")
    for line in lines[1:]:
        print("| " + " | ".join(line) + " |")


def goals(kind, found):
    """Prints how the goals for one capture stand; returns whether all are met."""
    by_name = {tool.name: tool for tool in found}
    cat, ringfence = by_name["cat"], by_name["ringfence"]
    met = True

    def goal(passed, text):
        nonlocal met
        met &= passed
        print(f"{'PASS' if passed else 'miss'}  {kind}: {text}")

    for _, ratio, memory in (cost for cost in COSTS if cost[0] == kind):
        goal(ringfence.cpu() <= ratio * cat.cpu(), f"{ringfence.cpu() / cat.cpu():.2f} x cat, at most {ratio}")
        used = ringfence.memory() / 1024
        goal(used < memory, f"{used:.0f} MiB, less than {memory}")
    for _, name, ratio in (rival for rival in RIVALS if rival[0] == kind and rival[1] in by_name):
        reached = by_name[name].cpu() / ringfence.cpu()
        goal(reached >= ratio, f"{name} needs {reached:.1f} x the CPU time, at least {ratio}")
    return met


def holds(test, *values):
    """What a test says, made in a child that gives its memory back (see `measure`)."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        result = 1
        try:
            result = 0 if test(*values) else 1
            sys.stdout.flush()
        finally:
            os._exit(result)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def correct(capture, binary):
    """Whether ringfence finds exactly the edges that were made, with as many conversations and the same outcomes."""
    truth, found, guessed = {}, {}, collections.Counter()
    with open(capture.truth) as file:
        for line in file:
            client, server, port, protocol, outcome, count = line.split()
            truth[client, server, int(port), protocol, outcome] = int(count)
    command = [binary, "flows", "--pcap", capture.path, "-o", "json", "-q"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        for line in process.stdout:
            row = json.loads(line)
            client, server = row["client"]["ip"], row["server"]["ip"]
            key = client, server, row["port"], row["protocol"], row["outcome"]
            if row["direction"] == "guessed" and key not in truth:
                guessed[frozenset((client, server))] += row["connections"]
            else:
                found[key] = row["connections"]
    wrong, undecided = [], 0
    for key in sorted(truth.keys() | found.keys(), key=str):
        made, seen = truth.get(key, 0), found.get(key, 0)
        # A row that says that its direction is guessed claims only that these two talked.
        ends = frozenset(key[:2])
        if seen < made and guessed[ends] >= made - seen:
            guessed[ends] -= made - seen
            undecided += made - seen
        elif made != seen:
            wrong.append((key, made, seen))
    wrong += [((*ends, "guessed"), 0, count) for ends, count in guessed.items() if count]
    name = os.path.basename(capture.path)
    note = f", {undecided} conversations marked as guessed the other way round" if undecided else ""
    if process.returncode != 0:
        print(f"FAIL  {name}: ringfence exits with {process.returncode}")
        return False
    print(f"{'FAIL' if wrong else 'PASS'}  {name}: {len(wrong)} differences in {len(truth):,} edges, "
          f"{sum(truth.values()):,} conversations{note}")
    for key, made, seen in wrong[:20]:
        print(f"        {' '.join(map(str, key))}: {made} made, {seen} found")
    return not wrong


def well_formed(capture):
    """Whether the file is what it claims: times that never fall, right lengths, IPv4 checksums that add up."""
    with open(capture.path, "rb") as file:
        data = file.read()
    snap = struct.unpack_from("<I", data, 16)[0]
    at, last, packets, faults = 24, (0, 0), 0, []
    while at < len(data):
        seconds, micros, length, original = struct.unpack_from("<4I", data, at)
        frame = data[at + 16:at + 16 + length]
        at += 16 + length
        packets += 1
        link = 18 if frame[12:14] == b"\x81\x00" else 14
        if frame[link - 2:link] == b"\x08\x00":
            words = struct.unpack_from(">10H", frame, link)
            whole, sound = words[1], sum(words) % 0xFFFF == 0
        else:
            whole, sound = 40 + struct.unpack_from(">H", frame, link + 4)[0], frame[link] >> 4 == 6
        good = (seconds, micros) >= last and length == min(original, snap) and link + whole == original and sound
        if not good or len(frame) != length:
            faults.append(packets)
        last = seconds, micros
    if packets < capture.packets:
        faults.append("fewer packets than asked for")
    print(f"{'FAIL' if faults else 'PASS'}  {os.path.basename(capture.path)}: well-formed", *faults[:5])
    return not faults


def check(folder, example, binary):
    """Small captures, made anew."""
    good = True
    for kind in KINDS:
        capture = Capture(folder, kind, SMALL)
        if os.path.exists(capture.truth):
            os.remove(capture.truth)
        capture.make(example)
        good &= holds(well_formed, capture)
        good &= holds(correct, capture, binary)
    return good


def build(options):
    cargo = ["cargo", "build", "--release", "--locked"]
    subprocess.run(cargo + ["-p", "ringfence-capture", "--example", "traffic"], cwd=ROOT, check=True)
    if not options.binary:
        subprocess.run(cargo + ["-p", "ringfence"], cwd=ROOT, check=True)
        options.binary = os.path.join(TARGET, "release", "ringfence")
    return os.path.join(TARGET, "release", "examples", "traffic")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--packets", type=int, default=10_000_000, help="in short and long; full has 15 %% of it")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, help="which captures")
    parser.add_argument("--only", nargs="*", metavar="TOOL", help="these other tools; without a name, none")
    parser.add_argument("--rounds", type=int, default=5, help="runs of cat and ringfence")
    parser.add_argument("--rival-rounds", type=int, default=1, help="runs of the others")
    parser.add_argument("--cores", type=int, default=1, help="cores that each command may use")
    parser.add_argument("--binary", help="a ringfence that is built already")
    parser.add_argument("--dir", help="where captures are kept and taken from; otherwise a temporary directory")
    parser.add_argument("--keep", action="store_true", help="keep the temporary directory")
    parser.add_argument("--raw", metavar="FILE", help="all runs, as JSON")
    parser.add_argument("--check", action="store_true", help="only compare edges, on small captures")
    options = parser.parse_args()
    if options.only is not None:
        options.only = set(options.only) or {"none"}
    return options


def bench(options, folder, example):
    good = check(folder, example, options.binary)
    if options.check:
        return good
    cores = set(sorted(os.sched_getaffinity(0))[-options.cores:])
    print(f"\n{platform.system()} {platform.release()} {platform.machine()}, {os.cpu_count()} cores, of which a "
          f"command has {len(cores)}; user and system CPU time, medians of {options.rounds} rounds in turns "
          f"(other tools: {options.rival_rounds})")
    if options.packets != 10_000_000:
        print("the goals are meant for 10,000,000 packets")
    raw = {}
    # Nobody reads what softflowd exports, but the port is open.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink, tempfile.TemporaryDirectory() as scratch:
        sink.bind(("127.0.0.1", 0))
        for kind in options.kinds:
            packets = options.packets if kind != "full" else options.packets * 3 // 20
            capture, cut = Capture(folder, kind, packets), Capture(folder, kind, min(packets, CUT))
            capture.make(example)
            cut.make(example)
            print(f"\n{capture.title()}\n", flush=True)
            found, missing = tools(capture, cut, options, scratch, sink.getsockname()[1])
            run(found, cores)
            if not (found[0].runs and found[1].runs):
                return False
            missing += [tool.name for tool in found if not tool.runs]
            found = [tool for tool in found if tool.runs]
            table(found, missing)
            print()
            good &= goals(kind, found)
            good &= holds(correct, capture, options.binary)
            raw[kind] = {tool.name: {"command": tool.command, "scale": tool.scale, "runs": tool.runs} for tool in found}
    if options.raw:
        with open(options.raw, "w") as file:
            json.dump(raw, file, indent=1)
    return good


def main():
    options = arguments()
    # Where Debian has daemons, and not every user has that on the path.
    os.environ["PATH"] += os.pathsep + "/usr/sbin"
    example = build(options)
    folder = options.dir or tempfile.mkdtemp(prefix="ringfence-speed-", dir=os.environ.get("TMPDIR", "/var/tmp"))
    os.makedirs(folder, exist_ok=True)
    say(f"captures are in {folder}")
    try:
        good = bench(options, folder, example)
    finally:
        if not options.dir and not options.keep:
            shutil.rmtree(folder)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
