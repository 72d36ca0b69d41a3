#!/usr/bin/env bash
# Starts the demo: target/release/vestibule-demo, if `make build` has made it, else one that is built of what the demo needs and of
# nothing else. That one has the profile `demo`, in which programs compile faster and run slower.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/steps.sh
. scripts/in-parallel.sh

demo=target/release/vestibule-demo
if [ -x "$demo" ]; then
  echo "$demo is there; \`make build\` renews it"
  exec "$demo"
fi

demo=target/demo/vestibule-demo
if [ -x "$demo" ]; then first=""; else first=", the first time some minutes"; fi
steps 4

step "checking the tools"
scripts/check-tools.sh

step "building the component and, beside it, the demo (Pingora and Wasmtime$first)"
beside scripts/build-component.sh --wide -- cargo build --profile demo --package vestibule-demo --bins

step "compiling the component, and linking it into the demo"
scripts/carry.sh demo vestibule-demo --package vestibule-demo

step "starting the demo"
exec "$demo"
