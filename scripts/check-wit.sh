#!/usr/bin/env bash
# Checks that WASI's interfaces in wit/ are those of the crates that they were taken from, byte for byte. With --update
# it takes them anew.
set -euo pipefail
cd "$(dirname "$0")/.."

# Their WIT is what WASI released: 0.2.12 and 0.3.0 (Spin and jco misread later patches of 0.3), wasi:config 0.2.0-rc.1.
version=48.0.8

work=target/wit-source
mkdir -p "$work/src"
touch "$work/src/lib.rs"
cat >"$work/Cargo.toml" <<EOF
[package]
name = "wit-source"
version = "0.0.0"
edition = "2024"
[dependencies]
wasmtime-wasi-http = { version = "=$version", default-features = false }
wasmtime-wasi-config = { version = "=$version", default-features = false }
[workspace]
EOF

folder_of() {
  cargo metadata --quiet --format-version 1 --manifest-path "$work/Cargo.toml" |
    python3 -c 'import json, os, sys; print(next(os.path.dirname(p["manifest_path"]) for p in json.load(sys.stdin)["packages"] if p["name"] == sys.argv[1]))' "$1"
}

http=$(folder_of wasmtime-wasi-http)
config=$(folder_of wasmtime-wasi-config)
for pair in "$http/wit/deps wit/wasi-0.2" "$http/src/p3/wit/deps wit/wasi-0.3" "$config/wit/deps/config wit/wasi-config"; do
  read -r source copy <<<"$pair"
  if [ "${1:-}" = --update ]; then
    rm -rf "$copy"
    cp -r "$source" "$copy"
  elif ! diff -r "$source" "$copy"; then
    echo "error: $copy is not the WIT of wasmtime's crates $version; run scripts/check-wit.sh --update, and look at what changed" >&2
    exit 1
  fi
done
echo "      WASI's interfaces are those of wasmtime-wasi-http and wasmtime-wasi-config $version"
