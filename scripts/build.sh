#!/usr/bin/env bash
# Builds what operators run, dist/vestibule.wasm and dist/vestibule, and target/release/vestibule-demo, which is for trying
# it and stays out of dist/. Quick when nothing has changed.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ -x dist/vestibule ]; then first=""; else first=", first time about 12 minutes on 2 cores"; fi

echo "[1/3] checking the tools"
scripts/check-tools.sh

echo "[2/3] building the component and, beside it, the native programs (Pingora and Wasmtime$first)"
# Its last steps take one processor only.
set -m
scripts/build-component.sh &
component=$!
set +m
trap 'kill -- -"$component" 2>/dev/null || true' EXIT
cargo build --release --workspace --bins
if ! wait "$component"; then
  echo "error: the component was not built; the lines above say why" >&2
  exit 1
fi
trap - EXIT

echo "[3/3] installing the program"
scripts/install-artefact.sh target/release/vestibule dist/vestibule
