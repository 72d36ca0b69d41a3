#!/usr/bin/env bash
# Compares every host with the same one without the login: requests in a second, and their 99th percentile.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/packages.sh

command -v wrk >/dev/null || install_packages "the comparison of hosts" wrk
scripts/check-servers.sh
scripts/check-wasi-hosts.sh
cargo test --release --workspace --test hosts --quiet -- --bench --all
