#!/usr/bin/env bash
# Runs the components for wasi:http in real hosts (e2e/wasi). Needs what scripts/build.sh made.
set -euo pipefail
cd "$(dirname "$0")/.."

echo "[1/3] checking the hosts"
scripts/check-wasi-hosts.sh

echo "[2/3] compiling the development provider"
cargo build --release --workspace --examples --quiet

echo "[3/3] logins, bodies of a gigabyte and broken configurations in every host"
npm test --silent --prefix e2e/wasi
