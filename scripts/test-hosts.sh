#!/usr/bin/env bash
# Runs the contract (tests/contract) in every host, and compares the table of docs/hosts.md with the result; with --write it
# writes the table. Then a real Prometheus scrapes the program. Needs what scripts/build.sh made.
set -euo pipefail
cd "$(dirname "$0")/.."

echo "[1/4] checking the servers"
scripts/check-servers.sh
scripts/check-wasi-hosts.sh

echo "[2/4] compiling the contract"
cargo test --release --workspace --test hosts --no-run --quiet

echo "[3/4] running it in every host"
if [ "${1:-}" = --write ]; then table=--write; else table=--check; fi
cargo test --release --workspace --test hosts --quiet -- --all "$table" "$PWD/docs/hosts.md"

echo "[4/4] scraping the program with Prometheus"
scripts/check-metrics.sh
