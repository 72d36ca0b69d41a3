#!/usr/bin/env bash
# Formatting, lints, dependencies, documentation; every warning is an error.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/packages.sh

deny_version=0.20.2

scripts/check-tools.sh
scripts/check-wit.sh

echo "[1/5] formatting"
cargo fmt --all --check
cargo fmt --manifest-path fuzz/Cargo.toml --check

echo "[2/5] clippy"
cargo clippy --release --workspace --all-targets --quiet -- -D warnings
# The library without its client for providers; everything else here is built with it.
cargo clippy --release --package vestibule-wasmtime --no-default-features --quiet -- -D warnings

echo "[3/5] dependencies"
if ! command -v cargo-deny >/dev/null; then
  echo "      installing cargo-deny $deny_version into target/tools (about 3 minutes on 2 cores)"
  # Not optimised: compiling it takes far longer than running it.
  CARGO_PROFILE_RELEASE_OPT_LEVEL=0 cargo install --quiet --locked --root target/tools --version "$deny_version" cargo-deny
fi
PATH=$PWD/target/tools/bin:$PATH
# Warnings are shown: duplicates without a reason in deny.toml are among them. Of what deny.toml has for the other
# workspace only, nothing is said.
for manifest in Cargo.toml fuzz/Cargo.toml; do
  cargo deny --manifest-path "$manifest" --log-level warn check bans licenses sources \
    --allow unmatched-skip --allow license-not-encountered --allow license-exception-not-encountered
done
# The database of advisories is a repository on GitHub. Where ADVISORIES=required, as in releases, it must have been asked.
if timeout 60 git ls-remote --quiet https://github.com/rustsec/advisory-db HEAD >/dev/null 2>&1; then
  for manifest in Cargo.toml fuzz/Cargo.toml; do
    cargo deny --manifest-path "$manifest" --log-level error check advisories
  done
elif [ "${ADVISORIES:-}" = required ]; then
  echo "error: advisories could not be checked: github.com/rustsec/advisory-db cannot be reached; connect, or unset ADVISORIES" >&2
  exit 1
else
  echo "      NOT checked: advisories; their database (github.com/rustsec/advisory-db) cannot be reached from here"
fi

echo "[4/5] documentation and packages"
scripts/check-named-tests.sh
scripts/check-packages.sh --quick
RUSTDOCFLAGS="-D warnings" cargo doc --release --workspace --no-deps --document-private-items --quiet

echo "[5/5] the site of the documentation"
scripts/docs.sh
