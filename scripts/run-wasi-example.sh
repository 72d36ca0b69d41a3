#!/usr/bin/env bash
# run-wasi-example.sh HOST: wasmtime-serve or jco, with the login in it and the development provider: open
# http://127.0.0.1:8501. Ctrl-C stops all of it.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/build.sh
scripts/check-wasi-hosts.sh
cargo build --release --workspace --examples --quiet
# Port 9000: where the examples' configurations look for it.
target/release/examples/serve 9000 >/dev/null &
provider=$!
trap 'kill $provider' EXIT
COOKIE_SECRET=$(dist/vestibule cookie-secret)
export COOKIE_SECRET
case $1 in
  wasmtime-serve)
    mkdir -p target/wasi-hosts
    target/tools/bin/wac plug --plug dist/vestibule-relay.wasm dist/vestibule-middleware.wasm -o target/wasi-hosts/example.wasm
    target/tools/bin/wasmtime serve --addr 127.0.0.1:8501 -S cli --env COOKIE_SECRET --dir examples/wasmtime-serve::/ target/wasi-hosts/example.wasm
    ;;
  jco)
    # The application that the login stands in front of: the provider itself, which has a page to look at.
    VESTIBULE_CONFIG=$(cat examples/jco/secrets.toml) e2e/wasi/node_modules/.bin/jco serve --host 127.0.0.1 --port 8501 dist/vestibule-proxy.wasm
    ;;
  *)
    echo "error: $1 is no host; write wasmtime-serve or jco" >&2
    exit 1
    ;;
esac
