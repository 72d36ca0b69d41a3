#!/usr/bin/env bash
# Runs every test of the workspace. Needs the component of scripts/build.sh.
set -euo pipefail
cd "$(dirname "$0")/.."

echo "[1/2] compiling the tests$([ -e target/release/.tests ] || echo ' (first time about 5 minutes on 2 cores)')"
cargo test --release --workspace --no-run
touch target/release/.tests

echo "[2/2] running the tests"
cargo test --release --workspace --quiet
echo "All tests passed."
