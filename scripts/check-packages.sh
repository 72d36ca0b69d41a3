#!/usr/bin/env bash
# check-packages.sh [--quick]: packs the crates that are published, and compiles each from its package, as `cargo publish` does, for this
# system and, where they are for WebAssembly, for wasm32-wasip2. With --quick it packs them without compiling: some seconds. Both compare
# manifests and files with what they must have.
set -euo pipefail
cd "$(dirname "$0")/.."

# In the order in which they are published.
crates=(vestibule-preview1 vestibule-enforcement vestibule-wasmtime vestibule vestibule-edge)
selection=()
for crate in "${crates[@]}"; do selection+=(--package "$crate"); done
packages=${CARGO_TARGET_DIR:-$PWD/target}/package

# pack OPTION...: what cargo says is shown if it fails. It has remarks about tests, which stay out, and about the missing `repository`.
pack() {
  local log
  log=$(mktemp)
  cargo package --quiet --allow-dirty "$@" >"$log" 2>&1 || {
    grep -v '^warning: ignoring' "$log" >&2
    rm -f "$log"
    return 1
  }
  rm -f "$log"
}

rm -f "$packages"/*.crate
# Without the network, where everything is downloaded already.
pack --no-verify --offline "${selection[@]}" 2>/dev/null || pack --no-verify "${selection[@]}"

packaging/check_crates.py "$packages" "${crates[@]}"
du --apparent-size --block-size=1K "$packages"/*.crate | awk '{ sub(/.*\//, "", $2); printf "      %-40s %6d KiB\n", $2, $1 }'
if [ "${1:-}" = --quick ]; then exit; fi

echo "      compiling each from its package"
pack "${selection[@]}"
if [ -d "$(rustc --print sysroot)/lib/rustlib/wasm32-wasip2/lib" ]; then
  pack --target wasm32-wasip2 --package vestibule-preview1 --package vestibule --features vestibule/component
else
  echo "      NOT compiled for WebAssembly: rustup has no target wasm32-wasip2 here"
fi
echo "Each package compiles by itself."
