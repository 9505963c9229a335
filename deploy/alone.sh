#!/usr/bin/env bash
# alone.sh BINARY: checks that the binary needs nothing but a kernel, as in an image without any other file.
#
# It runs in an empty root directory, as root or in a user namespace. Exit 3, with one line on standard error: neither
# is possible here.
set -euo pipefail
binary=$(realpath "${1:?usage: alone.sh BINARY}")
cd "$(dirname "$0")/.."

if readelf --program-headers "$binary" | grep -q INTERP; then
  echo "$binary is dynamic" >&2
  exit 1
fi
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
cp "$binary" "$root/ringfence"
change=(chroot)
if [ "$(id -u)" != 0 ]; then
  change=(unshare --map-root-user chroot)
  "${change[@]}" / true 2>/dev/null || { echo "neither root nor a user namespace" >&2 && exit 3; }
fi
alone() { "${change[@]}" "$root" /ringfence "$@"; }

version=$(alone --version)
[ "$version" = "ringfence $(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)" ]
# A capture on standard input, plain and compressed, down to the same edges.
plain=$(alone flows -q --pcap - -o json <pcaps/shop/node-a.pcap)
compressed=$(gzip -c pcaps/shop/node-a.pcap | alone flows -q --pcap - -o json)
edges=$(wc -l <<<"$plain")
if [ "$edges" -lt 10 ] || [ "$plain" != "$compressed" ]; then
  echo "$edges edges alone" >&2
  exit 1
fi
echo "$version: $(stat -c %s "$binary") bytes, alone in an empty root directory, $edges edges of a capture on its input"
