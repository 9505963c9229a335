#!/usr/bin/env bash
# fill.sh BINARY HOMEPAGE DIRECTORY: makes the archive of a release for krew, and its manifest, in a directory.
#
# The same binary makes the same archive. BINARY is that of deploy/static.sh, and HOMEPAGE the address of the project,
# below which the archive will be released.
set -euo pipefail
binary=$(realpath "${1:?usage: fill.sh BINARY HOMEPAGE DIRECTORY}")
homepage=${2:?usage: fill.sh BINARY HOMEPAGE DIRECTORY}
directory=$(realpath "${3:?usage: fill.sh BINARY HOMEPAGE DIRECTORY}")
cd "$(dirname "$0")/../.."

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$binary" "$work/kubectl-ringfence"
cp LICENSE "$work/LICENSE"
chmod 755 "$work/kubectl-ringfence"
chmod 644 "$work/LICENSE"
archive=$directory/kubectl-ringfence-v$version-linux-amd64.tar.gz
tar -C "$work" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -c LICENSE kubectl-ringfence | gzip -n -9 >"$archive"
sum=$(sha256sum "$archive")
# The first line is for those who read the template.
sed -e 1d -e "s|HOMEPAGE|${homepage%/}|g" -e "s|VERSION|$version|g" -e "s|SHA256|${sum%% *}|" deploy/krew/ringfence.yaml \
  >"$directory/ringfence.yaml"
echo "$archive"
