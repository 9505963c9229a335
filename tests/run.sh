#!/usr/bin/env bash
# Everything that has to hold before a change lands. Fails at the first thing that does not.
set -euo pipefail
cd "$(dirname "$0")/.."
.ci/setup

step() { printf '\n== %s\n' "$*"; }

step "format"
cargo fmt --all --check
cargo fmt --manifest-path tests/fuzz/Cargo.toml --check
step "lints"
cargo clippy --workspace --all-targets --locked -- -D warnings
step "API server"
# Built once and kept outside the tree; `cargo test` alone takes what is kept, and builds nothing. What the compiler has
# done in the time that a change may wait is not lost: the next run goes on from there.
limit=$((SECONDS + 900))
for program in kube-apiserver etcd helm; do
  status=0
  timeout -k 10 $((limit > SECONDS ? limit - SECONDS : 1)) bash tests/apiserver/build "$program" || status=$?
  case $status in
    0) ;;
    3) echo "skipped: what needs $program" ;;
    124 | 137) echo "skipped: what needs $program: building it takes more than 15 minutes" ;;
    *) exit "$status" ;;
  esac
done
step "tests"
cargo test --workspace --locked
step "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet
step "dependencies"
if command -v cargo-deny >/dev/null; then
  # The advisory database is fetched from the network, so it is a check of its own: `cargo deny check advisories`.
  cargo deny --all-features --locked --config .deny.toml check bans licenses sources
else
  echo "skipped: cargo-deny is not installed"
fi
step "static binary"
status=0
binary=$(bash deploy/static.sh) || status=$?
case $status in
  0) bash deploy/alone.sh "$binary" ;;
  3) echo "skipped: the static binary" ;;
  *) exit "$status" ;;
esac
