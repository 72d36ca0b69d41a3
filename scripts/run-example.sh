#!/usr/bin/env bash
# run-example.sh HOST: a host of examples/ with the development provider and an application that shows what reaches it.
# Ctrl-C stops all of it.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/build.sh
scripts/check-servers.sh
exec cargo test --release --workspace --test hosts --quiet -- --keep "$1"
