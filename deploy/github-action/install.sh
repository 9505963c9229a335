#!/usr/bin/env bash
# install.sh: the program that the other steps run: INPUT_BINARY, or the release INPUT_VERSION if its sum is right.
#
# The archive is the one that deploy/krew/fill.sh packs. Its path goes to GITHUB_OUTPUT, as `binary`.
set -euo pipefail

# Annotations are one line; %, CR and LF are escaped as the runner reads them.
fail() {
  local text=${1//'%'/%25}
  text=${text//$'\r'/%0D}
  printf '::error title=Ringfence::%s\n' "${text//$'\n'/%0A}"
  exit 2
}

if [[ -n $INPUT_BINARY ]]; then
  binary=$(realpath -- "$INPUT_BINARY") || fail "binary: there is no $INPUT_BINARY"
  [[ -f $binary && -x $binary ]] || fail "binary: $INPUT_BINARY is no program"
else
  [[ -n $INPUT_VERSION ]] || fail "neither \`binary\` nor \`version\` is given"
  # They become parts of an address.
  [[ $INPUT_VERSION =~ ^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.]+)?$ ]] ||
    fail "version: $INPUT_VERSION is not like 0.1.0"
  [[ $INPUT_SHA256 =~ ^[0-9a-f]{64}$ ]] || fail "sha256: \`version\` needs the SHA-256 of its archive, 64 digits"
  [[ $INPUT_RELEASES =~ ^https://[^[:space:]]+$ ]] ||
    fail "releases: \`version\` needs the https address of the releases"
  machine=$(uname -sm)
  [[ $machine == "Linux x86_64" ]] || fail "there is no release for $machine: build it, and give \`binary\`"
  directory=$(mktemp -d "$RUNNER_TEMP/ringfence-XXXXXX")
  archive=$directory/archive.tar.gz
  curl --fail --silent --show-error --location --proto '=https' --retry 3 --max-time 300 --output "$archive" -- \
    "${INPUT_RELEASES%/}/v$INPUT_VERSION/kubectl-ringfence-v$INPUT_VERSION-linux-amd64.tar.gz" ||
    fail "version $INPUT_VERSION cannot be downloaded"
  # Before anything reads it.
  sum=$(sha256sum "$archive" | cut -d ' ' -f 1)
  [[ $sum == "$INPUT_SHA256" ]] || fail "the archive of version $INPUT_VERSION has another SHA-256: $sum"
  tar -C "$directory" -xzf "$archive" kubectl-ringfence
  binary=$directory/kubectl-ringfence
fi
version=$("$binary" --version) || fail "$binary does not run here"
echo "$version"
printf 'binary=%s\n' "$binary" >>"$GITHUB_OUTPUT"
