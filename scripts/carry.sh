#!/usr/bin/env bash
# carry.sh PROFILE PROGRAM SELECTION...: has the programs of SELECTION, cargo's options for packages, carry dist/vestibule-wide.wasm
# with the code that is compiled of it. PROGRAM, which cargo has built in PROFILE with the same SELECTION, compiles it; then all are
# linked once more (hosts/edge/build.rs). Quick when nothing has changed.
set -euo pipefail
cd "$(dirname "$0")/.."
profile=$1 program=$2
shift 2
folder=$PWD/target/$profile
if [ -n "${CARGO_TARGET_DIR:-}" ]; then folder=$CARGO_TARGET_DIR/$profile; fi
# Cargo's own name for it.
if [ "$profile" = dev ]; then folder=${folder%/dev}/debug; fi

"$folder/$program" carry dist/vestibule-wide.wasm "$folder/carried"
cargo build --quiet --profile "$profile" "$@" --bins
