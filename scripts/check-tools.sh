#!/usr/bin/env bash
# Checks what the native build needs, and installs what it may: cargo of the right age, a C compiler, cmake.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/packages.sh

need=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)

if ! command -v cargo >/dev/null; then
  echo "error: cargo is not on PATH; install Rust $need or newer (https://rustup.rs), then run this again" >&2
  exit 1
fi
have=$(cargo --version | cut -d ' ' -f 2)
if [ "$(printf '%s\n%s\n' "$need" "$have" | sort -V | head -n 1)" != "$need" ]; then
  echo "error: cargo is $have, this needs $need or newer; run: rustup update stable" >&2
  exit 1
fi

packages=()
# Pingora's compression library (zlib-ng) is built with cmake; ring compiles C and assembly.
command -v cmake >/dev/null || packages+=(cmake)
command -v cc >/dev/null || packages+=(gcc libc6-dev)
if [ ${#packages[@]} -gt 0 ]; then
  install_packages "the native build" "${packages[@]}"
fi
echo "      cargo $have, $(cmake --version | head -n 1), $(cc --version | head -n 1)"
