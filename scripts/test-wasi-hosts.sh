#!/usr/bin/env bash
# Runs the components for wasi:http in real hosts, and the scripts of examples/ (e2e/wasi). Needs what scripts/build.sh
# made.
set -euo pipefail
cd "$(dirname "$0")/.."

echo "[1/3] checking the hosts"
scripts/check-wasi-hosts.sh
# For the examples.
scripts/check-servers.sh

echo "[2/3] compiling the components for wasi:config, the development provider and the contract"
scripts/build-component.sh --wasi-config
cargo build --release --workspace --examples --quiet
cargo test --release --workspace --test hosts --no-run --quiet

echo "[3/3] logins, bodies of a gigabyte and broken configurations in every host; every example"
npm test --silent --prefix e2e/wasi
