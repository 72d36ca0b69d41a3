#!/usr/bin/env bash
# Builds what operators run, the components and dist/vestibule, which carries one of them, and target/release/vestibule-demo,
# which is for trying it and stays out of dist/. Quick when nothing has changed.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/steps.sh
. scripts/in-parallel.sh

if [ -x dist/vestibule ]; then first=""; else first=", first time about 12 minutes on 2 cores"; fi
steps 4

step "checking the tools"
scripts/check-tools.sh

step "building the components and, beside them, the native programs (Pingora and Wasmtime$first)"
# The components' last steps take one processor only.
VESTIBULE_CARRY=later beside scripts/build-component.sh -- cargo build --release --workspace --bins

step "compiling the component, and linking it into the programs"
scripts/carry.sh release vestibule --workspace

step "installing the program"
# Cargo's own settings can lead the linker to another folder than scripts/carry.sh has written to.
target/release/vestibule carry dist/vestibule-wide.wasm
scripts/install-artefact.sh target/release/vestibule dist/vestibule
step_ended
