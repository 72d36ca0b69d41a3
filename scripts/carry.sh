#!/usr/bin/env bash
# carry.sh PROFILE FOLDER PACKAGE...: has the programs of PACKAGES, which cargo has built in PROFILE (its folder below target/ is
# FOLDER), carry dist/vestibule-wide.wasm with the code that is compiled of it. `vestibule` compiles; then the programs are linked
# once more (hosts/edge/build.rs). Quick when nothing has changed.
set -euo pipefail
cd "$(dirname "$0")/.."
profile=$1 folder=${CARGO_TARGET_DIR:-target}/$2
shift 2
packages=()
for package in "$@"; do packages+=(--package "$package"); done

"$folder/vestibule" carry dist/vestibule-wide.wasm "$folder/carried"
cargo build --quiet --profile "$profile" "${packages[@]}" --bins
