#!/usr/bin/env bash
# Runs the contract (tests/contract) in every host, and compares the table of docs/hosts.md with the result; with --write it
# writes the table. Needs what scripts/build.sh made.
set -euo pipefail
cd "$(dirname "$0")/.."

echo "[1/3] checking the servers"
scripts/check-servers.sh
scripts/check-wasi-hosts.sh

echo "[2/3] compiling the contract"
cargo test --release --workspace --test hosts --no-run --quiet

echo "[3/3] running it in every host"
if [ "${1:-}" = --write ]; then table=--write; else table=--check; fi
cargo test --release --workspace --test hosts --quiet -- --all "$table" "$PWD/docs/hosts.md"
