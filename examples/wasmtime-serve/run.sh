#!/usr/bin/env bash
# Runs this example with the development provider: open http://127.0.0.1:8501 and log in.
exec "$(dirname "$0")/../../scripts/run-wasi-example.sh" wasmtime-serve
