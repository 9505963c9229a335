# Recipes; CI runs `just test` by another name (.ci/run).

default: test

# Format, lints, tests, documentation, dependency policy.
test:
    bash tests/run.sh

fmt:
    cargo fmt --all

# Rewrite the expectations of folder cases and snapshots, then look at the difference.
update:
    RINGFENCE_UPDATE=1 INSTA_UPDATE=always cargo test -p ringfence --test tests
    git diff --stat

# Fuzz one target; tests/fuzz/README.md has the list.
fuzz TARGET SECONDS="600":
    cargo +nightly fuzz run --fuzz-dir tests/fuzz {{TARGET}} -- -max_total_time={{SECONDS}}

# The main job on a recording.
demo:
    bash pcaps/demo.sh
