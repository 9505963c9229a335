#!/usr/bin/env bash
# The main job on a recording: two capture files and a cluster dump in, proved NetworkPolicies out.
set -euo pipefail
cd "$(dirname "$0")/.."
.ci/setup
exec cargo run --quiet --locked --bin ringfence -- generate \
  --pcap pcaps/shop/node-a.pcap pcaps/shop/node-b.pcap --cluster pcaps/shop/cluster.yaml --default-deny "$@"
