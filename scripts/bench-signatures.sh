#!/usr/bin/env bash
# Compares what it takes to verify a signature natively and in WebAssembly, in `wasmtime` with the settings of our own host:
# interruption by epochs, no inlining, with wide arithmetic and without. One run after the other, three times.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/check-wasi-hosts.sh
cargo build --release --workspace --bins --quiet

# build NAME PROFILE MORE_FEATURES
build() {
  RUSTFLAGS="-C target-feature=+simd128$3" cargo build --profile "$2" --package vestibule-signatures \
    --target wasm32-wasip2 --target-dir target/wasm --quiet
  cp "target/wasm/wasm32-wasip2/$2/vestibule-signatures.wasm" "target/signatures-$1.wasm"
}
build plain component ""
build wide component-wide ,+wide-arithmetic

for _ in 1 2 3; do
  target/release/vestibule-signatures | sed 's/^/native /'
  for kind in plain wide; do
    target/tools/bin/wasmtime run -W timeout=600s -W wide-arithmetic=y "target/signatures-$kind.wasm" | sed "s/^/$kind /"
  done
done | awk '
  { if (!(($1, $2) in best) || $3 < best[$1, $2]) best[$1, $2] = $3 }
  END {
    printf "%-10s %12s %12s %8s %12s %8s\n", "", "native us", "wasm us", "ratio", "wide us", "ratio"
    split("RS256 ES256 EdDSA", names, " ")
    for (i = 1; i <= 3; i++) {
      n = best["native", names[i]]; p = best["plain", names[i]]; w = best["wide", names[i]]
      printf "%-10s %12.1f %12.1f %8.2f %12.1f %8.2f\n", names[i], n / 1000, p / 1000, p / n, w / 1000, w / n
    }
  }'
