#!/usr/bin/env python3
"""Loads a dump of 50 MB as YAML and the same objects as JSON, interleaved, and prints the CPU time of each.

    cargo build --release && python3 tests/bench/dump.py [PROGRAM] [ROUNDS]

The objects are those of pcaps/ledger with many more pods. Needs PyYAML.
"""

import copy
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile

import yaml

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
PODS = 16_000


def dump():
    """A `v1 List` with PODS pods, each with an address of its own."""
    with open(os.path.join(ROOT, "pcaps", "ledger", "cluster.yaml")) as file:
        cluster = yaml.load(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    pods = [item for item in cluster["items"] if item["kind"] == "Pod" and not item["spec"].get("hostNetwork")]
    for number in range(PODS):
        pod = copy.deepcopy(pods[number % len(pods)])
        pod["metadata"].update(name=f"pod-{number}", uid=f"uid-{number}", namespace=f"ns-{number // 50}")
        address = f"10.{100 + number // 65536}.{number // 256 % 256}.{number % 256}"
        pod["status"].update(podIP=address, podIPs=[{"ip": address}])
        pod["spec"]["containers"][0]["env"] = [{"name": f"VARIABLE_{i}", "value": "x" * 40} for i in range(12)]
        cluster["items"].append(pod)
    return cluster


def cpu_seconds(program, path):
    """User and system time of one run."""
    capture = os.path.join(ROOT, "pcaps", "shop", "node-a.pcap")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([program, "flows", "-q", "--pcap", capture, "--cluster", path], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main():
    program = sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "target", "release", "ringfence")
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    cluster = dump()
    with tempfile.TemporaryDirectory() as folder:
        paths = {kind: os.path.join(folder, f"dump.{kind}") for kind in ("yaml", "json")}
        with open(paths["yaml"], "w") as file:
            dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
            yaml.dump(cluster, file, Dumper=dumper, default_flow_style=False, sort_keys=False)
        with open(paths["json"], "w") as file:
            json.dump(cluster, file, indent=4)  # as kubectl prints it
        times = {kind: [] for kind in paths}
        for _ in range(rounds):
            for kind, path in paths.items():
                times[kind].append(cpu_seconds(program, path))
        for kind, path in paths.items():
            print(f"{kind}: {os.path.getsize(path) / 1e6:.0f} MB, {statistics.median(times[kind]):.2f} s of CPU time")
        print(f"YAML / JSON: {statistics.median(times['yaml']) / statistics.median(times['json']):.1f}")


if __name__ == "__main__":
    main()
