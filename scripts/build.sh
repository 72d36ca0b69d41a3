#!/usr/bin/env bash
# Builds what operators run, dist/vestibule.wasm and dist/vestibule, and target/release/vestibule-demo, which is for trying
# it and stays out of dist/. Quick when nothing has changed.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ -x dist/vestibule ]; then first=""; else first=", first time about 12 minutes on 2 cores"; fi

echo "[1/3] checking the tools"
scripts/check-tools.sh

echo "[2/3] building the component"
scripts/build-component.sh

echo "[3/3] building the native programs (Pingora and Wasmtime$first)"
cargo build --release --workspace --bins
scripts/install-artefact.sh target/release/vestibule dist/vestibule
