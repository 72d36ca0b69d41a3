#!/usr/bin/env bash
# Installs the hosts that the components for wasi:http are tested in, where they are not there already: wasmtime and wac
# from crates.io into target/tools, jco from npm into e2e/wasi/node_modules.
set -euo pipefail
cd "$(dirname "$0")/.."

wasmtime_version=48.0.8
# What `wasmtime serve` needs, and nothing of other commands.
wasmtime_features=run,serve,compile,cranelift,wasi-http,wasi-config,component-model,component-model-async,pooling-allocator
wasmtime_features+=,parallel-compilation,cache,logging,backtrace,addr2line,demangle,wat,clap/default
wac_version=0.12.0

# install CRATE VERSION PROGRAM MINUTES OPTIMISATION ARGUMENT...
# wac is not optimised: compiling it takes far longer than running it.
install() {
  local crate=$1 version=$2 program=$3 minutes=$4 optimisation=$5
  shift 5
  if ! "target/tools/bin/$program" --version 2>/dev/null | grep -qF "$version"; then
    echo "      installing $crate $version into target/tools (about $minutes minutes on 2 cores)"
    if ! CARGO_PROFILE_RELEASE_OPT_LEVEL=$optimisation CARGO_TARGET_DIR=target/tools-build cargo install --quiet --locked --force --root target/tools --version "$version" --no-default-features "$@" "$crate"; then
      echo "error: cargo could not install $crate $version; the lines above say why. Run this again when crates.io can be reached" >&2
      exit 1
    fi
  fi
}

install wasmtime-cli "$wasmtime_version" wasmtime 10 3 --features "$wasmtime_features"
install wac-cli "$wac_version" wac 1 0 --features wit

if ! command -v npm >/dev/null || [ "$(node --print 'process.versions.node.split(".")[0]')" -lt 20 ]; then
  echo "error: jco needs npm and Node.js 20 or newer (https://nodejs.org); install them, then run this again" >&2
  exit 1
fi
if ! cmp -s e2e/wasi/package-lock.json e2e/wasi/node_modules/.installed-lock.json; then
  npm ci --prefix e2e/wasi --prefer-offline --no-audit --no-fund --loglevel error
  cp e2e/wasi/package-lock.json e2e/wasi/node_modules/.installed-lock.json
fi
echo "      $(target/tools/bin/wasmtime --version), $(target/tools/bin/wac --version), jco $(e2e/wasi/node_modules/.bin/jco --version)"
