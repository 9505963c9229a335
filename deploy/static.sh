#!/usr/bin/env bash
# static.sh: builds `ringfence` for Linux on x86-64 as one static file, libpcap in it, and prints its path.
#
# Needs the musl target of the Rust toolchain, and musl-gcc, flex, bison and make (Debian: musl-tools flex bison make).
# libpcap comes from the file LIBPCAP_SOURCE or, where that is not set, from Debian's source package; it is the same
# archive either way. Debian's own libpcap.a is linked against libraries that have no static form there (D-Bus, systemd).
# Exit 3, with one line on standard error: it cannot be built here.
set -euo pipefail
cd "$(dirname "$0")/.."

version=1.10.3
archive_sha256=2a8885c403516cf7b0933ed4b14d6caa30e02052489ebd414dc75ac52e7559e6
target=x86_64-unknown-linux-musl

cannot() {
  echo "$1" >&2
  exit 3
}
for program in cargo musl-gcc flex bison make; do
  command -v "$program" >/dev/null || cannot "$program is not installed"
done
[ -d "$(rustc --print sysroot)/lib/rustlib/$target" ] || cannot "the Rust toolchain has no target $target"

out=$(realpath -m "${CARGO_TARGET_DIR:-target}")/static
libraries=$out/libpcap-$version
if [ ! -f "$libraries/libpcap.a" ]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  source=${LIBPCAP_SOURCE:-}
  if [ -z "$source" ]; then
    command -v apt-get >/dev/null || cannot "LIBPCAP_SOURCE is not set and there is no apt-get"
    # apt with the sources that this machine has, for source packages, and with lists of its own: no rights are needed.
    mkdir -p "$work"/apt/{parts,lists/partial,cache/archives/partial}
    for file in /etc/apt/sources.list.d/*.sources; do
      [ -f "$file" ] && sed 's/^Types:.*/Types: deb-src/' "$file" >"$work/apt/parts/${file##*/}"
    done
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
      [ -f "$file" ] && sed -n 's/^deb /deb-src /p' "$file"
    done >"$work/apt/sources.list"
    printf '%s;\n' "Dir::Etc::sourcelist \"$work/apt/sources.list\"" "Dir::Etc::sourceparts \"$work/apt/parts\"" \
      "Dir::State::lists \"$work/apt/lists\"" "Dir::Cache \"$work/apt/cache\"" 'APT::Sandbox::User ""' >"$work/apt.conf"
    (
      cd "$work"
      export APT_CONFIG=$work/apt.conf
      apt-get update -qq >&2 && apt-get source --download-only -qq libpcap >&2
    ) || cannot "apt-get has no source package libpcap"
    source=$work/libpcap_$version.orig.tar.gz
  fi
  echo "$archive_sha256  $source" | sha256sum --check --quiet >&2
  mkdir "$work/libpcap"
  tar -xzf "$source" -C "$work/libpcap" --strip-components 1
  (
    cd "$work/libpcap"
    # musl has no headers of the kernel; those of the system do, behind its own.
    CC="musl-gcc -idirafter /usr/include -idirafter /usr/include/$(uname -m)-linux-gnu" ./configure --disable-shared \
      --disable-dbus --without-libnl --disable-rdma --disable-usb --disable-bluetooth --disable-netmap
    make -j2 libpcap.a
  ) >"$work/log" 2>&1 || { tail -n 20 "$work/log" >&2 && exit 1; }
  mkdir -p "$libraries"
  mv "$work/libpcap/libpcap.a" "$libraries/"
fi

# The C code of zstd, zlib's successor and SQLite is compiled by musl-gcc, which the cc crate finds by the target.
LIBPCAP_LIBDIR=$libraries LIBPCAP_VER=$version cargo build --release --locked --target "$target" -p ringfence >&2
echo "$(realpath -m "${CARGO_TARGET_DIR:-target}")/$target/release/ringfence"
